/* SPDX-License-Identifier: MIT */
/* The first bytes of files: any have one type, and a picture has a size only within sense. */
#include "fuzz.h"

#include "files/image_size.h"
#include "files/sniff.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const pictures[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};
    const char *type = sniff_type(bytes, size, true);
    if (!type || !sniff_type(bytes, size, false) || !strchr(type, '/'))
        abort();
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        int64_t width = 0, height = 0;
        int r = image_size(pictures[i], bytes, size, &width, &height);
        if (r == 0 ? width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX : width || height)
            abort();
    }
    return 0;
}
