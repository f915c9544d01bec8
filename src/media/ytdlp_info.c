/* SPDX-License-Identifier: MIT */
/* ytdlp_info: what yt-dlp finds out about a page, less all that is for machines. yt-dlp itself leaves out
 * what isn't wanted, since a site may list thousands of forms of a video. */
#include "media/operations.h"
#include "media/params.h"
#include "media/ytdlp.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define TRAFFIC_MAX ((int64_t)64 * 1024 * 1024)
#define FILE_MAX ((int64_t)1024 * 1024) /* it has none to write */
#define TEXT_MAX 4096                   /* bytes of one text */
#define LIST_MAX 50                     /* of its items */
#define MARK "genie "

static const char *const texts[] = {"id",        "title",       "description",   "uploader",  "uploader_url",
                                    "channel",   "channel_url", "upload_date",   "thumbnail", "webpage_url",
                                    "extractor", "live_status", "playlist_title"};
static const char *const numbers[] = {"duration", "timestamp", "view_count", "like_count",    "comment_count",
                                      "width",    "height",    "age_limit",  "playlist_count"};
static const char *const lists[] = {"tags", "categories"};

struct finding {
    json_t *raw; /* what it printed; owned */
    bool odd;    /* something that isn't JSON */
};

static void on_line(void *ctx, const char *line)
{
    struct finding *f = ctx;
    if (!str_has_prefix(line, MARK) || f->raw)
        return;
    f->raw = json_parse(line + strlen(MARK), strlen(line + strlen(MARK)));
    f->odd = !json_is_object(f->raw);
}

/* ---- reducing */

static json_t *short_text(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0;
    if (!text || !utf8_valid(text, len))
        return NULL;
    return json_stringn(text, utf8_floor(text, len, TEXT_MAX));
}

static json_t *short_list(const json_t *value)
{
    json_t *list = json_is_array(value) ? json_array() : NULL;
    for (size_t i = 0; list && i < json_array_size(value) && json_array_size(list) < LIST_MAX; i++) {
        json_t *text = short_text(json_array_get(value, i));
        if (text)
            (void)json_array_append_new(list, text);
    }
    return list;
}

static void put(json_t *to, const char *name, json_t *value)
{
    if (value)
        (void)json_object_set_new(to, name, value);
}

static json_t *reduce(const json_t *raw)
{
    json_t *to = json_object();
    for (size_t i = 0; to && i < ARRAY_LEN(texts); i++)
        put(to, texts[i], short_text(json_object_get(raw, texts[i])));
    for (size_t i = 0; to && i < ARRAY_LEN(numbers); i++) {
        json_t *value = json_object_get(raw, numbers[i]);
        put(to, numbers[i], json_is_number(value) ? json_incref(value) : NULL);
    }
    for (size_t i = 0; to && i < ARRAY_LEN(lists); i++)
        put(to, lists[i], short_list(json_object_get(raw, lists[i])));
    return to;
}

/* ---- asking */

static void add_names(struct buf *b, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(b, "%s%s", b->len > 0 ? "," : "", names[i]);
}

static int add_options(struct media_args *args)
{
    _cleanup_buf_ struct buf names = BUF_INIT(1024);
    add_names(&names, texts, ARRAY_LEN(texts));
    add_names(&names, numbers, ARRAY_LEN(numbers));
    add_names(&names, lists, ARRAY_LEN(lists));
    if (names.failed)
        return -ENOMEM;
    media_add(args, "--skip-download", "--ignore-no-formats-error", "--print");
    media_argf(args, "video:" MARK "%%(.{%s})j", names.data);
    return 0;
}

int media_ytdlp_info(struct media_run *run)
{
    int r;
    struct media_args args;
    struct finding found = {0};
    const struct media_download_params *p = run->params;
    const char *url = ytdlp_url(run, p->input_url, &r);
    struct ytdlp_call call = {
        .args = &args,
        .url = url,
        .max_traffic = TRAFFIC_MAX,
        .max_file = FILE_MAX,
        .too_large = "The page is too large",
        .line = on_line,
        .ctx = &found,
    };
    if (!url)
        return r;
    ytdlp_begin(run, &args);
    r = add_options(&args) < 0 ? media_fail(run, -ENOMEM, "There is not enough memory")
                               : ytdlp_run(run, &call);
    if (r == 0 && (!found.raw || found.odd))
        r = media_fail(run, -EINVAL, "yt-dlp says nothing about this address");
    if (r == 0 && !(run->result = reduce(found.raw)))
        r = media_fail(run, -ENOMEM, "There is not enough memory");
    json_decref(found.raw);
    return r;
}
