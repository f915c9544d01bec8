/* SPDX-License-Identifier: MIT */
/* libunistring knows which two characters belong together; what takes more than two to tell is added here:
 * flags are pairs, and a joiner glues the emoji behind it. */
#include "base/grapheme.h"

#include "base/text.h"

#include <stdbool.h>
#include <unigbrk.h>

#define JOINER 0x200D
#define EMOJI_FIRST 0x2190 /* arrows; below it nothing is joined to */

static uint32_t char_at(const char *s, size_t len)
{
    uint32_t c = 0;
    return len > 0 && utf8_decode(s, len, &c) > 0 ? c : 0;
}

static bool is_flag_half(uint32_t c)
{
    return c >= 0x1F1E6 && c <= 0x1F1FF;
}

static size_t pair_length(const char *s, size_t len)
{
    const uint8_t *start = (const uint8_t *)s, *end = u8_grapheme_next(start, start + len);
    return end ? (size_t)(end - start) : len;
}

static bool ends_in_joiner(const char *s, size_t len)
{
    return len >= 3 && char_at(s + len - 3, 3) == JOINER;
}

size_t grapheme_length(const char *s, size_t len)
{
    if (len == 0)
        return 0;
    size_t n = pair_length(s, len);
    if (is_flag_half(char_at(s, len)) && is_flag_half(char_at(s + n, len - n)))
        n += pair_length(s + n, len - n);
    while (n < len && ends_in_joiner(s, n) && char_at(s + n, len - n) >= EMOJI_FIRST)
        n += pair_length(s + n, len - n);
    return n;
}

size_t grapheme_floor(const char *s, size_t len, size_t max)
{
    size_t n = 0;
    while (n < len) {
        size_t next = n + grapheme_length(s + n, len - n);
        if (next > max)
            break;
        n = next;
    }
    return n;
}
