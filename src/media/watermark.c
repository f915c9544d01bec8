/* SPDX-License-Identifier: MIT */
/* The mark is made a PNG of its final size and opacity first, for pictures and films alike, so it is decoded
 * by the same careful reader. */
#include "media/operations.h"

#include "base/text.h"
#include "media/internal.h"

#include <errno.h>
#include <math.h>

#define SHARE 0.15 /* of the width */
#define MARK "mark.png"
#define QUALITY 92
#define CRF 22

struct place {
    int64_t x, y, width, height; /* of the mark on what is below */
};

/* 15 % of the width, unless the height leaves less room. */
static struct place scale_mark(struct media_size below, struct media_size mark)
{
    struct place at = {.width = llround((double)below.width * SHARE)};
    at.width = at.width < 1 ? 1 : at.width;
    at.height = llround((double)at.width * (double)mark.height / (double)mark.width);
    if (at.height > below.height) {
        at.width = llround((double)below.height * (double)mark.width / (double)mark.height);
        at.height = below.height;
    }
    at.width = at.width < 1 ? 1 : at.width;
    at.height = at.height < 1 ? 1 : at.height;
    return at;
}

/* From the far or the near edge; a margin that would push it over the middle doesn't. */
static int64_t offset(int64_t room, int64_t margin, bool far)
{
    margin = margin > room / 2 ? room / 2 : margin;
    return far ? room - margin : margin;
}

static struct place place_mark(const struct media_watermark_params *p, struct media_size below,
                               struct media_size mark)
{
    const char *position = p->position ? p->position : "br";
    struct place at = scale_mark(below, mark);
    int64_t right = below.width - at.width, down = below.height - at.height;
    bool center = str_equal(position, "center");
    at.x = center ? right / 2 : offset(right, p->margin, position[1] == 'r');
    at.y = center ? down / 2 : offset(down, p->margin, position[0] == 'b');
    return at;
}

/* As the film is shown, whatever the shape of its pixels. */
static struct place place_on_film(const struct media_watermark_params *p, const struct media_film *film,
                                  struct media_size mark)
{
    struct media_size below = {llround((double)film->width * film->shape), film->height};
    below.width = below.width < 1 ? 1 : below.width;
    struct place at = place_mark(p, below, mark);
    at.x = llround((double)at.x / film->shape);
    at.width = llround((double)at.width / film->shape);
    at.width = at.width < 1 ? 1 : at.width;
    return at;
}

static int make_mark(struct media_run *run, const struct media_watermark_params *p, const struct place *at)
{
    struct media_args args;
    media_convert(run, &args);
    media_picture(run, &args, 1);
    media_add(&args, "-alpha", "set", "-resize");
    media_argf(&args, "%lldx%lld!", (long long)at->width, (long long)at->height);
    media_add(&args, "-channel", "A", "-evaluate", "multiply");
    media_argf(&args, "%lld.%02lld", (long long)(p->opacity / 100), (long long)(p->opacity % 100));
    media_add(&args, "+channel", "-define", "png:color-type=6");
    media_convert_output(&args, "png", 0, MARK);
    media_part(run, 0, 10);
    return media_convert_run(run, &args);
}

static int mark_picture(struct media_run *run, const struct media_watermark_params *p, const struct place *at)
{
    struct media_args args;
    bool as_it_is = !p->format || str_equal(p->format, "auto");
    const char *format = as_it_is ? media_image_format(run, 0) : p->format;
    const char *name = arena_printf(run->arena, "watermarked.%s", media_image_extension(format));
    media_convert(run, &args);
    media_picture(run, &args, 0);
    media_add(&args, "-type", "TrueColorAlpha", "png:" MARK, "-geometry");
    media_argf(&args, "+%lld+%lld", (long long)at->x, (long long)at->y);
    media_add(&args, "-compose", "over", "-composite");
    media_convert_output(&args, format, QUALITY, name);
    media_part(run, 10, 95);
    int r = media_convert_run(run, &args);
    return r < 0 ? r : media_output_image(run, name, format, name);
}

static int mark_film(struct media_run *run, const struct media_film *film, const struct place *at)
{
    struct media_args args;
    media_ffmpeg(run, &args);
    int r = media_ffmpeg_input(run, &args, 0);
    media_add(&args, "-f", "png_pipe", "-i", "file:" MARK, "-filter_complex");
    media_argf(&args, "[0:%d][1:v]overlay=%lld:%lld:eof_action=repeat,crop=trunc(iw/2)*2:trunc(ih/2)*2[v]",
               film->video, (long long)at->x, (long long)at->y);
    media_add(&args, "-map", "[v]");
    media_ffmpeg_audio(&args, film);
    media_ffmpeg_h264(run, &args, "veryfast", CRF);
    media_arg(&args, "file:watermarked.mp4");
    media_part(run, 10, 95);
    if (r == 0)
        r = media_ffmpeg_run(run, &args, film->duration);
    return r < 0 ? r : media_output_film(run, "watermarked.mp4", "video/mp4", "watermarked.mp4");
}

static int watermark_film(struct media_run *run, const struct media_watermark_params *p,
                          struct media_size mark)
{
    struct media_film film;
    if (p->format && !str_equal(p->format, "auto") && !str_equal(p->format, "mp4"))
        return media_fail(run, -EINVAL, "A video becomes MP4: format %s is for pictures", p->format);
    int r = media_look_film(run, 0, &film);
    if (r < 0)
        return r;
    struct place at = place_on_film(p, &film, mark);
    r = make_mark(run, p, &at);
    return r < 0 ? r : mark_film(run, &film, &at);
}

static int watermark_picture(struct media_run *run, const struct media_watermark_params *p,
                             struct media_size mark)
{
    struct media_size below;
    if (str_equal(p->format, "mp4"))
        return media_fail(run, -EINVAL, "A picture can't become MP4");
    int r = media_look_image(run, 0, &below);
    if (r < 0)
        return r;
    struct place at = place_mark(p, below, mark);
    r = make_mark(run, p, &at);
    return r < 0 ? r : mark_picture(run, p, &at);
}

int media_apply_watermark(struct media_run *run)
{
    const struct media_watermark_params *p = run->params;
    struct media_size mark;
    if (run->n_inputs < 2)
        return media_fail(run, -EINVAL, "The job names no watermark_file_id");
    int r = media_look_image(run, 1, &mark);
    if (r < 0)
        return r;
    return media_is_film(run, 0) ? watermark_film(run, p, mark) : watermark_picture(run, p, mark);
}
