/* SPDX-License-Identifier: MIT */
/* The queues as rows of the store. A state is a column, a claim is a row's `lease_owner` and `lease_until`,
 * and each move is an UPDATE that says under which claim it is made: where that touches no row, the claim is
 * gone.
 *
 * A step settles and claims in one unit, so a worker pays one commit for a batch of ends and beginnings. On
 * PostgreSQL the claim passes over rows that others hold (SKIP LOCKED), and stands first in its unit, close
 * to the snapshot: what another claimed in between makes the unit run again. SQLite has one writer at a time.
 */
#include "queue/embedded.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define POSTPONE_MS 5000                   /* of a job whose beginning its handler refuses */
#define DATA_READ_MAX (2 * QUEUE_DATA_MAX) /* jsonb writes spaces */

/* ---- adding */

int embedded_add_in(struct queue *q, struct db_conn *c, const struct queue_add *job)
{
    (void)q;
    char run_at[ISO_TIME_LEN];
    bool delayed = job->delay_ms > 0;
    int r = delayed ? db_now_text(c, job->delay_ms, run_at) : 0;
    if (r < 0)
        return r;
    r = db_exec(c,
                "INSERT INTO queue_jobs (id, queue, operation, user_id, media_job_id, data, state, priority,"
                " max_attempts, run_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                DB_ARGS(DB_TEXT(job->id), DB_TEXT(queue_name_text(job->queue)), DB_TEXT(job->operation),
                        DB_TEXT(job->user_id), DB_TEXT(job->media_job_id),
                        DB_TEXT(job->data ? job->data : "{}"), DB_TEXT(delayed ? "delayed" : "waiting"),
                        DB_INT(job->priority),
                        DB_INT(job->max_attempts > 0 ? job->max_attempts : QUEUE_ATTEMPTS_DEFAULT),
                        DB_TEXT(delayed ? run_at : NULL)),
                NULL);
    return r < 0 ? r : 0;
}

static int confirm(struct queue *q, const char *id)
{
    metric_add(METRIC_JOBS_ADDED, 1);
    queue_wake(q, (1U << QUEUES) - 1);
    queue_changed(q, id);
    return 0;
}

static int ready(struct queue *q)
{
    (void)q;
    return 0;
}

/* ---- claiming */

struct stepping {
    struct queue *q;
    struct queue_step *step;
    int64_t asked_ms; /* clock_monotonic_ms(), before any of it */
    int64_t seqs[QUEUE_BATCH];
    int priorities[QUEUE_BATCH];
    char refused_id[QUEUE_ID_MAX + 1]; /* of the job whose handler refuses its beginning, or "" */
    struct embedded_times t;
};

int embedded_read_times(struct db_conn *c, struct embedded_times *ret)
{
    int r = db_now(c, &ret->now_ms);
    if (r < 0)
        return r;
    clock_format_iso(ret->now_ms, ret->now);
    clock_format_iso(ret->now_ms + QUEUE_LEASE_MS, ret->lease);
    return 0;
}

int embedded_read_job(struct db_rows *rows, struct arena *a, struct queue_job *ret)
{
    const char **texts[] = {&ret->id, NULL, &ret->operation, &ret->user_id, &ret->media_job_id};
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        if (texts[i] && !(*texts[i] = db_text_dup(rows, i, a)) && !db_is_null(rows, i))
            return -ENOMEM;
    int r = queue_name_parse(db_text(rows, 1), &ret->queue);
    const char *data = db_text(rows, 5);
    size_t len = data ? strlen(data) : 0;
    json_t *value = len <= DATA_READ_MAX ? json_parse(data, len) : NULL;
    bool fits = json_is_object(value);
    if (!fits) {
        json_decref(value);
        value = json_object();
    }
    ret->data = value;
    ret->attempt = (int)db_int(rows, 6);
    ret->max_attempts = (int)db_int(rows, 7);
    return r < 0 || !value ? (r < 0 ? r : -ENOMEM) : !fits;
}

static void forget_claims(struct queue_step *step)
{
    for (size_t i = 0; i < step->n_claimed; i++)
        queue_claim_free(step->claimed[i]);
    step->n_claimed = 0;
}

/* UPDATE … RETURNING has no order of its own. */
static void insert_in_order(struct stepping *s, struct queue_claim *claim, int priority, int64_t seq)
{
    struct queue_step *step = s->step;
    size_t at = step->n_claimed++;
    for (; at > 0 &&
           (s->priorities[at - 1] > priority || (s->priorities[at - 1] == priority && s->seqs[at - 1] > seq));
         at--) {
        step->claimed[at] = step->claimed[at - 1];
        s->priorities[at] = s->priorities[at - 1];
        s->seqs[at] = s->seqs[at - 1];
    }
    step->claimed[at] = claim;
    s->priorities[at] = priority;
    s->seqs[at] = seq;
}

