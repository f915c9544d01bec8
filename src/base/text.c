/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

int utf8_char_length(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    static const struct {
        unsigned char first, last, low, high;
        int length;
    } forms[] = {
        {0x00, 0x7F, 0x80, 0xBF, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        int n = forms[i].length;
        for (int k = 1; k < n; k++) {
            if ((size_t)k >= len)
                return k - n;
            unsigned char low = k == 1 ? forms[i].low : 0x80, high = k == 1 ? forms[i].high : 0xBF;
            if (s[k] < low || s[k] > high)
                return 0;
        }
        return n;
    }
    return 0;
}

bool utf8_valid(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if ((unsigned char)s[i] < 0x80) {
            i++;
            continue;
        }
        int n = utf8_char_length(s + i, len - i);
        if (n <= 0)
            return false;
        i += (size_t)n;
    }
    return true;
}

size_t utf8_floor(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t n = max;
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
        n--;
    return n;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

size_t utf8_incomplete_tail(const char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)s[len - back];
        if ((c & 0xC0) == 0x80)
            continue;
        return c >= 0x80 && utf8_char_length(s + len - back, back) < 0 ? back : 0;
    }
    return 0;
}

size_t utf8_decode(const char *s, size_t len, uint32_t *ret)
{
    static const unsigned char first_bits[] = {0x7F, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *p = (const unsigned char *)s;
    int n = utf8_char_length(s, len);
    if (n <= 0)
        return 0;
    uint32_t c = p[0] & first_bits[n];
    for (int i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3F);
    *ret = c;
    return (size_t)n;
}

void utf8_repair(char *s, size_t len)
{
    uint32_t c;
    for (size_t at = 0, step; at < len; at += step) {
        step = utf8_decode(s + at, len - at, &c);
        if (step == 0) {
            s[at] = '?';
            step = 1;
        }
    }
}

bool char_is_control(uint32_t c)
{
    bool turns_text = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || turns_text;
}

bool text_is_printable(const char *s)
{
    uint32_t c = 0;
    size_t left = strlen(s), n = 1;
    for (; left > 0 && (n = utf8_decode(s, left, &c)) > 0 && !char_is_control(c); s += n)
        left -= n;
    return left == 0;
}

void text_make_printable(char *s)
{
    size_t left = strlen(s), n;
    for (; left > 0; s += n, left -= n) {
        uint32_t c = 0;
        n = utf8_decode(s, left, &c);
        bool good = n > 0 && !char_is_control(c);
        n = n ? n : 1;
        if (!good)
            memset(s, '?', n);
    }
}

void text_vprintf(char *ret, size_t size, const char *fmt, va_list ap)
{
    ret[0] = '\0';
    (void)vsnprintf(ret, size, fmt, ap);
    size_t len = strlen(ret);
    ret[len - utf8_incomplete_tail(ret, len)] = '\0';
}

bool str_is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n\v\f")] == '\0';
}

bool str_has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool str_equal_nocase(const char *a, const char *b)
{
    return a && b ? strcasecmp(a, b) == 0 : a == b;
}

int str_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void str_lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

bool str_only(const char *s, const char *set)
{
    return s[strspn(s, set)] == '\0';
}

bool secret_equal(const char *given, const char *expected)
{
    size_t len = strlen(given), want = strlen(expected);
    unsigned char differs = len != want;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned char)given[i] ^ (unsigned char)expected[want ? i % want : 0];
    return !differs;
}

void wipe(void *p, size_t len)
{
    OPENSSL_cleanse(p, len);
}

void hex_encode(const uint8_t *data, size_t len, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[data[i] >> 4];
        ret[2 * i + 1] = digits[data[i] & 15];
    }
    ret[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(const char *s, uint8_t *ret, size_t len)
{
    if (strlen(s) != 2 * len)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

char *base64_encode(struct arena *a, const uint8_t *data, size_t len)
{
    if (len > INT_MAX / 2)
        return NULL;
    char *out = arena_alloc(a, (len + 2) / 3 * 4 + 1);
    if (out)
        (void)EVP_EncodeBlock((unsigned char *)out, data, (int)len);
    return out;
}

/* OpenSSL's decoder skips white space at both ends and reads '=' anywhere, so the form is checked before. */
uint8_t *base64_decode(struct arena *a, const char *s, size_t *ret_len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(s), padding = len - strspn(s, digits);
    if (len % 4 != 0 || len > INT_MAX / 2 || padding > 2 || strspn(s + len - padding, "=") != padding)
        return NULL;
    uint8_t *out = arena_alloc(a, len / 4 * 3 + 1);
    int n = out ? EVP_DecodeBlock(out, (const unsigned char *)s, (int)len) : -1;
    if (n < (int)padding)
        return NULL;
    *ret_len = (size_t)n - padding;
    return out;
}

int parse_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
    char *end;
    if (*s != '-' && !isdigit((unsigned char)*s))
        return -EINVAL;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (end == s || *end != '\0')
        return -EINVAL;
    if (errno == ERANGE || n < min || n > max)
        return -ERANGE;
    *ret = n;
    return 0;
}

int parse_duration(const char *s, int64_t *ret_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60 * 1000}, {'h', 3600 * 1000}, {'d', 86400 * 1000}};
    char number[16];
    size_t len = strlen(s);
    if (len < 2 || len > sizeof number)
        return -EINVAL;
    memcpy(number, s, len - 1);
    number[len - 1] = '\0';
    int64_t n;
    if (parse_int(number, 1, 1000000, &n) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].unit == s[len - 1]) {
            *ret_ms = n * units[i].ms;
            return 0;
        }
    return -EINVAL;
}

int url_encode(struct buf *b, const char *s)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *s; s++) {
        int r = strchr(unreserved, *s) ? buf_add(b, s, 1) : buf_addf(b, "%%%02X", (unsigned char)*s);
        if (r < 0)
            return r;
    }
    return 0;
}

bool choices_have(const char *choices, const char *value, size_t len)
{
    for (;;) {
        size_t n = strcspn(choices, "|");
        if (n == len && memcmp(choices, value, len) == 0)
            return true;
        if (choices[n] == '\0')
            return false;
        choices += n + 1;
    }
}

bool list_next(const char **list, const char **ret_item, size_t *ret_len)
{
    const char *s = *list + strspn(*list, ", \t");
    size_t len = strcspn(s, ",");
    *list = s + len;
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    *ret_item = s;
    *ret_len = len;
    return len > 0;
}
