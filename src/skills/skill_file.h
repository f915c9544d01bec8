/* SPDX-License-Identifier: MIT */
/* A skill as a Markdown file: YAML front matter between two lines of three dashes, then the instructions. A
 * byte-order mark and CRLF are fine. What can't be taken is said with the line it stands in. */
#ifndef SKILLS_SKILL_FILE_H
#define SKILLS_SKILL_FILE_H

#include "skills/front_matter.h"

#include <stdint.h>

/* Bytes, and numbers of things. */
#define SKILL_FILE_MAX (2 * 1024 * 1024)
#define SKILL_NAME_MAX 128
#define SKILL_CATEGORY_MAX 64
#define SKILL_DESCRIPTION_MAX 8192
#define SKILL_CONTENT_MAX (64 * 1024)
#define SKILL_TAG_MAX 64
#define SKILL_TAGS_MAX 32
#define SKILL_LINKS_MAX 64
#define SKILL_NOTES_MAX 8
#define SKILL_LINK_WEIGHT 0.5 /* of a relation that states none */

/* A stated relation to the skill of this name. */
struct skill_link {
    const char *name;
    double weight;
    int line;
    bool stranger; /* the store has no such skill (skills/store.h) */
};

struct skill_file {
    const char *name, *description;
    const char *category; /* NULL: the file names none */
    const char *content;
    int name_line;
    const char *tags[SKILL_TAGS_MAX];
    size_t n_tags;
    struct skill_link links[SKILL_LINKS_MAX];
    size_t n_links;
    struct front_fault notes[SKILL_NOTES_MAX + 1]; /* what was left out of a file that is taken */
    size_t n_notes, more_notes;                    /* those beyond the most are told by their number */
};

/* Everything in the arena. 0; -EBADMSG with *fault when the file is no skill; -ENOMEM. Pure. */
int skill_file_read(struct arena *a, const char *text, size_t len, struct skill_file *ret,
                    struct front_fault *fault);

/* Adds a note; of those beyond SKILL_NOTES_MAX the last one tells how many they are. */
void skill_file_note(struct skill_file *s, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