static int read_claim(struct stepping *s, struct db_rows *rows, const char *token)
{
    struct queue_claim *claim = queue_claim_new();
    if (!claim)
        return -ENOMEM;
    memcpy(claim->token, token, QUEUE_TOKEN_SIZE);
    claim->good_until_ms = s->asked_ms + QUEUE_LEASE_MS;
    int r = embedded_read_job(rows, &claim->arena, &claim->job);
    if (r < 0) {
        queue_claim_free(claim);
        return r;
    }
    claim->unfit = r > 0 ? "The job's data is not a JSON object" : NULL;
    insert_in_order(s, claim, (int)db_int(rows, EMBEDDED_JOB_COLUMNS),
                    db_int(rows, EMBEDDED_JOB_COLUMNS + 1));
    return 0;
}

#define CLAIM(pick_before, pick_after) \
    "UPDATE queue_jobs SET state = 'active', attempts = attempts + 1, lease_owner = ?3, lease_until = ?4," \
    " started_at = coalesce(started_at, ?5), progress = 0 WHERE seq " pick_before \
    "SELECT seq FROM queue_jobs WHERE queue = ?1 AND state = 'waiting'" \
    " AND NOT EXISTS (SELECT 1 FROM queue_pauses WHERE queue = ?1)" \
    " ORDER BY priority, seq LIMIT ?2" pick_after " RETURNING " EMBEDDED_JOB ", priority, seq"

/* An array is made once; the rows of a subquery with locks might be asked for again. */
#define CLAIM_SQLITE CLAIM("IN (", ")")
#define CLAIM_POSTGRES CLAIM("= ANY (ARRAY(", " FOR UPDATE SKIP LOCKED))")

static int claim(struct db_conn *c, struct stepping *s)
{
    struct queue_step *step = s->step;
    char token[QUEUE_TOKEN_SIZE] = "";
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    if (step->want == 0)
        return 0;
    queue_token(s->q, token);
    int r = db_query(c, db_sql(c, CLAIM_SQLITE, CLAIM_POSTGRES),
                     DB_ARGS(DB_TEXT(queue_name_text(step->queue)), DB_INT(step->want), DB_TEXT(token),
                             DB_TEXT(s->t.lease), DB_TEXT(s->t.now)),
                     &rows);
    while (r == 0 && (r = db_next(rows)) > 0)
        r = step->n_claimed < QUEUE_BATCH ? read_claim(s, rows, token) : -EIO;
    return r;
}

static int begin_claims(struct db_conn *c, struct stepping *s)
{
    for (size_t i = 0; i < s->step->n_claimed; i++) {
        const struct queue_job *job = &s->step->claimed[i]->job;
        int r = queue_moved(s->q, c, job, QUEUE_STARTED, NULL, NULL, NULL);
        if (r < 0) {
            (void)snprintf(s->refused_id, sizeof s->refused_id, "%s", job->id);
            return r;
        }
    }
    return 0;
}

/* ---- settling */

/* Log lines, as many as the job may still have. */
static int store_lines(struct db_conn *c, const char *id, const char *now, const char *const *lines, size_t n)
{
    int64_t had = 0;
    int r = n > 0 ? db_query_int(c, "SELECT count(*) FROM queue_job_logs WHERE job_id = ?1",
                                 DB_ARGS(DB_TEXT(id)), &had)
                  : 0;
    for (size_t i = 0; i < n && r >= 0 && had < QUEUE_LOG_LINES; i++, had++) {
        bool last = had == QUEUE_LOG_LINES - 1;
        r = db_exec(
            c, "INSERT INTO queue_job_logs (job_id, line, date_created) VALUES (?1, ?2, ?3)",
            DB_ARGS(DB_TEXT(id), DB_TEXT(last ? "Further lines are left out" : lines[i]), DB_TEXT(now)),
            NULL);
    }
    return r < 0 ? r : 0;
}

#define HELD " WHERE id = ?1 AND lease_owner = ?2 AND state = 'active' AND lease_until > ?3"
#define LET_GO ", lease_owner = NULL, lease_until = NULL"

