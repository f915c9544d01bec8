/* SPDX-License-Identifier: MIT */
/* A PostgreSQL connection: opening, waiting for answers, units, errors. libpq's own waits have no limit, so
 * only its non-blocking calls are used. */
#include "db/pg_conn.h"

#include "db/pg_error.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#define UNIT_LIMIT_MS 30000

/* What every session of ours relies on: forms of values, and the server's side of our time limits. */
#define SESSION_SQL \
    "SET client_encoding TO 'UTF8'; SET standard_conforming_strings TO on; SET timezone TO 'UTC'; " \
    "SET datestyle TO 'ISO'; SET bytea_output TO 'hex'; SET extra_float_digits TO 1; " \
    "SET client_min_messages TO warning; SET lock_timeout TO 5000; SET statement_timeout TO 30000; " \
    "SET idle_in_transaction_session_timeout TO 60000; SET genie.told TO 'after each commit'; " \
    "SELECT set_config('synchronous_commit', 'on', false) " \
    "WHERE current_setting('synchronous_commit') = 'off'; "

/* From version 14 on: a statement ends when its client is gone. */
#define CHECK_CLIENT_SQL "SET client_connection_check_interval TO 1000"

/* --- where to connect ------------------------------------------------------------------------------- */

static const char *value_of(const struct pg_target *t, const char *keyword)
{
    for (const PQconninfoOption *o = t->options; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val;
    return NULL;
}

int pg_target_parse(const char *url, struct pg_target *ret)
{
    struct pg_target t = {0};
    char *why = NULL;
    size_t n = 0;
    bool is_url = str_has_prefix(url, "postgres://") || str_has_prefix(url, "postgresql://");
    t.options = is_url ? PQconninfoParse(url, &why) : NULL;
    PQfreemem(why); /* it may quote the password */
    if (!t.options)
        return log_error(-EINVAL, "DATABASE_URL is no URL of PostgreSQL");
    for (const PQconninfoOption *o = t.options; o->keyword; o++)
        if (o->val && o->val[0] && n < ARRAY_LEN(t.keywords) - 4) {
            t.keywords[n] = o->keyword;
            t.values[n++] = o->val;
        }
    static const char *const ours[][2] = {
        {"fallback_application_name", "genie"}, {"tcp_user_timeout", "15000"}, {"keepalives_idle", "15"}};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (!value_of(&t, ours[i][0])) {
            t.keywords[n] = ours[i][0];
            t.values[n++] = ours[i][1];
        }
    const char *host = value_of(&t, "host"), *port = value_of(&t, "port"), *name = value_of(&t, "dbname");
    (void)snprintf(t.place, sizeof t.place, "%s:%s/%s", host ? host : "localhost", port ? port : "5432",
                   name ? name : "");
    *ret = t;
    return 0;
}

void pg_target_free(struct pg_target *t)
{
    PQconninfoFree(t->options);
}

/* --- errors ----------------------------------------------------------------------------------------- */

static void note(struct pg_conn *c, const struct pg_error *e)
{
    c->lost |= e->lost;
    c->again |= e->again;
    c->deadlock |= e->deadlock;
    c->duplicate |= e->duplicate;
    if (c->in_unit && !c->error)
        c->error = e->r;
}

int pg_conn_fail(struct pg_conn *c, const char *sql, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    struct pg_error e = pg_error_of(state);
    e.lost |= PQstatus(c->handle) != CONNECTION_OK;
    note(c, &e);
    if (e.r == -EIO && !e.lost) {
        const char *said = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        log_event(LOG_ERROR, "store: a statement failed", LOG_S("sql", sql), LOG_S("error", said),
                  LOG_S("code", state));
    }
    return e.r;
}

int pg_conn_refuse(struct pg_conn *c, const char *sql, int r, const char *why)
{
    note(c, &(struct pg_error){.r = r});
    if (r == -EIO)
        log_event(LOG_ERROR, "store: a statement failed", LOG_S("sql", sql), LOG_S("error", why));
    return r;
}

int pg_conn_lose(struct pg_conn *c, int r)
{
    note(c, &(struct pg_error){.r = r, .lost = true});
    return r;
}

/* --- waiting ---------------------------------------------------------------------------------------- */

/* 0, or -ETIMEDOUT. */
static int wait_for(PGconn *handle, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - clock_monotonic_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        struct pollfd p = {.fd = PQsocket(handle), .events = events};
        int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -EIO;
    }
}

/* Sends what is left; what comes meanwhile is taken in, or both sides could wait for each other. */
static int flush(struct pg_conn *c, int64_t until_ms)
{
    int more;
    while ((more = PQflush(c->handle)) > 0) {
        int r = wait_for(c->handle, POLLIN | POLLOUT, until_ms);
        if (r < 0)
            return r;
        if (!PQconsumeInput(c->handle))
            return -EIO;
    }
    return more < 0 ? -EIO : 0;
}

/* Until PQgetResult would not wait. */
static int await_result(struct pg_conn *c, int64_t until_ms)
{
    int r = flush(c, until_ms);
    while (r == 0 && PQisBusy(c->handle)) {
        r = wait_for(c->handle, POLLIN, until_ms);
        if (r == 0 && !PQconsumeInput(c->handle))
            r = -EIO;
    }
    return r;
}

static bool is_error(const PGresult *res)
{
    return PQresultStatus(res) == PGRES_FATAL_ERROR || PQresultStatus(res) == PGRES_BAD_RESPONSE;
}

