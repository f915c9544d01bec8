/* SPDX-License-Identifier: MIT */
/* Markdown: headings (# and underlined ones) make sections, fenced blocks are taken as they stand, and so is
 * everything else: it reads well as it is. Of front matter, title and tags count. */
#include "reader/formats.h"
#include "reader/sections.h"
#include "reader/tags.h"

#include "base/text.h"

#include <ctype.h>
#include <string.h>

struct line {
    const char *s;
    size_t len; /* without its end */
};

struct reading {
    const char *text;
    size_t len, at;
    struct sections sections;
    struct line held; /* may be the heading of the line below it */
    char fence;       /* the character that ends the block we are in; 0 = in none */
};

static bool next_line(struct reading *r, struct line *ret)
{
    if (r->at >= r->len)
        return false;
    const char *s = r->text + r->at, *end = memchr(s, '\n', r->len - r->at);
    size_t len = end ? (size_t)(end - s) : r->len - r->at;
    r->at += len + (end != NULL);
    *ret = (struct line){s, len > 0 && s[len - 1] == '\r' ? len - 1 : len};
    return true;
}

static bool is_made_of(const struct line *l, char c, size_t least)
{
    size_t n = 0;
    while (n < l->len && l->s[n] == c)
        n++;
    size_t end = n;
    while (end < l->len && isspace((unsigned char)l->s[end]))
        end++;
    return n >= least && end == l->len;
}

static void give_held(struct reading *r)
{
    if (!r->held.s)
        return;
    sections_text(&r->sections, r->held.s, r->held.len);
    sections_text(&r->sections, "\n", 1);
    r->held.s = NULL;
}

/* ---- front matter */

static void read_setting(struct reading *r, const struct line *l)
{
    struct sections *s = &r->sections;
    const char *colon = memchr(l->s, ':', l->len);
    if (!colon)
        return;
    const char *value = colon + 1;
    size_t name = (size_t)(colon - l->s), len = l->len - name - 1;
    while (len > 0 && memchr(" \t[\"'", *value, 5)) {
        value++;
        len--;
    }
    while (len > 0 && memchr(" \t]\"'", value[len - 1], 5))
        len--;
    if (name == 5 && memcmp(l->s, "title", 5) == 0)
        sections_title(s, value, len);
    if (name == 4 && memcmp(l->s, "tags", 4) == 0)
        tags_add_list(s->tags, &s->n_tags, value, len);
}

static void read_front_matter(struct reading *r)
{
    struct line l;
    size_t begin = r->at;
    if (!next_line(r, &l) || !is_made_of(&l, '-', 3) || l.len > 4) {
        r->at = begin;
        return;
    }
    for (int n = 0; n < 64 && next_line(r, &l); n++) {
        if (is_made_of(&l, '-', 3))
            return;
        read_setting(r, &l);
    }
    r->at = begin; /* it has no end: it is text */
}

/* ---- lines */

static int heading_level(const struct line *l)
{
    size_t n = 0;
    while (n < l->len && n < 7 && l->s[n] == '#')
        n++;
    return n >= 1 && n <= 6 && (n == l->len || l->s[n] == ' ' || l->s[n] == '\t') ? (int)n : 0;
}

/* Whether the line begins or ends a fenced block. */
static bool take_fence(struct reading *r, const struct line *l)
{
    size_t at = 0;
    while (at < l->len && at < 3 && l->s[at] == ' ')
        at++;
    if (l->len - at < 3 || (l->s[at] != '`' && l->s[at] != '~') || l->s[at + 1] != l->s[at] ||
        l->s[at + 2] != l->s[at])
        return false;
    if (r->fence == 0)
        r->fence = l->s[at];
    else if (r->fence == l->s[at])
        r->fence = 0;
    return true;
}

static void take_line(struct reading *r, const struct line *l)
{
    bool fenced = r->fence != 0, fence = take_fence(r, l);
    int level = fenced || fence ? 0 : heading_level(l);
    bool under = r->held.s && r->held.len > 0 && !fenced;
    if (level > 0) {
        give_held(r);
        size_t end = l->len;
        while (end > (size_t)level && (l->s[end - 1] == '#' || l->s[end - 1] == ' '))
            end--;
        sections_heading(&r->sections, level, l->s + level, end - (size_t)level);
    } else if (under && (is_made_of(l, '=', 2) || is_made_of(l, '-', 2))) {
        sections_heading(&r->sections, l->s[0] == '=' ? 1 : 2, r->held.s, r->held.len);
        r->held.s = NULL;
    } else {
        give_held(r);
        r->held = *l;
    }
}

int format_read_markdown(struct corpus *c, const struct source *source, const char *text, size_t len,
                         const char **ret_why)
{
    struct reading r = {.text = text, .len = len};
    struct line l;
    (void)ret_why;
    sections_begin(&r.sections, c, source);
    read_front_matter(&r);
    while (next_line(&r, &l) && r.sections.error == 0 && !corpus_stops(c))
        take_line(&r, &l);
    give_held(&r);
    return sections_end(&r.sections);
}
