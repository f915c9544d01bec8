/* SPDX-License-Identifier: MIT */
/* /api/user-proxy: one's own profile, and the avatar. The fields that may be sent are named here; any other
 * one refuses the whole, so that nobody believes to have changed a role or a plan. Their types and limits are
 * those of the access table. The avatar's file and the row that refers to it are one unit.
 *
 * Behind DIRECTUS_URL files are Directus's: the picture is uploaded there first, as the administrator's, and
 * then given to the user and made the avatar in one unit; where that fails, it is removed there again. */
#include "api/app.h"
#include "api/directus_storage.h"
#include "api/put_reply.h"
#include "api/routes.h"
#include "auth/identity.h"
#include "base/log.h"
#include "base/text.h"
#include "files/files.h"
#include "http/upload.h"
#include "items/items.h"
#include "items/profile.h"

#include <errno.h>
#include <string.h>

#define AVATAR_BYTES_MAX ((size_t)10 * 1024 * 1024)
#define AVATAR_SIDE_MAX 16384
#define AVATAR_PIXELS_MAX ((int64_t)100 * 1000 * 1000) /* who shows it has to unpack it */

static const char writable[] = "first_name|last_name|title|description|location|language|tags";
static const char avatar_types[] = "image/png|image/jpeg|image/webp|image/gif";

/* ---- reading */

static reply profile_show(struct request *rq)
{
    json_t *profile = NULL;
    int r = profile_read(rq->app->db, rq->who, &profile);
    if (r == -ENOENT)
        return reply_error(rq, ERR_UNAUTHORIZED, NULL);
    if (r < 0)
        return reply_store_error(rq, r);
    const char *role = rq->who->role_name;
    (void)json_object_set_new(profile, "role", role ? json_string(role) : json_null());
    return reply_json(rq, 200, "{s:b, s:o}", "ok", 1, "data", profile);
}

/* ---- changing */

/* The first field that can't be changed here, or NULL. */
static const char *forbidden_field(const json_t *values)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)values, name, value)
        if (!choices_have(writable, name, strlen(name)))
            return name;
    return NULL;
}

static reply refuse_values(struct request *rq, int r, const struct items_error *error)
{
    const char *field = error->field[0] ? error->field : NULL;
    if (r == -EINVAL)
        return reply_field_error(rq, ERR_INVALID_FIELD, field, error->sentence);
    if (r == -EACCES)
        return reply_error(rq, ERR_FORBIDDEN, NULL);
    if (r == -ENOENT)
        return reply_error(rq, ERR_UNAUTHORIZED, NULL);
    return reply_store_error(rq, r);
}

static reply change(struct request *rq)
{
    struct items_error error;
    const char *me = rq->who->user_id, *other = forbidden_field(rq->json);
    if (other)
        return reply_field_error(rq, ERR_FIELD_NOT_ALLOWED, arena_strdup(&rq->arena, other), NULL);
    if (json_object_size(rq->json) == 0)
        return reply_error(rq, ERR_MISSING_FIELD, "An object with at least one field to change is needed");
    int r = items_update(rq->app->db, rq->who, "directus_users", &me, 1, rq->json, &error);
    return r < 0 ? refuse_values(rq, r, &error) : profile_show(rq);
}

/* ---- the avatar */

static int set_avatar_unit(struct db_conn *c, const char *id, void *arg)
{
    const struct request *rq = arg;
    return db_exec(c, "UPDATE directus_users SET avatar = ?1 WHERE id = ?2",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(rq->who->user_id)), NULL);
}

static const char *why_no_avatar(const struct file_kind *kind)
{
    if (!choices_have(avatar_types, kind->type, strlen(kind->type)))
        return "The file must be a PNG, JPEG, WebP or GIF picture";
    if (kind->width == 0)
        return "The picture's width and height can't be read";
    if (kind->width > AVATAR_SIDE_MAX || kind->height > AVATAR_SIDE_MAX ||
        kind->width * kind->height > AVATAR_PIXELS_MAX)
        return "The picture is too large: at most 16,384 pixels a side, and 100 million in all";
    return NULL;
}

struct giving {
    const struct request *rq;
    const char *id;
};

static int give_unit(struct db_conn *c, void *arg)
{
    const struct giving *g = arg;
    const char *me = g->rq->who->user_id;
    int64_t files = 0, users = 0;
    int r = db_exec(c, "UPDATE directus_users SET avatar = ?1 WHERE id = ?2",
                    DB_ARGS(DB_TEXT(g->id), DB_TEXT(me)), &users);
    if (r == 0 && users == 1)
        r = db_exec(c, "UPDATE directus_files SET uploaded_by = ?2, modified_by = ?2 WHERE id = ?1",
                    DB_ARGS(DB_TEXT(g->id), DB_TEXT(me)), &files);
    return r < 0 ? r : users == 1 && files == 1 ? 0 : -ENOENT;
}

