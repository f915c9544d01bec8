/* SPDX-License-Identifier: MIT */
/* Statements: parameters, prepared statements kept by SQL and types, execution.
 *
 * Integers, reals, booleans and blobs carry their type, so that "?2 = 0 OR id < ?2" means what it says; texts
 * and NULLs don't, and become whatever their place asks for: uuid, timestamptz, jsonb. */
#include "db/pg_conn.h"

#include "db/pg_sql.h"
#include "db/topics.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define CACHE_STATEMENTS 128
#define CACHE_KEY_MAX 4096 /* longer texts are made on the fly and seldom come back */
#define SCRIPT_LIMIT_MS (INT64_C(3600) * 1000)
#define LONG_LIMIT_MS (INT64_C(24) * 3600 * 1000)
#define NUMBER_SIZE 32
#define GRACE_MS 1000 /* the server, which has the same limits, may say first that a time is over */

/* Types by their number in pg_type, which never changes. */
enum { OID_ANY = 0, OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_FLOAT8 = 701 };

struct pg_stmt {
    UT_hash_handle hh;
    char name[16];
    char key[]; /* the SQL, a NUL, and a letter for the type of each parameter */
};

static struct pg_conn *conn_of(struct db_conn *c)
{
    return (struct pg_conn *)c;
}

/* --- parameters ------------------------------------------------------------------------------------- */

struct params {
    Oid *types;
    const char **values;
    int *lengths, *formats;
    char (*numbers)[NUMBER_SIZE];
    int n;
};

static void params_free(struct params *p)
{
    free(p->types);
    free(p->values);
    free(p->lengths);
    free(p->formats);
    free(p->numbers);
}

static void set_param(struct params *p, int i, const struct db_value *v)
{
    char *number = p->numbers[i];
    p->values[i] = number;
    switch (v->type) {
    case DB_T_INT:
        p->types[i] = OID_INT8;
        (void)snprintf(number, NUMBER_SIZE, "%lld", (long long)v->i);
        break;
    case DB_T_BOOL:
        p->types[i] = OID_BOOL;
        (void)snprintf(number, NUMBER_SIZE, "%d", v->i != 0);
        break;
    case DB_T_REAL:
        p->types[i] = OID_FLOAT8;
        (void)snprintf(number, NUMBER_SIZE, "%.17g", v->d);
        break;
    case DB_T_BLOB:
        p->types[i] = OID_BYTEA;
        p->formats[i] = 1;
        p->lengths[i] = (int)v->len;
        p->values[i] = v->p ? v->p : "";
        break;
    case DB_T_TEXT:
        p->values[i] = v->p;
        break;
    case DB_T_NULL:
        p->values[i] = NULL;
        break;
    }
}

static int params_make(struct params *p, const struct db_value *args, size_t n)
{
    if (n > PG_MAX_PARAMS)
        return -E2BIG;
    p->n = (int)n;
    if (n == 0)
        return 0;
    p->types = calloc(n, sizeof *p->types);
    p->values = calloc(n, sizeof *p->values);
    p->lengths = calloc(n, sizeof *p->lengths);
    p->formats = calloc(n, sizeof *p->formats);
    p->numbers = calloc(n, sizeof *p->numbers);
    if (!p->types || !p->values || !p->lengths || !p->formats || !p->numbers)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (args[i].type == DB_T_BLOB && args[i].len > INT32_MAX)
            return -E2BIG;
        set_param(p, (int)i, &args[i]);
    }
    return 0;
}

/* --- prepared statements ---------------------------------------------------------------------------- */

/* The key in buf: its length, or 0 where it doesn't fit. */
static size_t make_key(char *buf, const char *sql, const struct db_value *args, size_t n)
{
    static const char letters[] = {[DB_T_NULL] = 't', [DB_T_INT] = 'i',  [DB_T_REAL] = 'r',
                                   [DB_T_TEXT] = 't', [DB_T_BLOB] = 'b', [DB_T_BOOL] = 'y'};
    size_t len = strlen(sql);
    if (len + 1 + n > CACHE_KEY_MAX)
        return 0;
    memcpy(buf, sql, len + 1);
    for (size_t i = 0; i < n; i++)
        buf[len + 1 + i] = letters[args[i].type];
    return len + 1 + n;
}

