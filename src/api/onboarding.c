/* SPDX-License-Identifier: MIT */
/* /api/onboarding: the state machine, and the export that a creator uploads. An upload becomes a file, then a
 * waiting job and the state PROCESSING in one unit; what works on the job ends PROCESSING. */
#include "api/app.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "base/log.h"
#include "base/text.h"
#include "http/upload.h"
#include "items/items.h"
#include "limits/idempotency.h"
#include "onboarding/exports.h"
#include "onboarding/state.h"
#include "onboarding/zip_check.h"
#include "queue/queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct state_body {
    const char *state, *user_id;
};

static const struct field state_fields[] = {
    FIELD_STR(state_body, state, "state", REQUIRED, CHOICES(ONBOARDING_STATES)),
    FIELD_UUID(state_body, user_id, "userId", ALIAS("user_id")), FIELD_END};

/* ---- the state */

struct looking {
    const char *user_id;
    enum onboarding_state state;         /* out */
    bool has_job;                        /* out */
    char reason[ONBOARDING_REASON_SIZE]; /* out: why the last export came to nothing, or "" */
};

static int look_unit(struct db_conn *c, void *arg)
{
    struct looking *l = arg;
    int r = onboarding_read(c, l->user_id, &l->state, NULL);
    if (r >= 0)
        r = onboarding_has_job(c, l->user_id);
    l->has_job = r > 0;
    l->reason[0] = '\0';
    if (r >= 0)
        r = onboarding_read_reason(c, l->user_id, l->reason);
    return r < 0 ? r : 0;
}

static reply state_read(struct request *rq)
{
    struct looking l = {.user_id = rq->who->user_id};
    int r = db_read(rq->app->db, look_unit, &l);
    if (r < 0)
        return reply_store_error(rq, r);
    return reply_json(rq, 200, "{s:s, s:s, s:s*}", "state", onboarding_state_name(l.state), "userId",
                      l.user_id, "reason", l.reason[0] ? l.reason : NULL);
}

static reply reply_persona(struct request *rq, const char *id)
{
    struct items_error error;
    json_t *row;
    int r = items_read_one(rq->app->db, rq->who, "user_personas", id, NULL, &row, &error);
    return r < 0 ? reply_store_error(rq, r) : reply_value(rq, 200, row);
}

static int change_unit(struct db_conn *c, void *arg)
{
    return onboarding_change(c, arg);
}

/* Whose state it is, in lower case; others' are for admins in their own name alone: NULL. */
static const char *subject(struct request *rq, const char *given, bool admin)
{
    char *id = given ? arena_strdup(&rq->arena, given) : NULL;
    if (!id)
        return rq->who->user_id;
    str_lower(id);
    return admin || str_equal(id, rq->who->user_id) ? id : NULL;
}

static reply no_user(struct request *rq)
{
    return reply_field_error(rq, ERR_NOT_FOUND, "userId", "There is no such user");
}

static reply state_change(struct request *rq)
{
    const struct state_body *body = rq->body;
    bool admin = rq->who->admin && !rq->who->impersonated_by;
    struct onboarding_change change = {.user_id = subject(rq, body->user_id, admin), .any = admin};
    (void)onboarding_state_find(body->state, &change.to); /* one of the choices */
    if (!change.user_id)
        return no_user(rq);
    int r = db_write(rq->app->db, change_unit, &change);
    if (r == -ENOENT)
        return no_user(rq);
    if (r == -EPERM)
        return reply_field_error(rq, ERR_ILLEGAL_TRANSITION, "state", NULL);
    for (size_t i = 0; r >= 0 && i < change.n_withdrawn; i++)
        queue_ended(rq->app->queue, QUEUE_ONBOARDING, change.withdrawn[i], ONBOARDING_WITHDRAWN);
    return r < 0 ? reply_store_error(rq, r) : reply_persona(rq, change.persona_id);
}

/* ---- checking an archive */

/* A check may take a minute of a worker's time; most workers stay for everything else. */
#define CHECKERS_OF(workers) ((workers) / 16 > 0 ? (int)((workers) / 16) : 1)

