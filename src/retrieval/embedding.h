/* SPDX-License-Identifier: MIT */
/* What user_nodes.embedding holds: 8 bytes, a fingerprint of the model and of the text that was embedded,
 * then the vector as 32-bit floats, all little-endian. The fingerprint makes a stored vector prove that it
 * still belongs to its node: after an edit by anyone (a client, another process, Directus) or a change of
 * model it is simply not taken. */
#ifndef RETRIEVAL_EMBEDDING_H
#define RETRIEVAL_EMBEDDING_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define EMBEDDING_TEXT_MAX 2000 /* bytes of a node that are embedded */

/* Writes what of a node is embedded, a string: title, tags, content, up to the maximum. Returns its length.
 * ret holds EMBEDDING_TEXT_MAX + 1. */
size_t embedding_text(const char *title, const char *tags, const char *content, char *ret);

uint64_t embedding_fingerprint(const char *model, const char *text);

/* The vector in a stored value: *ret points to dim floats' bytes (little-endian, not aligned). 0, -ESTALE
 * when it belongs to another text or model, or -EINVAL when it is no embedding at all. */
int embedding_decode(const void *blob, size_t len, uint64_t fingerprint, const void **ret, size_t *ret_dim);

/* The floats at `bytes` as an array. */
void embedding_floats(const void *bytes, size_t dim, float *ret);

/* Appends a value to be stored: 0 or the buffer's error. */
int embedding_encode(struct buf *b, uint64_t fingerprint, const float *values, size_t dim);

#endif
