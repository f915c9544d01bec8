/* SPDX-License-Identifier: MIT */
/* A message hidden in a picture's brightness. Private to src/media. Pure but for memory; any thread. */
#ifndef MEDIA_MARK_CODE_H
#define MEDIA_MARK_CODE_H

#include <stddef.h>
#include <stdint.h>

#define MARK_MESSAGE_MAX 64
#define MARK_STRENGTH_MIN 1
#define MARK_STRENGTH_MAX 5

/* Rows from the top, without gaps: red, green, blue, alpha of 8 bits each. */
struct mark_picture {
    uint8_t *pixels;
    int64_t width, height;
};

/* The least number of whole blocks of 8 x 8 pixels that a picture must have. */
#define MARK_BLOCKS_MIN 372

/* How many of them have no transparent pixel. */
int64_t mark_opaque_blocks(const struct mark_picture *picture);

/* Hides the message (1 to MARK_MESSAGE_MAX bytes) in the pixels: 0, -ENOSPC (too few pixels), -EINVAL. */
int mark_embed(const struct mark_picture *picture, const uint8_t *message, size_t len, int strength);

/* Finds it, whatever its strength: its length with the bytes in ret (of MARK_MESSAGE_MAX), or -ENOENT. */
int mark_extract(const struct mark_picture *picture, uint8_t *ret);

#endif
