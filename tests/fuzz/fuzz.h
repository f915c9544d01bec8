/* SPDX-License-Identifier: MIT */
/* What a fuzz target defines: it feeds a parser any bytes, and only returns 0. Called many times in a
 * process. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
