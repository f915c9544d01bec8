/* SPDX-License-Identifier: MIT */
/* Steps on collections. All of them go through the items engine as the user, so a flow can reach no row and
 * change no field that the user could not. */
#include "agent/steps.h"

#include "base/text.h"
#include "items/items.h"

#include <errno.h>
#include <string.h>

#define READ_DEFAULT 25
#define READ_MOST 200
#define IDS_MOST 100

/* Only a post that says it is a draft stays unpublished; a collection that is not known in advance may be
 * any. */
unsigned step_directus_effects(const json_t *config)
{
    const char *collection = json_str(config, "collection", "$");
    bool posts = str_equal(collection, "scheduled_posts"), unknown = strpbrk(collection, "${");
    const char *status = json_str(json_object_get(config, "data"), "status", NULL);
    return unknown || (posts && !str_equal(status, "draft")) ? STEP_SIDE_EFFECTS : STEP_READS;
}

static int fail(struct step_run *run, int r, const json_t *config, const struct items_error *error)
{
    const char *collection = json_str(config, "collection", "");
    switch (r) {
    case -ENOENT:
        return step_fail(run, r, "There is no such row in %.60s", collection);
    case -EACCES:
        return step_fail(run, r, "You may not do this in %.60s", collection);
    case -EINVAL:
        return error->field[0] ? step_fail(run, r, "%s: %s", error->field, error->sentence)
                               : step_fail(run, r, "%s", error->sentence);
    case -EBUSY:
    case -EALREADY:
    case -EDQUOT:
        return step_fail(run, r, "%s", error->sentence);
    case -EEXIST:
        return step_fail(run, r, "%.60s already has such a row", collection);
    default:
        return step_fail(run, r, "The data store is unavailable, try again shortly");
    }
}

/* Names may be given as a list or, if it is one, as a text. */
static json_t *as_list(const json_t *config, const char *key)
{
    json_t *value = json_object_get(config, key);
    return json_is_string(value) ? json_pack("[O]", value) : json_incref(value);
}

static int read_rows(struct step_run *run, const json_t *config, const char *search, json_t **ret)
{
    _cleanup_json_ json_t *fields = as_list(config, "fields"), *sort = as_list(config, "sort"), *meta = NULL;
    struct items_error error = {0};
    struct items_query q = {
        .fields = fields,
        .filter = json_object_get(config, "filter"),
        .sort = sort,
        .search = search,
        .limit = json_int(config, "limit", READ_DEFAULT),
    };
    if (q.limit < 1 || q.limit > READ_MOST)
        return step_fail(run, -EINVAL, "\"limit\" must lie between 1 and %d", READ_MOST);
    int r = items_read(run->env->db, run->who, json_str(config, "collection", ""), &q, ret, &meta, &error);
    return r < 0 ? fail(run, r, config, &error) : 0;
}

int step_directus_read(struct step_run *run, const json_t *config, json_t **ret)
{
    const char *id = json_str(config, "id", NULL);
    if (!id)
        return read_rows(run, config, NULL, ret);
    _cleanup_json_ json_t *fields = as_list(config, "fields");
    struct items_error error = {0};
    int r =
        items_read_one(run->env->db, run->who, json_str(config, "collection", ""), id, fields, ret, &error);
    return r < 0 ? fail(run, r, config, &error) : 0;
}

int step_directus_search(struct step_run *run, const json_t *config, json_t **ret)
{
    return read_rows(run, config, json_str(config, "query", ""), ret);
}

int step_directus_write(struct step_run *run, const json_t *config, json_t **ret)
{
    struct items_error error = {0};
    int r = items_create(run->env->db, run->who, json_str(config, "collection", ""),
                         json_object_get(config, "data"), ret, &error);
    return r < 0 ? fail(run, r, config, &error) : 0;
}

/* The ids of a config as a vector into it: how many, or negative errno. */
static int read_ids(struct step_run *run, const json_t *list, const char **ids)
{
    size_t n = json_array_size(list);
    if (n < 1 || n > IDS_MOST)
        return step_fail(run, -EINVAL, "\"id\" must be one id or a list of at most %d", IDS_MOST);
    for (size_t i = 0; i < n; i++) {
        ids[i] = json_string_value(json_array_get(list, i));
        if (!ids[i])
            return step_fail(run, -EINVAL, "\"id\" must hold texts");
    }
    return (int)n;
}

int step_directus_update(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_json_ json_t *list = as_list(config, "id");
    const char *ids[IDS_MOST];
    struct items_error error = {0};
    int n = read_ids(run, list, ids);
    if (n < 0)
        return n;
    int r = items_update(run->env->db, run->who, json_str(config, "collection", ""), ids, (size_t)n,
                         json_object_get(config, "data"), &error);
    if (r < 0)
        return fail(run, r, config, &error);
    *ret = json_pack("{s:i, s:O}", "updated", n, "ids", list);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

int step_directus_delete(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_json_ json_t *list = as_list(config, "id");
    const char *ids[IDS_MOST];
    struct items_error error = {0};
    int n = read_ids(run, list, ids);
    if (n < 0)
        return n;
    int r = items_delete(run->env->db, run->who, json_str(config, "collection", ""), ids, (size_t)n, &error);
    if (r < 0)
        return fail(run, r, config, &error);
    *ret = json_pack("{s:i, s:O}", "deleted", n, "ids", list);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}
