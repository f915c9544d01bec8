/* SPDX-License-Identifier: MIT */
/* The proxy's password goes by the environment, which only the server's own user can read, and is taken out
 * of what yt-dlp prints. That it finds no FFmpeg is meant: FFmpeg would open what a playlist names, files
 * included. What its errors mean is told by their words, since its exit status tells nothing. */
#include "media/ytdlp.h"

#include "base/cleanup.h"
#include "base/keep.h"
#include "base/text.h"
#include "net/guard.h"
#include "net/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_BYTES (64 * 1024)
#define NO_FFMPEG "/nonexistent"
#define NETWORK_S "20" /* without an answer */
#define TRIES "3"
#define PYTHON "python"
#define ENV_SIZE 9

struct listener {
    const struct ytdlp_call *call;
    const struct proxy *proxy;
    char error[512]; /* its first error */
    struct buf line; /* of its output, as it comes */
};

const char *ytdlp_url(struct media_run *run, const char *of_params, int *ret)
{
    const char *url = of_params ? of_params : run->input_url;
    if (!url) {
        *ret = media_fail(run, -EINVAL, "The job names no input_url");
        return NULL;
    }
    *ret = guard_parse_url(url, NULL);
    if (*ret == 0 && !run->cfg->allow_private_urls)
        *ret = guard_check_url(url);
    if (*ret == -EACCES)
        (void)media_fail(run, *ret, "The address is not a public one");
    else if (*ret < 0)
        (void)media_fail(run, *ret, "input_url must be a http or https address");
    return *ret < 0 ? NULL : url;
}

void ytdlp_begin(struct media_run *run, struct media_args *args)
{
    *args = (struct media_args){.arena = run->arena};
    media_add(args, run->cfg->ytdlp_bin ? run->cfg->ytdlp_bin : "yt-dlp", "--ignore-config", "--no-cache-dir",
              "--no-playlist", "--playlist-items", "1", "--ffmpeg-location", NO_FFMPEG, "--downloader",
              "native", "--socket-timeout", NETWORK_S, "--retries", TRIES, "--fragment-retries", TRIES,
              "--extractor-retries", "1");
}

/* ---- what it prints */

/* Overwrites what stands between "http://" and "@" of the proxy's URL, wherever it stands. */
static void hide_password(const struct proxy *proxy, char *line)
{
    const char *from = strchr(proxy_url(proxy), '/') + 2;
    size_t len = strcspn(from, "@");
    for (char *at = line; (at = memmem(at, strlen(at), from, len)); at += len)
        memset(at, '*', len);
}

static void on_error_line(void *ctx, char *line)
{
    struct listener *l = ctx;
    hide_password(l->proxy, line);
    if (!l->error[0] && str_has_prefix(line, "ERROR:"))
        (void)snprintf(l->error, sizeof l->error, "%s", line);
}

static void end_output_line(struct listener *l)
{
    const char *text = buf_str(&l->line);
    if (text && l->line.len > 0 && !l->line.failed && l->call->line)
        l->call->line(l->call->ctx, text);
    buf_reset(&l->line);
}

static void on_output(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct listener *l = ctx;
    (void)from;
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        (void)buf_add(&l->line, data, n); /* a line that is too long is passed over */
        if (!end)
            return;
        end_output_line(l);
        data += n + 1;
        len -= n + 1;
    }
}

/* ---- what its end means */

static const struct {
    const char *words;
    int error;
    const char *sentence;
} meanings[] = {
    {"Unsupported URL", -EINVAL, "There is no video at this address that can be taken"},
    {"is not a valid URL", -EINVAL, "There is no video at this address that can be taken"},
    {"No video formats found", -EINVAL, "There is no video at this address that can be taken"},
    {"Requested format is not available", -EINVAL, "The video has no form that can be taken"},
    {"ffmpeg could not be found", -EINVAL, "The video has no form that can be taken"},
    {"Redirection to url", -EACCES, "The site leads to an address that is neither http nor https"},
    {"DRM", -EINVAL, "The video is protected against copying"},
    {"Private video", -EACCES, "The site shows this video only to those who are logged in"},
    {"Sign in", -EACCES, "The site shows this video only to those who are logged in"},
    {"log in", -EACCES, "The site shows this video only to those who are logged in"},
    {"login", -EACCES, "The site shows this video only to those who are logged in"},
    {"--cookies", -EACCES, "The site shows this video only to those who are logged in"},
    {"available in your country", -EACCES, "The site doesn't show this video where the server stands"},
    {"geo restrict", -EACCES, "The site doesn't show this video where the server stands"},
    {"HTTP Error 404", -EINVAL, "The site has nothing at this address (status 404)"},
    {"HTTP Error 410", -EINVAL, "The site has nothing at this address (status 410)"},
    {"HTTP Error 401", -EACCES, "The site wants a login (status 401)"},
    {"HTTP Error 403", -EACCES, "The site refused (status 403)"},
    {"HTTP Error 429", -EAGAIN, "The site wants fewer requests (status 429)"},
    {"HTTP Error 5", -EAGAIN, "The site has a fault of its own"},
    {"No space left", -ENOSPC, "The server's disk is full"},
    {"timed out", -ETIMEDOUT, "The site did not answer in time"},
    {"ile:// URLs are", -EACCES, "The video is put together from files of the server, which are not read"},
    {"ile:// scheme", -EACCES, "The video is put together from files of the server, which are not read"},
};

