/* SPDX-License-Identifier: MIT */
/* The table. A row says everything about an operation but how it is done; config/tier_rate_limits.json has
 * the same names, and says what each counts as. */
#include "media/operations.h"
#include "media/params.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"
#include "net/guard.h"

#include <errno.h>
#include <math.h>

#define SIDE_MAX 16384
#define IMAGE_MS (3 * 60 * 1000)
#define FILM_MS (60 * 60 * 1000)
#define DOWNLOAD_MS (60 * 60 * 1000)
#define INFO_MS (2 * 60 * 1000)
#define CLIPS_MAX MEDIA_OUTPUTS_MAX
#define JOINED_MIN 2

/* clang-format off */
static const struct field convert_fields[] = {
    FIELD_STR(media_convert_params, format, "format", REQUIRED, CHOICES("jpeg|png|webp|avif")),
    FIELD_INT(media_convert_params, quality, "quality", DEFAULT(85), RANGE(1, 100)),
    FIELD_END
};

static const struct field resize_image_fields[] = {
    FIELD_INT(media_resize_params, width, "width", DEFAULT(-1), RANGE(1, SIDE_MAX)),
    FIELD_INT(media_resize_params, height, "height", DEFAULT(-1), RANGE(1, SIDE_MAX)),
    FIELD_STR(media_resize_params, fit, "fit", CHOICES("inside|cover|exact")),
    FIELD_BOOL(media_resize_params, enlarge, "enlarge"),
    FIELD_END
};

static const struct field crop_image_fields[] = {
    FIELD_INT(media_crop_params, width, "width", REQUIRED, RANGE(1, SIDE_MAX)),
    FIELD_INT(media_crop_params, height, "height", REQUIRED, RANGE(1, SIDE_MAX)),
    FIELD_INT(media_crop_params, x, "x", DEFAULT(-1), RANGE(0, SIDE_MAX)),
    FIELD_INT(media_crop_params, y, "y", DEFAULT(-1), RANGE(0, SIDE_MAX)),
    FIELD_STR(media_crop_params, gravity, "gravity",
              CHOICES("center|north|south|east|west|northeast|northwest|southeast|southwest")),
    FIELD_END
};

static const struct field resize_video_fields[] = {
    FIELD_INT(media_resize_params, width, "width", DEFAULT(-1), RANGE(16, 7680)),
    FIELD_INT(media_resize_params, height, "height", DEFAULT(-1), RANGE(16, 7680)),
    FIELD_END
};

static const struct field crop_video_fields[] = {
    FIELD_INT(media_crop_params, width, "width", REQUIRED, RANGE(16, 7680)),
    FIELD_INT(media_crop_params, height, "height", REQUIRED, RANGE(16, 7680)),
    FIELD_INT(media_crop_params, x, "x", DEFAULT(-1), RANGE(0, 7680)),
    FIELD_INT(media_crop_params, y, "y", DEFAULT(-1), RANGE(0, 7680)),
    FIELD_END
};

static const struct field compress_fields[] = {
    FIELD_INT(media_compress_params, crf, "crf", DEFAULT(28), RANGE(18, 40)),
    FIELD_INT(media_compress_params, max_height, "max_height", DEFAULT(-1), RANGE(16, 7680)),
    FIELD_NUM(media_compress_params, target_mb, "target_mb", RANGE(0, 1048576)),
    FIELD_END
};

static const struct field trim_fields[] = {
    FIELD_ARRAY(media_trim_params, clips, "clips", REQUIRED, MAX_LEN(CLIPS_MAX)),
    FIELD_END
};

static const struct field join_fields[] = {
    FIELD_ARRAY(media_join_params, input_file_ids, "input_file_ids", REQUIRED, ALIAS("inputFileIds"),
                MAX_LEN(MEDIA_INPUTS_MAX)),
    FIELD_END
};

static const struct field watermark_fields[] = {
    FIELD_UUID(media_watermark_params, watermark_file_id, "watermark_file_id", REQUIRED,
               ALIAS("watermarkFileId")),
    FIELD_STR(media_watermark_params, position, "position", CHOICES("tl|tr|bl|br|center")),
    FIELD_INT(media_watermark_params, opacity, "opacity", DEFAULT(70), RANGE(0, 100)),
    FIELD_INT(media_watermark_params, margin, "margin", DEFAULT(20), RANGE(0, SIDE_MAX)),
    FIELD_STR(media_watermark_params, format, "format", CHOICES("auto|jpeg|png|webp|avif|mp4")),
    FIELD_END
};

static const struct field download_fields[] = {
    FIELD_STR(media_download_params, input_url, "input_url", MAX_LEN(2048), ALIAS("inputUrl")),
    FIELD_INT(media_download_params, max_height, "max_height", ALIAS("maxHeight"), RANGE(64, 4320)),
    FIELD_INT(media_download_params, max_mb, "max_mb", ALIAS("maxMb"), RANGE(1, 1048576)),
    FIELD_END
};

