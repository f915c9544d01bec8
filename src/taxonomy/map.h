/* SPDX-License-Identifier: MIT */
/* The taxonomy ready to be asked: one immutable object, built of rows and swapped as a whole (graph/slot.h).
 * Names, their parts and aliases lead to nodes; relations are a graph over them, walked by the graph engine.
 * What was worked out for a term is kept with it, so that a cached answer can't outlive its graph. Any number
 * of threads may ask.
 *
 * A walk goes along co-occurrences as they are weighed, both ways, and along the hierarchy dampened, and the
 * more so the more a node has below it: what stands beside a tag counts for more than what shares its
 * category. */
#ifndef TAXONOMY_MAP_H
#define TAXONOMY_MAP_H

#include "graph/pool.h"
#include "graph/slot.h"
#include "taxonomy/phrases.h"

#define MAP_TAGS_MOST 32       /* that a term leads to */
#define MAP_CONCEPTS_MOST 8    /* above them */
#define MAP_NEIGHBOURS_MOST 16 /* of them */

#define MAP_WHOLE 1.0f /* score of a term that is the whole name; that of an alias is its weight */
#define MAP_PART 0.4f  /* of one that is a part of it, by its share */
#define MAP_BELOW 0.5f /* of the tags of a category or site that it names */

struct taxonomy_map;

/* What a term leads to: tags of that name, part of name or alias, best first; the super-concepts above them;
 * the tags that stand near them. */
struct map_answer {
    uint32_t n_tags, n_concepts, n_neighbours;
    struct taxonomy_scored tags[MAP_TAGS_MOST], concepts[MAP_CONCEPTS_MOST], neighbours[MAP_NEIGHBOURS_MOST];
};

/* Takes the rows over, whatever comes of it. The caller holds the first reference to the map. 0 or -ENOMEM.
 */
int map_build(struct taxonomy_rows *rows, struct taxonomy_map **ret);

struct taxonomy_map *map_of_shared(struct shared *s);
struct shared *map_shared(struct taxonomy_map *map);
void map_unref(struct taxonomy_map *map);
DEFINE_CLEANUP(struct taxonomy_map *, map_unref);

const struct taxonomy_rows *map_rows(const struct taxonomy_map *map);

/* How many answers are kept. */
size_t map_cached(const struct taxonomy_map *map);

/* The answer for a term in normal form: 1 it was kept, 0 it was worked out now, or -ENOMEM. An unknown term's
 * is empty and isn't kept, so that no more is kept than there are names. It lives as long as the map. */
int map_look_up(struct taxonomy_map *map, struct graph_pool *pool, const char *term,
                const struct map_answer **ret);

/* phrases_tag over its phrases. */
int map_tag(const struct taxonomy_map *map, const char *text, size_t len, size_t most,
            struct taxonomy_scored *ret, size_t *ret_n);

#endif
