/* SPDX-License-Identifier: MIT */
/* A table of any bytes as a file of an export: what becomes of it is sound, and the same each time. */
#include "fuzz_export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_export("fans.csv", data, size);
}