/* Whether the claim holds, and whether its job was asked to end. 1, 0 or negative errno. */
static int is_held(struct db_conn *c, const struct queue_claim *claim, const char *now, bool *ret_cancelled)
{
    int64_t cancelled = 0;
    int r = db_query_int(c, "SELECT CASE WHEN cancelled_at IS NULL THEN 0 ELSE 1 END FROM queue_jobs" HELD,
                         DB_ARGS(DB_TEXT(claim->job.id), DB_TEXT(claim->token), DB_TEXT(now)), &cancelled);
    *ret_cancelled = cancelled != 0;
    return r;
}

static int settle_ended(struct db_conn *c, const struct embedded_times *t, const struct queue_settle *e,
                        int64_t *ret_changed)
{
    bool done = e->made == QUEUE_COMPLETED;
    if (done)
        return db_exec(c,
                       "UPDATE queue_jobs SET state = 'completed', progress = 100, result = ?4, error = NULL,"
                       " finished_at = ?3" LET_GO HELD,
                       DB_ARGS(DB_TEXT(e->claim->job.id), DB_TEXT(e->claim->token), DB_TEXT(t->now),
                               DB_TEXT(e->result_text)),
                       ret_changed);
    return db_exec(c,
                   "UPDATE queue_jobs SET state = 'failed', progress = coalesce(?5, progress), error = ?4,"
                   " finished_at = ?3" LET_GO HELD,
                   DB_ARGS(DB_TEXT(e->claim->job.id), DB_TEXT(e->claim->token), DB_TEXT(t->now),
                           DB_TEXT(e->made == QUEUE_CANCELLED ? QUEUE_ERROR_CANCELLED : e->error),
                           e->percent >= 0 ? DB_INT(e->percent) : DB_NULL),
                   ret_changed);
}

static int settle_again(struct db_conn *c, const struct embedded_times *t, const struct queue_settle *e,
                        int64_t *ret_changed)
{
    char run_at[ISO_TIME_LEN];
    bool later = e->delay_ms > 0;
    clock_format_iso(t->now_ms + e->delay_ms, run_at);
    return db_exec(c,
                   "UPDATE queue_jobs SET state = ?4, run_at = ?5, attempts = attempts - ?6,"
                   " error = coalesce(?7, error)" LET_GO HELD,
                   DB_ARGS(DB_TEXT(e->claim->job.id), DB_TEXT(e->claim->token), DB_TEXT(t->now),
                           DB_TEXT(later ? "delayed" : "waiting"), DB_TEXT(later ? run_at : NULL),
                           DB_INT(e->made == QUEUE_RETURNED), DB_TEXT(e->error)),
                   ret_changed);
}

static int settle_held(const struct queue *q, struct db_conn *c, const struct embedded_times *t,
                       struct queue_settle *e)
{
    int64_t changed = 0;
    bool ends = e->made == QUEUE_COMPLETED || e->made == QUEUE_FAILED || e->made == QUEUE_CANCELLED;
    int r = ends ? settle_ended(c, t, e, &changed) : settle_again(c, t, e, &changed);
    e->lost = changed == 0;
    if (r < 0 || e->lost)
        return r;
    r = store_lines(c, e->claim->job.id, t->now, e->lines, e->n_lines);
    return r < 0 ? r
                 : queue_moved(q, c, &e->claim->job, e->made, e->result,
                               e->made == QUEUE_CANCELLED ? QUEUE_ERROR_CANCELLED : e->error, e->finish);
}

int embedded_settle(const struct queue *q, struct db_conn *c, const struct embedded_times *t,
                    struct queue_settle *e)
{
    bool cancelled = false;
    e->made = e->move;
    e->lost = false;
    if (e->move == QUEUE_COMPLETED)
        return settle_held(q, c, t, e);
    int r = is_held(c, e->claim, t->now, &cancelled);
    e->lost = r == 0;
    if (r <= 0)
        return r;
    if (cancelled)
        e->made = QUEUE_CANCELLED;
    return settle_held(q, c, t, e);
}

static int step_unit(struct db_conn *c, void *arg)
{
    struct stepping *s = arg;
    forget_claims(s->step); /* of a run that was undone */
    s->refused_id[0] = '\0';
    int r = embedded_read_times(c, &s->t);
    if (r == 0)
        r = claim(c, s);
    for (size_t i = 0; r == 0 && i < s->step->n_settle; i++)
        r = embedded_settle(s->q, c, &s->t, s->step->settle[i]);
    return r < 0 ? r : begin_claims(c, s);
}

/* ---- a job whose handler refuses that it begins: others must have their turn */

struct postponing {
    const char *id;
    int64_t delay_ms;
};

