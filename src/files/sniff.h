/* SPDX-License-Identifier: MIT */
/* What a file is, by its first bytes. What a client says it is, or its name, counts for nothing. Markup
 * (HTML, SVG, XML) is text: so no browser runs what somebody has uploaded. Text is UTF-8, other encodings are
 * any bytes. Pure. */
#ifndef FILES_SNIFF_H
#define FILES_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNIFF_BYTES 512 /* more than that isn't looked at */

/* The media type of a file that begins with these bytes (whole: they are all of it); static, never NULL. */
const char *sniff_type(const uint8_t *data, size_t len, bool whole);

/* Whether a browser may show it in a page: pictures, films and sounds that can't hold a program. */
bool sniff_is_inline(const char *type);

#endif
