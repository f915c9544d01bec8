/* SPDX-License-Identifier: MIT */
/* A store of a test's own: a SQLite file, or (GENIE_TEST_STORE=postgres) a database on the server that
 * TEST_DATABASE_URL names. */
#ifndef TESTS_UNIT_DB_STORE_H
#define TESTS_UNIT_DB_STORE_H

#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <libpq-fe.h>
#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

#define STORE_CONNECTIONS 4

struct store {
    char dir[64], path[96];  /* of SQLite */
    char name[64], url[256]; /* of PostgreSQL */
    struct db *db;
};

static inline bool store_is_postgres(void)
{
    const char *wanted = getenv("GENIE_TEST_STORE");
    return wanted && strcmp(wanted, "postgres") == 0;
}

static inline struct db_options store_options(const struct store *s)
{
    return (struct db_options){.path = s->path,
                               .readers = STORE_CONNECTIONS,
                               .url = store_is_postgres() ? s->url : NULL,
                               .connections = STORE_CONNECTIONS};
}

static inline void store_open_at(struct store *s)
{
    struct db_options options = store_options(s);
    assert_int_equal(db_open(&options, &s->db), 0);
}

/* Where the test's server is; its own database if name is NULL. */
static inline void store_url(const char *name, char *ret, size_t size)
{
    const char *given = getenv("TEST_DATABASE_URL");
    if (!given)
        fail_msg("TEST_DATABASE_URL is unset: tools/postgres.py run COMMAND... sets it");
    const char *query = strchr(given, '?'), *slash = query;
    while (slash && slash > given && *slash != '/')
        slash--;
    assert_non_null(slash);
    (void)snprintf(ret, size, "%.*s/%s%s", (int)(slash - given), given, name ? name : "postgres", query);
}

/* Runs SQL as the server's administrator, without our own code. */
static inline void store_as_admin(const char *database, const char *sql)
{
    char url[256];
    store_url(database, url, sizeof url);
    PGconn *admin = PQconnectdb(url);
    PGresult *res = PQexec(admin, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(admin));
    PQclear(res);
    PQfinish(admin);
}

static inline void store_make_database(struct store *s, const char *from)
{
    static int made;
    char sql[160];
    (void)snprintf(s->name, sizeof s->name, "test_%d_%d", (int)getpid(), ++made);
    store_url(s->name, s->url, sizeof s->url);
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s", s->name, from);
    store_as_admin(NULL, sql);
}

#define STORE_TEMPLATE "migrated_template"

/* Makes the migrated database that others are copied from, unless another test program has. */
static inline void store_make_template(void)
{
    char url[256];
    struct db *db = NULL;
    store_url(NULL, url, sizeof url);
    PGconn *admin = PQconnectdb(url);
    PQclear(PQexec(admin, "SELECT pg_advisory_lock(1)"));
    PGresult *found = PQexec(admin, "SELECT 1 FROM pg_database WHERE datname = '" STORE_TEMPLATE "'");
    if (PQntuples(found) == 0) {
        store_as_admin(NULL, "DROP DATABASE IF EXISTS unfinished_template");
        store_as_admin(NULL, "CREATE DATABASE unfinished_template TEMPLATE template0");
        store_url("unfinished_template", url, sizeof url);
        assert_int_equal(db_open(&(struct db_options){.url = url, .connections = 2}, &db), 0);
        assert_int_equal(db_migrate(db, NULL), 0);
        db_close(db);
        store_as_admin(NULL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             "WHERE datname = 'unfinished_template'");
        store_as_admin(NULL, "ALTER DATABASE unfinished_template RENAME TO " STORE_TEMPLATE);
    }
    PQclear(found);
    PQfinish(admin);
}

static inline int store_make(void **state, bool migrated)
{
    struct store *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/genie-store-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/genie.db", s->dir);
    if (store_is_postgres() && migrated)
        store_make_template();
    if (store_is_postgres())
        store_make_database(s, migrated ? STORE_TEMPLATE : "template0");
    store_open_at(s);
    if (migrated)
        assert_int_equal(db_migrate(s->db, NULL), 0);
    *state = s;
    return 0;
}

static inline int store_set_up(void **state)
{
    return store_make(state, false);
}

static inline int store_set_up_migrated(void **state)
{
    return store_make(state, true);
}

