/* SPDX-License-Identifier: MIT */
#include "http/answer.h"

#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define DEFAULT_MAX_LEN 1024

static int refuse(struct body_error *e, enum error_id error, const struct field *f, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(struct body_error *e, enum error_id error, const struct field *f, const char *fmt, ...)
{
    va_list ap;
    e->error = error;
    e->field = f ? f->name : NULL;
    va_start(ap, fmt);
    (void)vsnprintf(e->sentence, sizeof e->sentence, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* The table's sentence is a documented one; the field is named beside it. */
static int refuse_blank(struct body_error *e, const struct field *f)
{
    if (f->blank_error)
        return refuse(e, f->blank_error, f, "%s must not be empty", f->name);
    return refuse(e, ERR_MISSING_FIELD, f, "%s", error_info(ERR_MISSING_FIELD)->sentence);
}

static size_t max_len(const struct field *f)
{
    return f->max_len ? f->max_len : DEFAULT_MAX_LEN;
}

/* Whether c is in a set such as "A-Za-z0-9._-" (a '-' at the end stands for itself). */
static bool in_charset(const char *set, char c)
{
    for (const char *s = set; *s; s++) {
        if (s[1] == '-' && s[2]) {
            if (c >= s[0] && c <= s[2])
                return true;
            s += 2;
        } else if (*s == c) {
            return true;
        }
    }
    return false;
}

static int bind_text(const struct field *f, const json_t *v, void *to, struct body_error *e)
{
    if (!json_is_string(v))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be a text", f->name);
    const char *s = json_string_value(v);
    size_t len = json_string_length(v);
    if (strlen(s) != len)
        return refuse(e, ERR_INVALID_FIELD, f, "%s must not contain NUL", f->name);
    if (len > max_len(f))
        return refuse(e, ERR_INVALID_FIELD, f, "%s is longer than %zu bytes", f->name, max_len(f));
    if (f->min_len && utf8_count(s, len) < f->min_len)
        return refuse(e, ERR_INVALID_FIELD, f, "%s is shorter than %zu characters", f->name, f->min_len);
    if (f->choices && !choices_have(f->choices, s, len))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be one of %s", f->name, f->choices);
    for (size_t i = 0; f->charset && i < len; i++)
        if (!in_charset(f->charset, s[i]))
            return refuse(e, ERR_INVALID_FIELD, f, "%s may only hold the characters %s", f->name, f->charset);
    if (f->type == FIELD_TYPE_UUID && !uuid_valid(s))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be a UUID", f->name);
    *(const char **)to = s;
    return 0;
}

/* Whole numbers are compared as such: a double can't tell those above 2^53 apart. */
static bool in_range(const struct field *f, const json_t *v)
{
    if (json_is_integer(v))
        return json_integer_value(v) >= f->min && json_integer_value(v) <= f->max;
    return json_real_value(v) >= (double)f->min && json_real_value(v) <= (double)f->max;
}

static int bind_number(const struct field *f, const json_t *v, void *to, struct body_error *e)
{
    if (f->type == FIELD_TYPE_INT ? !json_is_integer(v) : !json_is_number(v))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be a %snumber", f->name,
                      f->type == FIELD_TYPE_INT ? "whole " : "");
    if ((f->min || f->max) && !in_range(f, v))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be from %lld to %lld", f->name, (long long)f->min,
                      (long long)f->max);
    if (f->type == FIELD_TYPE_INT)
        *(int64_t *)to = json_integer_value(v);
    else
        *(double *)to = json_number_value(v);
    return 0;
}

static int bind_json(const struct field *f, const json_t *v, void *to, struct body_error *e)
{
    if (f->type == FIELD_TYPE_OBJECT && !json_is_object(v))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be an object", f->name);
    if (f->type == FIELD_TYPE_ARRAY && !json_is_array(v))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be a list", f->name);
    if (json_is_array(v) && json_array_size(v) > max_len(f))
        return refuse(e, ERR_INVALID_FIELD, f, "%s has more than %zu items", f->name, max_len(f));
    *(const json_t **)to = v;
    return 0;
}

static int bind_bool(const struct field *f, const json_t *v, void *to, struct body_error *e)
{
    if (!json_is_boolean(v))
        return refuse(e, ERR_INVALID_FIELD, f, "%s must be true or false", f->name);
    *(bool *)to = json_is_true(v);
    return 0;
}

static int bind_value(const struct field *f, const json_t *v, void *to, struct body_error *e)
{
    switch (f->type) {
    case FIELD_TYPE_STR:
    case FIELD_TYPE_UUID:
        return bind_text(f, v, to, e);
    case FIELD_TYPE_INT:
    case FIELD_TYPE_NUM:
        return bind_number(f, v, to, e);
    case FIELD_TYPE_BOOL:
        return bind_bool(f, v, to, e);
    default:
        return bind_json(f, v, to, e);
    }
}

static void bind_default(const struct field *f, void *to)
{
    if (f->type == FIELD_TYPE_INT)
        *(int64_t *)to = f->fallback;
    else if (f->type == FIELD_TYPE_NUM)
        *(double *)to = (double)f->fallback;
    else if (f->type == FIELD_TYPE_BOOL)
        *(bool *)to = f->fallback != 0;
}

static bool is_blank(const json_t *v)
{
    return !v || json_is_null(v) || (json_is_string(v) && str_is_blank(json_string_value(v)));
}

int body_bind(const struct field *fields, const json_t *object, void *to, struct body_error *ret_error)
{
    if (!json_is_object(object))
        return refuse(ret_error, ERR_MALFORMED_JSON, NULL, "The request body must be a JSON object");
    for (const struct field *f = fields; f->name; f++) {
        const json_t *v = json_object_get(object, f->name);
        if (!v && f->alias)
            v = json_object_get(object, f->alias);
        if (f->required && is_blank(v))
            return refuse_blank(ret_error, f);
        if (!v || json_is_null(v)) {
            bind_default(f, (char *)to + f->offset);
            continue;
        }
        int r = bind_value(f, v, (char *)to + f->offset, ret_error);
        if (r < 0)
            return r;
    }
    return 0;
}

static json_t *choices_schema(const char *choices)
{
    json_t *list = json_array();
    while (list && choices && *choices) {
        size_t n = strcspn(choices, "|");
        (void)json_array_append_new(list, json_stringn(choices, n));
        choices += n + (choices[n] == '|');
    }
    return list;
}

static const char *type_name(enum field_type type)
{
    static const char *const types[] = {
        [FIELD_TYPE_STR] = "string",  [FIELD_TYPE_UUID] = "string",  [FIELD_TYPE_INT] = "integer",
        [FIELD_TYPE_NUM] = "number",  [FIELD_TYPE_BOOL] = "boolean", [FIELD_TYPE_OBJECT] = "object",
        [FIELD_TYPE_ARRAY] = "array", [FIELD_TYPE_ANY] = NULL,
    };
    return types[type];
}

/* What bodies and answers have in common. */
static json_t *type_schema(const struct field *f)
{
    json_t *s = json_object();
    const char *type = type_name(f->type);
    if (type)
        (void)json_object_set_new(s, "type",
                                  f->nullable ? json_pack("[s, s]", type, "null") : json_string(type));
    if (f->type == FIELD_TYPE_UUID || f->format)
        (void)json_object_set_new(s, "format", json_string(f->format ? f->format : "uuid"));
    if (f->min || f->max) {
        (void)json_object_set_new(s, "minimum", json_integer(f->min));
        (void)json_object_set_new(s, "maximum", json_integer(f->max));
    }
    if (f->choices)
        (void)json_object_set_new(s, "enum", choices_schema(f->choices));
    return s;
}

json_t *field_schema(const struct field *f)
{
    json_t *s = type_schema(f);
    if (f->type == FIELD_TYPE_STR)
        (void)json_object_set_new(s, "maxLength", json_integer((json_int_t)max_len(f)));
    if (f->min_len)
        (void)json_object_set_new(s, "minLength", json_integer((json_int_t)f->min_len));
    if (f->type == FIELD_TYPE_ARRAY)
        (void)json_object_set_new(s, "maxItems", json_integer((json_int_t)max_len(f)));
    if (f->fallback)
        (void)json_object_set_new(s, "default",
                                  f->type == FIELD_TYPE_BOOL ? json_true() : json_integer(f->fallback));
    return s;
}

json_t *body_schema(const struct field *fields)
{
    _cleanup_json_ json_t *properties = json_object(), *required = json_array();
    for (const struct field *f = fields; f->name; f++) {
        (void)json_object_set_new(properties, f->name, field_schema(f));
        if (f->required)
            (void)json_array_append_new(required, json_string(f->name));
    }
    json_t *schema = json_pack("{s:s, s:O}", "type", "object", "properties", properties);
    if (schema && json_array_size(required) > 0)
        (void)json_object_set(schema, "required", required);
    return schema;
}

/* Depth is that of our own tables. */
static json_t *shown_schema(const struct field *f)
{
    json_t *s = type_schema(f);
    if (!f->of)
        return s;
    if (f->type == FIELD_TYPE_ARRAY) {
        (void)json_object_set_new(s, "items", f->of[0].name[0] ? answer_schema(f->of) : shown_schema(f->of));
        return s;
    }
    _cleanup_json_ json_t *members = answer_schema(f->of);
    (void)json_object_set(s, "properties", json_object_get(members, "properties"));
    if (json_object_get(members, "required"))
        (void)json_object_set(s, "required", json_object_get(members, "required"));
    return s;
}

json_t *answer_schema(const struct field *fields)
{
    _cleanup_json_ json_t *properties = json_object(), *required = json_array();
    for (const struct field *f = fields; f->name; f++) {
        (void)json_object_set_new(properties, f->name, shown_schema(f));
        if (!f->optional)
            (void)json_array_append_new(required, json_string(f->name));
    }
    json_t *schema = json_pack("{s:s, s:O}", "type", "object", "properties", properties);
    if (schema && json_array_size(required) > 0)
        (void)json_object_set(schema, "required", required);
    return schema;
}
