/* SPDX-License-Identifier: MIT */
/* A query of any shape: {"filter":…,"sort":…,"fields":…,"search":…} as JSON, compiled for a creator on a
 * collection with every type of column. What comes out must be a statement with as many parameters as values,
 * and hold no byte of the input: names come from the access table, the rest are parameters. */
#include "fuzz.h"

#include "base/json.h"
#include "items/filter.h"

#include <stdlib.h>
#include <string.h>

static const struct identity creator = {.user_id = "11111111-2222-4333-8444-555555555555", .tier = "pro"};

static size_t count_marks(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '?';
    return n;
}

static void check(struct sql *sql)
{
    if (sql_ready(sql) < 0)
        return;
    const char *text = buf_str(&sql->text);
    if (count_marks(text) != sql->n || strpbrk(text, ";\"-"))
        abort();
}

static void compile(const struct filter_scope *scope, const json_t *query)
{
    _cleanup_(sql_free) struct sql sql = SQL_INIT;
    const struct column *columns[COLUMNS_MAX];
    size_t n;
    filter_rows(scope, &sql);
    int r = filter_where(scope, json_object_get(query, "filter"), &sql);
    if (r == 0)
        r = filter_search(scope, json_str(query, "search", NULL), NULL, &sql);
    if (r == 0)
        r = filter_sort(scope, json_object_get(query, "sort"), &sql);
    if (r == 0)
        check(&sql);
    if (filter_fields(scope, json_object_get(query, "fields"), columns, &n) == 0 &&
        (n == 0 || n > COLUMNS_MAX))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct items_error error;
    _cleanup_json_ json_t *query = json_parse((const char *)data, size);
    if (!json_is_object(query))
        return 0;
    arena_init(&arena, 1024 * 1024);
    struct filter_scope scope = {
        .values = {.who = &creator, .now = "2026-01-01T00:00:00.000Z", .arena = &arena},
        .collection = access_collection("fan_profiles"),
        .error = &error};
    compile(&scope, query);
    arena_free(&arena);
    return 0;
}
