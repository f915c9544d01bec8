/* SPDX-License-Identifier: MIT */
/* Takes out of a PNG what isn't its picture: ImageMagick 6 can't be told to keep a colour profile and write
 * no texts. Private to src/media. Pure. */
#ifndef MEDIA_PNG_H
#define MEDIA_PNG_H

#include <stddef.h>
#include <stdint.h>

/* Moves the chunks that make the picture together, in place: the new length, or 0 where it is no whole PNG
 * (then the bytes may have changed). */
size_t media_png_compact(uint8_t *data, size_t len);

#endif
