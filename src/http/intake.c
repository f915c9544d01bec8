/* SPDX-License-Identifier: MIT */
/* libmicrohttpd may ask again while the connection sleeps (it goes through the chunks that it has read in one
 * breath): then nothing is taken, and it asks once more after waking. */
#include "http/intake.h"

#include "http/peers.h"
#include "http/sink.h"
#include "http/sleeper.h"

struct sink {
    struct sleeper sleeper;
    const struct sink_ops *ops;
    void *ctx;
};

static void free_sink(struct sleeper *s)
{
    free(s);
}

struct sink *sink_new(struct request *rq, const struct sink_ops *ops, void *ctx)
{
    struct sink *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    sleeper_init(&s->sleeper, free_sink);
    s->sleeper.connection = rq->exchange->connection;
    s->ops = ops;
    s->ctx = ctx;
    peer_watch(rq->exchange->peer, ops->watches_client ? &s->sleeper : NULL);
    return s;
}

struct sink *sink_ref(struct sink *s)
{
    (void)sleeper_ref(&s->sleeper);
    return s;
}

void sink_unref(struct sink *s)
{
    sleeper_unref(&s->sleeper);
}

void sink_abandon(struct request *rq, struct sink *s)
{
    peer_unwatch(rq->exchange->peer);
    sink_unref(s);
}

void sink_wake(struct sink *s)
{
    sleeper_wake(&s->sleeper);
}

/* True if the connection sleeps now. */
static bool sleep_for(struct http_exchange *x)
{
    peer_pause(x->peer);
    if (sleeper_sleep(&x->sink->sleeper))
        return true;
    peer_go_on(x->peer);
    return false;
}

static void refuse(struct http_exchange *x, int r)
{
    x->refused = true;
    (void)x->sink->ops->refuse(x->sink->ctx, &x->rq, r);
    intake_close(x);
}

bool intake_take(struct http_exchange *x, const char *data, size_t *size)
{
    struct sink *s = x->sink;
    if (sleeper_sleeps(&s->sleeper))
        return true;
    if (!sleeper_look(&s->sleeper))
        return false;
    x->received += *size;
    peer_progress(x->peer, (int64_t)x->received);
    if (x->received > x->body.max) {
        x->refused = true;
        (void)reply_error(&x->rq, ERR_TOO_LARGE, NULL);
        intake_close(x);
        *size = 0;
        return true;
    }
    int r = s->ops->take(s->ctx, data, *size);
    *size = 0;
    if (r == SINK_FULL)
        (void)sleep_for(x);
    else if (r < 0)
        refuse(x, r);
    return true;
}

enum intake intake_end(struct http_exchange *x)
{
    for (;;) {
        if (!sleeper_look(&x->sink->sleeper))
            return INTAKE_CUT;
        int r = x->sink->ops->end(x->sink->ctx);
        if (r < 0)
            refuse(x, r);
        if (r <= 0)
            return INTAKE_SETTLED;
        if (sleep_for(x))
            return INTAKE_SLEEPS;
    }
}

void intake_close(struct http_exchange *x)
{
    struct sink *s = x->sink;
    if (!s)
        return;
    x->sink = NULL;
    x->rq.upload = NULL;
    x->rq.body = NULL;
    sleeper_end(&s->sleeper);
    if (!x->stream) /* whose reader is watched for by now */
        peer_unwatch(x->peer);
    s->ops->close(s->ctx);
    sink_unref(s);
}
