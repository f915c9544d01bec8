/* SPDX-License-Identifier: MIT */
/* The kept answers are pointers, one for each key (a name, a part or an alias), NULL until somebody asked.
 * Two who ask for the same at once both work it out; the first to be done keeps his. */
#include "taxonomy/map.h"

#include "retrieval/terms.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define UP 16u           /* bit of an arc's kind: against the relation's direction */
#define DAMPENED 0.6f    /* weight of the hierarchy, up; down it is divided by √(what lies below) */
#define SITE 0.3f        /* the same for sites, which use tags of all kinds */
#define CONCEPT_DEPTH 3  /* steps up to a super-concept */
#define REACHED_MOST 128 /* nodes of a walk that are looked at */

struct taxonomy_map {
    struct shared head;
    struct taxonomy_rows rows;
    struct phrases phrases;
    struct lexicon keys;
    struct postings by_key; /* nodes, with the score of the key */
    struct graph *graph;
    _Atomic(struct map_answer *) *kept; /* by key */
    atomic_size_t n_kept;
};

static void free_map(struct shared *s)
{
    struct taxonomy_map *map = map_of_shared(s);
    for (uint32_t i = 0; map->kept && i < map->keys.n; i++)
        free(atomic_load_explicit(&map->kept[i], memory_order_relaxed));
    free(map->kept);
    graph_unref(map->graph);
    postings_free(&map->by_key);
    lexicon_free(&map->keys);
    phrases_free(&map->phrases);
    taxonomy_rows_free(&map->rows);
    free(map);
}

struct taxonomy_map *map_of_shared(struct shared *s)
{
    return (struct taxonomy_map *)(void *)s; /* its head comes first */
}

struct shared *map_shared(struct taxonomy_map *map)
{
    return &map->head;
}

void map_unref(struct taxonomy_map *map)
{
    shared_unref(&map->head);
}

const struct taxonomy_rows *map_rows(const struct taxonomy_map *map)
{
    return &map->rows;
}

size_t map_cached(const struct taxonomy_map *map)
{
    return atomic_load_explicit(&map->n_kept, memory_order_relaxed);
}

/* ---- keys */

struct keys {
    struct taxonomy_map *map;
    struct occurrence *all;
    size_t n, cap;
};

static int add_key(struct keys *k, uint32_t node, const char *key, size_t len, float score)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 256;
        struct occurrence *all = realloc(k->all, cap * sizeof *all);
        if (!all)
            return -ENOMEM;
        k->all = all;
        k->cap = cap;
    }
    uint32_t id = lexicon_add(&k->map->keys, key, len);
    if (id == LEXICON_NONE)
        return -ENOMEM;
    k->all[k->n++] = (struct occurrence){id, node, score};
    return 0;
}

/* A name is found as a whole and by its parts. */
static int add_name(struct keys *k, uint32_t node, const char *name, float score)
{
    const char *at = name, *part;
    size_t len, parts = 0;
    int r = add_key(k, node, name, strlen(name), score);
    while (taxonomy_next_part(&at, &part, &len))
        parts++;
    at = name;
    while (r == 0 && parts > 1 && taxonomy_next_part(&at, &part, &len))
        if (!term_is_filler(part, len))
            r = add_key(k, node, part, len, score * MAP_PART / (float)parts);
    return r;
}

static int build_keys(struct taxonomy_map *map)
{
    const struct taxonomy_rows *rows = &map->rows;
    struct keys k = {.map = map};
    size_t alias = 0;
    int r = 0;
    for (size_t i = 0; i < rows->n_nodes && r == 0; i++) {
        r = add_name(&k, (uint32_t)i, rows->nodes[i].name, MAP_WHOLE);
        for (; alias < rows->n_aliases && rows->aliases[alias].node == i && r == 0; alias++)
            r = add_name(&k, (uint32_t)i, rows->aliases[alias].term,
                         (float)fmin(rows->aliases[alias].weight, 1));
    }
    if (r == 0)
        r = postings_build(map->keys.n, k.all, k.n, &map->by_key);
    free(k.all);
    return r;
}

/* ---- the graph */

/* How many of that relation lead from each node. */
static uint32_t *count_below(const struct taxonomy_rows *rows)
{
    uint32_t *below = calloc(rows->n_nodes + 1, sizeof *below);
    for (size_t i = 0; below && i < rows->n_edges; i++) {
        const struct taxonomy_edge *e = &rows->edges[i];
        if (e->relation != TAXONOMY_CO_OCCURS) /* of MAPS_TO_CONCEPT the target is above */
            below[e->relation == TAXONOMY_MAPS_TO_CONCEPT ? e->target : e->source]++;
    }
    return below;
}

