/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include "../auth/people.h"
#include "ops/removals.h"

static void make_files(const struct tree *t)
{
    tree_mkdir(t, "files");
    tree_write(t, "files/a", "x", 1);
    tree_write(t, "files/b", "x", 1);
    tree_write(t, "outside", "x", 1);
}

static const char names[] = "a\nb\nnowhere\n../outside\n/etc/passwd\n";

struct both {
    void *tree, *store;
};

static int set_up(void **state)
{
    struct both *b = calloc(1, sizeof *b);
    assert_non_null(b);
    assert_int_equal(tree_set_up(&b->tree), 0);
    assert_int_equal(people_set_up(&b->store), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct both *b = *state;
    (void)tree_tear_down(&b->tree);
    (void)store_tear_down(&b->store);
    free(b);
    return 0;
}

static void only_files_without_a_row_go(void **state)
{
    const struct both *b = *state;
    const struct tree *t = b->tree;
    struct store *s = b->store;
    struct removal list;
    size_t removed;
    make_files(t);
    run_sql(s->db, "INSERT INTO directus_files (id, filename_disk, filename_download) VALUES "
                   "('11111111-1111-4111-8111-111111111111', 'b', 'b')");
    assert_int_equal(removal_begin(t->dir, names, strlen(names), &list), 0);
    assert_int_equal(removals_finish(s->db, t->dir, &removed), 0);
    assert_int_equal(removed, 0); /* who wrote the list still holds it */
    removal_end(&list);
    assert_int_equal(removals_finish(s->db, t->dir, &removed), 0);
    assert_int_equal(removed, 1);
    assert_false(tree_has(t, "files/a"));
    assert_true(tree_has(t, "files/b"));
    assert_true(tree_has(t, "outside"));
    assert_int_equal(removals_finish(s->db, t->dir, &removed), 0); /* the list is gone too */
    assert_int_equal(removed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_files_without_a_row_go, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
