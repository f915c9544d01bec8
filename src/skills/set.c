/* SPDX-License-Identifier: MIT */
#include "skills/set.h"

#include "base/json.h"
#include "base/text.h"
#include "retrieval/bm25.h"
#include "skills/ask.h"
#include "skills/edges.h"
#include "skills/gather.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (4 * SKILL_TEXTS_MOST)
#define EDGES_MAX 500000
#define NAME_BYTES 255 /* of a name, a category, a tag or a relation */
#define TAGS_OF_ONE 64
#define TENTHS_CONCEPT 2
#define TENTHS_DESCRIPTION 1

/* A skill as it is gathered; its tags are names until the nodes are numbered. */
struct gathered {
    struct skill skill;
    const char *tags[TAGS_OF_ONE];
};

struct by_id {
    const char *id;
    uint32_t skill;
};

struct skill_set_builder {
    struct skill_set *set;
    struct gathered *all;
    uint32_t cap;
    struct by_id *ids; /* once the skills are in order */
    struct stated_edge *edges;
    size_t n_edges, edges_cap, text_bytes;
};

struct skill_set_builder *skill_set_begin(void)
{
    _cleanup_(skill_set_builder_freeP) struct skill_set_builder *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->set = calloc(1, sizeof *b->set);
    if (!b->set)
        return NULL;
    arena_init(&b->set->texts, ARENA_MAX);
    pthread_mutex_init(&b->set->lock, NULL);
    return TAKE_PTR(b);
}

static void free_set(struct shared *self)
{
    struct skill_set *s = (struct skill_set *)self;
    skill_scratches_free(s->idle);
    arena_free(&s->texts);
    free(s->skills);
    free(s->concepts);
    free(s->tag_n_terms);
    graph_unref(s->graph);
    lexicon_free(&s->lexicon);
    postings_free(&s->direct);
    postings_free(&s->tag_terms);
    postings_free(&s->text);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void skill_set_unref(struct skill_set *s)
{
    shared_unref(s ? &s->shared : NULL);
}

void skill_set_builder_free(struct skill_set_builder *b)
{
    if (!b)
        return;
    if (b->set)
        free_set(&b->set->shared);
    free(b->all);
    free(b->ids);
    free(b->edges);
    free(b);
}

/* Well-formed, whatever the store holds; NULL without memory. */
static char *keep(struct skill_set *s, const char *text, size_t max)
{
    size_t len = text ? strlen(text) : 0, n = utf8_floor(text ? text : "", len, max);
    char *copy = arena_strndup(&s->texts, text ? text : "", n);
    if (copy)
        utf8_repair(copy, n);
    return copy;
}

/* The texts of a JSON list; anything else is no tags. A tag that comes twice counts once. */
static int keep_tags(struct skill_set *s, const char *json, struct gathered *g)
{
    _cleanup_json_ json_t *tags = json ? json_parse(json, strlen(json)) : NULL;
    const json_t *item;
    size_t i;
    json_array_foreach (tags, i, item) {
        const char *text = json_string_value(item), *tag = text && text[0] ? keep(s, text, NAME_BYTES) : "";
        uint32_t k = 0;
        if (!tag)
            return -ENOMEM;
        while (k < g->skill.n_tags && strcmp(g->tags[k], tag) != 0)
            k++;
        if (tag[0] && k == g->skill.n_tags && k < TAGS_OF_ONE)
            g->tags[g->skill.n_tags++] = tag;
    }
    return 0;
}

int skill_set_add(struct skill_set_builder *b, const struct skill_row *row)
{
    struct skill_set *s = b->set;
    if (s->n_skills == SKILLS_MOST || b->text_bytes >= SKILL_TEXTS_MOST)
        return -ENOBUFS;
    if (s->n_skills == b->cap) {
        uint32_t cap = b->cap ? b->cap * 2 : 64;
        struct gathered *all = realloc(b->all, cap * sizeof *all);
        if (!all)
            return -ENOMEM;
        b->all = all;
        b->cap = cap;
    }
    struct gathered g = {
        .skill = {.id = keep(s, row->id, NAME_BYTES),
                  .name = keep(s, row->name, NAME_BYTES),
                  .category = keep(s, row->category, NAME_BYTES),
                  .description = keep(s, row->description, SKILL_TEXT_MOST),
                  .content = keep(s, row->content, SKILL_TEXT_MOST),
                  .date_updated = keep(s, row->date_updated, NAME_BYTES),
                  .activation_score = isfinite(row->activation_score) ? row->activation_score : 0}};
    const struct skill *k = &g.skill;
    if (!k->id || !k->name || !k->category || !k->description || !k->content || !k->date_updated)
        return -ENOMEM;
    int r = keep_tags(s, row->tags, &g);
    if (r < 0)
        return r;
    b->text_bytes += strlen(k->description) + strlen(k->content);
    b->all[s->n_skills++] = g;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gathered *)a)->skill.name, ((const struct gathered *)b)->skill.name);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct by_id *)a)->id, ((const struct by_id *)b)->id);
}

