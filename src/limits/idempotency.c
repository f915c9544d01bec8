/* SPDX-License-Identifier: MIT */
/* A key is a row: `running` while somebody works for it, whose claim is a random id, then `done` with the
 * answer. A handler's own unit makes it `done` as well, but the claim stays for a moment: until the handler
 * has replied, repeats are told to wait, so that all hear the same answer. A row that has expired is as good
 * as none. The digest of a request is kept under a key of the
 * server's own, since the body may hold a password, which a bare hash of few unknowns would give away. */
#include "limits/idempotency.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "limits/internal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define MAC_SIZE 32
#define MAC_TEXT_SIZE (2 * MAC_SIZE + 1)
#define SECRETS_MOST 8
/* From the unit that makes the effect to the reply. */
#define REPLY_S 60
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct idempotency_claim {
    const char *scope, *route, *key;
    char id[UUID_SIZE];
};

/* The digest as stored under each of the server's secrets, the newest first: the number of them, or -errno.
 */
static int sign(const struct config *cfg, const uint8_t *digest, char (*ret)[MAC_TEXT_SIZE])
{
    const char *list = cfg->directus_secret, *secret;
    size_t len, n = 0;
    while (n < SECRETS_MOST && list_next(&list, &secret, &len)) {
        uint8_t mac[MAC_SIZE];
        if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, len, digest, IDEMPOTENCY_DIGEST_SIZE, mac,
                       sizeof mac, NULL))
            return -ENOMEM;
        hex_encode(mac, sizeof mac, ret[n++]);
    }
    return n > 0 ? (int)n : -EINVAL;
}

struct claiming {
    struct idempotency_claim *claim;
    char macs[SECRETS_MOST][MAC_TEXT_SIZE];
    int mac_count;
    struct arena *a;
    struct idempotency_found found;
};

static bool is_same_request(const struct claiming *k, const char *mac)
{
    for (int i = 0; i < k->mac_count; i++)
        if (strcmp(k->macs[i], mac) == 0)
            return true;
    return false;
}

static int read_row(struct claiming *k, struct db_rows *rows)
{
    k->found = (struct idempotency_found){0};
    if (!is_same_request(k, db_text(rows, 0)))
        k->found.outcome = IDEMPOTENCY_MISMATCH;
    else if (strcmp(db_text(rows, 1), "running") == 0 || db_int(rows, 4))
        k->found.outcome = IDEMPOTENCY_IN_PROGRESS;
    else if (db_is_null(rows, 3))
        k->found.outcome = IDEMPOTENCY_NOT_KEPT;
    else
        k->found = (struct idempotency_found){.outcome = IDEMPOTENCY_REPLAY,
                                              .status = (int)db_int(rows, 2),
                                              .body = db_text_dup(rows, 3, k->a)};
    return k->found.outcome == IDEMPOTENCY_REPLAY && !k->found.body ? -ENOMEM : 1;
}

/* 1 where the key has a row that counts, 0 where it has none. */
static int look(struct db_conn *c, struct claiming *k, const char *now)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(
        c,
        "SELECT body_hash, state, response_status, response_body, "
        "CASE WHEN claimed_until > ?4 THEN 1 ELSE 0 END FROM idempotency_keys WHERE "
        "scope = ?1 AND route = ?2 AND key = ?3 AND expires_at > ?4",
        DB_ARGS(DB_TEXT(k->claim->scope), DB_TEXT(k->claim->route), DB_TEXT(k->claim->key), DB_TEXT(now)),
        &rows);
    if (r == 0)
        r = db_next(rows);
    return r > 0 ? read_row(k, rows) : r;
}

