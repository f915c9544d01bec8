/* SPDX-License-Identifier: MIT */
/* Taking away what a file tells beside its picture. Pictures: all but the blocks that make the picture goes,
 * of the formats whose blocks are few, and ExifTool rewrites the file around the compressed picture, which
 * stays as it is to the byte; the colour profile stays, since the picture looks different without. Films:
 * FFmpeg copies the streams into a new container. Then the result is read again, and whatever is left makes
 * it fail: a promise of privacy that is kept by half is worse than none. */
#include "media/operations.h"

#include "base/json.h"
#include "base/keep.h"
#include "base/text.h"
#include "media/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ANSWER_MAX ((size_t)1024 * 1024)
#define DAMAGED "The file can't be rewritten: it is damaged, or of a kind ExifTool doesn't know"

static void keep_answer(void *ctx, enum process_stream from, const char *data, size_t len)
{
    (void)from;
    (void)buf_add(ctx, data, len);
}

/* ---- pictures */

/* Groups of ExifTool that may stay: what the file system or the picture itself says. */
static const char allowed_groups[] = "ExifTool|System|File|Composite|ICC_Profile|ICC-header|ICC-view|ICC-"
                                     "meas|ICC-chrm|ICC-cicp|JFIF|Adobe|PNG|"
                                     "PNG-pHYs|RIFF|QuickTime|Meta|GIF";

/* In those, what people and programs write. */
static const char forbidden_tags[] =
    "Comment|Author|Artist|Copyright|Description|Title|Software|Source|Disclaimer|Warning|CreationTime|"
    "ModifyDate|"
    "CreateDate|GPSCoordinates|Make|Model|UserComment|Datecreate|Datemodify|DateCreate|DateModify";

static bool is_left(const char *key)
{
    const char *colon = strchr(key, ':');
    if (!colon)
        return false; /* the name of the file */
    return !choices_have(allowed_groups, key, (size_t)(colon - key)) ||
           (!str_has_prefix(key, "ICC") && choices_have(forbidden_tags, colon + 1, strlen(colon + 1)));
}

static int check_picture(struct media_run *run, const char *name)
{
    const char *key;
    json_t *value;
    struct media_args args = {.arena = run->arena};
    _cleanup_buf_ struct buf answer = BUF_INIT(ANSWER_MAX);
    struct media_tool tool = {.args = &args, .out = keep_answer, .ctx = &answer, .failed = DAMAGED};
    media_add(&args, "exiftool", "-config", "", "-j", "-G1", "-a", "-u", "--System:all", "--", name);
    int r = media_tool(run, &tool);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *root = json_loadb(buf_str(&answer), answer.len, 0, NULL);
    if (answer.failed || json_array_size(root) != 1)
        return media_fail(run, -EINVAL, "What is left in the file can't be read");
    json_object_foreach (json_array_get(root, 0), key, value)
        if (is_left(key))
            return media_fail(run, -EINVAL, "The file still tells %.60s, which can't be taken out of it",
                              key);
    return 0;
}

/* ExifTool changes a copy in place: of a WebP it can't write another. */
static int copy_input(struct media_run *run, const char *name)
{
    char path[PATH_MAX];
    int r = media_work_path(run, name, path, sizeof path);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(run->inputs[0].path, O_RDONLY | O_CLOEXEC);
    r = fd < 0 ? -errno : keep_file(fd, path);
    return r < 0 ? media_fail(run, r, "The file can't be copied: %s", strerror(-r)) : 0;
}

static int strip_copy(struct media_run *run, const char *name)
{
    struct media_args args = {.arena = run->arena};
    struct media_tool tool = {.args = &args, .failed = DAMAGED};
    media_add(&args, "exiftool", "-config", "", "-q", "-m", "-overwrite_original",
              "-all=", "--ICC_Profile:all", "--", name);
    media_part(run, 5, 80);
    return media_tool(run, &tool);
}

/* The turn that a camera notes is a tag as well: the picture is shown as it is stored from now on. */
static int tell_turn(struct media_run *run, struct media_size shown)
{
    const struct media_output *out = &run->outputs[0];
    bool turned = out->width != shown.width;
    if (turned)
        media_log(run,
                  "The picture was stored on its side, and a tag said so. Without the tag it is shown so");
    run->result = json_pack("{s:b}", "turned", turned);
    return run->result ? 0 : media_fail(run, -ENOMEM, "There is not enough memory");
}

