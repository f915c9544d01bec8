/* SPDX-License-Identifier: MIT */
/* The thread. curl's callbacks only take bytes in; sinks are called after curl has returned, so that a sink
 * may start, pause or cancel calls. All that one read brought leaves as one piece of text. */
#include "llm/engine.h"

#include <errno.h>

#define READ_BUFFER 1024L    /* tokens are small, and every open transfer has one */
#define UPLOAD_BUFFER 16384L /* the least that curl allows */
#define KEPT_CONNECTIONS \
    32768L /* beyond, curl searches all of them for the oldest with every answer that ends */

static void set_common(CURL *easy, const struct config *cfg)
{
    loop_set_common(easy);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BUFFER);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)cfg->llm_connect_timeout_s * 1000);
}

int transfer_start(struct llm *llm, struct transfer *t, const char *url, struct curl_slist *headers)
{
    set_common(t->easy, llm->cfg);
    (void)curl_easy_setopt(t->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    return curl_multi_add_handle(llm->loop.multi, t->easy) == CURLM_OK ? 0 : -ENOMEM;
}

void transfer_body(struct transfer *t, const struct buf *body)
{
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body->data);
}

void transfer_stop(struct llm *llm, struct transfer *t)
{
    if (!t->easy)
        return;
    (void)curl_multi_remove_handle(llm->loop.multi, t->easy);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
}

void engine_wake(struct llm *llm)
{
    loop_wake(&llm->loop);
}

/* Tells the owner of a transfer that is over. */
static void ended(void *ctx, CURL *easy, CURLcode result)
{
    char *owner = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    struct transfer *t = (struct transfer *)(void *)owner;
    t->ended(ctx, t, result);
}

static void flush(void *ctx)
{
    calls_flush(ctx);
}

/* Returns false when the engine shall stop. */
static bool round_trip(struct llm *llm)
{
    loop_turn(&llm->loop, calls_have_work(llm) ? 0 : calls_next_due(llm), flush, llm);
    pthread_mutex_lock(&llm->lock);
    bool stopping = llm->stopping;
    pthread_mutex_unlock(&llm->lock);
    if (stopping)
        return false;
    loop_reap(&llm->loop, ended, llm);
    calls_take_inbox(llm);
    calls_expire(llm);
    calls_admit(llm);
    probe_run(llm);
    loop_clock(&llm->loop, flush, llm);
    loop_reap(&llm->loop, ended, llm);
    calls_talk(llm);
    return true;
}

static void *engine_loop(void *arg)
{
    struct llm *llm = arg;
    while (round_trip(llm))
        ;
    calls_end_all(llm);
    transfer_stop(llm, &llm->probe.transfer);
    return NULL;
}

int engine_start(struct llm *llm)
{
    int r = loop_open(&llm->loop, KEPT_CONNECTIONS);
    calls_init(llm);
    if (r == 0)
        r = loop_start(&llm->loop, engine_loop, llm, "llm");
    if (r < 0)
        loop_close(&llm->loop);
    return r;
}

void engine_stop(struct llm *llm)
{
    pthread_mutex_lock(&llm->lock);
    llm->stopping = true;
    pthread_mutex_unlock(&llm->lock);
    engine_wake(llm);
    (void)pthread_join(llm->loop.thread, NULL);
    loop_close(&llm->loop);
}