static bool copies_data(const PGresult *res)
{
    ExecStatusType s = PQresultStatus(res);
    return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

int pg_conn_answer(struct pg_conn *c, int64_t until_ms, PGresult **ret)
{
    PGresult *kept = NULL, *res;
    int r;
    while ((r = await_result(c, until_ms)) == 0 && (res = PQgetResult(c->handle))) {
        bool better = !kept || (is_error(res) && !is_error(kept)), copies = copies_data(res);
        if (better) {
            PQclear(kept);
            kept = res;
        } else {
            PQclear(res);
        }
        if (copies) { /* there would be no end of results */
            r = -EIO;
            break;
        }
    }
    if (PQstatus(c->handle) != CONNECTION_OK || r < 0)
        c->lost = true;
    if (r == 0 && !kept)
        r = -EIO;
    if (r == -EIO && kept && is_error(kept))
        r = 0; /* the server said why before it hung up */
    if (r < 0) {
        PQclear(kept);
        return r;
    }
    *ret = kept;
    return 0;
}

int pg_conn_command(struct pg_conn *c, const char *sql, int64_t until_ms)
{
    PGresult *res = NULL;
    if (c->lost || !PQsendQuery(c->handle, sql))
        return pg_conn_lose(c, -EIO);
    int r = pg_conn_answer(c, until_ms, &res);
    if (r < 0)
        return pg_conn_lose(c, r);
    if (is_error(res))
        r = pg_conn_fail(c, sql, res);
    PQclear(res);
    return r;
}

int pg_conn_commit(struct pg_conn *c, const char *sql, int64_t until_ms)
{
    if (c->lost || !PQsendQuery(c->handle, sql)) {
        c->lost = true;
        return -EIO;
    }
    /* The first result is COMMIT's; the answer to the rest can only cost us the connection. */
    int r = await_result(c, until_ms);
    PGresult *first = r == 0 ? PQgetResult(c->handle) : NULL, *rest = NULL;
    bool refused = first && is_error(first) && !pg_error_of(PQresultErrorField(first, PG_DIAG_SQLSTATE)).lost;
    bool committed = first && strcmp(PQcmdStatus(first), "COMMIT") == 0;
    if (refused)
        r = pg_conn_fail(c, sql, first);
    else if (committed)
        r = 0;
    else
        r = -EIO;
    if (!refused && !committed)
        c->lost = true;
    PQclear(first);
    if (!c->lost && pg_conn_answer(c, until_ms, &rest) == 0)
        PQclear(rest);
    return r;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static int finish_connecting(PGconn *handle, int64_t until_ms)
{
    PostgresPollingStatusType s = PGRES_POLLING_WRITING;
    while (s == PGRES_POLLING_READING || s == PGRES_POLLING_WRITING) {
        int r = wait_for(handle, s == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms);
        if (r < 0)
            return r;
        s = PQconnectPoll(handle);
    }
    return s == PGRES_POLLING_OK ? 0 : -EIO;
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void)arg, (void)res;
}

static int set_up(struct pg_conn *c, int64_t until_ms)
{
    (void)PQsetNoticeReceiver(c->handle, ignore_notice, NULL);
    if (PQsetnonblocking(c->handle, 1) != 0)
        return -EIO;
    return pg_conn_command(
        c, PQserverVersion(c->handle) >= 140000 ? SESSION_SQL CHECK_CLIENT_SQL : SESSION_SQL, until_ms);
}

int pg_conn_open(const struct pg_target *t, int64_t until_ms, struct pg_conn **ret, char **ret_why)
{
    _cleanup_(pg_conn_closeP) struct pg_conn *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->base.engine = &postgres_engine;
    c->unit_limit_ms = UNIT_LIMIT_MS;
    c->handle = PQconnectStartParams(t->keywords, t->values, 0);
    if (!c->handle)
        return -ENOMEM;
    int r = PQstatus(c->handle) == CONNECTION_BAD ? -EIO : finish_connecting(c->handle, until_ms);
    if (r == 0)
        r = set_up(c, until_ms);
    if (r < 0) {
        *ret_why = r == -ETIMEDOUT ? strdup("no answer in time") : strdup(PQerrorMessage(c->handle));
        return r;
    }
    *ret = TAKE_PTR(c);
    return 0;
}

void pg_conn_close(struct pg_conn *c)
{
    pg_stmt_discard_all(c);
    PQfinish(c->handle);
    free(c);
}

bool pg_conn_alive(struct pg_conn *c)
{
    struct pollfd p = {.fd = PQsocket(c->handle), .events = POLLIN};
    if (poll(&p, 1, 0) > 0 && !PQconsumeInput(c->handle))
        return false;
    return !(p.revents & (POLLHUP | POLLERR)) && PQstatus(c->handle) == CONNECTION_OK;
}

/* --- units ------------------------------------------------------------------------------------------ */

int pg_conn_run(struct pg_conn *c, db_fn fn, void *arg)
{
    c->error = 0;
    c->again = c->deadlock = c->duplicate = c->wrote = c->several = false;
    c->topics = 0;
    c->user_id[0] = '\0';
    c->unit_deadline = clock_monotonic_ms() + c->unit_limit_ms;
    c->in_unit = true;
    int r = fn(&c->base, arg);
    c->in_unit = false;
    assert(c->rows == 0); /* rows belong to the unit that asked */
    return c->error && r >= 0 ? c->error : r;
}
