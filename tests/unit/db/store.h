/* SPDX-License-Identifier: MIT */
/* A store in a directory of its own, for the tests in this folder. */
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

#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

struct store {
    char dir[64], path[96];
    struct db *db;
};

static inline void store_open_at(struct store *s)
{
    assert_int_equal(db_open(&(struct db_options){.path = s->path, .readers = 4}, &s->db), 0);
}

static inline int store_set_up(void **state)
{
    struct store *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/genie-store-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/genie.db", s->dir);
    store_open_at(s);
    *state = s;
    return 0;
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

/* Returns when the writer stands in the gate. */
static inline void gate_close(struct gate *g, struct db *db)
{
    assert_int_equal(db_write_async(db, gate_unit, g, gate_done), 0);
    pthread_mutex_lock(&g->lock);
    while (!g->inside)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static inline void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

#endif
