/* SPDX-License-Identifier: MIT */
#include "auth/backoff.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

#define KEY_MAX 256

struct entry {
    UT_hash_handle hh;
    int failures;
    int64_t last_ms, next_ms; /* the last attempt; when the next one may come */
    char key[];
};

struct backoff {
    struct backoff_options options;
    pthread_mutex_t lock;
    struct entry *entries; /* in order of their first failure */
};

struct backoff *backoff_new(const struct backoff_options *options)
{
    struct backoff *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->options = *options;
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

static void drop(struct backoff *b, struct entry *e)
{
    HASH_DEL(b->entries, e);
    free(e);
}

void backoff_free(struct backoff *b)
{
    if (!b)
        return;
    struct entry *e, *next;
    HASH_ITER (hh, b->entries, e, next)
        drop(b, e);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static struct entry *find(struct backoff *b, const char *key)
{
    struct entry *e;
    HASH_FIND(hh, b->entries, key, strnlen(key, KEY_MAX), e);
    return e;
}

static struct entry *find_or_add(struct backoff *b, const char *key, int64_t now_ms)
{
    struct entry *e = find(b, key);
    if (e && now_ms - e->last_ms >= BACKOFF_FORGET_MS) {
        drop(b, e);
        e = NULL;
    }
    if (e)
        return e;
    if (HASH_COUNT(b->entries) >= b->options.max_keys)
        drop(b, b->entries);
    size_t len = strnlen(key, KEY_MAX);
    e = calloc(1, sizeof *e + len);
    if (!e)
        return NULL;
    memcpy(e->key, key, len);
    e->next_ms = now_ms;
    HASH_ADD_KEYPTR(hh, b->entries, e->key, len, e);
    if (e->hh.tbl)
        return e;
    free(e);
    return NULL;
}

static int64_t wait_after(const struct backoff_options *o, int failures)
{
    int64_t wait = o->first_wait_ms;
    if (failures <= o->free_attempts)
        return 0;
    for (int i = o->free_attempts + 1; i < failures && wait < o->longest_wait_ms; i++)
        wait *= 2;
    return wait < o->longest_wait_ms ? wait : o->longest_wait_ms;
}

int backoff_take(struct backoff *b, const char *key, int64_t now_ms, int64_t *ret_wait_ms)
{
    int r = 0;
    pthread_mutex_lock(&b->lock);
    struct entry *e = find_or_add(b, key, now_ms);
    if (e && now_ms < e->next_ms) {
        *ret_wait_ms = e->next_ms - now_ms;
        r = -EAGAIN;
    } else if (e) {
        e->failures++;
        e->last_ms = now_ms;
        e->next_ms = now_ms + wait_after(&b->options, e->failures);
    }
    pthread_mutex_unlock(&b->lock);
    return r;
}

void backoff_return(struct backoff *b, const char *key)
{
    pthread_mutex_lock(&b->lock);
    struct entry *e = find(b, key);
    if (e && --e->failures <= 0)
        drop(b, e);
    else if (e)
        e->next_ms = e->last_ms + wait_after(&b->options, e->failures);
    pthread_mutex_unlock(&b->lock);
}

void backoff_clear(struct backoff *b, const char *key)
{
    pthread_mutex_lock(&b->lock);
    struct entry *e = find(b, key);
    if (e)
        drop(b, e);
    pthread_mutex_unlock(&b->lock);
}
