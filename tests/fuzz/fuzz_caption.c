/* SPDX-License-Identifier: MIT */
/* Anything a model may say, on every platform: what comes out is well-formed, and within the platform's
 * length. */
#include "fuzz.h"

#include "agent/caption_text.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    if (size > 4096 || memchr(data, 0, size) || !utf8_valid((const char *)data, size))
        return 0;
    arena_init(&a, (size_t)64 * 1024 * 1024);
    char *said = arena_strndup(&a, (const char *)data, size);
    for (const struct platform *p = platforms; said && p->name; p++) {
        const struct caption_form form = {p, (int)(size % 8) + 1, "a rooftop party"};
        const char *s = caption_finish(&a, &form, said);
        size_t len = s ? strlen(s) : 0;
        if (s && (!utf8_valid(s, len) || utf8_count(s, len) > p->caption_max))
            abort();
    }
    arena_free(&a);
    return 0;
}
