/* SPDX-License-Identifier: MIT */
/* Questions to a set of skills: which of them a task activates, which a text finds, which belong to one. The
 * same set and question give the same answer; ties go by name.
 *
 * Activation: a skill scores 0.3 for each of its tags that the query holds (with all of the tag's words), 0.2
 * for each word of its name and category, 0.1 for each term of its description; terms are stemmed, and filler
 * words are none. The best SKILL_SEEDS_MOST fire, scaled so that the best has 1.0, and the signal spreads
 * over the graph. activation = direct score + what came over edges. */
#ifndef SKILLS_ASK_H
#define SKILLS_ASK_H

#include "skills/set.h"

#define SKILL_SEEDS_MOST 16
#define SKILL_HITS_MOST 50
#define SKILL_QUERY_MAX 4096 /* bytes that are read */
#define SKILL_TERMS_MAX 128

#define SKILL_WEIGHT_NAME 3.0f
#define SKILL_WEIGHT_TAGS 2.0f
#define SKILL_WEIGHT_DESCRIPTION 2.0f
#define SKILL_WEIGHT_CONTENT 1.0f

struct skill_hit {
    uint32_t skill;
    double direct, score;
    uint8_t hops; /* 0: matched directly */
};

struct skill_activation {
    struct skill_hit hits[SKILL_HITS_MOST]; /* best first */
    size_t n;
    uint32_t seeds, fired; /* nodes of the graph that fired, seeds among them */
};

struct skill_related {
    uint32_t skill;
    float weight;
    const char *relation; /* its stated name, or "shared-tags" or "category" */
};

/* Working memory for questions to this set, to be given back to it. NULL without memory. */
struct skill_scratch *skill_scratch_take(struct skill_set *set);
void skill_scratch_give(struct skill_set *set, struct skill_scratch *s);
void skill_scratches_free(struct skill_scratch *all); /* for set.c */

/* At most `most` skills (<= SKILL_HITS_MOST). Allocates nothing. */
void skill_activate(const struct skill_set *set, struct skill_scratch *s, const char *query, size_t most,
                    struct skill_activation *ret);

/* After skill_activate or skill_search with the same scratch: whether the query holds all terms of a text, of
 * which there is at least one. */
bool skill_query_holds(const struct skill_set *set, struct skill_scratch *s, const char *text, size_t len);

struct skill_score {
    uint32_t skill;
    float score;
};

/* BM25: all that match, best first, in the scratch until the next question. category: NULL = any. */
const struct skill_score *skill_search(const struct skill_set *set, struct skill_scratch *s,
                                       const char *query, const char *category, size_t *ret_n);

/* About 200 characters of a skill's text around the first term of the query that stands in it, else the
 * beginning of its description; white space as single blanks. In the arena, or NULL without memory. */
const char *skill_snippet(const struct skill_set *set, struct skill_scratch *s, uint32_t skill,
                          struct arena *a);

/* The skills that belong to one, best first: those that a relation names, then those of the same tags, then
 * of the category. In the scratch until the next question. */
const struct skill_related *skill_relations(const struct skill_set *set, struct skill_scratch *s,
                                            uint32_t skill, size_t *ret_n);

#endif
