/* SPDX-License-Identifier: MIT */
/* Propagation as SQL on DuckDB, to be compared with the graph engine: the same edges, the same rules, one
 * statement a walk. The library is opened at run time; what isn't there isn't measured. */
#ifndef BENCH_HOPS_SQL_H
#define BENCH_HOPS_SQL_H

#include "graph/graph.h"

struct hops_sql;

/* A database in memory with all edges of the graph, by source. NULL where the library can't be used: then
 * *ret_why says why. */
struct hops_sql *hops_sql_open(const char *library, const struct graph *g, const char **ret_why);
void hops_sql_close(struct hops_sql *h);

/* A walk with the default parameters: how many nodes it reached, and the sum of their potentials. Ends the
 * program with a sentence where DuckDB refuses. */
void hops_sql_walk(struct hops_sql *h, const struct graph_hit *seeds, size_t n, int64_t *ret_reached,
                   double *ret_sum);

#endif
