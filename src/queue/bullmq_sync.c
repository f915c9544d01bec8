/* SPDX-License-Identifier: MIT */
/* Records follow what happened in Redis, mostly by the hands of BullMQ workers. It goes by states, not by
 * events: an event only says which job to look at. The record is read first, then the job in Redis, and the
 * record is changed only where it is still as it was read; so whatever a worker of ours did meanwhile stands.
 * A job that a worker of ours runs is that worker's affair alone. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "queue/embedded.h"

#include <errno.h>
#include <string.h>

#define REMOVED "The job was removed from its queue"
#define GONE "The job is gone from its queue"
#define ERROR_MAX 2000

/* A record that hasn't ended, as it was read. */
struct follower {
    char id[QUEUE_ID_MAX + 1], state[16], owner[QUEUE_TOKEN_SIZE];
    int attempts, progress;
    bool cancelled, found;
    const struct bull_hint *hint;
    enum queue_name queue;
};

enum seen {
    SEEN_NOTHING,
    SEEN_WAITING,
    SEEN_DELAYED,
    SEEN_ACTIVE,
    SEEN_COMPLETED,
    SEEN_FAILED,
    SEEN_MISSING
};

/* What Redis says of its job. Texts are those of a reply or hint. */
struct sight {
    enum seen seen;
    const char *value; /* of an end, or the last failure */
    int progress, attempts;
    int64_t started_ms; /* 0: not known */
};

/* --- reading records ------------------------------------------------------------------------------------ */

#define FOLLOWED \
    "SELECT id, state, lease_owner, attempts, progress, CASE WHEN cancelled_at IS NULL THEN 0 ELSE 1 END" \
    " FROM queue_jobs WHERE id = ?1 AND queue = ?2"

static int read_follower(struct db_conn *c, const char *id, struct follower *f)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, FOLLOWED, DB_ARGS(DB_TEXT(id), DB_TEXT(queue_name_text(f->queue))), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    const char *owner = db_text(rows, 2);
    (void)snprintf(f->id, sizeof f->id, "%s", db_text(rows, 0));
    (void)snprintf(f->state, sizeof f->state, "%s", db_text(rows, 1));
    (void)snprintf(f->owner, sizeof f->owner, "%s", owner ? owner : "");
    f->attempts = (int)db_int(rows, 3);
    f->progress = (int)db_int(rows, 4);
    f->cancelled = db_int(rows, 5) != 0;
    f->found = !str_equal(f->state, "completed") && !str_equal(f->state, "failed");
    return 1;
}

struct following {
    struct bullmq *b;
    bool restore; /* what is missing is lost, unless events tell otherwise: */
    int (*catch_up)(void *ctx);
    void *ctx;
    bool missing; /* some are */
    struct follower all[BULL_LOOK_MOST];
    size_t n;
};

