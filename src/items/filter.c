/* SPDX-License-Identifier: MIT */
/* The filter is walked once, with its depth and the number of its conditions counted; each operator is a row
 * of a table that names the column types it makes sense for. */
#include "items/filter.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

struct walk {
    const struct filter_scope *scope;
    struct sql *sql;
    int conditions, contains, objects;
};

/* ---- errors and names */

static int refuse(const struct filter_scope *scope, const char *field, const char *why)
{
    *scope->error = (struct items_error){0};
    (void)snprintf(scope->error->field, sizeof scope->error->field, "%.63s", field ? field : "");
    (void)snprintf(scope->error->sentence, sizeof scope->error->sentence, "%.199s", why ? why : "");
    return -EINVAL;
}

/* What comes from outside goes into a sentence only where it is short and plain. */
static bool is_plain(const char *name)
{
    return strlen(name) < sizeof((struct items_error *)0)->field &&
           str_only(name, "abcdefghijklmnopqrstuvwxyz"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789_$.*-");
}

const struct column *filter_column(const struct filter_scope *scope, const char *name, int *ret_r)
{
    const struct column *column = access_column(scope->collection, name);
    if (column && access_reads(column, scope->values.who))
        return column;
    const char *shown = is_plain(name) ? name : "";
    char why[200];
    if (strchr(name, '.')) {
        *ret_r = refuse(scope, shown, "Fields of related rows can't be asked for here");
        return NULL;
    }
    (void)snprintf(why, sizeof why,
                   "You don't have permission to access field \"%s\" in collection \"%s\" or it does"
                   " not exist.",
                   shown, scope->collection->name);
    (void)refuse(scope, shown, why);
    *ret_r = -EACCES;
    return NULL;
}

/* ---- conditions */

#define TYPE(type) (1u << COLUMN_##type)
#define ORDERED (TYPE(TEXT) | TYPE(INT) | TYPE(REAL) | TYPE(TIME))
#define EQUAL (ORDERED | TYPE(UUID) | TYPE(BOOL) | TYPE(CHOICE))
#define WORDS (TYPE(TEXT) | TYPE(CHOICE) | TYPE(TAGS) | TYPE(JSON))
#define ANY_TYPE (EQUAL | WORDS)

struct operation;
typedef int (*condition_fn)(struct walk *w, const struct column *column, const struct operation *op,
                            const json_t *value);

struct operation {
    const char *name;
    condition_fn fn;
    const char *sql;
    unsigned types;
};

static int read_value(struct walk *w, const struct column *column, const json_t *json, struct db_value *ret)
{
    const char *why = NULL;
    char sentence[200];
    int r = value_to_compare(&w->scope->values, column, json, ret, &why);
    if (r != -EINVAL)
        return r;
    (void)snprintf(sentence, sizeof sentence, "%s %s", column->name, why ? why : "is wrong");
    return refuse(w->scope, column->name, sentence);
}

static int add_null(struct walk *w, const struct column *column, bool is_null)
{
    sql_add(w->sql, "%s IS %sNULL", column->name, is_null ? "" : "NOT ");
    return 0;
}

static int add_compare(struct walk *w, const struct column *column, const struct operation *op,
                       const json_t *value)
{
    struct db_value v;
    bool equals = strcmp(op->sql, "=") == 0;
    if (json_is_null(value) && (equals || strcmp(op->sql, "<>") == 0))
        return add_null(w, column, equals);
    int r = read_value(w, column, value, &v);
    if (r < 0)
        return r;
    sql_add(w->sql, "%s %s ", column->name, op->sql);
    sql_arg(w->sql, v);
    return 0;
}

/* "a,b,c", as a URL has it, as an array; a new reference. */
static json_t *split_list(const char *text)
{
    json_t *list = json_array();
    const char *item;
    size_t len;
    while (list && list_next(&text, &item, &len) && json_array_size(list) <= FILTER_MAX_LIST)
        (void)json_array_append_new(list, json_stringn(item, len));
    return list;
}

static int add_list(struct walk *w, const struct column *column, const struct operation *op,
                    const json_t *value)
{
    _cleanup_json_ json_t *split = json_is_string(value) ? split_list(json_string_value(value)) : NULL;
    const json_t *list = split ? split : value;
    if (!json_is_array(list) || json_array_size(list) > FILTER_MAX_LIST)
        return refuse(w->scope, column->name, "_in and _nin take a list of at most 100 values");
    if (json_array_size(list) == 0) {
        sql_add(w->sql, op->sql[0] == 'N' ? "1 = 1" : "1 = 0");
        return 0;
    }
    sql_add(w->sql, "%s %s (", column->name, op->sql);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct db_value v;
        int r = read_value(w, column, json_array_get(list, i), &v);
        if (r < 0)
            return r;
        sql_add(w->sql, "%s", i ? ", " : "");
        sql_arg(w->sql, v);
    }
    sql_add(w->sql, ")");
    return 0;
}

