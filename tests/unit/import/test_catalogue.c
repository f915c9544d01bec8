/* SPDX-License-Identifier: MIT */
#include "import/catalogue.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    sqlite3 *db;
    struct arena arena;
    struct catalogue c;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    arena_init(&f->arena, 16 << 20);
    *state = f;
    return sqlite3_open(":memory:", &f->db);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)sqlite3_close(f->db);
    arena_free(&f->arena);
    free(f);
    return 0;
}

static int read_schema(struct fixture *f, const char *schema)
{
    assert_int_equal(sqlite3_exec(f->db, schema, NULL, NULL, NULL), SQLITE_OK);
    return catalogue_read(f->db, &f->arena, &f->c);
}

static size_t place_of(struct fixture *f, const char *name)
{
    for (size_t i = 0; i < f->c.n; i++)
        if (strcmp(f->c.tables[i].name, name) == 0)
            return i;
    fail_msg("no table %s", name);
    return 0;
}

static bool is_late(struct fixture *f, const char *table, const char *column)
{
    const struct catalogue_table *t = catalogue_table(&f->c, table);
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->columns[i].name, column) == 0)
            return t->columns[i].late;
    fail_msg("no column %s.%s", table, column);
    return false;
}

static void tables_come_after_those_that_they_refer_to(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_schema(f, "CREATE TABLE a (id PRIMARY KEY, b NOT NULL REFERENCES b (id));"
                                    "CREATE TABLE b (id PRIMARY KEY, c REFERENCES c (id));"
                                    "CREATE TABLE c (id PRIMARY KEY);"
                                    "CREATE TABLE genie_registrations (name PRIMARY KEY);"
                                    "CREATE TABLE schema_version (version PRIMARY KEY);"),
                     0);
    assert_int_equal(f->c.n, 3);
    assert_true(place_of(f, "c") < place_of(f, "b"));
    assert_true(place_of(f, "b") < place_of(f, "a"));
    assert_false(is_late(f, "b", "c"));
}

static void a_ring_is_opened_where_a_reference_may_be_null(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_schema(f,
                                 "CREATE TABLE assets (id PRIMARY KEY, job REFERENCES jobs (id));"
                                 "CREATE TABLE jobs (id PRIMARY KEY, asset NOT NULL REFERENCES assets (id));"
                                 "CREATE TABLE tree (id PRIMARY KEY, parent REFERENCES tree (id));"),
                     0);
    assert_true(is_late(f, "assets", "job"));
    assert_false(is_late(f, "jobs", "asset"));
    assert_true(is_late(f, "tree", "parent"));
    assert_true(place_of(f, "assets") < place_of(f, "jobs"));
}

static void a_ring_that_nothing_opens_is_an_error(void **state)
{
    assert_int_equal(read_schema(*state, "CREATE TABLE a (id PRIMARY KEY, b NOT NULL REFERENCES b (id));"
                                         "CREATE TABLE b (id PRIMARY KEY, a NOT NULL REFERENCES a (id));"),
                     -ELOOP);
}

static void columns_come_with_their_keys(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_schema(f, "CREATE TABLE t (x, b, a, PRIMARY KEY (a, b)) WITHOUT ROWID;"), 0);
    const struct catalogue_table *t = catalogue_table(&f->c, "t");
    assert_int_equal(t->n, 3);
    assert_int_equal(t->n_keys, 2);
    assert_int_equal(t->columns[0].key, 0);
    assert_int_equal(t->columns[1].key, 2);
    assert_int_equal(t->columns[2].key, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables_come_after_those_that_they_refer_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ring_is_opened_where_a_reference_may_be_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ring_that_nothing_opens_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(columns_come_with_their_keys, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