static inline int store_tear_down(void **state)
{
    struct store *s = *state;
    if (s->db)
        db_close(s->db);
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", s->path, endings[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(s->dir), 0);
    if (store_is_postgres()) {
        char sql[128];
        (void)snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", s->name);
        store_as_admin(NULL, sql);
    }
    free(s);
    return 0;
}

/* One statement as a unit of its own. */
static inline int store_exec_unit(struct db_conn *c, void *sql)
{
    return db_exec(c, sql, DB_NO_ARGS, NULL);
}

static inline int store_exec(struct db *db, const char *sql)
{
    return db_write(db, store_exec_unit, (void *)(uintptr_t)sql);
}

struct store_int {
    const char *sql;
    int64_t value;
};

static inline int store_int_unit(struct db_conn *c, void *arg)
{
    struct store_int *q = arg;
    return db_query_int(c, q->sql, DB_NO_ARGS, &q->value);
}

/* The integer that a query yields; fails the test where there is none. */
static inline int64_t store_int(struct db *db, const char *sql)
{
    struct store_int q = {.sql = sql};
    assert_int_equal(db_read(db, store_int_unit, &q), 1);
    return q.value;
}

/* Notes from now on what each UPDATE of a table writes, by an expression of the new row: one row of `written`
 * a row, in their order. */
static inline void store_note_writes(struct db *db, const char *table, const char *what)
{
    char sql[512];
    bool postgres = store_is_postgres();
    assert_int_equal(
        store_exec(db, postgres ? "CREATE TABLE IF NOT EXISTS written (n bigserial, what text)"
                                : "CREATE TABLE IF NOT EXISTS written (n INTEGER PRIMARY KEY, what TEXT)"),
        0);
    if (postgres) {
        (void)snprintf(sql, sizeof sql,
                       "CREATE FUNCTION note_%s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                       " INSERT INTO written (what) VALUES (%s); RETURN NULL; END $$",
                       table, what);
        assert_int_equal(store_exec(db, sql), 0);
    }
    if (postgres)
        (void)snprintf(sql, sizeof sql,
                       "CREATE TRIGGER note_%s AFTER UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION note_%s()",
                       table, table, table);
    else
        (void)snprintf(
            sql, sizeof sql,
            "CREATE TRIGGER note_%s AFTER UPDATE ON %s BEGIN INSERT INTO written (what) VALUES (%s); END",
            table, table, what);
    assert_int_equal(store_exec(db, sql), 0);
}

/* How many were written in another order than that of what was noted. */
static inline int64_t store_writes_out_of_order(struct db *db)
{
    return store_int(db, "SELECT count(*) FROM written a JOIN written b ON a.n < b.n WHERE a.what > b.what");
}

/* A statement written by somebody else: through a handle of its own, as another process has one. */
static inline void store_exec_elsewhere(struct store *s, const char *sql)
{
    struct db_options options = store_options(s);
    struct db *other = NULL;
    assert_int_equal(db_open(&options, &other), 0);
    assert_int_equal(store_exec(other, sql), 0);
    db_close(other);
}

/* Waits until others' writes are seen: a moment on each engine, 5 s at most. */
static inline void store_await_change(struct db *db, int64_t version)
{
    for (int i = 0; i < 500 && db_data_version(db) == version; i++)
        usleep(10000);
    assert_true(db_data_version(db) != version);
}

/* On PostgreSQL, hearing of others' writes begins with a change of its own. */
static inline void store_await_listening(struct db *db)
{
    int64_t version = db_data_version(db);
    if (store_is_postgres())
        store_await_change(db, version);
}

/* A unit that holds the writer until the test lets it go, so that what comes after must gather. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside, open;
};

#define GATE_INIT \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static inline int gate_unit(struct db_conn *c, void *arg)
{
    (void)c;
    struct gate *g = arg;
    pthread_mutex_lock(&g->lock);
    g->inside = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return 0;
}

static inline void gate_done(void *arg, int r)
{
    (void)arg;
    assert_int_equal(r, 0);
}

/* Returns when somebody stands in the gate. */
static inline void gate_await(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->inside)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* Returns when the writer stands in the gate. */
static inline void gate_close(struct gate *g, struct db *db)
{
    assert_int_equal(db_write_async(db, gate_unit, g, gate_done), 0);
    gate_await(g);
}

static inline void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

#endif