void pg_stmt_discard_all(struct pg_conn *c)
{
    struct pg_stmt *s, *next;
    HASH_ITER (hh, c->cache, s, next) {
        HASH_DEL(c->cache, s);
        free(s);
    }
}

static int64_t statement_deadline(const struct pg_conn *c)
{
    return c->in_unit ? c->unit_deadline : clock_monotonic_ms() + c->unit_limit_ms;
}

/* Waits for the answer to what was sent; errors are noted. */
static int answer(struct pg_conn *c, const char *sql, int sent, PGresult **ret)
{
    if (!sent)
        return pg_conn_lose(c, -EIO);
    PGresult *res = NULL;
    int r = pg_conn_answer(c, statement_deadline(c) + GRACE_MS, &res);
    if (r < 0)
        return pg_conn_lose(c, r);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        r = status == PGRES_FATAL_ERROR ? pg_conn_fail(c, sql, res)
                                        : pg_conn_refuse(c, sql, -EIO, "not exactly one statement");
        PQclear(res);
        return r;
    }
    *ret = res;
    return 0;
}

/* "$N" for "?N", with as many parameters as were given. */
static int translate(struct pg_conn *c, const char *sql, int n, char **ret)
{
    int params;
    int r = pg_sql_translate(sql, ret, &params);
    if (r < 0)
        return pg_conn_refuse(c, sql, r == -EINVAL ? -EIO : r, "a parameter's number is out of range");
    if (params != n)
        return pg_conn_refuse(c, sql, -EIO, "the number of parameters differs from the statement's");
    return 0;
}