/* Puts the skills in order, once; edges name them by id. */
static int order_skills(struct skill_set_builder *b)
{
    uint32_t n = b->set->n_skills;
    if (b->ids)
        return 0;
    b->ids = calloc(n + 1, sizeof *b->ids);
    if (!b->ids)
        return -ENOMEM;
    if (n > 0)
        qsort(b->all, n, sizeof *b->all, by_name);
    for (uint32_t i = 0; i < n; i++)
        b->ids[i] = (struct by_id){b->all[i].skill.id, i};
    qsort(b->ids, n, sizeof *b->ids, by_id);
    return 0;
}

static uint32_t find_id(const struct skill_set_builder *b, const char *id)
{
    struct by_id key = {.id = id ? id : ""};
    const struct by_id *found = bsearch(&key, b->ids, b->set->n_skills, sizeof key, by_id);
    return found ? found->skill : UINT32_MAX;
}

/* The kind of a relation, numbered when it first comes; those beyond the most share the last one. */
static int relation_kind(struct skill_set *s, const char *name, uint8_t *ret)
{
    uint32_t i = 0;
    while (i < s->n_relations && !str_equal(s->relations[i], name))
        i++;
    if (i == SKILL_RELATIONS_MAX)
        i--;
    if (i == s->n_relations) {
        s->relations[i] = keep(s, name, NAME_BYTES);
        if (!s->relations[i])
            return -ENOMEM;
        s->n_relations++;
    }
    *ret = (uint8_t)(SKILL_EDGE_STATED + i);
    return 0;
}

int skill_set_add_edge(struct skill_set_builder *b, const struct skill_edge_row *row)
{
    uint8_t kind;
    int r = order_skills(b);
    if (r < 0)
        return r;
    uint32_t from = find_id(b, row->source), to = find_id(b, row->target);
    if (from == UINT32_MAX || to == UINT32_MAX || from == to || !(row->weight >= 0))
        return 0;
    if (b->n_edges == EDGES_MAX)
        return -ENOBUFS;
    if (b->n_edges == b->edges_cap) {
        size_t cap = b->edges_cap ? b->edges_cap * 2 : 256;
        struct stated_edge *edges = realloc(b->edges, cap * sizeof *edges);
        if (!edges)
            return -ENOMEM;
        b->edges = edges;
        b->edges_cap = cap;
    }
    r = relation_kind(b->set, row->relation ? row->relation : "related", &kind);
    if (r == 0)
        b->edges[b->n_edges++] =
            (struct stated_edge){from, to, row->weight < 1 ? (float)row->weight : 1.0f, kind};
    return r;
}

/* ---- numbering the concepts */

/* Sorts names and drops those that come twice; returns how many are left. */
static uint32_t unique(const char **names, uint32_t n)
{
    uint32_t kept = 0;
    if (n > 0)
        qsort(names, n, sizeof *names, str_order);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    return kept;
}

static uint32_t place_of(const char **names, uint32_t n, const char *name)
{
    const char **found = bsearch(&name, names, n, sizeof *names, str_order);
    return (uint32_t)(found - names);
}

static int number_concepts(struct skill_set_builder *b)
{
    struct skill_set *s = b->set;
    size_t most = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_skills; i++)
        most += 1 + (size_t)b->all[i].skill.n_tags;
    s->concepts = calloc(most + 1, sizeof *s->concepts);
    if (!s->concepts)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n_skills; i++)
        s->concepts[n++] = b->all[i].skill.category;
    s->n_categories = unique(s->concepts, n);
    const char **tags = s->concepts + s->n_categories;
    n = 0;
    for (uint32_t i = 0; i < s->n_skills; i++)
        for (uint32_t t = 0; t < b->all[i].skill.n_tags; t++)
            tags[n++] = b->all[i].tags[t];
    s->n_tags = unique(tags, n);
    return 0;
}

static int place_skills(struct skill_set_builder *b)
{
    struct skill_set *s = b->set;
    s->skills = calloc(s->n_skills + 1, sizeof *s->skills);
    if (!s->skills)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n_skills; i++) {
        struct skill skill = b->all[i].skill;
        uint32_t *nodes = arena_alloc(&s->texts, (skill.n_tags + 1) * sizeof *nodes);
        if (!nodes)
            return -ENOMEM;
        for (uint32_t t = 0; t < skill.n_tags; t++)
            nodes[t] = s->n_skills + s->n_categories +
                       place_of(s->concepts + s->n_categories, s->n_tags, b->all[i].tags[t]);
        skill.tag_nodes = nodes;
        skill.category_node = s->n_skills + place_of(s->concepts, s->n_categories, skill.category);
        s->skills[i] = skill;
    }
    return 0;
}

