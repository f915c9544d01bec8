/* SPDX-License-Identifier: MIT */
/* A lease is the cache's own entry with one more reference: the table holds one, the builder and every user
 * one each. One mutex guards it all; it is never held while an index is built, searched or freed. */
#include "retrieval/cache.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>
#include <utlist.h>

#define BUILD_WAIT_MS 10000
#define IDLE_SEARCHES_MAX 2 /* of one index */

struct lease {
    struct index_cache *cache;
    char user_id[CACHE_USER_MAX + 1];
    int references;
    bool listed, ready;
    int error; /* of building, once ready */
    struct index *index;
    size_t bytes;
    struct search *idle[IDLE_SEARCHES_MAX];
    int n_idle;
    struct lease *prev, *next; /* least recently used first */
    UT_hash_handle hh;
};

struct index_cache {
    struct index_cache_options options;
    pthread_mutex_t lock;
    pthread_cond_t built;
    struct lease *table, *queue;
    size_t users, bytes;
    int64_t version;
};

int index_cache_new(const struct index_cache_options *options, struct index_cache **ret)
{
    struct index_cache *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->options = *options;
    pthread_mutex_init(&c->lock, NULL);
    cond_init(&c->built);
    *ret = c;
    return 0;
}

void index_cache_free(struct index_cache *c)
{
    if (!c)
        return;
    index_cache_forget(c, NULL);
    pthread_cond_destroy(&c->built);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void free_entry(struct lease *l)
{
    for (int i = 0; i < l->n_idle; i++)
        search_free(l->idle[i]);
    index_free(l->index);
    free(l);
}

/* Takes an entry out of the table. With the lock held; true when the caller is to free it afterwards. */
static bool unlist(struct index_cache *c, struct lease *l)
{
    if (!l->listed)
        return false;
    l->listed = false;
    HASH_DELETE(hh, c->table, l);
    DL_DELETE(c->queue, l);
    c->users--;
    c->bytes -= l->bytes;
    return --l->references == 0;
}

/* Takes out what passes the limits, oldest first, into a list to be freed without the lock. */
static struct lease *make_room(struct index_cache *c, const struct lease *newest)
{
    struct lease *l, *next, *doomed = NULL;
    DL_FOREACH_SAFE (c->queue, l, next) {
        if (c->users <= c->options.most_users && c->bytes <= c->options.most_bytes)
            break;
        if (l != newest && l->ready && unlist(c, l))
            DL_APPEND(doomed, l);
    }
    return doomed;
}

static void free_all(struct lease *doomed)
{
    struct lease *l, *next;
    DL_FOREACH_SAFE (doomed, l, next)
        free_entry(l);
}

/* Takes out one user's entry, or all; with the lock held. */
static struct lease *forget(struct index_cache *c, const char *user_id)
{
    struct lease *l, *next, *doomed = NULL;
    if (user_id) {
        HASH_FIND_STR(c->table, user_id, l);
        if (l && unlist(c, l))
            DL_APPEND(doomed, l);
        return doomed;
    }
    DL_FOREACH_SAFE (c->queue, l, next)
        if (unlist(c, l))
            DL_APPEND(doomed, l);
    return doomed;
}

void index_cache_forget(struct index_cache *c, const char *user_id)
{
    pthread_mutex_lock(&c->lock);
    struct lease *doomed = forget(c, user_id);
    pthread_mutex_unlock(&c->lock);
    free_all(doomed);
}

static struct lease *new_entry(struct index_cache *c, const char *user_id)
{
    struct lease *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->cache = c;
    l->references = 2; /* the table's and the builder's */
    l->listed = true;
    strcpy(l->user_id, user_id);
    HASH_ADD_STR(c->table, user_id, l);
    if (!l->hh.tbl) {
        free(l);
        return NULL;
    }
    DL_APPEND(c->queue, l);
    c->users++;
    return l;
}

/* Records what building gave, and wakes who waits for it. */
static void finish_entry(struct lease *l, int error, struct index *index)
{
    struct index_cache *c = l->cache;
    pthread_mutex_lock(&c->lock);
    l->error = error;
    l->index = index;
    l->bytes = index ? sizeof *l + index->bytes + IDLE_SEARCHES_MAX * search_bytes(index) : 0;
    l->ready = true;
    if (l->listed)
        c->bytes += l->bytes;
    if (error)
        (void)unlist(c, l); /* the builder's reference is still there */
    struct lease *doomed = make_room(c, l);
    pthread_cond_broadcast(&c->built);
    pthread_mutex_unlock(&c->lock);
    free_all(doomed);
}

static int build(struct lease *l)
{
    const struct index_cache_options *o = &l->cache->options;
    struct index *index = NULL;
    int r = o->build(o->ctx, l->user_id, &index);
    finish_entry(l, r < 0 ? r : 0, r < 0 ? NULL : index);
    return r < 0 ? r : 0;
}

/* Waits until a listed entry is built; with the lock held. */
static int await(struct index_cache *c, const struct lease *l)
{
    struct timespec deadline = clock_deadline(BUILD_WAIT_MS);
    while (!l->ready)
        if (pthread_cond_timedwait(&c->built, &c->lock, &deadline) == ETIMEDOUT && !l->ready)
            return -ETIMEDOUT;
    return l->error;
}

int index_cache_take(struct index_cache *c, const char *user_id, int64_t version, struct lease **ret)
{
    size_t len = strlen(user_id);
    if (len == 0 || len > CACHE_USER_MAX)
        return -EINVAL;
    struct lease *doomed = NULL, *l;
    int r = 0;
    pthread_mutex_lock(&c->lock);
    if (version != c->version)
        doomed = forget(c, NULL);
    c->version = version;
    HASH_FIND_STR(c->table, user_id, l);
    bool mine = !l;
    if (mine) {
        l = new_entry(c, user_id);
        r = l ? 0 : -ENOMEM;
    } else {
        l->references++;
        DL_DELETE(c->queue, l);
        DL_APPEND(c->queue, l);
        r = await(c, l);
    }
    pthread_mutex_unlock(&c->lock);
    free_all(doomed);
    if (mine && l)
        r = build(l);
    if (r < 0) {
        index_cache_give_back(l);
        return r;
    }
    *ret = l;
    return 0;
}

void index_cache_give_back(struct lease *l)
{
    if (!l)
        return;
    struct index_cache *c = l->cache;
    pthread_mutex_lock(&c->lock);
    bool last = --l->references == 0;
    pthread_mutex_unlock(&c->lock);
    if (last)
        free_entry(l);
}

const struct index *lease_index(const struct lease *l)
{
    return l->index;
}

struct search *lease_search(struct lease *l)
{
    pthread_mutex_lock(&l->cache->lock);
    struct search *s = l->n_idle > 0 ? l->idle[--l->n_idle] : NULL;
    pthread_mutex_unlock(&l->cache->lock);
    return s ? s : search_new(l->index);
}

void lease_search_done(struct lease *l, struct search *s)
{
    pthread_mutex_lock(&l->cache->lock);
    bool keep = l->n_idle < IDLE_SEARCHES_MAX;
    if (keep)
        l->idle[l->n_idle++] = s;
    pthread_mutex_unlock(&l->cache->lock);
    if (!keep)
        search_free(s);
}

void index_cache_size(struct index_cache *c, size_t *ret_users, size_t *ret_bytes)
{
    pthread_mutex_lock(&c->lock);
    *ret_users = c->users;
    *ret_bytes = c->bytes;
    pthread_mutex_unlock(&c->lock);
}
