/* SPDX-License-Identifier: MIT */
/* A unit finds the record, judges the call, does it, and notes it. Sealing and opening happen inside, for the
 * record's id is part of the seal; each takes microseconds. */
#include "vault/credentials.h"

#include "base/json.h"
#include "base/text.h"
#include "vault/audit.h"

#include <errno.h>
#include <string.h>

static const char *const outcomes[] = {
    [CREDENTIALS_OK] = "ok",
    [CREDENTIALS_NOT_FOUND] = "not_found",
    [CREDENTIALS_NONE_STORED] = "none_stored",
    [CREDENTIALS_DECRYPT_FAILED] = "decrypt_failed",
    [CREDENTIALS_FORBIDDEN] = "forbidden",
    [CREDENTIALS_READ_ONLY] = "read_only",
    [CREDENTIALS_CONFLICT] = "conflict",
    [CREDENTIALS_NO_KEY] = "no_key",
    [CREDENTIALS_FAILED] = "failed",
};

static const char *const actions[] = {
    [CREDENTIALS_STORE] = "store",
    [CREDENTIALS_REVEAL] = "reveal",
    [CREDENTIALS_CREATE] = "create",
    [CREDENTIALS_UPDATE] = "update",
};

/* One call, as its unit sees it; all but the first line is made anew by each run. */
struct work {
    const struct credentials_caller *who;
    enum credentials_action action;
    const struct credentials_input *in;
    struct buf *plain; /* where revealed text goes */

    char id[UUID_SIZE], owner[UUID_SIZE]; /* of the record; "" while unknown */
    char now[ISO_TIME_LEN];
    bool existed;
};

static void copy_id(char *to, const char *id)
{
    (void)snprintf(to, UUID_SIZE, "%s", id ? id : "");
    str_lower(to);
}

/* Notes the outcome and passes it on. */
static int conclude(struct db_conn *c, const struct work *w, int outcome)
{
    struct audit a = {.record_id = w->id[0] ? w->id : NULL,
                      .owner = w->owner[0] ? w->owner : NULL,
                      .actor = w->who->actor,
                      .action = actions[w->action],
                      .outcome = outcomes[outcome],
                      .ip = w->who->ip,
                      .request_id = w->who->request_id};
    int r = audit_write(c, &a);
    return r < 0 ? r : outcome;
}

/* Runs a query that finds at most one record: 1 with its row in *ret, 0 without, or the store's error. */
static int find_row(struct db_conn *c, const char *sql, const struct db_value *args, size_t n,
                    struct db_rows **ret)
{
    int r = db_query(c, sql, args, n, ret);
    return r < 0 ? r : db_next(*ret);
}

/* What keeps the caller from this record, or CREDENTIALS_OK. */
static enum credentials_outcome judge(const struct work *w)
{
    bool own = w->who->user_id && strcmp(w->owner, w->who->user_id) == 0;
    if (!w->owner[0] || !(own || w->who->any_record))
        return CREDENTIALS_NOT_FOUND;
    if (w->action == CREDENTIALS_REVEAL && !w->who->may_reveal)
        return CREDENTIALS_FORBIDDEN;
    return w->who->vault ? CREDENTIALS_OK : CREDENTIALS_NO_KEY;
}

/* ---- reveal */

/* -ENOMEM, or what became of it. */
static int open_sealed(const struct work *w, const char *sealed)
{
    if (!sealed || !sealed[0])
        return CREDENTIALS_NONE_STORED;
    int r = vault_unseal(w->who->vault, w->id, sealed, w->plain, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : CREDENTIALS_DECRYPT_FAILED;
    _cleanup_json_ json_t *value = json_parse(w->plain->data, w->plain->len);
    return value ? CREDENTIALS_OK : CREDENTIALS_DECRYPT_FAILED; /* whoever wrote it didn't seal JSON */
}

/* Finds the record and opens it; its outcome or the store's error. */
static int find_and_open(struct db_conn *c, struct work *w)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = find_row(c, "SELECT user_id, encrypted_credentials FROM platform_connections WHERE id = ?1",
                     DB_ARGS(DB_TEXT(w->id)), &rows);
    if (r < 0)
        return r;
    copy_id(w->owner, r > 0 ? db_text(rows, 0) : NULL);
    int outcome = judge(w);
    return outcome == CREDENTIALS_OK ? open_sealed(w, db_text(rows, 1)) : outcome;
}

static int reveal_unit(struct db_conn *c, void *arg)
{
    struct work *w = arg;
    buf_reset(w->plain); /* of a run that was undone */
    int outcome = find_and_open(c, w);
    return outcome < 0 ? outcome : conclude(c, w, outcome);
}

int credentials_reveal(const struct credentials_caller *who, const char *record_id, struct buf *to)
{
    struct work w = {.who = who, .action = CREDENTIALS_REVEAL, .plain = to};
    copy_id(w.id, record_id);
    int r = db_write(who->db, reveal_unit, &w);
    if (r != CREDENTIALS_OK)
        buf_reset(to);
    return r;
}

/* ---- writing */

