/* SPDX-License-Identifier: MIT */
/* The files of users: their bytes under <data dir>/files, and a row of directus_files for each. The bytes lie
 * at files/<first two digits>/<id>: no name of a client's is ever part of a path. They never change; another
 * content is another file.
 *
 * The order of things makes sure that no row is without its bytes: these are on the disk, with their
 * directory entry, before the row's unit commits; at a deletion the row goes first. What a crash leaves are
 * bytes without a row, which the sweep removes once they are FILES_ORPHAN_AGE_S old.
 *
 * One store of bytes belongs to one database. Several servers on one database share the directory.
 * Thread-safe; blocking: workers only. */
#ifndef FILES_FILES_H
#define FILES_FILES_H

#include "base/config.h"
#include "base/uuid.h"
#include "db/db.h"

#define FILES_ORPHAN_AGE_S 3600

struct files;

/* Makes the directories that are missing. Does not sweep (files_begin_sweeping). 0, or negative errno with a
 * log line. */
int files_open(const struct config *cfg, struct db *db, struct files **ret);

/* From now on a thread sweeps, at once and then every hour. 0 or negative errno. */
int files_begin_sweeping(struct files *files);

/* Ends the sweeping and frees. NULL is fine. */
void files_close(struct files *files);
void files_closeP(struct files **files);

/* What is in a file, by its bytes. */
struct file_kind {
    const char *type;      /* media type; static */
    int64_t bytes;         /* of the whole file */
    int64_t width, height; /* of a picture whose header tells; else 0 */
};

/* Looks into an open file (from its beginning, whatever its offset): 0 or negative errno. */
int file_look(int fd, struct file_kind *ret);

struct file_new {
    const char *owner;               /* user id; becomes uploaded_by */
    const char *name;                /* what it is called when downloaded: UTF-8, 1 to 255 bytes */
    const char *title, *description; /* or NULL */
    const char *tags;                /* a JSON array, or NULL */
    int fd;                          /* its bytes; stays the caller's */
    struct file_kind kind;           /* of file_look */
    /* Runs in the row's unit, behind it (may be NULL): what has to be there together with the file. */
    int (*also)(struct db_conn *c, const char *id, void *arg);
    void *arg;
};

/* Stores bytes and row; when it returns 0, both are durable, and *ret_id (of UUID_SIZE) is the file's id.
 * Else neither is there: -EDQUOT (the owner would have more than MAX_STORAGE_MB_PER_USER), -ENOENT (no such
 * owner), -ENOSPC, what `also` returned, or another negative errno. Counting and storing are one step,
 * however many come at a time. */
int file_put(struct files *files, const struct file_new *in, char *ret_id);

/* The same in two steps, for a row that must come with others in a unit of the caller's.
 *
 * First its bytes, durably, under a new id (*ret_id, of UUID_SIZE): 0 or negative errno, as file_put. If no
 * row follows they are removed by file_forget, or by the sweep. fd stays the caller's. */
int file_stage(struct files *files, int fd, char *ret_id);

/* Whether a file of so many bytes has room among the owner's now, for who wants to know before he stages it:
 * 0, -EDQUOT, or the store's error. */
int file_room(struct files *files, const char *owner, int64_t bytes);

/* Then its row (in->fd is not used), inside a unit: 0, -EDQUOT, -ENOENT, or the store's error. */
int file_add_in(struct files *files, struct db_conn *c, const char *id, const struct file_new *in);

struct file_info {
    char id[UUID_SIZE];
    const char *name, *type; /* in the arena */
    const char *uploaded_on; /* ISO 8601 */
    int64_t bytes;
};

/* Opens a user's file for reading: a descriptor, -ENOENT (no such file, or not the owner's), or another
 * negative errno. owner NULL: anybody's. ret and a go together and may be NULL. */
int file_open(struct files *files, const char *owner, const char *id, struct arena *a, struct file_info *ret);

/* The bytes alone: a descriptor, or negative errno; -ENOENT also for what is no id. */
int file_open_bytes(struct files *files, const char *id);

/* Removes the bytes of a file whose row is gone: whether they were there. What can't be removed now is left
 * to the sweep. */
bool file_forget(struct files *files, const char *id);

struct files_swept {
    int64_t seen, removed;
};

/* Removes bytes that are older than FILES_ORPHAN_AGE_S and have no row. Where no row at all is found, though
 * there are files, nothing is removed: that is another database. 0, or negative errno with *ret as far as it
 * came. now_ms: as clock_now_ms. */
int files_sweep(struct files *files, int64_t now_ms, struct files_swept *ret);

#endif
