/* SPDX-License-Identifier: MIT */
/* Tags of records: those an export names, and #hashtags in texts; in ASCII lower case, without the sign.
 * Pure. */
#ifndef READER_TAGS_H
#define READER_TAGS_H

#include "reader/record.h"

/* Adds one tag, unless it is there, blank, too long, or TAGS_MAX are there. */
void tags_add(char (*tags)[TAG_MAX + 1], size_t *n, const char *tag, size_t len);

/* Adds the tags of a list with commas, semicolons or bars between them, or of words that all begin with #. */
void tags_add_list(char (*tags)[TAG_MAX + 1], size_t *n, const char *list, size_t len);

/* Adds the hashtags of a text (well-formed UTF-8). */
void tags_add_hashtags(char (*tags)[TAG_MAX + 1], size_t *n, const char *text, size_t len);

#endif
