/* SPDX-License-Identifier: MIT */
#include "http/route.h"

#include "base/text.h"
#include "http/openapi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static reply never(struct request *rq)
{
    return reply_empty(rq, 500);
}

#define ROW(method, path) \
    { \
        method, path, AUTH_NONE, READS, FAST, never, NO_BODY, path \
    }

static const struct route first[] = {
    ROW(HTTP_GET, "/"),
    ROW(HTTP_GET, "/api/ping"),
    ROW(HTTP_GET, "/api/items/:collection"),
    ROW(HTTP_POST, "/api/items/:collection"),
    ROW(HTTP_GET, "/api/items/special"),
    ROW(HTTP_GET, "/api/items/special/thing"),
    ROW(HTTP_DELETE, "/api/items/:collection/:id"),
    ROUTES_END,
};
static const struct route second[] = {
    ROW(HTTP_PATCH, "/api/items/:collection/:id"),
    ROW(HTTP_GET, "/slash/"),
    ROW(HTTP_GET, "/:a/:b/:c/:d"),
    ROW(HTTP_GET, "/pass/*"),
    ROW(HTTP_SEARCH, "/pass/*"),
    ROW(HTTP_GET, "/pass/here/:id"),
    ROW(HTTP_PUT, "/pass/here"),
    ROUTES_END,
};
static const struct route *const tables[] = {first, second, NULL};

#define BIT(m) (1u << (m))

static const struct {
    enum http_method method;
    const char *path, *found; /* NULL: none */
    unsigned allowed;
    const char *params; /* joined by '|' */
} lookups[] = {
    {HTTP_GET, "/", "/", BIT(HTTP_GET), ""},
    {HTTP_GET, "/api/ping", "/api/ping", BIT(HTTP_GET), ""},
    {HTTP_PUT, "/api/ping", NULL, BIT(HTTP_GET), ""},
    {HTTP_GET, "/api/ping/", NULL, 0, ""},
    {HTTP_GET, "/api/pin", NULL, 0, ""},
    {HTTP_GET, "/api/pings", NULL, 0, ""},
    {HTTP_GET, "/api", NULL, 0, ""},
    {HTTP_GET, "", "/", BIT(HTTP_GET), ""},
    {HTTP_GET, "*", NULL, 0, ""},
    {HTTP_GET, "//", NULL, 0, ""},
    {HTTP_GET, "/api//ping", NULL, 0, ""},
    {HTTP_GET, "/API/ping", NULL, 0, ""},
    {HTTP_GET, "/api/items/fans", "/api/items/:collection", BIT(HTTP_GET) | BIT(HTTP_POST), "fans"},
    {HTTP_PUT, "/api/items/fans", NULL, BIT(HTTP_GET) | BIT(HTTP_POST), NULL},
    {HTTP_GET, "/api/items/", NULL, 0, NULL},
    {HTTP_GET, "/api/items/special", "/api/items/special", BIT(HTTP_GET), ""},
    {HTTP_POST, "/api/items/special", NULL, BIT(HTTP_GET), ""},
    {HTTP_GET, "/api/items/special/thing", "/api/items/special/thing", BIT(HTTP_GET), ""},
    /* the fixed segment leads nowhere, the parameter does */
    {HTTP_DELETE, "/api/items/special/5", "/api/items/:collection/:id", BIT(HTTP_DELETE) | BIT(HTTP_PATCH),
     "special|5"},
    {HTTP_PATCH, "/api/items/fans/a b", "/api/items/:collection/:id", BIT(HTTP_DELETE) | BIT(HTTP_PATCH),
     "fans|a b"},
    {HTTP_GET, "/api/items/fans/5/x", NULL, 0, NULL},
    {HTTP_GET, "/slash/", "/slash/", BIT(HTTP_GET), ""},
    {HTTP_GET, "/slash", NULL, 0, ""},
    {HTTP_GET, "/1/2/3/4", "/:a/:b/:c/:d", BIT(HTTP_GET), "1|2|3|4"},
    {HTTP_GET, "/1/2//4", NULL, 0, NULL},
    {HTTP_GET, "/1/2/3/4/5", NULL, 0, NULL},
    /* a tail takes one segment or more, of any kind, where nothing else fits */
    {HTTP_GET, "/pass", NULL, 0, NULL},
    {HTTP_GET, "/pass/", "/pass/*", BIT(HTTP_GET) | BIT(HTTP_SEARCH), ""},
    {HTTP_SEARCH, "/pass/a//b/", "/pass/*", BIT(HTTP_GET) | BIT(HTTP_SEARCH), ""},
    {HTTP_POST, "/pass/a", NULL, BIT(HTTP_GET) | BIT(HTTP_SEARCH), NULL},
    {HTTP_GET, "/pass/here/5", "/pass/here/:id", BIT(HTTP_GET), "5"},
    {HTTP_SEARCH, "/pass/here/5", NULL, BIT(HTTP_GET), NULL},
    {HTTP_GET, "/pass/here/5/6", "/pass/*", BIT(HTTP_GET) | BIT(HTTP_SEARCH), ""},
    {HTTP_GET, "/pass/here/", "/pass/*", BIT(HTTP_GET) | BIT(HTTP_SEARCH), ""},
    {HTTP_GET, "/pass/here", NULL, BIT(HTTP_PUT), NULL},
    {HTTP_GET, "/pass/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", "/pass/*", BIT(HTTP_GET) | BIT(HTTP_SEARCH), ""},
    {HTTP_GET, "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h/i/j", NULL, 0, NULL},
};

