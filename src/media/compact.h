/* SPDX-License-Identifier: MIT */
/* Takes out of a PNG, WebP or GIF what isn't its picture, down to blocks that no program knows: ImageMagick 6
 * can't be told to keep a colour profile and write no texts, and ExifTool leaves what it has no name for.
 * Private to src/media. Pure. */
#ifndef MEDIA_COMPACT_H
#define MEDIA_COMPACT_H

#include <stddef.h>
#include <stdint.h>

/* Moves what makes the picture together, in place: the new length, or 0 where it is no whole picture of these
 * formats (then the bytes may have changed). */
size_t media_compact(uint8_t *data, size_t len);

#endif
