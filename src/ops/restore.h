/* SPDX-License-Identifier: MIT */
/* Puts a backup in the place of a data directory. The archive is believed in nothing: it is read through once
 * and compared with its manifest before anything is written, read again into a new directory beside the
 * target, and that takes the target's name in one step. Until then the target is as it was; what is replaced
 * is kept. */
#ifndef OPS_RESTORE_H
#define OPS_RESTORE_H

#include "ops/backup.h"

struct restore_options {
    const char *path;     /* of the archive */
    const char *data_dir; /* the target; its parent must exist */
    bool force;           /* a target that isn't empty is replaced */
    int64_t max_size;     /* most bytes of all members; 0 = what the target's disk has free */
    void (*progress)(void *ctx, int64_t done, int64_t total); /* bytes of the archive, which is read twice */
    void *ctx;
};

struct restore_summary {
    size_t members;
    int64_t bytes;
    int64_t schema;
    char created[32];     /* when the backup was made */
    char program[32];     /* by which version */
    char kept[4096 + 64]; /* where the replaced directory is; "" if there was none */
};

/* 0, or negative errno with *ret_error and the target as it was: -EBUSY a process uses it, -EEXIST it isn't
 * empty, -ENOTSUP the backup's schema is newer than this program, -EBADMSG the archive is no backup, damaged
 * or hostile, -EFBIG it is too large, or the system's. The process must ignore SIGXFSZ. */
int restore_run(const struct restore_options *options, struct restore_summary *ret,
                struct ops_error *ret_error);

#endif
