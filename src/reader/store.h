/* SPDX-License-Identifier: MIT */
/* How far the reading of an export has come, and what it writes. Each step is one unit: rows and place move
 * together, and only while the place is what the caller believes; so a step is taken once, whoever tries. A
 * node is the user's own by what it was made of (import_key): what an earlier export brought isn't brought
 * again, nor what its owner has edited since. */
#ifndef READER_STORE_H
#define READER_STORE_H

#include "base/buf.h"
#include "db/db.h"
#include "reader/edges.h"

enum read_phase { READ_READ, READ_NODES, READ_EDGES, READ_EMBED, READ_SUMMARY, READ_DONE, READ_PHASES };

/* "read", "nodes" … */
const char *read_phase_name(enum read_phase phase);

#define READ_BATCH 100 /* rows of a step */

struct read_place {
    const char *user_id, *job_id;
    enum read_phase phase;
    int64_t position;
};

/* Begins, or finds where it stopped: sets phase and position, and *ret_facts (the caller's, NULL where there
 * are none). 0; -ECANCELED where the export was withdrawn; or the store's error. */
int read_begin(struct db *db, struct read_place *place, char **ret_facts);

/* Goes on to a phase and position; facts (JSON text) may be NULL: as before. 0, -ECANCELED where the place
 * isn't the caller's any more, or the store's error. place changes with it. */
int read_advance(struct db *db, struct read_place *place, enum read_phase phase, int64_t position,
                 const char *facts);

/* The next READ_BATCH drafts from place->position as nodes, and the place behind them: as read_advance.
 * *ret_made: how many were new. */
int read_write_nodes(struct db *db, struct read_place *place, const struct corpus *c, int64_t *ret_made);

/* The same for edges. */
int read_write_edges(struct db *db, struct read_place *place, const struct corpus *c,
                     const struct corpus_edge *edges, size_t n, int64_t *ret_made);

/* The persona's summary, unless its owner wrote it, and the phase READ_DONE: as read_advance. */
int read_write_summary(struct db *db, struct read_place *place, const char *summary);

/* Every summary that is made here begins so; another one is its owner's. */
#define SUMMARY_MARK "From the uploaded export"

/* Inside a unit: nothing is being read any more by this job. 0 or the store's error. */
int read_end(struct db_conn *c, const char *user_id, const char *job_id);

#endif
