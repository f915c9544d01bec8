/* SPDX-License-Identifier: MIT */
/* Rows are read in batches by their ids, sealed anew outside of any unit, and written with their audits in
 * one unit a batch. A row that changed in between is looked at again in another pass. */
#include "vault/rotate.h"

#include "base/arena.h"
#include "base/uuid.h"
#include "vault/audit.h"

#include <errno.h>
#include <string.h>

#define BATCH_ROWS 100
#define BATCH_BYTES ((size_t)1024 * 1024) /* after which a batch is full */
#define BATCH_ARENA (4 * (BATCH_BYTES + VAULT_SEALED_MAX))
#define PASSES_MAX 5
#define FIRST_ID "00000000-0000-0000-0000-000000000000"
#define ACTOR "command line"

/* The places where something sealed is kept. A text that is empty holds nothing; one longer than any that is
 * sealed is read cut, and so can't be opened. */
static const struct place {
    const char *table, *count, *read, *replace;
    bool versioned; /* a column says in which format it is */
} places[] = {
    {"platform_connections", "SELECT count(*) FROM platform_connections WHERE encrypted_credentials <> ''",
     "SELECT id, user_id, substr(encrypted_credentials, 1, CAST(?3 AS INTEGER)) FROM platform_connections "
     "WHERE id > ?1 AND encrypted_credentials <> '' ORDER BY id LIMIT ?2",
     "UPDATE platform_connections SET encrypted_credentials = ?1, credentials_version = ?2 WHERE id = ?3 AND "
     "encrypted_credentials = ?4",
     true},
    {"platform_sessions", "SELECT count(*) FROM platform_sessions WHERE encrypted_cookies <> ''",
     "SELECT id, user_id, substr(encrypted_cookies, 1, CAST(?3 AS INTEGER)) FROM platform_sessions "
     "WHERE id > ?1 AND encrypted_cookies <> '' ORDER BY id LIMIT ?2",
     "UPDATE platform_sessions SET encrypted_cookies = ?1 WHERE id = ?2 AND encrypted_cookies = ?3", false},
};

struct row {
    const char *id, *owner, *sealed;
    char *anew; /* NULL: current as it is, or failed */
    bool failed;
};

struct batch {
    const struct place *place;
    const struct vault *vault;
    char after[UUID_SIZE];
    struct arena texts;
    struct row rows[BATCH_ROWS];
    size_t n;
    int64_t replaced, behind; /* by the unit that wrote it */
};

/* ---- reading */

static int take_row(struct batch *b, struct db_rows *rows)
{
    struct row *row = &b->rows[b->n];
    *row = (struct row){.id = db_text_dup(rows, 0, &b->texts),
                        .owner = db_text_dup(rows, 1, &b->texts),
                        .sealed = db_text_dup(rows, 2, &b->texts)};
    if (!row->id || !row->owner || !row->sealed)
        return -ENOMEM;
    b->n++;
    return 0;
}

static bool has_room(const struct batch *b)
{
    return b->n < BATCH_ROWS && b->texts.total < BATCH_BYTES;
}

static int read_unit(struct db_conn *c, void *arg)
{
    struct batch *b = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, b->place->read,
                     DB_ARGS(DB_TEXT(b->after), DB_INT(BATCH_ROWS), DB_INT(VAULT_SEALED_MAX + 1)), &rows);
    while (r >= 0 && has_room(b) && (r = db_next(rows)) > 0)
        r = take_row(b, rows);
    return r < 0 ? r : 0;
}

/* The rows behind the last batch; 1, 0 at the end, or the store's error. */
static int next_batch(struct batch *b, struct db *db)
{
    if (b->n > 0)
        (void)snprintf(b->after, sizeof b->after, "%s", b->rows[b->n - 1].id);
    arena_free(&b->texts);
    b->n = 0;
    int r = db_read(db, read_unit, b);
    return r < 0 ? r : b->n > 0;
}

static void batch_begin(struct batch *b, const struct vault *v, const struct place *place)
{
    *b = (struct batch){.place = place, .vault = v, .after = FIRST_ID};
    arena_init(&b->texts, BATCH_ARENA);
}

/* ---- rotation */

/* Seals a row anew where it isn't current: 0 or -ENOMEM. */
static int renew_row(struct batch *b, struct row *row)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX), sealed = BUF_INIT(VAULT_SEALED_MAX);
    struct vault_label label;
    int r = vault_unseal(b->vault, row->id, row->sealed, &plain, &label);
    if (r == -ENOMEM)
        return r;
    row->failed = r < 0;
    if (row->failed || label.current)
        return 0;
    r = vault_seal(b->vault, row->id, plain.data, plain.len, &sealed);
    row->failed = r < 0 && r != -ENOMEM;
    if (r == 0)
        row->anew = arena_strndup(&b->texts, sealed.data, sealed.len);
    return row->anew || row->failed ? 0 : -ENOMEM;
}

static int audit_row(struct db_conn *c, const struct row *row)
{
    return audit_write(c, &(struct audit){.record_id = row->id,
                                          .owner = row->owner,
                                          .actor = ACTOR,
                                          .action = "rotate",
                                          .outcome = row->failed ? "decrypt_failed" : "ok"});
}

