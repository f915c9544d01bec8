/* SPDX-License-Identifier: MIT */
/* Plain text is one section. */
#include "reader/formats.h"
#include "reader/sections.h"

int format_read_plain(struct corpus *c, const struct source *source, const char *text, size_t len,
                      const char **ret_why)
{
    struct sections s;
    (void)ret_why;
    sections_begin(&s, c, source);
    sections_text(&s, text, len);
    return sections_end(&s);
}
