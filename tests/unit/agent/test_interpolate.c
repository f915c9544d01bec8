/* SPDX-License-Identifier: MIT */
/* References in a step's config: what they become, and what they can't do. */
#include "agent/interpolate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const char input_text[] =
    "{\"url\":\"https://"
    "example.com\",\"n\":3,\"x\":1.5,\"yes\":true,\"none\":null,\"list\":[\"a\",{\"b\":[7]}],"
    "\"evil\":\"$user.id {{input.n}} $$ $input.url\",\"empty\":\"\",\"caf\\u00e9\":\"ol\\u00e9\"}";
static const char results_text[] =
    "{\"page\":{\"title\":\"Home\",\"content-type\":\"text/html\",\"items\":[{\"name\":"
    "\"first\"},{\"name\":\"second\"}]},\"rows\":[]}";

struct fixture {
    json_t *input, *results;
    struct interpolate_scope scope;
};

static json_t *parse(const char *text)
{
    json_t *value = json_parse(text, strlen(text));
    assert_non_null(value);
    return value;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->input = parse(input_text);
    f->results = parse(results_text);
    f->scope = (struct interpolate_scope){.input = f->input, .results = f->results, .user_id = "u-1"};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    json_decref(f->input);
    json_decref(f->results);
    free(f);
    return 0;
}

static const struct {
    const char *value, *result;
} filled[] = {
    /* no reference */
    {"\"plain\"", "\"plain\""},
    {"[1,true,null,{\"a\":{}}]", "[1,true,null,{\"a\":{}}]"},
    {"\"costs $5 or $ 5, {a} {{}} {{ }} {{\\\"a\\\":1}}\"",
     "\"costs $5 or $ 5, {a} {{}} {{ }} {{\\\"a\\\":1}}\""},
    {"\"open {{input.n\"", "\"open {{input.n\""},
    {"\"$\"", "\"$\""},
    /* the whole value keeps its type */
    {"\"$input.n\"", "3"},
    {"\"$input.x\"", "1.5"},
    {"\"$input.yes\"", "true"},
    {"\"$input.none\"", "null"},
    {"\"$input.list\"", "[\"a\",{\"b\":[7]}]"},
    {"\"$input.list.1.b.0\"", "7"},
    {"\"$input.empty\"", "\"\""},
    {"\"{{input.n}}\"", "3"},
    {"\"{{ $input.n }}\"", "3"},
    {"\"$page.items.1.name\"", "\"second\""},
    {"\"{{page.content-type}}\"", "\"text/html\""},
    {"\"$rows\"", "[]"},
    {"\"$user.id\"", "\"u-1\""},
    {"{\"a\":[\"$input.n\",{\"b\":\"$page.title\"}]}", "{\"a\":[3,{\"b\":\"Home\"}]}"},
    /* inside a text it is text */
    {"\"n=$input.n, x=$input.x, $input.yes.\"", "\"n=3, x=1.5, true.\""},
    {"\"[$input.none][$input.empty]\"", "\"[][]\""},
    {"\"all: $input.list\"", "\"all: [\\\"a\\\",{\\\"b\\\":[7]}]\""},
    {"\"see $page.title. Then {{page.title}}s\"", "\"see Home. Then Homes\""},
    {"\"$input.n$input.n\"", "\"33\""},
    {"\" $input.n\"", "\" 3\""},
    /* dollars */
    {"\"$$\"", "\"$\""},
    {"\"$$input.n\"", "\"$input.n\""},
    {"\"$$$input.n\"", "\"$3\""},
    {"\"$$5\"", "\"$5\""},
    /* keys are left alone */
    {"{\"$input.n\":1}", "{\"$input.n\":1}"},
    /* what was inserted is not read again */
    {"\"$input.evil\"", "\"$user.id {{input.n}} $$ $input.url\""},
    {"\"<$input.evil>\"", "\"<$user.id {{input.n}} $$ $input.url>\""},
    {"\"$$${input.n} {{input.evil}}\"", "\"$${input.n} $user.id {{input.n}} $$ $input.url\""},
};

static void references_become_values(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(filled); i++) {
        char error[200];
        _cleanup_json_ json_t *value = parse(filled[i].value), *want = parse(filled[i].result), *got = NULL;
        assert_int_equal(interpolate(value, &f->scope, &got, error, sizeof error), 0);
        assert_string_equal(error, "");
        _cleanup_free_ char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!json_equal(got, want))
            fail_msg("%s became %s", filled[i].value, text);
    }
}