const char *ytdlp_sentence(const char *line, int *ret_error)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcasestr(line, meanings[i].words)) {
            *ret_error = meanings[i].error;
            return meanings[i].sentence;
        }
    *ret_error = -EINVAL;
    return "yt-dlp could not take a video from this address; it may be too old for this site";
}

static int tell_failure(struct media_run *run, const struct listener *l, struct proxy *proxy)
{
    struct proxy_report report;
    int error;
    proxy_report(proxy, &report);
    if (report.not_public)
        return media_fail(run, -EACCES, "The address is not a public one, or leads to one that isn't");
    if (report.bad_port)
        return media_fail(run, -EACCES, "The address has, or leads to, a port that is not one of the web");
    if (report.unknown_host)
        return media_fail(run, -EINVAL, "The host of this address, or one that it leads to, is not known");
    if (report.unreachable)
        return media_fail(run, -EAGAIN, "The site could not be reached");
    const char *sentence = ytdlp_sentence(l->error, &error);
    return media_fail(run, error, "%s", sentence);
}

static int judge(struct media_run *run, const struct listener *l, struct proxy *proxy,
                 const struct process_end *end)
{
    struct proxy_report report;
    proxy_report(proxy, &report);
    if (cancel_raised(run->cancel))
        return media_fail(run, -ECANCELED, "The job was cancelled");
    if (report.spent)
        return media_fail(run, -EFBIG, "%s", l->call->too_large);
    if (end->how == PROCESS_EXITED && end->code == 0)
        return 0;
    if (end->how == PROCESS_TIMED_OUT)
        return media_fail(run, -ETIMEDOUT, "It took longer than a job may");
    if (end->how == PROCESS_KILLED)
        return media_fail(run, -EAGAIN, "yt-dlp was ended by signal %d", end->code);
    if (strcasestr(l->error, "File too large"))
        return media_fail(run, -EFBIG, "%s", l->call->too_large);
    return tell_failure(run, l, proxy);
}

/* ---- running */

/* A WebSocket would go around the proxy: where yt-dlp's Python looks first, the library for it isn't there.
 */
static int hide_websockets(struct media_run *run, const char *dir)
{
    static const char text[] = "raise ImportError('not to be used here')\n";
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/websockets.py", dir) >= (int)sizeof path)
        return media_fail(run, -ENAMETOOLONG, "The directory's path is too long");
    _cleanup_close_ int fd =
        mkdir(dir, 0700) < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    int r = fd < 0 ? -errno : keep_write(fd, text, strlen(text));
    return r < 0 ? media_fail(run, r, "Nothing can be written into the working directory: %s", strerror(-r))
                 : 0;
}

/* The names that Python and others look at, "no_proxy" being what would lead around it. */
static bool make_environment(struct arena *a, const struct proxy *proxy, const char *python, const char **ret)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ret[n++] = arena_printf(a, "%s=%s", names[i], proxy_url(proxy));
    ret[n++] = arena_printf(a, "PYTHONPATH=%s", python);
    ret[n++] = "no_proxy=";
    ret[n++] = "PYTHONNOUSERSITE=1";
    ret[n++] = "PYTHONDONTWRITEBYTECODE=1";
    ret[n] = NULL;
    return ret[0] && ret[1] && ret[2] && ret[3] && ret[4];
}

static int run_behind(struct media_run *run, const struct ytdlp_call *call, struct proxy *proxy,
                      struct cancel *stop)
{
    char python[PATH_MAX];
    const char *env[ENV_SIZE];
    struct process_end end;
    struct arena secrets;
    struct listener l = {.call = call, .proxy = proxy, .line = BUF_INIT(LINE_BYTES)};
    struct media_tool tool = {
        .args = call->args,
        .out = on_output,
        .ctx = &l,
        .line = on_error_line,
        .env = env,
        .dir = call->dir,
        .cancel = stop,
        .max_file = call->max_file,
    };
    arena_init(&secrets, 4096);
    int r = media_work_path(run, PYTHON, python, sizeof python);
    if (r == 0)
        r = hide_websockets(run, python);
    if (r == 0 && !make_environment(&secrets, proxy, python, env))
        r = media_fail(run, -ENOMEM, "Out of memory");
    if (r == 0)
        r = media_program(run, &tool, &end);
    if (r == 0) {
        end_output_line(&l);
        r = judge(run, &l, proxy, &end);
    }
    arena_wipe(&secrets);
    buf_free(&l.line);
    return r;
}

int ytdlp_run(struct media_run *run, const struct ytdlp_call *call)
{
    struct cancel stop = {.parent = run->cancel};
    struct proxy_options options = {
        .allow_private = run->cfg->allow_private_urls,
        .max_bytes = call->max_traffic,
        .ended = &stop,
    };
    _cleanup_(proxy_closeP) struct proxy *proxy = NULL;
    media_add(call->args, "--", call->url);
    int r = proxy_open(&options, &proxy);
    if (r < 0)
        return media_fail(run, r, "The way out to the network can't be opened: %s", strerror(-r));
    return run_behind(run, call, proxy, &stop);
}
