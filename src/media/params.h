/* SPDX-License-Identifier: MIT */
/* Private to src/media: what the params of each operation are bound into. Absent numbers that have no default
 * are -1. */
#ifndef MEDIA_PARAMS_H
#define MEDIA_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct media_convert_params {
    const char *format;
    int64_t quality;
};

struct media_resize_params {
    int64_t width, height;
    const char *fit; /* NULL = inside */
    bool enlarge;
};

struct media_crop_params {
    int64_t width, height, x, y;
    const char *gravity; /* NULL = center */
};

struct media_compress_params {
    int64_t crf, max_height;
    double target_mb; /* 0 = none */
};

struct media_download_params {
    const char *input_url;      /* NULL: the job's */
    int64_t max_height, max_mb; /* 0 = none given */
};

struct media_trim_params {
    const json_t *clips;
};

struct media_join_params {
    const json_t *input_file_ids;
};

struct media_watermark_params {
    const char *watermark_file_id;
    const char *position; /* NULL = br */
    int64_t opacity, margin;
    const char *format; /* NULL = auto */
};

struct media_teaser_params {
    double duration;
    int64_t segments, width;
    bool mute;
};

struct media_strip_params {
    bool none;
};

struct media_mark_params {
    const char *payload;
    int64_t strength;
    bool extract;
};

#endif
