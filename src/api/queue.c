/* SPDX-License-Identifier: MIT */
/* /api/queue: depths of the queues, and one's own jobs. The rules of media jobs stand in media/jobs.h; here
 * is only their form over HTTP. */
#include "queue/queue.h"

#include "api/app.h"
#include "api/job_view.h"
#include "api/job_watch.h"
#include "api/quota_reply.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "limits/idempotency.h"
#include "media/jobs.h"
#include "taxonomy/taxonomy.h"

#include <errno.h>
#include <string.h>

#define LIMIT_MAX 200
#define LIMIT_DEFAULT 50
#define OFFSET_MAX 1000000
#define OPERATION_MAX 64
#define URL_MAX_BYTES 2048

struct media_body {
    const char *job_id, *operation, *input_file_id, *input_url, *creator_profile_id;
    const json_t *params;
    int64_t priority;
};

struct jobs_query {
    const char *state, *queue;
    int64_t limit, offset;
};

/* clang-format off */
static const struct field media_fields[] = {
    FIELD_UUID(media_body, job_id, "jobId", REQUIRED),
    FIELD_STR(media_body, operation, "operation", REQUIRED, MAX_LEN(OPERATION_MAX)),
    FIELD_UUID(media_body, input_file_id, "input_file_id", ALIAS("inputFileId")),
    FIELD_STR(media_body, input_url, "input_url", ALIAS("inputUrl"), MAX_LEN(URL_MAX_BYTES)),
    FIELD_UUID(media_body, creator_profile_id, "creator_profile_id", ALIAS("creatorProfileId")),
    FIELD_OBJECT(media_body, params, "params"),
    FIELD_INT(media_body, priority, "priority", DEFAULT(MEDIA_PRIORITY_DEFAULT), RANGE(0, MEDIA_PRIORITY_MAX)),
    FIELD_END
};

static const struct field jobs_fields[] = {
    FIELD_STR(jobs_query, state, "state", CHOICES("waiting|prioritized|delayed|active|completed|failed")),
    FIELD_STR(jobs_query, queue, "queue", CHOICES("media-jobs|scrape-jobs|onboarding-jobs")),
    FIELD_INT(jobs_query, limit, "limit", RANGE(1, LIMIT_MAX), DEFAULT(LIMIT_DEFAULT)),
    FIELD_INT(jobs_query, offset, "offset", RANGE(0, OFFSET_MAX)),
    FIELD_END
};

static const struct field counts_answer[] = {
    HAS_INT("waiting"), HAS_INT("active"), HAS_INT("completed"), HAS_INT("failed"), HAS_INT("delayed"), FIELD_END
};
static const struct field stats_members[] = {
    HAS_OBJECT("media-jobs", counts_answer), HAS_OBJECT("scrape-jobs", counts_answer),
    HAS_OBJECT("onboarding-jobs", counts_answer), FIELD_END
};
static const struct field cache_members[] = {HAS_INT("hits"), HAS_INT("misses"), HAS_INT("size"), FIELD_END};
static const struct field stats_answer[] = {
    HAS_BOOL("ok"), HAS_OBJECT("stats", stats_members), HAS_OBJECT("taxonomy_cache", cache_members), FIELD_END
};
static const struct field queued_answer[] = {HAS_BOOL("ok"), HAS_STR("bullJobId"), HAS_UUID("jobId"), FIELD_END};
static const struct field retried_answer[] = {
    HAS_BOOL("ok"), HAS_STR("bullJobId"), HAS_UUID("jobId"), HAS_INT("priority"), FIELD_END
};
static const struct field show_answer[] = {HAS_BOOL("ok"), HAS_OBJECT("job", job_answer), FIELD_END};
static const struct field list_answer[] = {HAS_BOOL("ok"), HAS_LIST("jobs", job_in_list_answer), FIELD_END};
/* clang-format on */

/* Redis down and the store down are different things to who asks. */
static reply reply_queue_error(struct request *rq, int r)
{
    if (r != -ECONNREFUSED && r != -ECONNRESET)
        return reply_store_error(rq, r);
    reply_header(rq, "Retry-After", "5");
    return reply_error(rq, ERR_QUEUE_UNAVAILABLE, "The job queue can't be reached, try again shortly");
}

/* ---- how many there are */

static json_t *describe_counts(const struct queue_counts *counts)
{
    const int64_t *n = counts->state;
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "waiting",
                     (json_int_t)(n[JOB_WAITING] + n[JOB_PRIORITIZED]), "active", (json_int_t)n[JOB_ACTIVE],
                     "completed", (json_int_t)n[JOB_COMPLETED], "failed", (json_int_t)n[JOB_FAILED],
                     "delayed", (json_int_t)n[JOB_DELAYED]);
}

