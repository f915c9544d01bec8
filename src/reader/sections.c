/* SPDX-License-Identifier: MIT */
#include "reader/sections.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void sections_begin(struct sections *s, struct corpus *c, const struct source *source)
{
    *s = (struct sections){.corpus = c, .source = source, .text = BUF_INIT(SECTION_TEXT_MAX)};
}

/* On one line, without blanks around it. */
static void set_line(char to[HEADING_MAX + 1], const char *from, size_t len)
{
    size_t n = 0;
    while (len > 0 && isspace((unsigned char)*from)) {
        from++;
        len--;
    }
    len = utf8_floor(from, len, HEADING_MAX);
    for (size_t i = 0; i < len; i++)
        if (!isspace((unsigned char)from[i]) || (n > 0 && to[n - 1] != ' '))
            to[n++] = isspace((unsigned char)from[i]) ? ' ' : from[i];
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = '\0';
}

static void flush(struct sections *s)
{
    char title[2 * HEADING_MAX + 8];
    if (s->error < 0 || s->text.len == 0)
        return;
    const char *document = s->title[0] ? s->title : s->source->title;
    (void)snprintf(title, sizeof title, "%s%s%s", document, s->heading[0] ? ": " : "", s->heading);
    struct record record = {.kind = s->source->kind,
                            .title = title,
                            .text = s->text.data,
                            .text_len = s->text.len,
                            .tags = s->tags,
                            .n_tags = s->n_tags};
    s->error = s->text.failed ? -ENOMEM : corpus_add(s->corpus, s->source, &record);
    buf_reset(&s->text);
}

void sections_text(struct sections *s, const char *text, size_t len)
{
    while (len > 0 && s->error == 0 && !corpus_stops(s->corpus)) {
        size_t n = utf8_floor(text, len, s->text.max - s->text.len);
        if (n == 0 && s->text.len == 0) /* no text at all */
            return;
        if (n == 0) {
            flush(s);
            continue;
        }
        if (buf_add(&s->text, text, n) < 0)
            s->error = -ENOMEM;
        text += n;
        len -= n;
    }
}

void sections_title(struct sections *s, const char *title, size_t len)
{
    if (s->title[0] == '\0')
        set_line(s->title, title, len);
}

void sections_heading(struct sections *s, int level, const char *heading, size_t len)
{
    flush(s);
    s->heading[0] = '\0';
    if (level == 1 && s->title[0] == '\0')
        set_line(s->title, heading, len);
    else
        set_line(s->heading, heading, len);
    if (strcmp(s->heading, s->title) == 0)
        s->heading[0] = '\0';
}

int sections_end(struct sections *s)
{
    flush(s);
    buf_free(&s->text);
    return s->error;
}
