/* SPDX-License-Identifier: MIT */
#include "reader/reader.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "onboarding/exports.h"
#include "onboarding/state.h"
#include "reader/archive.h"
#include "reader/persona.h"
#include "reader/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_LIMIT_MS ((int64_t)10 * 60 * 1000)
#define SUMMARY_LIMIT_MS ((int64_t)120 * 1000)
#define ELSEWHERE_DELAY_MS 15000 /* until another server is given the chance again */
#define ELSEWHERE_MOST_MS ((int64_t)24 * 3600 * 1000)
#define STORE_DELAY_MS 5000

/* Percent at which each phase begins. */
static const int begins_at[READ_PHASES + 1] = {
    [READ_READ] = 0,     [READ_NODES] = 30, [READ_EDGES] = 55,  [READ_EMBED] = 75,
    [READ_SUMMARY] = 90, [READ_DONE] = 98,  [READ_PHASES] = 100};

struct reader {
    struct reader_options with;
};

struct reading {
    const struct reader_options *reader;
    struct queue_work *work;
    struct read_place place;
    char path[PATH_MAX]; /* of the archive */
    json_t *facts;
    struct corpus corpus;
    bool has_corpus;
};

static void progress(struct reading *r, enum read_phase phase, int64_t done, int64_t of)
{
    int from = begins_at[phase], span = begins_at[phase + 1] - from;
    queue_progress(r->work, of > 0 ? from + (int)(span * done / of) : from);
}

/* ---- verdicts */

static void fail(struct reading *r, const char *why)
{
    r->work->verdict = WORK_FAILED;
    (void)snprintf(r->work->error, sizeof r->work->error, "%s", why);
}

static void wait(struct reading *r, int64_t delay_ms, const char *why)
{
    r->work->verdict = WORK_LATER;
    r->work->delay_ms = delay_ms;
    (void)snprintf(r->work->error, sizeof r->work->error, "%s", why);
}

/* What an error says of the attempt. A store that is busy or full is nobody's attempt. */
static void judge(struct reading *r, int err)
{
    if (err == -ECANCELED && cancel_raised(r->work->cancel))
        wait(r, 0, "interrupted");
    else if (err == -ECANCELED)
        fail(r, ONBOARDING_WITHDRAWN);
    else if (err == -ETIMEDOUT || err == -ENOSPC || err == -EAGAIN)
        wait(r, STORE_DELAY_MS, "the data store can't take it now");
    else {
        (void)log_error(err, "an export can't be read");
        r->work->verdict = WORK_RETRY;
        (void)snprintf(r->work->error, sizeof r->work->error, "%s",
                       err == -ENOMEM ? "there is not enough memory to read the export"
                                      : "the export could not be read: something went wrong on our side");
    }
}

/* ---- the archive */

struct asking {
    const char *job_id;
    int64_t created_ms; /* out */
};

