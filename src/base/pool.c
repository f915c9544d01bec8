/* SPDX-License-Identifier: MIT */
/* A ring of works under one mutex. Two cores and works of tens of microseconds don't need anything finer. */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct work {
    pool_fn fn;
    void *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct work *ring;
    int capacity, first, count, running;
    bool stopping;
    int threads;
    pthread_t thread[];
};

static bool take(struct pool *p, struct work *ret)
{
    pthread_mutex_lock(&p->lock);
    while (p->count == 0 && !p->stopping)
        pthread_cond_wait(&p->arrived, &p->lock);
    bool got = p->count > 0;
    if (got) {
        *ret = p->ring[p->first];
        p->first = (p->first + 1) % p->capacity;
        p->count--;
        p->running++;
    }
    pthread_mutex_unlock(&p->lock);
    return got;
}

static void *work_loop(void *arg)
{
    struct pool *p = arg;
    struct work w;
    while (take(p, &w)) {
        w.fn(w.arg);
        pthread_mutex_lock(&p->lock);
        p->running--;
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

int pool_start(const char *name, int threads, int capacity, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof *p + (size_t)threads * sizeof p->thread[0]);
    if (!p)
        return -ENOMEM;
    p->capacity = capacity;
    p->ring = calloc((size_t)capacity, sizeof *p->ring);
    if (!p->ring) {
        free(p);
        return -ENOMEM;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->arrived, NULL);
    for (; p->threads < threads; p->threads++) {
        int r = pthread_create(&p->thread[p->threads], NULL, work_loop, p);
        if (r != 0) {
            pool_stop(p);
            return -r;
        }
        (void)pthread_setname_np(p->thread[p->threads], name);
    }
    *ret = p;
    return 0;
}

int pool_submit(struct pool *p, pool_fn fn, void *arg)
{
    int r = -EAGAIN;
    pthread_mutex_lock(&p->lock);
    if (p->count < p->capacity && !p->stopping) {
        p->ring[(p->first + p->count++) % p->capacity] = (struct work){fn, arg};
        pthread_cond_signal(&p->arrived);
        r = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return r;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->arrived);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->arrived);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
}

int pool_load(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    int load = p->count + p->running;
    pthread_mutex_unlock(&p->lock);
    return load;
}