static int read_followers(struct db_conn *c, void *arg)
{
    struct following *s = arg;
    for (size_t i = 0; i < s->n; i++) {
        struct follower *f = &s->all[i];
        const char *id = f->hint->id;
        char foreign[BULL_ID_MOST + 1];
        f->found = false;
        int r = bull_id_is_ours(id, strlen(id)) ? read_follower(c, id, f) : 0;
        if (r == 0 && bull_foreign_id(f->queue, id, strlen(id), foreign) == 0)
            r = read_follower(c, foreign, f);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- looking at Redis ----------------------------------------------------------------------------------- */

static int number_of(const redisReply *job, size_t i, int fallback)
{
    const char *text = bull_text(job, i, NULL);
    int64_t n;
    return text && parse_int(text, 0, 1000000, &n) == 0 ? (int)n : fallback;
}

static enum seen seen_of(const char *state)
{
    static const struct {
        const char *state;
        enum seen seen;
    } names[] = {{"waiting", SEEN_WAITING}, {"prioritized", SEEN_WAITING}, {"delayed", SEEN_DELAYED},
                 {"active", SEEN_ACTIVE},   {"completed", SEEN_COMPLETED}, {"failed", SEEN_FAILED},
                 {"missing", SEEN_MISSING}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_equal(names[i].state, state))
            return names[i].seen;
    return SEEN_NOTHING;
}

static struct sight sight_of(const redisReply *job, const struct bull_hint *hint)
{
    bool theirs = bull_int(job, 7, 0) == 1;
    struct sight s = {.seen = seen_of(bull_text(job, 0, NULL)),
                      .progress = number_of(job, 1, -1),
                      .attempts = number_of(job, 4, 0)};
    s.value = bull_text(job, s.seen == SEEN_COMPLETED ? 2 : 3, NULL);
    const char *started = bull_text(job, 5, NULL);
    if (started && parse_int(started, 0, BULL_TIME_MOST_MS, &s.started_ms) < 0)
        s.started_ms = 0;
    if (s.seen == SEEN_ACTIVE && !theirs)
        s.seen = SEEN_NOTHING;
    if (s.seen != SEEN_MISSING || !hint->end)
        return s;
    /* It ended, and wasn't kept. */
    if (str_equal(hint->end, "completed") || str_equal(hint->end, "failed"))
        return (struct sight){
            .seen = seen_of(hint->end), .value = hint->value, .progress = -1, .attempts = -1};
    return (struct sight){.seen = SEEN_FAILED, .value = REMOVED, .progress = -1, .attempts = -1};
}

static int look_at(struct following *s, enum queue_name queue, redisReply **ret)
{
    struct redis_args args = {0};
    redis_arg_int(&args, (int64_t)BULL_VALUE_MOST);
    for (size_t i = 0; i < s->n; i++)
        redis_arg(&args, s->all[i].hint->id);
    int r = bull_eval(s->b, BULL_LOOK, queue, &args, ret);
    return r == 0 && ((*ret)->type != REDIS_REPLY_ARRAY || (*ret)->elements != s->n) ? -EPROTO : r;
}

/* --- changing records ----------------------------------------------------------------------------------- */

struct change {
    struct bullmq *b;
    const struct follower *f;
    struct sight sight;
    enum queue_move move;
    bool moves, add_again, restore;
    bool begun; /* in the store: what fails from then on is the record's own affair */
    json_t *result;
    char error[ERROR_MAX];
    const char *state;
};

static void set_error(struct change *k, const char *text, const char *fallback)
{
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || !utf8_valid(text, len))
        text = fallback, len = strlen(fallback);
    (void)snprintf(k->error, sizeof k->error, "%.*s", (int)utf8_floor(text, len, sizeof k->error - 1), text);
}

static void plan_end(struct change *k)
{
    bool done = k->sight.seen == SEEN_COMPLETED;
    const char *value = k->sight.value;
    k->moves = true;
    k->state = done ? "completed" : "failed";
    k->move = done ? QUEUE_COMPLETED : QUEUE_FAILED;
    if (done) {
        k->result = value ? json_parse(value, strlen(value)) : NULL;
        return;
    }
    set_error(k, value, "The job failed, and its worker gave no reason");
    if (k->f->cancelled || str_equal(k->error, QUEUE_ERROR_CANCELLED) || str_equal(k->error, REMOVED))
        k->move = QUEUE_CANCELLED;
    if (str_has_prefix(k->error, QUEUE_ERROR_STALLED))
        set_error(k, QUEUE_ERROR_STALLED, "");
}

static void plan_again(struct change *k)
{
    bool was_active = str_equal(k->f->state, "active");
    bool failed = was_active && k->sight.attempts >= k->f->attempts && k->f->attempts > 0;
    k->state = k->sight.seen == SEEN_DELAYED ? "delayed" : "waiting";
    k->moves = was_active;
    k->move = failed ? QUEUE_RETRIED : QUEUE_RETURNED;
    if (failed)
        set_error(k, k->sight.value, "The attempt failed");
}

/* What is to be done, if anything. */
static bool plan(struct change *k)
{
    const struct follower *f = k->f;
    switch (k->sight.seen) {
    case SEEN_NOTHING:
        return false;
    case SEEN_COMPLETED:
    case SEEN_FAILED:
        plan_end(k);
        return true;
    case SEEN_ACTIVE:
        k->state = "active";
        k->moves = !str_equal(f->state, "active") || f->owner[0];
        k->move = QUEUE_STARTED;
        return k->moves || (k->sight.progress >= 0 && k->sight.progress != f->progress);
    case SEEN_WAITING:
    case SEEN_DELAYED:
        plan_again(k);
        return !str_equal(k->state, f->state);
    case SEEN_MISSING:
        if (!k->restore)
            return false;
        k->add_again = !strchr(f->id, ':');
        if (k->add_again)
            return true;
        k->sight = (struct sight){.seen = SEEN_FAILED, .value = GONE};
        plan_end(k);
        return true;
    }
    return false;
}

static int read_job(struct db_conn *c, const struct follower *f, struct arena *a, struct queue_job *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT " EMBEDDED_JOB " FROM queue_jobs WHERE id = ?1 AND state = ?2"
                     " AND coalesce(lease_owner, '') = ?3",
                     DB_ARGS(DB_TEXT(f->id), DB_TEXT(f->state), DB_TEXT(f->owner)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    r = embedded_read_job(rows, a, ret);
    return r < 0 ? r : 1;
}

/* Redis counts those that were made. */
static int attempts_of(const struct change *k)
{
    if (k->sight.attempts < 0)
        return k->f->attempts;
    return k->sight.attempts + (k->sight.seen == SEEN_ACTIVE);
}

static int write_end(struct db_conn *c, const struct change *k, const char *now, struct arena *a)
{
    char started[ISO_TIME_LEN];
    bool done = k->move == QUEUE_COMPLETED;
    char *result = k->result ? json_text(a, k->result) : NULL;
    if (k->result && !result)
        return -ENOMEM;
    int r = db_exec(c, "DELETE FROM queue_outbox WHERE job_id = ?1", DB_ARGS(DB_TEXT(k->f->id)), NULL);
    if (r < 0)
        return r;
    clock_format_iso(k->sight.started_ms, started);
    return db_exec(
        c,
        "UPDATE queue_jobs SET state = ?2, result = ?3, error = ?4, finished_at = ?5, run_at = NULL,"
        " lease_owner = NULL, lease_until = NULL, attempts = ?6, started_at = coalesce(started_at, ?7),"
        " progress = CASE WHEN ?8 = 1 THEN 100 ELSE progress END WHERE id = ?1",
        DB_ARGS(DB_TEXT(k->f->id), DB_TEXT(k->state), DB_TEXT(result), DB_TEXT(done ? NULL : k->error),
                DB_TEXT(now), DB_INT(attempts_of(k)), DB_TEXT(k->sight.started_ms ? started : NULL),
                DB_INT(done)),
        NULL);
}

static int write_state(struct db_conn *c, const struct change *k, const char *now)
{
    bool starts = k->move == QUEUE_STARTED && k->moves;
    return db_exec(
        c,
        "UPDATE queue_jobs SET state = ?2, attempts = ?3, error = coalesce(?4, error),"
        " progress = ?5, started_at = coalesce(started_at, ?6), lease_owner = NULL, lease_until = NULL"
        " WHERE id = ?1",
        DB_ARGS(
            DB_TEXT(k->f->id), DB_TEXT(k->state), DB_INT(attempts_of(k)),
            DB_TEXT(k->error[0] ? k->error : NULL),
            DB_INT(k->sight.progress >= 0 && k->sight.progress <= 100 ? k->sight.progress : k->f->progress),
            DB_TEXT(starts ? now : NULL)),
        NULL);
}

static int write_again(struct db_conn *c, const struct change *k)
{
    int r = db_exec(c,
                    "UPDATE queue_jobs SET state = 'waiting', lease_owner = NULL, lease_until = NULL"
                    " WHERE id = ?1",
                    DB_ARGS(DB_TEXT(k->f->id)), NULL);
    return r < 0 ? r : bull_outbox_in(c, k->f->id);
}

static int write_change(struct db_conn *c, const struct change *k, struct arena *a, struct queue_job *job)
{
    char now[ISO_TIME_LEN];
    int r = db_now_text(c, 0, now);
    if (r < 0)
        return r;
    if (k->add_again)
        return write_again(c, k);
    bool ends = k->sight.seen == SEEN_COMPLETED || k->sight.seen == SEEN_FAILED;
    r = ends ? write_end(c, k, now, a) : write_state(c, k, now);
    job->attempt = attempts_of(k);
    if (r == 0 && k->moves)
        r = queue_moved(k->b->q, c, job, k->move, k->result, k->error[0] ? k->error : NULL, NULL);
    if (r == 0 && !ends && k->sight.progress > 0 && k->sight.progress <= 100 &&
        k->sight.progress != k->f->progress)
        r = queue_progressed(k->b->q, c, job, k->sight.progress);
    return r;
}

/* 1 changed, 0 it was another's turn meanwhile. */
static int change_unit(struct db_conn *c, void *arg)
{
    struct change *k = arg;
    struct queue_job job = {0};
    struct arena a;
    arena_init(&a, WORK_ARENA_MAX);
    k->begun = false;
    int r = read_job(c, k->f, &a, &job);
    if (r > 0) {
        k->begun = true;
        r = write_change(c, k, &a, &job);
        r = r < 0 ? r : 1;
    }
    json_decref((json_t *)(uintptr_t)job.data);
    arena_free(&a);
    return r;
}

static int apply(struct change *k)
{
    int r = plan(k) ? db_write(k->b->q->db, change_unit, k) : 0;
    json_decref(k->result);
    if (r > 0 && k->add_again)
        log_event(LOG_WARN, "redis has lost a job; it is added again", LOG_S("job", k->f->id));
    if (r > 0 && k->moves)
        queue_made(k->b->q, k->f->id, k->move);
    else if (r > 0)
        queue_changed(k->b->q, k->f->id);
    if (r >= 0)
        return 0;
    log_event(LOG_ERROR, "a job's record can't follow it", LOG_S("job", k->f->id),
              LOG_S("error", strerror(-r)));
    return k->begun && r != -ENOSPC && r != -ETIMEDOUT ? -EBADMSG : r;
}

/* It was to be cancelled while Redis couldn't be reached. */
static int cancel_again(struct bullmq *b, const struct follower *f, struct sight *sight)
{
    int64_t answer;
    if (!f->cancelled || (sight->seen != SEEN_WAITING && sight->seen != SEEN_DELAYED))
        return 0;
    int r = bull_cancel_there(b, f->queue, f->id, QUEUE_ERROR_CANCELLED, &answer);
    if (r == 0 && answer == 1)
        *sight = (struct sight){
            .seen = SEEN_FAILED, .value = QUEUE_ERROR_CANCELLED, .progress = -1, .attempts = -1};
    return r;
}

/* One whose handler refuses the change stays as it is, and doesn't hold up the others: it is among those that
 * haven't ended, which are looked at again and again. */
static int follow(struct following *s, const redisReply *jobs)
{
    int first = 0;
    for (size_t i = 0; i < s->n && !bull_must_wait(first); i++) {
        struct follower *f = &s->all[i];
        if (!f->found)
            continue;
        struct sight sight = sight_of(jobs->element[i], f->hint);
        s->missing |= sight.seen == SEEN_MISSING;
        int r = cancel_again(s->b, f, &sight);
        if (r == 0)
            r = apply(&(struct change){.b = s->b, .f = f, .sight = sight, .restore = s->restore});
        first = r < 0 ? r : first;
    }
    return first;
}

static bool misses_any(const struct following *s, const redisReply *jobs)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].found && sight_of(jobs->element[i], s->all[i].hint).seen == SEEN_MISSING)
            return true;
    return false;
}

