/* SPDX-License-Identifier: MIT */
/* Claiming. A job is locked in Redis first, then its record says under which token: from then on an earlier
 * holder can't write to the record any more. A job whose record has ended (its worker died between the two
 * ends) doesn't run again; Redis is told how it ended. A job that others added has no record yet, and gets
 * one. */
#include "queue/bullmq.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "queue/embedded.h"

#include <errno.h>
#include <string.h>

#define OPERATION_MAX 64
#define OWNER_GONE "The job was deleted with its owner"
#define POSTPONE_MS 5000 /* of a job whose beginning its handler refuses */
#define CLAIM_ROUNDS (QUEUE_BATCH + 64)

enum fate { RUNS, ENDED, FAILS, CANCELLED, GONE };

/* A job that is locked in Redis. Texts live in the claim's arena. */
struct candidate {
    struct queue_claim *claim;
    struct bull_opts opts;
    const char *redis_id, *name, *data_text, *dead; /* dead: why it may not run */
    json_t *data;                                   /* what Redis says; NULL: no object */
    char foreign_id[BULL_ID_MOST + 1];
    int64_t timestamp_ms;
    int attempt, stalled;
    bool ours; /* it had a record when it was added */

    enum fate fate; /* set by the unit */
    const char *value;
    bool completed;
    bool refused; /* its handler doesn't let it begin */
};

struct beginning {
    struct bullmq *b;
    enum queue_name queue;
    struct candidate *all;
    size_t n;
};

const struct bull_opts *bull_opts_of(const struct queue_claim *claim)
{
    return claim->details;
}

static void candidate_free(struct candidate *k)
{
    json_decref(k->data);
    if (k->claim)
        queue_claim_free(k->claim);
    *k = (struct candidate){0};
}

/* --- what Redis gave ------------------------------------------------------------------------------------ */

static const char *copy_item(struct arena *a, const redisReply *reply, size_t i, size_t *ret_len)
{
    size_t len = 0;
    const char *text = bull_text(reply, i, &len);
    if (ret_len)
        *ret_len = text ? len : 0;
    return text ? arena_strndup(a, text, len) : NULL;
}

static int int_item(const redisReply *reply, size_t i)
{
    const char *text = bull_text(reply, i, NULL);
    int64_t n;
    return text && parse_int(text, 0, 1000000, &n) == 0 ? (int)n : 0;
}

static int64_t time_item(const redisReply *reply, size_t i)
{
    const char *text = bull_text(reply, i, NULL);
    int64_t n;
    return text && parse_int(text, 0, BULL_TIME_MOST_MS, &n) == 0 ? n : 0;
}

static const char *dead_text(struct arena *a, const redisReply *reply)
{
    size_t len = 0;
    const char *text = bull_text(reply, 9, &len);
    if (!text)
        return NULL;
    /* BullMQ's own words for what is QUEUE_ERROR_STALLED. */
    if (str_has_prefix(text, QUEUE_ERROR_STALLED))
        return QUEUE_ERROR_STALLED;
    return utf8_valid(text, len) ? arena_strndup(a, text, utf8_floor(text, len, WORK_ERROR_SIZE - 1))
                                 : "Another job failed";
}

static int read_candidate(struct beginning *s, const redisReply *reply, struct candidate *k)
{
    struct arena *a = &k->claim->arena;
    size_t id_len, name_len = 0, data_len = 0, opts_len = 0;
    k->redis_id = copy_item(a, reply, 1, &id_len);
    k->name = copy_item(a, reply, 2, &name_len);
    k->data_text = copy_item(a, reply, 3, &data_len);
    const char *opts = bull_text(reply, 4, &opts_len);
    if (!k->redis_id)
        return -ENOMEM;
    if (bull_foreign_id(s->queue, k->redis_id, id_len, k->foreign_id) < 0)
        k->claim->unfit = "The job's id is too long, or no text";
    k->data = k->data_text ? bull_data_parse(k->data_text, data_len) : NULL;
    bull_opts_parse(opts ? opts : "", opts_len, &k->opts);
    if (!k->name || name_len == 0 || name_len > OPERATION_MAX || !utf8_valid(k->name, name_len))
        k->name = NULL;
    k->timestamp_ms = time_item(reply, 5);
    k->attempt = int_item(reply, 6) + 1;
    k->stalled = int_item(reply, 8);
    k->ours = bull_text(reply, 10, NULL) != NULL;
    k->dead = dead_text(a, reply);
    k->claim->details = &k->opts;
    return 0;
}

