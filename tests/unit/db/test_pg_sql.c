/* SPDX-License-Identifier: MIT */
/* Where SQL is quoted, where a parameter stands, and where a statement ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "db/pg_sql.h"

#include <errno.h>

static void parameters_are_numbered_the_other_way(void **state)
{
    (void)state;
    static const struct {
        const char *given, *wanted;
        int params;
    } cases[] = {
        {"", "", 0},
        {"SELECT 1", "SELECT 1", 0},
        {"SELECT ?1, ?2", "SELECT $1, $2", 2},
        {"a = ?12 OR b = ?3 OR c = ?12", "a = $12 OR b = $3 OR c = $12", 12},
        {"?1?2", "$1$2", 2},
        {"x = '?1' AND y = ?1", "x = '?1' AND y = $1", 1},
        {"'it''s ?1' || ?2", "'it''s ?1' || $2", 2},
        {"'back\\' || ?1", "'back\\' || $1", 1},
        {"E'an \\' escaped ?1' || ?2", "E'an \\' escaped ?1' || $2", 2},
        {"e'\\\\' || ?1", "e'\\\\' || $1", 1},
        {"type'?1' = ?1", "type'?1' = $1", 1},
        {"\"odd ?1 \"\" name\" = ?1", "\"odd ?1 \"\" name\" = $1", 1},
        {"1 -- what's ?1\n, ?2", "1 -- what's ?1\n, $2", 2},
        {"/* a ?1 /* nested */ '?2 */ ?3", "/* a ?1 /* nested */ '?2 */ $3", 3},
        {"$$ ?1 ' $$ || ?2", "$$ ?1 ' $$ || $2", 2},
        {"$tag$ ?1 $$ $other$ $tag$ || ?2", "$tag$ ?1 $$ $other$ $tag$ || $2", 2},
        {"a$b$c ?1 $b$", "a$b$c $1 $b$", 1},
        {"tags ? 'x' AND ?1", "tags ? 'x' AND $1", 1},
        {"'käse ?1' = ?1", "'käse ?1' = $1", 1},
        {"'never closed ?1", "'never closed ?1", 0},
        {"/* never closed ?1", "/* never closed ?1", 0},
        {"$x$ never closed ?1", "$x$ never closed ?1", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = NULL;
        int params = -1;
        assert_int_equal(pg_sql_translate(cases[i].given, &text, &params), 0);
        assert_string_equal(text, cases[i].wanted);
        assert_int_equal(params, cases[i].params);
    }
}

static void impossible_parameters_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"?0", "?65536", "?99999999999999999999"};
    char *text = NULL;
    int params = -1;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(pg_sql_translate(bad[i], &text, &params), -EINVAL);
    assert_null(text);
    assert_int_equal(params, -1);
}

static void statements_that_control_a_transaction_are_known(void **state)
{
    (void)state;
    static const char *const yes[] = {"COMMIT", "  rollback", "-- x\nBegin", "/* y */SAVEPOINT a",
                                      "end;",   "RELEASE a",  "ABORT",       "start transaction"};
    static const char *const no[] = {
        "", "SELECT 'COMMIT'", "ENDED", "\"commit\"", "INSERT INTO begin VALUES (1)", "-- COMMIT"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(pg_sql_controls_transaction(yes[i], strlen(yes[i])));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(pg_sql_controls_transaction(no[i], strlen(no[i])));
    assert_false(pg_sql_controls_transaction("  COMMIT", 2)); /* behind the end */
}

static void a_script_is_cut_between_its_statements(void **state)
{
    (void)state;
    const char *script = "-- one;\n;; CREATE TABLE a (b text DEFAULT ';'); /* ; */\n"
                         "CREATE FUNCTION f() AS $$ BEGIN; END; $$;SELECT 1 -- no end;\n ; -- last";
    static const char *const wanted[] = {"CREATE TABLE a (b text DEFAULT ';')",
                                         "CREATE FUNCTION f() AS $$ BEGIN; END; $$",
                                         "SELECT 1 -- no end;\n "};
    const char *at;
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        assert_true(pg_sql_next_statement(&script, &at, &len));
        assert_int_equal(len, strlen(wanted[i]));
        assert_memory_equal(at, wanted[i], len);
    }
    assert_false(pg_sql_next_statement(&script, &at, &len));
    assert_false(pg_sql_next_statement(&script, &at, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_numbered_the_other_way),
        cmocka_unit_test(impossible_parameters_are_refused),
        cmocka_unit_test(statements_that_control_a_transaction_are_known),
        cmocka_unit_test(a_script_is_cut_between_its_statements),
    };
    return cmocka_run_group_tests_name("db/pg_sql", tests, NULL, NULL);
}