static void a_missing_reference_is_named(void **state)
{
    static const struct {
        const char *value, *named;
    } cases[] = {
        {"\"$input.nothing\"", "$input.nothing"},
        {"{\"a\":[\"x $page.items.7.name y\"]}", "$page.items.7.name"},
        {"\"{{page.nothing}}\"", "$page.nothing"},
        {"\"$later\"", "$later"},
        {"\"$user\"", "$user"},
        {"\"$user.email\"", "$user.email"},
        {"\"$user.id.x\"", "$user.id.x"},
        {"\"$input.n.x\"", "$input.n.x"},
        {"\"$rows.0\"", "$rows.0"},
        {"\"$input.list.-1\"", NULL},
        {"\"{{input.list.-1}}\"", "$input.list.-1"},
        {"\"{{input.list.01x}}\"", "$input.list.01x"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char error[200];
        _cleanup_json_ json_t *value = parse(cases[i].value), *got = NULL;
        int r = interpolate(value, &f->scope, &got, error, sizeof error);
        assert_int_equal(r, cases[i].named ? -ENOENT : 0);
        if (cases[i].named)
            assert_non_null(strstr(error, cases[i].named));
    }
}

static void only_a_whole_dangling_reference_is_missing(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *value;
        bool missing;
    } cases[] = {{"\"$input.nothing\"", true}, {"\"{{input.nothing}}\"", true},
                 {"\"$input.none\"", false},   {"\"x $input.nothing\"", false},
                 {"\"plain\"", false},         {"3", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ json_t *value = parse(cases[i].value);
        assert_int_equal(interpolate_is_missing(value, &f->scope), cases[i].missing);
    }
}

/* `depth` arrays around a value. */
static json_t *nest(json_t *value, int depth)
{
    for (; depth > 0; depth--)
        value = json_pack("[o]", value);
    return value;
}

static void a_result_is_not_nested_deeper_than_json_may_be(void **state)
{
    (void)state;
    for (int more = 0; more <= 1; more++) {
        char error[200];
        _cleanup_json_ json_t *input = json_pack("{s:o}", "v", nest(json_integer(1), 40));
        _cleanup_json_ json_t *value = nest(json_string("$input.v"), JSON_MAX_DEPTH - 41 + more), *got = NULL;
        struct interpolate_scope scope = {.input = input, .user_id = "u"};
        assert_int_equal(interpolate(value, &scope, &got, error, sizeof error), more ? -EMSGSIZE : 0);
    }
}

/* Doubling a value eight times over by references to references would be an exponential text. */
static void a_result_is_not_larger_than_the_limit(void **state)
{
    (void)state;
    char error[200];
    _cleanup_free_ char *big = calloc(1, 100 * 1024 + 1);
    memset(big, 'x', 100 * 1024);
    _cleanup_json_ json_t *input = json_pack("{s:s}", "v", big);
    struct interpolate_scope scope = {.input = input, .user_id = "u"};
    for (int n = 10; n <= 11; n++) {
        _cleanup_json_ json_t *list = json_array(), *text = NULL, *got = NULL, *also = NULL;
        _cleanup_buf_ struct buf b = BUF_INIT(1024);
        for (int i = 0; i < n; i++) {
            assert_int_equal(json_array_append_new(list, json_string("$input.v")), 0);
            assert_int_equal(buf_adds(&b, "{{input.v}}"), 0);
        }
        text = json_string(buf_str(&b));
        assert_int_equal(interpolate(list, &scope, &got, error, sizeof error), n > 10 ? -EMSGSIZE : 0);
        assert_int_equal(interpolate(text, &scope, &also, error, sizeof error), n > 10 ? -EMSGSIZE : 0);
    }
}

static void a_value_is_one_part_of_an_address(void **state)
{
    static const struct {
        const char *value, *result; /* NULL: refused */
    } cases[] = {
        {"{\"u\":\"$input.base/a/$input.p?$input.p\"}",
         "{\"u\":\"https://h:1/x/a/%2F%C3%A9%3F?%2F%C3%A9%3F\"}"},
        {"{\"u\":\"$input.p\"}", "{\"u\":\"/\u00e9?\"}"},
        {"{\"u\":\"/$input.safe$$/$input.n\"}", "{\"u\":\"/aZ0-_.~$/null\"}"},
        {"{\"u\":\"/$input.none/\"}", "{\"u\":\"//\"}"},
        {"{\"u\":\"/$input.dots/\"}", NULL},
        {"{\"u\":\"/.$input.dot/\"}", NULL},
        {"{\"v\":\"/$input.p\",\"in\":{\"u\":\"/$input.dots\"}}",
         "{\"v\":\"//\u00e9?\",\"in\":{\"u\":\"/..\"}}"},
    };
    (void)state;
    _cleanup_json_ json_t *input =
        parse("{\"base\":\"https://h:1/x\",\"p\":\"/\u00e9?\",\"safe\":\"aZ0-_.~\","
              "\"none\":null,\"n\":\"null\",\"dots\":\"..\",\"dot\":\".\"}");
    struct interpolate_scope scope = {.input = input, .user_id = "u", .address_key = "u"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char error[200];
        _cleanup_json_ json_t *value = parse(cases[i].value), *got = NULL;
        int r = interpolate(value, &scope, &got, error, sizeof error);
        assert_int_equal(r, cases[i].result ? 0 : -EINVAL);
        _cleanup_json_ json_t *want = cases[i].result ? parse(cases[i].result) : NULL;
        if (want && !json_equal(got, want))
            fail_msg("%s", cases[i].value);
    }
}

static void collect(void *ctx, const char *path)
{
    assert_int_equal(buf_addf(ctx, "%s;", path), 0);
}

static void references_can_be_listed(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    _cleanup_json_ json_t *value =
        parse("{\"a\":\"$input.url and $$x {{page.title}}\",\"b\":[\"$user.id\",3]}");
    interpolate_each(value, collect, &b);
    assert_string_equal(buf_str(&b), "input.url;page.title;user.id;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(references_become_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_reference_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_whole_dangling_reference_is_missing, set_up, tear_down),
        cmocka_unit_test(a_result_is_not_nested_deeper_than_json_may_be),
        cmocka_unit_test(a_result_is_not_larger_than_the_limit),
        cmocka_unit_test(a_value_is_one_part_of_an_address),
        cmocka_unit_test(references_can_be_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
