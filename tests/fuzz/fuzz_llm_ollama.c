/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include "llm_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_split(&ollama_format, data, size);
    return 0;
}
