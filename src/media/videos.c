/* SPDX-License-Identifier: MIT */
/* Resizing, cropping and compressing films. H.264 with its usual colours needs even sizes. */
#include "media/operations.h"

#include "base/text.h"
#include "media/internal.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

#define PRESET "veryfast"
#define CRF 20
#define SIDE_MAX 8192

#define COMPRESS_PRESET "fast"
#define AUDIO_BITS 128000
#define AUDIO_BITS_SMALL 64000
#define BITS_LEAST 16000 /* a second, of a picture that can still be seen */
#define OVERHEAD 0.03    /* of the container, and of what the encoder misses its aim by */
#define OVERHEAD_BYTES 8000
#define TRIES 4

static int64_t even(double n)
{
    int64_t half = llround(n / 2);
    return half < 1 ? 2 : 2 * half;
}

/* Runs ffmpeg with one filter on the film, to H.264. */
static int filter_film(struct media_run *run, const struct media_film *film, const char *filter,
                       const char *name)
{
    struct media_args args;
    media_ffmpeg(run, &args);
    int r = media_ffmpeg_input(run, &args, 0);
    media_arg(&args, "-map");
    media_argf(&args, "0:%d", film->video);
    media_ffmpeg_audio(&args, film);
    media_add(&args, "-vf", filter);
    media_ffmpeg_h264(run, &args, PRESET, CRF);
    media_argf(&args, "file:%s", name);
    media_part(run, 2, 97);
    if (r == 0)
        r = media_ffmpeg_run(run, &args, film->duration);
    return r < 0 ? r : media_output_film(run, name, "video/mp4", name);
}

int media_resize_video(struct media_run *run)
{
    const struct media_resize_params *p = run->params;
    struct media_film film;
    int r = media_look_film(run, 0, &film);
    if (r < 0)
        return r;
    double ratio = (double)film.width * film.shape / (double)film.height;
    int64_t width = even(p->width > 0 ? (double)p->width : (double)p->height * ratio);
    int64_t height = even(p->height > 0 ? (double)p->height : (double)p->width / ratio);
    if (width > SIDE_MAX || height > SIDE_MAX)
        return media_fail(run, -EINVAL, "The video would have %lld x %lld pixels: at most %d a side",
                          (long long)width, (long long)height, SIDE_MAX);
    const char *filter =
        arena_printf(run->arena, "scale=%lld:%lld,setsar=1", (long long)width, (long long)height);
    return filter_film(run, &film, filter, "resized.mp4");
}

int media_crop_video(struct media_run *run)
{
    const struct media_crop_params *p = run->params;
    struct media_film film;
    int r = media_look_film(run, 0, &film);
    if (r < 0)
        return r;
    int64_t width = p->width / 2 * 2, height = p->height / 2 * 2;
    int64_t x = p->x >= 0 ? p->x : (film.width - width) / 2,
            y = p->y >= 0 ? p->y : (film.height - height) / 2;
    if (x < 0 || y < 0 || x + p->width > film.width || y + p->height > film.height)
        return media_fail(run, -EINVAL,
                          "The part to keep doesn't lie within the video, which has %lld x %lld pixels",
                          (long long)film.width, (long long)film.height);
    const char *filter = arena_printf(run->arena, "crop=%lld:%lld:%lld:%lld:exact=1", (long long)width,
                                      (long long)height, (long long)x, (long long)y);
    return filter_film(run, &film, filter, "cropped.mp4");
}

/* ---- compressing */

struct compression {
    struct media_run *run;
    struct media_film film;
    const char *scale;              /* the filter */
    int64_t video_bits, audio_bits; /* a second; of a target */
};

/* ffmpeg with the film as its input, scaled. */
static int begin_compression(const struct compression *c, struct media_args *args)
{
    media_ffmpeg(c->run, args);
    int r = media_ffmpeg_input(c->run, args, 0);
    media_arg(args, "-map");
    media_argf(args, "0:%d", c->film.video);
    media_add(args, "-vf", c->scale);
    return r;
}

static void add_sound(const struct compression *c, struct media_args *args, int64_t bits)
{
    if (c->film.audio < 0)
        return;
    media_arg(args, "-map");
    media_argf(args, "0:%d", c->film.audio);
    media_add(args, "-c:a", "aac", "-ac", "2", "-b:a");
    media_argf(args, "%lld", (long long)bits);
}

