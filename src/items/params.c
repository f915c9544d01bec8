/* SPDX-License-Identifier: MIT */
#include "items/params.h"

#include "base/text.h"
#include "items/access.h"

#include <errno.h>
#include <string.h>

#define LIST_MAX 1000
#define SEGMENT_MAX 64

void items_params_free(struct items_params *p)
{
    json_decref(p->fields);
    json_decref(p->filter);
    json_decref(p->sort);
    free(p->search);
}

static int fail(struct items_params *p, const char *name, const char *why)
{
    if (!p->failed) {
        size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        (void)snprintf(p->error.field, sizeof p->error.field, "%.*s", (int)(plain < 32 ? plain : 32), name);
        (void)snprintf(p->error.sentence, sizeof p->error.sentence, "\"%s\" %s", p->error.field, why);
    }
    p->failed = true;
    return -EINVAL;
}

/* ---- lists */

/* Appends the items of "a,b". */
static int add_names(struct items_params *p, json_t **list, const char *name, const char *value)
{
    const char *item;
    size_t len;
    if (!*list)
        *list = json_array();
    while (list_next(&value, &item, &len))
        if (json_array_size(*list) >= LIST_MAX || json_array_append_new(*list, json_stringn(item, len)) < 0)
            return fail(p, name, "is too long or not UTF-8");
    return 0;
}

static int add_fields(struct items_params *p, const char *name, const char *value)
{
    return add_names(p, &p->fields, name, value);
}

static int add_sort(struct items_params *p, const char *name, const char *value)
{
    return add_names(p, &p->sort, name, value);
}

static int add_meta(struct items_params *p, const char *name, const char *value)
{
    const char *item;
    size_t len;
    while (list_next(&value, &item, &len)) {
        bool all = len == 1 && *item == '*', total = len == 11 && strncmp(item, "total_count", len) == 0;
        bool filtered = len == 12 && strncmp(item, "filter_count", len) == 0;
        if (!all && !total && !filtered)
            return fail(p, name, "takes total_count, filter_count or *");
        p->query.total_count |= all || total;
        p->query.filter_count |= all || filtered;
    }
    return 0;
}

/* ---- filter in brackets */

/* The next "[segment]" of a path: its text, and *path moved on; false when malformed. */
static bool next_segment(const char **path, char *ret)
{
    const char *end = **path == '[' ? strchr(*path, ']') : NULL;
    size_t len = end ? (size_t)(end - *path - 1) : SEGMENT_MAX;
    if (len >= SEGMENT_MAX || memchr(*path + 1, '[', len))
        return false;
    memcpy(ret, *path + 1, len);
    ret[len] = '\0';
    *path = end + 1;
    return true;
}

/* Whether what stands under this key is a list ("0", "1", … or "" to append). */
static bool takes_list(const char *key)
{
    return access_choice("_and|_or|_in|_nin", key);
}

/* The member of a container under a segment: the one that is there (borrowed), or NULL with the place free.
 */
static json_t *member(json_t *container, const char *segment, bool *ret_possible)
{
    int64_t index;
    *ret_possible = true;
    if (json_is_object(container)) {
        *ret_possible = segment[0] != '\0';
        return json_object_get(container, segment);
    }
    if (!json_is_array(container)) {
        *ret_possible = false;
        return NULL;
    }
    if (!segment[0])
        return NULL;
    *ret_possible = parse_int(segment, 0, (int64_t)json_array_size(container), &index) == 0;
    return *ret_possible ? json_array_get(container, (size_t)index) : NULL;
}

static int put(json_t *container, const char *segment, json_t *value)
{
    if (json_is_object(container))
        return json_object_set_new(container, segment, value);
    return json_array_append_new(container, value);
}

/* filter[a][_in][0]=x: walks down the brackets, making what is missing. */
static int add_bracketed(struct items_params *p, const char *name, const char *value)
{
    const char *path = name + strlen("filter");
    char segment[SEGMENT_MAX];
    if (!p->filter)
        p->filter = json_object();
    json_t *at = p->filter;
    for (int depth = 0; depth < PARAMS_MAX_DEPTH && next_segment(&path, segment); depth++) {
        bool possible;
        json_t *next = member(at, segment, &possible);
        if (!possible || (next && *path == '\0'))
            return fail(p, name, "contradicts itself");
        if (*path == '\0')
            return put(at, segment, json_string(value)) == 0 ? 0 : fail(p, name, "is not UTF-8");
        if (!next) {
            next = takes_list(segment) ? json_array() : json_object();
            if (put(at, segment, next) < 0)
                return fail(p, name, "is not UTF-8");
        }
        at = next;
    }
    return fail(p, name, "has malformed brackets");
}

