/* SPDX-License-Identifier: MIT */
/* Width and height of a picture, as its header says: PNG, JPEG, WebP, GIF. Nothing is decoded. Pure. */
#ifndef FILES_IMAGE_SIZE_H
#define FILES_IMAGE_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* As much of a file's beginning as is worth reading: a JPEG's own previews and profiles stand before it. */
#define IMAGE_SIZE_BYTES ((size_t)256 * 1024)

/* type: as sniffed. 0, or -EINVAL where these bytes don't tell (then *ret… stay as they are); never 0 pixels.
 */
int image_size(const char *type, const uint8_t *data, size_t len, int64_t *ret_width, int64_t *ret_height);

#endif
