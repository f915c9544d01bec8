/* SPDX-License-Identifier: MIT */
/* What ffprobe and ffmpeg print of a file that somebody made for it: a film has numbers within sense, and
 * progress never goes back. */
#include "fuzz.h"

#include "media/film.h"
#include "media/progress.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct media_film film;
    const char *why = NULL, *text = (const char *)bytes;
    int r = media_film_parse(text, size, &film, &why);
    if (r < 0 ? !why
              : film.video < 0 || film.width < 1 || film.height < 1 || film.width > 8192 ||
                    film.height > 8192 || !(film.rate >= 1) || film.rate > 240 || !(film.duration >= 0) ||
                    film.duration > 6 * 3600)
        abort();
    struct media_progress_lines p = {.len = 0};
    for (size_t i = 0; i < size; i++) {
        double before = p.seconds;
        media_progress_feed(&p, text + i, 1);
        if (!(p.seconds >= before))
            abort();
    }
    return 0;
}
