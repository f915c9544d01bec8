/* SPDX-License-Identifier: MIT */
/* Any pixels are read without harm, and what is hidden in any pixels that leave room comes back or doesn't,
 * but never as something else. */
#include "fuzz.h"

#include "media/mark_code.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH 160
#define HEIGHT 152

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t pixels[WIDTH * HEIGHT * 4];
    struct mark_picture p = {pixels, WIDTH, HEIGHT};
    uint8_t found[MARK_MESSAGE_MAX];
    if (size % 4 != 0) /* each is slow, and there is little in it that depends on the bytes */
        return 0;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = size ? bytes[i % size] : 0;
    int r = mark_extract(&p, found);
    if (r > MARK_MESSAGE_MAX || r == 0)
        abort();
    size_t len = size == 0 ? 1 : size > MARK_MESSAGE_MAX ? MARK_MESSAGE_MAX : size;
    uint8_t message[MARK_MESSAGE_MAX] = {0};
    memcpy(message, bytes, size < len ? size : len);
    if (mark_embed(&p, message, len, 1 + (int)(size % 5)) != 0)
        abort();
    r = mark_extract(&p, found);
    if (r > 0 && ((size_t)r != len || memcmp(found, message, len) != 0))
        abort();
    return 0;
}
