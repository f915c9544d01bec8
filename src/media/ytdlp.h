/* SPDX-License-Identifier: MIT */
/* Private to src/media: yt-dlp, which reads the pages of strangers and resolves names by itself, so it gets
 * out through a proxy of its own alone (net/proxy.h), with no FFmpeg to hand an address to. */
#ifndef MEDIA_YTDLP_H
#define MEDIA_YTDLP_H

#include "media/internal.h"

struct ytdlp_call {
    struct media_args *args; /* of ytdlp_begin, and options: not the URL */
    const char *url;
    const char *dir;                           /* where it runs; NULL = the working directory */
    int64_t max_traffic;                       /* bytes over the network, both ways */
    int64_t max_file;                          /* bytes of a file that it writes */
    const char *too_large;                     /* the sentence where one of these is reached */
    void (*line)(void *ctx, const char *line); /* each of its output; may be NULL */
    void *ctx;
};

/* The URL of a run: what its params say, or else the job. NULL with run->error (-EINVAL, -EACCES in *ret)
 * where there is none, or one that the guard refuses. */
const char *ytdlp_url(struct media_run *run, const char *of_params, int *ret);

/* Begins an argument vector with what holds for every run of it. */
void ytdlp_begin(struct media_run *run, struct media_args *args);

/* Runs it: 0, or negative errno with run->error. */
int ytdlp_run(struct media_run *run, const struct ytdlp_call *call);

/* The sentence that fits a line of yt-dlp's errors, and whether another try may succeed. Pure. */
const char *ytdlp_sentence(const char *line, int *ret_error);

#endif
