/* SPDX-License-Identifier: MIT */
#include "auth/familiar.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    char places[FAMILIAR_PLACES][FAMILIAR_PLACE_MAX + 1]; /* newest first */
    char account[];
};

struct familiar {
    size_t max;
    pthread_mutex_t lock;
    struct entry *entries; /* used longest ago first */
};

struct familiar *familiar_new(size_t max_accounts)
{
    struct familiar *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->max = max_accounts;
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

void familiar_free(struct familiar *f)
{
    if (!f)
        return;
    struct entry *e, *next;
    HASH_ITER (hh, f->entries, e, next) {
        HASH_DEL(f->entries, e);
        free(e);
    }
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static size_t place_of(const struct entry *e, const char *place)
{
    size_t i = 0;
    while (i < FAMILIAR_PLACES && strcmp(e->places[i], place) != 0)
        i++;
    return i;
}

bool familiar_has(struct familiar *f, const char *account, const char *place)
{
    struct entry *e;
    pthread_mutex_lock(&f->lock);
    HASH_FIND_STR(f->entries, account, e);
    bool has = e && place[0] && place_of(e, place) < FAMILIAR_PLACES;
    pthread_mutex_unlock(&f->lock);
    return has;
}

/* The account's entry, taken out of the order; a new one if there is none, NULL without memory. */
static struct entry *take_out(struct familiar *f, const char *account)
{
    struct entry *e;
    HASH_FIND_STR(f->entries, account, e);
    if (e) {
        HASH_DEL(f->entries, e);
        return e;
    }
    size_t size = strlen(account) + 1;
    e = calloc(1, sizeof *e + size);
    if (e)
        memcpy(e->account, account, size);
    return e;
}

static void add_place(struct entry *e, const char *place)
{
    size_t at = place_of(e, place);
    if (at == FAMILIAR_PLACES)
        at--;
    memmove(e->places[1], e->places[0], at * sizeof e->places[0]);
    memcpy(e->places[0], place, strlen(place) + 1);
}

void familiar_add(struct familiar *f, const char *account, const char *place)
{
    if (!place[0] || strlen(place) > FAMILIAR_PLACE_MAX)
        return;
    pthread_mutex_lock(&f->lock);
    struct entry *e = take_out(f, account), *oldest = f->entries;
    if (e) {
        if (oldest && HASH_COUNT(f->entries) >= f->max) {
            HASH_DEL(f->entries, oldest);
            free(oldest);
        }
        add_place(e, place);
        HASH_ADD_KEYPTR(hh, f->entries, e->account, strlen(e->account), e);
        if (!e->hh.tbl)
            free(e);
    }
    pthread_mutex_unlock(&f->lock);
}
