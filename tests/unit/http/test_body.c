/* SPDX-License-Identifier: MIT */
#include "http/answer.h"

#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct all {
    const char *name, *code, *kind, *id, *other;
    int64_t count, big, any_int;
    double share;
    bool flag;
    const json_t *object, *list, *any;
};

static const struct field fields[] = {
    FIELD_STR(all, name, "name", REQUIRED, MIN_LEN(2), MAX_LEN(8)),
    FIELD_STR(all, code, "code", CHARSET("a-cX_0-9-")),
    FIELD_STR(all, kind, "kind", CHOICES("red|green")),
    FIELD_UUID(all, id, "id"),
    FIELD_STR(all, other, "other_name", ALIAS("otherName")),
    FIELD_INT(all, count, "count", RANGE(1, 1000), DEFAULT(7)),
    FIELD_INT(all, big, "big", RANGE(-9007199254740992, 9007199254740992)),
    FIELD_INT(all, any_int, "any_int"),
    FIELD_NUM(all, share, "share", RANGE(-1, 2), DEFAULT(1)),
    FIELD_BOOL(all, flag, "flag", DEFAULT(1)),
    FIELD_OBJECT(all, object, "object"),
    FIELD_ARRAY(all, list, "list", MAX_LEN(3)),
    FIELD_ANY(all, any, "any", MAX_LEN(2)),
    FIELD_END,
};

/* Binds `text` into *ret; the parsed body is returned, since what is bound borrows from it. */
static json_t *bind(const char *text, struct all *ret, int *r, struct body_error *e)
{
    json_t *body = json_parse(text, strlen(text));
    assert_non_null(body);
    *ret = (struct all){0};
    *e = (struct body_error){0};
    *r = body_bind(fields, body, ret, e);
    return body;
}

static void what_each_field_takes(void **state)
{
    static const char text[] =
        "{\"name\":\"Änne\",\"code\":\"abX_-9\",\"kind\":\"green\",\"id\":\"0189DCBF-6d5b-7c3a-9e6f-"
        "0123456789ab\","
        "\"otherName\":\"o\",\"count\":1000,\"big\":-9007199254740992,\"any_int\":9223372036854775807,"
        "\"share\":-0.5,"
        "\"flag\":false,\"object\":{\"a\":1},\"list\":[1,2,3],\"any\":[],\"unknown\":[{}]}";
    struct all got;
    struct body_error e;
    int r;
    (void)state;
    _cleanup_json_ json_t *body = bind(text, &got, &r, &e);
    assert_non_null(body);
    assert_int_equal(r, 0);
    assert_string_equal(got.name, "Änne");
    assert_string_equal(got.code, "abX_-9");
    assert_string_equal(got.kind, "green");
    assert_string_equal(got.id, "0189DCBF-6d5b-7c3a-9e6f-0123456789ab");
    assert_string_equal(got.other, "o");
    assert_int_equal(got.count, 1000);
    assert_int_equal(got.big, INT64_C(-9007199254740992));
    assert_int_equal(got.any_int, INT64_MAX);
    assert_true(got.share == -0.5);
    assert_false(got.flag);
    assert_int_equal(json_int(got.object, "a", 0), 1);
    assert_int_equal(json_array_size(got.list), 3);
    assert_true(json_is_array(got.any));
}

static void absent_and_null_fields_take_their_defaults(void **state)
{
    static const char *const texts[] = {
        "{\"name\":\"xy\"}",
        "{\"name\":\"xy\",\"code\":null,\"kind\":null,\"id\":null,\"other_name\":null,\"count\":null,\"big\":"
        "null,"
        "\"share\":null,\"flag\":null,\"object\":null,\"list\":null,\"any\":null}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct all got;
        struct body_error e;
        int r;
        _cleanup_json_ json_t *body = bind(texts[i], &got, &r, &e);
        assert_non_null(body);
        assert_int_equal(r, 0);
        assert_true(!got.code && !got.kind && !got.id && !got.other && !got.object && !got.list && !got.any);
        assert_int_equal(got.count, 7);
        assert_int_equal(got.big, 0);
        assert_true(got.share == 1.0);
        assert_true(got.flag);
    }
}

