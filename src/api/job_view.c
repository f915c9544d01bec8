/* SPDX-License-Identifier: MIT */
#include "api/job_view.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define LOG_SHOWN 200 /* newest lines */

/* clang-format off */
#define JOB_MEMBERS \
    HAS_STR("id"), HAS_STR("bullJobId"), HAS_STR("queue", CHOICES("media-jobs|scrape-jobs|onboarding-jobs")), \
    HAS_STR("operation"), HAS_STR("state", CHOICES(JOB_STATE_CHOICES)), HAS_INT("progress"), HAS_INT("attempts"), \
    HAS_ANY("result", MAY_BE_NULL), HAS_STR("error", MAY_BE_NULL), HAS_TIME("createdAt", MAY_BE_NULL), \
    HAS_TIME("startedAt", MAY_BE_NULL), HAS_TIME("finishedAt", MAY_BE_NULL)
#define JOB_STATE_CHOICES "waiting|prioritized|delayed|active|completed|failed"

static const struct field log_line[] = {HAS_STR(""), FIELD_END};
const struct field job_answer[] = {JOB_MEMBERS, HAS_LIST("log", log_line), FIELD_END};
const struct field job_in_list_answer[] = {JOB_MEMBERS, HAS_BOOL("resultOmitted", MAY_BE_ABSENT), FIELD_END};
/* clang-format on */

/* ---- finding */

static enum job_state state_of(const char *status)
{
    static const struct {
        const char *status;
        enum job_state state;
    } states[] = {
        {"processing", JOB_ACTIVE},
        {"completed", JOB_COMPLETED},
        {"failed", JOB_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (str_equal(status, states[i].status))
            return states[i].state;
    return JOB_WAITING;
}

static void view_row(const struct media_row *row, struct queue_info *ret)
{
    *ret = (struct queue_info){
        .id = row->run_id,
        .operation = row->operation,
        .queue = QUEUE_MEDIA,
        .state = state_of(row->status),
        .progress = (int)row->progress,
        .attempts = (int)row->retry_count + (row->started_at != NULL),
        .result = row->result,
        .error = row->error,
        .created_at = row->created_at,
        .started_at = row->started_at,
        .finished_at = row->completed_at,
    };
}

/* By its row: 0, or -ENOENT where it has none, or never ran. */
static int find_by_row(const struct app *app, const struct media_whose *whose, struct arena *a,
                       struct queue_info *ret)
{
    struct media_row row;
    int r = media_row_load(app->db, whose, a, &row);
    if (r <= 0 || !row.run_id)
        return r < 0 ? r : -ENOENT;
    r = queue_look(app->queue, row.run_id, a, ret);
    if (r == -ENOENT) {
        view_row(&row, ret);
        r = 0;
    }
    if (r < 0)
        return r;
    ret->user_id = arena_strdup(a, row.user_id);
    ret->media_job_id = arena_strdup(a, row.id);
    return ret->user_id && ret->media_job_id ? 0 : -ENOMEM;
}

static int find_by_run(const struct app *app, const struct media_whose *whose, struct arena *a,
                       struct queue_info *ret)
{
    int r = strlen(whose->id) <= QUEUE_ID_MAX ? queue_look(app->queue, whose->id, a, ret) : -ENOENT;
    if (r < 0)
        return r;
    return whose->any || str_equal_nocase(ret->user_id, whose->user_id) ? 0 : -ENOENT;
}

int job_find(const struct app *app, const struct media_whose *whose, struct arena *a, struct queue_info *ret)
{
    int r = uuid_valid(whose->id) ? -ENOENT : find_by_run(app, whose, a, ret);
    return r == -ENOENT ? find_by_row(app, whose, a, ret) : r;
}

bool job_is_over(const struct queue_info *info)
{
    return info->state == JOB_COMPLETED || info->state == JOB_FAILED;
}

/* ---- showing */

static json_t *parsed(const char *text)
{
    json_t *value = text ? json_parse_own(text, strlen(text)) : NULL;
    return value ? value : json_null();
}

json_t *job_describe(const struct queue_info *info, json_t *log)
{
    const char *id = info->media_job_id ? info->media_job_id : info->id;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:s?, s:o*, s:o*, s:s?, s:s?, s:s?}", "id", id,
                     "bullJobId", info->id, "queue", queue_name_text(info->queue), "operation",
                     info->operation, "state", job_state_text(info->state), "progress", info->progress,
                     "attempts", info->attempts, "result", parsed(info->result), "error", info->error,
                     "resultOmitted", info->result_omitted ? json_true() : NULL, "log", log, "createdAt",
                     info->created_at, "startedAt", info->started_at, "finishedAt", info->finished_at);
}

int job_show(const struct app *app, const struct queue_info *info, struct arena *a, json_t **ret)
{
    struct queue_line *lines = NULL;
    size_t n = 0;
    int r = queue_log_lines(app->queue, info->id, a, LOG_SHOWN, &lines, &n);
    if (r < 0)
        return r;
    json_t *log = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(log, json_string(lines[i].text));
    *ret = log ? job_describe(info, log) : NULL;
    return *ret ? 0 : -ENOMEM;
}
