/* SPDX-License-Identifier: MIT */
#include "retrieval/chunk.h"

#include <string.h>

static bool begins_char(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t chars_to_bytes(const char *s, size_t len, size_t n)
{
    size_t at = 0;
    for (; at < len; at++)
        if (begins_char(s[at]) && n-- == 0)
            break;
    return at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* How good a border lies before byte `at` (0 < at < len): 3 after a paragraph, 2 a sentence, 1 a word, 0
 * none. */
static int border(const char *s, size_t at)
{
    if (s[at - 1] == '\n' && at >= 2 &&
        (s[at - 2] == '\n' || (s[at - 2] == '\r' && at >= 3 && s[at - 3] == '\n')))
        return 3;
    if (is_blank(s[at - 1]))
        return s[at - 1] == '\n' || (at >= 2 && strchr(".!?", s[at - 2])) ? 2 : 1;
    return at >= 3 && memcmp(s + at - 3, "\xE3\x80\x82", 3) == 0 ? 2 : 0; /* the ideographic full stop */
}

/* The last place in (least, most] with the best border, or `most`. */
static size_t best_cut(const char *s, size_t least, size_t most)
{
    size_t cut = most;
    int best = 0;
    for (size_t at = most; at > least && best < 3; at--) {
        int quality = border(s, at);
        if (quality > best) {
            best = quality;
            cut = at;
        }
    }
    return cut;
}

/* Where the next piece begins, a few characters before `cut`. */
static size_t step_back(const char *s, size_t floor, size_t cut)
{
    size_t at = cut;
    for (int n = 0; n < CHUNK_OVERLAP && at > floor; n++)
        do
            at--;
        while (at > floor && !begins_char(s[at]));
    return at;
}

bool chunk_next(struct chunker *c, size_t *ret_begin, size_t *ret_len)
{
    if (c->done)
        return false;
    const char *s = c->text + c->at;
    size_t left = c->len - c->at;
    *ret_begin = c->at;
    *ret_len = left;
    if (chars_to_bytes(s, left, CHUNK_WHOLE) == left) {
        c->done = true;
        return true;
    }
    size_t most = chars_to_bytes(s, left, CHUNK_CHARS), least = chars_to_bytes(s, left, CHUNK_CHARS / 2);
    *ret_len = best_cut(s, least, most);
    c->at += step_back(s, least, *ret_len);
    return true;
}
