/* SPDX-License-Identifier: MIT */
/* Looking at the queues' rows. */
#include "queue/embedded.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define INFO(result) \
    "SELECT id, operation, user_id, media_job_id, " result \
    ", error, created_at, started_at, finished_at, run_at," \
    " queue, state, priority, progress, attempts, max_attempts, stalled_count," \
    " CASE WHEN cancelled_at IS NULL THEN 0 ELSE 1 END, CASE WHEN result IS NULL THEN 0 ELSE 1 END" \
    " FROM queue_jobs"
/* ?3: most bytes of a result. */
#define INFO_IN_LIST(bytes) INFO("CASE WHEN " bytes " <= ?3 THEN result END")
enum {
    TEXTS = 10,
    QUEUE_COL = TEXTS,
    STATE_COL,
    PRIORITY_COL,
    PROGRESS_COL,
    ATTEMPTS_COL,
    MOST_COL,
    STALLED_COL,
    CANCELLED_COL,
    RESULT_COL
};

static int read_state(const char *text, int priority, enum job_state *ret)
{
    int r = job_state_parse(text, ret);
    if (r == 0 && *ret == JOB_WAITING && priority > 0)
        *ret = JOB_PRIORITIZED;
    return r;
}

static int read_info(struct db_rows *rows, struct arena *a, struct queue_info *ret)
{
    const char **texts[TEXTS] = {&ret->id,          &ret->operation, &ret->user_id,    &ret->media_job_id,
                                 &ret->result,      &ret->error,     &ret->created_at, &ret->started_at,
                                 &ret->finished_at, &ret->run_at};
    for (int i = 0; i < TEXTS; i++)
        if (!(*texts[i] = db_text_dup(rows, i, a)) && !db_is_null(rows, i))
            return -ENOMEM;
    ret->priority = (int)db_int(rows, PRIORITY_COL);
    ret->progress = (int)db_int(rows, PROGRESS_COL);
    ret->attempts = (int)db_int(rows, ATTEMPTS_COL);
    ret->max_attempts = (int)db_int(rows, MOST_COL);
    ret->stalled = (int)db_int(rows, STALLED_COL);
    ret->cancelled = db_int(rows, CANCELLED_COL) != 0;
    ret->result_omitted = db_int(rows, RESULT_COL) != 0 && !ret->result;
    int r = queue_name_parse(db_text(rows, QUEUE_COL), &ret->queue);
    return r == 0 ? read_state(db_text(rows, STATE_COL), ret->priority, &ret->state) : r;
}

struct reading {
    const char *id;
    const struct queue_filter *filter;
    struct arena *a;
    struct queue_info *infos;
    struct queue_line *lines;
    struct queue_counts *counts;
    size_t n, most;
};

/* ---- one job */