/* One job: 1 it is in *k, 0 there is none, 2 there was one that can't be read, or negative errno. */
static int lock_next(struct beginning *s, struct candidate *k)
{
    _cleanup_reply_ redisReply *reply = NULL;
    struct redis_args args = {0};
    char token[QUEUE_TOKEN_SIZE + 8], worker[QUEUE_TOKEN_SIZE];
    k->claim = queue_claim_new();
    if (!k->claim)
        return -ENOMEM;
    queue_token(s->b->q, k->claim->token);
    k->claim->good_until_ms = clock_monotonic_ms() + QUEUE_LEASE_MS;
    bull_token(k->claim, token);
    (void)snprintf(worker, sizeof worker, "genie:%s", s->b->q->owner);
    redis_arg_int(&args, clock_now_ms());
    redis_arg(&args, token);
    redis_arg_int(&args, QUEUE_LEASE_MS);
    redis_arg(&args, worker);
    redis_arg_int(&args, (int64_t)BULL_VALUE_MOST);
    int r = bull_eval(s->b, BULL_CLAIM, s->queue, &args, &reply);
    if (r < 0)
        return r;
    int64_t kind = bull_int(reply, 0, 0);
    if (kind == 0)
        return 0;
    r = read_candidate(s, reply, k);
    if (kind == 2)
        k->claim->unfit = "The job is larger than 1 MiB";
    return r < 0 ? r : 1;
}

/* --- ends that are told to Redis ------------------------------------------------------------------------ */

static void send_end(struct beginning *s, const struct candidate *k, enum queue_move move, const char *value,
                     int64_t delay_ms)
{
    char token[QUEUE_TOKEN_SIZE + 8];
    bull_token(k->claim, token);
    bull_send(s->b, &(struct bull_end){.queue = s->queue,
                                       .id = (char *)(uintptr_t)k->redis_id,
                                       .token = token,
                                       .value = (char *)(uintptr_t)value,
                                       .move = move,
                                       .opts = k->opts,
                                       .delay_ms = delay_ms});
}

/* --- the record ----------------------------------------------------------------------------------------- */

#define RECORD \
    "SELECT " EMBEDDED_JOB \
    ", state, CAST(result AS TEXT), error, CASE WHEN cancelled_at IS NULL THEN 0 ELSE 1 END," \
    " created_at FROM queue_jobs WHERE id = ?1 AND queue = ?2"
enum { STATE_COL = EMBEDDED_JOB_COLUMNS, RESULT_COL, ERROR_COL, CANCELLED_COL, CREATED_COL };

static int read_fate(struct db_rows *rows, struct candidate *k)
{
    const char *state = db_text(rows, STATE_COL);
    k->completed = str_equal(state, "completed");
    k->fate = k->completed || str_equal(state, "failed") ? ENDED
              : db_int(rows, CANCELLED_COL)              ? CANCELLED
              : k->dead                                  ? FAILS
                                                         : RUNS;
    if (k->fate != ENDED)
        return 0;
    int col = k->completed ? RESULT_COL : ERROR_COL;
    k->value = db_text_dup(rows, col, &k->claim->arena);
    return k->value || db_is_null(rows, col) ? 0 : -ENOMEM;
}

/* Whether the record is of an earlier job that had the same id: numbers begin anew when a queue is emptied.
 */
static bool is_another(struct db_rows *rows, const struct candidate *k)
{
    int64_t created_ms;
    return clock_parse_iso(db_text(rows, CREATED_COL), &created_ms) < 0 || created_ms != k->timestamp_ms;
}

/* 1 with the job and its fate, 0 where there is no such record. */
static int read_record(struct db_conn *c, const struct beginning *s, struct candidate *k, const char *id,
                       bool foreign)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    struct queue_job *job = &k->claim->job;
    int r = db_query(c, RECORD, DB_ARGS(DB_TEXT(id), DB_TEXT(queue_name_text(s->queue))), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0 || (foreign && is_another(rows, k)))
        return r < 0 ? r : 0;
    json_decref((json_t *)(uintptr_t)job->data); /* of a run of the unit that was undone */
    job->data = NULL;
    r = embedded_read_job(rows, &k->claim->arena, job);
    if (r >= 0)
        r = read_fate(rows, k);
    return r < 0 ? r : 1;
}

