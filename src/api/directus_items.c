/* SPDX-License-Identifier: MIT */
/* /items/:collection and /users/me. Directus's own tables aren't reached through /items, as in Directus
 * itself. */
#include "api/directus.h"
#include "base/text.h"
#include "items/profile.h"

#include <errno.h>
#include <string.h>

#define KEYS_MAX 500

/* ---- what every handler begins with */

/* The collection of the path, or NULL with *ret_reply made. */
static const char *collection_of(struct request *rq, reply *ret_reply)
{
    static const struct items_error none;
    if (!str_has_prefix(rq->params[0], "directus_"))
        return rq->params[0];
    *ret_reply = directus_refuse_items(rq, -EACCES, &none, false);
    return NULL;
}

bool directus_read_params(struct request *rq, struct items_params *p, reply *ret_reply)
{
    request_each_query(rq, items_params_add, p);
    if (rq->route->method == HTTP_SEARCH)
        items_params_add_json(p, json_object_get(rq->json, "query"));
    if (items_params_ready(p) == 0)
        return true;
    *ret_reply = directus_refuse_items(rq, -EINVAL, &p->error, false);
    return false;
}

bool directus_read_shown(struct request *rq, const char *collection, struct items_params *p, reply *ret_reply)
{
    struct items_error error = {0};
    if (!directus_read_params(rq, p, ret_reply))
        return false;
    int r = p->fields ? items_check_fields(rq->who, collection, p->fields, &error) : 0;
    if (r < 0)
        *ret_reply = directus_refuse_items(rq, r, &error, false);
    return r == 0;
}

static reply reply_data(struct request *rq, json_t *data)
{
    return reply_json(rq, 200, "{s:o}", "data", data);
}

/* ---- reading */

reply directus_list(struct request *rq, const char *collection)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    struct items_error error;
    reply refused;
    json_t *rows, *meta;
    if (!directus_read_params(rq, &p, &refused))
        return refused;
    int r = items_read(rq->app->db, rq->who, collection, &p.query, &rows, &meta, &error);
    if (r < 0)
        return directus_refuse_items(rq, r, &error, false);
    if (meta)
        return reply_json(rq, 200, "{s:o, s:o}", "meta", meta, "data", rows);
    return reply_data(rq, rows);
}

reply directus_items_list(struct request *rq)
{
    reply refused;
    const char *collection = collection_of(rq, &refused);
    return collection ? directus_list(rq, collection) : refused;
}

reply directus_reply_rows(struct request *rq, const char *collection, const char *const *ids, size_t n,
                          bool many, const json_t *fields)
{
    _cleanup_json_ json_t *rows = json_array();
    struct items_error error = {0};
    for (size_t i = 0; i < n; i++) {
        json_t *row;
        int r = items_read_one(rq->app->db, rq->who, collection, ids[i], fields, &row, &error);
        if (r < 0)
            return directus_refuse_items(rq, r, &error, false);
        if (json_array_append_new(rows, row) < 0)
            return reply_error(rq, ERR_OVERLOADED, NULL);
    }
    return reply_data(rq, many ? TAKE_PTR(rows) : json_incref(json_array_get(rows, 0)));
}

reply directus_read(struct request *rq, const char *collection, const char *id)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    reply refused;
    if (!directus_read_params(rq, &p, &refused))
        return refused;
    return directus_reply_rows(rq, collection, &id, 1, false, p.fields);
}

reply directus_item_read(struct request *rq)
{
    reply refused;
    const char *collection = collection_of(rq, &refused);
    return collection ? directus_read(rq, collection, rq->params[1]) : refused;
}

/* ---- writing */

int directus_read_keys(struct request *rq, const json_t *keys, const char *const **ret, size_t *ret_n)
{
    size_t n = json_array_size(keys);
    const char **ids = n > 0 && n <= KEYS_MAX ? arena_alloc(&rq->arena, n * sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < n; i++)
        if (!(ids[i] = json_string_value(json_array_get(keys, i))))
            return -EINVAL;
    *ret = ids;
    *ret_n = n;
    return ids ? 0 : -EINVAL;
}

reply directus_refuse_payload(struct request *rq, const char *message)
{
    return directus_refuse(rq, 400, "INVALID_PAYLOAD", message, NULL);
}

static json_t *data_answer(const json_t *made)
{
    return json_pack("{s:O}", "data", made);
}

reply directus_items_create(struct request *rq)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    _cleanup_json_ json_t *made = NULL;
    struct items_error error;
    reply refused;
    const char *collection = collection_of(rq, &refused);
    if (!collection || !directus_read_shown(rq, collection, &p, &refused))
        return refused;
    if (!rq->json)
        return directus_refuse_payload(rq, "A row, or a list of rows, is needed.");
    int r =
        items_create_once(rq->app->db, rq->who, collection, rq->json, rq->claim, data_answer, &made, &error);
    if (r < 0)
        return directus_refuse_items(rq, r, &error, true);
    if (!p.fields)
        return reply_data(rq, TAKE_PTR(made));
    bool many = json_is_array(made);
    size_t n = many ? json_array_size(made) : 1;
    const char **ids = arena_alloc(&rq->arena, n * sizeof *ids);
    for (size_t i = 0; ids && i < n; i++)
        ids[i] = json_str(many ? json_array_get(made, i) : made, "id", "");
    return ids ? directus_reply_rows(rq, collection, ids, n, many, p.fields)
               : reply_error(rq, ERR_OVERLOADED, NULL);
}