static void paths_find_their_rows(void **state)
{
    struct route_set *set;
    (void)state;
    assert_int_equal(routes_compile(tables, &set), 0);
    for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
        const char *params[REQUEST_MAX_PARAMS] = {0};
        unsigned allowed = 99;
        _cleanup_free_ char *copy = strdup(lookups[i].path);
        const struct route *r = routes_find(set, lookups[i].method, copy, params, &allowed);
        if (!str_equal(r ? r->path : NULL, lookups[i].found) || allowed != lookups[i].allowed)
            fail_msg("%s %s: found %s, allowed %u", http_method_name(lookups[i].method), lookups[i].path,
                     r ? r->path : "none", allowed);
        if (r)
            assert_int_equal(r->method, lookups[i].method);
        _cleanup_buf_ struct buf joined = BUF_INIT(100);
        for (size_t k = 0; r && k < REQUEST_MAX_PARAMS && params[k]; k++)
            assert_int_equal(buf_addf(&joined, "%s%s", k ? "|" : "", params[k]), 0);
        if (r)
            assert_string_equal(buf_str(&joined), lookups[i].params);
    }
    routes_free(set);
}

static void check_refused(const struct route *table, int expected)
{
    const struct route *const only[] = {table, NULL};
    struct route_set *set = NULL;
    assert_int_equal(routes_compile(only, &set), expected);
    assert_null(set);
}

static void inconsistent_tables_are_refused(void **state)
{
    static const struct route twice[] = {ROW(HTTP_GET, "/a/b"), ROW(HTTP_POST, "/a/b"), ROW(HTTP_GET, "/a/b"),
                                         ROUTES_END};
    static const struct route same_shape[] = {ROW(HTTP_GET, "/a/:b"), ROW(HTTP_GET, "/a/:c"), ROUTES_END};
    static const struct route five[] = {ROW(HTTP_GET, "/:a/:b/:c/x/:d/:e"), ROUTES_END};
    static const struct route deep[] = {ROW(HTTP_GET, "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h"), ROUTES_END};
    static const struct route not_last[] = {ROW(HTTP_GET, "/a/*/b"), ROUTES_END};
    (void)state;
    check_refused(not_last, -EINVAL);
    check_refused(twice, -EEXIST);
    check_refused(same_shape, -EEXIST);
    check_refused(five, -EINVAL);
    check_refused(deep, -EINVAL);
}

struct secret_body {
    const char *word;
};

static const struct field secret_fields[] = {FIELD_STR(secret_body, word, "word", REQUIRED), FIELD_END};

static void an_answer_with_secrets_is_never_kept(void **state)
{
    static const struct route both[] = {{HTTP_POST, "/a", AUTH_NONE, WRITES, BLOCKING, NULL,
                                         BODY_SECRET(secret_body, secret_fields, 0, NULL), "",
                                         .idempotent = true},
                                        ROUTES_END};
    static const struct route body_alone[] = {{HTTP_POST, "/a", AUTH_NONE, WRITES, BLOCKING, NULL,
                                               BODY_SECRET_IN(secret_body, secret_fields), "",
                                               .idempotent = true},
                                              ROUTES_END};
    const struct route *const only[] = {body_alone, NULL};
    struct route_set *set = NULL;
    (void)state;
    check_refused(both, -EINVAL);
    assert_int_equal(routes_compile(only, &set), 0);
    routes_free(set);
}

static void note(void *ctx, const struct route *route)
{
    (void)buf_addf(ctx, "%s %s\n", http_method_name(route->method), route->path);
}

static void rows_are_visited_in_the_order_of_the_tables(void **state)
{
    struct route_set *set;
    _cleanup_buf_ struct buf seen = BUF_INIT(1000), want = BUF_INIT(1000);
    (void)state;
    assert_int_equal(routes_compile(tables, &set), 0);
    routes_each(set, note, &seen);
    for (size_t t = 0; tables[t]; t++)
        for (const struct route *r = tables[t]; r->path; r++)
            note(&want, r);
    assert_string_equal(buf_str(&seen), buf_str(&want));
    routes_free(set);
}

static void openapi_has_every_row(void **state)
{
    struct route_set *set;
    (void)state;
    assert_int_equal(routes_compile(tables, &set), 0);
    _cleanup_json_ json_t *document = openapi_document(set);
    const json_t *paths = json_object_get(document, "paths");
    assert_int_equal(json_object_size(paths), 11);
    assert_non_null(json_object_get(json_object_get(paths, "/pass/{path}"), "get"));
    const json_t *item = json_object_get(paths, "/api/items/{collection}/{id}");
    assert_non_null(json_object_get(item, "delete"));
    assert_non_null(json_object_get(item, "patch"));
    const json_t *parameters = json_object_get(json_object_get(item, "patch"), "parameters");
    assert_int_equal(json_array_size(parameters), 2);
    assert_string_equal(json_str(json_array_get(parameters, 1), "name", ""), "id");
    routes_free(set);
}

