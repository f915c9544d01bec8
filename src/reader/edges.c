/* SPDX-License-Identifier: MIT */
#include "reader/edges.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define NONE UINT32_MAX
#define TAG_BACK 2 /* earlier holders of a tag that a draft is joined to */

struct weaving {
    const struct corpus *corpus;
    struct corpus_edge *edges;
    size_t n, first;                     /* of the present draft */
    uint8_t *reached;                    /* by draft */
    uint32_t *last_author, *last_thread; /* by name: the newest draft */
    uint32_t *holders;                   /* by tag: how many drafts have it */
    uint32_t (*recent)[TAG_BACK];        /* by tag: the newest drafts that have it */
};

static void join(struct weaving *w, uint32_t from, uint32_t to, double weight)
{
    if (to == NONE || to == from)
        return;
    for (size_t i = w->first; i < w->n; i++)
        if (w->edges[i].to == to)
            return; /* the stronger reason came first */
    if (w->n - w->first >= EDGES_BACK || w->reached[to] >= EDGES_TO)
        return;
    w->reached[to]++;
    w->edges[w->n++] = (struct corpus_edge){from, to, weight};
}

static void join_neighbour(struct weaving *w, uint32_t i)
{
    const struct draft *d = &w->corpus->drafts[i], *before = i > 0 ? d - 1 : NULL;
    if (!before || before->source != d->source)
        return;
    if (d->part > 0 && before->part + 1 == d->part)
        join(w, i, i - 1, EDGE_PART);
    else if (d->part == 0 && d->follows)
        join(w, i, i - 1, EDGE_SECTION);
}

static void join_last(struct weaving *w, uint32_t i, uint32_t name, uint32_t *last, double weight)
{
    if (name == LEXICON_NONE)
        return;
    join(w, i, last[name], weight);
    last[name] = i;
}

static void join_tags(struct weaving *w, uint32_t i)
{
    const struct draft *d = &w->corpus->drafts[i];
    for (uint32_t k = 0; k < d->n_tags; k++) {
        uint32_t tag = w->corpus->tag_of[d->first_tag + k];
        if (w->holders[tag] > TAG_HOLDERS)
            continue;
        for (size_t b = 0; b < TAG_BACK; b++)
            join(w, i, w->recent[tag][b], EDGE_TAG + EDGE_TAG_RARE / w->holders[tag]);
        w->recent[tag][1] = w->recent[tag][0];
        w->recent[tag][0] = i;
    }
}

static void weave(struct weaving *w)
{
    const struct corpus *c = w->corpus;
    for (size_t k = 0; k < c->n_tag_of; k++)
        w->holders[c->tag_of[k]]++;
    for (uint32_t i = 0; i < c->n; i++) {
        w->first = w->n;
        join_neighbour(w, i);
        join_last(w, i, c->drafts[i].thread, w->last_thread, EDGE_THREAD);
        join_tags(w, i);
        join_last(w, i, c->drafts[i].author, w->last_author, EDGE_AUTHOR);
    }
}

static void *filled(size_t n, size_t size, int with)
{
    void *p = calloc(n + 1, size);
    if (p)
        memset(p, with, (n + 1) * size);
    return p;
}

int corpus_edges(const struct corpus *c, struct corpus_edge **ret, size_t *ret_n)
{
    _cleanup_free_ uint8_t *reached = filled(c->n, 1, 0);
    _cleanup_free_ uint32_t *authors = filled(c->names.n, sizeof *authors, 0xFF);
    _cleanup_free_ uint32_t *threads = filled(c->names.n, sizeof *threads, 0xFF);
    _cleanup_free_ uint32_t *holders = filled(c->tags.n, sizeof *holders, 0);
    _cleanup_free_ void *recent = filled(c->tags.n, sizeof(uint32_t[TAG_BACK]), 0xFF);
    _cleanup_free_ struct corpus_edge *edges = calloc(c->n * EDGES_BACK + 1, sizeof *edges);
    if (!reached || !authors || !threads || !holders || !recent || !edges)
        return -ENOMEM;
    struct weaving w = {.corpus = c,
                        .edges = edges,
                        .reached = reached,
                        .last_author = authors,
                        .last_thread = threads,
                        .holders = holders,
                        .recent = recent};
    weave(&w);
    *ret = TAKE_PTR(edges);
    *ret_n = w.n;
    return 0;
}
