/* SPDX-License-Identifier: MIT */
#include "items/params.h"

#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Adds "name=value" parameters, ended by NULL. */
static int read_params(struct items_params *p, const char *const *given)
{
    *p = (struct items_params)ITEMS_PARAMS_INIT;
    for (; *given; given++) {
        char name[256];
        const char *equals = strchr(*given, '=');
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - *given), *given);
        items_params_add(p, name, equals + 1);
    }
    return items_params_ready(p);
}

#define GIVEN(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_json(const json_t *value, const char *text)
{
    json_t *expected = json_loads(text, JSON_DECODE_ANY, NULL);
    char *got = value ? json_dumps(value, JSON_ENCODE_ANY) : strdup("nothing");
    assert_non_null(expected);
    if (!value || !json_equal((json_t *)value, expected))
        fail_msg("%s, not %s", got, text);
    free(got);
    json_decref(expected);
}

static void all_kinds(void **state)
{
    (void)state;
    struct items_params p;
    assert_int_equal(read_params(&p, GIVEN("fields=id, title", "fields[]=tags", "sort=-weight,id", "limit=7",
                                           "page=3", "search=two words", "meta=*",
                                           "filter={\"a\":{\"_eq\":1}}", "other=x", "access=y")),
                     0);
    assert_json(p.query.fields, "[\"id\",\"title\",\"tags\"]");
    assert_json(p.query.sort, "[\"-weight\",\"id\"]");
    assert_json(p.query.filter, "{\"a\":{\"_eq\":1}}");
    assert_int_equal(p.query.limit, 7);
    assert_int_equal(p.query.offset, 14);
    assert_string_equal(p.query.search, "two words");
    assert_true(p.query.total_count && p.query.filter_count);
    items_params_free(&p);
}

static void defaults(void **state)
{
    (void)state;
    struct items_params p;
    assert_int_equal(read_params(&p, (const char *const[]){NULL}), 0);
    assert_int_equal(p.query.limit, PARAMS_LIMIT_DEFAULT);
    assert_int_equal(p.query.offset, 0);
    assert_null(p.query.filter);
    assert_null(p.query.fields);
    assert_false(p.query.total_count || p.query.filter_count);
    items_params_free(&p);
}

static void brackets(void **state)
{
    (void)state;
    static const struct {
        const char *const given[5];
        const char *filter;
    } cases[] = {
        {{"filter[a][_eq]=x"}, "{\"a\":{\"_eq\":\"x\"}}"},
        {{"filter[a][_gt]=1", "filter[a][_lt]=5"}, "{\"a\":{\"_gt\":\"1\",\"_lt\":\"5\"}}"},
        {{"filter[a][_in][]=x", "filter[a][_in][]=y"}, "{\"a\":{\"_in\":[\"x\",\"y\"]}}"},
        {{"filter[a][_in][0]=x", "filter[a][_in][1]=y"}, "{\"a\":{\"_in\":[\"x\",\"y\"]}}"},
        {{"filter[a][_in]=x,y"}, "{\"a\":{\"_in\":\"x,y\"}}"},
        {{"filter[_or][0][a][_eq]=x", "filter[_or][1][b][_eq]=y"},
         "{\"_or\":[{\"a\":{\"_eq\":\"x\"}},{\"b\":{\"_eq\":\"y\"}}]}"},
        {{"filter[_and][0][a][_eq]=x", "filter[_and][0][b][_eq]=y"},
         "{\"_and\":[{\"a\":{\"_eq\":\"x\"},\"b\":{\"_eq\":\"y\"}}]}"},
        {{"filter[a]=x"}, "{\"a\":\"x\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_params p;
        assert_int_equal(read_params(&p, cases[i].given), 0);
        assert_json(p.query.filter, cases[i].filter);
        items_params_free(&p);
    }
}

static void what_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][5] = {
        {"limit=x"},
        {"limit=-2"},
        {"limit=1001"},
        {"offset=-1"},
        {"page=0"},
        {"meta=everything"},
        {"filter=x"},
        {"filter=[]"},
        {"filter={\"a\":1,\"a\":2}"},
        {"filter={}", "filter={}"},
        {"filter[=x"},
        {"filter[a=x"},
        {"filter[a]b=x"},
        {"filter[]=x"},
        {"filter[a[b]]=x"},
        {"filter[a][_eq]=x", "filter[a][_eq]=y"},
        {"filter[a]=x", "filter[a][_eq]=y"},
        {"filter[a][_eq]=y", "filter[a]=x"},
        {"filter[_or][1][a]=x"},
        {"filter[_or][x][a]=x"},
        {"filter[a][_in][5]=x"},
        {"filter={}", "filter[a][_eq]=x", "filter={}"},
        {"deep={}"},
        {"deep[a][_limit]=1"},
        {"alias[a]=b"},
        {"aggregate[count]=*"},
        {"groupBy[]=a"},
        {"export=csv"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_params p;
        if (read_params(&p, cases[i]) != -EINVAL)
            fail_msg("%s is taken", cases[i][0]);
        assert_true(p.error.sentence[0]);
        items_params_free(&p);
    }
}