static const struct field info_fields[] = {
    FIELD_STR(media_download_params, input_url, "input_url", MAX_LEN(2048), ALIAS("inputUrl")),
    FIELD_END
};

static const struct field teaser_fields[] = {
    FIELD_NUM(media_teaser_params, duration, "duration", DEFAULT(15), RANGE(1, 300)),
    FIELD_INT(media_teaser_params, segments, "segments", DEFAULT(5), RANGE(1, 20)),
    FIELD_INT(media_teaser_params, width, "width", DEFAULT(720), RANGE(16, 7680)),
    FIELD_BOOL(media_teaser_params, mute, "mute"),
    FIELD_END
};

static const struct field strip_fields[] = {FIELD_END};

static const struct field mark_fields[] = {
    FIELD_STR(media_mark_params, payload, "payload", MAX_LEN(64)),
    FIELD_INT(media_mark_params, strength, "strength", DEFAULT(2), RANGE(1, 5)),
    FIELD_BOOL(media_mark_params, extract, "extract"),
    FIELD_END
};
/* clang-format on */

static int refuse(struct body_error *e, enum error_id error, const char *field, const char *sentence)
{
    e->error = error;
    e->field = field;
    (void)snprintf(e->sentence, sizeof e->sentence, "%s", sentence);
    return -EINVAL;
}

static int check_download(const void *params, struct body_error *ret)
{
    const struct media_download_params *p = params;
    int r = p->input_url ? guard_check_url(p->input_url) : 0;
    if (r == -EACCES)
        return refuse(ret, ERR_URL_REFUSED, "input_url", "input_url leads to an address that is not public");
    return r < 0 ? refuse(ret, ERR_URL_REFUSED, "input_url", "input_url must be a http or https address") : 0;
}

static int check_resize(const void *params, struct body_error *ret)
{
    const struct media_resize_params *p = params;
    if (p->width < 0 && p->height < 0)
        return refuse(ret, ERR_MISSING_FIELD, "width", "width or height must be given");
    if (p->fit && !str_equal(p->fit, "inside") && (p->width < 0 || p->height < 0))
        return refuse(ret, ERR_MISSING_FIELD, p->width < 0 ? "width" : "height",
                      "fit cover and fit exact need width and height");
    return 0;
}

static int check_crop(const void *params, struct body_error *ret)
{
    const struct media_crop_params *p = params;
    if ((p->x < 0) != (p->y < 0))
        return refuse(ret, ERR_MISSING_FIELD, p->x < 0 ? "x" : "y", "x and y must be given together");
    if (p->x >= 0 && p->gravity)
        return refuse(ret, ERR_INVALID_FIELD, "gravity", "gravity and x with y exclude each other");
    return 0;
}

static int check_compress(const void *params, struct body_error *ret)
{
    const struct media_compress_params *p = params;
    if (p->target_mb != 0 && p->target_mb < 0.1)
        return refuse(ret, ERR_INVALID_FIELD, "target_mb", "target_mb must be at least 0.1");
    return 0;
}

static bool is_clip(const json_t *clip)
{
    const json_t *start = json_object_get(clip, "start"), *end = json_object_get(clip, "end");
    if (!json_is_number(start) || !json_is_number(end))
        return false;
    double from = json_number_value(start), to = json_number_value(end);
    return isfinite(from) && isfinite(to) && from >= 0 && to > from && to <= 1e6;
}

static int check_clips(const void *params, struct body_error *ret)
{
    const struct media_trim_params *p = params;
    if (json_array_size(p->clips) == 0)
        return refuse(ret, ERR_INVALID_FIELD, "clips", "clips must have at least one item");
    for (size_t i = 0; i < json_array_size(p->clips); i++)
        if (!is_clip(json_array_get(p->clips, i)))
            return refuse(
                ret, ERR_INVALID_FIELD, "clips",
                "each of clips must be {\"start\": seconds, \"end\": seconds}, with start before end");
    return 0;
}

static int check_joined(const void *params, struct body_error *ret)
{
    const struct media_join_params *p = params;
    if (json_array_size(p->input_file_ids) < JOINED_MIN)
        return refuse(ret, ERR_INVALID_FIELD, "input_file_ids", "input_file_ids must have at least 2 items");
    for (size_t i = 0; i < json_array_size(p->input_file_ids); i++) {
        const char *id = json_string_value(json_array_get(p->input_file_ids, i));
        if (!id || !uuid_valid(id))
            return refuse(ret, ERR_INVALID_FIELD, "input_file_ids", "each of input_file_ids must be a UUID");
    }
    return 0;
}

static int check_mark(const void *params, struct body_error *ret)
{
    const struct media_mark_params *p = params;
    if (!p->extract && (!p->payload || str_is_blank(p->payload)))
        return refuse(ret, ERR_MISSING_FIELD, "payload", "payload must be given, unless extract is true");
    return 0;
}

#define PARAMS(strct, fields) .params = (fields), .params_size = sizeof(struct strct)
#define NAMES_FILE(strct, member) .file_at = offsetof(struct strct, member) + 1
#define NAMES_FILES(strct, member) .files_at = offsetof(struct strct, member) + 1