/* Whether another record of the owner has the platform and the new username: 1, 0 or the store's error. */
static int name_taken(struct db_conn *c, const struct work *w, const char *platform)
{
    int64_t n = 0;
    int r = db_query_int(
        c,
        "SELECT count(*) FROM platform_connections WHERE user_id = ?1 AND platform = ?2 AND "
        "coalesce(platform_username, '') = ?3 AND id <> ?4",
        DB_ARGS(DB_TEXT(w->owner), DB_TEXT(platform), DB_TEXT(w->in->username), DB_TEXT(w->id)), &n);
    return r < 0 ? r : n > 0;
}

/* Finds the record that store and update name; its outcome or the store's error. */
static int find_named(struct db_conn *c, struct work *w)
{
    char platform[32];
    {
        _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
        int r = find_row(c, "SELECT user_id, platform FROM platform_connections WHERE id = ?1",
                         DB_ARGS(DB_TEXT(w->id)), &rows);
        if (r < 0)
            return r;
        copy_id(w->owner, r > 0 ? db_text(rows, 0) : NULL);
        (void)snprintf(platform, sizeof platform, "%s", r > 0 ? db_text(rows, 1) : "");
    }
    w->existed = true;
    int outcome = judge(w);
    if (outcome != CREDENTIALS_OK || !w->in->username)
        return outcome;
    int taken = name_taken(c, w, platform);
    return taken > 0 ? CREDENTIALS_CONFLICT : taken;
}

/* Finds the caller's record of that platform and username, or names the one that will be made. */
static int find_account(struct db_conn *c, struct work *w)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = find_row(c,
                     "SELECT id FROM platform_connections WHERE user_id = ?1 AND platform = ?2 AND "
                     "coalesce(platform_username, '') = ?3",
                     DB_ARGS(DB_TEXT(w->who->user_id), DB_TEXT(w->in->platform),
                             DB_TEXT(w->in->username ? w->in->username : "")),
                     &rows);
    if (r < 0)
        return r;
    w->existed = r > 0;
    copy_id(w->owner, w->who->user_id);
    copy_id(w->id, w->existed ? db_text(rows, 0) : NULL);
    int outcome = judge(w);
    if (outcome == CREDENTIALS_OK && !w->existed)
        uuid_make(w->id);
    return outcome;
}

static int insert_record(struct db_conn *c, const struct work *w, const char *sealed)
{
    return db_exec(c,
                   "INSERT INTO platform_connections (id, user_id, platform, platform_username, "
                   "encrypted_credentials, credentials_version, credentials_updated_at, date_created, "
                   "date_updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7)",
                   DB_ARGS(DB_TEXT(w->id), DB_TEXT(w->owner), DB_TEXT(w->in->platform),
                           DB_TEXT(w->in->username), DB_TEXT(sealed), DB_TEXT(vault_version(w->who->vault)),
                           DB_TEXT(w->now)),
                   NULL);
}

static int update_record(struct db_conn *c, const struct work *w, const char *sealed)
{
    return db_exec(c,
                   "UPDATE platform_connections SET encrypted_credentials = ?1, credentials_version = ?2, "
                   "credentials_updated_at = ?3, date_updated = ?3, "
                   "platform_username = coalesce(?4, platform_username) WHERE id = ?5",
                   DB_ARGS(DB_TEXT(sealed), DB_TEXT(vault_version(w->who->vault)), DB_TEXT(w->now),
                           DB_TEXT(w->in->username), DB_TEXT(w->id)),
                   NULL);
}

/* Seals for the record that is known by now, and writes. */
static int write_sealed(struct db_conn *c, const struct work *w)
{
    _cleanup_buf_ struct buf sealed = BUF_INIT(VAULT_SEALED_MAX);
    int r = vault_seal(w->who->vault, w->id, w->in->plain, w->in->len, &sealed);
    if (r < 0)
        return r == -ENOMEM ? r : CREDENTIALS_FAILED;
    r = w->existed ? update_record(c, w, sealed.data) : insert_record(c, w, sealed.data);
    return r < 0 ? r : CREDENTIALS_OK;
}

static int write_unit(struct db_conn *c, void *arg)
{
    struct work *w = arg;
    copy_id(w->id, w->in->record_id);
    w->owner[0] = '\0';
    clock_format_iso(clock_now_ms(), w->now);
    int outcome = w->action == CREDENTIALS_CREATE ? find_account(c, w) : find_named(c, w);
    if (outcome == CREDENTIALS_OK)
        outcome = write_sealed(c, w);
    return outcome < 0 ? outcome : conclude(c, w, outcome);
}

int credentials_write(const struct credentials_caller *who, enum credentials_action action,
                      const struct credentials_input *in, struct credentials_record *ret)
{
    struct work w = {.who = who, .action = action, .in = in};
    int r = db_write(who->db, write_unit, &w);
    if (r != CREDENTIALS_OK)
        return r;
    memcpy(ret->id, w.id, sizeof w.id);
    memcpy(ret->updated_at, w.now, sizeof w.now);
    ret->existed = w.existed;
    return CREDENTIALS_OK;
}

/* ---- refused */

struct refusal {
    struct work work;
    enum credentials_outcome why;
};

static int refused_unit(struct db_conn *c, void *arg)
{
    const struct refusal *f = arg;
    int r = conclude(c, &f->work, (int)f->why);
    return r < 0 ? r : 0;
}

int credentials_refused(const struct credentials_caller *who, enum credentials_action action,
                        enum credentials_outcome why)
{
    struct refusal f = {.work = {.who = who, .action = action}, .why = why};
    return db_write(who->db, refused_unit, &f);
}
