/* SPDX-License-Identifier: MIT */
#include "files/image_size.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct size {
    int64_t width, height;
};

static int64_t big(const uint8_t *at, int bytes)
{
    int64_t n = 0;
    for (int i = 0; i < bytes; i++)
        n = n << 8 | at[i];
    return n;
}

static int64_t little(const uint8_t *at, int bytes)
{
    int64_t n = 0;
    for (int i = bytes; i-- > 0;)
        n = n << 8 | at[i];
    return n;
}

static bool png(const uint8_t *data, size_t len, struct size *ret)
{
    if (len < 24 || memcmp(data + 12, "IHDR", 4) != 0)
        return false;
    *ret = (struct size){big(data + 16, 4), big(data + 20, 4)};
    return ret->width <= INT32_MAX && ret->height <= INT32_MAX; /* more is no PNG */
}

static bool gif(const uint8_t *data, size_t len, struct size *ret)
{
    if (len < 10)
        return false;
    *ret = (struct size){little(data + 6, 2), little(data + 8, 2)};
    return true;
}

/* SOF0 to SOF15 hold the size; in their midst stand three other kinds. */
static bool is_frame(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool jpeg(const uint8_t *data, size_t len, struct size *ret)
{
    for (size_t at = 2; at + 9 <= len;) {
        if (data[at] != 0xff)
            return false;
        uint8_t marker = data[at + 1];
        if (marker == 0xff) { /* padding */
            at++;
            continue;
        }
        if (is_frame(marker)) {
            *ret = (struct size){big(data + at + 7, 2), big(data + at + 5, 2)};
            return true;
        }
        size_t segment = (size_t)big(data + at + 2, 2);
        if (marker < 0xc0 || marker == 0xd8 || marker == 0xd9 || marker == 0xda || segment < 2)
            return false;
        at += 2 + segment;
    }
    return false;
}

static bool webp(const uint8_t *data, size_t len, struct size *ret)
{
    if (len < 30)
        return false;
    if (memcmp(data + 12, "VP8X", 4) == 0)
        *ret = (struct size){little(data + 24, 3) + 1, little(data + 27, 3) + 1};
    else if (memcmp(data + 12, "VP8L", 4) == 0 && data[20] == 0x2f)
        *ret = (struct size){(little(data + 21, 4) & 0x3fff) + 1, (little(data + 21, 4) >> 14 & 0x3fff) + 1};
    else if (memcmp(data + 12, "VP8 ", 4) == 0 && memcmp(data + 23, "\x9d\x01\x2a", 3) == 0)
        *ret = (struct size){little(data + 26, 2) & 0x3fff, little(data + 28, 2) & 0x3fff};
    else
        return false;
    return true;
}

static const struct {
    const char *type;
    bool (*read)(const uint8_t *data, size_t len, struct size *ret);
} readers[] = {{"image/png", png}, {"image/jpeg", jpeg}, {"image/gif", gif}, {"image/webp", webp}};

int image_size(const char *type, const uint8_t *data, size_t len, int64_t *ret_width, int64_t *ret_height)
{
    struct size size = {0};
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        if (strcmp(readers[i].type, type) == 0) {
            if (!readers[i].read(data, len, &size) || size.width == 0 || size.height == 0)
                return -EINVAL;
            *ret_width = size.width;
            *ret_height = size.height;
            return 0;
        }
    return -EINVAL;
}