static int postpone_unit(struct db_conn *c, void *arg)
{
    const struct postponing *p = arg;
    char run_at[ISO_TIME_LEN];
    int r = db_now_text(c, p->delay_ms, run_at);
    if (r < 0)
        return r;
    return db_exec(c,
                   "UPDATE queue_jobs SET state = 'delayed', run_at = ?2 WHERE id = ?1 AND state = 'waiting'",
                   DB_ARGS(DB_TEXT(p->id), DB_TEXT(run_at)), NULL);
}

static void postpone(struct queue *q, const char *id, int why)
{
    struct postponing p = {id, POSTPONE_MS};
    log_event(LOG_ERROR, "a job can't begin, and is put off", LOG_S("job", id),
              LOG_S("error", strerror(-why)));
    if (db_write(q->db, postpone_unit, &p) >= 0) /* else it is tried again at once, which is no worse */
        queue_changed(q, id);
}

static void tell_step(struct queue *q, const struct queue_step *step)
{
    for (size_t i = 0; i < step->n_settle; i++)
        if (!step->settle[i]->lost)
            queue_made(q, step->settle[i]->claim->job.id, step->settle[i]->made);
    for (size_t i = 0; i < step->n_claimed; i++)
        queue_made(q, step->claimed[i]->job.id, QUEUE_STARTED);
}

static int step(struct queue *q, struct queue_step *step)
{
    struct stepping s = {.q = q, .step = step, .asked_ms = clock_monotonic_ms()};
    int r = db_write(q->db, step_unit, &s);
    if (r < 0) {
        forget_claims(step);
        if (s.refused_id[0])
            postpone(q, s.refused_id, r);
        return r;
    }
    tell_step(q, step);
    return 0;
}

/* ---- leases, progress, log lines */

struct noting {
    struct queue *q;
    struct queue_note *notes;
    size_t n;
};

static int note_progress(struct db_conn *c, const struct queue *q, const struct queue_note *n,
                         const char *now)
{
    int64_t changed = 0;
    int r = db_exec(
        c, "UPDATE queue_jobs SET progress = ?4" HELD,
        DB_ARGS(DB_TEXT(n->claim->job.id), DB_TEXT(n->claim->token), DB_TEXT(now), DB_INT(n->percent)),
        &changed);
    return r < 0 || changed == 0 ? r : queue_progressed(q, c, &n->claim->job, n->percent);
}

static int renew(struct db_conn *c, const struct queue_note *n, const char *now, const char *lease)
{
    return db_exec(c, "UPDATE queue_jobs SET lease_until = ?4" HELD,
                   DB_ARGS(DB_TEXT(n->claim->job.id), DB_TEXT(n->claim->token), DB_TEXT(now), DB_TEXT(lease)),
                   NULL);
}

static int note(struct db_conn *c, const struct noting *k, struct queue_note *n,
                const struct embedded_times *t)
{
    int r = is_held(c, n->claim, t->now, &n->cancelled);
    n->lost = r == 0;
    if (r <= 0)
        return r;
    r = n->renew ? renew(c, n, t->now, t->lease) : 0;
    if (r == 0 && n->percent >= 0)
        r = note_progress(c, k->q, n, t->now);
    return r == 0 ? store_lines(c, n->claim->job.id, t->now, n->lines, n->n_lines) : r;
}

static int notes_unit(struct db_conn *c, void *arg)
{
    struct noting *k = arg;
    struct embedded_times t;
    int r = embedded_read_times(c, &t);
    for (size_t i = 0; i < k->n && r == 0; i++)
        r = note(c, k, &k->notes[i], &t);
    return r;
}

int embedded_notes(struct queue *q, struct queue_note *notes, size_t n)
{
    struct noting k = {q, notes, n};
    int64_t asked_ms = clock_monotonic_ms();
    int r = db_write(q->db, notes_unit, &k);
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (notes[i].renew && !notes[i].lost)
            notes[i].good_until_ms = asked_ms + QUEUE_LEASE_MS;
        if (notes[i].percent >= 0 || notes[i].n_lines > 0)
            queue_changed(q, notes[i].claim->job.id);
    }
    return r < 0 ? r : 0;
}

/* ---- cancelling and pausing */

struct cancelling {
    struct queue *q;
    const char *id;
    enum queue_cancelled *ret;
};

static int cancel_waiting(struct db_conn *c, const struct cancelling *k, const struct queue_job *job,
                          const char *now)
{
    int r = db_exec(c,
                    "UPDATE queue_jobs SET state = 'failed', error = ?3, cancelled_at = ?2, finished_at = ?2,"
                    " run_at = NULL WHERE id = ?1",
                    DB_ARGS(DB_TEXT(job->id), DB_TEXT(now), DB_TEXT(QUEUE_ERROR_CANCELLED)), NULL);
    *k->ret = QUEUE_CANCEL_DONE;
    return r < 0 ? r : queue_moved(k->q, c, job, QUEUE_CANCELLED, NULL, QUEUE_ERROR_CANCELLED, NULL);
}

