/* SPDX-License-Identifier: MIT */
/* The property of the model parsers: a stream fed whole and fed in two pieces gives the same text and outcome. The first
 * two bytes of the input choose the cut. */
#ifndef FUZZ_LLM_SPLIT_H
#define FUZZ_LLM_SPLIT_H

#include "llm/format.h"

#include <stddef.h>
#include <stdint.h>

void fuzz_split(const struct llm_format *format, const uint8_t *data, size_t size);

#endif
