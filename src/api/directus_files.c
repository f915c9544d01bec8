/* SPDX-License-Identifier: MIT */
/* /files: what is known of files, their upload and their deletion; the bytes are read through /assets. The
 * form's fields go through the access table like any row's, wherever they stand in the form. */
#include "api/directus.h"
#include "api/put_reply.h"
#include "base/text.h"
#include "files/files.h"
#include "http/upload.h"
#include "limits/idempotency.h"

#include <errno.h>
#include <string.h>

#define COLLECTION "directus_files"

/* ---- reading and changing */

reply directus_files_list(struct request *rq)
{
    return directus_list(rq, COLLECTION);
}

reply directus_file_read(struct request *rq)
{
    return directus_read(rq, COLLECTION, rq->params[0]);
}

reply directus_files_update(struct request *rq)
{
    return directus_update_many(rq, COLLECTION);
}

reply directus_file_update(struct request *rq)
{
    return directus_update_one(rq, COLLECTION, rq->params[0]);
}

/* ---- uploading */

/* Tags come as a JSON array, or, as Directus takes them too, as "a,b". A new reference, or NULL. */
static json_t *read_tags(const char *value)
{
    const char *item;
    size_t len;
    if (value[strspn(value, " ")] == '[')
        return json_parse(value, strlen(value));
    json_t *tags = json_array();
    while (tags && list_next(&value, &item, &len))
        (void)json_array_append_new(tags, json_stringn(item, len));
    return tags;
}

/* The form's fields as a row: a new reference, or NULL where one is given twice or can't be read. */
static json_t *row_of(const struct upload *in)
{
    json_t *row = json_object();
    for (size_t i = 0; row && i < in->n_fields; i++) {
        const struct upload_field *f = &in->fields[i];
        json_t *value = strcmp(f->name, "tags") == 0 ? read_tags(f->value) : json_string(f->value);
        bool twice = json_object_get(row, f->name) != NULL;
        if (json_object_set_new(row, f->name, value) < 0 || twice) {
            json_decref(row);
            return NULL;
        }
    }
    return row;
}

/* Where no title is given: the name without its ending. NULL without memory. */
static const char *title_of(struct request *rq, const char *name)
{
    const char *dot = strrchr(name, '.');
    return arena_strndup(&rq->arena, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

static int settle_unit(struct db_conn *c, const char *id, void *arg)
{
    struct request *rq = arg;
    if (!rq->claim)
        return 0;
    _cleanup_json_ json_t *answer = json_pack("{s:{s:s}}", "data", "id", id);
    return answer ? idempotency_settle_unit(c, rq->claim, 200, answer) : -ENOMEM;
}

static reply put(struct request *rq, const struct upload *in, const json_t *row, const json_t *fields)
{
    char id[UUID_SIZE];
    const char *shown = id;
    const json_t *tags = json_object_get(row, "tags");
    struct file_new file = {
        .owner = rq->who->user_id,
        .name = in->name,
        .title = json_str(row, "title", title_of(rq, in->name)),
        .tags = tags ? json_text(&rq->arena, tags) : NULL,
        .fd = in->fd,
        .also = settle_unit,
        .arg = rq,
    };
    if (!file.title || (tags && !file.tags))
        return reply_error(rq, ERR_OVERLOADED, NULL);
    int r = file_look(in->fd, &file.kind);
    if (r == 0)
        r = file_put(rq->app->files, &file, id);
    if (r < 0)
        return reply_put_refused(rq, r);
    return directus_reply_rows(rq, COLLECTION, &shown, 1, false, fields);
}

reply directus_files_create(struct request *rq)
{
    _cleanup_(items_params_free) struct items_params p = ITEMS_PARAMS_INIT;
    const struct upload *in = rq->upload;
    struct items_error error;
    reply refused;
    if (!directus_read_shown(rq, COLLECTION, &p, &refused))
        return refused;
    if (in->fd < 0)
        return directus_refuse_payload(rq, "No file was included in the body.");
    _cleanup_json_ json_t *row = row_of(in);
    if (!row)
        return directus_refuse_payload(rq, "A field of the form is given twice or malformed.");
    int r = items_check_new(rq->who, COLLECTION, row, &error);
    return r < 0 ? directus_refuse_items(rq, r, &error, true) : put(rq, in, row, p.fields);
}

/* ---- deleting */

static reply remove_files(struct request *rq, const char *const *ids, size_t n)
{
    struct items_error error;
    int r = items_delete_here(rq->app->db, rq->who, COLLECTION, ids, n, &error);
    if (r < 0)
        return directus_refuse_items(rq, r, &error, true);
    for (size_t i = 0; i < n; i++)
        (void)file_forget(rq->app->files, ids[i]);
    return reply_empty(rq, 204);
}

/* The body is a list of ids, or {"keys": […]}. */
reply directus_files_delete(struct request *rq)
{
    const json_t *keys = json_is_array(rq->json) ? rq->json : json_object_get(rq->json, "keys");
    const char *const *ids;
    size_t n;
    if (directus_read_keys(rq, keys, &ids, &n) < 0)
        return directus_refuse_payload(rq, "A list of 1 to 500 ids is needed.");
    return remove_files(rq, ids, n);
}

reply directus_file_delete(struct request *rq)
{
    return remove_files(rq, &rq->params[0], 1);
}