static reply stats(struct request *rq)
{
    struct queue_counts counts[QUEUES];
    struct taxonomy_cache_stats cache;
    int r = queue_count(rq->app->queue, counts);
    if (r < 0)
        return reply_queue_error(rq, r);
    json_t *all = json_object();
    for (int q = 0; q < QUEUES; q++)
        (void)json_object_set_new(all, queue_name_text(q), describe_counts(&counts[q]));
    taxonomy_cache_stats(rq->app->taxonomy, &cache);
    return reply_json(rq, 200, "{s:b, s:o, s:{s:I, s:I, s:I}}", "ok", 1, "stats", all, "taxonomy_cache",
                      "hits", (json_int_t)cache.hits, "misses", (json_int_t)cache.misses, "size",
                      (json_int_t)cache.size);
}

/* ---- adding */

struct settling {
    const struct idempotency_claim *claim;
    json_t *(*answer)(const struct media_answer *answer);
};

static json_t *queued(const struct media_answer *answer)
{
    return json_pack("{s:b, s:s, s:s}", "ok", 1, "bullJobId", answer->run_id, "jobId", answer->job_id);
}

static json_t *retried(const struct media_answer *answer)
{
    return json_pack("{s:b, s:s, s:s, s:i}", "ok", 1, "bullJobId", answer->run_id, "jobId", answer->job_id,
                     "priority", MEDIA_PRIORITY_RETRY);
}

static int settle(struct db_conn *c, const struct media_answer *answer, void *arg)
{
    const struct settling *s = arg;
    if (!s->claim)
        return 0;
    _cleanup_json_ json_t *body = s->answer(answer);
    return body ? idempotency_settle_unit(c, s->claim, 200, body) : -ENOMEM;
}

static reply reply_queued(struct request *rq, int r, const struct media_answer *answer,
                          const struct settling *s)
{
    if (r < 0)
        return reply_store_error(rq, r);
    if (answer->error == ERR_TIER_LIMIT)
        return reply_quota_refused(rq, &answer->quota);
    if (answer->error == ERR_QUEUE_UNAVAILABLE || answer->error == ERR_QUEUE_UNCONFIRMED)
        reply_header(rq, "Retry-After", "5");
    if (answer->error == ERR_NONE)
        return reply_value(rq, 200, s->answer(answer));
    const char *field = answer->field[0] ? arena_strdup(&rq->arena, answer->field) : NULL;
    const char *sentence = answer->sentence[0] ? arena_strdup(&rq->arena, answer->sentence) : NULL;
    return reply_field_error(rq, answer->error, field, sentence);
}

static reply add_media(struct request *rq)
{
    const struct media_body *in = rq->body;
    struct settling s = {rq->claim, queued};
    struct media_answer answer;
    struct media_ask ask = {.user_id = rq->who->user_id,
                            .job_id = in->job_id,
                            .operation = in->operation,
                            .input_file_id = in->input_file_id,
                            .input_url = in->input_url,
                            .creator_profile_id = in->creator_profile_id,
                            .params = in->params,
                            .priority = in->priority,
                            .also = settle,
                            .arg = &s};
    int r = media_enqueue(rq->app->media, &ask, &rq->arena, &answer);
    return reply_queued(rq, r, &answer, &s);
}

/* ---- one's own */

/* Who asks for the job in the path; an impersonated admin's rights don't reach others' jobs. */
static struct media_whose whose(struct request *rq)
{
    return (struct media_whose){
        .user_id = rq->who->user_id, .any = rq->who->admin && !rq->who->impersonated_by, .id = rq->params[0]};
}

static reply no_job(struct request *rq)
{
    return reply_field_error(rq, ERR_NOT_FOUND, "jobId", "There is no such job");
}

static reply refuse(struct request *rq, int r)
{
    return r == -ENOENT ? no_job(rq) : reply_queue_error(rq, r);
}

static reply retry(struct request *rq)
{
    struct media_whose who = whose(rq);
    struct settling s = {rq->claim, retried};
    struct media_answer answer;
    struct queue_info info;
    int r = job_find(rq->app, &who, &rq->arena, &info);
    if (r == 0 && info.queue != QUEUE_MEDIA)
        return reply_field_error(rq, ERR_JOB_NOT_FAILED, "jobId", "Only media jobs can be tried again");
    if (r < 0 && r != -ENOENT)
        return reply_queue_error(rq, r);
    if (r == 0 && info.media_job_id) /* by an earlier run, too */
        who.id = info.media_job_id;
    r = media_retry(rq->app->media, &who, settle, &s, &rq->arena, &answer);
    return reply_queued(rq, r, &answer, &s);
}