static atomic_int checkers;

/* true where it is sound, else with *ret_reply made. */
static bool check_archive(struct request *rq, struct zip_facts *ret, reply *ret_reply)
{
    static const struct zip_limits limits = ZIP_LIMITS_DEFAULT;
    const char *why = NULL;
    int r = -EBUSY;
    if (atomic_fetch_add(&checkers, 1) < CHECKERS_OF(rq->app->cfg->worker_threads))
        r = zip_check(rq->upload->fd, rq->upload->size, &limits, ret, &why);
    (void)atomic_fetch_sub(&checkers, 1);
    if (r == 0)
        return true;
    if (r == -EBADMSG) {
        *ret_reply = reply_field_error(rq, ERR_INVALID_ARCHIVE, "file", why);
    } else if (r == -EBUSY || r == -ENOMEM) {
        reply_header(rq, "Retry-After", "5");
        *ret_reply = reply_error(rq, ERR_OVERLOADED, NULL);
    } else {
        (void)log_error(r, "an upload can't be read");
        *ret_reply = reply_error(rq, ERR_INTERNAL, NULL);
    }
    return false;
}

/* ---- keeping it */

static bool may_upload(struct request *rq, const struct looking *l, reply *ret_reply)
{
    if (l->has_job)
        *ret_reply = reply_error(rq, ERR_ONBOARDING_RUNNING, NULL);
    else if (l->state != ONBOARDING_DATA)
        *ret_reply = reply_error(rq, ERR_ILLEGAL_TRANSITION,
                                 "An export can be uploaded in the state DATA_COLLECTION alone");
    return !l->has_job && l->state == ONBOARDING_DATA;
}

struct enqueuing {
    struct export_job job;
    struct queue *queue;
    struct queue_add add;
    const struct idempotency_claim *claim;
    const json_t *answer;
    struct looking seen; /* out, where the unit gives -EPERM */
};

static int enqueue_unit(struct db_conn *c, void *arg)
{
    struct enqueuing *e = arg;
    struct onboarding_change change = {.user_id = e->job.user_id, .to = ONBOARDING_PROCESSING};
    int r = look_unit(c, &e->seen);
    if (r < 0)
        return r;
    if (e->seen.has_job || e->seen.state != ONBOARDING_DATA)
        return -EPERM;
    r = onboarding_change(c, &change);
    if (r == 0)
        r = queue_add_in(e->queue, c, &e->add);
    return r < 0 ? r : idempotency_settle_unit(c, e->claim, 200, e->answer);
}

static int is_enqueued_unit(struct db_conn *c, void *arg)
{
    const struct enqueuing *e = arg;
    return export_is_enqueued(c, &e->job);
}

/* Adds the job; where that failed, the file goes. After -EIO nobody knows whether it was done
 * (docs/store.md): then the store is asked, and where it can't say, the file is left to the sweep, since a
 * job without its file would be worse. */
static int add_job(struct db *db, struct enqueuing *e)
{
    int r = db_write(db, enqueue_unit, e);
    int found = r == -EIO ? db_write(db, is_enqueued_unit, e) : 0;
    if (r == 0 || found > 0)
        return 0;
    if (found == 0 && unlink(e->job.place->path) < 0)
        (void)log_error(-errno, "remove an export that was not accepted");
    return r;
}

static reply enqueue(struct request *rq, const struct export_place *place, const struct zip_facts *facts)
{
    const struct upload *in = rq->upload;
    const char *user_id = rq->who->user_id;
    _cleanup_json_ json_t *answer =
        json_pack("{s:b, s:s, s:s}", "ok", 1, "jobId", place->job_id, "filePath", place->file);
    struct enqueuing e = {.job = {place, user_id, in->name, in->size, facts->entries, facts->unpacked},
                          .queue = rq->app->queue,
                          .claim = rq->claim,
                          .answer = answer,
                          .seen = {.user_id = user_id}};
    _cleanup_free_ char *data = export_job_data(&e.job);
    e.add = (struct queue_add){.id = place->job_id,
                               .queue = QUEUE_ONBOARDING,
                               .operation = EXPORT_OPERATION,
                               .user_id = user_id,
                               .data = data,
                               .priority = QUEUE_PRIORITY_DEFAULT};
    reply refused;
    int r = data ? add_job(rq->app->db, &e) : -ENOMEM;
    if (r == 0 && queue_confirm(rq->app->queue, place->job_id) < 0)
        return reply_error(rq, ERR_QUEUE_UNCONFIRMED, NULL);
    if (r == 0)
        return reply_value(rq, 200, TAKE_PTR(answer));
    if (r == -EPERM && !may_upload(rq, &e.seen, &refused))
        return refused;
    return reply_store_error(rq, r);
}

