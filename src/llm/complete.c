/* SPDX-License-Identifier: MIT */
/* A call whose answer is wanted whole, by a thread that can wait. */
#include "llm/llm.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>

#define SLICE_MS 50

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct llm_call *call;
    struct buf *out;
    bool too_large, done;
    struct llm_result result;
};

static void on_text(void *ctx, const char *text, size_t len)
{
    struct waiter *w = ctx;
    if (w->too_large || buf_add(w->out, text, len) == 0)
        return;
    w->too_large = true;
    llm_cancel(w->call);
}

static void on_done(void *ctx, const struct llm_result *result)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->result = *result;
    w->result.flow_slug = NULL;
    w->done = true;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->lock);
}

static void wait_for_end(struct waiter *w, struct cancel *cancel)
{
    bool told = false;
    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        if (!told && cancel_raised(cancel)) {
            told = true;
            pthread_mutex_unlock(&w->lock);
            llm_cancel(w->call);
            pthread_mutex_lock(&w->lock);
            continue;
        }
        struct timespec until = clock_deadline(SLICE_MS);
        (void)pthread_cond_timedwait(&w->ended, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
}

int llm_complete(struct llm *llm, const struct llm_request *request, struct cancel *cancel, struct buf *out,
                 struct llm_result *ret_result)
{
    static const struct llm_sink sink = {on_text, on_done};
    struct waiter w = {.out = out};
    cond_init(&w.ended);
    (void)pthread_mutex_init(&w.lock, NULL);
    int r = llm_start(llm, request, &sink, &w, &w.call);
    if (r == 0) {
        wait_for_end(&w, cancel);
        llm_call_unref(w.call);
        if (w.too_large) {
            w.result.outcome = LLM_FAILED;
            w.result.error = "The language model's answer is too long";
        }
        *ret_result = w.result;
    }
    (void)pthread_mutex_destroy(&w.lock);
    (void)pthread_cond_destroy(&w.ended);
    return r;
}