static int sync_some(struct following *s, enum queue_name queue, const struct bull_hint *hints, size_t n)
{
    _cleanup_reply_ redisReply *jobs = NULL;
    s->n = 0;
    for (size_t i = 0; i < n && s->n < BULL_LOOK_MOST; i++)
        s->all[s->n++] = (struct follower){.hint = &hints[i], .queue = queue};
    int r = s->n > 0 ? db_read(s->b->q->db, read_followers, s) : 0;
    bool any = false;
    for (size_t i = 0; i < s->n; i++)
        any |= s->all[i].found;
    if (r < 0 || !any)
        return r;
    r = look_at(s, queue, &jobs);
    if (r == 0 && s->restore && misses_any(s, jobs))
        r = s->catch_up(s->ctx);
    return r < 0 ? r : follow(s, jobs);
}

int bull_sync(struct bullmq *b, enum queue_name queue, const struct bull_hint *hints, size_t n)
{
    struct following s = {.b = b};
    return sync_some(&s, queue, hints, n);
}

/* --- all ------------------------------------------------------------------------------------------------ */

struct page {
    enum queue_name queue;
    int64_t after_seq;
    char ids[BULL_LOOK_MOST][QUEUE_ID_MAX + 1];
    size_t n;
};

/* Those that Redis must have: what is still in the outbox isn't there yet. */
static int page_unit(struct db_conn *c, void *arg)
{
    struct page *p = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(
        c,
        "SELECT id, seq FROM queue_jobs j WHERE queue = ?1 AND seq > ?2"
        " AND state IN ('waiting', 'delayed', 'active')"
        " AND NOT EXISTS (SELECT 1 FROM queue_outbox o WHERE o.job_id = j.id)"
        " ORDER BY seq LIMIT ?3",
        DB_ARGS(DB_TEXT(queue_name_text(p->queue)), DB_INT(p->after_seq), DB_INT(BULL_LOOK_MOST)), &rows);
    int64_t last = p->after_seq;
    p->n = 0;
    while (r == 0 && p->n < BULL_LOOK_MOST && (r = db_next(rows)) > 0) {
        (void)snprintf(p->ids[p->n++], sizeof p->ids[0], "%s", db_text(rows, 0));
        last = db_int(rows, 1);
        r = 0;
    }
    if (r >= 0)
        p->after_seq = last;
    return r < 0 ? r : 0;
}