static void the_name_comes_before_its_alias(void **state)
{
    struct all got;
    struct body_error e;
    int r;
    (void)state;
    _cleanup_json_ json_t *body =
        bind("{\"name\":\"xy\",\"otherName\":\"b\",\"other_name\":\"a\"}", &got, &r, &e);
    assert_non_null(body);
    assert_int_equal(r, 0);
    assert_string_equal(got.other, "a");
}

static const struct {
    const char *text, *field, *sentence;
    enum error_id error;
} refusals[] = {
    {"{}", "name", "Missing required fields", ERR_MISSING_FIELD},
    {"{\"name\":null}", "name", "Missing required fields", ERR_MISSING_FIELD},
    {"{\"name\":\"\"}", "name", "Missing required fields", ERR_MISSING_FIELD},
    {"{\"name\":\" \\t\\n\"}", "name", "Missing required fields", ERR_MISSING_FIELD},
    {"{\"name\":5}", "name", "name must be a text", ERR_INVALID_FIELD},
    {"{\"name\":\"ä\"}", "name", "name is shorter than 2 characters", ERR_INVALID_FIELD},
    {"{\"name\":\"123456789\"}", "name", "name is longer than 8 bytes", ERR_INVALID_FIELD},
    {"{\"name\":\"ääää1\"}", "name", "name is longer than 8 bytes", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"code\":\"d\"}", "code", "code may only hold the characters a-cX_0-9-",
     ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"code\":\"ä\"}", "code", "code may only hold the characters a-cX_0-9-",
     ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"kind\":\"red|green\"}", "kind", "kind must be one of red|green", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"kind\":\"re\"}", "kind", "kind must be one of red|green", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"id\":\"1\"}", "id", "id must be a UUID", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"id\":\"\"}", "id", "id must be a UUID", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"otherName\":1}", "other_name", "other_name must be a text", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"count\":0}", "count", "count must be from 1 to 1000", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"count\":1001}", "count", "count must be from 1 to 1000", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"count\":1.0}", "count", "count must be a whole number", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"count\":\"1\"}", "count", "count must be a whole number", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"count\":true}", "count", "count must be a whole number", ERR_INVALID_FIELD},
    /* doubles can't tell this one from the last that is allowed */
    {"{\"name\":\"xy\",\"big\":9007199254740993}", "big",
     "big must be from -9007199254740992 to 9007199254740992", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"share\":2.5}", "share", "share must be from -1 to 2", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"share\":-2}", "share", "share must be from -1 to 2", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"share\":\"1\"}", "share", "share must be a number", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"flag\":1}", "flag", "flag must be true or false", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"flag\":\"true\"}", "flag", "flag must be true or false", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"object\":[]}", "object", "object must be an object", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"list\":{}}", "list", "list must be a list", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"list\":[1,2,3,4]}", "list", "list has more than 3 items", ERR_INVALID_FIELD},
    {"{\"name\":\"xy\",\"any\":[1,2,3]}", "any", "any has more than 2 items", ERR_INVALID_FIELD},
    {"[]", NULL, "The request body must be a JSON object", ERR_MALFORMED_JSON},
    {"\"x\"", NULL, "The request body must be a JSON object", ERR_MALFORMED_JSON},
    {"null", NULL, "The request body must be a JSON object", ERR_MALFORMED_JSON},
};

static void every_refusal_names_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct all got;
        struct body_error e;
        int r;
        _cleanup_json_ json_t *body = bind(refusals[i].text, &got, &r, &e);
        assert_non_null(body);
        if (r != -EINVAL)
            fail_msg("accepted %s", refusals[i].text);
        assert_int_equal(e.error, refusals[i].error);
        assert_true(str_equal(e.field, refusals[i].field));
        assert_string_equal(e.sentence, refusals[i].sentence);
    }
}

static void a_route_may_promise_another_code_for_blank(void **state)
{
    static const struct field own[] = {
        FIELD_STR(all, name, "message", REQUIRED, BLANK_IS(ERR_EMPTY_MESSAGE)),
        FIELD_END,
    };
    struct all got = {0};
    struct body_error e = {0};
    (void)state;
    _cleanup_json_ json_t *body = json_pack("{s:s}", "message", "  ");
    assert_non_null(body);
    assert_int_equal(body_bind(own, body, &got, &e), -EINVAL);
    assert_int_equal(e.error, ERR_EMPTY_MESSAGE);
    assert_string_equal(e.sentence, "message must not be empty");
}

