/* SPDX-License-Identifier: MIT */
/* Programs of a run: what they are told, and what their ends mean to a user. */
#include "media/internal.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define MIB ((int64_t)1024 * 1024)
#define LINE_BYTES 400
#define ENV_MOST 16
#define LINES_MOST 40 /* of one program's errors, into the job's log */

/* ---- arguments */

void media_arg(struct media_args *args, const char *arg)
{
    if (!arg || args->n + 1 >= MEDIA_ARGS_MAX) {
        args->failed = true;
        return;
    }
    args->argv[args->n++] = arg;
    args->argv[args->n] = NULL;
}

void media_argf(struct media_args *args, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    media_arg(args, arena_vprintf(args->arena, fmt, ap));
    va_end(ap);
}

void media_arg_list(struct media_args *args, const char *const *list)
{
    for (; *list; list++)
        media_arg(args, *list);
}

/* ---- what they print */

struct listening {
    struct media_run *run;
    const struct media_tool *tool;
    char line[LINE_BYTES + 1];
    size_t len;
    int lines;
    bool no_space, no_memory, too_large;
};

/* Without its path. */
static const char *program_name(const struct media_tool *tool)
{
    const char *path = tool->args->argv[0], *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void end_line(struct listening *l)
{
    l->line[l->len] = '\0';
    text_make_printable(l->line);
    l->no_space |= strstr(l->line, "No space left on device") != NULL;
    l->too_large |= strstr(l->line, "File too large") != NULL;
    l->no_memory |= strstr(l->line, "Cannot allocate memory") || strstr(l->line, "resources exhausted") ||
                    strstr(l->line, "emory allocation failed");
    const char *program = program_name(l->tool);
    if (l->len > 0 && l->tool->line)
        l->tool->line(l->tool->ctx, l->line);
    if (l->len > 0 && l->lines++ < LINES_MOST)
        media_log(l->run, "%s%s%s", str_has_prefix(l->line, program) ? "" : program,
                  str_has_prefix(l->line, program) ? "" : ": ", l->line);
    l->len = 0;
}

static void listen_to(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct listening *l = ctx;
    if (from == PROCESS_STDOUT) {
        if (l->tool->out)
            l->tool->out(l->tool->ctx, from, data, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' || l->len == LINE_BYTES)
            end_line(l);
        if (data[i] != '\n' && data[i] != '\r')
            l->line[l->len++] = data[i] ? data[i] : '?';
    }
}

/* ---- running */

static const struct {
    const char *program, *package;
} packages[] = {
    {"ffmpeg", "ffmpeg"},
    {"ffprobe", "ffmpeg"},
    {"convert", "imagemagick"},
    {"identify", "imagemagick"},
    {"exiftool", "libimage-exiftool-perl"},
    {"yt-dlp", "yt-dlp"},
};

static int not_started(struct media_run *run, const char *program, int r)
{
    for (size_t i = 0; i < ARRAY_LEN(packages) && r == -ENOENT; i++)
        if (str_equal(packages[i].program, program))
            return media_fail(
                run, r, "%s isn't installed on the server, and this operation needs it: apt-get install %s",
                program, packages[i].package);
    if (r == -ENOENT && strchr(program, '/'))
        return media_fail(run, r, "The program that the server's settings name for this isn't there");
    return media_fail(run, r, "%s can't be started: %s", program, strerror(-r));
}

int64_t media_output_most(const struct media_run *run)
{
    return 2 * run->cfg->max_upload_mb * MIB;
}

static int ended_badly(struct media_run *run, const struct listening *l, const struct process_end *end)
{
    const char *program = l->tool->args->argv[0];
    if (end->how == PROCESS_CANCELLED)
        return media_fail(run, -ECANCELED, "The job was cancelled");
    if (end->how == PROCESS_TIMED_OUT)
        return media_fail(run, -ETIMEDOUT, "It took longer than a job may");
    if (l->too_large || (end->how == PROCESS_KILLED && end->code == SIGXFSZ))
        return media_fail(run, -EFBIG, "The result would have more than %lld MiB",
                          (long long)(media_output_most(run) / MIB));
    if (end->how == PROCESS_KILLED)
        return media_fail(run, end->code == SIGKILL ? -EAGAIN : -EINVAL, "%s was ended by signal %d", program,
                          end->code);
    if (l->no_space)
        return media_fail(run, -ENOSPC, "The server's disk is full");
    if (l->no_memory)
        return media_fail(run, -EINVAL, "It needs more memory than a job may have");
    return media_fail(run, -EINVAL, "%s", l->tool->failed);
}

static int make_environment(const struct media_run *run, const struct media_tool *tool, const char **ret)
{
    size_t n = 0;
    ret[n++] = arena_printf(run->arena, "MAGICK_CONFIGURE_PATH=%s", run->work);
    ret[n++] = arena_printf(run->arena, "MAGICK_TEMPORARY_PATH=%s", run->work);
    ret[n++] = arena_printf(run->arena, "MAGICK_THREAD_LIMIT=%lld", (long long)run->cfg->media_threads);
    if (!ret[0] || !ret[1] || !ret[2])
        return -ENOMEM;
    for (const char *const *e = tool->env; e && *e && n + 1 < ENV_MOST; e++)
        ret[n++] = *e;
    ret[n] = NULL;
    return 0;
}

static int run_program(struct listening *l, struct process_end *ret)
{
    struct media_run *run = l->run;
    const struct media_tool *tool = l->tool;
    const char *env[ENV_MOST];
    if (tool->args->failed || make_environment(run, tool, env) < 0)
        return media_fail(run, -ENOMEM, "There is not enough memory");
    struct process_spec spec = {
        .argv = tool->args->argv,
        .env = env,
        .dir = tool->dir ? tool->dir : run->work,
        .limit_ms = run->until_ms - clock_monotonic_ms(),
        .max_memory = MEDIA_PROGRAM_MEMORY,
        .max_file = tool->max_file ? tool->max_file : media_output_most(run),
        .cancel = tool->cancel ? tool->cancel : run->cancel,
        .output = listen_to,
        .ctx = l,
    };
    int r = process_run(&spec, ret);
    if (r < 0)
        return not_started(run, tool->args->argv[0], r);
    end_line(l);
    return 0;
}

int media_program(struct media_run *run, const struct media_tool *tool, struct process_end *ret)
{
    struct listening l = {.run = run, .tool = tool};
    return run_program(&l, ret);
}

int media_tool(struct media_run *run, const struct media_tool *tool)
{
    struct listening l = {.run = run, .tool = tool};
    struct process_end end;
    int r = run_program(&l, &end);
    if (r < 0)
        return r;
    return end.how == PROCESS_EXITED && end.code == 0 ? 0 : ended_badly(run, &l, &end);
}
