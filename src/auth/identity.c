/* SPDX-License-Identifier: MIT */
/* The way of a token: digest → cache; else verify → one read of the store that finds the user, checks that
 * the account, the session or the impersonation behind the token is alive, and works out the rights → cache.
 *
 * Rights that depend on the client's address (a policy with ip_access) are worked out for every request and
 * never cached. */
#include "auth/identity.h"

#include "auth/identity_cache.h"
#include "auth/identity_load.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

#define CACHE_MAX 8192
#define TEXTS_MAX (16 * 1024)
#define NEVER INT64_MAX

struct auth {
    struct db *db;
    struct token_keys keys;
    struct identity_cache *cache;
    EVP_MD *sha256; /* fetched once; looking it up costs more than the digest */
};

/* What an identity really is. */
struct shared_identity {
    struct identity who; /* first */
    atomic_uint refs;
    struct arena texts;
};

/* ---- references */

static int copy_text(struct arena *a, const char **text)
{
    if (!*text)
        return 0;
    *text = arena_strdup(a, *text);
    return *text ? 0 : -ENOMEM;
}

struct identity *identity_make(const struct identity *from)
{
    struct shared_identity *shared = calloc(1, sizeof *shared);
    if (!shared)
        return NULL;
    shared->who = *from;
    atomic_init(&shared->refs, 1);
    arena_init(&shared->texts, TEXTS_MAX);
    const char **texts[] = {&shared->who.email,         &shared->who.first_name, &shared->who.role_id,
                            &shared->who.role_name,     &shared->who.tier,       &shared->who.impersonated_by,
                            &shared->who.impersonation, &shared->who.session};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (copy_text(&shared->texts, texts[i]) < 0) {
            identity_unref(&shared->who);
            return NULL;
        }
    return &shared->who;
}

struct identity *identity_ref(struct identity *who)
{
    atomic_fetch_add_explicit(&((struct shared_identity *)who)->refs, 1, memory_order_relaxed);
    return who;
}

void identity_unref(struct identity *who)
{
    struct shared_identity *shared = (struct shared_identity *)who;
    if (!shared || atomic_fetch_sub(&shared->refs, 1) > 1)
        return;
    arena_free(&shared->texts);
    free(shared);
}

/* ---- opening */

int auth_open(const struct config *cfg, struct db *db, struct auth **ret)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        return -ENOMEM;
    auth->db = db;
    auth->keys = (struct token_keys){.directus = cfg->directus_secret, .anythingllm = cfg->jwt_secret};
    auth->cache = identity_cache_new(CACHE_MAX);
    auth->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!auth->cache || !auth->sha256) {
        auth_close(auth);
        return log_error(-ENOMEM, "open identities");
    }
    *ret = auth;
    return 0;
}

void auth_close(struct auth *auth)
{
    identity_cache_free(auth->cache);
    EVP_MD_free(auth->sha256);
    free(auth);
}

void auth_forget(struct auth *auth, const char *user_id)
{
    identity_cache_forget(auth->cache, user_id);
}

/* ---- look-up */

static struct identity_now now(struct auth *auth)
{
    return (struct identity_now){.monotonic_ms = clock_monotonic_ms(),
                                 .wall_s = clock_now_ms() / 1000,
                                 .data_version = db_topic_version(auth->db, DB_IDENTITIES)};
}

static int refuse(enum error_id error, enum error_id *ret_error)
{
    *ret_error = error;
    return -EACCES;
}

/* 0 and the digest, or -EACCES for what can't be a token. Bytes that are no text must not reach the store,
 * whose engines would answer differently. */
static int digest_token(struct auth *auth, const char *token, uint8_t *ret)
{
    size_t len = token ? strnlen(token, TOKEN_MAX_BYTES + 1) : 0;
    if (len == 0 || len > TOKEN_MAX_BYTES || !utf8_valid(token, len))
        return -EACCES;
    return EVP_Digest(token, len, ret, NULL, auth->sha256, NULL) == 1 ? 0 : -EACCES;
}

/* What the token says, before the store is asked. */
static int read_token(struct auth *auth, const char *token, int64_t now_s, struct identity_load *load)
{
    if (!token_is_jwt(token)) {
        load->static_token = token;
        load->expires_s = NEVER;
        return 0;
    }
    int r = token_verify(token, &auth->keys, now_s, &load->claims);
    load->expires_s = load->claims.expires_s;
    return r;
}

static int refuse_token(int r, enum error_id *ret_error)
{
    return refuse(r == -EKEYEXPIRED ? ERR_TOKEN_EXPIRED : ERR_UNAUTHORIZED, ret_error);
}

/* A broken or foreign token needs no store to be refused, so its request's body isn't even read. */
int auth_lookup(struct auth *auth, const char *token, struct identity **ret, enum error_id *ret_error)
{
    uint8_t digest[IDENTITY_DIGEST_BYTES];
    struct identity_load load = {0};
    if (digest_token(auth, token, digest) < 0)
        return refuse(ERR_UNAUTHORIZED, ret_error);
    struct identity_now at = now(auth);
    int r = identity_cache_get(auth->cache, digest, &at, ret);
    if (r == 0) {
        metric_add(METRIC_IDENTITY_HITS, 1);
        return 0;
    }
    r = r == -ENOENT ? read_token(auth, token, at.wall_s, &load) : r;
    return r < 0 ? refuse_token(r, ret_error) : -EAGAIN;
}

/* ---- resolving */

static int load_identity(struct auth *auth, struct identity_load *load, struct identity **ret,
                         enum error_id *ret_error)
{
    int r = db_read(auth->db, identity_load_unit, load);
    if (r < 0)
        return refuse(ERR_STORE_UNAVAILABLE, ret_error);
    if (load->refused != ERR_NONE)
        return refuse(load->refused, ret_error);
    struct identity *who = identity_make(&load->who);
    if (!who)
        return refuse(ERR_INTERNAL, ret_error);
    *ret = who;
    return 0;
}

int auth_resolve(struct auth *auth, const char *token, const char *client_ip, struct identity **ret,
                 enum error_id *ret_error)
{
    uint8_t digest[IDENTITY_DIGEST_BYTES];
    struct identity_load load = {.client_ip = client_ip};
    struct identity_now at = now(auth);
    uint64_t epoch = identity_cache_epoch(auth->cache);
    int r = digest_token(auth, token, digest);
    if (r == 0)
        r = read_token(auth, token, at.wall_s, &load);
    if (r < 0)
        return refuse_token(r, ret_error);
    metric_add(METRIC_IDENTITY_MISSES, 1);
    clock_format_iso(at.wall_s * 1000, load.now_iso);
    arena_init(&load.texts, TEXTS_MAX);
    struct identity *who = NULL;
    r = load_identity(auth, &load, &who, ret_error);
    arena_free(&load.texts);
    if (r < 0)
        return r;
    if (!load.address_bound)
        identity_cache_put(auth->cache, digest, who, load.expires_s, &at, epoch);
    *ret = who;
    return 0;
}
