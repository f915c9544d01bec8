/* SPDX-License-Identifier: MIT */
#include "llm/pick.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct pick pick_one(const char *json, const char *path, int expected)
{
    struct pick p;
    assert_int_equal(pick_fields(json, strlen(json), JSON_MAX_DEPTH, &path, 1, &p), expected);
    return p;
}

static void paths_lead_to_values(void **state)
{
    (void)state;
    static const char json[] =
        " {\"a\" : {\"b\":[ {\"c\":\"x\\n\"} , {\"c\":2}],\"bb\":1}, \"d\":-12,\"e\":null,"
        "\"f\":true,\"g\":{},\"h\":1.5e3} ";
    static const char *const paths[] = {"a.b.0.c", "d", "e", "f", "g", "a.b", "h", "a.x", "a.b.c", "d.e"};
    struct pick p[ARRAY_LEN(paths)];
    assert_int_equal(pick_fields(json, sizeof json - 1, JSON_MAX_DEPTH, paths, ARRAY_LEN(paths), p), 0);
    assert_int_equal(p[0].type, PICK_STRING);
    assert_true(pick_is(&p[0], "x\\n"));
    assert_int_equal(pick_int(&p[1], 0), -12);
    assert_int_equal(p[2].type, PICK_NULL);
    assert_int_equal(p[3].type, PICK_TRUE);
    assert_int_equal(p[4].type, PICK_OBJECT);
    assert_int_equal(p[5].type, PICK_ARRAY);
    assert_int_equal(pick_int(&p[6], 7), 7);
    for (size_t i = 7; i < ARRAY_LEN(paths); i++)
        assert_int_equal(p[i].type, PICK_NONE);
}

static void keys_may_be_escaped_or_repeated(void **state)
{
    (void)state;
    struct pick p = pick_one("{\"\\u0061\":1,\"a\":2}", "a", 0);
    assert_int_equal(pick_int(&p, 0), 2);
    p = pick_one("{\"a.b\":1}", "a.b", 0);
    assert_int_equal(p.type, PICK_NONE);
    p = pick_one("{\"\":{\"b\":1}}", "a.b", 0);
    assert_int_equal(p.type, PICK_NONE);
}

static void only_json_is_taken(void **state)
{
    (void)state;
    static const char *const good[] = {"0",       "-0",         "1.5E+10",     "\"\"",           "[]",
                                       "[1,[2]]", "{\"a\":[]}", "\t\r\n null", "\"\\u12aF\\/\"", "\"\xFF\""};
    static const char *const bad[] = {
        "",      " ",       "01",        "1.",          ".5",         "-",        "+1",
        "1e",    "1e+",     "nul",       "nulll",       "True",       "[1,]",     "[,1]",
        "[1 2]", "{\"a\"}", "{\"a\":}",  "{a:1}",       "{\"a\":1,}", "{\"a\":1", "[1",
        "\"a",   "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\t\"",     "\"\\",     "{} {}",
        "1 2",   "[}",      "{\"a\":1]", "\"a\" b",     "{\"a\" 1}",  "nullnull", "[\"a\" \"b\"]",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        (void)pick_one(good[i], "a", 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        (void)pick_one(bad[i], "a", -EINVAL);
}

static void depth_is_limited(void **state)
{
    (void)state;
    char json[200];
    memset(json, '[', 64);
    memset(json + 64, ']', 64);
    json[128] = '\0';
    (void)pick_one(json, "a", 0);
    memset(json, '[', 65);
    memset(json + 65, ']', 65);
    json[130] = '\0';
    (void)pick_one(json, "a", -EINVAL);
}

static void large_numbers_fall_back(void **state)
{
    (void)state;
    struct pick p = pick_one("{\"a\":999999999999999999}", "a", 0);
    assert_true(pick_int(&p, -1) == 999999999999999999);
    p = pick_one("{\"a\":99999999999999999999999}", "a", 0);
    assert_int_equal(pick_int(&p, -1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_to_values),    cmocka_unit_test(keys_may_be_escaped_or_repeated),
        cmocka_unit_test(only_json_is_taken),      cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(large_numbers_fall_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
