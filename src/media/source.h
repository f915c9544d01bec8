/* SPDX-License-Identifier: MIT */
/* The input of a job that names an input_url instead of an input_file_id: fetched before the operation runs,
 * which then reads a local file. */
#ifndef MEDIA_SOURCE_H
#define MEDIA_SOURCE_H

#include "media/operation.h"

#define MEDIA_SOURCE_MS (30 * 60 * 1000)

struct media_source {
    const struct config *cfg;
    const char *url;
    const char *path;      /* the file to make; nothing may be there. Absolute */
    struct cancel *cancel; /* may be NULL */

    /* what came of it */
    int64_t bytes;
    char error[MEDIA_ERROR_MAX]; /* of a failure: a sentence for the user */
    bool may_pass;               /* of a failure: another try may succeed */
};

/* Fetches it, at most MAX_UPLOAD_MB: http or https, at public addresses alone, those of redirects (at most 5)
 * included. 0; or a negative errno with a sentence, and then nothing is left at `path`: -EINVAL (not such a
 * URL, or the site has nothing there), -EACCES (not public), -EFBIG, -ETIMEDOUT, -ECANCELED, -ENOSPC or
 * another. What kind of file it is isn't looked at. Blocks for up to MEDIA_SOURCE_MS; any thread. */
int media_source_fetch(struct media_source *source);

#endif
