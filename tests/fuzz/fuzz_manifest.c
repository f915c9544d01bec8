/* SPDX-License-Identifier: MIT */
/* Any bytes as a backup's manifest. What is taken must be exactly what would be written, and name nothing
 * outside. */
#include "fuzz.h"

#include "ops/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest m = {0};
    struct buf out = BUF_INIT(MANIFEST_MAX);
    char *exact = malloc(size ? size : 1); /* so that a read past the end is seen */
    if (!exact)
        return 0;
    memcpy(exact, data, size);
    if (manifest_parse(exact, size, &m) == 0) {
        if (manifest_write(&m, &out) < 0 || out.len != size || memcmp(out.data, data, size) != 0)
            abort();
        for (const struct member *one = m.members; one; one = member_next(one))
            if (!member_name_valid(member_name(one)) || member_name(one)[0] == '/' ||
                strstr(member_name(one), "/../"))
                abort();
    }
    buf_free(&out);
    manifest_free(&m);
    free(exact);
    return 0;
}