static int compress_by_quality(const struct compression *c, int64_t crf)
{
    struct media_args args;
    int r = begin_compression(c, &args);
    add_sound(c, &args, AUDIO_BITS);
    media_ffmpeg_h264(c->run, &args, COMPRESS_PRESET, crf);
    media_arg(&args, "file:compressed.mp4");
    media_part(c->run, 2, 97);
    if (r == 0)
        r = media_ffmpeg_run(c->run, &args, c->film.duration);
    return r < 0 ? r : media_output_film(c->run, "compressed.mp4", "video/mp4", "compressed.mp4");
}

static void add_pass(const struct compression *c, struct media_args *args, const char *number)
{
    media_add(args, "-c:v", "libx264", "-preset", COMPRESS_PRESET, "-pass", number, "-passlogfile", "pass",
              "-b:v");
    media_argf(args, "%lld", (long long)c->video_bits);
}

static int first_pass(const struct compression *c)
{
    struct media_args args;
    int r = begin_compression(c, &args);
    add_pass(c, &args, "1");
    media_add(&args, "-pix_fmt", "yuv420p", "-an", "-sn", "-dn", "-f", "null", "/dev/null");
    media_part(c->run, 2, 45);
    return r < 0 ? r : media_ffmpeg_run(c->run, &args, c->film.duration);
}

static int second_pass(const struct compression *c, const char *name, struct media_output **ret)
{
    struct media_args args;
    int r = begin_compression(c, &args);
    add_sound(c, &args, c->audio_bits);
    add_pass(c, &args, "2");
    media_ffmpeg_mp4(c->run, &args);
    media_argf(&args, "file:%s", name);
    media_part(c->run, 45, 97);
    if (r == 0)
        r = media_ffmpeg_run(c->run, &args, c->film.duration);
    if (r == 0)
        r = media_output_film(c->run, name, "video/mp4", "compressed.mp4");
    if (r == 0)
        *ret = &c->run->outputs[c->run->n_outputs - 1];
    return r;
}

/* More bits than the film has now would be wasted. */
static int share_bits(struct compression *c, double target_mb)
{
    double seconds = c->film.duration, bytes = target_mb * 1e6 * (1 - OVERHEAD) - OVERHEAD_BYTES;
    double most = (double)c->run->inputs[0].bytes * 8 / seconds, bits = bytes * 8 / seconds;
    c->audio_bits = c->film.audio < 0 ? 0 : bits > 8 * AUDIO_BITS ? AUDIO_BITS : AUDIO_BITS_SMALL;
    bits = bits > most ? most : bits;
    c->video_bits = (int64_t)bits - c->audio_bits;
    if ((double)c->video_bits < BITS_LEAST && bits >= most)
        c->video_bits = BITS_LEAST; /* it is as small already */
    return 0;
}

static int too_small(struct media_run *run, double target_mb, double seconds)
{
    return media_fail(run, -EINVAL, "%.0f s of video can't be made as small as %.6g MB", seconds, target_mb);
}

static int compress_to_size(struct compression *c, double target_mb)
{
    struct media_output *out;
    share_bits(c, target_mb);
    if (c->video_bits < BITS_LEAST)
        return too_small(c->run, target_mb, c->film.duration);
    int r = first_pass(c);
    for (int i = 0; i < TRIES && r == 0; i++) {
        r = second_pass(c, arena_printf(c->run->arena, "compressed-%d.mp4", i), &out);
        if (r < 0 || (double)out->bytes <= target_mb * 1e6)
            return r;
        (void)unlink(out->path);
        c->run->n_outputs--;
        media_log(c->run, "%lld bytes are too many: once more, with fewer bits", (long long)out->bytes);
        c->video_bits = (int64_t)((double)c->video_bits * (target_mb * 1e6 / (double)out->bytes) * 0.95);
        if (c->video_bits < BITS_LEAST / 2)
            break;
    }
    return r < 0 ? r : too_small(c->run, target_mb, c->film.duration);
}

int media_compress_video(struct media_run *run)
{
    const struct media_compress_params *p = run->params;
    struct compression c = {.run = run};
    int r = media_look_film(run, 0, &c.film);
    if (r < 0)
        return r;
    double height = (double)c.film.height, width = (double)c.film.width;
    double by = p->max_height > 0 && (double)p->max_height < height ? (double)p->max_height / height : 1;
    c.scale =
        arena_printf(run->arena, "scale=%lld:%lld,setsar=%.6f:max=1000", (long long)even(floor(width * by)),
                     (long long)(2 * (int64_t)(height * by / 2)), c.film.shape);
    return p->target_mb > 0 ? compress_to_size(&c, p->target_mb) : compress_by_quality(&c, p->crf);
}
