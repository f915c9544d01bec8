/* SPDX-License-Identifier: MIT */
#include "reader/json_tokens.h"

#include "base/text.h"
#include "reader/decode.h"
#include "reader/fields.h"

#include <string.h>

#define NUMBER_MAX 64

/* What may come next. */
enum { VALUE, VALUE_OR_END, KEY, KEY_OR_END, AFTER_VALUE };

void json_tokens_begin(struct json_tokens *t, const char *s, size_t len)
{
    *t = (struct json_tokens){.s = s, .len = len, .text = BUF_INIT(FIELD_TEXT_MAX), .expect = VALUE};
}

void json_tokens_free(struct json_tokens *t)
{
    buf_free(&t->text);
}

static enum json_token broken(struct json_tokens *t, const char *why)
{
    t->why = why;
    t->at = t->len;
    t->depth = 0;
    t->expect = VALUE;
    return JSON_TOKEN_BROKEN;
}

static void skip_blanks(struct json_tokens *t)
{
    while (t->at < t->len && memchr(" \t\r\n", t->s[t->at], 4))
        t->at++;
}

/* ---- strings */

static int hex4(const struct json_tokens *t, size_t at, unsigned *ret)
{
    uint8_t bytes[2];
    char digits[5] = "";
    if (at + 4 > t->len)
        return -1;
    memcpy(digits, t->s + at, 4);
    if (hex_decode(digits, bytes, 2) < 0)
        return -1;
    *ret = (unsigned)bytes[0] << 8 | bytes[1];
    return 0;
}

static void add_char(struct json_tokens *t, unsigned c)
{
    if (t->text.len + 4 <= t->text.max)
        (void)text_add_char(&t->text, c);
}

/* An escape, after its backslash. */
static bool read_escape(struct json_tokens *t)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = t->s[t->at++];
    const char *found = c ? strchr(from, c) : NULL;
    unsigned code, low;
    if (found) {
        add_char(t, (unsigned char)to[found - from]);
        return true;
    }
    if (c != 'u' || hex4(t, t->at, &code) < 0)
        return false;
    t->at += 4;
    bool half = code >= 0xD800 && code < 0xDC00 && t->at + 6 <= t->len && t->s[t->at] == '\\' &&
                t->s[t->at + 1] == 'u' && hex4(t, t->at + 2, &low) == 0 && low >= 0xDC00 && low < 0xE000;
    if (half) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        t->at += 6;
    }
    if (code != 0)
        add_char(t, code);
    return true;
}

/* The characters up to the next quote or backslash. */
static bool read_plain(struct json_tokens *t)
{
    size_t n = 0;
    const char *s = t->s + t->at;
    while (t->at + n < t->len && s[n] != '"' && s[n] != '\\' && (unsigned char)s[n] >= ' ')
        n++;
    size_t room = t->text.max - t->text.len;
    (void)buf_add(&t->text, s, utf8_floor(s, n, room));
    t->at += n;
    return t->at < t->len && (unsigned char)t->s[t->at] >= ' ';
}

static bool read_string(struct json_tokens *t)
{
    buf_reset(&t->text);
    for (t->at++; read_plain(t);) {
        if (t->s[t->at++] == '"') {
            if (!buf_str(&t->text))
                return false;
            t->text.len = text_mend(t->text.data, t->text.len);
            return !t->text.failed;
        }
        if (t->at >= t->len || !read_escape(t))
            return false;
    }
    return false;
}

/* ---- other values */

static bool read_run(struct json_tokens *t, const char *set)
{
    size_t n = 0;
    while (t->at + n < t->len && t->s[t->at + n] != '\0' && strchr(set, t->s[t->at + n]))
        n++;
    buf_reset(&t->text);
    if (n == 0 || n > NUMBER_MAX || buf_add(&t->text, t->s + t->at, n) < 0)
        return false;
    t->at += n;
    return true;
}

static bool is_number(const char *s)
{
    s += *s == '-';
    size_t whole = strspn(s, "0123456789");
    if (whole == 0 || (whole > 1 && s[0] == '0'))
        return false;
    s += whole;
    if (*s == '.') {
        size_t n = strspn(++s, "0123456789");
        if (n == 0)
            return false;
        s += n;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '+' || *s == '-';
        size_t n = strspn(s, "0123456789");
        if (n == 0)
            return false;
        s += n;
    }
    return *s == '\0';
}

static enum json_token enter(struct json_tokens *t, bool object)
{
    if (t->depth >= JSON_TOKENS_DEPTH)
        return broken(t, "its values are nested too deeply");
    t->in_object[t->depth++] = object;
    t->expect = object ? KEY_OR_END : VALUE_OR_END;
    t->at++;
    return object ? JSON_TOKEN_OBJECT : JSON_TOKEN_ARRAY;
}

static enum json_token leave(struct json_tokens *t)
{
    t->depth--;
    t->at++;
    t->expect = AFTER_VALUE;
    return t->in_object[t->depth] ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END;
}

static enum json_token read_value(struct json_tokens *t)
{
    char c = t->s[t->at];
    if (c == '{' || c == '[')
        return enter(t, c == '{');
    t->expect = AFTER_VALUE;
    if (c == '"')
        return read_string(t) ? JSON_TOKEN_STRING : broken(t, "a string in it is broken");
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_run(t, "0123456789+-.eE") && is_number(t->text.data)
                   ? JSON_TOKEN_NUMBER
                   : broken(t, "a number in it is broken");
    if (read_run(t, "abcdefghijklmnopqrstuvwxyz") &&
        choices_have("true|false|null", t->text.data, t->text.len))
        return JSON_TOKEN_WORD;
    return broken(t, "it is no JSON");
}

static enum json_token read_key(struct json_tokens *t)
{
    if (t->s[t->at] != '"' || !read_string(t))
        return broken(t, "a name in it is broken");
    skip_blanks(t);
    if (t->at >= t->len || t->s[t->at++] != ':')
        return broken(t, "a name in it has no value");
    t->expect = VALUE;
    return JSON_TOKEN_KEY;
}

/* A comma where one is due. */
static bool read_separator(struct json_tokens *t)
{
    if (t->depth == 0) {
        t->expect = VALUE;
        return true;
    }
    if (t->s[t->at] != ',')
        return false;
    t->at++;
    t->expect = t->in_object[t->depth - 1] ? KEY : VALUE;
    skip_blanks(t);
    return true;
}

enum json_token json_tokens_next(struct json_tokens *t)
{
    skip_blanks(t);
    if (t->at >= t->len)
        return t->depth == 0 && (t->expect == VALUE || t->expect == AFTER_VALUE)
                   ? JSON_TOKEN_END
                   : broken(t, "it ends in the middle");
    char close = t->depth == 0 ? '\0' : t->in_object[t->depth - 1] ? '}' : ']';
    if (close && t->s[t->at] == close && t->expect != VALUE && t->expect != KEY)
        return leave(t);
    if (t->expect == AFTER_VALUE && !read_separator(t))
        return broken(t, "a comma is missing in it");
    if (t->at >= t->len)
        return broken(t, "it ends in the middle");
    return t->expect == KEY || t->expect == KEY_OR_END ? read_key(t) : read_value(t);
}
