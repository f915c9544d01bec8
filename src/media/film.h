/* SPDX-License-Identifier: MIT */
/* Reads what ffprobe says of a film. Private to src/media. Pure. */
#ifndef MEDIA_FILM_H
#define MEDIA_FILM_H

#include "media/internal.h"

/* 0, or -EINVAL with *ret_why, the end of a sentence that begins with "The video". A duration that the file
 * doesn't tell is 0. */
int media_film_parse(const char *text, size_t len, struct media_film *ret, const char **ret_why);

#endif
