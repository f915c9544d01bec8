/* SPDX-License-Identifier: MIT */
/* The skill graph for other tools: Graphviz's language, or JSON. */
#ifndef SKILLS_DUMP_H
#define SKILLS_DUMP_H

#include "base/json.h"
#include "skills/set.h"

#include <stdio.h>

/* {nodes: [{id, kind, name}], edges: [{source, target, kind, weight}]}, ids from 0: a new reference or NULL.
 */
json_t *skills_graph_json(const struct skill_set *set);

/* An edge that is the same both ways is drawn once. 0, or -EIO where it can't be written. */
int skills_graph_dot(const struct skill_set *set, FILE *to);

#endif
