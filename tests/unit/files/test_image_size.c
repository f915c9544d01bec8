/* SPDX-License-Identifier: MIT */
#include "files/image_size.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PNG_HEAD "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
#define RIFF "RIFF\x24\0\0\0WEBP"
#define SOF(marker) "\xff" marker "\0\x0b\x08\x01\x02\x03\x04\x01\x01\x11\0"

struct picture {
    const char *type, *bytes;
    size_t len;
    int64_t width, height; /* 0: it doesn't tell */
};

#define PICTURE(type_, bytes_, width_, height_) \
    { \
        .type = (type_), .bytes = (bytes_), .len = sizeof(bytes_) - 1, .width = (width_), \
        .height = (height_) \
    }

static const struct picture pictures[] = {
    PICTURE("image/png", PNG_HEAD "\0\0\x02\x80\0\0\x01\xe0", 640, 480),
    PICTURE("image/png", PNG_HEAD "\0\0\0\0\0\0\x01\xe0", 0, 0),
    PICTURE("image/png", PNG_HEAD "\xff\xff\xff\xff\0\0\x01\xe0", 0, 0),
    PICTURE("image/png", "\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT\0\0\x02\x80\0\0\x01\xe0", 0, 0),
    PICTURE("image/gif", "GIF89a\x05\0\x04\x01", 5, 260),
    PICTURE("image/gif", "GIF89a\0\0\x04\x01", 0, 0),
    PICTURE("image/jpeg", "\xff\xd8" SOF("\xc0"), 0x304, 0x102),
    PICTURE("image/jpeg", "\xff\xd8" SOF("\xc2"), 0x304, 0x102),
    PICTURE("image/jpeg",
            "\xff\xd8\xff\xe1\0\x06"
            "Exif\xff\xff\xff" SOF("\xc1"),
            0x304, 0x102),
    PICTURE("image/jpeg", "\xff\xd8" SOF("\xc4"), 0, 0),                 /* Huffman tables alone */
    PICTURE("image/jpeg", "\xff\xd8\xff\xda\0\x04xx" SOF("\xc0"), 0, 0), /* begins without its size */
    PICTURE("image/jpeg", "\xff\xd8\xff\xe0\0\0" SOF("\xc0"), 0, 0),     /* a segment without end */
    PICTURE("image/jpeg", "\xff\xd8\xff\xe0\xff\xff" SOF("\xc0"), 0, 0), /* past what is there */
    PICTURE("image/jpeg", "\xff\xd8 and nothing of it", 0, 0),
    PICTURE("image/webp", RIFF "VP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0", 640, 480),
    PICTURE("image/webp", RIFF "VP8L\x0d\0\0\0\x2f\x0f\x40\0\x70\x71\x01\x11\x88\x88\x08", 16, 2),
    PICTURE("image/webp", RIFF "VP8L\x0d\0\0\0\x2e\x0f\x40\0\x70\x71\x01\x11\x88\x88\x08", 0, 0),
    PICTURE("image/webp", RIFF "VP8 \x20\0\0\0\x10\0\0\x9d\x01\x2a\x80\x42\xe0\x01", 640, 480),
    PICTURE("image/webp", RIFF "VP8 \x20\0\0\0\x10\0\0xxx\x80\x02\xe0\x01", 0, 0),
    PICTURE("image/webp", RIFF "ALPHxxxxxxxxxxxxxxxx", 0, 0),
    PICTURE("image/avif",
            "\0\0\0\x1c"
            "ftypavifxxxxxxxxxxxxxxxxxxxx",
            0, 0),
    PICTURE("text/plain", "640 480 and so on and so on and so on", 0, 0),
};

static void sizes_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pictures); i++) {
        const struct picture *p = &pictures[i];
        int64_t width = -1, height = -1;
        int r = image_size(p->type, (const uint8_t *)p->bytes, p->len, &width, &height);
        assert_int_equal(r, p->width ? 0 : -EINVAL);
        assert_int_equal(width, p->width ? p->width : -1);
        assert_int_equal(height, p->width ? p->height : -1);
    }
}

static void what_is_cut_is_never_read_past(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pictures); i++)
        for (size_t len = 0; len < pictures[i].len; len++) {
            int64_t width, height;
            uint8_t *exact = malloc(len + 1); /* at its end the sanitizer watches */
            assert_non_null(exact);
            memcpy(exact + 1, pictures[i].bytes, len);
            (void)image_size(pictures[i].type, exact + 1, len, &width, &height);
            free(exact);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(what_is_cut_is_never_read_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
