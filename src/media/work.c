/* SPDX-License-Identifier: MIT */
/* A run, in order: the row, the operation and its params, a directory, the inputs in it, the programs, the
 * outputs' bytes. Each step says 0, or fails with a sentence for the owner; whatever happens, the directory
 * goes. */
#include "media/work.h"

#include "base/keep.h"
#include "base/log.h"
#include "base/text.h"
#include "media/jobs.h"
#include "media/operation.h"
#include "media/settle.h"
#include "media/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_ROOM "There is no room left for files on the server"

struct doing {
    struct media_worker *w;
    struct queue_work *work;
    struct media_row row;
    const json_t *data;   /* of the job */
    json_t *own_params;   /* the row's, where the data has none */
    struct media_run run; /* of the operation */
    const struct media_operation *op;
    struct media_tmp tmp;
    struct media_finish *finish;
    char inputs[PATH_MAX], outputs[PATH_MAX];
};

/* ---- failing */

static int fail(struct doing *d, enum queue_verdict verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes why, and whether it may pass; always negative. */
static int fail(struct doing *d, enum queue_verdict verdict, const char *fmt, ...)
{
    va_list ap;
    d->work->verdict = verdict;
    va_start(ap, fmt);
    (void)vsnprintf(d->work->error, sizeof d->work->error, fmt, ap);
    va_end(ap);
    return -ECANCELED;
}

/* For what has to do with the machine, not with the job. */
static int fail_errno(struct doing *d, int r, const char *what)
{
    if (r == -ENOSPC || r == -EFBIG)
        return fail(d, WORK_RETRY, NO_ROOM);
    (void)log_error(r, what);
    return fail(d, WORK_RETRY, "Something went wrong on our side");
}

/* ---- what is to be done */

static int read_row(struct doing *d)
{
    struct media_whose whose = {.any = true, .id = media_job_id(&d->work->job)};
    int r = whose.id ? media_row_load(d->w->db, &whose, d->work->arena, &d->row) : 0;
    if (r < 0)
        return fail_errno(d, r, "a media job can't be read");
    if (r == 0)
        return fail(d, WORK_FAILED, "There is no such media job");
    if (!str_equal(d->row.run_id, d->work->job.id))
        return fail(d, WORK_FAILED, "Another run has taken this one's place");
    return 0;
}

/* A member of the job's data, else what the row says. */
static const char *text_of(const struct doing *d, const char *key, const char *own)
{
    return json_str(d->data, key, own);
}

static const json_t *params_of(struct doing *d)
{
    const json_t *params = json_object_get(d->data, "params");
    const char *own = d->row.params;
    if (json_is_object(params) || !own)
        return params;
    d->own_params = json_parse_own(own, strlen(own));
    return d->own_params;
}

static int read_operation(struct doing *d)
{
    struct body_error error = {0};
    d->op = media_operation_find(d->work->job.operation);
    if (!d->op)
        return fail(d, WORK_FAILED, "There is no such operation");
    int r = media_params_bind(d->op, params_of(d), d->work->arena, &d->run.params, &error);
    if (r == -EINVAL)
        return fail(d, WORK_FAILED, "%s", error.sentence);
    return r < 0 ? fail_errno(d, r, "a media job's params can't be read") : 0;
}

/* ---- its directory */

static int make_directory(struct doing *d, const char *name, char ret[PATH_MAX])
{
    if (snprintf(ret, PATH_MAX, "%s/%s", d->tmp.path, name) >= PATH_MAX)
        return -ENAMETOOLONG;
    return mkdir(ret, 0700) < 0 ? -errno : 0;
}

static int make_directories(struct doing *d)
{
    int r = media_tmp_make(d->w->cfg, &d->tmp);
    if (r == 0)
        r = make_directory(d, "inputs", d->inputs);
    if (r == 0)
        r = make_directory(d, "outputs", d->outputs);
    d->run.dir = d->outputs;
    return r < 0 ? fail_errno(d, r, "a media job has no directory to work in") : 0;
}

/* ---- its inputs */

static struct media_input *next_input(struct doing *d)
{
    struct media_input *in = &d->run.inputs[d->run.n_inputs];
    (void)snprintf(in->path, sizeof in->path, "%.*s/%zu", (int)sizeof in->path - 32, d->inputs,
                   d->run.n_inputs);
    d->run.n_inputs++;
    return in;
}

/* A second name for an open file, or a copy where the place is on another disk. */
static int name_file(int fd, const char *path)
{
    char self[32];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : keep_file(fd, path);
}

/* So a stored file stays though its owner deletes it meanwhile, and programs see no path of the store. */
static int place_file(struct doing *d, const char *id)
{
    if (d->run.n_inputs >= MEDIA_INPUTS_MAX)
        return fail(d, WORK_FAILED, "These are too many files");
    _cleanup_close_ int fd = file_open(d->w->files, d->row.user_id, id, NULL, NULL);
    if (fd == -ENOENT)
        return fail(d, WORK_FAILED, "A file that the job needs is no longer there");
    int r = fd < 0 ? fd : name_file(fd, next_input(d)->path);
    return r < 0 ? fail_errno(d, r, "a file of a media job can't be read") : 0;
}

static int place_url(struct doing *d, const char *url)
{
    struct media_source source = {
        .cfg = d->w->cfg, .url = url, .path = next_input(d)->path, .cancel = d->work->cancel};
    if (media_source_fetch(&source) == 0)
        return 0;
    return fail(d, source.may_pass ? WORK_RETRY : WORK_FAILED, "%s", source.error);
}

static int place_inputs(struct doing *d)
{
    const char *ids[MEDIA_INPUTS_MAX];
    const char *file = text_of(d, "input_file_id", d->row.input_file_id);
    const char *url = text_of(d, "input_url", d->row.input_url);
    size_t n = media_params_files(d->op, d->run.params, ids);
    int r = 0;
    d->run.input_url = url;
    if ((d->op->needs & MEDIA_NEEDS_FILE) && !file && !url)
        return fail(d, WORK_FAILED, "The job names no file");
    if (d->op->needs & MEDIA_NEEDS_FILE)
        r = file ? place_file(d, file) : place_url(d, url);
    for (size_t i = 0; i < n && r == 0; i++)
        r = place_file(d, ids[i]);
    return r;
}

/* ---- the programs */

static void tell_progress(void *ctx, int percent)
{
    queue_progress(ctx, percent);
}

static void tell_log(void *ctx, const char *line)
{
    queue_log(ctx, "%s", line);
}

static int run_programs(struct doing *d)
{
    struct media_run *run = &d->run;
    run->arena = d->work->arena;
    run->cfg = d->w->cfg;
    run->job_id = d->work->job.id;
    run->user_id = d->row.user_id;
    run->cancel = d->work->cancel;
    run->progress = tell_progress;
    run->log = tell_log;
    run->ctx = d->work;
    int r = media_run_operation(d->op, run);
    if (r == 0)
        return 0;
    return fail(d, run->may_pass ? WORK_RETRY : WORK_FAILED, "%s", run->error);
}

/* ---- what they made */

static int check_room(struct doing *d)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < d->run.n_outputs; i++)
        bytes += d->run.outputs[i].bytes;
    int r = d->run.n_outputs > 0 ? file_room(d->w->files, d->row.user_id, bytes) : 0;
    if (r == -EDQUOT)
        return fail(d, WORK_FAILED, "%s", error_info(ERR_STORAGE_LIMIT)->sentence);
    return r < 0 ? fail_errno(d, r, "the room of a media job's owner can't be counted") : 0;
}