/* The row that a foreign media job is about, and whose it is; what its data says of a user isn't believed. */
static int find_owner(struct db_conn *c, const struct candidate *k, const char **ret_media,
                      const char **ret_user)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    const char *id = json_str(k->data, "jobId", NULL);
    *ret_media = *ret_user = NULL;
    if (!id || !uuid_valid(id))
        return 0;
    int r = db_query(c, "SELECT id, user_id FROM media_jobs WHERE id = ?1", DB_ARGS(DB_TEXT(id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    *ret_media = db_text_dup(rows, 0, &k->claim->arena);
    *ret_user = db_text_dup(rows, 1, &k->claim->arena);
    return *ret_media && *ret_user ? 0 : -ENOMEM;
}

/* The job's name is its operation, unless nobody does that and its data names another. */
static const char *operation_of(const struct beginning *s, const struct candidate *k)
{
    const char *other = json_str(k->data, "operation", NULL);
    if (k->name && queue_handler_of(s->b->q, s->queue, k->name))
        return k->name;
    if (other && other[0] && strlen(other) <= OPERATION_MAX && queue_handler_of(s->b->q, s->queue, other))
        return other;
    return k->name ? k->name : "unnamed";
}

static int insert_record(struct db_conn *c, const struct beginning *s, struct candidate *k)
{
    const char *media = NULL, *user = NULL, *data = "{}";
    char created[ISO_TIME_LEN];
    int r = s->queue == QUEUE_MEDIA ? find_owner(c, k, &media, &user) : 0;
    if (r < 0)
        return r;
    if (k->data && !(data = json_text(&k->claim->arena, k->data)))
        return -ENOMEM;
    clock_format_iso(k->timestamp_ms, created);
    return db_exec(
        c,
        "INSERT INTO queue_jobs (id, queue, operation, user_id, media_job_id, data, max_attempts,"
        " created_at, priority) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)"
        " ON CONFLICT (id) DO UPDATE SET queue = excluded.queue, operation = excluded.operation,"
        " user_id = excluded.user_id, media_job_id = excluded.media_job_id, data = excluded.data,"
        " max_attempts = excluded.max_attempts, created_at = excluded.created_at, result = NULL,"
        " error = NULL, cancelled_at = NULL, started_at = NULL, finished_at = NULL, state = 'waiting'",
        DB_ARGS(DB_TEXT(k->foreign_id), DB_TEXT(queue_name_text(s->queue)), DB_TEXT(operation_of(s, k)),
                DB_TEXT(user), DB_TEXT(media), DB_TEXT(data), DB_INT(k->opts.attempts), DB_TEXT(created)),
        NULL);
}

static int find_record(struct db_conn *c, const struct beginning *s, struct candidate *k)
{
    int r = 0;
    if (bull_id_is_ours(k->redis_id, strlen(k->redis_id)))
        r = read_record(c, s, k, k->redis_id, false);
    if (r == 0 && k->ours) { /* deleted since, with its owner: it was over then, and isn't written anew */
        k->fate = GONE;
        return 0;
    }
    if (r == 0)
        r = read_record(c, s, k, k->foreign_id, true);
    if (r == 0) {
        r = insert_record(c, s, k);
        if (r == 0)
            r = read_record(c, s, k, k->foreign_id, true);
    }
    if (r > 0 && strchr(k->claim->job.id, ':') && !k->data)
        k->claim->unfit = "The job's data is not a JSON object";
    return r == 0 ? -EIO : r;
}

static int end_record(struct db_conn *c, const struct beginning *s, struct candidate *k,
                      const struct embedded_times *t)
{
    bool cancelled = k->fate == CANCELLED;
    const char *error = cancelled ? QUEUE_ERROR_CANCELLED : k->dead;
    int r = db_exec(
        c,
        "UPDATE queue_jobs SET state = 'failed', error = ?2, finished_at = ?3, stalled_count = ?4,"
        " lease_owner = NULL, lease_until = NULL WHERE id = ?1",
        DB_ARGS(DB_TEXT(k->claim->job.id), DB_TEXT(error), DB_TEXT(t->now), DB_INT(k->stalled)), NULL);
    k->value = error;
    return r < 0 ? r
                 : queue_moved(s->b->q, c, &k->claim->job, cancelled ? QUEUE_CANCELLED : QUEUE_FAILED, NULL,
                               error, NULL);
}

static int begin(struct db_conn *c, const struct beginning *s, struct candidate *k,
                 const struct embedded_times *t)
{
    int r = find_record(c, s, k);
    if (r < 0 || k->fate == ENDED || k->fate == GONE)
        return r;
    k->claim->job.attempt = k->attempt;
    if (k->fate != RUNS)
        return end_record(c, s, k, t);
    r = db_exec(c,
                "UPDATE queue_jobs SET state = 'active', attempts = ?2, lease_owner = ?3, lease_until = ?4,"
                " started_at = coalesce(started_at, ?5), progress = 0, run_at = NULL, stalled_count = ?6"
                " WHERE id = ?1",
                DB_ARGS(DB_TEXT(k->claim->job.id), DB_INT(k->attempt), DB_TEXT(k->claim->token),
                        DB_TEXT(t->lease), DB_TEXT(t->now), DB_INT(k->stalled)),
                NULL);
    if (r < 0)
        return r;
    r = queue_moved(s->b->q, c, &k->claim->job, QUEUE_STARTED, NULL, NULL, NULL);
    k->refused = r < 0;
    return r;
}

static int begin_unit(struct db_conn *c, void *arg)
{
    struct beginning *s = arg;
    struct embedded_times t;
    int r = embedded_read_times(c, &t);
    for (size_t i = 0; i < s->n; i++)
        s->all[i].refused = false;
    for (size_t i = 0; i < s->n && r >= 0; i++)
        r = begin(c, s, &s->all[i], &t);
    return r < 0 ? r : 0;
}

/* --- a step's claims ------------------------------------------------------------------------------------ */

/* What can have no record ends at once. */
static bool ends_unread(struct beginning *s, struct candidate *k)
{
    if (!k->claim->unfit)
        return false;
    log_event(LOG_WARN, "a job that can't be read is failed", LOG_S("queue", queue_name_text(s->queue)),
              LOG_S("why", k->claim->unfit));
    send_end(s, k, QUEUE_FAILED, k->claim->unfit, 0);
    candidate_free(k);
    return true;
}

static int lock_all(struct beginning *s, size_t want)
{
    int r = 0;
    for (int round = 0; round < CLAIM_ROUNDS && s->n < want; round++) {
        struct candidate *k = &s->all[s->n];
        r = lock_next(s, k);
        if (r <= 0) {
            candidate_free(k);
            break;
        }
        if (!ends_unread(s, k))
            s->n++;
    }
    return r < 0 && s->n == 0 ? r : 0;
}

static void hand_back(struct beginning *s, int why)
{
    for (size_t i = 0; i < s->n; i++) {
        struct candidate *k = &s->all[i];
        if (k->refused)
            log_event(LOG_ERROR, "a job can't begin, and is put off", LOG_S("job", k->claim->job.id),
                      LOG_S("error", strerror(-why)));
        send_end(s, k, QUEUE_RETURNED, NULL, k->refused ? POSTPONE_MS : 0);
    }
}

static int keep_opts(struct candidate *k)
{
    struct bull_opts *opts = arena_alloc(&k->claim->arena, sizeof *opts);
    if (!opts)
        return -ENOMEM;
    *opts = k->opts;
    k->claim->details = opts;
    return 0;
}

static void give_out(struct beginning *s, struct queue_step *step)
{
    for (size_t i = 0; i < s->n; i++) {
        struct candidate *k = &s->all[i];
        if (k->fate == GONE)
            k->opts.failed = (struct bull_keep){.count = 0, .age_s = -1};
        if (k->fate == ENDED)
            send_end(s, k, k->completed ? QUEUE_COMPLETED : QUEUE_FAILED, k->value, 0);
        else if (k->fate != RUNS)
            send_end(s, k, QUEUE_FAILED, k->fate == GONE ? OWNER_GONE : k->value, 0);
        if (k->fate == FAILS || k->fate == CANCELLED)
            queue_made(s->b->q, k->claim->job.id, k->fate == FAILS ? QUEUE_FAILED : QUEUE_CANCELLED);
        if (k->fate != RUNS)
            continue;
        if (keep_opts(k) < 0) {
            send_end(s, k, QUEUE_RETURNED, NULL, POSTPONE_MS);
            continue;
        }
        queue_made(s->b->q, k->claim->job.id, QUEUE_STARTED);
        step->claimed[step->n_claimed++] = TAKE_PTR(k->claim);
    }
}

int bull_claim(struct bullmq *b, struct queue_step *step)
{
    step->n_claimed = 0;
    if (step->want == 0)
        return 0;
    struct beginning s = {.b = b, .queue = step->queue};
    s.all = calloc(step->want, sizeof *s.all);
    int r = s.all ? lock_all(&s, step->want) : -ENOMEM;
    if (r == 0 && s.n > 0) {
        r = db_write(b->q->db, begin_unit, &s);
        if (r < 0)
            hand_back(&s, r);
        else
            give_out(&s, step);
    }
    for (size_t i = 0; i < s.n; i++)
        candidate_free(&s.all[i]);
    free(s.all);
    return r < 0 ? r : 0;
}