static const struct rate_limit rate = {"test", 10, 900};
static const struct field page_query[] = {
    {.name = "limit", .type = FIELD_TYPE_INT, .min = 1, .max = 50, .fallback = 20},
    {.name = "tags", .type = FIELD_TYPE_ARRAY},
    FIELD_END,
};
static const struct field ok_answer[] = {HAS_BOOL("ok"), FIELD_END};

static const struct route full[] = {
    {HTTP_POST, "/api/full/:id", AUTH_ADMIN_OR_SECRET, WRITES, BLOCKING, never, ANY_JSON, "All columns",
     .query = QUERY_SEEN(page_query), .answer = ANSWER_TWO(201, 503, ok_answer), .rate = &rate,
     .idempotent = true},
    {HTTP_GET, "/api/credentials/x", AUTH_SECRET, READS, FAST, never, NO_BODY, "Few columns"},
    {HTTP_DELETE, "/api/directus/x", AUTH_USER, READS, FAST, never, NO_BODY, "Empty", .answer = ANSWER_EMPTY},
    ROUTES_END,
};
static const struct route *const full_tables[] = {full, NULL};

/* The member at a path of keys and indexes, as text; "" where there is none. */
static char *text_at(json_t *root, const char *const *keys)
{
    for (; root && *keys; keys++)
        root = json_is_array(root) ? json_array_get(root, strtoul(*keys, NULL, 10))
                                   : json_object_get(root, *keys);
    return root ? json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("");
}

#define CONTENT "content", "application/json", "schema"

static void openapi_shows_every_column(void **state)
{
    static const struct {
        const char *path, *method, *keys[8], *text;
    } cases[] = {
        {"/api/full/{id}", "post", {"x-auth"}, "\"admin-or-secret\""},
        {"/api/full/{id}", "post", {"x-access"}, "\"writes\""},
        {"/api/full/{id}", "post", {"x-kind"}, "\"blocking\""},
        {"/api/full/{id}", "post", {"x-rate-limit"}, "{\"limit\":10,\"window_s\":900}"},
        {"/api/full/{id}", "post", {"security"}, "[{\"bearer\":[]},{\"secret\":[]}]"},
        {"/api/full/{id}", "post", {"parameters", "0", "in"}, "\"path\""},
        {"/api/full/{id}",
         "post",
         {"parameters", "1", "schema"},
         "{\"default\":20,\"maximum\":50,\"minimum\":1,\"type\":\"integer\"}"},
        {"/api/full/{id}", "post", {"parameters", "2", "explode"}, "false"},
        {"/api/full/{id}", "post", {"parameters", "3", "name"}, "\"Idempotency-Key\""},
        {"/api/full/{id}", "post", {"responses", "201", CONTENT, "required"}, "[\"ok\"]"},
        {"/api/full/{id}", "post", {"responses", "503", CONTENT, "required"}, "[\"ok\"]"},
        {"/api/full/{id}",
         "post",
         {"responses", "429", CONTENT},
         "{\"$ref\":\"#/components/schemas/Error\"}"},
        {"/api/full/{id}",
         "post",
         {"responses", "422", "description"},
         "\"The key was used for another request\""},
        {"/api/credentials/x", "get", {"security"}, "[{\"secret\":[]}]"},
        {"/api/credentials/x", "get", {"responses", "2XX", "description"}, "\"Done\""},
        {"/api/credentials/x",
         "get",
         {"responses", "401", CONTENT},
         "{\"$ref\":\"#/components/schemas/ErrorWithSuccess\"}"},
        {"/api/credentials/x", "get", {"responses", "429"}, ""},
        {"/api/directus/x", "delete", {"responses", "204", "content"}, ""},
        {"/api/directus/x",
         "delete",
         {"responses", "default", CONTENT},
         "{\"$ref\":\"#/components/schemas/DirectusError\"}"},
    };
    struct route_set *set;
    (void)state;
    assert_int_equal(routes_compile(full_tables, &set), 0);
    _cleanup_json_ json_t *document = openapi_document(set);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *item = json_object_get(json_object_get(document, "paths"), cases[i].path);
        _cleanup_free_ char *text = text_at(json_object_get(item, cases[i].method), cases[i].keys);
        if (strcmp(text, cases[i].text) != 0)
            fail_msg("%s of %s: %s", cases[i].keys[0], cases[i].path, text);
    }
    routes_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_rows),
        cmocka_unit_test(inconsistent_tables_are_refused),
        cmocka_unit_test(an_answer_with_secrets_is_never_kept),
        cmocka_unit_test(rows_are_visited_in_the_order_of_the_tables),
        cmocka_unit_test(openapi_has_every_row),
        cmocka_unit_test(openapi_shows_every_column),
    };
    return cmocka_run_group_tests_name("http/route", tests, NULL, NULL);
}
