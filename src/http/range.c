/* SPDX-License-Identifier: MIT */
#include "http/range.h"

#include "base/text.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define UNIT "bytes="

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* Reads digits, of which there may be none; numbers past every size are as good as the largest. */
static const char *read_number(const char *s, bool *ret_any, int64_t *ret)
{
    *ret_any = *s >= '0' && *s <= '9';
    *ret = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(*ret, 10, ret) || __builtin_add_overflow(*ret, *s - '0', ret))
            *ret = INT64_MAX / 10 - 1; /* stays out of reach of any size, however many digits follow */
    return s;
}

enum range range_parse(const char *header, int64_t size, int64_t *ret_first, int64_t *ret_last)
{
    bool has_first, has_last;
    int64_t first, last;
    if (!header || strncasecmp(header, UNIT, strlen(UNIT)) != 0)
        return RANGE_WHOLE;
    const char *s = read_number(skip_blanks(header + strlen(UNIT)), &has_first, &first);
    if (*s != '-')
        return RANGE_WHOLE;
    s = skip_blanks(read_number(s + 1, &has_last, &last));
    if (*s || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_WHOLE;
    if (!has_first) { /* the last so many */
        first = last < size ? size - last : 0;
        last = last > 0 ? size - 1 : -1;
    } else if (!has_last || last >= size) {
        last = size - 1;
    }
    if (first >= size || last < first)
        return RANGE_UNSATISFIABLE;
    *ret_first = first;
    *ret_last = last;
    return RANGE_PART;
}
