/* SPDX-License-Identifier: MIT */
/* Stored files that go together with their rows. A row and a file can't go at one moment, so the names are
 * written down first (`<data dir>/removals/<uuid>`, durable), then the rows go, then the files. What a crash
 * left is finished by the next one who calls removals_finish: a file goes only when no row names it any more,
 * so a list whose rows stayed does no harm. */
#ifndef OPS_REMOVALS_H
#define OPS_REMOVALS_H

#include "base/uuid.h"
#include "db/db.h"

#include <stddef.h>

struct removal {
    int fd; /* of the list, locked while its rows may still go */
    char path[4096];
};

/* Writes a list of names below files/ (a line each, as filename_disk holds them). 0 or negative errno. */
int removal_begin(const char *data_dir, const char *names, size_t len, struct removal *ret);

/* Lets go of the list, so that removals_finish may take it. */
void removal_end(struct removal *r);

/* Removes the files of every list that nobody holds, and the lists. ret_removed (may be NULL): files that
 * were there. 0 or the first negative errno; then what is left stays for the next time. */
int removals_finish(struct db *db, const char *data_dir, size_t *ret_removed);

#endif
