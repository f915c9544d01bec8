/* SPDX-License-Identifier: MIT */
/* JSON text, token by token: exports are larger than what may be held as values. Strict, but for values that
 * follow one another at the top (JSON Lines). Strings come decoded, cut at FIELD_TEXT_MAX; constant memory
 * besides. Pure. */
#ifndef READER_JSON_TOKENS_H
#define READER_JSON_TOKENS_H

#include "base/buf.h"

#define JSON_TOKENS_DEPTH 64

enum json_token {
    JSON_TOKEN_END,
    JSON_TOKEN_BROKEN, /* `why` says what; the end as well */
    JSON_TOKEN_OBJECT,
    JSON_TOKEN_OBJECT_END,
    JSON_TOKEN_ARRAY,
    JSON_TOKEN_ARRAY_END,
    JSON_TOKEN_KEY,
    JSON_TOKEN_STRING,
    JSON_TOKEN_NUMBER,
    JSON_TOKEN_WORD, /* true, false, null */
};

struct json_tokens {
    const char *s; /* well-formed UTF-8, borrowed */
    size_t len, at;
    struct buf text; /* of the key, string, number or word */
    const char *why;
    unsigned depth;
    bool in_object[JSON_TOKENS_DEPTH];
    int expect;
};

void json_tokens_begin(struct json_tokens *t, const char *s, size_t len);
void json_tokens_free(struct json_tokens *t);
enum json_token json_tokens_next(struct json_tokens *t);

#endif
