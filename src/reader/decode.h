/* SPDX-License-Identifier: MIT */
/* Bytes of an export as UTF-8: UTF-8 with or without its mark, UTF-16 with its mark, else Windows-1252 (which
 * holds Latin-1). Pure. */
#ifndef READER_DECODE_H
#define READER_DECODE_H

#include "base/buf.h"

#include <stddef.h>

/* *ret is the text: a range of data, or of `out`, which gets what must be written anew. 0; -EBADMSG where
 * the bytes are no text; -ENOBUFS or -ENOMEM. */
int text_decode(const char *data, size_t len, struct buf *out, const char **ret, size_t *ret_len);

/* Some platforms write each byte of a text's UTF-8 as a character of its own ("cafÃ©" for "café"). Undoes it
 * in place where all of the text is so. Returns the new length. s is well-formed UTF-8. */
size_t text_mend(char *s, size_t len);

/* Appends a character as UTF-8; what is none (half of a pair) becomes U+FFFD. 0 or the buffer's error. */
int text_add_char(struct buf *b, unsigned c);

#endif
