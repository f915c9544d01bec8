/* SPDX-License-Identifier: MIT */
#include "retrieval/decay.h"

#include "base/uuid.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* New nodes have not decayed yet; each kind by the index on (status, last_decayed_at). */
static const char *const due[] = {
    "SELECT id, weight, decay_rate, date_created FROM user_nodes WHERE status = 'active' "
    "AND last_decayed_at IS NULL AND date_created < ?1 LIMIT ?2",
    "SELECT id, weight, decay_rate, last_decayed_at FROM user_nodes WHERE status = 'active' "
    "AND last_decayed_at < ?1 ORDER BY last_decayed_at LIMIT ?2",
    /* What others than the items engine gave weight again: as it is, from now on. */
    "SELECT id, weight, 0.0, last_decayed_at FROM user_nodes WHERE status = 'decayed' "
    "AND last_decayed_at < ?1 AND weight >= " DECAY_LEAST_SQL " LIMIT ?2",
};

struct node {
    char id[UUID_SIZE];
    double weight;
};

double decayed_weight(double weight, double rate, double days)
{
    return days > 0 ? weight * pow(1 - rate, days) : weight;
}

/* How many were read. */
static int read_due(struct db_conn *c, const struct duty_run *run, const char *sql, struct node *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int n = 0;
    int r = db_query(c, sql, DB_ARGS(DB_TEXT(run->slot), DB_INT(run->batch)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        int64_t since = run->slot_ms;
        (void)clock_parse_iso(db_text(rows, 3), &since); /* a date that is none is today's */
        (void)snprintf(ret[n].id, UUID_SIZE, "%s", db_text(rows, 0));
        ret[n++].weight = decayed_weight(db_real(rows, 1), db_real(rows, 2),
                                         (double)(run->slot_ms - since) / (double)DAY_MS);
    }
    return r < 0 ? r : n;
}

/* The order in which all write nodes (docs/store.md). */
static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->id, ((const struct node *)b)->id);
}

static int write_node(struct db_conn *c, const struct duty_run *run, const struct node *node)
{
    const char *status = node->weight < DECAY_LEAST ? "decayed" : "active";
    return db_exec(c, "UPDATE user_nodes SET weight = ?1, status = ?2, last_decayed_at = ?3 WHERE id = ?4",
                   DB_ARGS(DB_REAL(node->weight), DB_TEXT(status), DB_TEXT(run->slot), DB_TEXT(node->id)),
                   NULL);
}

int decay_nodes(struct db_conn *c, const struct duty_run *run)
{
    _cleanup_free_ struct node *nodes = calloc((size_t)run->batch, sizeof *nodes);
    int r = nodes ? 0 : -ENOMEM, n = 0;
    for (size_t i = 0; i < ARRAY_LEN(due) && r >= 0 && n == 0; i++)
        r = n = read_due(c, run, due[i], nodes);
    if (n > 0)
        qsort(nodes, (size_t)n, sizeof *nodes, by_id);
    for (int i = 0; i < n && r >= 0; i++)
        r = write_node(c, run, &nodes[i]);
    return r < 0 ? r : n > 0;
}
