/* SPDX-License-Identifier: MIT */
/* The JSON of a tag is followed by a small automaton, so that a tag fails at the first byte that can't
 * continue it: text that only looks like a tag is not held back longer than needed, no byte is looked at more
 * than three times, and what is decided depends on the bytes alone, never on how they were split. Whole
 * values are left to jansson. */
#include "agent/tags.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define OPENER "[ACTION:"
#define OPENER_LEN (sizeof OPENER - 1)
#define TAGS_MAX (TAG_MAX_RUN + TAG_MAX_KEPT)

_Static_assert(JSON_MAX_DEPTH <= 64, "a level is a bit of tag_scanner.arrays");

enum state {
    IN_TEXT,
    IN_OPENER,
    IN_SLUG,
    BEFORE_JSON, /* from here on a failure is a malformed tag, not just text with a bracket */
    FIRST_KEY,
    NEXT_KEY,
    BEFORE_COLON,
    BEFORE_VALUE,
    FIRST_VALUE, /* right inside an array, which may be empty */
    AFTER_VALUE,
    IN_STRING,
    IN_SCALAR,
    AFTER_JSON,
};

enum verdict { CONTINUES, COMPLETE, FAILS };

void tags_init(struct tag_scanner *s, void (*visible)(void *ctx, const char *text, size_t len), void *ctx)
{
    *s = (struct tag_scanner){.visible = visible, .ctx = ctx, .held = BUF_INIT(TAG_MAX_BYTES)};
}

void tags_free(struct tag_scanner *s)
{
    for (size_t i = 0; i < s->n_tags; i++)
        json_decref(s->tags[i].input);
    free(s->tags);
    buf_free(&s->held);
    *s = (struct tag_scanner){.state = IN_TEXT};
}

static void show(struct tag_scanner *s, const char *text, size_t len)
{
    if (len > 0)
        s->visible(s->ctx, text, len);
}

static bool is_json_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_in(const char *set, char c)
{
    return c != '\0' && strchr(set, c);
}

static bool is_slug_char(char c, size_t at)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && at > 0);
}

static enum verdict step_slug(struct tag_scanner *s, char c)
{
    size_t at = s->held.len - OPENER_LEN;
    if (c == ':' && at > 0) {
        s->state = BEFORE_JSON;
        s->json_at = s->held.len + 1;
        return CONTINUES;
    }
    return at < TAG_SLUG_MAX && is_slug_char(c, at) ? CONTINUES : FAILS;
}

static bool in_array(const struct tag_scanner *s)
{
    return s->arrays >> (s->depth - 1) & 1;
}

static enum verdict open_bracket(struct tag_scanner *s, char c)
{
    if (s->depth == JSON_MAX_DEPTH)
        return FAILS;
    uint64_t bit = (uint64_t)1 << s->depth++;
    s->arrays = c == '[' ? s->arrays | bit : s->arrays & ~bit;
    s->state = c == '[' ? FIRST_VALUE : FIRST_KEY;
    return CONTINUES;
}

static enum verdict close_bracket(struct tag_scanner *s)
{
    s->state = --s->depth == 0 ? AFTER_JSON : AFTER_VALUE;
    return CONTINUES;
}

static enum verdict open_string(struct tag_scanner *s, bool key)
{
    s->state = IN_STRING;
    s->key = key;
    s->escaped = false;
    return CONTINUES;
}

static enum verdict step_string(struct tag_scanner *s, char c)
{
    if ((unsigned char)c < 0x20)
        return FAILS;
    if (s->escaped)
        s->escaped = false;
    else if (c == '\\')
        s->escaped = true;
    else if (c == '"')
        s->state = s->key ? BEFORE_COLON : AFTER_VALUE;
    return CONTINUES;
}

static enum verdict step_value(struct tag_scanner *s, char c)
{
    if (c == '"')
        return open_string(s, false);
    if (c == '{' || c == '[')
        return open_bracket(s, c);
    if (!is_in("-0123456789tfn", c))
        return FAILS;
    s->state = IN_SCALAR;
    return CONTINUES;
}

static enum verdict step_after_value(struct tag_scanner *s, char c)
{
    if (c == (in_array(s) ? ']' : '}'))
        return close_bracket(s);
    if (c != ',')
        return FAILS;
    s->state = in_array(s) ? BEFORE_VALUE : NEXT_KEY;
    return CONTINUES;
}

static enum verdict step_json(struct tag_scanner *s, char c)
{
    if (s->state == IN_STRING)
        return step_string(s, c);
    if (s->state == IN_SCALAR && is_in("0123456789+-.eEtrufalsn", c))
        return CONTINUES;
    if (s->state == IN_SCALAR)
        s->state = AFTER_VALUE;
    if (is_json_space(c))
        return CONTINUES;
    if (s->state == AFTER_VALUE)
        return step_after_value(s, c);
    if ((s->state == FIRST_KEY && c == '}') || (s->state == FIRST_VALUE && c == ']'))
        return close_bracket(s);
    if (s->state == FIRST_VALUE || s->state == BEFORE_VALUE)
        return step_value(s, c);
    if (s->state == BEFORE_COLON) {
        s->state = BEFORE_VALUE;
        return c == ':' ? CONTINUES : FAILS;
    }
    return c == '"' ? open_string(s, true) : FAILS;
}

static enum verdict step(struct tag_scanner *s, char c)
{
    switch (s->state) {
    case IN_OPENER:
        if (c != OPENER[s->held.len])
            return FAILS;
        if (s->held.len + 1 == OPENER_LEN)
            s->state = IN_SLUG;
        return CONTINUES;
    case IN_SLUG:
        return step_slug(s, c);
    case BEFORE_JSON:
        if (is_json_space(c))
            return CONTINUES;
        return c == '{' ? open_bracket(s, c) : FAILS;
    case AFTER_JSON:
        if (is_json_space(c))
            return CONTINUES;
        return c == ']' ? COMPLETE : FAILS;
    default:
        return step_json(s, c);
    }
}

