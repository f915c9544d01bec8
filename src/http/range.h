/* SPDX-License-Identifier: MIT */
/* The Range header (RFC 9110, 14.2) of who wants a part of something. One range is served; several at once,
 * other units and what can't be read are as if nothing had been asked, which the standard allows. Pure. */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <stdint.h>

enum range {
    RANGE_WHOLE,         /* all of it */
    RANGE_PART,          /* *ret_first to *ret_last, both in it */
    RANGE_UNSATISFIABLE, /* none of it: 416 */
};

/* header: the value of Range, or NULL; size: bytes that there are (>= 0). */
enum range range_parse(const char *header, int64_t size, int64_t *ret_first, int64_t *ret_last);

#endif