static void add_arcs(const struct taxonomy_edge *e, const uint32_t *below, struct graph_edge *ret)
{
    float weight = (float)fmin(e->weight, 1), down = 1, up = 1;
    if (e->relation == TAXONOMY_MAPS_TO_CONCEPT) {
        up = DAMPENED / sqrtf((float)below[e->target]);
        down = DAMPENED;
    } else if (e->relation != TAXONOMY_CO_OCCURS) {
        up = e->relation == TAXONOMY_USES_TAG ? SITE : DAMPENED;
        down = up / sqrtf((float)below[e->source]);
    }
    ret[0] = (struct graph_edge){e->source, e->target, weight * down, (uint8_t)e->relation};
    ret[1] = (struct graph_edge){e->target, e->source, weight * up, (uint8_t)(e->relation | UP)};
}

static int by_arc(const void *a, const void *b)
{
    const struct graph_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    unsigned kind_x = x->kind & ~UP, kind_y = y->kind & ~UP;
    if (kind_x != kind_y)
        return kind_x < kind_y ? -1 : 1;
    return (x->kind & UP) > (y->kind & UP) ? 1 : (x->kind & UP) < (y->kind & UP) ? -1 : 0;
}

/* Co-occurrence goes both ways by one row; where there is a row for each way, each counts for its own. */
static size_t drop_doubles(struct graph_edge *arcs, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct graph_edge *last = kept ? &arcs[kept - 1] : NULL;
        if (last && arcs[i].kind == (TAXONOMY_CO_OCCURS | UP) && last->kind == TAXONOMY_CO_OCCURS &&
            last->from == arcs[i].from && last->to == arcs[i].to)
            continue;
        arcs[kept++] = arcs[i];
    }
    return kept;
}

static int build_graph(struct taxonomy_map *map)
{
    const struct taxonomy_rows *rows = &map->rows;
    size_t n = 2 * rows->n_edges;
    _cleanup_free_ struct graph_edge *arcs = malloc((n + 1) * sizeof *arcs);
    _cleanup_free_ uint32_t *below = count_below(rows);
    if (!arcs || !below)
        return -ENOMEM;
    for (size_t i = 0; i < rows->n_edges; i++)
        add_arcs(&rows->edges[i], below, &arcs[2 * i]);
    if (n > 1)
        qsort(arcs, n, sizeof *arcs, by_arc);
    return graph_build((uint32_t)rows->n_nodes, arcs, drop_doubles(arcs, n), &map->graph);
}

int map_build(struct taxonomy_rows *rows, struct taxonomy_map **ret)
{
    struct taxonomy_map *map = calloc(1, sizeof *map);
    if (!map) {
        taxonomy_rows_free(rows);
        return -ENOMEM;
    }
    shared_init(&map->head, free_map);
    map->rows = *rows;
    *rows = (struct taxonomy_rows){0};
    int r = build_keys(map);
    if (r == 0)
        r = phrases_build(&map->rows, &map->phrases);
    if (r == 0)
        r = build_graph(map);
    map->kept = r == 0 ? calloc(map->keys.n + 1, sizeof *map->kept) : NULL;
    if (map->kept) {
        *ret = map;
        return 0;
    }
    map_unref(map);
    return -ENOMEM;
}

/* ---- look-ups */

static bool is_type(const struct taxonomy_map *map, uint32_t node, enum taxonomy_type type)
{
    return map->rows.nodes[node].type == type;
}

static void offer_tag(struct map_answer *a, uint32_t node, float score)
{
    size_t n = a->n_tags;
    taxonomy_offer(a->tags, &n, MAP_TAGS_MOST, (struct taxonomy_scored){node, score});
    a->n_tags = (uint32_t)n;
}

static void offer_concept(struct map_answer *a, uint32_t node, float score)
{
    size_t n = a->n_concepts;
    taxonomy_offer(a->concepts, &n, MAP_CONCEPTS_MOST, (struct taxonomy_scored){node, score});
    a->n_concepts = (uint32_t)n;
}

