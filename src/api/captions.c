/* SPDX-License-Identifier: MIT */
/* /api/captions/generate. Units are reserved before the model is asked, and kept in the unit that keeps the
 * idempotent answer: as many as there are captions. If the server dies meanwhile, the lease gives them back.
 */
#include "agent/captions.h"

#include "api/app.h"
#include "api/items_reply.h"
#include "api/quota_reply.h"
#include "api/routes.h"
#include "base/log.h"
#include "base/text.h"
#include "base/uuid.h"
#include "limits/idempotency.h"
#include "llm/llm.h"

#include <errno.h>
#include <string.h>

/* All captions of a request together; far below the lease of its units and of its idempotency key. */
#define WORK_MAX_MS (5 * 60 * 1000)
#define LEASE_MS (15 * 60 * 1000)

#define TOPIC_MAX 1000
#define NAME_MAX_BYTES 255
#define TONE_MAX 64

struct caption_body {
    const char *platform, *tone, *topic, *length, *platform_username;
    int64_t n;
};

/* clang-format off */
static const struct field caption_fields[] = {
    FIELD_STR(caption_body, platform, "platform",
              CHOICES("onlyfans|fansly|x|reddit|tiktok|instagram|youtube|snapchat")),
    FIELD_STR(caption_body, tone, "tone", MAX_LEN(TONE_MAX)),
    FIELD_STR(caption_body, topic, "topic", MAX_LEN(TOPIC_MAX)),
    FIELD_STR(caption_body, length, "length", CHOICES("short|medium|long")),
    FIELD_STR(caption_body, platform_username, "platform_username", MAX_LEN(NAME_MAX_BYTES)),
    FIELD_INT(caption_body, n, "n", RANGE(1, CAPTIONS_MAX), DEFAULT(1)),
    FIELD_END
};
/* clang-format on */

static const struct field text_item[] = {HAS_STR(""), FIELD_END};
static const struct field caption_answer[] = {
    HAS_BOOL("ok"),
    HAS_STR("caption"),
    HAS_STR("model"),
    HAS_STR("platform"),
    HAS_LIST("captions", text_item, MAY_BE_ABSENT),
    FIELD_END,
};

static const char *or_default(const char *given, const char *fallback)
{
    return given && !str_is_blank(given) ? given : fallback;
}

/* One request on its way. */
struct work {
    struct request *rq;
    struct llm_model model;
    struct caption_ask ask;
    char hold[UUID_SIZE];
    const char *captions[CAPTIONS_MAX];
    int n;
    json_t *answer;
};

/* The creator's voice, where there is a persona. The texts live as long as *ret_row. */
static int read_persona(struct request *rq, struct caption_ask *ask, json_t **ret_rows)
{
    struct identity owner = items_as_owner(rq);
    struct items_error error;
    struct items_query q = {.limit = 1};
    int r = items_read(rq->app->db, &owner, "user_personas", &q, ret_rows, NULL, &error);
    if (r < 0)
        return r;
    const json_t *persona = json_array_get(*ret_rows, 0);
    ask->voice = json_str(persona, "voice", NULL);
    ask->summary = json_str(persona, "summary", NULL);
    return 0;
}

static void read_ask(const struct caption_body *in, struct caption_ask *ask)
{
    ask->platform = platform_find(or_default(in->platform, "onlyfans"));
    ask->length = caption_length_find(or_default(in->length, "medium"));
    ask->tone = or_default(in->tone, "playful");
    ask->topic = or_default(in->topic, "new content drop");
    ask->username = in->platform_username;
    ask->n = (int)in->n;
}

static json_t *make_answer(const struct work *w)
{
    json_t *answer = json_pack("{s:b, s:s, s:s, s:s}", "ok", 1, "caption", w->captions[0], "model",
                               w->model.name, "platform", w->ask.platform->name);
    json_t *all = w->ask.n > 1 ? json_array() : NULL;
    for (int i = 0; all && i < w->n; i++)
        (void)json_array_append_new(all, json_string(w->captions[i]));
    if (answer && all && json_object_set_new(answer, "captions", all) == 0)
        return answer;
    if (w->ask.n == 1)
        return answer;
    json_decref(answer);
    return NULL;
}

