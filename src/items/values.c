/* SPDX-License-Identifier: MIT */
/* One reader per type. A reader gets JSON of any shape and either makes a value or says what was expected. */
#include "items/values.h"

#include "base/text.h"
#include "net/guard.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct reading {
    const struct value_scope *scope;
    const struct column *column;
    const json_t *json;
    bool comparing;
    struct db_value *ret;
    const char **why;
};

static int refuse(const struct reading *r, const char *why)
{
    *r->why = why;
    return -EINVAL;
}

/* The text must live as long as the scope's arena; so what is compared with is copied, since it may come from
 * a list that was split on the way. */
static int set_text(const struct reading *r, const char *text)
{
    if (r->comparing)
        text = arena_strdup(r->scope->arena, text);
    *r->ret = DB_TEXT(text);
    return text ? 0 : -ENOMEM;
}

/* The text of a JSON string, else NULL. */
static const char *text_of(const struct reading *r)
{
    return json_string_value(r->json);
}

static int read_uuid(const struct reading *r)
{
    const char *text = text_of(r);
    if (r->comparing && str_equal(text, "$CURRENT_USER"))
        return set_text(r, r->scope->who->user_id);
    if (!text || !uuid_valid(text))
        return refuse(r, "must be a UUID");
    char *copy = arena_strdup(r->scope->arena, text);
    if (copy)
        str_lower(copy);
    return set_text(r, copy);
}

static int read_text(const struct reading *r)
{
    const char *text = text_of(r);
    if (!text)
        return refuse(r, "must be a text");
    if (json_string_length(r->json) > (size_t)r->column->max)
        return refuse(r, arena_printf(r->scope->arena, "must have at most %.0f bytes", r->column->max));
    if (!r->comparing && (r->column->flags & NEEDED) && str_is_blank(text))
        return refuse(r, "must not be blank");
    int url = !r->comparing && (r->column->flags & WEB_URL) ? guard_check_url(text) : 0;
    if (url < 0)
        return refuse(r, url == -EACCES ? "leads to an address that is not public"
                                        : "must be a http or https address");
    return set_text(r, text);
}

static int out_of_range(const struct reading *r, const char *kind)
{
    return refuse(r, arena_printf(r->scope->arena, "must be a %s from %.15g to %.15g", kind, r->column->min,
                                  r->column->max));
}

static int read_int(const struct reading *r)
{
    int64_t n = json_integer_value(r->json);
    bool is_int = json_is_integer(r->json);
    if (!is_int && r->comparing && text_of(r))
        is_int = parse_int(text_of(r), INT64_MIN, INT64_MAX, &n) == 0;
    if (!is_int || (!r->comparing && ((double)n < r->column->min || (double)n > r->column->max)))
        return out_of_range(r, "whole number");
    *r->ret = DB_INT(n);
    return 0;
}

/* A whole decimal number as text, as it may stand in a URL. */
static bool parse_real(const char *text, double *ret)
{
    char *end;
    if (!text[0] || !str_only(text, "0123456789+-.eE"))
        return false;
    *ret = strtod(text, &end);
    return *end == '\0';
}

static int read_real(const struct reading *r)
{
    double x = json_number_value(r->json);
    bool is_number = json_is_number(r->json);
    if (!is_number && r->comparing && text_of(r))
        is_number = parse_real(text_of(r), &x);
    if (!is_number || !isfinite(x) || (!r->comparing && (x < r->column->min || x > r->column->max)))
        return out_of_range(r, "number");
    *r->ret = DB_REAL(x);
    return 0;
}

static int read_bool(const struct reading *r)
{
    const char *text = r->comparing ? text_of(r) : NULL;
    bool yes = json_is_true(r->json) || str_equal(text, "true") || str_equal(text, "1");
    if (!yes && !json_is_false(r->json) && !str_equal(text, "false") && !str_equal(text, "0"))
        return refuse(r, "must be true or false");
    *r->ret = DB_BOOL(yes);
    return 0;
}

