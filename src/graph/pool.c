/* SPDX-License-Identifier: MIT */
#include "graph/pool.h"

struct graph_scratch *graph_pool_take(struct graph_pool *p, uint32_t nodes)
{
    pthread_mutex_lock(&p->lock);
    struct graph_scratch *s = p->n > 0 ? p->idle[--p->n] : NULL;
    pthread_mutex_unlock(&p->lock);
    if (s && graph_scratch_nodes(s) >= nodes)
        return s;
    graph_scratch_free(s);
    return graph_scratch_new(nodes);
}

void graph_pool_give(struct graph_pool *p, struct graph_scratch *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->n < GRAPH_POOL_MOST) {
        p->idle[p->n++] = s;
        s = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    graph_scratch_free(s);
}

void graph_pool_free(struct graph_pool *p)
{
    while (p->n > 0)
        graph_scratch_free(p->idle[--p->n]);
}
