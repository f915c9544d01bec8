/* SPDX-License-Identifier: MIT */
#include "reader/tags.h"

#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <unictype.h>

void tags_add(char (*tags)[TAG_MAX + 1], size_t *n, const char *tag, size_t len)
{
    char made[TAG_MAX + 1];
    while (len > 0 && (isspace((unsigned char)*tag) || *tag == '#' || *tag == '"')) {
        tag++;
        len--;
    }
    while (len > 0 && (isspace((unsigned char)tag[len - 1]) || tag[len - 1] == '"'))
        len--;
    if (len == 0 || len > TAG_MAX || *n >= TAGS_MAX)
        return;
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)tag[i]))
            return;
        made[i] = tag[i];
    }
    made[len] = '\0';
    str_lower(made);
    for (size_t i = 0; i < *n; i++)
        if (strcmp(tags[i], made) == 0)
            return;
    memcpy(tags[(*n)++], made, len + 1);
}

void tags_add_list(char (*tags)[TAG_MAX + 1], size_t *n, const char *list, size_t len)
{
    bool by_sign = len > 0 && list[0] == '#';
    for (size_t at = 0, end; at < len; at = end + 1) {
        end = at;
        while (end < len && !memchr(",;|\n", list[end], 4) && !(by_sign && list[end] == ' '))
            end++;
        tags_add(tags, n, list + at, end - at);
    }
}

static size_t word_length(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len) {
        uint32_t c;
        size_t step = utf8_decode(s + n, len - n, &c);
        if (step == 0 || !(c == '_' || uc_is_general_category_withtable(
                                           c, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N)))
            break;
        n += step;
    }
    return n;
}

void tags_add_hashtags(char (*tags)[TAG_MAX + 1], size_t *n, const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    while (*n < TAGS_MAX && (at = memchr(at, '#', (size_t)(end - at)))) {
        bool begins = at == text || isspace((unsigned char)at[-1]) || memchr("([{\"',;.!?#", at[-1], 11);
        size_t word = word_length(at + 1, (size_t)(end - at - 1));
        bool number = true; /* "#3" is a place in a list */
        for (size_t i = 0; i < word && number; i++)
            number = isdigit((unsigned char)at[1 + i]) != 0;
        if (begins && !number)
            tags_add(tags, n, at + 1, word);
        at += 1 + word;
    }
}
