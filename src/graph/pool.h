/* SPDX-License-Identifier: MIT */
/* Scratch memory for walks, kept between queries so that a query allocates nothing once as many scratches
 * exist as threads walk at the same time. Thread-safe. */
#ifndef GRAPH_POOL_H
#define GRAPH_POOL_H

#include "graph/graph.h"

#include <pthread.h>

#define GRAPH_POOL_MOST 32 /* scratches that are kept while nobody uses them */

struct graph_pool {
    pthread_mutex_t lock;
    struct graph_scratch *idle[GRAPH_POOL_MOST];
    size_t n;
};

#define GRAPH_POOL_INIT \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

/* A scratch for graphs of at most `nodes` nodes, to be given back; NULL without memory. One that has become
 * too small is replaced. */
struct graph_scratch *graph_pool_take(struct graph_pool *p, uint32_t nodes);
void graph_pool_give(struct graph_pool *p, struct graph_scratch *s);

/* Frees what is idle. No scratch may be out. */
void graph_pool_free(struct graph_pool *p);

#endif