static int read_time(const struct reading *r)
{
    const char *text = text_of(r);
    int64_t ms;
    if (r->comparing && str_equal(text, "$NOW"))
        return set_text(r, r->scope->now);
    if (!text || clock_parse_iso(text, &ms) < 0)
        return refuse(r, "must be a time in ISO 8601");
    char *normal = arena_alloc(r->scope->arena, ISO_TIME_LEN);
    if (normal)
        clock_format_iso(ms, normal);
    return set_text(r, normal);
}

static int read_choice(const struct reading *r)
{
    const struct column *column = r->column;
    bool limited = !r->comparing && column->user_choices && !r->scope->who->admin;
    const char *choices = limited ? column->user_choices : column->choices, *text = text_of(r);
    if (!text || !access_choice(choices, text))
        return refuse(r, arena_printf(r->scope->arena, "must be one of %s", choices));
    return set_text(r, limited && column->stored_as ? column->stored_as : text);
}

static int read_tags(const struct reading *r)
{
    size_t i;
    json_t *tag;
    bool good = json_is_array(r->json) && json_array_size(r->json) <= TAGS_MAX;
    if (good)
        json_array_foreach (r->json, i, tag)
            good = good && json_is_string(tag) && json_string_length(tag) <= TAG_MAX_BYTES &&
                   !str_is_blank(json_string_value(tag));
    if (!good)
        return refuse(r,
                      arena_printf(r->scope->arena, "must be a list of at most %d texts of at most %d bytes",
                                   TAGS_MAX, TAG_MAX_BYTES));
    return set_text(r, json_text(r->scope->arena, r->json));
}

static int read_json(const struct reading *r)
{
    const char *text = json_text(r->scope->arena, r->json);
    if (text && strlen(text) > (size_t)r->column->max)
        return refuse(r,
                      arena_printf(r->scope->arena, "must have at most %.0f bytes as JSON", r->column->max));
    return set_text(r, text);
}

static int read_value(const struct reading *r)
{
    static int (*const readers[])(const struct reading *) = {
        [COLUMN_UUID] = read_uuid,     [COLUMN_TEXT] = read_text, [COLUMN_INT] = read_int,
        [COLUMN_REAL] = read_real,     [COLUMN_BOOL] = read_bool, [COLUMN_TIME] = read_time,
        [COLUMN_CHOICE] = read_choice, [COLUMN_TAGS] = read_tags, [COLUMN_JSON] = read_json,
    };
    return readers[r->column->type](r);
}

int value_to_write(const struct value_scope *scope, const struct column *column, const json_t *json,
                   struct db_value *ret, const char **ret_why)
{
    return read_value(&(struct reading){scope, column, json, false, ret, ret_why});
}

int value_to_compare(const struct value_scope *scope, const struct column *column, const json_t *json,
                     struct db_value *ret, const char **ret_why)
{
    return read_value(&(struct reading){scope, column, json, true, ret, ret_why});
}

/* JSON that was stored; what can't be read is null, not an error: one bad row must not hide the others. */
static json_t *parse_stored(const char *text)
{
    json_t *value = json_parse(text, strlen(text));
    return value ? value : json_null();
}

json_t *value_to_json(const struct column *column, struct db_rows *rows, int index)
{
    if (db_is_null(rows, index))
        return json_null();
    switch (column->type) {
    case COLUMN_INT:
        return json_integer(db_int(rows, index));
    case COLUMN_REAL:
        return json_real(db_real(rows, index));
    case COLUMN_BOOL:
        return json_boolean(db_int(rows, index) != 0);
    case COLUMN_TAGS:
    case COLUMN_JSON:
        return parse_stored(db_text(rows, index));
    case COLUMN_UUID:
    case COLUMN_TEXT:
    case COLUMN_TIME:
    case COLUMN_CHOICE:
        break;
    }
    const char *text = db_text(rows, index);
    return utf8_valid(text, strlen(text)) ? json_string(text) : json_null();
}
