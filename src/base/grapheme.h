/* SPDX-License-Identifier: MIT */
/* What a reader takes for one character: a letter with its marks, a flag, an emoji of several people. Texts
 * are well-formed UTF-8. Pure and thread-safe. */
#ifndef BASE_GRAPHEME_H
#define BASE_GRAPHEME_H

#include <stddef.h>

/* Bytes of the cluster that s begins with; 0 only where len is 0. */
size_t grapheme_length(const char *s, size_t len);

/* The largest n <= max such that the first n bytes of s end between two clusters. */
size_t grapheme_floor(const char *s, size_t len, size_t max);

#endif
