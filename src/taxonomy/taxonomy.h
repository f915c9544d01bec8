/* SPDX-License-Identifier: MIT */
/* The taxonomy of a server: the newest map (map.h), loaded when first asked for, and counters of the look-ups
 * in it. It is checked against the store at most every TAXONOMY_CHECK_MS while it is used, and at once after
 * taxonomy_forget; where the store has changed, one caller loads a new map while the others go on with the
 * old one, which is swapped whole. So nobody ever sees an empty or half-loaded taxonomy.
 *
 * Where libduckdb is there (duck.h), the graph is kept in taxonomy.duckdb in the data directory and read from
 * it; without it, or when the file can't be used, it is read from the store: the answers are the same.
 *
 * Thread-safe; workers only, since loading waits for the store. */
#ifndef TAXONOMY_TAXONOMY_H
#define TAXONOMY_TAXONOMY_H

#include "base/arena.h"
#include "base/config.h"
#include "db/db.h"

#define TAXONOMY_CHECK_MS 5000
#define TAXONOMY_LOAD_WAIT_MS 10000 /* for another thread's load */
#define TAXONOMY_TAGS_MOST 12       /* of a text */

struct taxonomy;

struct taxonomy_term {
    const char *name, *type;
    const char *dimension; /* or NULL */
    double score;          /* 0..1 */
};

struct taxonomy_terms {
    const struct taxonomy_term *items; /* best first */
    size_t n;
};

struct taxonomy_answer {
    struct taxonomy_terms tags, super_concepts, neighbours;
};

struct taxonomy_cache_stats {
    int64_t hits, misses; /* look-ups since the server began: together, all there were */
    int64_t size;         /* answers that are kept */
};

/* Loads nothing yet. 0 or -ENOMEM. */
int taxonomy_open(const struct config *cfg, struct db *db, struct taxonomy **ret);

/* Nobody may use it any more. NULL is fine. */
void taxonomy_close(struct taxonomy *t);

/* What a term leads to (map.h), copied into the arena; empty for an unknown one. 0, -EINVAL for what is no
 * term (names.h), -ETIMEDOUT, -ENOMEM or the store's error. */
int taxonomy_look_up(struct taxonomy *t, struct arena *a, const char *term, struct taxonomy_answer *ret);

/* The tags of a text, at most TAXONOMY_TAGS_MOST, and the super-concepts above them; `neighbours` are tags
 * near them that the text doesn't name. 0 (also with none found), -ENODATA where the taxonomy is empty, or as
 * above. */
int taxonomy_tag(struct taxonomy *t, struct arena *a, const char *text, struct taxonomy_answer *ret);

/* Drops the cache and loads the graph from the store anew; until that is done, readers have the old one.
 * Calls that come while one loads share the load that begins after them. *ret_cleared: kept answers that were
 * dropped. 0, -ETIMEDOUT, -ENOMEM or the store's error; then the old graph stays. */
int taxonomy_invalidate(struct taxonomy *t, size_t *ret_cleared);

/* Rows of the taxonomy may have changed: the next caller looks. Cheap. */
void taxonomy_forget(struct taxonomy *t);

/* Never waits, loads nothing; any thread. */
void taxonomy_cache_stats(struct taxonomy *t, struct taxonomy_cache_stats *ret);

/* Nodes of the loaded graph, and whether it came by way of DuckDB; for tests and the log. 0 before. */
size_t taxonomy_loaded(struct taxonomy *t, bool *ret_duckdb);

#endif
