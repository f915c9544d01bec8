/* SPDX-License-Identifier: MIT */
#include "llm/join.h"

#include "base/text.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"
#define ESCAPE_LEN 6 /* \uXXXX */

void join_finish(struct joiner *j, struct buf *out)
{
    size_t n = (size_t)j->n_tail + (j->high != 0);
    *j = (struct joiner){0};
    while (n-- > 0)
        (void)buf_add(out, REPLACEMENT, 3);
}

/* Completes the waiting character: the number of bytes taken from s. A byte that doesn't fit is left there.
 */
static size_t complete(struct joiner *j, struct buf *out, const char *s, size_t len)
{
    size_t used = 0;
    while (j->n_tail > 0 && used < len) {
        j->tail[j->n_tail] = s[used];
        int n = utf8_char_length(j->tail, (size_t)j->n_tail + 1);
        if (n == 0) {
            join_finish(j, out);
            return used;
        }
        used++;
        j->n_tail++;
        if (n > 0) {
            (void)buf_add(out, j->tail, j->n_tail);
            j->n_tail = 0;
        }
    }
    return used;
}

/* Bytes of whole, well-formed characters that s begins with; *ret_next is what comes after: 0 or -k as of
 * utf8_char_length, or 1 at the end. */
static size_t measure(const char *s, size_t len, int *ret_next)
{
    size_t at = 0;
    *ret_next = 1;
    while (at < len) {
        unsigned char c = (unsigned char)s[at];
        int n = c == '\0' ? 0 : c < 0x80 ? 1 : utf8_char_length(s + at, len - at);
        if (n <= 0) {
            *ret_next = n;
            break;
        }
        at += (size_t)n;
    }
    return at;
}

void join_bytes(struct joiner *j, struct buf *out, const char *s, size_t len)
{
    if (len > 0 && j->high)
        join_finish(j, out);
    size_t at = complete(j, out, s, len);
    while (at < len) {
        int next;
        size_t whole = measure(s + at, len - at, &next);
        (void)buf_add(out, s + at, whole);
        at += whole;
        if (next < 0) {
            j->n_tail = (uint8_t)(len - at);
            memcpy(j->tail, s + at, j->n_tail);
            return;
        }
        if (next == 0) {
            (void)buf_add(out, REPLACEMENT, 3);
            at++;
        }
    }
}

static size_t encode(uint32_t c, char *ret)
{
    static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    ret[0] = (char)(leads[n] | c);
    return n;
}

static void join_unit(struct joiner *j, struct buf *out, uint32_t unit)
{
    bool is_low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        join_finish(j, out);
        j->high = (uint16_t)unit;
        return;
    }
    if (is_low && j->high) {
        unit = 0x10000 + (((uint32_t)j->high - 0xD800) << 10) + (unit - 0xDC00);
        j->high = 0;
    } else if (is_low) {
        unit = 0xFFFD;
    }
    char bytes[4];
    join_bytes(j, out, bytes, encode(unit, bytes));
}

static uint32_t hex4(const char *s)
{
    uint8_t bytes[2] = {0};
    char digits[5] = {s[0], s[1], s[2], s[3], '\0'};
    (void)hex_decode(digits, bytes, sizeof bytes);
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

void join_json(struct joiner *j, struct buf *out, const char *s, size_t len)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *end = s + len;
    while (s < end) {
        const char *escape = memchr(s, '\\', (size_t)(end - s));
        join_bytes(j, out, s, (size_t)((escape ? escape : end) - s));
        if (!escape || end - escape < 2)
            return;
        const char *letter = memchr(letters, escape[1], sizeof letters - 1);
        if (letter)
            join_bytes(j, out, &meanings[letter - letters], 1);
        else if (end - escape >= ESCAPE_LEN)
            join_unit(j, out, hex4(escape + 2));
        s = escape + (letter ? 2 : ESCAPE_LEN);
    }
}
