/* SPDX-License-Identifier: MIT */
/* The event thread parses and gathers what belongs to the file; when 64 KiB have gathered, the connection
 * sleeps while a worker writes them. The file has no name (O_TMPFILE, or unlinked at once where the file
 * system can't), so whatever happens, nothing is left of it. */
#include "http/upload.h"

#include "base/keep.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/text.h"
#include "http/exchange.h"
#include "http/multipart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define WINDOW ((size_t)64 * 1024)
#define WINDOW_MAX (WINDOW + (size_t)32 * 1024) /* and the piece that fills it */
#define TEXTS_MAX ((size_t)512 * 1024)
#define NAME_MAX_BYTES 128

struct intake_upload {
    struct upload seen;
    struct multipart parser;
    struct sink *sink;
    struct pool *workers;
    struct arena texts;
    const char *directory;
    struct upload_field fields[UPLOAD_FIELDS_MAX];
    size_t max_file;

    bool has_file, skips; /* skips: a file input in which none was chosen */
    const char *field;    /* whose value is being read; NULL = the file is */
    struct buf value;
    struct buf window; /* of the file, to be written */

    EVP_MD_CTX *digesting; /* of the file's bytes; NULL: nobody needs it */
    uint8_t digest[IDEMPOTENCY_DIGEST_SIZE];

    enum error_id error; /* why it is refused; with these details, in texts or static */
    const char *error_field, *sentence;
};

size_t upload_limit(const struct config *cfg, size_t max)
{
    return max ? max : (size_t)cfg->max_upload_mb * 1024 * 1024;
}

const char *upload_field(const struct upload *u, const char *name)
{
    for (size_t i = 0; i < u->n_fields; i++)
        if (str_equal(u->fields[i].name, name))
            return u->fields[i].value;
    return NULL;
}

/* --- names --------------------------------------------------------------------------------------------- */

void upload_clean_name(const char *sent, char *to)
{
    size_t len = 0;
    for (const char *s = sent; *s; s++)
        if (*s == '/' || *s == '\\')
            sent = s + 1;
    for (size_t left = strlen(sent), n; left > 0 && len < UPLOAD_NAME_MAX; sent += n, left -= n) {
        uint32_t c = 0;
        n = utf8_decode(sent, left, &c);
        bool good = n > 0 && !char_is_control(c);
        n = n ? n : 1;
        if (!good || (len == 0 && c == ' '))
            continue;
        if (len + n > UPLOAD_NAME_MAX)
            break;
        memcpy(to + len, sent, n);
        len += n;
    }
    while (len > 0 && to[len - 1] == ' ')
        len--;
    to[len] = '\0';
    if (str_only(to, "."))
        memcpy(to, "file", sizeof "file");
}

/* --- the parts ----------------------------------------------------------------------------------------- */

static int fail(struct intake_upload *u, enum error_id error, const char *field, const char *sentence)
{
    u->error = error;
    u->error_field = field;
    u->sentence = sentence;
    return -EINVAL;
}

static int begin_file(struct intake_upload *u, const struct multipart_part *part)
{
    char name[UPLOAD_NAME_MAX + 1];
    u->field = NULL;
    u->skips = part->filename[0] == '\0';
    if (u->skips)
        return 0;
    if (u->has_file)
        return fail(u, ERR_MALFORMED_UPLOAD, NULL, "One file can be sent at a time");
    u->has_file = true;
    upload_clean_name(part->filename, name);
    u->seen.part = arena_strdup(&u->texts, part->name);
    u->seen.name = arena_strdup(&u->texts, name);
    u->seen.type =
        part->type && utf8_valid(part->type, strlen(part->type)) ? arena_strdup(&u->texts, part->type) : NULL;
    u->seen.fields_before = u->seen.n_fields;
    return u->seen.part && u->seen.name ? 0 : -ENOMEM;
}

