/* SPDX-License-Identifier: MIT */
/* Private to src/skills: what questions work with. */
#ifndef SKILLS_SCRATCH_H
#define SKILLS_SCRATCH_H

#include "retrieval/terms.h"
#include "skills/ask.h"

struct skill_scratch {
    struct skill_scratch *next;
    struct terms *cutter;
    uint32_t terms[SKILL_TERMS_MAX]; /* of the query, those that the set knows */
    size_t n_terms;
    struct tally skills, tags;
    struct graph_scratch *walk;
    struct graph_hit *hits; /* as many as the graph has nodes */
    struct skill_score *scores;
    struct skill_related *related;
    bool *listed; /* by skill: is among the related; all false between questions */
};

/* Takes the terms of a text as the query's. */
void skill_scratch_cut(const struct skill_set *set, struct skill_scratch *s, const char *query);

#endif
