/* SPDX-License-Identifier: MIT */
/* Who does the jobs of the queues: one table for `genie serve` and `genie worker`. */
#ifndef CMD_HANDLERS_H
#define CMD_HANDLERS_H

#include "base/config.h"
#include "queue/handler.h"

struct files;
struct llm;
struct quota;
struct retrieval;
struct vault;
struct handlers;

/* What handlers may use; all of it outlives them. */
struct job_services {
    const struct config *cfg;
    struct db *db;
    struct queue *queue;
    struct quota *quota;
    struct files *files;
    struct llm *llm;
    struct retrieval *retrieval;
    struct vault *vault; /* NULL: no key for credentials is set */
};

/* Makes the handlers and gives them to the queue. 0, or negative errno with a log line. */
int handlers_open(const struct job_services *services, struct handlers **ret);

/* No job may run any more, and none be cancelled. NULL is nothing. */
void handlers_close(struct handlers *h);

/* The queues (bits 1 << enum queue_name) that have handlers, and whose worker the settings don't turn off. */
unsigned handlers_queues(const struct config *cfg);

/* A worker with the concurrency that the settings say, of the queues in `queues` (bits). 0 or negative errno
 * with a log line. */
struct queue_worker;
int handlers_start_worker(const struct job_services *services, unsigned queues, struct queue_worker **ret);

#endif
