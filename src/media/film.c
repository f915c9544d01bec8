/* SPDX-License-Identifier: MIT */
/* Films that browsers record as they go don't tell how long they are: then the packets are counted. */
#include "media/film.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MAX ((size_t)512 * 1024)
#define SIDE_MAX 8192
#define PIXELS_MAX ((int64_t)8192 * 4320)
#define DURATION_MAX (6 * 3600)
#define SHAPE_MOST 4
#define RATE_MAX 240
#define RATE_UNKNOWN 25

/* ---- reading */

/* A number that stands as text or as such; 0 where there is none. */
static double number_of(const json_t *value)
{
    double n = 0;
    if (json_is_number(value))
        n = json_number_value(value);
    else if (json_is_string(value) && sscanf(json_string_value(value), "%30lf", &n) != 1)
        n = 0;
    return isfinite(n) ? n : 0;
}

/* "30000/1001" */
static double rate_of(const json_t *stream)
{
    double over = 0, under = 0;
    if (sscanf(json_str(stream, "avg_frame_rate", ""), "%20lf/%20lf", &over, &under) != 2 || !(under > 0))
        return RATE_UNKNOWN;
    double rate = over / under;
    if (!isfinite(rate) || rate <= 0)
        return RATE_UNKNOWN;
    return rate > RATE_MAX ? RATE_MAX : rate < 1 ? 1 : rate;
}

static bool is_turned(const json_t *stream)
{
    const json_t *list = json_object_get(stream, "side_data_list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        double angle = fabs(number_of(json_object_get(json_array_get(list, i), "rotation")));
        if (angle == 90 || angle == 270)
            return true;
    }
    return false;
}

/* "4:3", of pixels as they are stored. 1 where it isn't told, or beyond reason. */
static double shape_of(const json_t *stream)
{
    double across = 0, down = 0;
    if (sscanf(json_str(stream, "sample_aspect_ratio", ""), "%20lf:%20lf", &across, &down) != 2 ||
        !(across > 0) || !(down > 0))
        return 1;
    double shape = across / down;
    return shape >= 1.0 / SHAPE_MOST && shape <= SHAPE_MOST ? shape : 1;
}

static void take_video(const json_t *stream, struct media_film *film)
{
    int64_t width = json_int(stream, "width", 0), height = json_int(stream, "height", 0);
    bool turned = is_turned(stream);
    film->video = (int)json_int(stream, "index", 0);
    film->width = turned ? height : width;
    film->height = turned ? width : height;
    film->shape = turned ? 1 / shape_of(stream) : shape_of(stream);
    film->picture = number_of(json_object_get(stream, "duration"));
    film->rate = rate_of(stream);
    (void)snprintf(film->video_codec, sizeof film->video_codec, "%s", json_str(stream, "codec_name", ""));
}

/* The first of each kind; a cover picture is no film. */
static void take_stream(const json_t *stream, struct media_film *film)
{
    const char *kind = json_str(stream, "codec_type", "");
    bool cover = json_int(json_object_get(stream, "disposition"), "attached_pic", 0) != 0;
    int64_t index = json_int(stream, "index", -1);
    if (index < 0 || index > 1000)
        return;
    if (str_equal(kind, "video") && !cover && film->video < 0)
        take_video(stream, film);
    if (str_equal(kind, "audio") && film->audio < 0 && json_int(stream, "channels", 0) > 0) {
        film->audio = (int)index;
        (void)snprintf(film->audio_codec, sizeof film->audio_codec, "%s", json_str(stream, "codec_name", ""));
    }
}

static const char *refusal(const struct media_film *film)
{
    if (film->video < 0)
        return "holds no moving picture";
    if (film->width < 1 || film->height < 1 || !film->video_codec[0])
        return "can't be decoded: it is damaged, or of a kind that isn't known here";
    if (film->width > SIDE_MAX || film->height > SIDE_MAX || film->width * film->height > PIXELS_MAX)
        return "is larger than 8192 x 4320 pixels";
    if (film->duration > DURATION_MAX)
        return "is longer than 6 hours";
    return NULL;
}