/* A tag that grows too long fails before a character that would not fit whole, so that pieces shown never end
 * inside one. */
static bool fits(const struct tag_scanner *s, char c)
{
    unsigned char byte = (unsigned char)c;
    size_t need = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return s->held.len + need <= TAG_MAX_BYTES;
}

static void begin(struct tag_scanner *s)
{
    s->held.len = 0;
    s->state = IN_OPENER;
    s->depth = 0;
    s->arrays = 0;
}

/* The held bytes are text after all, except an array's '[' at their end, which may begin a tag itself. */
static int fail(struct tag_scanner *s)
{
    size_t len = s->held.len;
    bool reopens = s->state == FIRST_VALUE && s->held.data[len - 1] == '[';
    s->malformed += s->state >= BEFORE_JSON;
    show(s, s->held.data, len - reopens);
    s->state = IN_TEXT;
    s->held.len = 0;
    if (!reopens)
        return 0;
    begin(s);
    return buf_add(&s->held, "[", 1);
}

static int keep(struct tag_scanner *s, json_t *input)
{
    if (!s->tags)
        s->tags = calloc(TAGS_MAX, sizeof *s->tags);
    if (!s->tags) {
        json_decref(input);
        return -ENOMEM;
    }
    if (s->n_tags == TAGS_MAX) {
        json_decref(input);
        return 0;
    }
    struct tag *tag = &s->tags[s->n_tags++];
    size_t slug_len = s->json_at - 1 - OPENER_LEN;
    memcpy(tag->slug, s->held.data + OPENER_LEN, slug_len);
    tag->slug[slug_len] = '\0';
    tag->input = input;
    return 0;
}

/* The whole tag is held, with its closing bracket. */
static int complete(struct tag_scanner *s)
{
    json_t *input = json_parse(s->held.data + s->json_at, s->held.len - 1 - s->json_at);
    if (!input)
        return fail(s);
    int r = keep(s, input);
    s->state = IN_TEXT;
    s->held.len = 0;
    return r;
}

/* One byte of what may be a tag; *ret_used tells whether it belongs to it or is to be looked at again. */
static int feed_tag(struct tag_scanner *s, char c, bool *ret_used)
{
    enum verdict verdict = fits(s, c) ? step(s, c) : FAILS;
    *ret_used = verdict != FAILS;
    if (verdict == FAILS)
        return fail(s);
    int r = buf_add(&s->held, &c, 1);
    return r == 0 && verdict == COMPLETE ? complete(s) : r;
}

int tags_feed(struct tag_scanner *s, const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (s->state == IN_TEXT) {
            const char *bracket = memchr(text + i, '[', len - i);
            size_t plain = bracket ? (size_t)(bracket - text) - i : len - i;
            show(s, text + i, plain);
            i += plain;
            if (!bracket)
                break;
            begin(s);
        }
        bool used = true;
        int r = s->held.len == 0 ? buf_add(&s->held, "[", 1) : feed_tag(s, text[i], &used);
        if (r < 0)
            return r;
        i += used;
    }
    return 0;
}

int tags_finish(struct tag_scanner *s)
{
    if (s->state == IN_TEXT)
        return 0;
    s->malformed += s->state >= BEFORE_JSON;
    show(s, s->held.data, s->held.len);
    s->state = IN_TEXT;
    s->held.len = 0;
    return 0;
}

/* ------------------------------------------------------------------------------------------- breaking */

/* White space and characters without a shape, by code point. */
static const struct {
    uint32_t first, last;
} invisible[] = {
    {0x01, 0x20},       {0x7F, 0xA0},       {0xAD, 0xAD},     {0x034F, 0x034F}, {0x061C, 0x061C},
    {0x115F, 0x1160},   {0x1680, 0x1680},   {0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x2000, 0x200F},
    {0x2028, 0x202F},   {0x205F, 0x206F},   {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164},
    {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

static const char *skip_invisible(const char *text)
{
    while (*text) {
        uint32_t code;
        size_t len = utf8_decode(text, strnlen(text, 4), &code);
        bool found = false;
        for (size_t i = 0; i < ARRAY_LEN(invisible) && len > 0 && !found; i++)
            found = code >= invisible[i].first && code <= invisible[i].last;
        if (!found)
            break;
        text += len;
    }
    return text;
}

/* Whether an opener that still needs breaking begins at this bracket. */
static bool opens(const char *bracket)
{
    if (bracket[1] == ' ')
        return false;
    const char *at = bracket + 1;
    for (const char *want = &OPENER[1]; *want; want++, at++) {
        at = skip_invisible(at);
        char c = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        if (c != *want)
            return false;
    }
    return true;
}

static const char *next_opener(const char *text)
{
    const char *bracket = strchr(text, '[');
    while (bracket && !opens(bracket))
        bracket = strchr(bracket + 1, '[');
    return bracket;
}

bool tags_present(const char *text)
{
    return next_opener(text) != NULL;
}

char *tags_break(struct arena *a, const char *text)
{
    size_t openers = 0;
    for (const char *at = next_opener(text); at; at = next_opener(at + 1))
        openers++;
    char *out = arena_alloc(a, strlen(text) + openers + 1), *to = out;
    if (!out)
        return NULL;
    for (const char *at = next_opener(text); at; at = next_opener(text)) {
        size_t len = (size_t)(at - text) + 1;
        memcpy(to, text, len);
        to[len] = ' ';
        to += len + 1;
        text = at + 1;
    }
    memcpy(to, text, strlen(text) + 1);
    return out;
}