static reply refuse_directus(struct request *rq, int r)
{
    switch (r) {
    case -ENOKEY:
        return reply_error(rq, ERR_MISCONFIGURED,
                           "Server misconfiguration: without DIRECTUS_ADMIN_TOKEN Directus takes no avatar");
    case -EKEYREJECTED:
        return reply_error(rq, ERR_MISCONFIGURED,
                           "Server misconfiguration: Directus refuses DIRECTUS_ADMIN_TOKEN");
    case -EFBIG:
        return reply_error(rq, ERR_TOO_LARGE, NULL);
    case -ETIMEDOUT:
        return reply_error(rq, ERR_DIRECTUS_TIMEOUT, NULL);
    default:
        return reply_error(rq, ERR_DIRECTUS_FAILED, NULL);
    }
}

static reply put_at_directus(struct request *rq, const struct upload *in, const struct file_kind *kind)
{
    char id[UUID_SIZE];
    const struct directus_file file = {
        .name = in->name, .title = "Avatar", .type = kind->type, .fd = in->fd, .bytes = kind->bytes};
    int r = directus_storage_put(rq->app, &file, id);
    if (r < 0)
        return refuse_directus(rq, r);
    r = db_write(rq->app->db, give_unit, &(struct giving){rq, id});
    if (r == -EIO) /* it may have been done: a file that is an avatar must stay */
        log_event(LOG_WARN, "a file at Directus may be nobody's avatar", LOG_S("file", id));
    else if (r < 0)
        directus_storage_remove(rq->app, id);
    if (r < 0)
        return reply_put_refused(rq, r);
    auth_forget(rq->app->auth, rq->who->user_id);
    return profile_show(rq);
}

static reply put_avatar(struct request *rq, const struct upload *in)
{
    char id[UUID_SIZE];
    struct file_new file = {.owner = rq->who->user_id,
                            .name = in->name,
                            .title = "Avatar",
                            .fd = in->fd,
                            .also = set_avatar_unit,
                            .arg = rq};
    int r = file_look(in->fd, &file.kind);
    const char *why = r == 0 ? why_no_avatar(&file.kind) : NULL;
    if (why)
        return reply_field_error(rq, ERR_INVALID_FIELD, "file", why);
    if (r == 0 && rq->app->upstream)
        return put_at_directus(rq, in, &file.kind);
    if (r == 0)
        r = file_put(rq->app->files, &file, id);
    if (r < 0)
        return reply_put_refused(rq, r);
    auth_forget(rq->app->auth, rq->who->user_id);
    return profile_show(rq);
}

static reply change_avatar(struct request *rq)
{
    const struct upload *in = rq->upload;
    if (in->n_fields > 0)
        return reply_field_error(rq, ERR_FIELD_NOT_ALLOWED, arena_strdup(&rq->arena, in->fields[0].name),
                                 "Beside the avatar's file a form has no fields; send them as JSON");
    if (in->fd < 0)
        return reply_field_error(rq, ERR_MISSING_FIELD, "file", NULL);
    if (strcmp(in->part, "file") != 0)
        return reply_field_error(rq, ERR_FIELD_NOT_ALLOWED, arena_strdup(&rq->arena, in->part),
                                 "The avatar must be sent as \"file\"");
    return put_avatar(rq, in);
}

static reply profile_change(struct request *rq)
{
    return rq->upload ? change_avatar(rq) : change(rq);
}

/* ---- the routes */

static const struct field data[] = {
    HAS_UUID("id"),
    HAS_STR("email", MAY_BE_NULL),
    HAS_STR("first_name", MAY_BE_NULL),
    HAS_STR("last_name", MAY_BE_NULL),
    HAS_STR("avatar", MAY_BE_NULL),
    HAS_STR("title", MAY_BE_NULL),
    HAS_STR("description", MAY_BE_NULL),
    HAS_STR("location", MAY_BE_NULL),
    HAS_STR("language", MAY_BE_NULL),
    HAS_ANY("tags"),
    HAS_STR("subscription_tier", MAY_BE_NULL),
    HAS_STR("onboarding_state", MAY_BE_NULL),
    HAS_STR("role", MAY_BE_NULL),
    FIELD_END,
};
static const struct field profile_answer[] = {HAS_BOOL("ok"), HAS_OBJECT("data", data), FIELD_END};

const struct route profile_routes[] = {
    {HTTP_GET, "/api/user-proxy", AUTH_USER, READS, BLOCKING, profile_show, NO_BODY, "One's own profile",
     .answer = ANSWER(profile_answer)},
    {HTTP_PATCH, "/api/user-proxy", AUTH_USER, WRITES, BLOCKING, profile_change,
     ANY_JSON_OR_UPLOAD(AVATAR_BYTES_MAX),
     "Change one's own profile: fields as JSON, or the avatar as a form", .answer = ANSWER(profile_answer)},
    ROUTES_END,
};
