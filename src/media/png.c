/* SPDX-License-Identifier: MIT */
#include "media/png.h"

#include "base/text.h"

#include <string.h>

#define SIGNATURE "\x89PNG\r\n\x1a\n"
#define SIGNATURE_LEN 8
#define FRAME 12 /* length, name and checksum of a chunk */

/* What is needed to show it as it was meant. */
static const char kept[] = "IHDR|PLTE|IDAT|IEND|tRNS|gAMA|cHRM|sRGB|iCCP|cICP|sBIT|bKGD|pHYs|acTL|fcTL|fdAT";

static size_t length_at(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

size_t media_png_compact(uint8_t *data, size_t len)
{
    size_t to = SIGNATURE_LEN;
    if (len < SIGNATURE_LEN || memcmp(data, SIGNATURE, SIGNATURE_LEN) != 0)
        return 0;
    for (size_t from = SIGNATURE_LEN; len - from >= FRAME;) {
        size_t chunk = length_at(data + from);
        if (chunk > len - from - FRAME)
            return 0;
        chunk += FRAME;
        const char *name = (const char *)data + from + 4;
        bool last = memcmp(name, "IEND", 4) == 0;
        if (choices_have(kept, name, 4)) {
            memmove(data + to, data + from, chunk);
            to += chunk;
        }
        if (last)
            return to;
        from += chunk;
    }
    return 0;
}
