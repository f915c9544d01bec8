/* SPDX-License-Identifier: MIT */
/* Rows of goose_runs, and the rule that so many run at a time on all servers of a store. A run belongs to the
 * server that runs it as long as that renews its lease; one whose lease is over has failed. All times are the
 * store's. Blocking; any thread. */
#ifndef GOOSE_ROWS_H
#define GOOSE_ROWS_H

#include "base/arena.h"
#include "base/uuid.h"
#include "db/db.h"
#include "schedule/duty.h"

#define GOOSE_LEASE_MS INT64_C(30000)
#define GOOSE_RUNS_LISTED 20

/* Texts in an arena, NULL where there is none. */
struct goose_row {
    const char *id, *user_id, *instructions, *recipe, *status, *output, *error, *started_at, *finished_at,
        *cancelled_by;
    bool has_exit_code;
    int64_t exit_code, timeout_s, output_bytes;
};

struct goose_new {
    const char *id, *server, *user_id, *instructions, *recipe; /* recipe may be NULL */
    int64_t timeout_s, most;                                   /* runs at a time */
    /* Runs in the row's unit, behind it (may be NULL): what has to be there together with the run. */
    int (*also)(struct db_conn *c, const char *id, void *arg);
    void *arg;
};

/* Notes that a run begins: 0; 1 too many run already (nothing is noted); what `also` returned (nothing
 * either); or the store's error. */
int goose_row_begin(struct db *db, const struct goose_new *run);

struct goose_beat {
    const char *id, *server;
    const char *output; /* so far; NULL = as before */
    int64_t output_bytes;
    bool ours, cancelled; /* out */
};

/* Renews a run's lease: 0 or the store's error. */
int goose_row_beat(struct db *db, struct goose_beat *beat);

struct goose_end {
    const char *id, *server, *status, *output, *error; /* error may be NULL */
    bool has_exit_code;
    int64_t exit_code, output_bytes;
};

/* Notes how it ended: 0; 1 it wasn't ours any more; or the store's error. */
int goose_row_end(struct db *db, const struct goose_end *end);

/* Wants a run ended: 0; 1 it doesn't run; -ENOENT no such run; or the store's error. */
int goose_row_cancel(struct db *db, const char *id, const char *user_id);

/* One run with its output: 0, -ENOENT, -ENOMEM, or the store's error. */
int goose_row_read(struct db *db, const char *id, struct arena *a, struct goose_row *ret);

/* The same in a unit of the caller's. */
int goose_row_read_in(struct db_conn *c, const char *id, struct arena *a, struct goose_row *ret);

/* The latest runs without what was printed, newest first (rows: GOOSE_RUNS_LISTED). */
int goose_row_list(struct db *db, struct arena *a, struct goose_row *rows, size_t *ret_n);

/* A duty's step (duty_step_fn): runs whose server has died are marked failed. */
int goose_expire(struct db_conn *c, const struct duty_run *run);

#endif
