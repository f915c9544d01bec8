/* SPDX-License-Identifier: MIT */
/* Enqueuing looks first (the row, whose files they are), then checks what needs no store, then writes in one
 * short unit. What the look found can have changed until then: so the unit sets the row only where it is
 * still as it was seen, and of many who come at once one finds it so. */
#include "media/jobs.h"

#include "base/clock.h"
#include "base/text.h"
#include "media/operation.h"
#include "net/guard.h"
#include "queue/queue.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define PARAMS_MAX ((size_t)64 * 1024) /* as JSON; what the column may hold */
#define PREVIOUS_ERROR_MAX 500         /* bytes of it that the next run's log repeats */

/* A run that is about to be: what the row will say, in the arena. */
struct enqueuing {
    const struct media_jobs *m;
    const struct media_ask *ask;
    struct arena *arena;
    struct media_answer *ret;
    bool retry; /* only what has failed; else also what never ran */

    const struct media_operation *op;
    struct media_row row; /* as it was seen; a new one: all empty but the ids */
    bool found, unconfirmed;
    const char *input_file_id, *input_url, *creator_profile_id, *params_text, *data;
    const json_t *params;
    json_t *parsed; /* what params points into, where they are the row's */
    const void *bound;
    struct body_error bad_params;
    enum feature feature;
};

/* ---- refusing */

static int refuse(struct media_answer *ret, enum error_id error, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Notes why not; always 1, for `return refuse(…)`. */
static int refuse(struct media_answer *ret, enum error_id error, const char *field, const char *fmt, ...)
{
    va_list ap;
    ret->error = error;
    (void)snprintf(ret->field, sizeof ret->field, "%s", field ? field : "");
    va_start(ap, fmt);
    (void)vsnprintf(ret->sentence, sizeof ret->sentence, fmt, ap);
    va_end(ap);
    return 1;
}

static int refuse_foreign(struct media_answer *ret, const char *field, const char *what)
{
    return refuse(ret, ERR_NOT_FOUND, field, "There is no such %s", what);
}

/* ---- the row */

#define ROW_COLUMNS \
    "SELECT id, user_id, status, operation, bull_job_id, input_file_id, input_url, creator_profile_id," \
    " params, result, error_message, progress, retry_count, date_created, started_at, completed_at" \
    " FROM media_jobs WHERE "

static const char *lower_copy(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text);
    if (copy)
        str_lower(copy);
    return copy;
}

static void read_row(struct db_rows *rows, struct arena *a, struct media_row *ret)
{
    *ret = (struct media_row){
        .status = db_text_dup(rows, 2, a),
        .operation = db_text_dup(rows, 3, a),
        .run_id = db_text_dup(rows, 4, a),
        .input_file_id = db_text_dup(rows, 5, a),
        .input_url = db_text_dup(rows, 6, a),
        .creator_profile_id = db_text_dup(rows, 7, a),
        .params = db_text_dup(rows, 8, a),
        .result = db_text_dup(rows, 9, a),
        .error = db_text_dup(rows, 10, a),
        .progress = db_int(rows, 11),
        .retry_count = db_int(rows, 12),
        .created_at = db_text_dup(rows, 13, a),
        .started_at = db_text_dup(rows, 14, a),
        .completed_at = db_text_dup(rows, 15, a),
    };
    (void)snprintf(ret->id, sizeof ret->id, "%s", db_text(rows, 0));
    (void)snprintf(ret->user_id, sizeof ret->user_id, "%s", db_text(rows, 1));
}