static int stage(struct doing *d, const struct media_output *output)
{
    struct media_finish *f = d->finish;
    struct media_made *m = &f->made[f->n];
    _cleanup_close_ int fd = open(output->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *m = (struct media_made){.name = output->file_name, .output = output};
    uuid_make(m->asset_id);
    int r = fd < 0 ? -errno : file_look(fd, &m->kind);
    if (r == 0)
        r = file_stage(d->w->files, fd, m->file_id);
    if (r < 0)
        return fail_errno(d, r, "an output of a media job can't be stored");
    f->n++;
    return 0;
}

/* The outputs outlive the run. */
static struct media_output *copy_outputs(struct doing *d)
{
    struct media_output *copy = arena_alloc(d->work->arena, (d->run.n_outputs + 1) * sizeof *copy);
    if (copy)
        memcpy(copy, d->run.outputs, d->run.n_outputs * sizeof *copy);
    return copy;
}

static int store_outputs(struct doing *d)
{
    const struct media_output *outputs = copy_outputs(d);
    d->finish = arena_alloc(d->work->arena, sizeof *d->finish);
    if (!outputs || !d->finish)
        return fail_errno(d, -ENOMEM, "the outputs of a media job can't be stored");
    *d->finish = (struct media_finish){.files = d->w->files};
    memcpy(d->finish->user_id, d->row.user_id, sizeof d->finish->user_id);
    d->work->finish = d->finish;
    int r = check_room(d);
    for (size_t i = 0; i < d->run.n_outputs && r == 0; i++)
        r = stage(d, &outputs[i]);
    return r;
}

static json_t *describe(const struct media_made *m)
{
    const struct media_output *o = m->output;
    bool asset = !str_equal(o->kind, "data");
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s*}", "file_id", m->file_id, "kind", o->kind,
                             "type", m->kind.type, "name", m->name, "bytes", (json_int_t)o->bytes, "asset_id",
                             asset ? m->asset_id : NULL);
    if (item && o->width > 0)
        (void)json_object_set_new(item, "width", json_integer(o->width));
    if (item && o->height > 0)
        (void)json_object_set_new(item, "height", json_integer(o->height));
    if (item && o->duration > 0)
        (void)json_object_set_new(item, "duration", json_real(o->duration));
    return item;
}

