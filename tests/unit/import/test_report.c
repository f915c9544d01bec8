/* SPDX-License-Identifier: MIT */
#include "import/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct report *new_report(void)
{
    struct report *r = calloc(1, sizeof *r);
    assert_non_null(r);
    return r;
}

static void it_counts_by_table_and_reason_and_keeps_the_first_rows(void **state)
{
    (void)state;
    struct report *r = new_report();
    struct report_table *users = report_table(r, "users");
    assert_ptr_equal(report_table(r, "users"), users);
    assert_ptr_not_equal(report_table(r, "chats"), users);
    for (int i = 1; i <= 7; i++) {
        report_count(users, OUTCOME_LEFT);
        report_why(users, true, "it is odd", i);
    }
    report_count(users, OUTCOME_ADDED);
    report_why(users, false, "it is odd", 99);
    assert_int_equal(report_total(r, OUTCOME_LEFT), 7);
    assert_int_equal(report_total(r, OUTCOME_ADDED), 1);
    json_t *all = report_json(r), *table = json_array_get(all, 0);
    json_t *reason = json_array_get(json_object_get(table, "reasons"), 0);
    assert_int_equal(json_int(table, "left", 0), 7);
    assert_string_equal(json_str(reason, "kind", ""), "left");
    assert_int_equal(json_int(reason, "rows", 0), 7);
    assert_int_equal(json_array_size(json_object_get(reason, "examples")), REPORT_EXAMPLES);
    json_decref(all);
    free(r);
}

static void a_table_shows_what_was_left_and_why(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    struct report *r = new_report();
    report_count(report_table(r, "users"), OUTCOME_LEFT);
    report_why(report_table(r, "users"), true, "it is odd", 4);
    FILE *out = open_memstream(&text, &len);
    report_print(r, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\n    1 left: it is odd (row 4)\n"));
    free(text);
    free(r);
}

static void more_tables_and_reasons_than_there_is_room_for_are_counted_together(void **state)
{
    static char names[2 * REPORT_TABLES][16];
    (void)state;
    struct report *r = new_report();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(names[i], sizeof names[i], "name %zu", i);
        report_count(report_table(r, names[i]), OUTCOME_ADDED);
        report_why(report_table(r, "name 0"), true, names[i], (int64_t)i);
    }
    assert_int_equal(r->n_tables, REPORT_TABLES);
    assert_int_equal(report_total(r, OUTCOME_ADDED), ARRAY_LEN(names));
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_by_table_and_reason_and_keeps_the_first_rows),
        cmocka_unit_test(a_table_shows_what_was_left_and_why),
        cmocka_unit_test(more_tables_and_reasons_than_there_is_room_for_are_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
