/* SPDX-License-Identifier: MIT */
/* /api/goose: administrators run the Goose CLI. One path with an action in the body; which fields an action
 * needs stands in its row. A run is answered at once, or followed as events where the client accepts those.
 */
#include "goose/goose.h"

#include "api/app.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "base/text.h"
#include "limits/idempotency.h"

#include <errno.h>
#include <string.h>

#define TIMEOUT_DEFAULT_S 300
#define TIMEOUT_MOST_S 3600
#define RECIPE_NAME_MAX 64

struct goose_body {
    const char *action, *instructions, *recipe, *run_id;
    int64_t timeout_s;
};

/* clang-format off */
static const struct field goose_fields[] = {
    FIELD_STR(goose_body, action, "action", REQUIRED, CHOICES("status|run|sessions|logs|cancel")),
    FIELD_STR(goose_body, instructions, "instructions", MAX_LEN(GOOSE_INSTRUCTIONS_MAX)),
    FIELD_STR(goose_body, recipe, "recipe", MIN_LEN(1), MAX_LEN(RECIPE_NAME_MAX), CHARSET("A-Za-z0-9_-")),
    FIELD_INT(goose_body, timeout_s, "timeout_s", DEFAULT(TIMEOUT_DEFAULT_S), RANGE(1, TIMEOUT_MOST_S)),
    FIELD_UUID(goose_body, run_id, "runId", ALIAS("run_id")),
    FIELD_END
};

static const struct field run_answer[] = {
    HAS_UUID("id"), HAS_UUID("user_id", MAY_BE_NULL), HAS_STR("instructions"), HAS_STR("recipe", MAY_BE_NULL),
    HAS_STR("status", CHOICES("running|completed|failed|cancelled")), HAS_INT("exit_code", MAY_BE_NULL),
    HAS_STR("error", MAY_BE_NULL), HAS_INT("timeout_s"), HAS_TIME("started_at", MAY_BE_NULL),
    HAS_TIME("finished_at", MAY_BE_NULL), HAS_UUID("cancelled_by", MAY_BE_NULL), HAS_INT("output_bytes"),
    HAS_STR("output", MAY_BE_ABSENT), FIELD_END
};

/* Each action has members of its own. */
static const struct field goose_answer[] = {
    HAS_BOOL("ok"), HAS_BOOL("available", MAY_BE_ABSENT), HAS_STR("version", MAY_BE_ABSENT, MAY_BE_NULL),
    HAS_INT("max_runs", MAY_BE_ABSENT), HAS_LIST("runs", run_answer, MAY_BE_ABSENT),
    HAS_OBJECT("run", run_answer, MAY_BE_ABSENT), HAS_ANY("sessions", MAY_BE_ABSENT), FIELD_END
};
/* clang-format on */

/* ---- answers */

static const struct {
    enum error_id error;
    const char *field, *sentence;
} refusals[] = {
    [GOOSE_UNAVAILABLE] = {ERR_GOOSE_UNAVAILABLE, NULL, NULL},
    [GOOSE_BUSY] = {ERR_GOOSE_BUSY, NULL, NULL},
    [GOOSE_NO_RECIPE] = {ERR_NOT_FOUND, "recipe", "There is no such recipe"},
    [GOOSE_BAD_RECIPE] = {ERR_INVALID_FIELD, "recipe", "This recipe is no JSON object of at most 256 KiB"},
    [GOOSE_NOT_RUNNING] = {ERR_CONFLICT, "runId", "This run has ended"},
    [GOOSE_NO_RUN] = {ERR_NOT_FOUND, "runId", "There is no such run"},
    [GOOSE_FAILED] = {ERR_GOOSE_FAILED, NULL, NULL},
    [GOOSE_STOPPING] = {ERR_OVERLOADED, NULL, "The server is about to stop"},
};

/* An outcome, or a negative errno of the store or the file system. */
static reply refuse(struct request *rq, int r)
{
    if (r == -ENOSPC || r == -EDQUOT)
        return reply_error(rq, ERR_STORAGE_FULL, NULL);
    if (r < 0)
        return reply_store_error(rq, r);
    return reply_field_error(rq, refusals[r].error, refusals[r].field, refusals[r].sentence);
}

static json_t *describe(const struct goose_row *row)
{
    json_t *code = row->has_exit_code ? json_integer(row->exit_code) : json_null();
    json_t *run =
        json_pack("{s:s, s:s?, s:s, s:s?, s:s, s:o, s:s?, s:I, s:s?, s:s?, s:s?, s:I}", "id", row->id,
                  "user_id", row->user_id, "instructions", row->instructions, "recipe", row->recipe, "status",
                  row->status, "exit_code", code, "error", row->error, "timeout_s",
                  (json_int_t)row->timeout_s, "started_at", row->started_at, "finished_at", row->finished_at,
                  "cancelled_by", row->cancelled_by, "output_bytes", (json_int_t)row->output_bytes);
    if (run && row->output)
        (void)json_object_set_new(run, "output", json_string(row->output));
    return run;
}

static reply show_run(struct request *rq, const char *id, bool with_output)
{
    struct goose_row row;
    int r = goose_row_read(rq->app->db, id, &rq->arena, &row);
    if (r < 0)
        return refuse(rq, r == -ENOENT ? GOOSE_NO_RUN : r);
    if (!with_output)
        row.output = NULL;
    else if (!row.output)
        row.output = "";
    return reply_json(rq, 200, "{s:b, s:o}", "ok", 1, "run", describe(&row));
}

