/* SPDX-License-Identifier: MIT */
#include "http/sleeper.h"

void sleeper_init(struct sleeper *s, void (*release)(struct sleeper *s))
{
    *s = (struct sleeper){.release = release, .refs = 1};
    pthread_mutex_init(&s->lock, NULL);
}

struct sleeper *sleeper_ref(struct sleeper *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void sleeper_unref(struct sleeper *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&s->lock);
    s->release(s);
}

static void wake_locked(struct sleeper *s)
{
    s->woken = true;
    if (!s->waiting)
        return;
    s->waiting = false;
    MHD_resume_connection(s->connection);
}

void sleeper_wake(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    wake_locked(s);
    pthread_mutex_unlock(&s->lock);
}

void sleeper_gone(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    wake_locked(s);
    pthread_mutex_unlock(&s->lock);
}

bool sleeper_look(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    s->woken = false;
    bool gone = s->gone;
    pthread_mutex_unlock(&s->lock);
    return !gone;
}

bool sleeper_sleep(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    bool sleeps = !s->woken;
    if (sleeps) {
        s->waiting = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&s->lock);
    return sleeps;
}

bool sleeper_sleeps(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    bool sleeps = s->waiting;
    pthread_mutex_unlock(&s->lock);
    return sleeps;
}

void sleeper_end(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    s->waiting = false;
    pthread_mutex_unlock(&s->lock);
}
