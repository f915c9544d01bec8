/* SPDX-License-Identifier: MIT */
#include "db/look.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "db/pg_conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define CHANNEL "genie_doctor"
#define LISTEN_MS 2000
#define NAMES_MAX (16 * 1024)

struct look {
    struct pg_conn *conn;
    int64_t until;
    struct db_why *why;
};

static int fail(struct look *l, int r, const char *said)
{
    size_t len = strcspn(said, "\n");
    (void)snprintf(l->why->text, sizeof l->why->text, "%.*s", (int)len, said);
    return r;
}

/* The first row's first column, "" where there is none. */
static int ask(struct look *l, const char *sql, char *ret, size_t size)
{
    PGresult *res = NULL;
    int r = PQsendQuery(l->conn->handle, sql) ? pg_conn_answer(l->conn, l->until, &res) : -EIO;
    if (r < 0)
        return fail(l, r, r == -ETIMEDOUT ? "no answer in time" : PQerrorMessage(l->conn->handle));
    bool good = PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK;
    if (!good)
        r = fail(l, -EIO, PQresultErrorMessage(res));
    (void)snprintf(ret, size, "%s", good && PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return r;
}

static int ask_int(struct look *l, const char *sql, int64_t *ret)
{
    char text[32];
    int r = ask(l, sql, text, sizeof text);
    if (r == 0)
        *ret = strtoll(text, NULL, 10);
    return r;
}

static int ask_clock(struct look *l, int64_t *ret)
{
    int64_t theirs, before = clock_now_ms();
    int r = ask_int(l, "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)", &theirs);
    if (r == 0)
        *ret = theirs - (before + clock_now_ms()) / 2;
    return r;
}

static int ask_schema(struct look *l, int64_t *ret)
{
    int64_t there;
    int r = ask_int(l,
                    "SELECT count(*) FROM pg_tables WHERE tablename = 'schema_version' AND schemaname = ANY "
                    "(current_schemas(false))",
                    &there);
    *ret = 0;
    return r == 0 && there ? ask_int(l, "SELECT coalesce(max(version), 0) FROM schema_version", ret) : r;
}

static int ask_queues(struct look *l, struct look_queues *ret)
{
    char counts[128];
    int r = ask(l, LOOK_QUEUES_SQL, counts, sizeof counts);
    if (r == 0)
        look_queues_read(counts, ret);
    return r;
}

static int ask_directus(struct look *l, const char *const *tables, struct look_postgres *ret)
{
    int64_t there, known = 0, all = 0;
    int r =
        ask_int(l,
                "SELECT count(*) FROM pg_tables WHERE tablename = 'directus_collections' AND schemaname = "
                "ANY (current_schemas(false))",
                &there);
    ret->directus = r == 0 && there;
    if (!ret->directus)
        return r;
    _cleanup_buf_ struct buf sql = BUF_INIT(NAMES_MAX);
    (void)buf_adds(&sql, "SELECT count(*) FROM directus_collections WHERE collection IN (''");
    for (; tables[all]; all++)
        (void)buf_addf(&sql, ", '%s'", tables[all]);
    if (buf_adds(&sql, ")") < 0 || sql.failed)
        return -ENOMEM;
    r = ask_int(l, sql.data, &known);
    ret->not_collections = all - known;
    return r;
}

/* Whether `hears` is told what `says` notifies: through a pooler that doesn't keep sessions it isn't. */
static bool hears_other(struct look *hears, struct look *says)
{
    char nothing[8];
    int64_t until = clock_monotonic_ms() + LISTEN_MS;
    bool heard = false;
    if (ask(hears, "LISTEN " CHANNEL, nothing, sizeof nothing) < 0 ||
        ask(says, "NOTIFY " CHANNEL, nothing, sizeof nothing) < 0)
        return false;
    while (!heard && clock_monotonic_ms() < until) {
        struct pollfd p = {.fd = PQsocket(hears->conn->handle), .events = POLLIN};
        if (poll(&p, 1, 50) > 0 && !PQconsumeInput(hears->conn->handle))
            return false;
        PGnotify *notify = PQnotifies(hears->conn->handle);
        heard = notify != NULL;
        PQfreemem(notify);
    }
    return heard;
}

static int look_around(struct look *l, const char *const *tables, struct look_postgres *ret)
{
    ret->version = PQserverVersion(l->conn->handle);
    int r = ask(l, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()",
                ret->encoding, sizeof ret->encoding);
    if (r == 0) /* what sessions get that don't set it; ours do */
        r = ask(l, "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'",
                ret->synchronous_commit, sizeof ret->synchronous_commit);
    if (r == 0)
        r = ask_int(l,
                    "SELECT CAST(current_setting('max_connections') AS int) - "
                    "CAST(current_setting('superuser_reserved_connections') AS int)",
                    &ret->most);
    if (r == 0)
        r = ask_int(l, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'",
                    &ret->used);
    if (r == 0)
        r = ask_clock(l, &ret->clock_ms);
    if (r == 0)
        r = ask_schema(l, &ret->schema);
    if (r == 0 && ret->schema >= LOOK_QUEUES_SINCE)
        r = ask_queues(l, &ret->queues);
    return r == 0 ? ask_directus(l, tables, ret) : r;
}

static int connect_to(const struct pg_target *t, struct look *l)
{
    char *why = NULL;
    int r = pg_conn_open(t, l->until, &l->conn, &why);
    if (r < 0)
        (void)fail(l, r, why ? why : strerror(-r));
    free(why);
    return r;
}

int db_look_postgres(const char *url, const char *const *tables, int limit_ms, struct look_postgres *ret,
                     struct db_why *ret_why)
{
    struct pg_target target;
    struct look_postgres found = {0};
    struct look one = {.until = clock_monotonic_ms() + limit_ms, .why = ret_why}, two = one;
    int r = pg_target_parse(url, &target);
    if (r < 0)
        return fail(&one, r, "it is no URL of PostgreSQL");
    r = connect_to(&target, &one);
    if (r == 0)
        r = connect_to(&target, &two);
    if (r == 0)
        r = look_around(&one, tables, &found);
    if (r == 0)
        found.listens = hears_other(&two, &one);
    if (one.conn)
        pg_conn_close(one.conn);
    if (two.conn)
        pg_conn_close(two.conn);
    pg_target_free(&target);
    if (r == 0)
        *ret = found;
    return r;
}