const struct media_operation media_operations[] = {
    {
        .name = "convert_image",
        .summary = "Writes a picture in another format",
        PARAMS(media_convert_params, convert_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_IMAGES,
        .limit_ms = IMAGE_MS,
        .work = media_convert_image,
    },
    {
        .name = "resize_image",
        .summary = "Makes a picture smaller, or larger",
        PARAMS(media_resize_params, resize_image_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_IMAGES,
        .limit_ms = IMAGE_MS,
        .check = check_resize,
        .work = media_resize_image,
    },
    {
        .name = "crop_image",
        .summary = "Keeps a part of a picture",
        PARAMS(media_crop_params, crop_image_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_IMAGES,
        .limit_ms = IMAGE_MS,
        .check = check_crop,
        .work = media_crop_image,
    },
    {
        .name = "resize_video",
        .summary = "Changes the size of a video",
        PARAMS(media_resize_params, resize_video_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .check = check_resize,
        .work = media_resize_video,
    },
    {
        .name = "crop_video",
        .summary = "Keeps a part of a video's picture",
        PARAMS(media_crop_params, crop_video_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .check = check_crop,
        .work = media_crop_video,
    },
    {
        .name = "compress_video",
        .summary = "Makes a video's file smaller, to a quality or to a size",
        PARAMS(media_compress_params, compress_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .check = check_compress,
        .work = media_compress_video,
    },
    {
        .name = "trim_videos",
        .summary = "Cuts clips out of a video",
        PARAMS(media_trim_params, trim_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .check = check_clips,
        .work = media_trim_videos,
    },
    {
        .name = "join_videos",
        .summary = "Makes one video of several",
        PARAMS(media_join_params, join_fields),
        NAMES_FILES(media_join_params, input_file_ids),
        .accepts = MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .check = check_joined,
        .work = media_join_videos,
    },
    {
        .name = "apply_watermark",
        .summary = "Puts a picture over a picture or video",
        PARAMS(media_watermark_params, watermark_fields),
        NAMES_FILE(media_watermark_params, watermark_file_id),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_IMAGES | MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .work = media_apply_watermark,
    },
    {
        .name = "download_video",
        .summary = "Takes a video from a page of the web",
        PARAMS(media_download_params, download_fields),
        .needs = MEDIA_NEEDS_URL,
        .limit_ms = DOWNLOAD_MS,
        .check = check_download,
        .work = media_download_video,
    },
    {
        .name = "ytdlp_info",
        .summary = "Says what video a page of the web has",
        PARAMS(media_download_params, info_fields),
        .needs = MEDIA_NEEDS_URL,
        .limit_ms = INFO_MS,
        .check = check_download,
        .work = media_ytdlp_info,
    },
    {
        .name = "create_teaser",
        .summary = "Makes a short video of parts of a long one",
        PARAMS(media_teaser_params, teaser_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .work = media_create_teaser,
    },
    {
        .name = "strip_metadata",
        .summary = "Takes away what a picture or video tells of its making",
        PARAMS(media_strip_params, strip_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_IMAGES | MEDIA_VIDEOS,
        .limit_ms = FILM_MS,
        .work = media_strip_metadata,
    },
    {
        .name = "apply_steganographic_watermark",
        .summary = "Hides a message in a picture, or reads it",
        PARAMS(media_mark_params, mark_fields),
        .needs = MEDIA_NEEDS_FILE,
        .accepts = MEDIA_IMAGES,
        .limit_ms = IMAGE_MS,
        .check = check_mark,
        .work = media_apply_steganographic_watermark,
    },
    {.name = NULL},
};

const struct media_operation *media_operation_find(const char *name)
{
    for (const struct media_operation *op = media_operations; op->name; op++)
        if (str_equal(op->name, name))
            return op;
    return NULL;
}

int media_params_bind(const struct media_operation *op, const json_t *params, struct arena *arena,
                      const void **ret, struct body_error *ret_error)
{
    _cleanup_json_ json_t *none = json_object();
    void *to = arena_alloc(arena, op->params_size);
    if (!none || !to)
        return -ENOMEM;
    if (params && !json_is_null(params) && !json_is_object(params))
        return refuse(ret_error, ERR_INVALID_FIELD, "params", "params must be an object");
    int r = body_bind(op->params, json_is_object(params) ? params : none, to, ret_error);
    if (r == 0 && op->check)
        r = op->check(to, ret_error);
    if (r == 0)
        *ret = to;
    return r;
}

size_t media_params_files(const struct media_operation *op, const void *params, const char **ret)
{
    size_t n = 0;
    if (op->file_at)
        ret[n++] = *(const char *const *)((const char *)params + op->file_at - 1);
    const json_t *list =
        op->files_at ? *(const json_t *const *)((const char *)params + op->files_at - 1) : NULL;
    for (size_t i = 0; i < json_array_size(list) && n < MEDIA_INPUTS_MAX; i++)
        ret[n++] = json_string_value(json_array_get(list, i));
    return n;
}