static int on_begin(void *ctx, const struct multipart_part *part)
{
    struct intake_upload *u = ctx;
    size_t len = strlen(part->name);
    if (len > NAME_MAX_BYTES || !utf8_valid(part->name, len))
        return fail(u, ERR_MALFORMED_UPLOAD, NULL, "A field's name is too long or not UTF-8");
    if (part->filename)
        return begin_file(u, part);
    if (u->seen.n_fields == UPLOAD_FIELDS_MAX)
        return fail(u, ERR_MALFORMED_UPLOAD, NULL, "The form has too many fields");
    buf_reset(&u->value);
    u->field = arena_strdup(&u->texts, part->name);
    return u->field ? 0 : -ENOMEM;
}

static int on_file_data(struct intake_upload *u, const char *data, size_t len)
{
    if (u->skips)
        return fail(u, ERR_MALFORMED_UPLOAD, NULL, "The file has no name");
    u->seen.size += (int64_t)len;
    if ((uint64_t)u->seen.size > u->max_file)
        return fail(u, ERR_TOO_LARGE, u->seen.part, "The file is too large");
    return buf_add(&u->window, data, len);
}

static int on_data(void *ctx, const char *data, size_t len)
{
    struct intake_upload *u = ctx;
    if (!u->field)
        return on_file_data(u, data, len);
    int r = buf_add(&u->value, data, len);
    return r == -ENOBUFS ? fail(u, ERR_TOO_LARGE, u->field, "A field of the form is too large") : r;
}

static int on_end(void *ctx)
{
    struct intake_upload *u = ctx;
    const char *value = buf_str(&u->value);
    if (!u->field)
        return 0;
    if (!value)
        return -ENOMEM;
    if (strlen(value) != u->value.len || !utf8_valid(value, u->value.len))
        return fail(u, ERR_INVALID_FIELD, u->field, "A field of the form is not UTF-8 text");
    char *kept = arena_strdup(&u->texts, value);
    if (!kept)
        return fail(u, ERR_TOO_LARGE, u->field, "The fields of the form are too large");
    u->fields[u->seen.n_fields++] = (struct upload_field){u->field, kept};
    return 0;
}

static const struct multipart_events part_events = {on_begin, on_data, on_end};

/* --- the disk, on a worker ----------------------------------------------------------------------------- */

/* A descriptor, or negative errno. */
static int open_nameless(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd >= 0 ? fd : -errno;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/upload-XXXXXX", directory) >= (int)sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    return fd;
}

static void disk_failed(struct intake_upload *u, int r)
{
    bool full = r == -ENOSPC || r == -EDQUOT || r == -EFBIG;
    (void)fail(u, full ? ERR_STORAGE_FULL : ERR_INTERNAL, NULL, NULL);
    log_event(LOG_ERROR, "an upload can't be written", LOG_S("directory", u->directory),
              LOG_S("error", strerror(-r)));
}

static void write_window(void *arg)
{
    struct intake_upload *u = arg;
    int r = u->seen.fd < 0 ? open_nameless(u->directory) : u->seen.fd;
    if (r >= 0) {
        u->seen.fd = r;
        r = keep_write(u->seen.fd, u->window.data, u->window.len);
    }
    if (u->digesting && EVP_DigestUpdate(u->digesting, u->window.data, u->window.len) != 1)
        r = r < 0 ? r : -ENOMEM;
    buf_reset(&u->window);
    if (r < 0)
        disk_failed(u, r);
    sink_wake(u->sink);
}

/* SINK_FULL, or a negative errno. */
static int have_written(struct intake_upload *u)
{
    if (pool_submit(u->workers, write_window, u) < 0)
        return fail(u, ERR_OVERLOADED, NULL, NULL);
    return SINK_FULL;
}

/* --- the sink ------------------------------------------------------------------------------------------ */

static int take(void *ctx, const char *data, size_t len)
{
    struct intake_upload *u = ctx;
    if (u->error)
        return -EINVAL;
    int r = multipart_push(&u->parser, data, len);
    if (r < 0)
        return r;
    return u->window.len >= WINDOW ? have_written(u) : SINK_MORE;
}

