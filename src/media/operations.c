/* SPDX-License-Identifier: MIT */
/* The table. A row says everything about an operation but how it is done; config/tier_rate_limits.json has
 * the same names, and says what each counts as. */
#include "media/operations.h"
#include "media/params.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "net/guard.h"

#include <errno.h>

#define SIDE_MAX 16384
#define FILM_MS (60 * 60 * 1000)
#define DOWNLOAD_MS (60 * 60 * 1000)
#define INFO_MS (2 * 60 * 1000)

/* clang-format off */
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

#define PARAMS(strct, fields) .params = (fields), .params_size = sizeof(struct strct)
#define NAMES_FILE(strct, member) .file_at = offsetof(struct strct, member) + 1
#define NAMES_FILES(strct, member) .files_at = offsetof(struct strct, member) + 1

const struct media_operation media_operations[] = {
    {
        .name = "apply_watermark",
        .summary = "Puts a picture over a picture or film",
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
