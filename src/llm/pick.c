/* SPDX-License-Identifier: MIT */
/* A recursive descent over the text. `rest` holds for each path what is still to be matched below the present
 * value:
 * "" means that the value is the one asked for, NULL that the path went elsewhere. */
#include "llm/pick.h"

#include "base/text.h"
#include "llm/join.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define KEY_MAX 64

struct scan {
    const char *at, *end;
    int max_depth;
    struct pick *picks;
    size_t n;
};

static bool scan_value(struct scan *s, const char *const *rest, int depth);

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool take(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return false;
    s->at += len;
    return true;
}

static bool take_digits(struct scan *s)
{
    const char *first = s->at;
    while (s->at < s->end && isdigit((unsigned char)*s->at))
        s->at++;
    return s->at > first;
}

static bool scan_number(struct scan *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && !take_digits(s))
        return false;
    if (take(s, '.') && !take_digits(s))
        return false;
    if (!take(s, 'e') && !take(s, 'E'))
        return true;
    if (!take(s, '+'))
        (void)take(s, '-');
    return take_digits(s);
}

/* What follows a backslash. */
static bool scan_escape(struct scan *s)
{
    if (s->at == s->end)
        return false;
    char c = *s->at++;
    if (c != 'u')
        return memchr("\"\\/bfnrt", c, 8) != NULL;
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || !isxdigit((unsigned char)*s->at))
            return false;
    return true;
}

/* After the opening quote; the inside in *ret. */
static bool scan_string(struct scan *s, struct pick *ret)
{
    const char *first = s->at;
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at++;
        if (c == '"') {
            *ret = (struct pick){PICK_STRING, first, (size_t)(s->at - 1 - first)};
            return true;
        }
        if (c < 0x20 || (c == '\\' && !scan_escape(s)))
            return false;
    }
    return false;
}

/* Moves `rest` below a key (not empty): true where a path goes on there. */
static bool descend(const struct scan *s, const char *const *rest, const char *key, size_t len,
                    const char **ret)
{
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        const char *r = rest[i];
        bool match = r && *r == *key && strncmp(r, key, len) == 0 && (r[len] == '.' || r[len] == '\0');
        ret[i] = match ? r + len + (r[len] == '.') : NULL;
        any |= match;
    }
    return any;
}

static bool descend_key(const struct scan *s, const char *const *rest, const struct pick *key,
                        const char **ret)
{
    if (key->len == 0 || key->len > KEY_MAX || memchr(key->raw, '.', key->len))
        return false;
    if (!memchr(key->raw, '\\', key->len))
        return descend(s, rest, key->raw, key->len, ret);
    struct joiner joiner = {0};
    _cleanup_buf_ struct buf plain = BUF_INIT(KEY_MAX);
    join_json(&joiner, &plain, key->raw, key->len);
    return !plain.failed && plain.len > 0 && !memchr(plain.data, '.', plain.len) &&
           descend(s, rest, plain.data, plain.len, ret);
}

static bool scan_member(struct scan *s, const char *const *rest, int depth)
{
    const char *below[PICK_MAX];
    struct pick key;
    if (!take(s, '"') || !scan_string(s, &key))
        return false;
    bool wanted = rest && descend_key(s, rest, &key, below);
    skip_space(s);
    if (!take(s, ':'))
        return false;
    skip_space(s);
    return scan_value(s, wanted ? below : NULL, depth);
}

static bool scan_object(struct scan *s, const char *const *rest, int depth)
{
    skip_space(s);
    if (take(s, '}'))
        return true;
    do {
        skip_space(s);
        if (!scan_member(s, rest, depth))
            return false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, '}');
}

static bool scan_array(struct scan *s, const char *const *rest, int depth)
{
    const char *below[PICK_MAX];
    bool wanted = rest && descend(s, rest, "0", 1, below);
    skip_space(s);
    if (take(s, ']'))
        return true;
    do {
        skip_space(s);
        if (!scan_value(s, wanted ? below : NULL, depth))
            return false;
        wanted = false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, ']');
}

static bool scan_any(struct scan *s, const char *const *rest, int depth, struct pick *ret)
{
    const char *first = s->at;
    bool ok;
    enum pick_type type;
    switch (s->at < s->end ? *s->at : '\0') {
    case '"':
        s->at++;
        return scan_string(s, ret);
    case '{':
        s->at++;
        type = PICK_OBJECT;
        ok = depth < s->max_depth && scan_object(s, rest, depth + 1);
        break;
    case '[':
        s->at++;
        type = PICK_ARRAY;
        ok = depth < s->max_depth && scan_array(s, rest, depth + 1);
        break;
    case 't':
        type = PICK_TRUE;
        ok = take_word(s, "true");
        break;
    case 'f':
        type = PICK_FALSE;
        ok = take_word(s, "false");
        break;
    case 'n':
        type = PICK_NULL;
        ok = take_word(s, "null");
        break;
    default:
        type = PICK_NUMBER;
        ok = scan_number(s);
    }
    *ret = (struct pick){type, first, (size_t)(s->at - first)};
    return ok;
}

static bool scan_value(struct scan *s, const char *const *rest, int depth)
{
    struct pick value;
    if (!scan_any(s, rest, depth, &value))
        return false;
    for (size_t i = 0; rest && i < s->n; i++)
        if (rest[i] && rest[i][0] == '\0')
            s->picks[i] = value;
    return true;
}

int pick_fields(const char *json, size_t len, int max_depth, const char *const *paths, size_t n,
                struct pick *ret)
{
    struct scan s = {.at = json, .end = json + len, .max_depth = max_depth, .picks = ret, .n = n};
    memset(ret, 0, n * sizeof *ret);
    skip_space(&s);
    if (!scan_value(&s, paths, 0))
        return -EINVAL;
    skip_space(&s);
    return s.at == s.end ? 0 : -EINVAL;
}

int64_t pick_int(const struct pick *p, int64_t fallback)
{
    char digits[20];
    int64_t n;
    if (p->type != PICK_NUMBER || p->len >= sizeof digits)
        return fallback;
    memcpy(digits, p->raw, p->len);
    digits[p->len] = '\0';
    return parse_int(digits, -999999999999999999, 999999999999999999, &n) == 0 ? n : fallback;
}

bool pick_is(const struct pick *p, const char *text)
{
    return p->type == PICK_STRING && p->len == strlen(text) && memcmp(p->raw, text, p->len) == 0;
}
