/* SPDX-License-Identifier: MIT */
#include "import/ids.h"

#include "../db/store.h"

#include <errno.h>

struct call {
    int64_t source, new_id;
    const char *old_id;
    int r;
};

static int source_unit(struct db_conn *c, void *arg)
{
    struct call *call = arg;
    return ids_source(c, "kind", call->old_id, &call->source);
}

static int known_unit(struct db_conn *c, void *arg)
{
    struct call *call = arg;
    call->r = ids_known(c, call->source, "workspaces", call->old_id, &call->new_id);
    return 0;
}

static int resolve_unit(struct db_conn *c, void *arg)
{
    struct call *call = arg;
    call->r = ids_resolve(c, call->source, "workspaces", 7, &call->new_id);
    return 0;
}

static int keep_unit(struct db_conn *c, void *arg)
{
    struct call *call = arg;
    return ids_keep(c, call->source, "workspaces", call->old_id, call->new_id);
}

static int64_t source_of(struct db *db, const char *identity)
{
    struct call call = {.old_id = identity};
    assert_int_equal(db_write(db, source_unit, &call), 0);
    return call.source;
}

static void a_source_is_made_once_and_told_from_others(void **state)
{
    struct store *s = *state;
    int64_t one = source_of(s->db, "one"), two = source_of(s->db, "two");
    assert_true(one != two);
    assert_int_equal(source_of(s->db, "one"), one);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM import_sources"), 2);
}

static void a_row_is_known_once_it_is_kept_and_only_to_its_source(void **state)
{
    struct store *s = *state;
    struct call call = {.source = source_of(s->db, "one"), .old_id = "7", .new_id = 70};
    struct call other = {.source = source_of(s->db, "two"), .old_id = "7"};
    assert_int_equal(db_read(s->db, known_unit, &call), 0);
    assert_int_equal(call.r, 0);
    call.new_id = 70;
    assert_int_equal(db_write(s->db, keep_unit, &call), 0);
    call.new_id = 0;
    assert_int_equal(db_read(s->db, known_unit, &call), 0);
    assert_int_equal(call.r, 1);
    assert_int_equal(call.new_id, 70);
    assert_int_equal(db_read(s->db, known_unit, &other), 0);
    assert_int_equal(other.r, 0);
    assert_int_equal(db_write(s->db, keep_unit, &call), -EEXIST);
}

static void what_is_gone_is_known_and_not_referred_to(void **state)
{
    struct store *s = *state;
    struct call call = {.source = source_of(s->db, "one"), .old_id = "7", .new_id = 70};
    assert_int_equal(db_write(s->db, keep_unit, &call), 0);
    assert_int_equal(store_exec(s->db, "INSERT INTO workspaces (id, name, slug) VALUES (70, 'n', 's')"), 0);
    assert_int_equal(db_read(s->db, resolve_unit, &call), 0);
    assert_int_equal(call.r, 1);
    assert_int_equal(call.new_id, 70);
    assert_int_equal(store_exec(s->db, "DELETE FROM workspaces"), 0);
    assert_int_equal(db_read(s->db, resolve_unit, &call), 0);
    assert_int_equal(call.r, 0);
    assert_int_equal(db_read(s->db, known_unit, &call), 0);
    assert_int_equal(call.r, 1);
}

static void a_row_without_an_integer_key_is_kept_as_well(void **state)
{
    struct store *s = *state;
    struct call call = {.source = source_of(s->db, "one"), .old_id = "7:abc"};
    assert_int_equal(db_write(s->db, keep_unit, &call), 0);
    call.new_id = 99;
    assert_int_equal(db_read(s->db, known_unit, &call), 0);
    assert_int_equal(call.r, 1);
    assert_int_equal(call.new_id, 0);
}

#define STORE(test) cmocka_unit_test_setup_teardown(test, store_set_up_migrated, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE(a_source_is_made_once_and_told_from_others),
        STORE(a_row_is_known_once_it_is_kept_and_only_to_its_source),
        STORE(what_is_gone_is_known_and_not_referred_to),
        STORE(a_row_without_an_integer_key_is_kept_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
