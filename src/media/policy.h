/* SPDX-License-Identifier: MIT */
/* What ImageMagick may do: private to src/media. */
#ifndef MEDIA_POLICY_H
#define MEDIA_POLICY_H

#include <stddef.h>

#define MEDIA_IMAGE_SIDE_MAX 16384
#define MEDIA_IMAGE_PIXELS_MAX ((int64_t)128 * 1000 * 1000)

/* Writes policy.xml into a directory, which MAGICK_CONFIGURE_PATH is to name: 0 or negative errno. */
int media_policy_write(const char *dir);

#endif