static reply update(struct request *rq, const char *collection, const char *const *ids, size_t n,
                    const json_t *values, bool many)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    struct items_error error;
    reply refused;
    if (!directus_read_shown(rq, collection, &p, &refused))
        return refused;
    int r = items_update(rq->app->db, rq->who, collection, ids, n, values, &error);
    if (r < 0)
        return directus_refuse_items(rq, r, &error, true);
    return directus_reply_rows(rq, collection, ids, n, many, p.fields);
}

reply directus_update_many(struct request *rq, const char *collection)
{
    const char *const *ids;
    size_t n;
    if (directus_read_keys(rq, json_object_get(rq->json, "keys"), &ids, &n) < 0)
        return directus_refuse_payload(
            rq, "\"keys\" must be a list of 1 to 500 ids, and \"data\" what to change.");
    return update(rq, collection, ids, n, json_object_get(rq->json, "data"), true);
}

reply directus_update_one(struct request *rq, const char *collection, const char *id)
{
    return update(rq, collection, &id, 1, rq->json, false);
}

reply directus_items_update(struct request *rq)
{
    reply refused;
    const char *collection = collection_of(rq, &refused);
    return collection ? directus_update_many(rq, collection) : refused;
}

reply directus_item_update(struct request *rq)
{
    reply refused;
    const char *collection = collection_of(rq, &refused);
    return collection ? directus_update_one(rq, collection, rq->params[1]) : refused;
}

static reply remove_rows(struct request *rq, const char *const *ids, size_t n)
{
    struct items_error error;
    reply refused;
    const char *collection = collection_of(rq, &refused);
    if (!collection)
        return refused;
    int r = items_delete(rq->app->db, rq->who, collection, ids, n, &error);
    return r < 0 ? directus_refuse_items(rq, r, &error, true) : reply_empty(rq, 204);
}

/* The body is a list of ids, or {"keys": […]}. */
reply directus_items_delete(struct request *rq)
{
    const json_t *keys = json_is_array(rq->json) ? rq->json : json_object_get(rq->json, "keys");
    const char *const *ids;
    size_t n;
    if (directus_read_keys(rq, keys, &ids, &n) < 0)
        return directus_refuse_payload(rq, "A list of 1 to 500 ids is needed.");
    return remove_rows(rq, ids, n);
}

reply directus_item_delete(struct request *rq)
{
    return remove_rows(rq, &rq->params[1], 1);
}

/* ---- /users/me */

/* Whether the answer can be made: before anything is changed. */
static bool read_me_params(struct request *rq, struct items_params *p, reply *ret_reply)
{
    if (!directus_read_params(rq, p, ret_reply))
        return false;
    for (size_t i = 0; i < json_array_size(p->fields); i++) {
        const char *name = json_string_value(json_array_get(p->fields, i));
        if (name && (strcmp(name, "*") == 0 || profile_has(name)))
            continue;
        *ret_reply = directus_refuse(
            rq, 403, "FORBIDDEN",
            "You don't have permission to access a field that was asked for, or it does not exist.", NULL);
        return false;
    }
    return true;
}

/* Only the members that were asked for: a new reference, or NULL without memory. */
static json_t *choose(json_t *profile, const json_t *fields)
{
    json_t *chosen = json_object();
    for (size_t i = 0; chosen && i < json_array_size(fields); i++) {
        const char *name = json_string_value(json_array_get(fields, i));
        int r = strcmp(name, "*") == 0 ? json_object_update(chosen, profile)
                                       : json_object_set(chosen, name, json_object_get(profile, name));
        if (r < 0) {
            json_decref(chosen);
            return NULL;
        }
    }
    return chosen;
}

static reply reply_me(struct request *rq, const json_t *fields)
{
    _cleanup_json_ json_t *profile = NULL;
    int r = profile_read(rq->app->db, rq->who, &profile);
    if (r < 0)
        return r == -ENOENT ? reply_error(rq, ERR_UNAUTHORIZED, NULL) : reply_store_error(rq, r);
    if (!fields)
        return reply_data(rq, TAKE_PTR(profile));
    json_t *chosen = choose(profile, fields);
    return chosen ? reply_data(rq, chosen) : reply_error(rq, ERR_OVERLOADED, NULL);
}

reply directus_me_read(struct request *rq)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    reply refused;
    return read_me_params(rq, &p, &refused) ? reply_me(rq, p.fields) : refused;
}

reply directus_me_update(struct request *rq)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    struct items_error error;
    reply refused;
    const char *me = rq->who->user_id;
    if (!read_me_params(rq, &p, &refused))
        return refused;
    int r = items_update(rq->app->db, rq->who, "directus_users", &me, 1, rq->json, &error);
    return r < 0 ? directus_refuse_items(rq, r, &error, true) : reply_me(rq, p.fields);
}
