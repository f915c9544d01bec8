/* SPDX-License-Identifier: MIT */
/* Private to src/goose: one run, from its row to its end. It belongs to the thread that runs it and to
 * whoever holds a reference; `lock` guards what was printed. */
#ifndef GOOSE_RUN_H
#define GOOSE_RUN_H

#include "base/cancel.h"
#include "goose/goose.h"
#include "goose/output.h"
#include "goose/program.h"
#include "llm/join.h"

#include <pthread.h>
#include <stdatomic.h>

/* How long a run counts on its lease, measured from before it was renewed: less than that lasts. */
#define RUN_LEASE_OWN_MS (GOOSE_LEASE_MS * 5 / 6)

enum run_why { RUN_WHY_NONE, RUN_WHY_CANCELLED, RUN_WHY_STOPPED, RUN_WHY_LOST };

struct run {
    struct db *db;
    const char *server; /* the id of this process */
    char id[UUID_SIZE];
    struct arena texts; /* of the following */
    const char *instructions, *recipe;
    struct program program;
    const char *dir, *recipe_path;
    int64_t timeout_s;

    struct cancel cancel;
    atomic_int why;       /* enum run_why, of the first who cancelled */
    atomic_bool in_haste; /* the server stops: its end is noted at once or not at all */
    atomic_int refs;
    int64_t good_until_ms; /* monotonic; for who renews the lease */

    struct event_stream *stream; /* NULL: nobody wants one */
    struct joiner join[2];       /* by enum process_stream */
    pthread_mutex_t lock;
    struct output output;
    int64_t noted; /* bytes that the row knows of */

    struct run *next; /* of those that run here */
};

struct run *run_new(void);
struct run *run_ref(struct run *run);
void run_unref(struct run *run);
DEFINE_CLEANUP(struct run *, run_unref);

/* Gives it a stream that its owner (a user id) may read: 0 or -ENOMEM. */
int run_open_stream(struct run *run, struct event_hub *hub, const char *owner);

/* Ends it; the first reason counts. */
void run_cancel(struct run *run, enum run_why why);

/* Renews its lease and notes what was printed; cancels it where it isn't ours any more or is to end. */
void run_beat(struct run *run);

/* Runs the program and notes its end. On a thread of its own. */
void run_work(struct run *run);

#endif