static reply refuse(struct request *rq, int r)
{
    switch (r) {
    case -EBUSY:
        return reply_error(rq, ERR_MODEL_BUSY, NULL);
    case -ETIMEDOUT:
        return reply_error(rq, ERR_UPSTREAM_TIMEOUT, NULL);
    case -EIO:
        return reply_error(rq, ERR_UPSTREAM_FAILED, NULL);
    default: /* no memory, or the server ends */
        return reply_error(rq, ERR_OVERLOADED, NULL);
    }
}

static int settle_unit(struct db_conn *c, void *arg)
{
    const struct work *w = arg;
    int r = quota_settle_in(c, w->hold, w->n);
    return r < 0 ? r : idempotency_settle_unit(c, w->rq->claim, 200, w->answer);
}

/* What can't be given back now goes back when the lease ends. */
static void give_back(const struct work *w)
{
    const struct app *app = w->rq->app;
    int r = quota_settle(app->quota, w->rq->who->user_id, w->hold, QUOTA_RETURN_ALL);
    if (r < 0)
        (void)log_error(r, "captions: units go back when their lease ends");
}

/* Nothing is delivered that wasn't counted. */
static reply deliver(struct work *w)
{
    struct request *rq = w->rq;
    w->answer = make_answer(w);
    int r = w->answer ? db_write(rq->app->db, settle_unit, w) : -ENOMEM;
    quota_forget(rq->app->quota, rq->who->user_id);
    if (r >= 0)
        return reply_value(rq, 200, w->answer);
    json_decref(w->answer);
    give_back(w);
    return r == -ENOMEM ? reply_error(rq, ERR_OVERLOADED, NULL) : reply_store_error(rq, r);
}

static reply write_captions(struct work *w)
{
    struct app *app = w->rq->app;
    struct cancel cancel = {.deadline_ms = clock_monotonic_ms() + WORK_MAX_MS, .parent = app->model_stop};
    w->n = captions_write(app->llm, &w->model, &w->ask, &cancel, &w->rq->arena, w->captions);
    if (w->n > 0)
        return deliver(w);
    give_back(w);
    return refuse(w->rq, w->n);
}

static reply generate(struct request *rq)
{
    struct app *app = rq->app;
    struct work w = {.rq = rq};
    struct quota_outcome outcome;
    _cleanup_json_ json_t *persona = NULL;
    w.model = llm_choose(app->llm, LLM_WRITER, rq->who->admin && !rq->who->impersonated_by);
    if (w.model.provider == LLM_EXTRACTIVE)
        return reply_error(rq, ERR_MODEL_UNAVAILABLE, NULL);
    read_ask(rq->body, &w.ask);
    int r = read_persona(rq, &w.ask, &persona);
    if (r < 0)
        return reply_store_error(rq, r);
    struct quota_ask ask = {.user_id = rq->who->user_id, .feature = FEATURE_CAPTIONS, .amount = w.ask.n};
    uuid_make(w.hold);
    if (quota_reserve(app->quota, &ask, w.hold, LEASE_MS, &outcome) < 0)
        quota_fail(app->quota, ask.feature, &outcome);
    if (!outcome.allowed)
        return reply_quota_refused(rq, &outcome);
    return write_captions(&w);
}

/* clang-format off */
const struct route captions_routes[] = {
    { HTTP_POST, "/api/captions/generate", AUTH_USER, WRITES, MODEL, generate, BODY(caption_body, caption_fields),
      "Write captions in one's own voice", .answer = ANSWER(caption_answer), .idempotent = true },
    ROUTES_END
};
/* clang-format on */