/* A category or site that the term names brings its tags. */
static void offer_below(const struct taxonomy_map *map, struct map_answer *a, uint32_t node, float score)
{
    struct graph_neighbours near = graph_neighbours(map->graph, node);
    for (uint32_t i = 0; i < near.n; i++)
        if (near.kind[i] == TAXONOMY_HAS_TAG || near.kind[i] == TAXONOMY_USES_TAG)
            offer_tag(a, near.arc[i].to, score * MAP_BELOW);
}

/* Super-concepts above a node, by the hierarchy alone. */
static void climb(const struct taxonomy_map *map, struct map_answer *a, uint32_t node, float score, int depth)
{
    struct graph_neighbours near = graph_neighbours(map->graph, node);
    if (is_type(map, node, TAXONOMY_SUPER_CONCEPT)) {
        offer_concept(a, node, score);
        return;
    }
    for (uint32_t i = 0; depth > 0 && i < near.n; i++)
        if (near.kind[i] == (TAXONOMY_HAS_TAG | UP) || near.kind[i] == (TAXONOMY_HAS_CATEGORY | UP) ||
            near.kind[i] == TAXONOMY_MAPS_TO_CONCEPT)
            climb(map, a, near.arc[i].to, score, depth - 1);
}

static bool names_tag(const struct map_answer *a, uint32_t node)
{
    for (uint32_t i = 0; i < a->n_tags; i++)
        if (a->tags[i].node == node)
            return true;
    return false;
}

/* The tags are the seeds; what is reached beside them is near. */
static int walk(const struct taxonomy_map *map, struct graph_pool *pool, struct map_answer *a)
{
    struct graph_hit seeds[MAP_TAGS_MOST], hits[REACHED_MOST];
    struct graph_scratch *scratch = graph_pool_take(pool, graph_nodes(map->graph));
    if (!scratch)
        return -ENOMEM;
    for (uint32_t i = 0; i < a->n_tags; i++)
        seeds[i] = (struct graph_hit){.node = a->tags[i].node, .potential = a->tags[i].score};
    size_t n = graph_propagate(map->graph, scratch, seeds, a->n_tags, NULL, hits, REACHED_MOST);
    graph_pool_give(pool, scratch);
    for (size_t i = 0; i < n && a->n_neighbours < MAP_NEIGHBOURS_MOST; i++)
        if (is_type(map, hits[i].node, TAXONOMY_TAG) && !names_tag(a, hits[i].node))
            a->neighbours[a->n_neighbours++] = (struct taxonomy_scored){hits[i].node, hits[i].potential};
    return 0;
}

static int work_out(const struct taxonomy_map *map, struct graph_pool *pool, uint32_t key,
                    struct map_answer *a)
{
    const struct postings *p = &map->by_key;
    for (uint32_t i = p->first[key]; i < p->first[key + 1]; i++) {
        const struct posting *found = &p->list[i];
        if (is_type(map, found->doc, TAXONOMY_TAG))
            offer_tag(a, found->doc, found->weight);
        else if (is_type(map, found->doc, TAXONOMY_SUPER_CONCEPT))
            offer_concept(a, found->doc, found->weight);
        else if (found->weight > MAP_PART)
            offer_below(map, a, found->doc, found->weight);
    }
    for (uint32_t i = 0; i < a->n_tags; i++)
        climb(map, a, a->tags[i].node, a->tags[i].score, CONCEPT_DEPTH);
    return walk(map, pool, a);
}

int map_look_up(struct taxonomy_map *map, struct graph_pool *pool, const char *term,
                const struct map_answer **ret)
{
    static const struct map_answer nothing;
    uint32_t key = lexicon_find(&map->keys, term, strlen(term));
    *ret = &nothing;
    if (key == LEXICON_NONE)
        return 0;
    struct map_answer *kept = atomic_load_explicit(&map->kept[key], memory_order_acquire);
    if (kept) {
        *ret = kept;
        return 1;
    }
    _cleanup_free_ struct map_answer *made = calloc(1, sizeof *made);
    int r = made ? work_out(map, pool, key, made) : -ENOMEM;
    if (r < 0)
        return r;
    if (atomic_compare_exchange_strong_explicit(&map->kept[key], &kept, made, memory_order_acq_rel,
                                                memory_order_acquire)) {
        atomic_fetch_add_explicit(&map->n_kept, 1, memory_order_relaxed);
        kept = TAKE_PTR(made);
    }
    *ret = kept;
    return 0;
}

int map_tag(const struct taxonomy_map *map, const char *text, size_t len, size_t most,
            struct taxonomy_scored *ret, size_t *ret_n)
{
    return phrases_tag(&map->phrases, text, len, most, ret, ret_n);
}
