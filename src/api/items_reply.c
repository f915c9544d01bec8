/* SPDX-License-Identifier: MIT */
#include "api/items_reply.h"

#include "api/quota_reply.h"
#include "auth/identity.h"

#include <errno.h>

static const char *sentence_of(const struct items_error *error)
{
    return error->sentence[0] ? error->sentence : NULL;
}

static reply with_field(struct request *rq, enum error_id id, const struct items_error *error)
{
    return reply_field_error(rq, id, error->field[0] ? error->field : NULL, sentence_of(error));
}

reply reply_items_error(struct request *rq, int r, const struct items_error *error)
{
    if (error->quota.label[0])
        return reply_quota_refused(rq, &error->quota);
    switch (r) {
    case -ENOENT:
        return with_field(rq, ERR_NOT_FOUND, error);
    case -EINVAL:
        return with_field(rq, ERR_INVALID_FIELD, error);
    case -EACCES:
        return with_field(rq, error->field[0] ? ERR_FIELD_NOT_ALLOWED : ERR_FORBIDDEN, error);
    case -EALREADY:
        return reply_error(rq, ERR_CONFLICT, sentence_of(error));
    case -EBUSY:
        return reply_error(rq, ERR_OVERLOADED, sentence_of(error));
    default:
        return reply_store_error(rq, r);
    }
}

reply reply_query_error(struct request *rq, int r, const struct items_error *error)
{
    if (r == -EINVAL || r == -EACCES)
        return with_field(rq, ERR_INVALID_QUERY, error);
    return reply_items_error(rq, r, error);
}

struct identity items_as_owner(const struct request *rq)
{
    struct identity owner = *rq->who;
    owner.admin = false;
    return owner;
}

json_t *items_values(const struct field *fields, const json_t *body, bool nulls)
{
    json_t *values = json_object();
    for (const struct field *f = fields; values && f->name; f++) {
        json_t *value = json_object_get(body, f->name);
        if (!value && f->alias)
            value = json_object_get(body, f->alias);
        if (!value || (json_is_null(value) && !nulls))
            continue;
        if (json_object_set(values, f->name, value) < 0) {
            json_decref(values);
            return NULL;
        }
    }
    return values;
}
