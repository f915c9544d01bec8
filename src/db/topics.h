/* SPDX-License-Identifier: MIT */
/* What a write concerns, so that other servers drop no more of their caches than they must: the topics of the
 * tables it names, and whose rows they were. Private to src/db; pure. */
#ifndef DB_TOPICS_H
#define DB_TOPICS_H

#include "base/uuid.h"
#include "db/db.h"

#define TOPICS_ALL ((1U << DB_TOPICS) - 1)
#define TOPICS_BY_USER ((1U << DB_IDENTITIES) | (1U << DB_NODES)) /* cached by user */

/* The topics (bits 1 << topic) that a writing statement may have changed; all, where that can't be told. */
unsigned topics_of(const char *sql);

/* What one server tells the others after a commit. */
struct change {
    char node[UUID_SIZE]; /* who wrote */
    unsigned topics;
    char user_id[UUID_SIZE]; /* "" = several users, or nobody knows */
};

#define CHANGE_TEXT_SIZE (2 * UUID_SIZE + 16)

/* ret holds CHANGE_TEXT_SIZE; without quotes or letters that SQL would mind. */
void change_write(const struct change *change, char *ret);

/* Whatever isn't of this form (a trigger's, an older server's) is a change of everything by somebody else. */
void change_read(const char *text, struct change *ret);

#endif
