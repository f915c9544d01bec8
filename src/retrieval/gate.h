/* SPDX-License-Identifier: MIT */
/* The last stage: text that carries next to no information ("aaaa", "ok ok ok") stays out of the prompt.
 * H = ½ · min(1, character entropy / 5.5) + ½ · (token entropy / log2 n), the second part 0 where n <= 1;
 * characters are Unicode characters as they stand, tokens are terms (terms.h), n is their number, entropies
 * are in bits. */
#ifndef RETRIEVAL_GATE_H
#define RETRIEVAL_GATE_H

#include "retrieval/terms.h"

#define GATE_CHAR_BITS 5.5
#define GATE_KEEP 0.65
#define GATE_DROP 0.35

/* Of at most the first GATE_TEXT_MAX bytes. 0 to 1, or negative without memory. */
#define GATE_TEXT_MAX 16384
double gate_entropy(struct terms *cutter, const char *text, size_t len);

/* The entropy a node is judged by: that of its content. A content of one word ("Blue") is judged together
 * with its title
 * ("Favourite colour"), unless its characters hold less than a bit each ("aaaa"); so is a node without
 * content. */
double gate_node_entropy(struct terms *cutter, const char *title, const char *content, size_t len);

/* Whether the candidate at `place` (from 0) of `n` in order of activation passes. */
bool gate_passes(double entropy, size_t place, size_t n);

#endif
