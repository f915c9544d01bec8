/* SPDX-License-Identifier: MIT */
/* Query parameters are made JSON values of the type that their descriptor wants, and then bound as a body is.
 * What doesn't read as that type stays a text, which the binder refuses by the parameter's name. */
#include "base/text.h"
#include "http/exchange.h"

#include <string.h>

static json_t *list_value(const char *text)
{
    json_t *list = json_array();
    const char *item;
    size_t len;
    while (list && list_next(&text, &item, &len))
        (void)json_array_append_new(list, json_stringn(item, len));
    return list;
}

static json_t *typed_value(enum field_type type, const char *text)
{
    int64_t n;
    if (type == FIELD_TYPE_ARRAY)
        return list_value(text);
    if (type == FIELD_TYPE_INT)
        return parse_int(text, INT64_MIN, INT64_MAX, &n) == 0 ? json_integer(n) : json_string(text);
    if (type == FIELD_TYPE_STR || type == FIELD_TYPE_UUID)
        return json_string(text);
    json_t *value = json_parse(text, strlen(text));
    return value ? value : json_string(text);
}

static const char *parameter(const struct http_exchange *x, const struct field *f)
{
    const char *value = request_query(&x->rq, f->name);
    return value || !f->alias ? value : request_query(&x->rq, f->alias);
}

bool query_bind(struct http_exchange *x)
{
    const struct query_spec *spec = &x->rq.route->query;
    struct body_error error = {0};
    if (spec->size == 0 || x->rq.query) /* a handler that wants to wait is run twice */
        return true;
    x->query = json_object();
    x->rq.query = arena_alloc(&x->rq.arena, spec->size);
    if (!x->query || !x->rq.query) {
        (void)dispatch_refuse(x, ERR_OVERLOADED, NULL);
        return false;
    }
    for (const struct field *f = spec->fields; f->name; f++) {
        const char *value = parameter(x, f);
        if (value)
            (void)json_object_set_new(x->query, f->name, typed_value(f->type, value));
    }
    if (body_bind(spec->fields, x->query, x->rq.query, &error) == 0)
        return true;
    x->refused = true;
    (void)reply_field_error(&x->rq, ERR_INVALID_QUERY, error.field, error.sentence);
    return false;
}
