/* SPDX-License-Identifier: MIT */
/* The fields of one object or row of an export, whatever a platform calls them, gathered into a record: what
 * it says ("text", "caption", "full_text" …), its title, who wrote it, when, in which thread, its tags; other
 * values become details below the text. */
#ifndef READER_FIELDS_H
#define READER_FIELDS_H

#include "base/buf.h"
#include "reader/corpus.h"
#include "reader/record.h"

#define FIELD_TEXT_MAX ((size_t)64 * 1024) /* bytes of a value; the rest is left out */

enum field_role {
    FIELD_DETAIL,
    FIELD_TEXT,
    FIELD_TITLE,
    FIELD_AUTHOR,
    FIELD_THREAD,
    FIELD_DATE,
    FIELD_TAGS,
    FIELD_IGNORED
};

/* What a key or column of that name holds. Pure. */
enum field_role field_role_of(const char *key, size_t len);

struct fields {
    struct buf text, details;
    char title[256], author[128], thread[128], date[64];
    char tags[TAGS_MAX][TAG_MAX + 1];
    size_t n_tags, n_details;
};

void fields_init(struct fields *f);
void fields_free(struct fields *f);

/* Forgets what was gathered, keeps the memory. */
void fields_reset(struct fields *f);

/* Adds a value (well-formed UTF-8) in a role; key names a detail. Too long ones are cut. Nothing fails but
 * memory, which fields_emit tells. */
void fields_add(struct fields *f, enum field_role role, const char *key, const char *value, size_t len);

/* What an object within another says for it: who wrote it, its text, a tag, details. */
void fields_merge(struct fields *into, enum field_role role, const struct fields *from);

/* Whether it says anything that a node could be made of. */
bool fields_have_substance(const struct fields *f);

/* Adds it to the corpus, where it has substance: as corpus_add. */
int fields_emit(struct fields *f, struct corpus *c, const struct source *source, enum node_kind kind,
                const char *thread);

#endif
