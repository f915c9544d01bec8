/* SPDX-License-Identifier: MIT */
/* Rate limits. The store counts, so a worker has to ask it, while the connection sleeps with nothing but its
 * headers read: a flood costs no bodies. What can't be counted is refused. */
#include "http/exchange.h"

#include "base/log.h"

static void number_header(struct http_exchange *x, const char *name, int64_t n)
{
    const char *text = arena_printf(&x->rq.arena, "%lld", (long long)n);
    if (text)
        reply_header(&x->rq, name, text);
}

static void count(struct http_exchange *x)
{
    const struct rate_limit *rate = x->rq.route->rate;
    const struct http_limits *limits = &x->server->limits;
    struct rate_outcome out = {.reset_s = 1};
    int r = limits->count(limits->ctx, rate, x->rq.client_ip, &out);
    number_header(x, "RateLimit-Limit", rate->limit);
    number_header(x, "RateLimit-Remaining", out.remaining);
    number_header(x, "RateLimit-Reset", out.reset_s);
    if (r < 0) {
        (void)dispatch_refuse(x, ERR_STORE_UNAVAILABLE, NULL);
    } else if (!out.allowed) {
        (void)dispatch_refuse(x, ERR_RATE_LIMITED, NULL);
        number_header(x, "Retry-After", out.reset_s);
    }
}

static void count_on_worker(void *arg)
{
    struct http_exchange *x = arg;
    log_set_request(x->rq.id);
    count(x);
    log_set_request(NULL);
    x->phase = PHASE_COUNTED;
    MHD_resume_connection(x->connection);
}

void rate_count(struct http_exchange *x)
{
    /* from here on a worker may have the exchange at any moment */
    MHD_suspend_connection(x->connection);
    if (pool_submit(x->server->workers, count_on_worker, x) == 0)
        return;
    (void)dispatch_refuse(x, ERR_OVERLOADED, NULL);
    x->phase = PHASE_COUNTED;
    MHD_resume_connection(x->connection);
}
