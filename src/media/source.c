/* SPDX-License-Identifier: MIT */
#include "media/source.h"

#include "base/cleanup.h"
#include "base/keep.h"
#include "base/text.h"
#include "net/fetch.h"
#include "net/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MIB ((size_t)1024 * 1024)
#define REDIRECTS_MAX 5
#define IDLE_MS 60000

struct target {
    int fd;
    int64_t bytes;
};

static int write_piece(void *ctx, const char *data, size_t len)
{
    struct target *to = ctx;
    int r = keep_write(to->fd, data, len);
    if (r == 0)
        to->bytes += (int64_t)len;
    return r;
}

static int refuse(struct media_source *s, int r, const char *sentence)
{
    (void)snprintf(s->error, sizeof s->error, "%s", sentence);
    s->may_pass = r == -ETIMEDOUT || r == -ENOSPC || r == -ENOMEM || r == -ECONNREFUSED || r == -EAGAIN ||
                  r == -EIO; /* a connection that broke off, a resolver that didn't answer */
    return r;
}

static int tell(struct media_source *s, int r, const char *why)
{
    char sentence[MEDIA_ERROR_MAX];
    if (r == -EMSGSIZE) {
        (void)snprintf(sentence, sizeof sentence, "The file at input_url has more than %lld MiB",
                       (long long)s->cfg->max_upload_mb);
        return refuse(s, -EFBIG, sentence);
    }
    if (r == -ENOSPC)
        return refuse(s, r, "The server's disk is full");
    (void)snprintf(sentence, sizeof sentence, "input_url could not be fetched: %s", why);
    return refuse(s, r, sentence);
}

static int judge_status(struct media_source *s, int status, int64_t bytes)
{
    char sentence[MEDIA_ERROR_MAX];
    if (status >= 200 && status < 300 && bytes > 0) {
        s->bytes = bytes;
        return 0;
    }
    if (status >= 200 && status < 300)
        return refuse(s, -EINVAL, "The file at input_url is empty");
    (void)snprintf(sentence, sizeof sentence, "input_url could not be fetched: its server answered %d",
                   status);
    return refuse(s, status >= 500 || status == 429 ? -EAGAIN : -EINVAL, sentence);
}

static int fetch_into(struct media_source *s, struct target *to)
{
    const struct fetch_request request = {
        .url = s->url,
        .timeout_ms = MEDIA_SOURCE_MS,
        .idle_ms = IDLE_MS,
        .max_body = (size_t)s->cfg->max_upload_mb * MIB,
        .max_redirects = REDIRECTS_MAX,
        .public_only = !s->cfg->allow_private_urls,
        .sink = write_piece,
        .sink_ctx = to,
        .cancel = s->cancel,
    };
    _cleanup_(fetch_response_free) struct fetch_response response = {0};
    int r = fetch(&request, &response);
    return r < 0 ? tell(s, r, response.error) : judge_status(s, response.status, to->bytes);
}

int media_source_fetch(struct media_source *s)
{
    s->error[0] = '\0';
    s->may_pass = false;
    int r = guard_parse_url(s->url, NULL);
    if (r == 0 && !s->cfg->allow_private_urls)
        r = guard_check_url(s->url);
    if (r < 0)
        return refuse(s, r,
                      r == -EACCES ? "input_url leads to an address that is not public"
                                   : "input_url must be a http or https address");
    _cleanup_close_ int fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(s, -errno, "There is no place to put the file at input_url");
    struct target to = {.fd = fd};
    r = fetch_into(s, &to);
    if (r < 0)
        (void)unlink(s->path);
    return r;
}
