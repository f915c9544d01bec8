/* SPDX-License-Identifier: MIT */
/* The skills of the installation, in memory: read from the store when first asked for, and again when its
 * rows have changed. Who asks after a write that was acknowledged gets what was written; meanwhile others
 * read on in what they have. Thread-safe; waits for the store, so workers only. */
#ifndef SKILLS_SKILLS_H
#define SKILLS_SKILLS_H

#include "base/json.h"
#include "db/db.h"
#include "skills/ask.h"

struct skills;

/* 0 or -ENOMEM; reads nothing yet. */
int skills_open(struct db *db, struct skills **ret);

/* Nobody may use it any more. */
void skills_close(struct skills *s);

/* This process has written rows of agent_skills or skill_edges. */
void skills_forget(struct skills *s);

/* The present set, to be given up with skill_set_unref. 0, -ENOMEM, or the store's error. */
int skills_take(struct skills *s, struct skill_set **ret);

/* Reads the store into a set, for who needs one once. */
int skills_load(struct db *db, struct skill_set **ret);

#endif
