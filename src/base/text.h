/* SPDX-License-Identifier: MIT */
/* Small helpers on text: UTF-8, hex, base64, comparison of secrets, URL parts. All are pure and thread-safe.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that s (len > 0) begins with: 1..4, 0 when malformed, or -k when it lacks k more
 * bytes. */
int utf8_char_length(const char *s, size_t len);

/* Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool utf8_valid(const char *s, size_t len);

/* The largest n <= max such that the first n bytes of s end on a character border. */
size_t utf8_floor(const char *s, size_t len, size_t max);

/* Number of characters (not bytes) in well-formed UTF-8. */
size_t utf8_count(const char *s, size_t len);

/* Bytes at the end of s that begin a character whose rest is missing: 0..3. */
size_t utf8_incomplete_tail(const char *s, size_t len);

/* Reads the character that begins at s (len > 0): its length and *ret, or 0 when the bytes are malformed or
 * cut. */
size_t utf8_decode(const char *s, size_t len, uint32_t *ret);

/* Puts a question mark in the place of each malformed byte. */
void utf8_repair(char *s, size_t len);

/* Whether a character does something to the line that it stands in: a control, the end of a line or
 * paragraph, or a change of direction. */
bool char_is_control(uint32_t c);

/* Whether the text is UTF-8 without such characters. */
bool text_is_printable(const char *s);

/* Makes a text of others fit for a line of a report or a terminal: malformed bytes and such characters become
 * question marks, one for each of their bytes. */
void text_make_printable(char *s);

/* Like vsnprintf, but a text that is too long is cut between characters. size > 0. */
void text_vprintf(char *ret, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

bool str_is_blank(const char *s);
bool str_has_prefix(const char *s, const char *prefix);
bool str_equal(const char *a, const char *b);        /* NULL equals only NULL */
bool str_equal_nocase(const char *a, const char *b); /* ASCII */

/* The order of two elements of an array of strings, by their bytes; for qsort() and bsearch(). */
int str_order(const void *a, const void *b);

/* Lower-cases ASCII in place. */
void str_lower(char *s);

/* True if every byte of s is in `set`. */
bool str_only(const char *s, const char *set);

/* Compares secrets in a time that depends on the length of `given` alone. */
bool secret_equal(const char *given, const char *expected);

/* Overwrites memory in a way the compiler keeps. */
void wipe(void *p, size_t len);

/* Lower-case hex; ret must hold 2 * len + 1. */
void hex_encode(const uint8_t *data, size_t len, char *ret);

/* Decodes exactly 2 * len lower- or upper-case digits; 0 or -EINVAL. */
int hex_decode(const char *s, uint8_t *ret, size_t len);

/* Standard base64, no line breaks, into the arena; NULL without memory. */
char *base64_encode(struct arena *a, const uint8_t *data, size_t len);

/* Decodes standard base64 into the arena; NULL when malformed or without memory. */
uint8_t *base64_decode(struct arena *a, const char *s, size_t *ret_len);

/* A whole decimal integer in [min, max], nothing else around it: 0, -EINVAL or -ERANGE. */
int parse_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* A duration such as 90s, 15m, 12h, 7d in milliseconds: 0 or -EINVAL. */
int parse_duration(const char *s, int64_t *ret_ms);

/* Percent-encodes everything but unreserved characters. */
int url_encode(struct buf *b, const char *s);

/* Whether `choices` ("a|b|c") holds exactly these bytes. */
bool choices_have(const char *choices, const char *value, size_t len);

/* The next item of a comma list, trimmed; moves *list on; false at the end. Empty items are skipped. */
bool list_next(const char **list, const char **ret_item, size_t *ret_len);

#endif
