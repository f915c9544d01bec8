/* SPDX-License-Identifier: MIT */
/* The work on jobs of the queue onboarding-jobs: an export becomes nodes and edges of its owner, and the
 * owner's onboarding goes on. Phases: read (the archive into memory, nothing is written), nodes, edges, embed
 * (vectors, where an embedder is configured), summary, done. Where it stopped stands in export_reads; a run
 * that follows reads the archive again where it still needs it, and goes on from there. */
#ifndef READER_READER_H
#define READER_READER_H

#include "base/config.h"
#include "llm/llm.h"
#include "queue/handler.h"
#include "retrieval/retrieval.h"

/* What it works with; outlives the reader. llm and retrieval may be NULL: then there are no vectors, and the
 * summary is counted. */
struct reader_options {
    const struct config *cfg;
    struct db *db;
    struct llm *llm;
    struct retrieval *retrieval;
};

struct reader;

/* 0 or -ENOMEM. */
int reader_open(const struct reader_options *options, struct reader **ret);
void reader_close(struct reader *reader);

/* The handler's halves (queue/handler.h); ctx is the reader. */
void reader_run(void *ctx, struct queue_work *work);
int reader_moved(struct db_conn *c, void *ctx, const struct queue_job *job, enum queue_move move,
                 const json_t *result, const char *error, void *finish);

#endif
