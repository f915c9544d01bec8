/* SPDX-License-Identifier: MIT */
/* A row is all that a new kind of job needs here: what makes its context and frees it, and its handler. */
#include "cmd/handlers.h"

#include "base/log.h"
#include "queue/worker.h"

#include <errno.h>
#include <string.h>

/* open: sets *ret_ctx, the handler's context; 0 or negative errno with a log line. */
struct kind {
    int (*open)(const struct job_services *services, void **ret_ctx);
    void (*close)(void *ctx);
    struct queue_handler handler; /* but for its context */
};

static const struct kind kinds[] = {
    {.handler = {.queue = QUEUES}},
};

#define KINDS ARRAY_LEN(kinds) /* with the last, which ends them */

struct handlers {
    struct queue_handler table[KINDS];
};

int handlers_open(const struct job_services *services, struct handlers **ret)
{
    struct handlers *h = calloc(1, sizeof *h);
    if (!h)
        return log_error(-ENOMEM, "open the handlers of jobs");
    h->table[0] = QUEUE_HANDLERS_END;
    for (size_t i = 0; i + 1 < KINDS; i++) {
        void *ctx = NULL;
        int r = kinds[i].open(services, &ctx);
        if (r < 0) {
            handlers_close(h);
            return r;
        }
        h->table[i] = kinds[i].handler;
        h->table[i].ctx = ctx;
        h->table[i + 1] = QUEUE_HANDLERS_END;
    }
    queue_set_handlers(services->queue, h->table);
    *ret = h;
    return 0;
}

void handlers_close(struct handlers *h)
{
    for (size_t i = 0; h && h->table[i].queue != QUEUES; i++)
        kinds[i].close(h->table[i].ctx);
    free(h);
}

/* Jobs of a queue for which there is no handler at all wait for a program that has one. */
static unsigned known_queues(void)
{
    unsigned known = 0;
    for (size_t i = 0; i + 1 < KINDS; i++)
        known |= 1U << kinds[i].handler.queue;
    return known;
}

int handlers_start_worker(const struct job_services *services, unsigned queues, struct queue_worker **ret)
{
    const struct config *cfg = services->cfg;
    const int64_t concurrency[QUEUES] = {
        [QUEUE_MEDIA] = cfg->worker_concurrency_media,
        [QUEUE_SCRAPE] = cfg->worker_concurrency_scrape,
        [QUEUE_ONBOARDING] = cfg->worker_concurrency_onboarding,
    };
    struct queue_worker_options options = {.queue = services->queue};
    queues &= known_queues();
    for (int i = 0; i < QUEUES; i++)
        options.concurrency[i] = queues & (1U << i) ? (int)concurrency[i] : 0;
    return queue_worker_start(&options, ret);
}
