/* SPDX-License-Identifier: MIT */
/* Private to src/media: what the rows of the table do. 0, or negative errno with run->error. */
#ifndef MEDIA_OPERATIONS_H
#define MEDIA_OPERATIONS_H

#include "media/operation.h"

int media_convert_image(struct media_run *run);
int media_resize_image(struct media_run *run);
int media_crop_image(struct media_run *run);
int media_resize_video(struct media_run *run);
int media_crop_video(struct media_run *run);
int media_compress_video(struct media_run *run);
int media_download_video(struct media_run *run);
int media_trim_videos(struct media_run *run);
int media_join_videos(struct media_run *run);
int media_apply_watermark(struct media_run *run);
int media_create_teaser(struct media_run *run);
int media_strip_metadata(struct media_run *run);
int media_apply_steganographic_watermark(struct media_run *run);
int media_ytdlp_info(struct media_run *run);

#endif
