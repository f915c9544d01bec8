/* SPDX-License-Identifier: MIT */
/* Range headers of any bytes: a part lies within what there is. */
#include "fuzz.h"

#include "http/range.h"

#include <stdlib.h>
#include <string.h>

static const int64_t sizes[] = {0, 1, 2, 1000, INT64_MAX};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t first = -1, last = -1;
        enum range range = range_parse(text, sizes[i], &first, &last);
        if (range == RANGE_PART ? first < 0 || last < first || last >= sizes[i] : first != -1 || last != -1)
            abort();
    }
    free(text);
    return 0;
}
