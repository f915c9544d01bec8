/* SPDX-License-Identifier: MIT */
#include "retrieval/embedding.h"

#include "base/text.h"
#include "retrieval/dense.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static size_t add_line(char *out, size_t len, const char *line)
{
    if (str_is_blank(line))
        return len;
    if (len > 0 && len < EMBEDDING_TEXT_MAX)
        out[len++] = '\n';
    size_t n = utf8_floor(line, strlen(line), EMBEDDING_TEXT_MAX - len);
    memcpy(out + len, line, n);
    return len + n;
}

size_t embedding_text(const char *title, const char *tags, const char *content, char *ret)
{
    size_t len = add_line(ret, 0, title);
    len = add_line(ret, len, tags);
    len = add_line(ret, len, content);
    ret[len] = '\0';
    return len;
}

static uint64_t mix(uint64_t h, const char *s)
{
    do /* the NUL too, so that two texts in a row have a border */
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    while (*s++);
    return h;
}

uint64_t embedding_fingerprint(const char *model, const char *text)
{
    return mix(mix(14695981039346656037u, model), text);
}

int embedding_decode(const void *blob, size_t len, uint64_t fingerprint, const void **ret, size_t *ret_dim)
{
    uint64_t stored;
    if (!blob || len <= sizeof stored || (len - sizeof stored) % sizeof(float) != 0)
        return -EINVAL;
    size_t dim = (len - sizeof stored) / sizeof(float);
    if (dim > VECTOR_DIM_MAX)
        return -EINVAL;
    memcpy(&stored, blob, sizeof stored);
    if (le64toh(stored) != fingerprint)
        return -ESTALE;
    *ret = (const char *)blob + sizeof stored;
    *ret_dim = dim;
    return 0;
}

void embedding_floats(const void *bytes, size_t dim, float *ret)
{
    const char *at = bytes;
    for (size_t i = 0; i < dim; i++, at += sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        word = le32toh(word);
        memcpy(&ret[i], &word, sizeof word);
    }
}

int embedding_encode(struct buf *b, uint64_t fingerprint, const float *values, size_t dim)
{
    uint64_t head = htole64(fingerprint);
    int r = buf_add(b, &head, sizeof head);
    for (size_t i = 0; r == 0 && i < dim; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        word = htole32(word);
        r = buf_add(b, &word, sizeof word);
    }
    return r;
}