/* What the operation says, and the files. */
static int make_result(struct doing *d)
{
    json_t *outputs = json_array();
    json_t *result = json_is_object(d->run.result) ? json_incref(d->run.result) : json_object();
    for (size_t i = 0; i < d->finish->n; i++)
        (void)json_array_append_new(outputs, describe(&d->finish->made[i]));
    if (!result || json_object_set_new(result, "outputs", outputs) < 0) {
        json_decref(result);
        return fail_errno(d, -ENOMEM, "the result of a media job can't be written");
    }
    d->work->result = result;
    d->work->verdict = WORK_DONE;
    /* what is said where other files have taken the room meanwhile (settle.c) */
    (void)snprintf(d->work->error, sizeof d->work->error, "%s", error_info(ERR_STORAGE_LIMIT)->sentence);
    return 0;
}

/* ---- the handler */

static void log_previous(struct doing *d)
{
    const char *error = json_str(d->data, "previous_error", NULL);
    if (error && d->work->job.attempt <= 1)
        queue_log(d->work, "The run before failed: %s", error);
}

void media_work_run(void *ctx, struct queue_work *work)
{
    struct doing *d = calloc(1, sizeof *d); /* too large for a thread's stack */
    if (!d) {
        work->verdict = WORK_RETRY;
        (void)snprintf(work->error, sizeof work->error, "Out of memory");
        return;
    }
    d->w = ctx;
    d->work = work;
    d->data = work->job.data;
    log_previous(d);
    int r = read_row(d);
    if (r == 0)
        r = read_operation(d);
    if (r == 0)
        r = make_directories(d);
    if (r == 0)
        r = place_inputs(d);
    if (r == 0)
        r = run_programs(d);
    if (r == 0)
        r = store_outputs(d);
    if (r == 0)
        (void)make_result(d);
    if (d->tmp.path[0])
        media_tmp_remove(&d->tmp);
    json_decref(d->run.result);
    json_decref(d->own_params);
    free(d);
}

/* Bytes that no unit has asked for; others are its own, or the sweep's. */
void media_work_done(void *ctx, struct queue_work *work)
{
    (void)ctx;
    const struct media_finish *f = work->finish;
    for (size_t i = 0; f && !f->settled && i < f->n; i++)
        (void)file_forget(f->files, f->made[i].file_id);
}

void media_work_sweep(const struct config *cfg)
{
    int n = media_tmp_sweep(cfg);
    if (n < 0)
        (void)log_error(n, "what media jobs have left behind can't be removed");
    else if (n > 0)
        log_event(LOG_INFO, "directories of media jobs that died are removed", LOG_N("directories", n));
}
