/* SPDX-License-Identifier: MIT */
#include "taxonomy/names.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>

/* A name can't become shorter than this by normal forms; what is longer isn't looked at. */
#define TEXT_MAX (8 * TAXONOMY_NAME_MAX)

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Trims, and makes one hyphen of each run of white space. */
static int hyphenate(const char *text, size_t len, char *ret)
{
    size_t n = 0;
    bool gap = false;
    for (size_t i = 0; i < len; i++) {
        if (is_space(text[i])) {
            gap = n > 0;
            continue;
        }
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return -EINVAL;
        if (gap)
            ret[n++] = '-';
        gap = false;
        ret[n++] = text[i];
    }
    return n > 0 ? (int)n : -EINVAL;
}

int taxonomy_normalise(const char *text, size_t len, char *ret)
{
    char plain[TEXT_MAX];
    uint8_t lower[2 * TAXONOMY_NAME_MAX];
    size_t n = sizeof lower;
    while (len > 0 && is_space(*text)) {
        text++;
        len--;
    }
    while (len > 0 && is_space(text[len - 1]))
        len--;
    if (len > TEXT_MAX)
        return -E2BIG;
    int r = utf8_valid(text, len) ? hyphenate(text, len, plain) : -EINVAL;
    if (r < 0)
        return r;
    /* a buffer of the library's own comes back where ours is too small */
    uint8_t *done = u8_tolower((const uint8_t *)plain, (size_t)r, NULL, UNINORM_NFC, lower, &n);
    if (!done)
        return -E2BIG;
    if (done == lower && n <= TAXONOMY_NAME_MAX) {
        memcpy(ret, done, n);
        ret[n] = '\0';
        return (int)n;
    }
    if (done != lower)
        free(done);
    return -E2BIG;
}

bool taxonomy_next_part(const char **at, const char **ret, size_t *ret_len)
{
    *at += strspn(*at, "-");
    *ret = *at;
    *ret_len = strcspn(*at, "-");
    *at += *ret_len;
    return *ret_len > 0;
}

bool taxonomy_is_compound(const char *name)
{
    const char *part;
    size_t len;
    return taxonomy_next_part(&name, &part, &len) && taxonomy_next_part(&name, &part, &len);
}

/* ---- what there is */

static const char *const types[TAXONOMY_TYPES] = {
    [TAXONOMY_SUPER_CONCEPT] = "super_concept",
    [TAXONOMY_CATEGORY] = "category",
    [TAXONOMY_TAG] = "tag",
    [TAXONOMY_SITE] = "site",
};

#define CONCEPTS (1u << TAXONOMY_SUPER_CONCEPT)
#define CATEGORIES (1u << TAXONOMY_CATEGORY)
#define TAGS (1u << TAXONOMY_TAG)
#define SITES (1u << TAXONOMY_SITE)

static const struct taxonomy_relation_info relations[TAXONOMY_RELATIONS] = {
    [TAXONOMY_HAS_TAG] = {"HAS_TAG", CATEGORIES, TAGS},
    [TAXONOMY_HAS_CATEGORY] = {"HAS_CATEGORY", CONCEPTS, CATEGORIES},
    [TAXONOMY_USES_TAG] = {"USES_TAG", SITES, TAGS},
    [TAXONOMY_CO_OCCURS] = {"CO_OCCURS", TAGS, TAGS},
    [TAXONOMY_MAPS_TO_CONCEPT] = {"MAPS_TO_CONCEPT", TAGS | CATEGORIES, CONCEPTS},
};

const char *taxonomy_type_name(enum taxonomy_type type)
{
    return types[type];
}

const struct taxonomy_relation_info *taxonomy_relation_info(enum taxonomy_relation relation)
{
    return &relations[relation];
}

int taxonomy_type_find(const char *name)
{
    for (int i = 0; i < TAXONOMY_TYPES; i++)
        if (str_equal(types[i], name))
            return i;
    return -ENOENT;
}

int taxonomy_relation_find(const char *name)
{
    for (int i = 0; i < TAXONOMY_RELATIONS; i++)
        if (str_equal(relations[i].name, name))
            return i;
    return -ENOENT;
}
