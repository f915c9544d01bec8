/* SPDX-License-Identifier: MIT */
#include "hops_sql.h"

#include "base/buf.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define SQL_MAX (64 * 1024)
#define HOPS 3

/* The part of the C API that is needed; its handles are pointers. */
struct duck_result {
    void *inner[16]; /* more than it has */
};

struct duck {
    int (*open)(const char *path, void **ret);
    int (*connect)(void *database, void **ret);
    int (*query)(void *connection, const char *sql, struct duck_result *ret);
    void (*destroy_result)(struct duck_result *r);
    const char *(*result_error)(struct duck_result *r);
    int64_t (*value_int64)(struct duck_result *r, uint64_t column, uint64_t row);
    double (*value_double)(struct duck_result *r, uint64_t column, uint64_t row);
    int (*appender_create)(void *connection, const char *schema, const char *table, void **ret);
    int (*append_uint32)(void *appender, uint32_t value);
    int (*append_float)(void *appender, float value);
    int (*appender_end_row)(void *appender);
    int (*appender_destroy)(void **appender);
    void (*disconnect)(void **connection);
    void (*close)(void **database);
};

struct hops_sql {
    struct duck duck;
    void *database, *connection;
};

static bool find(void *library, const char *name, void *to)
{
    char symbol[64];
    (void)snprintf(symbol, sizeof symbol, "duckdb_%s", name);
    *(void **)to = dlsym(library, symbol);
    return *(void **)to != NULL;
}

static bool find_all(void *library, struct duck *d)
{
    return find(library, "open", &d->open) && find(library, "connect", &d->connect) &&
           find(library, "query", &d->query) && find(library, "destroy_result", &d->destroy_result) &&
           find(library, "result_error", &d->result_error) && find(library, "value_int64", &d->value_int64) &&
           find(library, "value_double", &d->value_double) &&
           find(library, "appender_create", &d->appender_create) &&
           find(library, "append_uint32", &d->append_uint32) &&
           find(library, "append_float", &d->append_float) &&
           find(library, "appender_end_row", &d->appender_end_row) &&
           find(library, "appender_destroy", &d->appender_destroy) &&
           find(library, "disconnect", &d->disconnect) && find(library, "close", &d->close);
}

static void run(struct hops_sql *h, const char *sql, struct duck_result *ret)
{
    if (h->duck.query(h->connection, sql, ret) == 0)
        return;
    const char *why = h->duck.result_error(ret);
    (void)fprintf(stderr, "DuckDB: %s\n", why ? why : "failed");
    exit(1);
}

static void append_edges(struct hops_sql *h, const struct graph *g)
{
    void *appender;
    struct duck_result r;
    run(h, "CREATE TABLE edges (source UINTEGER, target UINTEGER, weight FLOAT)", &r);
    h->duck.destroy_result(&r);
    int failed = h->duck.appender_create(h->connection, NULL, "edges", &appender);
    for (uint32_t v = 0; v < graph_nodes(g) && !failed; v++) {
        struct graph_neighbours near = graph_neighbours(g, v);
        for (uint32_t i = 0; i < near.n && !failed; i++)
            failed = h->duck.append_uint32(appender, v) || h->duck.append_uint32(appender, near.arc[i].to) ||
                     h->duck.append_float(appender, near.arc[i].weight) || h->duck.appender_end_row(appender);
    }
    if (failed || h->duck.appender_destroy(&appender)) {
        (void)fputs("DuckDB: the edges can't be appended\n", stderr);
        exit(1);
    }
}

struct hops_sql *hops_sql_open(const char *library, const struct graph *g, const char **ret_why)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    struct hops_sql *h = calloc(1, sizeof *h);
    *ret_why = "libduckdb is not there";
    if (!handle || !h) {
        free(h);
        return NULL;
    }
    *ret_why = "libduckdb lacks a function";
    if (!find_all(handle, &h->duck) || h->duck.open(NULL, &h->database) ||
        h->duck.connect(h->database, &h->connection)) {
        free(h);
        return NULL;
    }
    append_edges(h, g);
    return h;
}

void hops_sql_close(struct hops_sql *h)
{
    h->duck.disconnect(&h->connection);
    h->duck.close(&h->database);
    free(h);
}

/* s0 … s3: node, potential, after so many hops; f1 … f3: what fires in a hop, each node once. */
static void write_walk(struct buf *b, const struct graph_hit *seeds, size_t n)
{
    (void)buf_adds(b, "WITH s0 (node, p) AS MATERIALIZED (VALUES ");
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(b, "%s(%u::UINTEGER, %.9g::FLOAT)", i ? ", " : "", seeds[i].node,
                       (double)seeds[i].potential);
    (void)buf_adds(b, ")");
    for (int hop = 1; hop <= HOPS; hop++) {
        (void)buf_addf(b, ", f%d AS MATERIALIZED (SELECT node, p FROM s%d WHERE p >= 0.5", hop, hop - 1);
        for (int before = 1; before < hop; before++)
            (void)buf_addf(b, " AND node NOT IN (SELECT node FROM f%d)", before);
        (void)buf_addf(
            b,
            "), s%d AS MATERIALIZED (SELECT node, sum(p) AS p FROM (SELECT node, p FROM s%d UNION ALL "
            "SELECT e.target, f.p * e.weight * 0.85::FLOAT FROM f%d f JOIN edges e ON e.source = f.node "
            "WHERE f.p * e.weight * 0.85::FLOAT >= 0.02::FLOAT) GROUP BY node)",
            hop, hop - 1, hop);
    }
    (void)buf_addf(b, " SELECT count(*), sum(p) FROM s%d", HOPS);
}

void hops_sql_walk(struct hops_sql *h, const struct graph_hit *seeds, size_t n, int64_t *ret_reached,
                   double *ret_sum)
{
    struct duck_result r;
    struct buf sql = BUF_INIT(SQL_MAX);
    write_walk(&sql, seeds, n);
    run(h, buf_str(&sql), &r);
    *ret_reached = h->duck.value_int64(&r, 0, 0);
    *ret_sum = h->duck.value_double(&r, 1, 0);
    h->duck.destroy_result(&r);
    buf_free(&sql);
}
