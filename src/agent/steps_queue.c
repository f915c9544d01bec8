/* SPDX-License-Identifier: MIT */
/* bullmq_enqueue: a job for one of the user's own files or profiles, by the rules of the API. It gives back
 * at once, with the ids by which the job is followed; what comes of the job is not waited for.
 *
 * A media operation that fetches from another host, and every scrape job, needs a flow whose row allows side
 * effects. Posts are published by their time alone, and exports by their upload: those jobs can't be made
 * here. */
#include "agent/steps.h"

#include "base/text.h"
#include "base/uuid.h"
#include "items/items.h"
#include "media/jobs.h"
#include "queue/queue.h"

#include <errno.h>
#include <string.h>

#define JOB_ARENA_MAX ((size_t)1024 * 1024)
#define JOB_ID_SIZE (sizeof "scrape-" + UUID_SIZE)

static int give(json_t **ret, const char *queue, const char *job_id, const char *run_id,
                const char *operation)
{
    *ret = json_pack("{s:s, s:s, s:s, s:s, s:s}", "queue", queue, "jobId", job_id, "bullJobId", run_id,
                     "operation", operation, "status", "queued");
    return *ret ? 0 : -ENOMEM;
}

static int store_fail(struct step_run *run, int r)
{
    return step_fail(run, r, "The data store is unavailable, try again shortly");
}

/* ---- media-jobs */

static const char *const job_members[] = {"input_file_id", "input_url", "creator_profile_id", "priority"};

static bool is_job_member(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(job_members); i++)
        if (strcmp(job_members[i], key) == 0)
            return true;
    return false;
}

/* The operation's own params: what is left of them without the job's members. */
static json_t *own_params(const json_t *given)
{
    json_t *params = json_object(), *value;
    const char *key;
    json_object_foreach ((json_t *)(uintptr_t)given, key, value)
        if (!is_job_member(key))
            (void)json_object_set(params, key, value);
    return params;
}

static int fail_media(struct step_run *run, const struct media_answer *answer)
{
    char sentence[QUOTA_SENTENCE_SIZE];
    if (answer->error == ERR_TIER_LIMIT) {
        quota_sentence(&answer->quota, sentence);
        return step_fail(run, -EDQUOT, "%s", sentence);
    }
    const char *why = answer->sentence[0] ? answer->sentence : error_info(answer->error)->sentence;
    if (answer->field[0])
        return step_fail(run, -EINVAL, "%s: %s", answer->field, why);
    return step_fail(run, -EINVAL, "%s", why);
}

static const char *id_of(const json_t *given, const char *key)
{
    const char *id = json_str(given, key, NULL);
    return id && id[0] ? id : NULL;
}

static int enqueue_media(struct step_run *run, const json_t *config, json_t **ret)
{
    const json_t *given = json_object_get(config, "params");
    _cleanup_json_ json_t *params = own_params(given);
    struct media_answer answer;
    struct media_ask ask = {.user_id = run->who->user_id,
                            .operation = json_str(config, "operation", ""),
                            .input_file_id = id_of(given, "input_file_id"),
                            .input_url = id_of(given, "input_url"),
                            .creator_profile_id = id_of(given, "creator_profile_id"),
                            .params = params,
                            .priority = json_int(given, "priority", MEDIA_PRIORITY_DEFAULT)};
    struct arena a;
    if (ask.priority < 0 || ask.priority > MEDIA_PRIORITY_MAX)
        return step_fail(run, -EINVAL, "\"priority\" must lie between 0 and %d", MEDIA_PRIORITY_MAX);
    if (ask.input_url && !run->side_effects)
        return step_fail(run, -EACCES, "This flow may not fetch anything from another host");
    arena_init(&a, JOB_ARENA_MAX);
    int r = params ? media_enqueue(run->env->media, &ask, &a, &answer) : -ENOMEM;
    arena_free(&a);
    if (r < 0)
        return store_fail(run, r);
    if (answer.error != ERR_NONE)
        return fail_media(run, &answer);
    return give(ret, "media-jobs", answer.job_id, answer.run_id, ask.operation);
}

