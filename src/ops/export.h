/* SPDX-License-Identifier: MIT */
/* Everything that is stored of one user, for that user: the rows of every owned collection and of
 * AnythingLLM's tables as JSON, and the stored files. Which columns are in it is what the access table says
 * can be seen at all, so no password, token, credential or vector is. */
#ifndef OPS_EXPORT_H
#define OPS_EXPORT_H

#include "db/db.h"
#include "files/files.h"
#include "ops/backup.h"

struct export_options {
    struct db *db;
    const char *email, *user_id;
    int64_t native_id;   /* the AnythingLLM user's; 0 = none */
    struct files *files; /* where their bytes are */
    const char
        *path;  /* of a tar.gz with export.json and the files; NULL = the JSON alone on standard output */
    bool force; /* a file that is there may be replaced */
};

struct export_summary {
    size_t rows, files;
    size_t absent; /* files that have a row, but whose bytes aren't here */
};

/* 0, or negative errno with *ret_error. A row is as it was when it was read: the export doesn't stop the
 * writers, and takes as long as it needs. */
int export_user(const struct export_options *options, struct export_summary *ret,
                struct ops_error *ret_error);

#endif
