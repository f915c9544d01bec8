/* SPDX-License-Identifier: MIT */
/* Any text as terms, and what relies on their rules: there are no more of them than bytes, and they are
 * well-formed. */
#include "fuzz.h"

#include "base/text.h"
#include "retrieval/chunk.h"
#include "retrieval/gate.h"

#include <stdlib.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_terms(struct terms *t, const char *text, size_t len)
{
    const char *term;
    size_t term_len, n = 0;
    terms_begin(t, text, len);
    while (terms_next(t, &term, &term_len)) {
        check(term_len > 0 && term_len <= TERM_MAX && utf8_valid(term, term_len));
        (void)term_is_filler(term, term_len);
        n++;
    }
    check(n <= len);
}

static void check_chunks(const char *text, size_t len)
{
    struct chunker c = {.text = text, .len = len};
    size_t begin, piece, reached = 0;
    while (chunk_next(&c, &begin, &piece)) {
        check(begin <= reached && begin + piece >= reached && begin + piece <= len);
        reached = begin + piece;
    }
    check(reached == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct terms *t = terms_new();
    if (!t)
        return 0;
    check_terms(t, text, size);
    double h = gate_node_entropy(t, "a title", text, size);
    check(h >= 0 && h <= 1 + 1e-9);
    terms_free(t);
    check_chunks(text, size);
    return 0;
}
