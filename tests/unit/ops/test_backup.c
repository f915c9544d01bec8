/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include "db/snapshot.h"
#include "ops/backup.h"
#include "ops/restore.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#define ROWS 2000

static int back_up(const struct tree *t, const char *to, bool force, bool files_only, struct ops_error *error)
{
    char data[TREE_PATH], path[TREE_PATH];
    struct backup_summary summary;
    return backup_write(&(struct backup_options){.data_dir = tree_path(t, "data", data),
                                                 .path = tree_path(t, to, path),
                                                 .force = force,
                                                 .files_only = files_only},
                        &summary, error);
}

static int put_back(const struct tree *t, const char *from, const char *to, struct ops_error *error)
{
    char data[TREE_PATH], path[TREE_PATH];
    struct restore_summary summary;
    return restore_run(
        &(struct restore_options){.path = tree_path(t, from, path), .data_dir = tree_path(t, to, data)},
        &summary, error);
}

static sqlite3 *open_database(const struct tree *t, const char *name)
{
    char path[TREE_PATH];
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(tree_path(t, name, path), &db), SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return n;
}

/* A data directory with a database that is in use: the newest rows are in its log. */
static sqlite3 *make_data(const struct tree *t)
{
    tree_mkdir(t, "data");
    tree_mkdir(t, "data/files");
    tree_mkdir(t, "data/files/ab");
    tree_write(t, "data/files/ab/one.bin", "\0\1\2", 3);
    tree_write(t, "data/files/ünï.txt", "", 0);
    tree_write(t, "data/files/.upload-1", "half", 4);
    tree_mkdir(t, "data/onboarding");
    tree_mkdir(t, "data/onboarding/u");
    tree_write(t, "data/onboarding/u/job.zip", "PK", 2);
    tree_write(t, "data/onboarding/u/.deleted", "", 0);
    tree_write(t, "data/secrets.env", "JWT_SECRET=x\n", 13);
    sqlite3 *db = open_database(t, "data/genie.db");
    char sql[160];
    run(db,
        "PRAGMA journal_mode=WAL; CREATE TABLE schema_version (version INTEGER); CREATE TABLE t (x BLOB)");
    (void)snprintf(sql, sizeof sql, "INSERT INTO schema_version VALUES (%lld)",
                   (long long)db_schema_newest());
    run(db, sql);
    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                   "INSERT INTO t SELECT randomblob(2000) FROM n",
                   ROWS);
    run(db, sql);
    return db;
}

