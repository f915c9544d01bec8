/* SPDX-License-Identifier: MIT */
/* The edges of the skill graph (skills/set.h says which there are) from skills, their tags, and the relations
 * that are stated. Pure. */
#ifndef SKILLS_EDGES_H
#define SKILLS_EDGES_H

#include "skills/set.h"

struct stated_edge {
    uint32_t from, to;
    float weight;
    uint8_t kind;
};

/* Builds set->graph of a set whose skills and concepts are there. 0 or -ENOMEM. stated gets sorted. */
int skill_edges_build(struct skill_set *set, struct stated_edge *stated, size_t n);

#endif
