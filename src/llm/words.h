/* SPDX-License-Identifier: MIT */
/* The words of a text that carry meaning, stemmed, as a small set: for `extractive`, which compares
 * questions, sentences and flows by the words they share. Private to llm/. */
#ifndef LLM_WORDS_H
#define LLM_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX 96 /* further different words of a text are ignored */

struct sb_stemmer;

struct words {
    uint64_t word[WORDS_MAX]; /* hashes of stems, each once, in order of appearance */
    size_t n;
    bool asks; /* the text begins as a question does: "what …", "how …" */
};

/* Adds the words of a text to the set. URLs, words of the grammar and single letters are left out. */
void words_add(struct words *w, struct sb_stemmer *stemmer, const char *text, size_t len);

bool words_have(const struct words *w, uint64_t word);

/* How many words the sets share. */
size_t words_shared(const struct words *a, const struct words *b);

#endif
