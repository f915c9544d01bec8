/* SPDX-License-Identifier: MIT */
#include "reader/decode.h"

#include "base/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT 0xFFFD
#define CONTROLS_OF 64 /* one control character in so many bytes is still text */

/* What Windows-1252 has at 0x80 to 0x9F; 0 = nothing. */
static const uint16_t windows[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

int text_add_char(struct buf *b, unsigned c)
{
    char bytes[4];
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        c = REPLACEMENT;
    if (c < 0x80) {
        bytes[0] = (char)c;
        return buf_add(b, bytes, 1);
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)(lead[n] | c);
    return buf_add(b, bytes, n);
}

/* high: where in a pair of bytes the higher one stands. */
static int decode_utf16(const unsigned char *p, size_t len, size_t high, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; i + 1 < len && r == 0; i += 2) {
        unsigned c = (unsigned)p[i + high] << 8 | p[i + 1 - high];
        if (c >= 0xD800 && c < 0xDC00 && i + 3 < len) {
            unsigned low = (unsigned)p[i + 2 + high] << 8 | p[i + 3 - high];
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i += 2;
            }
        }
        r = text_add_char(out, c);
    }
    return r;
}

static int decode_windows(const unsigned char *p, size_t len, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; i < len && r == 0; i++) {
        unsigned c = p[i];
        if (c >= 0x80 && c < 0xA0)
            c = windows[c - 0x80] ? windows[c - 0x80] : REPLACEMENT;
        r = text_add_char(out, c);
    }
    return r;
}

static int decode_broken(const char *s, size_t len, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; i < len && r == 0;) {
        int n = utf8_char_length(s + i, len - i);
        r = n > 0 ? buf_add(out, s + i, (size_t)n) : text_add_char(out, REPLACEMENT);
        i += n > 0 ? (size_t)n : 1;
    }
    return r;
}

/* Whether bytes that aren't all UTF-8 mostly are. */
static bool is_mostly_utf8(const char *s, size_t len)
{
    size_t good = 0, bad = 0;
    for (size_t i = 0; i < len;) {
        int n = utf8_char_length(s + i, len - i);
        good += n > 1;
        bad += n <= 0;
        i += n > 0 ? (size_t)n : 1;
    }
    return good >= bad;
}

static bool is_binary(const unsigned char *p, size_t len)
{
    size_t controls = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == 0)
            return true;
        controls += (p[i] < ' ' && !strchr("\t\n\r\f\v\033", p[i])) || p[i] == 0x7F;
    }
    return controls > len / CONTROLS_OF;
}

int text_decode(const char *data, size_t len, struct buf *out, const char **ret, size_t *ret_len)
{
    const unsigned char *p = (const unsigned char *)data;
    int r;
    if (len >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF))) {
        r = decode_utf16(p + 2, len - 2, p[0] == 0xFE ? 0 : 1, out);
        if (r == 0 && is_binary((const unsigned char *)out->data, out->len))
            r = -EBADMSG;
    } else if (is_binary(p, len)) {
        return -EBADMSG;
    } else {
        size_t mark = len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        if (utf8_valid(data + mark, len - mark)) {
            *ret = data + mark;
            *ret_len = len - mark;
            return 0;
        }
        r = is_mostly_utf8(data, len) ? decode_broken(data + mark, len - mark, out)
                                      : decode_windows(p + mark, len - mark, out);
    }
    *ret = out->data ? out->data : "";
    *ret_len = out->len;
    return r;
}

size_t text_mend(char *s, size_t len)
{
    size_t high = 0, n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c > 0xC3) /* a character above U+00FF */
            return len;
        high += c == 0xC2 || c == 0xC3;
    }
    if (high == 0)
        return len;
    /* looked at first, written after: most texts with an accent are right as they are */
    char piece[4];
    for (size_t i = 0; i < len;) {
        size_t k = 0, at = i;
        int want = 0;
        do {
            uint32_t c;
            size_t step = utf8_decode(s + at, len - at, &c);
            if (step == 0)
                return len;
            piece[k++] = (char)c;
            at += step;
            want = utf8_char_length(piece, k);
        } while (want < 0 && at < len && k < sizeof piece);
        if (want <= 0)
            return len;
        i = at;
    }
    for (size_t i = 0; i < len; n++) {
        uint32_t c;
        i += utf8_decode(s + i, len - i, &c);
        s[n] = (char)c;
    }
    s[n] = '\0';
    return n;
}
