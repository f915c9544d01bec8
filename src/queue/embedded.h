/* SPDX-License-Identifier: MIT */
/* The embedded engine's reading half, and what both halves share; private to src/queue. */
#ifndef QUEUE_EMBEDDED_H
#define QUEUE_EMBEDDED_H

#include "queue/engine.h"

/* look, lines, list and count of the engine. */
int embedded_look(struct queue *q, const char *id, struct arena *a, struct queue_info *ret);
int embedded_lines(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                   size_t *ret_n);
int embedded_list(struct queue *q, const struct queue_filter *filter, struct arena *a, struct queue_info **ret,
                  size_t *ret_n);
int embedded_count(struct queue *q, struct queue_counts ret[QUEUES]);

/* upkeep of the engine. */
int embedded_upkeep(struct queue *q, struct queue_upkeep *u);

/* Reads columns EMBEDDED_JOB of the present row into a job whose texts live in the arena; job->data is a new
 * reference. 0; 1 where the text is no JSON object (it is an empty one then); or -ENOMEM. */
#define EMBEDDED_JOB "id, queue, operation, user_id, media_job_id, data, attempts, max_attempts"
enum { EMBEDDED_JOB_COLUMNS = 8 };
int embedded_read_job(struct db_rows *rows, struct arena *a, struct queue_job *ret);

#endif
