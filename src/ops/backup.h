/* SPDX-License-Identifier: MIT */
/* Backups of a data directory: one archive (tar in zstd) with the database, the stored files, the
 * exports that wait for their job, the generated secrets, and a manifest as its last member. Written while
 * servers run; put back by restore.h.
 *
 * A row and its file don't change at one moment. An upload stores the file and then the row, a removal
 * deletes the row and then the file; so every row of a moment has its file then. Files are taken once before
 * the database's moment and what has come since once more after it: what was there at that moment is in the
 * backup, unless it was both uploaded and removed while the backup ran. Files without a row may be in it too;
 * they do no harm. */
#ifndef OPS_BACKUP_H
#define OPS_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sentence on what failed, without the "genie: " before it. */
struct ops_error {
    char text[1024];
};

struct backup_options {
    const char *data_dir;
    const char *path;                                         /* of the archive; NULL = standard output */
    bool force;                                               /* an archive that is there may be replaced */
    bool files_only;                                          /* the database is elsewhere */
    void (*progress)(void *ctx, int64_t done, int64_t total); /* bytes; may be NULL */
    void *ctx;
};

struct backup_summary {
    size_t files;   /* stored files and exports in it */
    size_t skipped; /* what is below their folders and neither a regular file nor a directory */
    int64_t bytes;  /* of all members */
    int64_t size;   /* of the archive */
    int64_t schema; /* 0: no database in it */
    bool secrets;
};

/* 0, or negative errno with *ret_error; then no archive is left, and one that was there before is as it was.
 * The process must ignore SIGXFSZ. */
int backup_write(const struct backup_options *options, struct backup_summary *ret,
                 struct ops_error *ret_error);

#endif