static reply refuse_disk(struct request *rq, int r)
{
    (void)log_error(r, "an export can't be kept");
    return reply_error(rq, r == -ENOSPC || r == -EDQUOT || r == -EFBIG ? ERR_STORAGE_FULL : ERR_INTERNAL,
                       NULL);
}

static reply zip_upload(struct request *rq)
{
    const struct upload *in = rq->upload;
    struct looking seen = {.user_id = rq->who->user_id};
    struct export_place place;
    struct zip_facts facts;
    reply refused;
    if (!in || in->fd < 0 || !str_equal(in->part, "file"))
        return reply_field_error(rq, ERR_MISSING_FIELD, "file", NULL);
    if (queue_ready(rq->app->queue) < 0)
        return reply_error(rq, ERR_QUEUE_UNAVAILABLE, NULL);
    int r = db_read(rq->app->db, look_unit, &seen);
    if (r < 0)
        return reply_store_error(rq, r);
    if (!may_upload(rq, &seen, &refused) || !check_archive(rq, &facts, &refused))
        return refused;
    r = export_place(rq->app->cfg->data_dir, rq->who->user_id, &place);
    if (r == 0)
        r = upload_keep(in, place.path);
    return r < 0 ? refuse_disk(rq, r) : enqueue(rq, &place, &facts);
}

static const struct field state_answer[] = {HAS_STR("state", CHOICES(ONBOARDING_STATES)), HAS_UUID("userId"),
                                            HAS_STR("reason", MAY_BE_ABSENT), FIELD_END};
static const struct field persona_answer[] = {
    HAS_UUID("id"),
    HAS_UUID("user_id"),
    HAS_STR("onboarding_state", CHOICES(ONBOARDING_STATES)),
    HAS_ANY("brand_colors", MAY_BE_NULL),
    HAS_STR("voice", MAY_BE_NULL),
    HAS_STR("summary", MAY_BE_NULL),
    HAS_TIME("date_created"),
    HAS_TIME("date_updated"),
    FIELD_END,
};
static const struct field upload_answer[] = {HAS_BOOL("ok"), HAS_STR("jobId"), HAS_STR("filePath"),
                                             FIELD_END};

/* clang-format off */
const struct route onboarding_routes[] = {
    { HTTP_GET,   "/api/onboarding",            AUTH_USER, READS,  BLOCKING, state_read,   NO_BODY,
      "One's state of onboarding", .answer = ANSWER(state_answer) },
    { HTTP_PATCH, "/api/onboarding",            AUTH_USER, WRITES, BLOCKING, state_change,
      BODY(state_body, state_fields), "Go on to the next state of onboarding; admins set anybody's",
      .answer = ANSWER(persona_answer) },
    { HTTP_GET,   "/api/onboarding/state",      AUTH_USER, READS,  BLOCKING, state_read,   NO_BODY,
      "The same as GET /api/onboarding", .answer = ANSWER(state_answer) },
    { HTTP_PATCH, "/api/onboarding/state",      AUTH_USER, WRITES, BLOCKING, state_change,
      BODY(state_body, state_fields), "The same as PATCH /api/onboarding",
      .answer = ANSWER(persona_answer) },
    { HTTP_POST,  "/api/onboarding/zip-upload", AUTH_USER, WRITES, BLOCKING, zip_upload,   UPLOAD(0),
      "Upload the archive that a platform gave out", .answer = ANSWER(upload_answer), .idempotent = true },
    ROUTES_END
};
/* clang-format on */
