/* SPDX-License-Identifier: MIT */
/* Cutting and joining films. Cuts are exact, so what is cut is encoded anew; pieces that are joined are first
 * made alike in size, frame rate and sound, and each piece's sound is as long as its picture. */
#include "media/operations.h"

#include "base/text.h"
#include "media/internal.h"

#include <errno.h>
#include <math.h>

#define PRESET "veryfast"
#define CRF 20
#define TOLERANCE_S 0.1 /* by which a clip may end behind the film: containers round */
#define GRAPH_MAX ((size_t)64 * 1024)
#define FADE_S 0.25
#define PIECE_LEAST_S 0.5
#define TEASER_RATE_MAX 30
#define SIDE_MAX 8192

/* ---- cutting */

static int check_clip(struct media_run *run, const struct media_film *film, size_t number, double start,
                      double end)
{
    if (start >= film->duration || end > film->duration + TOLERANCE_S)
        return media_fail(run, -EINVAL, "Clip %zu ends at %.3f s, but the video has %.3f s", number, end,
                          film->duration);
    if (start >= film->picture)
        return media_fail(run, -EINVAL, "Clip %zu begins at %.3f s, but the picture ends at %.3f s", number,
                          start, film->picture);
    return 0;
}

static int cut(struct media_run *run, const struct media_film *film, double start, double end,
               const char *name)
{
    struct media_args args;
    media_ffmpeg(run, &args);
    media_arg(&args, "-ss");
    media_argf(&args, "%.6f", start);
    media_arg(&args, "-t");
    media_argf(&args, "%.6f", end - start);
    int r = media_ffmpeg_input(run, &args, 0);
    media_arg(&args, "-map");
    media_argf(&args, "0:%d", film->video);
    if (film->audio >= 0) {
        media_arg(&args, "-map");
        media_argf(&args, "0:%d", film->audio);
        media_add(&args, "-c:a", "aac", "-b:a", "160k", "-ac", "2");
    }
    media_add(&args, "-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2");
    media_ffmpeg_h264(run, &args, PRESET, CRF);
    media_argf(&args, "file:%s", name);
    if (r == 0)
        r = media_ffmpeg_run(run, &args, (end < film->duration ? end : film->duration) - start);
    return r < 0 ? r : media_output_film(run, name, "video/mp4", name);
}

int media_trim_videos(struct media_run *run)
{
    const struct media_trim_params *p = run->params;
    size_t n = json_array_size(p->clips);
    struct media_film film;
    int r = media_look_film(run, 0, &film);
    for (size_t i = 0; i < n && r == 0; i++)
        r = check_clip(run, &film, i + 1, json_num(json_array_get(p->clips, i), "start", 0),
                       json_num(json_array_get(p->clips, i), "end", 0));
    for (size_t i = 0; i < n && r == 0; i++) {
        const json_t *clip = json_array_get(p->clips, i);
        media_part(run, (int)(2 + 96 * i / n), (int)(2 + 96 * (i + 1) / n));
        r = cut(run, &film, json_num(clip, "start", 0), json_num(clip, "end", 0),
                arena_printf(run->arena, "clip-%zu.mp4", i + 1));
    }
    return r;
}

/* ---- joining */

struct piece {
    int video, audio; /* streams of the ffmpeg input of the same number */
    double seconds;
};

struct joining {
    struct piece pieces[MEDIA_INPUTS_MAX];
    size_t n;
    int64_t width, height;
    double rate, fade;
    bool sound;
};

/* Across, in the square pixels that pieces are made alike in. */
static int64_t square_width(const struct media_film *film)
{
    int64_t width = llround((double)film->width * film->shape);
    return width > SIDE_MAX ? SIDE_MAX : width < 2 ? 2 : width;
}

static void add_picture(const struct joining *j, size_t i, struct buf *graph)
{
    const struct piece *p = &j->pieces[i];
    long long w = (long long)j->width, h = (long long)j->height;
    (void)buf_addf(
        graph,
        "[%zu:%d]scale=trunc(iw*sar/2)*2:ih,setsar=1,scale=%lld:%lld:force_original_aspect_ratio=decrease,"
        "pad=%lld:%lld:(ow-iw)/2:(oh-ih)/2,setsar=1,fps=%.4f,format=yuv420p,setpts=PTS-STARTPTS",
        i, p->video, w, h, w, h, j->rate);
    if (j->fade > 0)
        (void)buf_addf(graph, ",fade=t=in:st=0:d=%.3f,fade=t=out:st=%.3f:d=%.3f", j->fade,
                       p->seconds - j->fade, j->fade);
    (void)buf_addf(graph, "[v%zu];", i);
}

static void add_sound(const struct joining *j, size_t i, struct buf *graph)
{
    const struct piece *p = &j->pieces[i];
    if (p->audio < 0)
        (void)buf_adds(graph, "anullsrc=r=48000:cl=stereo");
    else
        (void)buf_addf(graph, "[%zu:%d]aresample=48000:async=1:first_pts=0,apad", i, p->audio);
    (void)buf_addf(
        graph, ",aformat=sample_fmts=fltp:channel_layouts=stereo,atrim=duration=%.6f,asetpts=PTS-STARTPTS",
        p->seconds);
    if (j->fade > 0)
        (void)buf_addf(graph, ",afade=t=in:st=0:d=%.3f,afade=t=out:st=%.3f:d=%.3f", j->fade,
                       p->seconds - j->fade, j->fade);
    (void)buf_addf(graph, "[a%zu];", i);
}

