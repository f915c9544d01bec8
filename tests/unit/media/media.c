/* SPDX-License-Identifier: MIT */
#include "media.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/keep.h"
#include "base/text.h"
#include "proc/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define OUTPUT_MOST ((size_t)64 * 1024 * 1024)
#define WORDS_MAX 96

static void on_progress(void *ctx, int percent)
{
    struct media *m = ctx;
    assert_in_range(percent, 0, 100);
    assert_true(m->percents++ == 0 || percent > m->last);
    m->last = percent;
    if (m->during)
        m->during(m, percent);
}

static void on_log(void *ctx, const char *line)
{
    struct media *m = ctx;
    size_t len = strlen(m->log);
    assert_true(utf8_valid(line, strlen(line)));
    (void)snprintf(m->log + len, sizeof m->log - len, "%s\n", line);
}

int media_setup(void **state)
{
    struct media *m = calloc(1, sizeof *m);
    assert_non_null(m);
    (void)strcpy(m->dir, "/tmp/genie-media-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    m->cfg.media_tmp_dir = strdup(media_path(m, "tmp"));
    m->cfg.data_dir = m->dir;
    m->cfg.max_upload_mb = 64;
    m->cfg.media_threads = 2;
    m->tmp.lock = -1;
    arena_init(&m->arena, (size_t)16 * 1024 * 1024);
    *state = m;
    return 0;
}

static void end_run(struct media *m)
{
    json_decref(m->run.result);
    json_decref(m->params);
    m->run.result = m->params = NULL;
    arena_free(&m->arena);
    if (m->tmp.lock >= 0)
        media_tmp_remove(&m->tmp);
}

int media_teardown(void **state)
{
    struct media *m = *state;
    end_run(m);
    keep_remove_tree(m->dir);
    free((char *)(uintptr_t)m->cfg.media_tmp_dir);
    free(m);
    return 0;
}

const char *media_path(const struct media *m, const char *name)
{
    static char paths[16][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];
    (void)snprintf(path, PATH_MAX, "%s/%s", m->dir, name);
    return path;
}

/* ---- programs */

static void collect(void *ctx, enum process_stream from, const char *data, size_t len)
{
    if (from == PROCESS_STDOUT)
        (void)buf_add(ctx, data, len);
    else
        (void)fwrite(data, 1, len, stderr);
}

char *media_tool_output(const struct media *m, const char *words)
{
    const char *argv[WORDS_MAX] = {NULL};
    size_t n = 0;
    _cleanup_free_ char *copy = strdup(words);
    char *rest = copy;
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
        if (*word && n + 1 < WORDS_MAX)
            argv[n++] = word;
    struct buf out = BUF_INIT(OUTPUT_MOST);
    struct process_spec spec = {
        .argv = argv, .dir = m->dir, .limit_ms = PATIENCE_MS, .output = collect, .ctx = &out};
    struct process_end end;
    assert_int_equal(process_run(&spec, &end), 0);
    if (end.how != PROCESS_EXITED || end.code != 0)
        fail_msg("%s: %d", words, end.code);
    return buf_take(&out, NULL);
}

void media_do(const struct media *m, const char *words)
{
    free(media_tool_output(m, words));
}

void media_write(const struct media *m, const char *name, const void *data, size_t len)
{
    _cleanup_close_ int fd = open(media_path(m, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(keep_write(fd, data, len), 0);
}

void media_make_film(const struct media *m, const char *name, const char *size, const char *seconds)
{
    char words[512];
    (void)snprintf(words, sizeof words,
                   "ffmpeg -v error -y -f lavfi -i testsrc=s=%s:d=%s:r=10 -f lavfi -i sine=d=%s "
                   "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -shortest %s",
                   size, seconds, seconds, name);
    media_do(m, words);
}

void media_make_picture(const struct media *m, const char *name, const char *size)
{
    char words[256];
    (void)snprintf(words, sizeof words, "ffmpeg -v error -y -f lavfi -i testsrc=s=%s -frames:v 1 %s", size,
                   name);
    media_do(m, words);
}

/* ---- operating */

static void add_inputs(struct media *m, va_list ap)
{
    for (const char *name = va_arg(ap, const char *); name; name = va_arg(ap, const char *))
        (void)snprintf(m->run.inputs[m->run.n_inputs++].path, PATH_MAX, "%s", media_path(m, name));
}

int media_operate(struct media *m, const char *op, const char *params, ...)
{
    struct body_error error;
    struct cancel *cancel = m->run.cancel;
    va_list ap;
    end_run(m);
    m->percents = 0;
    m->log[0] = '\0';
    assert_int_equal(media_tmp_make(&m->cfg, &m->tmp), 0);
    m->run = (struct media_run){.arena = &m->arena,
                                .cfg = &m->cfg,
                                .dir = m->tmp.path,
                                .job_id = "job",
                                .user_id = "user",
                                .cancel = cancel,
                                .progress = on_progress,
                                .log = on_log,
                                .ctx = m};
    va_start(ap, params);
    add_inputs(m, ap);
    va_end(ap);
    m->op = media_operation_find(op);
    assert_non_null(m->op);
    m->params = json_parse(params, strlen(params));
    if (media_params_bind(m->op, m->params, &m->arena, &m->run.params, &error) < 0)
        fail_msg("%s %s: %s", op, params, error.sentence);
    struct media_operation limited = *m->op;
    limited.limit_ms = m->limit_ms ? m->limit_ms : limited.limit_ms;
    int r = media_run_operation(&limited, &m->run);
    if (r == 0)
        assert_int_equal(m->last, 100);
    if (r < 0)
        print_message("%s\n%s", m->run.error, m->log);
    if (r < 0)
        assert_true(m->run.error[0] && m->run.n_outputs == 0 && !m->run.result);
    else if (m->run.error[0])
        fail_msg("%s", m->run.error);
    assert_null(strstr(m->run.error, m->dir));
    assert_null(strstr(m->log, m->dir));
    return r;
}

const struct media_output *media_result(const struct media *m)
{
    assert_true(m->run.n_outputs > 0);
    return &m->run.outputs[0];
}

/* ---- looking */

unsigned media_pixel(const struct media *m, const char *path, int x, int y)
{
    char words[PATH_MAX + 256];
    (void)snprintf(
        words, sizeof words,
        "ffmpeg -v error -i file:%s -frames:v 1 -vf format=rgb24,crop=1:1:%d:%d:exact=1 -f rawvideo -", path,
        x, y);
    _cleanup_free_ char *out = media_tool_output(m, words);
    return (unsigned)(unsigned char)out[0] << 16 | (unsigned)(unsigned char)out[1] << 8 |
           (unsigned char)out[2];
}

char *media_probe(const struct media *m, const char *path, const char *entry)
{
    char words[PATH_MAX + 256];
    (void)snprintf(words, sizeof words,
                   "ffprobe -v error -select_streams v:0 -of default=nk=1:nw=1 -show_entries %s file:%s",
                   entry, path);
    char *out = media_tool_output(m, words);
    out[strcspn(out, "\n")] = '\0';
    return out;
}

int media_leftovers(const struct media *m)
{
    int n = 0;
    DIR *dir = opendir(m->cfg.media_tmp_dir);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        n += entry->d_name[0] != '.';
    (void)closedir(dir);
    return n - (m->tmp.lock >= 0);
}
