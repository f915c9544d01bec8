/* SPDX-License-Identifier: MIT */
/* Figures are those that the platforms publish for posts through their APIs. Where a platform takes more than
 * POST_TEXT_MAX, or publishes nothing, POST_TEXT_MAX holds. */
#include "posts/platforms.h"

#include "base/grapheme.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

#define X_URL_WEIGHT 23
#define X_HEAVY_WEIGHT 2

/* clang-format off */
const struct platform platforms[] = {
    {"onlyfans",  POST_TEXT_MAX, IN_CHARACTERS, "characters",          POST_TEXT_MAX, 0, 0, "onlyfans.com"},
    {"fansly",    POST_TEXT_MAX, IN_CHARACTERS, "characters",          POST_TEXT_MAX, 0, 0, NULL},
    {"instagram", 2200,          IN_CHARACTERS, "characters",          2200,          3, 5, NULL},
    {"tiktok",    2200,          IN_UTF16,      "UTF-16 units",        150,           0, 0, NULL},
    {"x",         280,           IN_X_WEIGHTS,  "characters, as X counts them", 280,  0, 0, NULL},
    {"reddit",    POST_TEXT_MAX, IN_CHARACTERS, "characters",          POST_TEXT_MAX, 0, 0, NULL},
    {"youtube",   POST_TEXT_MAX, IN_BYTES,      "bytes",               POST_TEXT_MAX, 0, 0, NULL},
    {"snapchat",  250,           IN_CHARACTERS, "characters",          30,            0, 0, NULL},
    {"facebook",  POST_TEXT_MAX, IN_CHARACTERS, "characters",          POST_TEXT_MAX, 0, 0, NULL},
    {.name = NULL},
};
/* clang-format on */

const struct platform *platform_find(const char *name)
{
    for (const struct platform *p = platforms; p->name; p++)
        if (str_equal(p->name, name))
            return p;
    return NULL;
}

bool platform_is_url(const char *text, size_t len)
{
    return (len > 8 && strncasecmp(text, "https://", 8) == 0) ||
           (len > 7 && strncasecmp(text, "http://", 7) == 0);
}

static size_t x_weight_of_char(uint32_t c)
{
    bool light =
        c <= 4351 || (c >= 8192 && c <= 8205) || (c >= 8208 && c <= 8223) || (c >= 8242 && c <= 8247);
    return light ? 1 : X_HEAVY_WEIGHT;
}

/* An emoji is one, of however many characters it is made. */
static bool is_emoji(uint32_t c)
{
    return (c >= 0x1F000 && c <= 0x1FAFF) || (c >= 0x2600 && c <= 0x27BF);
}

static size_t x_weight_of_cluster(const char *s, size_t len)
{
    size_t weight = 0;
    uint32_t c;
    for (size_t i = 0, n; i < len && (n = utf8_decode(s + i, len - i, &c)) > 0; i += n) {
        if (is_emoji(c))
            return X_HEAVY_WEIGHT;
        weight += x_weight_of_char(c);
    }
    return weight;
}

static size_t word_length(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && !strchr(" \t\r\n", s[n]))
        n++;
    return n;
}

static size_t count_x(const char *text, size_t len)
{
    size_t sum = 0;
    for (size_t i = 0, n; i < len; i += n) {
        bool starts = i == 0 || strchr(" \t\r\n", text[i - 1]);
        if (starts && platform_is_url(text + i, len - i)) {
            n = word_length(text + i, len - i);
            sum += X_URL_WEIGHT;
            continue;
        }
        n = grapheme_length(text + i, len - i);
        sum += x_weight_of_cluster(text + i, n);
    }
    return sum;
}

static size_t count_utf16(const char *text, size_t len)
{
    size_t sum = utf8_count(text, len);
    for (size_t i = 0; i < len; i++)
        sum += (unsigned char)text[i] >= 0xF0; /* begins a character that takes two */
    return sum;
}

size_t platform_count(const struct platform *platform, const char *text, size_t len)
{
    switch (platform->unit) {
    case IN_UTF16:
        return count_utf16(text, len);
    case IN_BYTES:
        return len;
    case IN_X_WEIGHTS:
        return count_x(text, len);
    case IN_CHARACTERS:
        break;
    }
    return utf8_count(text, len);
}