static int replace_row(struct db_conn *c, const struct batch *b, const struct row *row, int64_t *ret_changed)
{
    if (b->place->versioned)
        return db_exec(c, b->place->replace,
                       DB_ARGS(DB_TEXT(row->anew), DB_TEXT(vault_version(b->vault)), DB_TEXT(row->id),
                               DB_TEXT(row->sealed)),
                       ret_changed);
    return db_exec(c, b->place->replace, DB_ARGS(DB_TEXT(row->anew), DB_TEXT(row->id), DB_TEXT(row->sealed)),
                   ret_changed);
}

static int write_row(struct db_conn *c, struct batch *b, const struct row *row)
{
    int64_t changed = 0;
    if (row->failed)
        return audit_row(c, row);
    if (!row->anew)
        return 0;
    int r = replace_row(c, b, row, &changed);
    if (r < 0 || changed == 0) {
        b->behind += r == 0;
        return r;
    }
    b->replaced++;
    return audit_row(c, row);
}

static int write_unit(struct db_conn *c, void *arg)
{
    struct batch *b = arg;
    int r = 0;
    b->replaced = b->behind = 0;
    for (size_t i = 0; i < b->n && r >= 0; i++)
        r = write_row(c, b, &b->rows[i]);
    return r;
}

static int renew_batch(struct batch *b, struct db *db, struct rotation *sum)
{
    bool to_write = false;
    for (size_t i = 0; i < b->n; i++) {
        struct row *row = &b->rows[i];
        int r = renew_row(b, row);
        if (r < 0)
            return r;
        to_write = to_write || row->anew || row->failed;
        sum->failed += row->failed;
        sum->current += !row->anew && !row->failed;
    }
    int r = to_write ? db_write(db, write_unit, b) : 0;
    if (r < 0 || !to_write)
        return r;
    sum->rotated += b->replaced;
    sum->behind += b->behind;
    return 0;
}

struct pass {
    const struct vault *vault;
    struct db *db;
    rotate_step_fn step;
    void *ctx;
    struct rotation *sum;
    int64_t done;
};

static int pass_place(struct pass *p, const struct place *place)
{
    struct batch *b = malloc(sizeof *b);
    if (!b)
        return -ENOMEM;
    batch_begin(b, p->vault, place);
    int r;
    while ((r = next_batch(b, p->db)) > 0 && (r = renew_batch(b, p->db, p->sum)) == 0) {
        p->done += (int64_t)b->n;
        if (p->step)
            p->step(p->ctx, p->done, p->sum->rows > p->done ? p->sum->rows : p->done);
    }
    arena_free(&b->texts);
    free(b);
    return r;
}

static int count_unit(struct db_conn *c, void *arg)
{
    int64_t *sum = arg;
    *sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        int64_t n = 0;
        int r = db_query_int(c, places[i].count, DB_NO_ARGS, &n);
        if (r < 0)
            return r;
        *sum += n;
    }
    return 0;
}

static int run_pass(struct pass *p)
{
    struct rotation *sum = p->sum;
    sum->current = sum->failed = sum->behind = p->done = 0;
    int r = db_read(p->db, count_unit, &sum->rows);
    for (size_t i = 0; i < ARRAY_LEN(places) && r == 0; i++)
        r = pass_place(p, &places[i]);
    return r;
}

int vault_rotate(const struct vault *v, struct db *db, rotate_step_fn step, void *ctx, struct rotation *ret)
{
    *ret = (struct rotation){0};
    struct pass p = {.vault = v, .db = db, .step = step, .ctx = ctx, .sum = ret};
    int r = run_pass(&p);
    for (int i = 1; i < PASSES_MAX && r == 0 && ret->behind > 0; i++)
        r = run_pass(&p);
    return r;
}

/* ---- inspection */

static int inspect_row(const struct batch *b, const struct row *row,
                       void (*tell)(void *ctx, const struct sealed_status *s), void *ctx)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
    struct sealed_status s = {.table = b->place->table, .record_id = row->id};
    int r = vault_unseal(b->vault, row->id, row->sealed, &plain, &s.label);
    if (r == -ENOMEM)
        return r;
    s.readable = r == 0;
    tell(ctx, &s);
    return 0;
}

static int inspect_place(struct batch *b, struct db *db,
                         void (*tell)(void *ctx, const struct sealed_status *s), void *ctx)
{
    int r;
    while ((r = next_batch(b, db)) > 0)
        for (size_t i = 0; i < b->n; i++)
            if (inspect_row(b, &b->rows[i], tell, ctx) < 0)
                return -ENOMEM;
    return r;
}

int vault_inspect(const struct vault *v, struct db *db,
                  void (*tell)(void *ctx, const struct sealed_status *s), void *ctx)
{
    struct batch *b = malloc(sizeof *b);
    int r = b ? 0 : -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(places) && r == 0; i++) {
        batch_begin(b, v, &places[i]);
        r = inspect_place(b, db, tell, ctx);
        arena_free(&b->texts);
    }
    free(b);
    return r;
}