static int claim_unit(struct db_conn *c, void *arg)
{
    struct claiming *k = arg;
    const struct idempotency_claim *claim = k->claim;
    char now[ISO_TIME_LEN], lease_end[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    clock_format_iso(clock_now_ms() + IDEMPOTENCY_LEASE_S * 1000, lease_end);
    int r = look(c, k, now);
    if (r != 0)
        return r < 0 ? r : 0;
    k->found = (struct idempotency_found){.outcome = IDEMPOTENCY_RUN, .claim = k->claim};
    return db_exec(
        c,
        "INSERT INTO idempotency_keys (scope, route, key, body_hash, claim, expires_at) VALUES "
        "(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (scope, route, key) DO UPDATE SET "
        "body_hash = excluded.body_hash, claim = excluded.claim, expires_at = excluded.expires_at, "
        "state = 'running', response_status = NULL, response_body = NULL, claimed_until = NULL",
        DB_ARGS(DB_TEXT(claim->scope), DB_TEXT(claim->route), DB_TEXT(claim->key), DB_TEXT(k->macs[0]),
                DB_TEXT(claim->id), DB_TEXT(lease_end)),
        NULL);
}

int idempotency_claim_key(void *ctx, const struct idempotent_request *in, struct arena *a,
                          struct idempotency_found *ret)
{
    struct limits *limits = ctx;
    struct claiming k = {.claim = arena_alloc(a, sizeof *k.claim), .a = a};
    if (!k.claim)
        return -ENOMEM;
    *k.claim = (struct idempotency_claim){.scope = in->scope, .route = in->route, .key = in->key};
    uuid_make(k.claim->id);
    k.mac_count = sign(limits->cfg, in->digest, k.macs);
    int r = k.mac_count > 0 ? db_write(limits->db, claim_unit, &k) : k.mac_count;
    if (r < 0)
        return r;
    *ret = k.found;
    limits_sweep(limits);
    return 0;
}

struct settling {
    const struct idempotency_claim *claim;
    int status;
    const char *body;
    int64_t reply_s; /* for which it is not to be shown yet */
};

/* Rows settled: 1, or 0 where the claim is lost. */
static int settle(struct db_conn *c, const struct settling *s, int64_t *ret_changed)
{
    const struct idempotency_claim *claim = s->claim;
    char end[ISO_TIME_LEN], until[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms() + (int64_t)IDEMPOTENCY_KEPT_S * 1000, end);
    clock_format_iso(clock_now_ms() + s->reply_s * 1000, until);
    return db_exec(c,
                   "UPDATE idempotency_keys SET state = 'done', response_status = ?1, response_body = ?2, "
                   "expires_at = ?3, claimed_until = ?8 "
                   "WHERE scope = ?4 AND route = ?5 AND key = ?6 AND claim = ?7",
                   DB_ARGS(DB_INT(s->status), DB_TEXT(s->body), DB_TEXT(end), DB_TEXT(claim->scope),
                           DB_TEXT(claim->route), DB_TEXT(claim->key), DB_TEXT(claim->id),
                           s->reply_s ? DB_TEXT(until) : DB_NULL),
                   ret_changed);
}

int idempotency_settle_unit(struct db_conn *c, const struct idempotency_claim *claim, int status,
                            const json_t *answer)
{
    int64_t changed = 0;
    if (!claim)
        return 0;
    _cleanup_buf_ struct buf body = BUF_INIT(ANSWER_MAX); /* written as replies are: a repeat can't tell */
    if ((answer && json_write(&body, answer) < 0) || !buf_str(&body))
        return -ENOMEM;
    int r = settle(c, &(struct settling){claim, status, buf_str(&body), REPLY_S}, &changed);
    return r == 0 && changed == 0 ? -ECANCELED : r;
}

static int settle_unit(struct db_conn *c, void *arg)
{
    return settle(c, arg, NULL);
}

int idempotency_settle_key(void *ctx, const struct idempotency_claim *claim, int status, const char *body)
{
    struct limits *limits = ctx;
    return db_write(limits->db, settle_unit, &(struct settling){claim, status, body, 0});
}

/* What a unit has settled stands. */
static int release_unit(struct db_conn *c, void *arg)
{
    const struct idempotency_claim *claim = arg;
    const struct db_value args[] = {DB_TEXT(claim->scope), DB_TEXT(claim->route), DB_TEXT(claim->key),
                                    DB_TEXT(claim->id)};
    int r =
        db_exec(c,
                "DELETE FROM idempotency_keys WHERE scope = ?1 AND route = ?2 AND key = ?3 AND claim = ?4 "
                "AND state = 'running'",
                args, ARRAY_LEN(args), NULL);
    if (r < 0)
        return r;
    return db_exec(c,
                   "UPDATE idempotency_keys SET claimed_until = NULL "
                   "WHERE scope = ?1 AND route = ?2 AND key = ?3 AND claim = ?4",
                   args, ARRAY_LEN(args), NULL);
}

int idempotency_release_key(void *ctx, const struct idempotency_claim *claim)
{
    struct limits *limits = ctx;
    return db_write(limits->db, release_unit, (void *)(uintptr_t)claim);
}