int media_film_parse(const char *text, size_t len, struct media_film *ret, const char **ret_why)
{
    struct media_film film = {.video = -1, .audio = -1};
    _cleanup_json_ json_t *root = json_parse(text, len);
    const json_t *streams = json_object_get(root, "streams");
    for (size_t i = 0; i < json_array_size(streams); i++)
        take_stream(json_array_get(streams, i), &film);
    film.duration = number_of(json_object_get(json_object_get(root, "format"), "duration"));
    film.duration = film.duration > 0 ? film.duration : 0;
    if (!(film.picture > 0) || film.picture > film.duration)
        film.picture = film.duration;
    *ret_why = refusal(&film);
    if (*ret_why)
        return -EINVAL;
    *ret = film;
    return 0;
}

/* ---- asking */

struct answer {
    struct buf text;
    char failed[96]; /* the sentence where it fails */
};

static void keep_answer(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct answer *answer = ctx;
    (void)from;
    (void)buf_add(&answer->text, data, len);
}

/* "[dnxhd @ 0x…] Codec (dnxhd) not on whitelist '…" */
static void notice_kind(void *ctx, char *line)
{
    struct answer *answer = ctx;
    char name[32];
    const char *at = strstr(line, "Codec (");
    if (at && strstr(at, "not on whitelist") && sscanf(at, "Codec (%31[A-Za-z0-9_.-])", name) == 1)
        (void)snprintf(answer->failed, sizeof answer->failed,
                       "The video has a stream of a kind that isn't decoded here: %s", name);
}

static void add_questions(struct media_args *args)
{
    media_add(args, "-of", "json", "-show_entries",
              "format=duration:stream=index,codec_type,codec_name,width,height,sample_aspect_ratio,"
              "avg_frame_rate,channels,duration:"
              "stream_disposition=attached_pic:stream_side_data=rotation");
}

static int probe(struct media_run *run, const struct media_args *args, struct media_film *ret)
{
    const char *why;
    struct answer answer = {BUF_INIT(ANSWER_MAX), "The video can't be read: it is damaged or incomplete"};
    struct media_tool tool = {
        .args = args, .out = keep_answer, .line = notice_kind, .ctx = &answer, .failed = answer.failed};
    int r = media_tool(run, &tool);
    if (r == 0 && answer.text.failed)
        r = media_fail(run, -EINVAL, "The video has too many parts");
    if (r == 0 && media_film_parse(buf_str(&answer.text), answer.text.len, ret, &why) < 0)
        r = media_fail(run, -EINVAL, "The video %s", why);
    buf_free(&answer.text);
    if (r < 0)
        return r;
    if (!config_list_has(media_decoders, ret->video_codec))
        return media_fail(run, -EINVAL, "The video is of a kind that isn't decoded here: %s",
                          ret->video_codec);
    return 0;
}

static int count_packets(struct media_run *run, size_t input, struct media_film *film)
{
    struct media_args args;
    media_ffmpeg(run, &args);
    int r = media_ffmpeg_input(run, &args, input);
    media_arg(&args, "-map");
    media_argf(&args, "0:%d", film->video);
    media_add(&args, "-c", "copy", "-f", "null", "/dev/null");
    if (r == 0)
        r = media_ffmpeg_time(run, &args, &film->duration);
    if (r == 0 && film->duration <= 0)
        r = media_fail(run, -EINVAL, "The video is empty");
    film->picture = film->duration;
    return r;
}

int media_look_film(struct media_run *run, size_t input, struct media_film *ret)
{
    struct media_args args = {.arena = run->arena};
    media_add(&args, "ffprobe", "-v", "error");
    int r = media_ffmpeg_source(run, &args, input);
    media_add(&args, "-codec_whitelist", media_probe_decoders); /* in place of the one that stands there */
    add_questions(&args);
    media_argf(&args, "file:%s", media_input_name(run, input));
    if (r == 0)
        r = probe(run, &args, ret);
    if (r == 0 && ret->duration <= 0)
        r = count_packets(run, input, ret);
    return r;
}

int media_output_film(struct media_run *run, const char *name, const char *type, const char *file_name)
{
    struct media_args args = {.arena = run->arena};
    struct media_output *out;
    struct media_film film;
    int r = media_output_add(run, name, file_name, &out);
    if (r < 0)
        return r;
    media_add(&args, "ffprobe", "-v", "error", "-protocol_whitelist", "file,pipe", "-codec_whitelist",
              media_probe_decoders); /* streams of strangers may have been copied into it */
    add_questions(&args);
    media_argf(&args, "file:%s", name);
    r = probe(run, &args, &film);
    if (r < 0)
        return r;
    out->kind = "video";
    out->type = type;
    out->width = film.width;
    out->height = film.height;
    out->duration = film.duration;
    return 0;
}
