/* SPDX-License-Identifier: MIT */
/* A job as clients see it: found by its row in media_jobs or its id in the queue, by who may see it. Workers
 * only. */
#ifndef API_JOB_VIEW_H
#define API_JOB_VIEW_H

#include "api/app.h"
#include "http/answer.h"
#include "media/jobs.h"
#include "queue/queue.h"

/* For descriptions of answers: a job, and one in a list, which has no log, and no result that is large. */
extern const struct field job_answer[];
extern const struct field job_in_list_answer[];

/* Finds a job: 0, -ENOENT (none, or not theirs), or negative errno. Of a media job whose run the queue keeps
 * no more, it is made from its row. */
int job_find(const struct app *app, const struct media_whose *whose, struct arena *a, struct queue_info *ret);

/* Whether it has ended. */
bool job_is_over(const struct queue_info *info);

/* As JSON, a new reference, NULL without memory. log: NULL leaves it out. */
json_t *job_describe(const struct queue_info *info, json_t *log);

/* With its log, as an object: 0 with a new reference, or negative errno. */
int job_show(const struct app *app, const struct queue_info *info, struct arena *a, json_t **ret);

#endif
