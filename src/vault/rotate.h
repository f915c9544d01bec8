/* SPDX-License-Identifier: MIT */
/* Moves everything that is sealed to the current key and format, while servers run. A row is replaced only if
 * it still holds what was opened, so nothing that others write meanwhile is lost; each row changes in one
 * statement, so it can be read at every moment; a run that ends anywhere is continued by the next, since rows
 * that are current are left alone. */
#ifndef VAULT_ROTATE_H
#define VAULT_ROTATE_H

#include "db/db.h"
#include "vault/vault.h"

#include <stdint.h>

struct rotation {
    int64_t rows;    /* that hold something sealed, at the last pass */
    int64_t rotated; /* by this run */
    int64_t current; /* needed nothing, at the last pass */
    int64_t failed;  /* can't be opened; left as they are */
    int64_t behind;  /* others wrote them under another key up to the last pass */
};

/* Called after each batch of a pass with the rows looked at so far, of so many. */
typedef void (*rotate_step_fn)(void *ctx, int64_t done, int64_t of);

/* 0 or the store's negative errno (what was done until then stays). */
int vault_rotate(const struct vault *v, struct db *db, rotate_step_fn step, void *ctx, struct rotation *ret);

/* What is told of one sealed text. */
struct sealed_status {
    const char *table;
    const char *record_id;
    bool readable; /* else the label says nothing */
    struct vault_label label;
};

/* Opens everything that is sealed, without keeping it, and tells of each. 0 or the store's negative errno. */
int vault_inspect(const struct vault *v, struct db *db,
                  void (*tell)(void *ctx, const struct sealed_status *s), void *ctx);

#endif
