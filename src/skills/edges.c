/* SPDX-License-Identifier: MIT */
#include "skills/edges.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOGETHER_LEAST 2 /* skills that must have both tags: of one, chance is all there is */

struct edges {
    struct graph_edge *all;
    size_t n, cap;
};

static int add(struct edges *e, uint32_t from, uint32_t to, float weight, uint8_t kind)
{
    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 1024;
        struct graph_edge *all = realloc(e->all, cap * sizeof *all);
        if (!all)
            return -ENOMEM;
        e->all = all;
        e->cap = cap;
    }
    e->all[e->n++] = (struct graph_edge){from, to, weight, kind};
    return 0;
}

static int add_both(struct edges *e, uint32_t a, uint32_t b, float weight, uint8_t kind)
{
    int r = add(e, a, b, weight, kind);
    return r == 0 ? add(e, b, a, weight, kind) : r;
}

static int by_ends(const void *a, const void *b)
{
    const struct stated_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static int add_stated(struct edges *e, struct stated_edge *stated, size_t n)
{
    int r = 0;
    if (n > 0)
        qsort(stated, n, sizeof *stated, by_ends);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct stated_edge *s = &stated[i], opposite = {.from = s->to, .to = s->from};
        if (!(s->weight > 0)) /* it says that this way carries nothing */
            continue;
        r = add(e, s->from, s->to, s->weight, s->kind);
        if (r == 0 && !bsearch(&opposite, stated, n, sizeof *stated, by_ends))
            r = add(e, s->to, s->from, s->weight, s->kind);
    }
    return r;
}

static int add_concepts(struct edges *e, const struct skill_set *set, const uint32_t *holders)
{
    double most = log(1 + (double)set->n_skills);
    int r = 0;
    for (uint32_t i = 0; i < set->n_skills && r == 0; i++) {
        const struct skill *s = &set->skills[i];
        r = add_both(e, i, s->category_node, SKILL_CATEGORY_WEIGHT, SKILL_EDGE_CATEGORY);
        for (uint32_t t = 0; t < s->n_tags && r == 0; t++) {
            double idf = log(1 + (double)set->n_skills / holders[s->tag_nodes[t]]);
            r = add_both(e, i, s->tag_nodes[t], (float)(idf / most), SKILL_EDGE_TAG);
        }
    }
    return r;
}

/* Two tags in one number, the lower node first. */
static uint64_t pair_of(uint32_t a, uint32_t b)
{
    return a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

static int by_pair(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Every pair of tags of every skill, sorted. */
static int list_pairs(const struct skill_set *set, uint64_t **ret, size_t *ret_n)
{
    size_t n = 0;
    for (uint32_t i = 0; i < set->n_skills; i++)
        n += (size_t)set->skills[i].n_tags * (set->skills[i].n_tags > 0 ? set->skills[i].n_tags - 1 : 0) / 2;
    uint64_t *pairs = calloc(n ? n : 1, sizeof *pairs), *to = pairs;
    if (!pairs)
        return -ENOMEM;
    for (uint32_t i = 0; i < set->n_skills; i++)
        for (uint32_t a = 0; a < set->skills[i].n_tags; a++)
            for (uint32_t b = a + 1; b < set->skills[i].n_tags; b++)
                *to++ = pair_of(set->skills[i].tag_nodes[a], set->skills[i].tag_nodes[b]);
    qsort(pairs, n, sizeof *pairs, by_pair);
    *ret = pairs;
    *ret_n = n;
    return 0;
}

/* ln(p(ab) / (p(a) p(b))) / -ln p(ab): 1 for tags that are never apart, 0 for those that meet by chance. */
static double mutual(double together, double a, double b, double all)
{
    return together < all ? log(together * all / (a * b)) / -log(together / all) : 0;
}

static int add_together(struct edges *e, const struct skill_set *set, const uint32_t *holders)
{
    uint64_t *pairs;
    size_t n;
    int r = list_pairs(set, &pairs, &n);
    if (r < 0)
        return r;
    for (size_t i = 0, next; i < n && r == 0; i = next) {
        for (next = i + 1; next < n && pairs[next] == pairs[i];)
            next++;
        uint32_t a = (uint32_t)(pairs[i] >> 32), b = (uint32_t)pairs[i];
        double weight = next - i >= TOGETHER_LEAST
                            ? mutual((double)(next - i), holders[a], holders[b], set->n_skills)
                            : 0;
        if (weight > 0)
            r = add_both(e, a, b, weight < 1 ? (float)weight : 1.0f, SKILL_EDGE_TOGETHER);
    }
    free(pairs);
    return r;
}

int skill_edges_build(struct skill_set *set, struct stated_edge *stated, size_t n)
{
    struct edges e = {0};
    uint32_t nodes = set->n_skills + set->n_categories + set->n_tags;
    uint32_t *holders = calloc(nodes ? nodes : 1, sizeof *holders); /* by node; of tags alone */
    int r = holders ? add_stated(&e, stated, n) : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < set->n_skills; i++)
        for (uint32_t t = 0; t < set->skills[i].n_tags; t++)
            holders[set->skills[i].tag_nodes[t]]++;
    if (r == 0)
        r = add_concepts(&e, set, holders);
    if (r == 0)
        r = add_together(&e, set, holders);
    if (r == 0)
        r = graph_build(nodes, e.all, e.n, &set->graph);
    free(e.all);
    free(holders);
    return r;
}