static void numbers_within_their_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *given[5], *sentence; /* NULL: it is taken */
        int64_t offset;
    } cases[] = {
        {{"offset=2147483647"}, NULL, 2147483647},
        {{"page=2147483647"}, NULL, INT64_C(2147483646) * 100},
        {{"page=2147483647", "limit=-1"}, NULL, INT64_C(2147483646) * 1000},
        {{"offset=2147483648"}, "\"offset\" must be from 0 to 2147483647", 0},
        {{"offset=99999999999999999999"}, "\"offset\" must be from 0 to 2147483647", 0},
        {{"page=2147483648"}, "\"page\" must be from 1 to 2147483647", 0},
        {{"limit=2147483648"}, "\"limit\" must be from -1 to 1000", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_params p;
        assert_int_equal(read_params(&p, cases[i].given), cases[i].sentence ? -EINVAL : 0);
        if (cases[i].sentence)
            assert_string_equal(p.error.sentence, cases[i].sentence);
        else
            assert_int_equal(p.query.offset, cases[i].offset);
        items_params_free(&p);
    }
}

static void too_much(void **state)
{
    (void)state;
    struct items_params p = ITEMS_PARAMS_INIT;
    char *deep = calloc(1, 4096), *path = deep;
    path += sprintf(path, "filter");
    for (int i = 0; i < PARAMS_MAX_DEPTH + 1; i++)
        path += sprintf(path, "[a%d]", i);
    items_params_add(&p, deep, "x");
    assert_int_equal(items_params_ready(&p), -EINVAL);
    items_params_free(&p);
    p = (struct items_params)ITEMS_PARAMS_INIT;
    memset(deep, 'x', 4095);
    for (int i = 0; i < 16; i++)
        items_params_add(&p, "search", deep);
    assert_int_equal(items_params_ready(&p), -EINVAL);
    items_params_free(&p);
    free(deep);
}

static int read_json(struct items_params *p, const char *text)
{
    json_t *query = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(query);
    *p = (struct items_params)ITEMS_PARAMS_INIT;
    items_params_add_json(p, query);
    json_decref(query); /* what it needs of it, it holds */
    return items_params_ready(p);
}

static void from_a_body(void **state)
{
    static const char *const bad[] = {"{\"filter\":\"x\"}",      "{\"limit\":1.5}",   "{\"limit\":true}",
                                      "{\"fields\":[[\"id\"]]}", "{\"deep\":{}}",     "{\"search\":{}}",
                                      "{\"limit\":-2}",          "{\"aggregate\":1}", "{\"sort\":[1,{}]}"};
    struct items_params p;
    (void)state;
    assert_int_equal(
        read_json(&p, "{\"fields\":[\"id\",\"title\"],\"sort\":\"-weight,id\",\"limit\":7,\"page\":3,"
                      "\"search\":\"two words\",\"meta\":[\"*\"],\"filter\":{\"a\":{\"_eq\":1}},"
                      "\"offset\":null,\"other\":\"x\"}"),
        0);
    assert_json(p.query.fields, "[\"id\",\"title\"]");
    assert_json(p.query.sort, "[\"-weight\",\"id\"]");
    assert_json(p.query.filter, "{\"a\":{\"_eq\":1}}");
    assert_int_equal(p.query.limit, 7);
    assert_int_equal(p.query.offset, 14);
    assert_string_equal(p.query.search, "two words");
    assert_true(p.query.total_count && p.query.filter_count);
    items_params_free(&p);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(read_json(&p, bad[i]), -EINVAL);
        items_params_free(&p);
    }
    assert_int_equal(read_json(&p, "[1]"), 0);
    assert_null(p.query.filter);
    items_params_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(defaults),
        cmocka_unit_test(brackets),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(numbers_within_their_bounds),
        cmocka_unit_test(too_much),
        cmocka_unit_test(from_a_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