static int cancel_job(struct db_conn *c, const struct cancelling *k, const struct queue_job *job,
                      const char *state, const char *now)
{
    if (str_equal(state, "waiting") || str_equal(state, "delayed"))
        return cancel_waiting(c, k, job, now);
    bool active = str_equal(state, "active");
    *k->ret = active ? QUEUE_CANCEL_ASKED : QUEUE_CANCEL_OVER;
    return active
               ? db_exec(c, "UPDATE queue_jobs SET cancelled_at = coalesce(cancelled_at, ?2) WHERE id = ?1",
                         DB_ARGS(DB_TEXT(job->id), DB_TEXT(now)), NULL)
               : 0;
}

static int read_for_cancel(struct db_conn *c, const char *id, struct arena *a, struct queue_job *job,
                           char **ret_state)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT " EMBEDDED_JOB ", state FROM queue_jobs WHERE id = ?1", DB_ARGS(DB_TEXT(id)),
                     &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = embedded_read_job(rows, a, job);
    *ret_state = db_text_dup(rows, EMBEDDED_JOB_COLUMNS, a);
    if (r < 0)
        return r;
    return *ret_state ? 0 : -ENOMEM;
}

static int cancel_unit(struct db_conn *c, void *arg)
{
    const struct cancelling *k = arg;
    struct embedded_times t;
    struct queue_job job = {0};
    struct arena a;
    char *state = NULL;
    arena_init(&a, WORK_ARENA_MAX);
    int r = embedded_read_times(c, &t);
    if (r == 0)
        r = read_for_cancel(c, k->id, &a, &job, &state);
    if (r == 0)
        r = cancel_job(c, k, &job, state, t.now);
    json_decref((json_t *)(uintptr_t)job.data);
    arena_free(&a);
    return r;
}

static int cancel(struct queue *q, const char *id, enum queue_cancelled *ret)
{
    enum queue_cancelled how = QUEUE_CANCEL_OVER;
    struct cancelling k = {q, id, &how};
    int r = db_write(q->db, cancel_unit, &k);
    if (r < 0)
        return r;
    if (how == QUEUE_CANCEL_DONE)
        queue_made(q, id, QUEUE_CANCELLED);
    if (how == QUEUE_CANCEL_ASKED)
        queue_cancel_here(q, id);
    if (how == QUEUE_CANCEL_ASKED)
        queue_changed(q, id);
    *ret = how;
    return 0;
}

struct pausing {
    enum queue_name queue;
    bool paused;
};

static int pause_unit(struct db_conn *c, void *arg)
{
    const struct pausing *p = arg;
    const char *sql = p->paused
                          ? "INSERT INTO queue_pauses (queue) VALUES (?1) ON CONFLICT (queue) DO NOTHING"
                          : "DELETE FROM queue_pauses WHERE queue = ?1";
    return db_exec(c, sql, DB_ARGS(DB_TEXT(queue_name_text(p->queue))), NULL);
}

/* The row is all there is of it. */
static void ended(struct queue *q, enum queue_name queue, const char *id, const char *why)
{
    (void)q, (void)queue, (void)id, (void)why;
}

static int forget(struct queue *q, enum queue_name queue, const char *id)
{
    (void)q, (void)queue, (void)id;
    return 0;
}

static int pause_queue(struct queue *q, enum queue_name queue, bool paused)
{
    struct pausing p = {queue, paused};
    int r = db_write(q->db, pause_unit, &p);
    return r < 0 ? r : 0;
}

/* ---- the engine */

static int open_embedded(struct queue *q)
{
    (void)q;
    return 0;
}

static void close_embedded(struct queue *q)
{
    (void)q;
}

static int64_t version(struct queue *q)
{
    return db_data_version(q->db);
}

const struct queue_engine queue_embedded = {
    .name = "embedded",
    .open = open_embedded,
    .close = close_embedded,
    .ready = ready,
    .add_in = embedded_add_in,
    .confirm = confirm,
    .cancel = cancel,
    .ended = ended,
    .forget = forget,
    .look = embedded_look,
    .lines = embedded_lines,
    .list = embedded_list,
    .count = embedded_count,
    .pause = pause_queue,
    .step = step,
    .notes = embedded_notes,
    .upkeep = embedded_upkeep,
    .version = version,
};
