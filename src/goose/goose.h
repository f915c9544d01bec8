/* SPDX-License-Identifier: MIT */
/* Runs the Goose CLI for administrators: at most GOOSE_MAX_RUNS at a time on all servers of a store, each in
 * a directory and process group of its own, with a time limit. What it prints is kept with the run's row
 * (goose/rows.h), and goes to an event stream where one is wanted. A run doesn't end with its reader, but
 * with its server: it is killed when that stops, and marked failed when that dies. Thread-safe; functions
 * block, so workers only. */
#ifndef GOOSE_GOOSE_H
#define GOOSE_GOOSE_H

#include "base/config.h"
#include "base/uuid.h"
#include "db/db.h"
#include "goose/rows.h"
#include "http/events.h"

#define GOOSE_STREAM "goose" /* the kind of a run's stream */
#define GOOSE_VERSION_SIZE 128
#define GOOSE_INSTRUCTIONS_MAX ((size_t)64 * 1024) /* bytes */

struct goose;

/* What it gets must outlive it. 0; -EINVAL for a bad GOOSE_ENV; or another negative errno, with a log line.
 */
int goose_open(const struct config *cfg, struct db *db, struct event_hub *events, struct goose **ret);

/* Begins no more runs, ends those that run here, and waits for that. goose_run may still be called: one that
 * has begun before is carried through, so that what is noted of a run is never undone. */
void goose_quiesce(struct goose *g);
void goose_close(struct goose *g);

enum goose_outcome {
    GOOSE_OK,
    GOOSE_UNAVAILABLE, /* there is no such program */
    GOOSE_BUSY,        /* too many run already */
    GOOSE_NO_RECIPE,
    GOOSE_BAD_RECIPE,
    GOOSE_NOT_RUNNING,
    GOOSE_NO_RUN,
    GOOSE_FAILED,   /* the program ended with an error, or said what isn't understood */
    GOOSE_STOPPING, /* the server is about to end */
};

struct goose_ask {
    const char *user_id, *instructions;
    const char *recipe; /* the name of one, or NULL */
    int64_t timeout_s;
    bool stream; /* an event stream is wanted */
    /* Runs in the unit that notes the run (may be NULL): what has to be there together with it. */
    int (*also)(struct db_conn *c, const char *run_id, void *arg);
    void *arg;
};

/* Begins a run: an outcome, the store's error or what `also` returned. ret_id: UUID_SIZE bytes. *ret_stream:
 * a reference, or NULL where none is wanted. */
int goose_run(struct goose *g, const struct goose_ask *ask, char *ret_id, struct event_stream **ret_stream);

/* Has a run ended, on whichever server: an outcome, or the store's error. */
int goose_cancel(struct goose *g, const char *run_id, const char *user_id);

/* Whether the program is there, and what it calls itself (ret: GOOSE_VERSION_SIZE bytes; "" where it doesn't
 * say). */
bool goose_version(struct goose *g, char *ret);

/* The sessions that Goose keeps, as its own JSON; a new reference. An outcome or negative errno. */
int goose_sessions(struct goose *g, json_t **ret);

#endif
