/* SPDX-License-Identifier: MIT */
/* The queues' rows, for the embedded engine's files and for the other engine, whose records they are; private
 * to src/queue. */
#ifndef QUEUE_EMBEDDED_H
#define QUEUE_EMBEDDED_H

#include "base/clock.h"
#include "queue/engine.h"

/* look, lines, list and count of the engine. */
int embedded_look(struct queue *q, const char *id, struct arena *a, struct queue_info *ret);
int embedded_lines(struct queue *q, const char *id, struct arena *a, size_t limit, struct queue_line **ret,
                   size_t *ret_n);
int embedded_list(struct queue *q, const struct queue_filter *filter, struct arena *a,
                  struct queue_info **ret, size_t *ret_n);
int embedded_count(struct queue *q, struct queue_counts ret[QUEUES]);

/* upkeep of the engine. */
int embedded_upkeep(struct queue *q, struct queue_upkeep *u);

/* The engine's functions of these names. */
int embedded_add_in(struct queue *q, struct db_conn *c, const struct queue_add *job);
int embedded_notes(struct queue *q, struct queue_note *notes, size_t n);

/* Deletes finished jobs that were kept long enough. 0 or negative errno. */
int embedded_trim(struct queue *q);

/* In a unit: the store's time, and when a lease ends that begins now. */
struct embedded_times {
    int64_t now_ms;
    char now[ISO_TIME_LEN], lease[ISO_TIME_LEN];
};
int embedded_read_times(struct db_conn *c, struct embedded_times *ret);

/* In a unit: makes the move in the claim's row, with its hook, if the claim holds; sets e->made and e->lost.
 */
int embedded_settle(const struct queue *q, struct db_conn *c, const struct embedded_times *t,
                    struct queue_settle *e);

/* Reads columns EMBEDDED_JOB of the present row into a job whose texts live in the arena; job->data is a new
 * reference. 0; 1 where the text is no JSON object (it is an empty one then); or -ENOMEM. */
#define EMBEDDED_JOB "id, queue, operation, user_id, media_job_id, data, attempts, max_attempts"
enum { EMBEDDED_JOB_COLUMNS = 8 };
int embedded_read_job(struct db_rows *rows, struct arena *a, struct queue_job *ret);

#endif
