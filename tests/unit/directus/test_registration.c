/* SPDX-License-Identifier: MIT */
/* Where no Directus manages the store nothing is registered; what is registered with a real one is seen in
 * tests/e2e/directus-store.test.mjs. */
#include "../db/store.h"

#include "directus/registration.h"

static void needs_a_directus(void **state)
{
    struct store *s = *state;
    struct directus_report report;
    assert_int_equal(directus_manages_store(s->db), 0);
    assert_int_equal(directus_register(s->db, &report), 0);
    assert_int_equal(report.collections + report.fields + report.relations + report.permissions, 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM genie_registrations"), 0);
}

static void knows_one_by_its_tables(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "CREATE TABLE directus_migrations (version integer)"), 0);
    assert_int_equal(directus_manages_store(s->db), 0);
    assert_int_equal(store_exec(s->db, "CREATE TABLE directus_collections (collection integer)"), 0);
    assert_int_equal(directus_manages_store(s->db), 1);
}

#define STORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, store_set_up_migrated, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {STORE_TEST(needs_a_directus), STORE_TEST(knows_one_by_its_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