/* ---- scrape-jobs */

/* What of the params names the row that the job is about, and of which collection. */
static const struct scrape_kind {
    const char *operation, *member, *collection;
} scrape_kinds[] = {
    {"scrape_profile", "creator_profile_id", "creator_profiles"},
    {"scrape_post_performance", "post_id", "scheduled_posts"},
};

static const struct scrape_kind *scrape_kind_find(const char *operation)
{
    for (size_t i = 0; i < ARRAY_LEN(scrape_kinds); i++)
        if (strcmp(scrape_kinds[i].operation, operation) == 0)
            return &scrape_kinds[i];
    return NULL;
}

struct scrape_adding {
    struct queue *queue;
    struct queue_add job;
};

static int add_unit(struct db_conn *c, void *arg)
{
    const struct scrape_adding *s = arg;
    return queue_add_in(s->queue, c, &s->job);
}

static int add_scrape(struct step_run *run, const struct scrape_kind *kind, const json_t *given,
                      const char *id)
{
    struct queue *queue = run->env->media->queue;
    _cleanup_json_ json_t *data = json_pack(
        "{s:s, s:s, s:s, s:O, s:s?}", "jobId", id, "operation", kind->operation, "user_id", run->who->user_id,
        "params", given, "creator_profile_id", json_str(given, "creator_profile_id", NULL));
    _cleanup_free_ char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
    struct scrape_adding s = {.queue = queue,
                              .job = {.id = id,
                                      .queue = QUEUE_SCRAPE,
                                      .operation = kind->operation,
                                      .user_id = run->who->user_id,
                                      .data = text,
                                      .priority = QUEUE_PRIORITY_DEFAULT}};
    if (!text)
        return store_fail(run, -ENOMEM);
    int r = queue_ready(queue);
    if (r < 0)
        return step_fail(run, r, "%s", error_info(ERR_QUEUE_UNAVAILABLE)->sentence);
    r = db_write(run->env->db, add_unit, &s);
    if (r == -EINVAL)
        return step_fail(run, r, "\"params\" is too large");
    if (r < 0)
        return store_fail(run, r);
    r = queue_confirm(queue, id);
    return r < 0 ? step_fail(run, r, "%s", error_info(ERR_QUEUE_UNCONFIRMED)->sentence) : 0;
}

static int enqueue_scrape(struct step_run *run, const json_t *config, json_t **ret)
{
    const json_t *given = json_object_get(config, "params");
    const char *operation = json_str(config, "operation", "");
    const struct scrape_kind *kind = scrape_kind_find(operation);
    char id[JOB_ID_SIZE] = "scrape-";
    if (!run->side_effects)
        return step_fail(run, -EACCES, "This flow may not reach another host");
    if (!kind)
        return step_fail(run, -EINVAL, "There is no operation \"%.40s\" of scrape-jobs for flows", operation);
    const char *row = json_str(given, kind->member, NULL);
    if (!row)
        return step_fail(run, -EINVAL, "%s needs \"%s\" in its params", kind->operation, kind->member);
    int r = items_own(run->env->db, run->who, kind->collection, row);
    if (r < 0)
        return r == -ENOENT ? step_fail(run, r, "%s: There is no such row", kind->member)
                            : store_fail(run, r);
    uuid_make(id + strlen("scrape-"));
    r = add_scrape(run, kind, given, id);
    return r < 0 ? r : give(ret, "scrape-jobs", id, id, kind->operation);
}

int step_bullmq_enqueue(struct step_run *run, const json_t *config, json_t **ret)
{
    const char *queue = json_str(config, "queue", "");
    if (!run->env->media)
        return step_unavailable(run, "this installation runs no job queue");
    if (strcmp(queue, "media-jobs") == 0)
        return enqueue_media(run, config, ret);
    if (strcmp(queue, "scrape-jobs") == 0)
        return enqueue_scrape(run, config, ret);
    return step_fail(run, -EINVAL, "Flows can't add jobs to a queue \"%.40s\"", queue);
}