static int strip_picture(struct media_run *run)
{
    struct media_size shown;
    const char *name = arena_printf(run->arena, "stripped.%s", media_input_end(run, 0));
    int r = name ? media_look_image(run, 0, &shown) : -ENOMEM;
    if (r == 0)
        r = copy_input(run, name);
    if (r == 0 && choices_have("png|webp|gif", media_input_end(run, 0), strlen(media_input_end(run, 0))))
        r = media_clean(run, name); /* what ExifTool doesn't know, and what follows the end */
    if (r == 0)
        r = strip_copy(run, name);
    if (r == 0)
        r = check_picture(run, name);
    if (r == 0)
        r = media_output_image(run, name, strchr(run->inputs[0].type, '/') + 1, name);
    return r < 0 ? r : tell_turn(run, shown);
}

/* ---- films */

static const char *muxer_of(const char *end)
{
    return str_equal(end, "mkv") ? "matroska" : end;
}

/* What FFmpeg itself writes, into every file. */
static const char allowed_tags[] =
    "major_brand|minor_version|compatible_brands|handler_name|vendor_id|language|DURATION|ENCODER|encoder";

static const char *tag_left(const json_t *tags)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)tags, key, value) {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        bool own = choices_have(allowed_tags, key, strlen(key)) &&
                   (!str_equal_nocase(key, "encoder") || str_has_prefix(text, "Lav"));
        if (!own)
            return key;
    }
    return NULL;
}

static int check_film(struct media_run *run, const char *name)
{
    struct media_args args = {.arena = run->arena};
    _cleanup_buf_ struct buf answer = BUF_INIT(ANSWER_MAX);
    struct media_tool tool = {.args = &args, .out = keep_answer, .ctx = &answer, .failed = DAMAGED};
    media_add(&args, "ffprobe", "-v", "error", "-protocol_whitelist", "file,pipe", "-codec_whitelist",
              media_probe_decoders, "-of", "json", "-show_entries", "format_tags:stream_tags:chapter=id");
    media_argf(&args, "file:%s", name);
    int r = media_tool(run, &tool);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *root = json_parse(buf_str(&answer), answer.len);
    const json_t *streams = json_object_get(root, "streams");
    const char *left = tag_left(json_object_get(json_object_get(root, "format"), "tags"));
    for (size_t i = 0; i < json_array_size(streams) && !left; i++)
        left = tag_left(json_object_get(json_array_get(streams, i), "tags"));
    if (!streams || answer.failed || json_array_size(json_object_get(root, "chapters")) > 0)
        return media_fail(run, -EINVAL, "What is left in the file can't be taken out of it");
    return left ? media_fail(run, -EINVAL, "The file still tells %.60s, which can't be taken out of it", left)
                : 0;
}

/* Cameras put plain sound into MP4, where FFmpeg writes none: QuickTime holds the same streams. */
static bool needs_quicktime(const struct media_run *run, const struct media_film *film)
{
    return str_equal(run->inputs[0].type, "video/mp4") && str_has_prefix(film->audio_codec, "pcm_");
}

static int strip_film(struct media_run *run)
{
    struct media_film film;
    struct media_args args;
    int r = media_look_film(run, 0, &film);
    if (r < 0)
        return r;
    bool quicktime = needs_quicktime(run, &film);
    const char *end = quicktime ? "mov" : media_input_end(run, 0);
    const char *type = quicktime ? "video/quicktime" : run->inputs[0].type;
    const char *name = arena_printf(run->arena, "stripped.%s", end);
    media_ffmpeg(run, &args);
    r = media_ffmpeg_input(run, &args, 0);
    media_arg(&args, "-map");
    media_argf(&args, "0:%d", film.video);
    media_add(&args, "-map", "0:a?", "-c", "copy", "-map_metadata", "-1", "-map_chapters", "-1", "-fflags",
              "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-sn", "-dn");
    if (choices_have("mp4|mov|3gp|3g2", end, strlen(end)))
        media_add(&args, "-movflags", "+faststart", "-empty_hdlr_name", "1");
    media_add(&args, "-f", muxer_of(end));
    media_argf(&args, "file:%s", name);
    media_part(run, 5, 95);
    if (r == 0)
        r = media_ffmpeg_run(run, &args, film.duration);
    if (r == 0)
        r = check_film(run, name);
    return r < 0 ? r : media_output_film(run, name, type, name);
}

int media_strip_metadata(struct media_run *run)
{
    return media_is_film(run, 0) ? strip_film(run) : strip_picture(run);
}
