/* SPDX-License-Identifier: MIT */
/* The property of the model parsers: a stream fed whole and fed in two pieces gives the same text and
 * outcome. The first two bytes of the input choose the cut. */
#ifndef FUZZ_LLM_SPLIT_H
#define FUZZ_LLM_SPLIT_H

#include "base/text.h"
#include "llm/format.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A copy of the piece's very size, so that the sanitizer notices a read past it. */
static void feed(struct llm_parser *p, const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    check(copy != NULL);
    memcpy(copy, data, size);
    llm_parser_feed(p, copy, size);
    free(copy);
}

static void fuzz_split(const struct llm_format *format, const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    const uint8_t *stream = data + 2;
    size_t len = size - 2, at = ((size_t)data[0] << 8 | data[1]) % (len + 1);
    struct llm_parser whole, cut;
    llm_parser_init(&whole, format);
    llm_parser_init(&cut, format);
    feed(&whole, stream, len);
    feed(&cut, stream, at);
    feed(&cut, stream + at, len - at);
    llm_parser_finish(&whole);
    llm_parser_finish(&cut);
    check(whole.state != PARSER_READING && whole.state == cut.state);
    check((whole.error == NULL) == (whole.state == PARSER_DONE));
    check(whole.prompt_tokens == cut.prompt_tokens && whole.completion_tokens == cut.completion_tokens);
    check(whole.progress == cut.progress && whole.text.len == cut.text.len);
    check(whole.text.len == 0 || memcmp(whole.text.data, cut.text.data, whole.text.len) == 0);
    check(whole.text.len == 0 || utf8_valid(whole.text.data, whole.text.len));
    llm_parser_free(&whole);
    llm_parser_free(&cut);
}

#endif