static int look_unit(struct db_conn *c, void *arg)
{
    struct reading *k = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, INFO("result") " WHERE id = ?1", DB_ARGS(DB_TEXT(k->id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return read_info(rows, k->a, k->infos);
}

int embedded_look(struct queue *q, const char *id, struct arena *a, struct queue_info *ret)
{
    struct queue_info info = {0};
    struct reading k = {.id = id, .a = a, .infos = &info};
    int r = db_look(q->db, look_unit, &k);
    if (r == 0)
        *ret = info;
    return r;
}

static int lines_unit(struct db_conn *c, void *arg)
{
    struct reading *k = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(
        c, "SELECT date_created, line FROM queue_job_logs WHERE job_id = ?1 ORDER BY id DESC LIMIT ?2",
        DB_ARGS(DB_TEXT(k->id), DB_INT(k->most)), &rows);
    k->n = 0;
    while (r == 0 && k->n < k->most && (r = db_next(rows)) > 0) {
        struct queue_line *line = &k->lines[k->n++];
        line->at = db_text_dup(rows, 0, k->a);
        line->text = db_text_dup(rows, 1, k->a);
        r = line->at && line->text ? 0 : -ENOMEM;
    }
    return r < 0 ? r : 0;
}

static void turn_round(struct queue_line *lines, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct queue_line other = lines[i];
        lines[i] = lines[n - 1 - i];
        lines[n - 1 - i] = other;
    }
}

int embedded_lines(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                   size_t *ret_n)
{
    struct reading k = {.id = id, .a = a, .most = limit};
    k.lines = arena_alloc(a, (limit + 1) * sizeof *k.lines);
    int r = k.lines ? db_look(q->db, lines_unit, &k) : -ENOMEM;
    if (r < 0)
        return r;
    turn_round(k.lines, k.n);
    *ret = k.lines;
    *ret_n = k.n;
    return 0;
}

/* ---- many */

/* The conditions that the filter asks for, so that each combination is a text of its own, and finds its
 * index. PostgreSQL has to take a result apart to know its size (6 ms a MiB), so what is skipped isn't asked
 * for. */
static const char *list_sql(struct db_conn *c, const struct queue_filter *f, struct arena *a)
{
    static const char *const states[JOB_STATES] = {
        [JOB_WAITING] = " AND state = 'waiting' AND priority = 0",
        [JOB_PRIORITIZED] = " AND state = 'waiting' AND priority > 0",
        [JOB_DELAYED] = " AND state = 'delayed'",
        [JOB_ACTIVE] = " AND state = 'active'",
        [JOB_COMPLETED] = " AND state = 'completed'",
        [JOB_FAILED] = " AND state = 'failed'",
    };
    return arena_printf(
        a,
        "%s WHERE seq IN (SELECT seq FROM queue_jobs WHERE TRUE%s%s%s ORDER BY seq DESC LIMIT ?1 OFFSET ?2)"
        " ORDER BY seq DESC",
        db_sql(c, INFO_IN_LIST("length(CAST(result AS BLOB))"),
               INFO_IN_LIST("octet_length(CAST(result AS TEXT))")),
        f->user_id ? " AND user_id = ?4" : "",
        f->queue >= 0 && f->queue < QUEUES ? (f->user_id ? " AND queue = ?5" : " AND queue = ?4") : "",
        f->state >= 0 && f->state < JOB_STATES ? states[f->state] : "");
}

static int list_unit(struct db_conn *c, void *arg)
{
    struct reading *k = arg;
    const struct queue_filter *f = k->filter;
    const char *sql = list_sql(c, f, k->a);
    struct db_value args[5] = {DB_INT(f->limit), DB_INT(f->offset), DB_INT(QUEUE_LIST_RESULT_MAX)};
    size_t n = 3;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    if (f->user_id)
        args[n++] = DB_TEXT(f->user_id);
    if (f->queue >= 0 && f->queue < QUEUES)
        args[n++] = DB_TEXT(queue_name_text((enum queue_name)f->queue));
    int r = sql ? db_query(c, sql, args, n, &rows) : -ENOMEM;
    k->n = 0;
    while (r == 0 && k->n < k->most && (r = db_next(rows)) > 0)
        r = read_info(rows, k->a, &k->infos[k->n++]);
    return r < 0 ? r : 0;
}

int embedded_list(struct queue *q, const struct queue_filter *filter, struct arena *a,
                  struct queue_info **ret, size_t *ret_n)
{
    struct reading k = {.filter = filter, .a = a, .most = (size_t)filter->limit};
    k.infos = arena_alloc(a, (k.most + 1) * sizeof *k.infos);
    int r = k.infos ? db_read(q->db, list_unit, &k) : -ENOMEM; /* large results take longer than a look has */
    if (r < 0)
        return r;
    *ret = k.infos;
    *ret_n = k.n;
    return 0;
}

/* ---- counts */

/* Each part is answered by one of the partial indexes alone. */
#define COUNT_OF(state) \
    "SELECT '" state "', queue, 0, count(*) FROM queue_jobs WHERE state = '" state "' GROUP BY queue"

static int count_unit(struct db_conn *c, void *arg)
{
    struct reading *k = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r =
        db_query(c,
                 "SELECT 'waiting', queue, CASE WHEN priority > 0 THEN 1 ELSE 0 END, count(*)"
                 " FROM queue_jobs WHERE state = 'waiting' GROUP BY 2, 3"
                 " UNION ALL " COUNT_OF("delayed") " UNION ALL " COUNT_OF("active") " UNION ALL " COUNT_OF(
                     "completed") " UNION ALL " COUNT_OF("failed") " UNION ALL SELECT 'paused', queue, 0, 1 "
                                                                   "FROM queue_pauses",
                 DB_NO_ARGS, &rows);
    memset(k->counts, 0, QUEUES * sizeof *k->counts);
    while (r == 0 && (r = db_next(rows)) > 0) {
        enum queue_name queue;
        enum job_state state;
        r = queue_name_parse(db_text(rows, 1), &queue);
        if (r == 0 && str_equal(db_text(rows, 0), "paused"))
            k->counts[queue].paused = true;
        else if (r == 0 && (r = read_state(db_text(rows, 0), (int)db_int(rows, 2), &state)) == 0)
            k->counts[queue].state[state] += db_int(rows, 3);
    }
    return r < 0 ? r : 0;
}

int embedded_count(struct queue *q, struct queue_counts ret[QUEUES])
{
    struct queue_counts counts[QUEUES];
    struct reading k = {.counts = counts};
    int r = db_look(q->db, count_unit, &k);
    if (r == 0)
        memcpy(ret, counts, sizeof counts);
    return r;
}
