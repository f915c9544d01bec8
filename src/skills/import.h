/* SPDX-License-Identifier: MIT */
/* Brings skill files into the store: each by its name, new or in the place of the one that has it, all of
 * them in one unit. What is taken, what is left and why is reported by file and line. Nothing is deleted. */
#ifndef SKILLS_IMPORT_H
#define SKILLS_IMPORT_H

#include "base/json.h"
#include "db/db.h"
#include "skills/skill_file.h"

#include <stdio.h>

#define SKILLS_OWN_CATEGORY "11-genie-user-skills" /* of a file that names none and lies in no category */

enum skill_outcome { SKILL_ADDED, SKILL_CHANGED, SKILL_UNCHANGED, SKILL_SKIPPED, SKILL_OUTCOMES };

struct import_item {
    const char *path; /* printable: a question mark stands for each byte that isn't */
    enum skill_outcome outcome;
    struct skill_file skill;  /* unless skipped before it was read */
    struct front_fault fault; /* of a skipped one: line 0 where none is to blame */
};

struct skills_import {
    struct arena arena; /* of all that follows */
    struct import_item *items;
    size_t n, counts[SKILL_OUTCOMES];
    size_t relations; /* that are in the store now, of the files taken */
};

/* A text that stands for a file. */
struct skill_text {
    const char *path, *text;
    size_t len;
};

/* Told now and then how far it is; both numbers are files. May be NULL. */
typedef void (*skills_progress_fn)(void *ctx, int64_t done, int64_t total);

/* ret is to be given to skills_import_free in any case. 0; an error of the folder (folder.h); or the store's,
 * and then nothing was written. */
int skills_import_folder(struct db *db, const char *dir, skills_progress_fn progress, void *ctx,
                         struct skills_import *ret);

/* The same with the skills that come with the program (skills/ of its source). */
int skills_import_shipped(struct db *db, struct skills_import *ret);

int skills_import_texts(struct db *db, const struct skill_text *texts, size_t n, struct skills_import *ret);

void skills_import_free(struct skills_import *i);

/* {taken: [{file, name, outcome}], skipped: [{file, line, reason}], notes: […], counts…}: a new reference. */
json_t *skills_import_json(const struct skills_import *i);
void skills_import_print(const struct skills_import *i, FILE *to);

#endif