static void everything_comes_back(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    struct stat st;
    char path[TREE_PATH];
    size_t len;
    sqlite3 *db = make_data(t);
    assert_int_equal(back_up(t, "b", false, false, &error), 0);
    assert_int_equal(stat(tree_path(t, "b", path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(tree_count(t), 2); /* nothing temporary is left */
    run(db, "DELETE FROM t");
    (void)sqlite3_close(db);
    assert_int_equal(put_back(t, "b", "new", &error), 0);
    _cleanup_free_ char *one = tree_read(t, "new/files/ab/one.bin", &len);
    assert_int_equal(len, 3);
    assert_memory_equal(one, "\0\1\2", 3);
    assert_true(tree_has(t, "new/files/ünï.txt"));
    assert_false(tree_has(t, "new/files/.upload-1"));
    _cleanup_free_ char *export = tree_read(t, "new/onboarding/u/job.zip", &len);
    assert_string_equal(export, "PK");
    assert_false(tree_has(t, "new/onboarding/u/.deleted"));
    _cleanup_free_ char *secrets = tree_read(t, "new/secrets.env", &len);
    assert_string_equal(secrets, "JWT_SECRET=x\n");
    assert_int_equal(stat(tree_path(t, "new", path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    db = open_database(t, "new/genie.db");
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), ROWS);
    (void)sqlite3_close(db);
}

struct meddling {
    const struct tree *tree;
    int calls;
};

/* Another connection writes between any two steps of the copy. */
static void write_meanwhile(void *ctx, int64_t done, int64_t total)
{
    struct meddling *m = ctx;
    (void)done, (void)total;
    if (++m->calls > 200)
        fail_msg("the copy begins anew for ever");
    sqlite3 *other = open_database(m->tree, "data/genie.db");
    run(other, "INSERT INTO t VALUES (x'00')");
    (void)sqlite3_close(other);
}

static void a_copy_is_one_moment_whatever_is_written(void **state)
{
    const struct tree *t = *state;
    char from[TREE_PATH], to[TREE_PATH];
    struct db_why why = {0};
    struct meddling m = {.tree = t};
    int64_t schema;
    sqlite3 *db = make_data(t);
    run(db, "INSERT INTO t SELECT randomblob(12000) FROM t");
    int64_t before = ask(db, "SELECT count(*) FROM t");
    tree_write(t, "copy", "", 0);
    assert_int_equal(
        db_snapshot(tree_path(t, "data/genie.db", from), tree_path(t, "copy", to), write_meanwhile, &m, &why),
        0);
    assert_true(m.calls > 1);
    assert_int_equal(db_snapshot_check(to, &schema, &why), 0);
    assert_int_equal(schema, db_schema_newest());
    sqlite3 *copy = open_database(t, "copy");
    assert_int_equal(ask(copy, "SELECT count(*) FROM t"), before);
    (void)sqlite3_close(copy);
    assert_int_equal(ask(db, "SELECT count(*) FROM t"), before + m.calls);
    (void)sqlite3_close(db);
    assert_false(tree_has(t, "copy-wal"));
}

static void what_is_there_stays_unless_forced(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    size_t len;
    (void)sqlite3_close(make_data(t));
    tree_write(t, "b", "precious", 8);
    assert_int_equal(back_up(t, "b", false, false, &error), -EEXIST);
    assert_non_null(strstr(error.text, "--force"));
    _cleanup_free_ char *kept = tree_read(t, "b", &len);
    assert_string_equal(kept, "precious");
    assert_int_equal(back_up(t, "b", true, false, &error), 0);
    assert_int_equal(put_back(t, "b", "new", &error), 0);
    tree_mkdir(t, "d");
    assert_int_equal(back_up(t, "d", true, false, &error), -EEXIST); /* a directory is never replaced */
}

static void a_full_disk_leaves_nothing(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    const struct rlimit before = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY},
                        small = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
    (void)sqlite3_close(make_data(t));
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = back_up(t, "b", false, false, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r, -ENOSPC);
    assert_non_null(strstr(error.text, "disk is full"));
    assert_int_equal(tree_count(t), 1);
    assert_int_equal(back_up(t, "b", false, false, &error), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    r = put_back(t, "b", "new", &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(tree_count(t), 2);
}

static void a_damaged_database_is_no_backup(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    size_t len;
    sqlite3 *db = make_data(t);
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    (void)sqlite3_close(db);
    char *data = tree_read(t, "data/genie.db", &len);
    memset(data + 4 * 4096, 0x55, 4096);
    tree_write(t, "data/genie.db", data, len);
    free(data);
    assert_int_equal(back_up(t, "b", false, false, &error), -EBADMSG);
    assert_non_null(strstr(error.text, "damaged"));
    assert_int_equal(tree_count(t), 1);
}

static void one_below_files_does_not_hold_itself(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    (void)sqlite3_close(make_data(t));
    assert_int_equal(back_up(t, "data/files/b", false, false, &error), 0);
    assert_int_equal(put_back(t, "data/files/b", "new", &error), 0);
    assert_true(tree_has(t, "new/files/ab/one.bin"));
    assert_false(tree_has(t, "new/files/b.tmp"));
}

static void without_a_database(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    tree_mkdir(t, "data");
    assert_int_equal(back_up(t, "b", false, false, &error), -ENOENT);
    assert_int_equal(tree_count(t), 1);
    assert_int_equal(back_up(t, "b", false, true, &error), 0);
    assert_int_equal(put_back(t, "b", "new", &error), 0);
    assert_false(tree_has(t, "new/genie.db"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_comes_back, tree_set_up, tree_tear_down),
        cmocka_unit_test_setup_teardown(a_copy_is_one_moment_whatever_is_written, tree_set_up,
                                        tree_tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_stays_unless_forced, tree_set_up, tree_tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, tree_set_up, tree_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_database_is_no_backup, tree_set_up, tree_tear_down),
        cmocka_unit_test_setup_teardown(one_below_files_does_not_hold_itself, tree_set_up, tree_tear_down),
        cmocka_unit_test_setup_teardown(without_a_database, tree_set_up, tree_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