/* ---- actions */

static reply status(struct request *rq, const struct goose_body *in)
{
    (void)in;
    struct goose_row rows[GOOSE_RUNS_LISTED];
    char version[GOOSE_VERSION_SIZE];
    size_t n = 0;
    int r = goose_row_list(rq->app->db, &rq->arena, rows, &n);
    if (r < 0)
        return refuse(rq, r);
    bool available = goose_version(rq->app->goose, version);
    json_t *runs = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(runs, describe(&rows[i]));
    return reply_json(rq, 200, "{s:b, s:b, s:s?, s:I, s:o}", "ok", 1, "available", available, "version",
                      version[0] ? version : NULL, "max_runs", (json_int_t)rq->app->cfg->goose_max_runs,
                      "runs", runs);
}

/* A client that lost its connection sends its request again with the last event it saw: never a second run.
 */
static reply resume(struct request *rq, const char *last_event_id)
{
    char id[UUID_SIZE] = "";
    int64_t after = 0;
    _cleanup_(event_stream_unrefP) struct event_stream *stream = NULL;
    if (event_id_parse(last_event_id, id, &after) == 0 && id[0])
        stream = event_stream_find(rq->app->events, GOOSE_STREAM, id, rq->who->user_id);
    if (!stream)
        return reply_error(rq, ERR_NOT_FOUND, "There is no such stream to resume");
    return reply_events(rq, stream, after);
}

/* The answer to a repeat, in the unit that begins the run: a key never begins a second one, also where the
 * server dies before it has answered. */
static int settle_unit(struct db_conn *c, const char *run_id, void *arg)
{
    struct request *rq = arg;
    struct goose_row row;
    if (!rq->claim)
        return 0;
    int r = goose_row_read_in(c, run_id, &rq->arena, &row);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *answer = json_pack("{s:b, s:o}", "ok", 1, "run", describe(&row));
    return answer ? idempotency_settle_unit(c, rq->claim, 200, answer) : -ENOMEM;
}

static reply run(struct request *rq, const struct goose_body *in)
{
    const char *last_event_id = request_header(rq, "Last-Event-ID");
    if (last_event_id && last_event_id[0])
        return resume(rq, last_event_id);
    char id[UUID_SIZE];
    _cleanup_(event_stream_unrefP) struct event_stream *stream = NULL;
    struct goose_ask ask = {.user_id = rq->who->user_id,
                            .instructions = in->instructions,
                            .recipe = in->recipe,
                            .timeout_s = in->timeout_s,
                            .stream = request_wants_events(rq),
                            .also = settle_unit,
                            .arg = rq};
    int r = goose_run(rq->app->goose, &ask, id, &stream);
    if (r != GOOSE_OK)
        return refuse(rq, r);
    return stream ? reply_events(rq, stream, 0) : show_run(rq, id, false);
}

static reply sessions(struct request *rq, const struct goose_body *in)
{
    (void)in;
    json_t *found;
    int r = goose_sessions(rq->app->goose, &found);
    if (r != GOOSE_OK)
        return refuse(rq, r);
    return reply_json(rq, 200, "{s:b, s:o}", "ok", 1, "sessions", found);
}

static reply logs(struct request *rq, const struct goose_body *in)
{
    return show_run(rq, in->run_id, true);
}

static reply cancel(struct request *rq, const struct goose_body *in)
{
    int r = goose_cancel(rq->app->goose, in->run_id, rq->who->user_id);
    return r == GOOSE_OK ? show_run(rq, in->run_id, false) : refuse(rq, r);
}

/* ---- which of them */

static const struct action {
    const char *name;
    bool needs_instructions, needs_run;
    reply (*act)(struct request *rq, const struct goose_body *in);
} actions[] = {
    {"status", false, false, status}, {"run", true, false, run},       {"sessions", false, false, sessions},
    {"logs", false, true, logs},      {"cancel", false, true, cancel},
};

static reply goose(struct request *rq)
{
    struct goose_body *in = rq->body;
    const struct action *a = actions;
    while (strcmp(a->name, in->action) != 0) /* the descriptors let no other name in */
        a++;
    if (a->needs_instructions && (!in->instructions || str_is_blank(in->instructions)))
        return reply_field_error(rq, ERR_MISSING_FIELD, "instructions", NULL);
    if (a->needs_run && !in->run_id)
        return reply_field_error(rq, ERR_MISSING_FIELD, "runId", NULL);
    if (in->run_id) {
        char *id = arena_strdup(&rq->arena, in->run_id);
        if (!id)
            return reply_error(rq, ERR_OVERLOADED, NULL);
        str_lower(id);
        in->run_id = id;
    }
    return a->act(rq, in);
}

/* clang-format off */
const struct route goose_routes[] = {
    { HTTP_POST, "/api/goose", AUTH_ADMIN, WRITES, BLOCKING, goose, BODY(goose_body, goose_fields),
      "Run the Goose CLI, and look after its runs", .answer = ANSWER_OR_EVENTS(goose_answer), .idempotent = true },
    ROUTES_END
};
/* clang-format on */