static const char *make_graph(struct media_run *run, const struct joining *j)
{
    _cleanup_buf_ struct buf graph = BUF_INIT(GRAPH_MAX);
    for (size_t i = 0; i < j->n; i++) {
        add_picture(j, i, &graph);
        if (j->sound)
            add_sound(j, i, &graph);
    }
    for (size_t i = 0; i < j->n; i++)
        (void)buf_addf(&graph, j->sound ? "[v%zu][a%zu]" : "[v%zu]", i, i);
    (void)buf_addf(&graph, "concat=n=%zu:v=1:a=%d[v]%s", j->n, j->sound, j->sound ? "[a]" : "");
    return graph.failed ? NULL : arena_strdup(run->arena, buf_str(&graph));
}

/* `args` has the inputs of the pieces already. */
static int join(struct media_run *run, const struct joining *j, struct media_args *args, const char *name)
{
    double seconds = 0;
    for (size_t i = 0; i < j->n; i++)
        seconds += j->pieces[i].seconds;
    media_arg(args, "-filter_complex");
    media_arg(args, make_graph(run, j));
    media_add(args, "-map", "[v]");
    if (j->sound)
        media_add(args, "-map", "[a]", "-c:a", "aac", "-b:a", "160k");
    media_ffmpeg_h264(run, args, PRESET, CRF);
    media_argf(args, "file:%s", name);
    media_part(run, 5, 97);
    int r = media_ffmpeg_run(run, args, seconds);
    return r < 0 ? r : media_output_film(run, name, "video/mp4", name);
}

int media_join_videos(struct media_run *run)
{
    struct joining j = {.n = run->n_inputs};
    struct media_film film, first = {0};
    struct media_args args;
    int r = run->n_inputs < 2 ? media_fail(run, -EINVAL, "There are less than two videos to join") : 0;
    media_ffmpeg(run, &args);
    for (size_t i = 0; i < run->n_inputs && r == 0; i++) {
        r = media_look_film(run, i, &film);
        if (r < 0)
            return r;
        first = i == 0 ? film : first;
        j.pieces[i] = (struct piece){film.video, film.audio, film.duration};
        j.sound |= film.audio >= 0;
        r = media_ffmpeg_input(run, &args, i);
    }
    if (r < 0)
        return r;
    j.width = square_width(&first) / 2 * 2;
    j.height = first.height / 2 * 2;
    j.rate = first.rate;
    return join(run, &j, &args, "joined.mp4");
}

/* ---- teasers */

static int64_t even_part(int64_t of, int64_t to, int64_t whole)
{
    int64_t half = llround((double)of * (double)to / (double)whole / 2);
    return half < 1 ? 2 : 2 * half;
}

/* How many pieces, and how long each: a film that is short is one piece, whole. */
static void share_time(const struct media_teaser_params *p, const struct media_film *film, struct joining *j,
                       double *ret_seconds)
{
    double whole = p->duration < film->picture ? p->duration : film->picture;
    size_t most = (size_t)(whole / PIECE_LEAST_S);
    j->n = p->duration >= film->picture ? 1 : (size_t)p->segments;
    j->n = j->n > most ? most : j->n;
    j->n = j->n < 1 ? 1 : j->n;
    *ret_seconds = whole / (double)j->n;
    j->fade = *ret_seconds / 4 < FADE_S ? *ret_seconds / 4 : FADE_S;
}

/* The film in as many equal parts as there are pieces, a piece from the middle of each. */
static int add_segments(struct media_run *run, const struct media_film *film, struct joining *j,
                        double seconds, struct media_args *args)
{
    int r = 0;
    for (size_t i = 0; i < j->n && r == 0; i++) {
        double middle = ((double)i + 0.5) * film->picture / (double)j->n;
        double start = middle - seconds / 2;
        j->pieces[i] = (struct piece){film->video, film->audio, seconds};
        media_arg(args, "-ss");
        media_argf(args, "%.6f", start > 0 ? start : 0.0);
        media_arg(args, "-t");
        media_argf(args, "%.6f", seconds);
        r = media_ffmpeg_input(run, args, 0);
    }
    return r;
}

int media_create_teaser(struct media_run *run)
{
    const struct media_teaser_params *p = run->params;
    struct joining j = {.n = 0};
    struct media_film film;
    struct media_args args;
    double seconds;
    int r = media_look_film(run, 0, &film);
    if (r < 0)
        return r;
    share_time(p, &film, &j, &seconds);
    j.sound = film.audio >= 0 && !p->mute;
    j.rate = film.rate > TEASER_RATE_MAX ? TEASER_RATE_MAX : film.rate;
    int64_t width = square_width(&film);
    j.width = (p->width < width ? p->width : width) / 2 * 2;
    j.height = even_part(film.height, j.width, width);
    media_ffmpeg(run, &args);
    r = add_segments(run, &film, &j, seconds, &args);
    return r < 0 ? r : join(run, &j, &args, "teaser.mp4");
}