static void without_a_limit_of_its_own_a_text_has_1024_bytes(void **state)
{
    static const struct field own[] = {FIELD_STR(all, name, "text"), FIELD_END};
    (void)state;
    for (int len = 1023; len <= 1025; len++) {
        struct all got = {0};
        struct body_error e = {0};
        char text[1100];
        (void)snprintf(text, sizeof text, "%0*d", len, 1);
        _cleanup_json_ json_t *body = json_pack("{s:s}", "text", text);
        assert_non_null(body);
        assert_int_equal(body_bind(own, body, &got, &e), len <= 1024 ? 0 : -EINVAL);
    }
}

static void the_schema_says_what_the_table_says(void **state)
{
    static const char expected[] =
        "{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{"
        "\"name\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":8},"
        "\"code\":{\"type\":\"string\",\"maxLength\":1024},"
        "\"kind\":{\"type\":\"string\",\"maxLength\":1024,\"enum\":[\"red\",\"green\"]},"
        "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"other_name\":{\"type\":\"string\",\"maxLength\":1024},"
        "\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":7},"
        "\"big\":{\"type\":\"integer\",\"minimum\":-9007199254740992,\"maximum\":9007199254740992},"
        "\"any_int\":{\"type\":\"integer\"},"
        "\"share\":{\"type\":\"number\",\"minimum\":-1,\"maximum\":2,\"default\":1},"
        "\"flag\":{\"type\":\"boolean\",\"default\":true},"
        "\"object\":{\"type\":\"object\"},"
        "\"list\":{\"type\":\"array\",\"maxItems\":3},"
        "\"any\":{}}}";
    (void)state;
    _cleanup_json_ json_t *schema = body_schema(fields), *want = json_parse(expected, sizeof expected - 1);
    assert_non_null(want);
    if (!json_equal(schema, want)) {
        char *text = json_dumps(schema, JSON_INDENT(1));
        print_message("%s\n", text);
        free(text);
        fail();
    }
}

static void an_answer_is_described_by_its_table(void **state)
{
    static const struct field texts[] = {HAS_STR(""), FIELD_END};
    static const struct field row[] = {HAS_UUID("id"), HAS_TIME("at", MAY_BE_NULL), FIELD_END};
    static const struct field answer[] = {HAS_BOOL("ok"),
                                          HAS_LIST("rows", row),
                                          HAS_LIST("tags", texts, MAY_BE_ABSENT),
                                          HAS_OBJECT("meta", row),
                                          HAS_OBJECT("free", NULL),
                                          HAS_ANY("any", MAY_BE_ABSENT),
                                          HAS_NUM("n"),
                                          HAS_STR("c", CHOICES("a|b")),
                                          FIELD_END};
    static const char row_text[] =
        "\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}},\"required\":[\"id\",\"at\"]";
    char expected[2000];
    (void)state;
    (void)snprintf(expected, sizeof expected,
                   "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"},"
                   "\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"object\",%s}},"
                   "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
                   "\"meta\":{\"type\":\"object\",%s},\"free\":{\"type\":\"object\"},\"any\":{},"
                   "\"n\":{\"type\":\"number\"},\"c\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}},"
                   "\"required\":[\"ok\",\"rows\",\"meta\",\"free\",\"n\",\"c\"]}",
                   row_text, row_text);
    _cleanup_json_ json_t *schema = answer_schema(answer), *want = json_parse(expected, strlen(expected));
    assert_non_null(want);
    if (!json_equal(schema, want)) {
        char *text = json_dumps(schema, JSON_INDENT(1));
        fail_msg("%s", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_each_field_takes),
        cmocka_unit_test(absent_and_null_fields_take_their_defaults),
        cmocka_unit_test(the_name_comes_before_its_alias),
        cmocka_unit_test(every_refusal_names_its_field),
        cmocka_unit_test(a_route_may_promise_another_code_for_blank),
        cmocka_unit_test(without_a_limit_of_its_own_a_text_has_1024_bytes),
        cmocka_unit_test(the_schema_says_what_the_table_says),
        cmocka_unit_test(an_answer_is_described_by_its_table),
    };
    return cmocka_run_group_tests_name("http/body", tests, NULL, NULL);
}
