/* SPDX-License-Identifier: MIT */
#include "taxonomies.h"

#include "taxonomy/rows.h"

#define BASE \
    "{'dimensions':[{'name':'setting','description':'Where'}]," \
    "'nodes':[{'type':'tag','name':'beach','dimension':'setting','aliases':['seaside']}," \
    "{'type':'tag','name':'sunset','dimension':'light'},{'type':'category','name':'beach'}," \
    "{'type':'super_concept','name':'places'}]," \
    "'edges':[{'type':'CO_OCCURS','source':'beach','target':'sunset','weight':0.5}," \
    "{'type':'HAS_TAG','source':'beach','target':'beach'}]}"

static void everything_is_added_once(void **state)
{
    struct store *s = *state;
    struct taxonomy_import run = {0};
    assert_int_equal(import_text(s->db, BASE, &run), 0);
    assert_int_equal(run.nodes.added, 4);
    assert_int_equal(run.edges.added, 2);
    assert_int_equal(run.aliases.added, 1);
    assert_int_equal(run.dimensions.added, 2); /* one that a node names is made */
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_nodes"), 4);
    assert_int_equal(import_text(s->db, BASE, &run), 0);
    assert_int_equal(run.nodes.added + run.edges.added + run.aliases.added + run.dimensions.added, 0);
    assert_int_equal(run.nodes.updated + run.edges.updated + run.dimensions.updated, 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_edges"), 2);
}

static void what_differs_is_brought_up_to_date(void **state)
{
    struct store *s = *state;
    struct taxonomy_import run = {0};
    assert_int_equal(import_text(s->db, BASE, &run), 0);
    assert_int_equal(
        import_text(s->db,
                    "{'dimensions':[{'name':'setting','description':'Where it is'}],"
                    "'nodes':[{'type':'tag','name':'beach','description':'Sand'}],"
                    "'edges':[{'type':'CO_OCCURS','source':'beach','target':'sunset','weight':0.75}]}",
                    &run),
        0);
    assert_int_equal(run.nodes.updated, 1);
    assert_int_equal(run.edges.updated, 1);
    assert_int_equal(run.dimensions.updated, 1);
    /* what the second file doesn't say of it stays */
    assert_int_equal(store_int(s->db,
                               "SELECT count(*) FROM taxonomy_nodes n JOIN taxonomy_dimensions d "
                               "ON d.id = n.dimension_id WHERE n.name = 'beach' AND d.name = 'setting' "
                               "AND n.description = 'Sand'"),
                     1);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_edges WHERE weight = 0.75"), 1);
}

/* Also what use has taught it may pass the maxima: what is read then is what matters most. */
static void of_too_much_what_fits_is_read(void **state)
{
    struct store *s = *state;
    struct taxonomy_import run = {0};
    struct taxonomy_rows rows;
    assert_int_equal(import_text(s->db,
                                 "{'nodes':[{'type':'tag','name':'a','aliases':['x','y','z']},"
                                 "{'type':'tag','name':'b'},{'type':'category','name':'c'}],"
                                 "'edges':[{'type':'CO_OCCURS','source':'a','target':'b','weight':0.2},"
                                 "{'type':'CO_OCCURS','source':'b','target':'a','weight':0.9},"
                                 "{'type':'HAS_TAG','source':'c','target':'a','weight':0.1}]}",
                                 &run),
                     0);
    assert_int_equal(taxonomy_rows_read_most(s->db, 3, 2, &rows), 0);
    assert_int_equal(rows.n_nodes, 3);
    assert_int_equal(rows.n_aliases, 3);
    assert_int_equal(rows.n_edges, 2);
    assert_int_equal(rows.edges[0].relation, TAXONOMY_HAS_TAG);
    assert_true(rows.edges[1].weight == 0.9);
    taxonomy_rows_free(&rows);
    assert_int_equal(taxonomy_rows_read_most(s->db, 2, 3, &rows), 0);
    assert_int_equal(rows.n_nodes, 2);
    assert_true(rows.n_aliases <= 2 && rows.n_edges <= 2); /* none leads to what wasn't read */
    taxonomy_rows_free(&rows);
}

static void an_edge_without_ends_leaves_nothing(void **state)
{
    struct store *s = *state;
    struct taxonomy_import run = {0};
    assert_int_equal(import_text(s->db,
                                 "{'nodes':[{'type':'tag','name':'a'}],"
                                 "'edges':[{'type':'CO_OCCURS','source':'a','target':'b'}]}",
                                 &run),
                     -EINVAL);
    assert_string_equal(run.error, "edges[0].target: there is no such node: b");
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM taxonomy_nodes"), 0);
}

static void an_end_that_could_be_two_is_told(void **state)
{
    struct store *s = *state;
    struct taxonomy_import run = {0};
    assert_int_equal(import_text(s->db, BASE, &run), 0);
    assert_int_equal(
        import_text(s->db, "{'edges':[{'type':'MAPS_TO_CONCEPT','source':'beach','target':'places'}]}", &run),
        -EINVAL);
    assert_non_null(strstr(run.error, "edges[0].source: there is more than one beach"));
    assert_int_equal(
        import_text(s->db, "{'edges':[{'type':'MAPS_TO_CONCEPT','source':'tag:beach','target':'places'}]}",
                    &run),
        0);
    assert_int_equal(run.edges.added, 1);
}

static void count(void *ctx, int64_t done, int64_t total)
{
    assert_true(done <= total);
    ++*(int *)ctx;
}

static void progress_is_told(void **state)
{
    struct store *s = *state;
    struct taxonomy_file sample;
    int told = 0;
    struct taxonomy_import run = {.progress = count, .ctx = &told};
    assert_int_equal(taxonomy_sample(&sample), 0);
    assert_int_equal(taxonomy_import(s->db, &sample, &run), 0);
    assert_true(told >= 2);
    assert_int_equal(run.nodes.added, (int64_t)sample.n_nodes);
    taxonomy_file_free(&sample);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, store_set_up_migrated, store_tear_down)

int main(void)
{
    log_configure(LOG_ERROR, true);
    const struct CMUnitTest tests[] = {
        STORE_TEST(everything_is_added_once),         STORE_TEST(what_differs_is_brought_up_to_date),
        STORE_TEST(of_too_much_what_fits_is_read),    STORE_TEST(an_edge_without_ends_leaves_nothing),
        STORE_TEST(an_end_that_could_be_two_is_told), STORE_TEST(progress_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