static int end_digest(struct intake_upload *u)
{
    if (u->digesting && !u->seen.digest) {
        if (EVP_DigestFinal_ex(u->digesting, u->digest, NULL) != 1)
            return -ENOMEM;
        u->seen.digest = u->digest;
    }
    return 0;
}

static int end(void *ctx)
{
    struct intake_upload *u = ctx;
    if (u->error)
        return -EINVAL;
    int r = multipart_end(&u->parser);
    if (r < 0)
        return r;
    if (u->window.len > 0 || (u->has_file && u->seen.fd < 0))
        return have_written(u);
    return end_digest(u);
}

static reply refuse(void *ctx, struct request *rq, int r)
{
    struct intake_upload *u = ctx;
    enum error_id error = u->error;
    const char *sentence = u->sentence;
    if (!error && r == -E2BIG)
        sentence = "The form has too many parts, or one with too long headers";
    if (!error)
        error = r == -ENOMEM || r == -ENOBUFS ? ERR_OVERLOADED : ERR_MALFORMED_UPLOAD;
    const char *field = arena_strdup(&rq->arena, u->error_field);
    return reply_field_error(rq, error, field, sentence);
}

static void close_upload(void *ctx)
{
    struct intake_upload *u = ctx;
    if (u->seen.fd >= 0)
        (void)close(u->seen.fd);
    multipart_free(&u->parser);
    buf_free(&u->value);
    buf_free(&u->window);
    arena_free(&u->texts);
    EVP_MD_CTX_free(u->digesting);
    free(u);
}

static const struct sink_ops upload_ops = {.take = take, .end = end, .refuse = refuse, .close = close_upload};

/* MEDIA_TMP_DIR, or `tmp` in the data directory; made when it isn't there. NULL without memory. */
static const char *directory_of(const struct config *cfg, struct arena *a)
{
    const char *directory =
        cfg->media_tmp_dir ? cfg->media_tmp_dir : arena_printf(a, "%s/tmp", cfg->data_dir);
    if (directory && mkdir(directory, 0700) < 0 && errno != EEXIST)
        log_event(LOG_WARN, "can't make the directory for uploads", LOG_S("directory", directory),
                  LOG_S("error", strerror(errno)));
    return directory;
}

static struct intake_upload *new_upload(struct request *rq)
{
    const struct config *cfg = request_config(rq);
    struct intake_upload *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->seen = (struct upload){.fields = u->fields, .fd = -1};
    u->workers = request_workers(rq);
    u->max_file = upload_limit(cfg, rq->route->body.max_file);
    u->value = BUF_INIT(UPLOAD_FIELD_MAX);
    u->window = BUF_INIT(WINDOW_MAX);
    arena_init(&u->texts, TEXTS_MAX);
    u->directory = directory_of(cfg, &u->texts);
    return u;
}

/* A form's bytes differ each time it is sent, by their boundary; what it says doesn't. */
static int begin_digest(struct intake_upload *u, const struct http_exchange *x)
{
    if (!x->idempotency_key)
        return 0;
    u->digesting = EVP_MD_CTX_new();
    return u->digesting && EVP_DigestInit_ex(u->digesting, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

struct sink *upload_open(struct request *rq)
{
    if (!exchange_hold(rq->exchange, 2 * WINDOW_MAX)) /* a buffer may have twice of what is in it */
        return NULL;
    struct intake_upload *u = new_upload(rq);
    if (!u || !u->directory || begin_digest(u, rq->exchange) < 0)
        goto out;
    if (multipart_init(&u->parser, request_header(rq, "Content-Type"), &part_events, u) < 0) {
        (void)reply_error(rq, ERR_MALFORMED_UPLOAD, "The Content-Type names no boundary");
        goto out;
    }
    u->sink = sink_new(rq, &upload_ops, u);
    if (!u->sink)
        goto out;
    rq->upload = &u->seen;
    return u->sink;
out:
    if (u)
        close_upload(u);
    return NULL;
}

int upload_keep(const struct upload *u, const char *path)
{
    return u->fd < 0 ? -EBADF : keep_file(u->fd, path);
}
