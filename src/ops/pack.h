/* SPDX-License-Identifier: MIT */
/* An archive that appears whole or not at all: written beside its place as `<path>.tmp`, made durable, then
 * renamed. Private to src/ops; one thread. */
#ifndef OPS_PACK_H
#define OPS_PACK_H

#include "ops/backup.h"

#include <stddef.h>
#include <stdint.h>

#define PACK_PATH_SIZE 4096

struct archive;

enum pack_compression { PACK_ZSTD, PACK_GZIP };

struct pack {
    const char *path; /* NULL = standard output */
    bool force;       /* a file that is there may be replaced */
    enum pack_compression compression;
    struct ops_error *error;
    void (*read)(void *ctx, int64_t bytes); /* hears of bytes read; may be NULL */
    void *ctx;

    struct archive *archive;
    int out;
    bool given_up;
    char *chunk;
    char tmp[PACK_PATH_SIZE]; /* "" when there is none */
};

/* Begins one whose first members are set; the rest is zero. 0, -EEXIST, or negative errno with the sentence.
 */
int pack_open(struct pack *p);

/* Adds a file as long as `size` says; ret_sha (SHA256_HEX + 1 bytes) may be NULL. */
int pack_file(struct pack *p, const char *name, int fd, int64_t size, char *ret_sha);

int pack_data(struct pack *p, const char *name, const char *data, size_t len);

/* Ends the archive and puts it in place; ret_size: its bytes. */
int pack_publish(struct pack *p, int64_t *ret_size);

/* Frees everything; what was not published is removed. */
void pack_done(struct pack *p);

#endif
