/* SPDX-License-Identifier: MIT */
/* Reading a backup's archive; private to src/ops. */
#ifndef OPS_UNPACK_H
#define OPS_UNPACK_H

#include "ops/backup.h"
#include "ops/manifest.h"

struct unpack {
    int fd; /* of the archive, which can be read from its beginning again */
    int64_t size;
    int64_t max_bytes; /* of all members */
    struct ops_error *error;
    void (*progress)(void *ctx, int64_t done, int64_t total);
    void *ctx;
};

/* Reads the whole archive and compares it with its manifest, member by member; writes nothing. 0, -EBADMSG,
 * -EFBIG or another negative errno with the sentence. The caller frees the manifest. */
int unpack_verify(struct unpack *u, struct manifest *ret);

/* Writes the members into a directory, which must be empty, as files of `uid` and `gid` that are the owner's
 * alone; -EBADMSG if the archive isn't what was verified any more. */
int unpack_into(struct unpack *u, const struct manifest *manifest, int dir_fd, unsigned uid, unsigned gid);

#endif