/* ---- what a query is looked up by */

static int index_direct(struct skill_set *s, struct terms *cutter)
{
    _cleanup_(gather_free) struct gather g = {.lexicon = &s->lexicon, .cutter = cutter};
    int r = 0;
    for (uint32_t i = 0; i < s->n_skills && r == 0; i++) {
        const struct skill *k = &s->skills[i];
        r = gather_add(&g, i, k->name, GATHER_CONCEPT, TENTHS_CONCEPT, NULL);
        if (r == 0)
            r = gather_add(&g, i, k->category, GATHER_CONCEPT | GATHER_NO_NUMBERS, TENTHS_CONCEPT, NULL);
        if (r == 0)
            r = gather_add(&g, i, k->description, GATHER_DESCRIPTION, TENTHS_DESCRIPTION, NULL);
    }
    return r == 0 ? postings_build(s->lexicon.n, g.all, g.n, &s->direct) : r;
}

static int index_tags(struct skill_set *s, struct terms *cutter)
{
    _cleanup_(gather_free) struct gather g = {.lexicon = &s->lexicon, .cutter = cutter};
    int r = 0;
    s->tag_n_terms = calloc(s->n_tags + 1, sizeof *s->tag_n_terms);
    if (!s->tag_n_terms)
        return -ENOMEM;
    for (uint32_t t = 0; t < s->n_tags && r == 0; t++)
        r = gather_add(&g, t, s->concepts[s->n_categories + t], GATHER_CONCEPT, 1, &s->tag_n_terms[t]);
    return r == 0 ? postings_build(s->lexicon.n, g.all, g.n, &s->tag_terms) : r;
}

static int add_text(struct bm25_builder *b, const char *text, float weight)
{
    return bm25_add_text(b, text, strlen(text), weight);
}

static int index_text(struct skill_set *s, struct terms *cutter)
{
    struct bm25_builder b = {.lexicon = &s->lexicon, .cutter = cutter};
    int r = 0;
    for (uint32_t i = 0; i < s->n_skills && r == 0; i++) {
        const struct skill *k = &s->skills[i];
        r = bm25_add_doc(&b);
        if (r == 0)
            r = add_text(&b, k->name, SKILL_WEIGHT_NAME);
        for (uint32_t t = 0; t < k->n_tags && r == 0; t++)
            r = add_text(&b, skill_set_node_name(s, k->tag_nodes[t]), SKILL_WEIGHT_TAGS);
        if (r == 0)
            r = add_text(&b, k->description, SKILL_WEIGHT_DESCRIPTION);
        if (r == 0)
            r = add_text(&b, k->content, SKILL_WEIGHT_CONTENT);
    }
    if (r == 0)
        r = bm25_build(&b, &s->text);
    bm25_free(&b);
    return r;
}

static int index_all(struct skill_set *s)
{
    _cleanup_(terms_freeP) struct terms *cutter = terms_new();
    int r = cutter ? index_direct(s, cutter) : -ENOMEM;
    if (r == 0)
        r = index_tags(s, cutter);
    return r == 0 ? index_text(s, cutter) : r;
}

int skill_set_finish(struct skill_set_builder *b, struct skill_set **ret)
{
    int r = order_skills(b);
    if (r == 0)
        r = number_concepts(b);
    if (r == 0)
        r = place_skills(b);
    if (r == 0)
        r = skill_edges_build(b->set, b->edges, b->n_edges);
    if (r == 0)
        r = index_all(b->set);
    if (r < 0)
        return r;
    shared_init(&b->set->shared, free_set);
    *ret = TAKE_PTR(b->set);
    return 0;
}

/* ---- reading */

uint32_t skill_set_find(const struct skill_set *s, const char *id_or_name)
{
    uint32_t low = 0, high = s->n_skills;
    for (uint32_t i = 0; i < s->n_skills; i++)
        if (strcasecmp(s->skills[i].id, id_or_name) == 0)
            return i;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(s->skills[middle].name, id_or_name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

const char *skill_set_node_name(const struct skill_set *s, uint32_t node)
{
    return node < s->n_skills ? s->skills[node].name : s->concepts[node - s->n_skills];
}

const char *skill_set_node_kind(const struct skill_set *s, uint32_t node)
{
    if (node < s->n_skills)
        return "skill";
    return node < s->n_skills + s->n_categories ? "category" : "tag";
}

const char *skill_set_edge_name(const struct skill_set *s, uint8_t kind)
{
    static const char *const names[] = {"category", "tag", "co-occurrence"};
    return kind < SKILL_EDGE_STATED ? names[kind] : s->relations[kind - SKILL_EDGE_STATED];
}