static int add_filter(struct items_params *p, const char *name, const char *value)
{
    if (p->filter)
        return fail(p, name, "is given twice");
    p->filter = json_parse(value, strlen(value));
    return json_is_object(p->filter) ? 0 : fail(p, name, "must be a JSON object");
}

/* ---- numbers and texts */

static int add_limit(struct items_params *p, const char *name, const char *value)
{
    return parse_int(value, -1, 1000, &p->query.limit) == 0 ? 0 : fail(p, name, "must be from -1 to 1000");
}

static int add_offset(struct items_params *p, const char *name, const char *value)
{
    bool good = parse_int(value, 0, INT32_MAX, &p->query.offset) == 0;
    return good ? 0 : fail(p, name, "must be from 0 to 2147483647");
}

static int add_page(struct items_params *p, const char *name, const char *value)
{
    return parse_int(value, 1, INT32_MAX, &p->page) == 0 ? 0 : fail(p, name, "must be from 1 to 2147483647");
}

static int add_search(struct items_params *p, const char *name, const char *value)
{
    free(p->search);
    p->search = strdup(value);
    return p->search ? 0 : fail(p, name, "is too long");
}

static int refuse(struct items_params *p, const char *name, const char *value)
{
    (void)value;
    return fail(p, name, "isn't supported here");
}

static const struct {
    const char *name;
    bool brackets; /* name[…] too */
    int (*add)(struct items_params *p, const char *name, const char *value);
} parameters[] = {
    {"fields", true, add_fields},  {"sort", true, add_sort},      {"meta", true, add_meta},
    {"filter", false, add_filter}, {"limit", false, add_limit},   {"offset", false, add_offset},
    {"page", false, add_page},     {"search", false, add_search}, {"deep", true, refuse},
    {"alias", true, refuse},       {"aggregate", true, refuse},   {"groupBy", true, refuse},
    {"export", false, refuse},     {"version", false, refuse},
};

void items_params_add(void *ctx, const char *name, const char *value)
{
    struct items_params *p = ctx;
    size_t stem = strcspn(name, "[");
    p->bytes += strlen(name) + strlen(value);
    if (p->failed)
        return;
    if (p->bytes > PARAMS_MAX_BYTES) {
        (void)fail(p, "query", "is too long");
        return;
    }
    if (str_has_prefix(name, "filter[")) {
        (void)add_bracketed(p, name, value);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (strlen(parameters[i].name) == stem && strncmp(parameters[i].name, name, stem) == 0 &&
            (name[stem] == '\0' || parameters[i].brackets)) {
            (void)parameters[i].add(p, name, value);
            return;
        }
}

static void add_json_value(struct items_params *p, const char *name, const json_t *value)
{
    char number[32];
    if (json_is_string(value))
        items_params_add(p, name, json_string_value(value));
    else if (json_is_integer(value)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        items_params_add(p, name, number);
    } else if (!json_is_null(value))
        (void)fail(p, name, "has a value of the wrong type");
}

static void add_json_filter(struct items_params *p, const json_t *filter)
{
    if (p->filter || !json_is_object(filter))
        (void)fail(p, "filter", p->filter ? "is given twice" : "must be a JSON object");
    else
        p->filter = json_incref((json_t *)filter);
}

/* An empty list is as good as none. */
static void add_json_list(struct items_params *p, const char *name, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item)
        add_json_value(p, name, item);
}

void items_params_add_json(struct items_params *p, const json_t *query)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)query, name, value) {
        if (strcmp(name, "filter") == 0)
            add_json_filter(p, value);
        else if (json_is_array(value))
            add_json_list(p, name, value);
        else
            add_json_value(p, name, value);
    }
}

int items_params_ready(struct items_params *p)
{
    if (p->failed)
        return -EINVAL;
    p->query.fields = p->fields;
    p->query.filter = p->filter;
    p->query.sort = p->sort;
    p->query.search = p->search;
    if (p->page > 0)
        p->query.offset = (p->page - 1) * (p->query.limit < 0 ? 1000 : p->query.limit);
    return 0;
}