static int add_nullness(struct walk *w, const struct column *column, const struct operation *op,
                        const json_t *value)
{
    const char *text = json_string_value(value);
    bool yes = json_is_true(value) || (text && access_choice("true|1", text)) || (text && !text[0]);
    if (!yes && !json_is_false(value) && !(text && access_choice("false|0", text)))
        return refuse(w->scope, column->name, "_null and _nnull take true or false");
    return add_null(w, column, yes == (op->sql[0] == 'I'));
}

/* Letters' case counts, on every engine alike: LIKE would not keep that promise. */
static int add_contains(struct walk *w, const struct column *column, const struct operation *op,
                        const json_t *value)
{
    (void)op;
    if (!json_is_string(value) || json_string_length(value) > SEARCH_MAX_BYTES)
        return refuse(w->scope, column->name, "_contains takes a text of at most 255 bytes");
    if (json_string_length(value) == 0)
        return add_null(w, column, false);
    if (++w->contains > FILTER_MAX_CONTAINS)
        return refuse(w->scope, column->name, "The filter has more than 8 _contains");
    w->sql->scans = true;
    const char *name = column->name;
    bool json = column->type == COLUMN_TAGS || column->type == COLUMN_JSON; /* not text on every engine */
    sql_add(w->sql, json ? "replace(CAST(%s AS TEXT), " : "replace(%s, ", name);
    sql_arg(w->sql, DB_TEXT(json_string_value(value)));
    sql_add(w->sql, json ? ", '') <> CAST(%s AS TEXT)" : ", '') <> %s", name);
    return 0;
}

static const struct operation operations[] = {
    {"_eq", add_compare, "=", EQUAL},        {"_neq", add_compare, "<>", EQUAL},
    {"_lt", add_compare, "<", ORDERED},      {"_lte", add_compare, "<=", ORDERED},
    {"_gt", add_compare, ">", ORDERED},      {"_gte", add_compare, ">=", ORDERED},
    {"_in", add_list, "IN", EQUAL},          {"_nin", add_list, "NOT IN", EQUAL},
    {"_null", add_nullness, "IS", ANY_TYPE}, {"_nnull", add_nullness, "NOT", ANY_TYPE},
    {"_contains", add_contains, "", WORDS},
};

