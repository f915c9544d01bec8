/* SPDX-License-Identifier: MIT */
/* /assets/:id: a file's bytes for who may read its row. What a file is was seen in its bytes when it came; a
 * browser may show pictures, films and sounds, keeps everything else as a download, runs nothing of it, and
 * may not guess another type. A file never changes, so its id is its entity tag. */
#include "api/directus.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "files/files.h"
#include "files/sniff.h"
#include "http/range.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CSP "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
#define HTTP_DATE_SIZE 64

struct asset {
    const char *id, *name, *type;
    const char *tag;                    /* with its quotes */
    char last_modified[HTTP_DATE_SIZE]; /* "" where it isn't known */
    int64_t bytes;
    int fd;
    bool download; /* asked for as such */
};

/* ---- the request */

struct asked {
    const char *refused; /* a parameter, or NULL */
    bool download;       /* alone, or with any value */
};

/* What Directus would do with the picture, and a token where logs and histories would keep it: refused, since
 * who asks would get something else. */
static void look_at_parameter(void *ctx, const char *name, const char *value)
{
    static const char refused[] =
        "key|width|height|quality|fit|format|withoutEnlargement|transforms|focal_point_x|focal_point_y|"
        "access_token";
    struct asked *asked = ctx;
    (void)value;
    if (choices_have(refused, name, strlen(name)))
        asked->refused = name;
    asked->download = asked->download || strcmp(name, "download") == 0;
}

static bool list_has_tag(const char *list, const char *tag)
{
    const char *item;
    size_t len, tag_len = strlen(tag);
    while (list_next(&list, &item, &len)) {
        if (len > 2 && strncmp(item, "W/", 2) == 0)
            item += 2, len -= 2;
        if ((len == 1 && *item == '*') || (len == tag_len && memcmp(item, tag, len) == 0))
            return true;
    }
    return false;
}

/* Whether the client has it already. Dates are only compared with what we said ourselves, which is what
 * clients send back. */
static bool is_known(const struct request *rq, const struct asset *a)
{
    const char *tags = request_header(rq, "If-None-Match");
    if (tags)
        return list_has_tag(tags, a->tag);
    return a->last_modified[0] && str_equal(request_header(rq, "If-Modified-Since"), a->last_modified);
}

/* The Range, unless it is only for another state of the file. */
static const char *range_of(const struct request *rq, const struct asset *a)
{
    const char *only_if = request_header(rq, "If-Range");
    bool same = !only_if || str_equal(only_if, a->tag) ||
                (a->last_modified[0] && str_equal(only_if, a->last_modified));
    return same ? request_header(rq, "Range") : NULL;
}

/* ---- the answer's headers */

