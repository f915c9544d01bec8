/* SPDX-License-Identifier: MIT */
/* All skills as one immutable object: texts, their graph, and what a query is looked up by. Built from the
 * store, shared by counted references (graph/slot.h), never changed; any number of threads may ask it.
 *
 * The graph's nodes are the skills (by name), then the categories, then the tags. Its edges, both ways each:
 *
 *   stated      a row of skill_edges, with its weight; the opposite way has the same unless a row says else
 *   category    skill – category, SKILL_CATEGORY_WEIGHT
 *   tag         skill – tag, the rarer the tag the heavier: ln(1 + N/df) / ln(1 + N)
 *   together    tag – tag of tags that at least two skills have both: their normalised pointwise mutual
 *               information, where it is above 0 */
#ifndef SKILLS_SET_H
#define SKILLS_SET_H

#include "base/arena.h"
#include "graph/graph.h"
#include "graph/slot.h"
#include "retrieval/lexicon.h"
#include "retrieval/postings.h"

#include <pthread.h>

#define SKILLS_MOST 10000
#define SKILL_TEXTS_MOST ((size_t)64 << 20) /* bytes of all of them */
#define SKILL_TEXT_MOST ((size_t)1 << 20)   /* of one description or content; what is longer is cut */
#define SKILL_CATEGORY_WEIGHT 0.6f
#define SKILL_RELATIONS_MAX 200

/* Kinds of edges; from SKILL_EDGE_STATED on they are relations by their number. */
enum skill_edge { SKILL_EDGE_CATEGORY, SKILL_EDGE_TAG, SKILL_EDGE_TOGETHER, SKILL_EDGE_STATED };

struct skill {
    const char *id, *name, *category, *description, *content, *date_updated;
    double activation_score; /* that of its row */
    uint32_t category_node;
    const uint32_t *tag_nodes; /* in the order of its row */
    uint32_t n_tags;
};

struct skill_scratch; /* what a query works with */

struct skill_set {
    struct shared shared;
    int64_t version; /* of the store, and of this process's own writes, when it was read */
    uint64_t generation;
    struct arena texts;
    struct skill *skills;  /* by name */
    const char **concepts; /* names of the nodes from n_skills on: categories, then tags */
    uint32_t n_skills, n_categories, n_tags;
    const char *relations[SKILL_RELATIONS_MAX];
    uint32_t n_relations;
    struct graph *graph;
    struct lexicon lexicon;
    struct postings direct;    /* term → skill: tenths that names, categories and descriptions bring */
    struct postings tag_terms; /* term → tag, by its number among the tags */
    uint32_t *tag_n_terms;     /* terms that a tag has */
    struct postings text;      /* BM25 over name, tags, description and content */
    pthread_mutex_t lock;      /* of the idle scratches */
    struct skill_scratch *idle;
};

/* A row of agent_skills; everything is copied. Texts may be NULL; tags: JSON. */
struct skill_row {
    const char *id, *name, *category, *description, *tags, *content, *date_updated;
    double activation_score;
};

/* A row of skill_edges. */
struct skill_edge_row {
    const char *source, *target, *relation; /* ids of skills */
    double weight;
};

struct skill_set_builder;

struct skill_set_builder *skill_set_begin(void);
void skill_set_builder_free(struct skill_set_builder *b);
DEFINE_CLEANUP(struct skill_set_builder *, skill_set_builder_free);

/* All skills first. 0, -ENOBUFS (it is full, and the row left out) or -ENOMEM. */
int skill_set_add(struct skill_set_builder *b, const struct skill_row *row);

/* Edges of unknown skills are ignored. 0, -ENOBUFS or -ENOMEM. */
int skill_set_add_edge(struct skill_set_builder *b, const struct skill_edge_row *row);

/* The set, for the caller, who holds the first reference. 0 or -ENOMEM; the builder is to be freed either
 * way.
 */
int skill_set_finish(struct skill_set_builder *b, struct skill_set **ret);

void skill_set_unref(struct skill_set *s);
DEFINE_CLEANUP(struct skill_set *, skill_set_unref);

/* By id or by name; UINT32_MAX where there is none. */
uint32_t skill_set_find(const struct skill_set *s, const char *id_or_name);

/* The name of a node of the graph, and "skill", "category" or "tag". */
const char *skill_set_node_name(const struct skill_set *s, uint32_t node);
const char *skill_set_node_kind(const struct skill_set *s, uint32_t node);

/* What an edge's kind is called: "category", "tag", "co-occurrence", or the relation's own name. */
const char *skill_set_edge_name(const struct skill_set *s, uint8_t kind);

#endif