static const struct operation *find_operation(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

static int add_condition(struct walk *w, const struct column *column, const char *name, const json_t *value)
{
    const struct operation *op = find_operation(name);
    if (!op)
        return refuse(w->scope, column->name,
                      name[0] == '_'
                          ? "There is no such filter operator; these are: _eq _neq _in _nin _lt _lte _gt"
                            " _gte _null _nnull _contains _and _or"
                          : "Fields of related rows can't be filtered by here");
    if (!(op->types & 1u << column->type))
        return refuse(w->scope, column->name, "This filter operator doesn't go with a field of this type");
    if (++w->conditions > FILTER_MAX_CONDITIONS)
        return refuse(w->scope, NULL, "The filter has more than 64 conditions");
    return op->fn(w, column, op, value);
}

/* {"_gte": 1, "_lt": 5}, or a bare value, which means _eq. */
static int add_field(struct walk *w, const char *name, const json_t *test)
{
    int r = 0, n = 0;
    const struct column *column = filter_column(w->scope, name, &r);
    if (!column)
        return r;
    if (!json_is_object(test))
        return add_condition(w, column, "_eq", test);
    const char *operator;
    json_t *value;
    json_object_foreach ((json_t *)test, operator, value) {
        sql_add(w->sql, "%s", n++ ? " AND " : "");
        r = add_condition(w, column, operator, value);
        if (r < 0)
            return r;
    }
    if (n == 0)
        sql_add(w->sql, "1 = 1");
    return 0;
}

static int add_object(struct walk *w, const json_t *object, int depth);

static int add_group(struct walk *w, const json_t *list, const char *between, int depth)
{
    if (!json_is_array(list))
        return refuse(w->scope, NULL, "_and and _or take a list of filters");
    for (size_t i = 0; i < json_array_size(list); i++) {
        sql_add(w->sql, "%s", i ? between : "");
        int r = add_object(w, json_array_get(list, i), depth);
        if (r < 0)
            return r;
    }
    if (json_array_size(list) == 0)
        sql_add(w->sql, "1 = 1");
    return 0;
}

static int add_member(struct walk *w, const char *name, const json_t *value, int depth)
{
    if (strcmp(name, "_and") == 0)
        return add_group(w, value, " AND ", depth + 1);
    if (strcmp(name, "_or") == 0)
        return add_group(w, value, " OR ", depth + 1);
    return add_field(w, name, value);
}

/* An object's members all hold; always in parentheses. */
static int add_object(struct walk *w, const json_t *object, int depth)
{
    const char *name;
    json_t *value;
    int n = 0;
    if (!json_is_object(object))
        return refuse(w->scope, NULL, "A filter must be an object");
    if (depth > FILTER_MAX_DEPTH || ++w->objects > 2 * FILTER_MAX_CONDITIONS)
        return refuse(w->scope, NULL, "The filter is nested too deeply or too large");
    sql_add(w->sql, "(");
    json_object_foreach ((json_t *)object, name, value) {
        sql_add(w->sql, "%s(", n++ ? " AND " : "");
        int r = add_member(w, name, value, depth);
        if (r < 0)
            return r;
        sql_add(w->sql, ")");
    }
    sql_add(w->sql, "%s)", n ? "" : "1 = 1");
    return 0;
}

int filter_where(const struct filter_scope *scope, const json_t *filter, struct sql *sql)
{
    struct walk w = {.scope = scope, .sql = sql};
    if (!filter || json_is_null(filter)) {
        sql_add(sql, "1 = 1");
        return 0;
    }
    return add_object(&w, filter, 1);
}

/* ---- rows, search, order, fields */

void filter_rows(const struct filter_scope *scope, struct sql *sql)
{
    const struct collection *collection = scope->collection;
    bool all = scope->values.who->admin;
    sql_add(sql, "1 = 1");
    if (!all && collection->owner) {
        sql_add(sql, " AND %s = ", collection->owner);
        sql_arg(sql, DB_TEXT(scope->values.who->user_id));
    }
    if (!all && collection->visible)
        sql_add(sql, " AND %s", collection->visible);
}

/* Not by LIKE: its time grows with the product of both lengths. */
int filter_search(const struct filter_scope *scope, const char *search, const char *in, struct sql *sql)
{
    int n = 0;
    if (!search || str_is_blank(search)) {
        sql_add(sql, "1 = 1");
        return 0;
    }
    if (strlen(search) > SEARCH_MAX_BYTES || !utf8_valid(search, strlen(search)))
        return refuse(scope, NULL, "search must be a text of at most 255 bytes");
    sql->scans = true;
    sql_add(sql, "(");
    for (const struct column *c = scope->collection->columns; c->name; c++)
        if (c->type == COLUMN_TEXT && access_reads(c, scope->values.who) &&
            (!in || access_choice(in, c->name))) {
            sql_add(sql, "%sreplace(lower(%s), lower(", n++ ? " OR " : "", c->name);
            sql_arg(sql, DB_TEXT(search));
            sql_add(sql, "), '') <> lower(%s)", c->name);
        }
    sql_add(sql, "%s)", n ? "" : "1 = 0");
    return 0;
}

static int add_sort(const struct filter_scope *scope, const json_t *item, struct sql *sql)
{
    const char *name = json_string_value(item);
    bool descending = name && name[0] == '-';
    int r = 0;
    if (!name)
        return refuse(scope, NULL, "sort must be a list of field names");
    const struct column *column = filter_column(scope, name + descending, &r);
    if (!column)
        return r;
    if (column->type == COLUMN_JSON || column->type == COLUMN_TAGS)
        return refuse(scope, column->name, "A field of this type can't be sorted by");
    const char *nulls = !(column->flags & NULLABLE) ? "" : descending ? " NULLS LAST" : " NULLS FIRST";
    sql_add(sql, "%s%s%s, ", column->name, descending ? " DESC" : "", nulls);
    return 0;
}

int filter_sort(const struct filter_scope *scope, const json_t *sort, struct sql *sql)
{
    sql_add(sql, " ORDER BY ");
    if (sort && (!json_is_array(sort) || json_array_size(sort) > SORT_MAX))
        return refuse(scope, NULL, "sort must be a list of at most 8 field names");
    if (json_array_size(sort) == 0 && access_column(scope->collection, "date_created"))
        sql_add(sql, "date_created, ");
    for (size_t i = 0; i < json_array_size(sort); i++) {
        int r = add_sort(scope, json_array_get(sort, i), sql);
        if (r < 0)
            return r;
    }
    sql_add(sql, "id");
    return 0;
}

/* Adds a column unless it is there. */
static void add_column(const struct column *column, const struct column **ret, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        if (ret[i] == column)
            return;
    if (*n < COLUMNS_MAX)
        ret[(*n)++] = column;
}

static void add_all(const struct filter_scope *scope, const struct column **ret, size_t *n)
{
    for (const struct column *c = scope->collection->columns; c->name; c++)
        if (access_reads(c, scope->values.who))
            add_column(c, ret, n);
}

int filter_fields(const struct filter_scope *scope, const json_t *fields, const struct column **ret,
                  size_t *ret_n)
{
    size_t n = 0;
    if (fields && (!json_is_array(fields) || json_array_size(fields) > COLUMNS_MAX))
        return refuse(scope, NULL, "fields must be a list of field names");
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const char *name = json_string_value(json_array_get(fields, i));
        int r = 0;
        if (!name)
            return refuse(scope, NULL, "fields must be a list of field names");
        const struct column *column = strcmp(name, "*") == 0 ? NULL : filter_column(scope, name, &r);
        if (r < 0)
            return r;
        if (column)
            add_column(column, ret, &n);
        else
            add_all(scope, ret, &n);
    }
    if (n == 0)
        add_all(scope, ret, &n);
    *ret_n = n;
    return 0;
}