int media_row_find(struct db_conn *c, const struct media_whose *whose, struct arena *a, struct media_row *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    bool by_row = uuid_valid(whose->id);
    const char *id = lower_copy(a, whose->id);
    if (!id)
        return -ENOMEM;
    int r = db_query(c, by_row ? ROW_COLUMNS "id = ?1" : ROW_COLUMNS "bull_job_id = ?1", DB_ARGS(DB_TEXT(id)),
                     &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    if (!whose->any && !str_equal_nocase(db_text(rows, 1), whose->user_id))
        return 0;
    read_row(rows, a, ret);
    return ret->status && ret->operation ? 1 : -ENOMEM;
}

struct loading {
    const struct media_whose *whose;
    struct arena *arena;
    struct media_row *row;
};

static int load_unit(struct db_conn *c, void *arg)
{
    const struct loading *in = arg;
    return media_row_find(c, in->whose, in->arena, in->row);
}

int media_row_load(struct db *db, const struct media_whose *whose, struct arena *a, struct media_row *ret)
{
    return db_read(db, load_unit, &(struct loading){whose, a, ret});
}

/* Whether the row has a run that has not failed. */
static bool has_run(const struct media_row *row)
{
    return row->run_id && !str_equal(row->status, "pending") && !str_equal(row->status, "failed");
}

static int64_t run_number(const struct media_row *row)
{
    const char *dash = row->run_id ? strrchr(row->run_id, '-') : NULL;
    int64_t n;
    return dash && parse_int(dash + 1, 0, INT32_MAX - 1, &n) == 0 ? n : 0;
}

/* ---- what will be run */

static const char *pick(struct arena *a, const char *asked, const char *own)
{
    return asked ? lower_copy(a, asked) : own;
}

/* The row's params are a text of our own; what isn't an object counts as none. */
static void own_params(struct enqueuing *e)
{
    const char *text = e->row.params;
    if (!text || !str_equal(e->row.operation, e->op->name))
        return;
    json_decref(e->parsed); /* of a unit that was undone */
    e->parsed = json_parse_own(text, strlen(text));
    e->params = json_is_object(e->parsed) ? e->parsed : NULL;
}

/* From the body where it says something, else from the row. */
static int gather(struct enqueuing *e)
{
    const struct media_ask *ask = e->ask;
    e->input_file_id = pick(e->arena, ask->input_file_id, e->row.input_file_id);
    e->creator_profile_id = pick(e->arena, ask->creator_profile_id, e->row.creator_profile_id);
    e->params = ask->params;
    if (!e->params)
        own_params(e);
    e->input_url = ask->input_url;
    if (!e->input_url && (e->op->needs & MEDIA_NEEDS_URL))
        e->input_url = json_str(e->params, "input_url", NULL);
    if (!e->input_url)
        e->input_url = e->row.input_url;
    int r = media_params_bind(e->op, e->params, e->arena, &e->bound, &e->bad_params);
    return r == -EINVAL ? 0 : r;
}

/* ---- looking */

static int owns(struct db_conn *c, const char *sql, const char *id, const char *user_id)
{
    int64_t one;
    return db_query_int(c, sql, DB_ARGS(DB_TEXT(id), DB_TEXT(user_id)), &one);
}

static int check_file(struct db_conn *c, struct enqueuing *e, const char *field, const char *id)
{
    const char *lower = lower_copy(e->arena, id);
    if (!lower)
        return -ENOMEM;
    int r = uuid_valid(lower) ? owns(c, "SELECT 1 FROM directus_files WHERE id = ?1 AND uploaded_by = ?2",
                                     lower, e->ask->user_id)
                              : 0;
    return r == 0 ? refuse_foreign(e->ret, field, "file") : r < 0 ? r : 0;
}

/* Those that the params name. */
static int check_files(struct db_conn *c, struct enqueuing *e)
{
    const char *ids[MEDIA_INPUTS_MAX];
    size_t n = e->bound ? media_params_files(e->op, e->bound, ids) : 0;
    const char *field = e->op->files_at ? "params.input_file_ids" : "params.watermark_file_id";
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = check_file(c, e, field, ids[i]);
    return r;
}

/* Everything that is named must be theirs: 0, 1 where something isn't, or the store's error. */
static int check_named(struct db_conn *c, struct enqueuing *e)
{
    int r = 0;
    if (e->input_file_id)
        r = check_file(c, e, "input_file_id", e->input_file_id);
    if (r == 0)
        r = check_files(c, e);
    if (r != 0 || !e->creator_profile_id)
        return r;
    r = owns(c, "SELECT 1 FROM creator_profiles WHERE id = ?1 AND user_id = ?2", e->creator_profile_id,
             e->ask->user_id);
    return r == 0 ? refuse_foreign(e->ret, "creator_profile_id", "profile") : r < 0 ? r : 0;
}

static int look_unconfirmed(struct db_conn *c, struct enqueuing *e)
{
    int64_t one;
    int r = db_query_int(c, "SELECT 1 FROM queue_jobs WHERE id = ?1 AND unconfirmed = TRUE",
                         DB_ARGS(DB_TEXT(e->row.run_id)), &one);
    e->unconfirmed = r > 0;
    return r < 0 ? r : 0;
}

static int look_unit(struct db_conn *c, void *arg)
{
    struct enqueuing *e = arg;
    struct media_whose whose = {.user_id = e->ask->user_id, .id = e->ask->job_id};
    int r = whose.id ? media_row_find(c, &whose, e->arena, &e->row) : 1;
    if (r <= 0)
        return r < 0 ? r : refuse_foreign(e->ret, "jobId", "job");
    r = gather(e);
    if (r == 0)
        r = check_named(c, e);
    if (r == 0 && has_run(&e->row))
        r = look_unconfirmed(c, e);
    return r;
}

/* ---- what needs no store */

static int check_params(struct enqueuing *e)
{
    const struct body_error *bad = &e->bad_params;
    if (!e->bound) {
        (void)refuse(e->ret, bad->error, NULL, "%s", bad->sentence);
        (void)snprintf(e->ret->field, sizeof e->ret->field, "params%s%s", bad->field ? "." : "",
                       bad->field ? bad->field : "");
        return 1;
    }
    if ((e->op->needs & MEDIA_NEEDS_FILE) && !e->input_file_id && !e->input_url)
        return refuse(e->ret, ERR_MISSING_FIELD, "input_file_id", "%s needs input_file_id or input_url",
                      e->op->name);
    if ((e->op->needs & MEDIA_NEEDS_URL) && !e->input_url)
        return refuse(e->ret, ERR_MISSING_FIELD, "input_url", "%s needs input_url", e->op->name);
    return 0;
}

static int check_url(struct enqueuing *e)
{
    int r = e->input_url ? guard_check_url(e->input_url) : 0;
    return r < 0 ? refuse(e->ret, ERR_URL_REFUSED, "input_url", "%s", "") : 0;
}

/* The row's state: 1 where it stands in the way. */
static int check_state(struct enqueuing *e)
{
    if (e->retry && !str_equal(e->row.status, "failed"))
        return refuse(e->ret, ERR_JOB_NOT_FAILED, NULL, "%s", "");
    if (has_run(&e->row))
        return refuse(e->ret, ERR_JOB_QUEUED, "jobId", "%s", "");
    return 0;
}

/* ---- the run's ids and data */

static void name_run(struct enqueuing *e)
{
    struct media_answer *ret = e->ret;
    if (e->ask->job_id)
        memcpy(ret->job_id, e->row.id, sizeof ret->job_id);
    else
        uuid_make(ret->job_id);
    (void)snprintf(ret->run_id, sizeof ret->run_id, "%s-%d", ret->job_id, (int)(run_number(&e->row) + 1));
}

/* The error of the run before, for the next one's log. */
static json_t *previous_error(const struct enqueuing *e)
{
    const char *error = e->retry ? e->row.error : NULL;
    return error ? json_stringn(error, utf8_floor(error, strlen(error), PREVIOUS_ERROR_MAX)) : NULL;
}

static int write_data(struct enqueuing *e)
{
    _cleanup_json_ json_t *data =
        json_pack("{s:s, s:s, s:s?, s:s?, s:O?, s:s?, s:s, s:o*}", "jobId", e->ret->job_id, "operation",
                  e->op->name, "input_file_id", e->input_file_id, "input_url", e->input_url, "params",
                  e->params, "creator_profile_id", e->creator_profile_id, "user_id", e->ask->user_id,
                  "previous_error", previous_error(e));
    e->params_text = e->params ? json_text(e->arena, e->params) : NULL;
    e->data = data ? json_text(e->arena, data) : NULL;
    if (!e->data || (e->params && !e->params_text))
        return -ENOMEM;
    if (e->params_text && strlen(e->params_text) > PARAMS_MAX)
        return refuse(e->ret, ERR_INVALID_FIELD, "params", "params are longer than %zu bytes", PARAMS_MAX);
    return 0;
}

/* ---- the unit */

static int new_row(struct db_conn *c, const struct enqueuing *e, const char *now)
{
    return db_exec(c,
                   "INSERT INTO media_jobs (id, user_id, status, operation, params, input_file_id, input_url,"
                   " creator_profile_id, priority, bull_job_id, date_created, date_updated)"
                   " VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
                   DB_ARGS(DB_TEXT(e->ret->job_id), DB_TEXT(e->ask->user_id), DB_TEXT(e->op->name),
                           DB_TEXT(e->params_text), DB_TEXT(e->input_file_id), DB_TEXT(e->input_url),
                           DB_TEXT(e->creator_profile_id), DB_INT(e->ask->priority), DB_TEXT(e->ret->run_id),
                           DB_TEXT(now)),
                   NULL);
}

/* Columns that refer to others are costly to set: only where they change. */
static bool changes_references(const struct enqueuing *e)
{
    return e->ask->job_id && !(str_equal(e->input_file_id, e->row.input_file_id) &&
                               str_equal(e->creator_profile_id, e->row.creator_profile_id));
}

static int set_references(struct db_conn *c, const struct enqueuing *e)
{
    if (!changes_references(e))
        return 0;
    return db_exec(c, "UPDATE media_jobs SET input_file_id = ?1, creator_profile_id = ?2 WHERE id = ?3",
                   DB_ARGS(DB_TEXT(e->input_file_id), DB_TEXT(e->creator_profile_id), DB_TEXT(e->row.id)),
                   NULL);
}

/* -EALREADY where it isn't as it was seen. */
static int claim_row(struct db_conn *c, const struct enqueuing *e, const char *now)
{
    int64_t changed = 0;
    int r = db_exec(
        c,
        "UPDATE media_jobs SET status = 'queued', operation = ?1, params = ?2, input_url = ?3, priority = ?4,"
        " bull_job_id = ?5, progress = 0, result = NULL, error_message = NULL, retry_count = 0,"
        " started_at = NULL, completed_at = NULL, date_updated = ?6 WHERE id = ?7 AND user_id = ?8"
        " AND status = ?9 AND coalesce(bull_job_id, '') = ?10",
        DB_ARGS(DB_TEXT(e->op->name), DB_TEXT(e->params_text), DB_TEXT(e->input_url),
                DB_INT(e->ask->priority), DB_TEXT(e->ret->run_id), DB_TEXT(now), DB_TEXT(e->row.id),
                DB_TEXT(e->ask->user_id), DB_TEXT(e->row.status),
                DB_TEXT(e->row.run_id ? e->row.run_id : "")),
        &changed);
    if (r == 0 && changed == 0)
        return -EALREADY;
    return r < 0 ? r : set_references(c, e);
}

/* -EDQUOT where the plan has none left. */
static int take_unit(struct db_conn *c, const struct enqueuing *e)
{
    struct quota_ask ask = {.user_id = e->ask->user_id, .feature = e->feature, .amount = 1};
    int r = quota_reserve_in(e->m->quota, c, &ask, e->ret->run_id, 0, &e->ret->quota);
    return r == 0 && !e->ret->quota.allowed ? -EDQUOT : r;
}

static int add_run(struct db_conn *c, const struct enqueuing *e)
{
    struct queue_add job = {.id = e->ret->run_id,
                            .queue = QUEUE_MEDIA,
                            .operation = e->op->name,
                            .user_id = e->ask->user_id,
                            .media_job_id = e->ret->job_id,
                            .data = e->data,
                            .priority = (int)e->ask->priority};
    return queue_add_in(e->m->queue, c, &job);
}

static int enqueue_unit(struct db_conn *c, void *arg)
{
    const struct enqueuing *e = arg;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    int r = e->ask->job_id ? claim_row(c, e, now) : new_row(c, e, now);
    if (r == 0)
        r = take_unit(c, e);
    if (r == 0)
        r = add_run(c, e);
    return r == 0 && e->ask->also ? e->ask->also(c, e->ret, e->ask->arg) : r;
}

static int mark_unconfirmed(struct db_conn *c, void *arg)
{
    const struct enqueuing *e = arg;
    return db_exec(c, "UPDATE queue_jobs SET unconfirmed = TRUE WHERE id = ?1",
                   DB_ARGS(DB_TEXT(e->ret->run_id)), NULL);
}

/* The run stands; now whether the queue has it. */
static int confirm(struct enqueuing *e)
{
    if (queue_confirm(e->m->queue, e->ret->run_id) == 0)
        return 0;
    (void)db_write(e->m->db, mark_unconfirmed, e); /* where that fails, a repeat hears that it is queued */
    return refuse(e->ret, ERR_QUEUE_UNCONFIRMED, NULL, "%s", "");
}

/* A row that names another file holds itself and that one; who deletes files of the user, them and the rows
 * that name them. */
static int write_enqueued(struct enqueuing *e)
{
    return changes_references(e) ? db_write_in_turn(e->m->db, e->ask->user_id, enqueue_unit, e)
                                 : db_write(e->m->db, enqueue_unit, e);
}

static int write_run(struct enqueuing *e)
{
    int r = write_enqueued(e);
    quota_forget(e->m->quota, e->ask->user_id);
    switch (r) {
    case 0:
        return confirm(e);
    case -EALREADY: /* another came first */
    case -EEXIST:
        return e->retry ? refuse(e->ret, ERR_JOB_NOT_FAILED, NULL, "%s", "")
                        : refuse(e->ret, ERR_JOB_QUEUED, "jobId", "%s", "");
    case -EDQUOT:
        return refuse(e->ret, ERR_TIER_LIMIT, NULL, "%s", "");
    case -EDOM: /* a file or the profile went meanwhile */
        return refuse_foreign(e->ret, NULL, "file or profile");
    default:
        return r;
    }
}

/* ---- enqueuing */

/* A repeat of what was told `queue_unconfirmed`. */
static int answer_again(struct enqueuing *e)
{
    memcpy(e->ret->job_id, e->row.id, sizeof e->ret->job_id);
    (void)snprintf(e->ret->run_id, sizeof e->ret->run_id, "%s", e->row.run_id);
    return 0;
}

/* 0, 1 where it is refused, or negative errno. */
static int enqueue(struct enqueuing *e)
{
    int r = db_read(e->m->db, look_unit, e);
    if (r != 0)
        return r;
    if (e->unconfirmed && !e->retry)
        return answer_again(e);
    r = check_state(e);
    if (r == 0)
        r = check_params(e);
    if (r == 0)
        r = check_url(e);
    if (r != 0)
        return r;
    name_run(e);
    r = write_data(e);
    if (r == 0 && quota_resolve(e->m->quota, e->op->name, &e->feature) < 0)
        r = -EIO; /* the tiers file names every operation */
    if (r == 0 && queue_ready(e->m->queue) < 0)
        r = refuse(e->ret, ERR_QUEUE_UNAVAILABLE, NULL, "%s", "");
    return r == 0 ? write_run(e) : r;
}

static int run_enqueuing(struct enqueuing *e)
{
    *e->ret = (struct media_answer){.error = ERR_NONE};
    e->op = media_operation_find(e->ask->operation);
    if (!e->op) {
        (void)refuse(e->ret, ERR_INVALID_FIELD, "operation", "There is no such operation");
        return 0;
    }
    int r = enqueue(e);
    json_decref(e->parsed);
    return r < 0 ? r : 0;
}

int media_enqueue(const struct media_jobs *m, const struct media_ask *ask, struct arena *a,
                  struct media_answer *ret)
{
    return run_enqueuing(&(struct enqueuing){.m = m, .ask = ask, .arena = a, .ret = ret});
}

/* ---- again */

int media_retry(const struct media_jobs *m, const struct media_whose *whose, media_also_fn also, void *arg,
                struct arena *a, struct media_answer *ret)
{
    struct media_row row;
    *ret = (struct media_answer){.error = ERR_NONE};
    int r = media_row_load(m->db, whose, a, &row);
    if (r < 0)
        return r;
    if (r == 0) {
        (void)refuse_foreign(ret, "jobId", "job");
        return 0;
    }
    struct media_ask ask = {.user_id = row.user_id,
                            .job_id = row.id,
                            .operation = row.operation,
                            .priority = MEDIA_PRIORITY_RETRY,
                            .also = also,
                            .arg = arg};
    return run_enqueuing(&(struct enqueuing){.m = m, .ask = &ask, .arena = a, .ret = ret, .retry = true});
}