static int created_unit(struct db_conn *c, void *arg)
{
    struct asking *a = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r =
        db_query(c, "SELECT created_at FROM queue_jobs WHERE id = ?1", DB_ARGS(DB_TEXT(a->job_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    return r <= 0 ? r : clock_parse_iso(db_text(rows, 0), &a->created_ms);
}

/* The file lies where it was uploaded. A worker that can't see it leaves it to one that can, for a day. */
static void leave_to_another(struct reading *r, const char *server)
{
    char host[256] = "";
    struct asking a = {.job_id = r->work->job.id, .created_ms = clock_now_ms()};
    (void)gethostname(host, sizeof host - 1);
    if (str_equal(host, server)) {
        fail(r, "the uploaded file is gone: upload the export again");
        return;
    }
    int err = db_look(r->reader->db, created_unit, &a);
    if (err < 0) {
        judge(r, err);
        return;
    }
    if (clock_now_ms() - a.created_ms > ELSEWHERE_MOST_MS) {
        fail(r, "the server that has the uploaded file did not take it up: upload the export again");
        return;
    }
    wait(r, ELSEWHERE_DELAY_MS, "waits for a worker on the server that has the file");
}

/* A name that the uploading server made: below the data directory, nowhere else. */
static bool make_path(struct reading *r)
{
    const json_t *params = json_object_get(r->work->job.data, "params");
    const char *file = json_str(params, "file_path", NULL);
    if (!file || !str_has_prefix(file, "onboarding/") || strstr(file, ".."))
        return false;
    return snprintf(r->path, sizeof r->path, "%s/%s", r->reader->cfg->data_dir, file) < (int)sizeof r->path;
}

static int open_archive(struct reading *r)
{
    struct stat st;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    (void)close(fd);
    return -ENOENT;
}

static void on_read(void *ctx, int percent)
{
    progress(ctx, READ_READ, percent, 100);
}

static void tell_remarks(struct reading *r)
{
    const struct corpus *c = &r->corpus;
    for (size_t i = 0; i < c->n_remarks; i++)
        queue_log(r->work, "%s: %s", c->remarks[i].name, c->remarks[i].why);
    queue_log(r->work,
              "read %llu of %llu files (%llu unreadable, %llu of other kinds): %llu records, %llu more than "
              "once, %llu without text, %llu pieces above what is kept",
              (unsigned long long)c->counts.files_read, (unsigned long long)c->counts.files,
              (unsigned long long)c->counts.files_left, (unsigned long long)c->counts.files_other,
              (unsigned long long)c->counts.records, (unsigned long long)c->counts.duplicates,
              (unsigned long long)c->counts.without_text, (unsigned long long)c->counts.left_out);
}

/* 0 with the corpus; 1 where the verdict is made; or negative errno. */
static int read_archive(struct reading *r)
{
    static const struct zip_limits checked = ZIP_LIMITS_DEFAULT;
    struct zip_limits limits = checked;
    const char *why = NULL;
    _cleanup_close_ int fd = open_archive(r);
    if (fd == -ENOENT) {
        leave_to_another(r, json_str(json_object_get(r->work->job.data, "params"), "server", ""));
        return 1;
    }
    if (fd < 0)
        return fd;
    limits.time_ms = READ_LIMIT_MS;
    corpus_init(&r->corpus);
    r->has_corpus = true;
    int err = archive_read_export(fd, &limits, &r->corpus, r->work->cancel, on_read, r, &why);
    if (err == -EBADMSG) {
        fail(r, why);
        return 1;
    }
    return err;
}

/* ---- phases: 0 to go on, 1 where the verdict is made, or negative errno */

static int phase_read(struct reading *r)
{
    tell_remarks(r);
    if (r->corpus.n == 0) {
        fail(r, "nothing in the archive could be read: JSON, CSV, TXT, Markdown and HTML files are");
        return 1;
    }
    json_decref(r->facts);
    r->facts = persona_facts(&r->corpus);
    _cleanup_free_ char *text = r->facts ? json_dumps(r->facts, JSON_COMPACT) : NULL;
    return text ? read_advance(r->reader->db, &r->place, READ_NODES, 0, text) : -ENOMEM;
}

static void forget_index(struct reading *r)
{
    if (r->reader->retrieval)
        retrieval_forget(r->reader->retrieval, r->place.user_id);
}

static int phase_nodes(struct reading *r)
{
    int err = 0;
    int64_t made = 0, all = 0;
    while (err == 0 && r->place.position < (int64_t)r->corpus.n) {
        if (cancel_raised(r->work->cancel))
            return -ECANCELED;
        err = read_write_nodes(r->reader->db, &r->place, &r->corpus, &made);
        all += err == 0 ? made : 0;
        progress(r, READ_NODES, r->place.position, (int64_t)r->corpus.n);
    }
    forget_index(r);
    if (err < 0)
        return err;
    queue_log(r->work, "%lld new nodes", (long long)all);
    return read_advance(r->reader->db, &r->place, READ_EDGES, 0, NULL);
}

static int phase_edges(struct reading *r)
{
    _cleanup_free_ struct corpus_edge *edges = NULL;
    size_t n = 0;
    int64_t made = 0, all = 0;
    int err = corpus_edges(&r->corpus, &edges, &n);
    while (err == 0 && r->place.position < (int64_t)n) {
        if (cancel_raised(r->work->cancel))
            return -ECANCELED;
        err = read_write_edges(r->reader->db, &r->place, &r->corpus, edges, n, &made);
        all += err == 0 ? made : 0;
        progress(r, READ_EDGES, r->place.position, (int64_t)n);
    }
    forget_index(r);
    if (err < 0)
        return err;
    queue_log(r->work, "%lld new edges", (long long)all);
    return read_advance(r->reader->db, &r->place, READ_EMBED, 0, NULL);
}

/* Vectors that can't be had now are made later, as those of any other note (docs/retrieval.md). */
static int phase_embed(struct reading *r)
{
    size_t left = 0, before = 0;
    int err = 0;
    do {
        before = left;
        if (cancel_raised(r->work->cancel))
            return -ECANCELED;
        err = r->reader->retrieval
                  ? retrieval_embed(r->reader->retrieval, r->place.user_id, r->work->cancel, &left)
                  : 0;
        progress(r, READ_EMBED, left < r->corpus.n ? (int64_t)(r->corpus.n - left) : 0, (int64_t)r->corpus.n);
    } while (err == 0 && left > 0 && (before == 0 || left < before));
    if (err == -ENOMEM)
        return err;
    if (cancel_raised(r->work->cancel))
        return -ECANCELED;
    if (err < 0 || left > 0)
        queue_log(r->work, "the embedder fails now: vectors are made later");
    return read_advance(r->reader->db, &r->place, READ_SUMMARY, 0, NULL);
}

static int make_summary(struct reading *r, char **ret)
{
    struct llm *llm = r->reader->llm;
    struct llm_model model = llm ? llm_choose(llm, LLM_WRITER, false) : llm_extractive();
    int err = -ENOTSUP;
    if (model.provider != LLM_EXTRACTIVE)
        err = persona_write(llm, &model, r->facts, SUMMARY_LIMIT_MS, r->work->cancel, r->work->arena, ret);
    if (err == 0 || err == -ENOMEM || err == -ECANCELED)
        return err;
    if (model.provider != LLM_EXTRACTIVE)
        queue_log(r->work, "the language model gave no summary: it is counted instead");
    *ret = persona_count(r->work->arena, r->facts);
    return *ret ? 0 : -ENOMEM;
}

static int phase_summary(struct reading *r)
{
    char *summary = NULL;
    int err = make_summary(r, &summary);
    return err < 0 ? err : read_write_summary(r->reader->db, &r->place, summary);
}

/* Nothing needs the archive any more; it holds what others wrote in confidence. */
static int phase_done(struct reading *r)
{
    if (unlink(r->path) < 0 && errno != ENOENT)
        (void)log_error(-errno, "remove an export that was read");
    r->work->result = persona_told(r->facts);
    if (!r->work->result)
        return -ENOMEM;
    r->work->verdict = WORK_DONE;
    return 1;
}

static int (*const phases[READ_PHASES])(struct reading *r) = {
    [READ_READ] = phase_read,   [READ_NODES] = phase_nodes,     [READ_EDGES] = phase_edges,
    [READ_EMBED] = phase_embed, [READ_SUMMARY] = phase_summary, [READ_DONE] = phase_done,
};

static int run_phases(struct reading *r)
{
    _cleanup_free_ char *facts = NULL;
    int err = read_begin(r->reader->db, &r->place, &facts);
    if (err == 0 && facts && !(r->facts = json_loads(facts, 0, NULL)))
        err = -EIO;
    if (err == 0 && r->place.phase <= READ_EDGES)
        err = read_archive(r);
    while (err == 0) {
        progress(r, r->place.phase, 0, 0);
        err = phases[r->place.phase](r);
    }
    return err;
}

/* ---- the handler */

void reader_run(void *ctx, struct queue_work *work)
{
    const struct reader *reader = ctx;
    struct reading r = {.reader = &reader->with,
                        .work = work,
                        .place = {.user_id = work->job.user_id, .job_id = work->job.id}};
    if (!work->job.user_id || !make_path(&r)) {
        fail(&r, "the job names no export");
        return;
    }
    int err = run_phases(&r);
    if (err < 0)
        judge(&r, err);
    json_decref(r.facts);
    if (r.has_corpus)
        corpus_free(&r.corpus);
}

/* In the unit of the job's end. Twice is as once. */
int reader_moved(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                 const json_t *result, const char *error, void *finish)
{
    (void)ctx;
    (void)result;
    (void)finish;
    bool good = move == QUEUE_COMPLETED;
    if (!job->user_id || (!good && move != QUEUE_FAILED && move != QUEUE_CANCELLED))
        return 0;
    struct onboarding_end end = {.user_id = job->user_id,
                                 .job_id = job->id,
                                 .good = good,
                                 .reason = error ? error : "the export could not be read"};
    int r = onboarding_end(c, &end);
    return r < 0 ? r : read_end(c, job->user_id, job->id);
}

int reader_open(const struct reader_options *options, struct reader **ret)
{
    struct reader *r = malloc(sizeof *r);
    if (!r)
        return -ENOMEM;
    r->with = *options;
    *ret = r;
    return 0;
}

void reader_close(struct reader *reader)
{
    free(reader);
}
