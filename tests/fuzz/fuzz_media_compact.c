/* SPDX-License-Identifier: MIT */
/* Any bytes: what is kept is no longer than what was given, and keeping it again changes nothing. */
#include "fuzz.h"

#include "media/compact.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 1), *again = malloc(size + 1);
    if (!copy || !again)
        abort();
    memcpy(copy, bytes, size);
    size_t len = media_compact(copy, size);
    if (len > size)
        abort();
    memcpy(again, copy, len);
    if (len > 0 && (media_compact(again, len) != len || memcmp(again, copy, len) != 0))
        abort();
    free(copy);
    free(again);
    return 0;
}
