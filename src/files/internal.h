/* SPDX-License-Identifier: MIT */
/* Private to src/files. */
#ifndef FILES_INTERNAL_H
#define FILES_INTERNAL_H

#include "base/clock.h"
#include "files/files.h"

#include <pthread.h>

#define FILES_FANOUT 256

struct files {
    struct db *db;
    char *root;
    int64_t most_bytes; /* of one user; 0: no limit */

    /* the sweeping */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool sweeping, ending; /* under the lock */
};

/* The path of a file's bytes: 0, -ENOENT where it is no id, -ENAMETOOLONG. */
int files_path(const struct files *files, const char *id, char *to, size_t size);

void files_end_sweeping(struct files *files);

#endif