static int drop_oldest(struct pg_conn *c)
{
    char sql[64];
    struct pg_stmt *oldest = c->cache;
    (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", oldest->name);
    HASH_DEL(c->cache, oldest);
    free(oldest);
    return pg_conn_command(c, sql, statement_deadline(c));
}

static int prepare(struct pg_conn *c, const char *sql, const char *key, size_t key_len,
                   const struct params *p, struct pg_stmt **ret)
{
    _cleanup_free_ char *text = NULL;
    PGresult *res = NULL;
    int r = translate(c, sql, p->n, &text);
    if (r == 0 && HASH_COUNT(c->cache) >= CACHE_STATEMENTS)
        r = drop_oldest(c);
    if (r < 0)
        return r;
    struct pg_stmt *s = calloc(1, sizeof *s + key_len);
    if (!s)
        return pg_conn_refuse(c, sql, -ENOMEM, NULL);
    memcpy(s->key, key, key_len);
    (void)snprintf(s->name, sizeof s->name, "g%u", c->prepared++);
    r = answer(c, sql, PQsendPrepare(c->handle, s->name, text, p->n, p->types), &res);
    if (r < 0) {
        free(s);
        return r;
    }
    PQclear(res);
    HASH_ADD_KEYPTR(hh, c->cache, s->key, key_len, s);
    if (!s->hh.tbl) { /* without memory: the server keeps it for as long as the connection lives */
        free(s);
        return pg_conn_refuse(c, sql, -ENOMEM, NULL);
    }
    *ret = s;
    return 0;
}

/* A statement that was used goes to the end of the order. */
static int acquire(struct pg_conn *c, const char *sql, const char *key, size_t key_len,
                   const struct params *p, struct pg_stmt **ret)
{
    struct pg_stmt *s;
    HASH_FIND(hh, c->cache, key, key_len, s);
    if (!s)
        return prepare(c, sql, key, key_len, p, ret);
    HASH_DEL(c->cache, s);
    HASH_ADD_KEYPTR(hh, c->cache, s->key, key_len, s);
    if (!s->hh.tbl) {
        free(s);
        return pg_conn_refuse(c, sql, -ENOMEM, NULL);
    }
    *ret = s;
    return 0;
}

/* --- running ---------------------------------------------------------------------------------------- */

static int run_once(struct pg_conn *c, const char *sql, const struct params *p, PGresult **ret)
{
    _cleanup_free_ char *text = NULL;
    int r = translate(c, sql, p->n, &text);
    if (r < 0)
        return r;
    return answer(c, sql,
                  PQsendQueryParams(c->handle, text, p->n, p->types, p->values, p->lengths, p->formats, 0),
                  ret);
}

static int run_params(struct pg_conn *c, const char *sql, const struct db_value *args, const struct params *p,
                      PGresult **ret)
{
    char key[CACHE_KEY_MAX];
    size_t key_len = make_key(key, sql, args, (size_t)p->n);
    if (key_len == 0)
        return run_once(c, sql, p, ret);
    struct pg_stmt *s = NULL;
    int r = acquire(c, sql, key, key_len, p, &s);
    if (r < 0)
        return r;
    return answer(c, sql, PQsendQueryPrepared(c->handle, s->name, p->n, p->values, p->lengths, p->formats, 0),
                  ret);
}

static int run(struct pg_conn *c, const char *sql, const struct db_value *args, size_t n, PGresult **ret)
{
    _cleanup_(params_free) struct params p = {0};
    if (c->error)
        return c->error;
    if (clock_monotonic_ms() >= statement_deadline(c))
        return pg_conn_refuse(c, sql, -ETIMEDOUT, NULL);
    if (c->in_unit && pg_sql_controls_transaction(sql, strlen(sql)))
        return pg_conn_refuse(c, sql, -EIO, "a unit can't control its transaction");
    int r = params_make(&p, args, n);
    if (r < 0)
        return pg_conn_refuse(c, sql, r == -ENOMEM ? r : -EIO, "too many or too large parameters");
    r = run_params(c, sql, args, &p, ret);
    if (r == 0 && strncmp(PQcmdStatus(*ret), "SELECT", 6) != 0) {
        c->wrote = true;
        c->topics |= topics_of(sql);
    }
    return r;
}

void pg_concerns(struct db_conn *base, const char *user_id)
{
    struct pg_conn *c = conn_of(base);
    bool other = c->user_id[0] && !str_equal_nocase(c->user_id, user_id);
    c->several = c->several || other || !uuid_valid(user_id);
    if (!c->several)
        memcpy(c->user_id, user_id, UUID_SIZE);
}

void pg_limit(struct db_conn *base, int limit_ms)
{
    struct pg_conn *c = conn_of(base);
    char sql[64];
    int64_t deadline = clock_monotonic_ms() + limit_ms;
    if (deadline >= c->unit_deadline)
        return;
    c->unit_deadline = deadline;
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout TO %d", limit_ms > 0 ? limit_ms : 1);
    if (!c->error)
        (void)pg_conn_command(c, sql, deadline + GRACE_MS); /* what fails is noted */
}

int pg_unlimit(struct db_conn *base)
{
    struct pg_conn *c = conn_of(base);
    c->unit_deadline = clock_monotonic_ms() + LONG_LIMIT_MS;
    return c->error ? c->error : pg_conn_command(c, "SET LOCAL statement_timeout TO 0", c->unit_deadline);
}

int pg_exec(struct db_conn *base, const char *sql, const struct db_value *args, size_t n,
            int64_t *ret_changed)
{
    PGresult *res;
    int r = run(conn_of(base), sql, args, n, &res);
    if (r < 0)
        return r;
    if (ret_changed)
        *ret_changed = strtoll(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    return 0;
}

int pg_query(struct db_conn *base, const char *sql, const struct db_value *args, size_t n,
             struct db_rows **ret)
{
    struct pg_conn *c = conn_of(base);
    PGresult *res;
    int r = run(c, sql, args, n, &res);
    if (r < 0)
        return r;
    *ret = pg_rows_make(c, res);
    return *ret ? 0 : pg_conn_refuse(c, sql, -ENOMEM, NULL);
}

/* One statement after the other, since one string with all of them could end the transaction in its midst. */
int pg_script(struct db_conn *base, const char *script)
{
    struct pg_conn *c = conn_of(base);
    const char *at;
    size_t len;
    int64_t until = clock_monotonic_ms() + SCRIPT_LIMIT_MS; /* as long as the data is large */
    int r = c->error ? c->error : pg_conn_command(c, "SET LOCAL statement_timeout TO 0", until);
    c->unit_deadline = until;
    c->wrote = true;
    c->topics = TOPICS_ALL;
    while (r == 0 && pg_sql_next_statement(&script, &at, &len)) {
        _cleanup_free_ char *sql = strndup(at, len);
        if (!sql)
            return pg_conn_refuse(c, "(script)", -ENOMEM, NULL);
        if (pg_sql_controls_transaction(sql, len))
            return pg_conn_refuse(c, sql, -EIO, "a migration can't control its transaction");
        r = pg_conn_command(c, sql, until);
    }
    return r;
}
