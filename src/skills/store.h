/* SPDX-License-Identifier: MIT */
/* Rows of agent_skills and skill_edges, as an import writes them. Within a unit. */
#ifndef SKILLS_STORE_H
#define SKILLS_STORE_H

#include "db/db.h"
#include "skills/skill_file.h"

struct skill_write {
    const struct skill_file *file;
    bool added, changed; /* neither: the row says the same already */
};

/* 0 or the store's error. */
int skill_store_upsert(struct db_conn *c, struct skill_write *w);

/* Makes the relations of kind "related" that start from this skill those of its file; other kinds stay. A
 * link whose name is no skill is marked as a stranger's. ret_n: relations that the skill has now. */
int skill_store_link(struct db_conn *c, struct skill_file *file, size_t *ret_n, bool *ret_changed);

#endif
