/* SPDX-License-Identifier: MIT */
/* A row is all that a new kind of job needs here: what makes its context and frees it, and its handler. */
#include "cmd/handlers.h"

#include "base/log.h"
#include "media/settle.h"
#include "media/work.h"
#include "queue/worker.h"
#include "reader/reader.h"
#include "retrieval/retrieval.h"
#include "scrape/scrape.h"

#include <errno.h>
#include <string.h>

/* open: sets *ret_ctx, the handler's context; 0 or negative errno with a log line. */
struct kind {
    int (*open)(const struct job_services *services, void **ret_ctx);
    void (*close)(void *ctx);
    struct queue_handler handler; /* but for its context */
};

/* ---- jobs that act in a browser */

static void forget_nodes(void *retrieval, const char *user_id)
{
    retrieval_forget(retrieval, user_id);
}

static int open_scrape(const struct job_services *services, void **ret_ctx)
{
    struct scrape *scrape = malloc(sizeof *scrape);
    if (!scrape)
        return log_error(-ENOMEM, "open the jobs that act in a browser");
    *scrape =
        (struct scrape){services->cfg, services->db, services->vault, forget_nodes, services->retrieval};
    *ret_ctx = scrape;
    return 0;
}

/* ---- media-jobs */

static int open_media(const struct job_services *services, void **ret_ctx)
{
    struct media_worker *w = malloc(sizeof *w);
    if (!w)
        return log_error(-ENOMEM, "open the handler of media jobs");
    *w = (struct media_worker){.cfg = services->cfg, .db = services->db, .files = services->files};
    *ret_ctx = w;
    return 0;
}

static void close_media(void *ctx)
{
    free(ctx);
}

/* ---- exports of creators */

static int open_reader(const struct job_services *s, void **ret_ctx)
{
    struct reader *reader = NULL;
    int r = reader_open(&(struct reader_options){s->cfg, s->db, s->llm, s->retrieval}, &reader);
    if (r < 0)
        return log_error(r, "open the reader of exports");
    *ret_ctx = reader;
    return 0;
}

static void close_reader(void *ctx)
{
    reader_close(ctx);
}

/* ---- all of them */

static const struct kind kinds[] = {
    {.open = open_scrape,
     .close = free,
     .handler = {.queue = QUEUE_SCRAPE, .run = scrape_run, .moved = scrape_moved}},
    {open_media,
     close_media,
     {.queue = QUEUE_MEDIA,
      .run = media_work_run,
      .moved = media_moved,
      .progressed = media_progressed,
      .done = media_work_done}},
    {open_reader, close_reader, {.queue = QUEUE_ONBOARDING, .run = reader_run, .moved = reader_moved}},
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

static int64_t concurrency_of(const struct config *cfg, enum queue_name queue)
{
    const int64_t concurrency[QUEUES] = {
        [QUEUE_MEDIA] = cfg->worker_concurrency_media,
        [QUEUE_SCRAPE] = cfg->worker_concurrency_scrape,
        [QUEUE_ONBOARDING] = cfg->worker_concurrency_onboarding,
    };
    return concurrency[queue];
}

/* Jobs of a queue for which there is no handler at all wait for a program that has one. */
unsigned handlers_queues(const struct config *cfg)
{
    unsigned queues = 0;
    for (size_t i = 0; i + 1 < KINDS; i++)
        if (concurrency_of(cfg, kinds[i].handler.queue) > 0)
            queues |= 1U << kinds[i].handler.queue;
    return queues;
}

int handlers_start_worker(const struct job_services *services, unsigned queues, struct queue_worker **ret)
{
    const struct config *cfg = services->cfg;
    struct queue_worker_options options = {.queue = services->queue};
    queues &= handlers_queues(cfg);
    for (int i = 0; i < QUEUES; i++)
        options.concurrency[i] = queues & (1U << i) ? (int)concurrency_of(cfg, (enum queue_name)i) : 0;
    if (options.concurrency[QUEUE_MEDIA] > 0)
        media_work_sweep(cfg);
    return queue_worker_start(&options, ret);
}