static void format_date(const char *iso, char *to)
{
    int64_t ms;
    struct tm tm;
    to[0] = '\0';
    if (!iso || clock_parse_iso(iso, &ms) < 0)
        return;
    time_t seconds = (time_t)(ms / 1000);
    if (gmtime_r(&seconds, &tm))
        (void)strftime(to, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* RFC 6266: a name in ASCII for the oldest, and the name itself (RFC 8187). */
static const char *disposition(struct request *rq, const struct asset *a)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    bool shown = sniff_is_inline(a->type) && !a->download;
    (void)buf_addf(&b, "%s; filename=\"", shown ? "inline" : "attachment");
    for (const char *s = a->name; *s; s++)
        (void)buf_addf(&b, "%c", *s >= ' ' && *s <= '~' && !strchr("\"\\%", *s) ? *s : '_');
    (void)buf_adds(&b, "\"; filename*=UTF-8''");
    (void)url_encode(&b, a->name);
    return b.failed ? NULL : arena_strdup(&rq->arena, buf_str(&b));
}

static void add_headers(struct request *rq, const struct asset *a)
{
    reply_header(rq, "ETag", a->tag);
    if (a->last_modified[0])
        reply_header(rq, "Last-Modified", a->last_modified);
    reply_header(rq, "Accept-Ranges", "bytes");
    reply_header(rq, "Cache-Control", "private, no-cache"); /* kept, and asked about: it may be deleted */
    reply_header(rq, "Content-Security-Policy", CSP);
    reply_header(rq, "Cross-Origin-Resource-Policy", "same-site");
}

/* ---- the file */

static reply refuse_range(struct request *rq, const struct asset *a)
{
    const char *range = arena_printf(&rq->arena, "bytes */%lld", (long long)a->bytes);
    if (range)
        reply_header(rq, "Content-Range", range);
    return reply_error(rq, ERR_RANGE_NOT_SATISFIABLE, NULL);
}

static reply send_range(struct request *rq, struct asset *a)
{
    const char *type = strcmp(a->type, "text/plain") == 0 ? "text/plain; charset=utf-8" : a->type;
    int64_t first = 0, last = a->bytes - 1;
    enum range range = range_parse(range_of(rq, a), a->bytes, &first, &last);
    if (range == RANGE_UNSATISFIABLE)
        return refuse_range(rq, a);
    if (range == RANGE_WHOLE)
        return reply_file(rq, 200, type, TAKE_FD(a->fd), 0, a->bytes);
    const char *sent = arena_printf(&rq->arena, "bytes %lld-%lld/%lld", (long long)first, (long long)last,
                                    (long long)a->bytes);
    if (!sent)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    reply_header(rq, "Content-Range", sent);
    return reply_file(rq, 206, type, TAKE_FD(a->fd), first, last - first + 1);
}

static reply send_asset(struct request *rq, struct asset *a)
{
    const char *named = disposition(rq, a);
    if (!named)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    add_headers(rq, a);
    if (is_known(rq, a))
        return reply_empty(rq, 304);
    reply_header(rq, "Content-Disposition", named);
    return send_range(rq, a);
}

/* Opens the bytes, which must be those that the row tells of. */
static int open_asset(struct request *rq, const json_t *row, struct asset *ret)
{
    struct stat st;
    ret->id = json_str(row, "id", "");
    ret->name = json_str(row, "filename_download", "file");
    ret->type = json_str(row, "type", "application/octet-stream");
    ret->tag = arena_printf(&rq->arena, "\"%s\"", ret->id);
    format_date(json_str(row, "uploaded_on", NULL), ret->last_modified);
    ret->fd = file_open_bytes(rq->app->files, ret->id);
    if (ret->fd < 0)
        return ret->fd;
    if (!ret->tag || fstat(ret->fd, &st) < 0)
        return -ENOMEM;
    ret->bytes = st.st_size;
    return st.st_size == json_int(row, "filesize", -1) ? 0 : -EIO;
}

/* A file that is deleted between its row and its bytes is one that isn't there. */
static reply refuse_bytes(struct request *rq, int r)
{
    _cleanup_json_ json_t *row = NULL;
    struct items_error error;
    int still = items_read_one(rq->app->db, rq->who, "directus_files", rq->params[0], NULL, &row, &error);
    if (still < 0)
        return directus_refuse_items(rq, still, &error, false);
    log_event(LOG_ERROR, "the bytes of a file can't be sent", LOG_S("file", json_str(row, "id", "")),
              LOG_S("error", strerror(-r)));
    return reply_error(rq, ERR_INTERNAL, NULL);
}

reply directus_asset_read(struct request *rq)
{
    _cleanup_json_ json_t *row = NULL;
    struct items_error error;
    struct asked asked = {0};
    request_each_query(rq, look_at_parameter, &asked);
    if (asked.refused)
        return reply_error(rq, ERR_INVALID_QUERY,
                           arena_printf(&rq->arena, "\"%s\" isn't supported here", asked.refused));
    int r = items_read_one(rq->app->db, rq->who, "directus_files", rq->params[0], NULL, &row, &error);
    if (r < 0)
        return directus_refuse_items(rq, r, &error, false);
    struct asset a = {.fd = -1, .download = asked.download};
    r = open_asset(rq, row, &a);
    reply made = r == 0 ? send_asset(rq, &a) : refuse_bytes(rq, r);
    if (a.fd >= 0)
        (void)close(a.fd);
    return made;
}