static reply reply_job(struct request *rq, const struct queue_info *info)
{
    json_t *job = NULL;
    int r = job_show(rq->app, info, &rq->arena, &job);
    return r < 0 ? refuse(rq, r) : reply_json(rq, 200, "{s:b, s:o}", "ok", 1, "job", job);
}

static reply reply_watch(struct request *rq, const struct queue_info *info)
{
    _cleanup_(event_stream_unrefP) struct event_stream *stream = NULL;
    int r = job_watch(rq->app->watches, rq->who->user_id, info, &stream);
    if (r == -EBUSY) {
        reply_header(rq, "Retry-After", "5");
        return reply_error(rq, ERR_RATE_LIMITED, "As many jobs as a user may follow at a time are followed");
    }
    if (r < 0)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    return reply_events(rq, stream, 0);
}

static reply show(struct request *rq)
{
    struct media_whose who = whose(rq);
    struct queue_info info;
    int r = job_find(rq->app, &who, &rq->arena, &info);
    if (r < 0)
        return refuse(rq, r);
    return request_wants_events(rq) ? reply_watch(rq, &info) : reply_job(rq, &info);
}

static reply cancel(struct request *rq)
{
    struct media_whose who = whose(rq);
    struct queue_info info;
    enum queue_cancelled how;
    int r = job_find(rq->app, &who, &rq->arena, &info);
    if (r == 0 && job_is_over(&info))
        return reply_field_error(rq, ERR_JOB_ENDED, "jobId", NULL);
    if (r == 0)
        r = queue_cancel(rq->app->queue, info.id, &how);
    if (r < 0)
        return refuse(rq, r);
    if (info.user_id)
        quota_forget(rq->app->quota, info.user_id);
    if (how == QUEUE_CANCEL_OVER)
        return reply_field_error(rq, ERR_JOB_ENDED, "jobId", NULL);
    r = job_find(rq->app, &who, &rq->arena, &info);
    return r < 0 ? refuse(rq, r) : reply_job(rq, &info);
}

static reply list(struct request *rq)
{
    const struct jobs_query *in = rq->query;
    struct queue_filter filter = {
        .user_id = rq->who->user_id, .queue = -1, .state = -1, .limit = in->limit, .offset = in->offset};
    enum queue_name queue;
    enum job_state state;
    struct queue_info *jobs;
    size_t n = 0;
    if (in->queue && queue_name_parse(in->queue, &queue) == 0)
        filter.queue = queue;
    if (in->state && job_state_parse(in->state, &state) == 0)
        filter.state = state;
    int r = queue_list(rq->app->queue, &filter, &rq->arena, &jobs, &n);
    if (r < 0)
        return reply_queue_error(rq, r);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(all, job_describe(&jobs[i], NULL));
    return reply_json(rq, 200, "{s:b, s:o}", "ok", 1, "jobs", all);
}

/* clang-format off */
const struct route queue_routes[] = {
    { HTTP_GET,    "/api/queue/stats",        AUTH_USER, READS,  BLOCKING, stats,     NO_BODY,
      "How many jobs are in each queue, and how the taxonomy's cache does", .answer = ANSWER(stats_answer) },
    { HTTP_POST,   "/api/queue/media",        AUTH_USER, WRITES, BLOCKING, add_media, BODY(media_body, media_fields),
      "Enqueue a media job", .answer = ANSWER(queued_answer), .idempotent = true },
    { HTTP_POST,   "/api/queue/retry/:jobId", AUTH_USER, WRITES, BLOCKING, retry,     NO_BODY,
      "Try a failed media job again", .answer = ANSWER(retried_answer), .idempotent = true },
    { HTTP_GET,    "/api/queue/jobs",         AUTH_USER, READS,  BLOCKING, list,      NO_BODY,
      "One's jobs, newest first", .query = QUERY(jobs_query, jobs_fields), .answer = ANSWER(list_answer) },
    { HTTP_GET,    "/api/queue/jobs/:jobId",  AUTH_USER, READS,  BLOCKING, show,      NO_BODY,
      "A job; as events, each change of it until it ends", .answer = ANSWER_OR_EVENTS(show_answer) },
    { HTTP_DELETE, "/api/queue/jobs/:jobId",  AUTH_USER, WRITES, BLOCKING, cancel,    NO_BODY,
      "Cancel a job", .answer = ANSWER(show_answer) },
    ROUTES_END
};
/* clang-format on */