static int sync_queue(struct following *s, enum queue_name queue)
{
    struct page p = {.queue = queue};
    struct bull_hint hints[BULL_LOOK_MOST];
    int first = 0;
    do {
        int r = db_read(s->b->q->db, page_unit, &p);
        if (r < 0)
            return r;
        for (size_t i = 0; i < p.n; i++)
            hints[i] = (struct bull_hint){.id = bull_redis_id(queue, p.ids[i])};
        r = sync_some(s, queue, hints, p.n);
        if (bull_must_wait(r))
            return r;
        first = first ? first : r;
    } while (p.n == BULL_LOOK_MOST && !cancel_raised(&s->b->closing));
    return first;
}

static int sync_queues(struct following *s)
{
    int first = 0;
    for (int queue = 0; queue < QUEUES; queue++) {
        int r = sync_queue(s, (enum queue_name)queue);
        if (bull_must_wait(r))
            return r;
        first = first ? first : r;
    }
    return first;
}

int bull_sync_all(struct bullmq *b, bool *ret_missing)
{
    struct following s = {.b = b};
    int r = sync_queues(&s);
    if (ret_missing)
        *ret_missing = s.missing;
    return r;
}

int bull_restore_missing(struct bullmq *b, int (*catch_up)(void *ctx), void *ctx)
{
    struct following s = {.b = b, .restore = true, .catch_up = catch_up, .ctx = ctx};
    return sync_queues(&s);
}
