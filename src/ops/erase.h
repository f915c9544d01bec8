/* SPDX-License-Identifier: MIT */
/* Removes a user from both systems, in one unit: every row of the owned collections, AnythingLLM's user with
 * its threads and chats, and the workspaces that nobody else is a member of. Audits stay; they have no
 * foreign keys. Bytes go right after the unit; what a crash leaves of them the sweeps take. So do the jobs
 * that are in a Redis: what is left of them there ends with its time at the latest (docs/redis.md). */
#ifndef OPS_ERASE_H
#define OPS_ERASE_H

#include "db/db.h"
#include "files/files.h"
#include "ops/backup.h"
#include "queue/queue.h"

struct erase_options {
    struct db *db;
    bool postgres; /* the store is one, which others' tables may refer to */
    const char *user_id;
    int64_t native_id; /* the AnythingLLM user's; 0 = none */
    bool admin;        /* has admin rights: then another active admin must be left */
    const char *data_dir;
    struct files *files;
    struct queue *queue;                       /* NULL: the jobs' rows are all there is of them */
    void (*kept)(void *ctx, const char *name); /* hears of each file that isn't here; may be NULL */
    void *ctx;
};

struct erase_summary {
    int64_t rows; /* of collections */
    int64_t chats, threads, workspaces;
    int64_t files;    /* rows of stored files */
    size_t removed;   /* files whose bytes were here, and are gone */
    size_t exports;   /* the same of exports for the onboarding */
    size_t jobs_left; /* jobs of which Redis couldn't be told */
};

/* What would go; read only. */
int erase_count(const struct erase_options *options, struct erase_summary *ret);

/* 0, or nothing was done: -ENOENT there is no such user (any more), -EPERM it is the last active admin, -EDOM
 * something in the database holds on to the user, or the store's error; with *ret_error. */
int erase_user(const struct erase_options *options, struct erase_summary *ret, struct ops_error *ret_error);

#endif
