/* SPDX-License-Identifier: MIT */
/* Migrations, and the promises that the schema itself keeps. */
#include "store.h"

#include "db/engine.h"

#include <errno.h>
#include <sys/wait.h>

#define ID(n) "00000000-0000-4000-8000-0000000000" n
#define U1 ID("01")
#define U2 ID("02")

static int migration_count(void)
{
    const struct migration *list = store_is_postgres() ? postgres_migrations : sqlite_migrations;
    int n = 0;
    while (list[n].version != 0)
        n++;
    return n;
}

/* How many tables there are of this name, or at all. */
static int64_t tables(struct db *db, const char *name)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   store_is_postgres() ? "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' "
                                         "AND (tablename = '%s' OR '%s' = '')"
                                       : "SELECT count(*) FROM sqlite_schema WHERE name = '%s' OR '%s' = ''",
                   name, name);
    return store_int(db, sql);
}

static int set_up_migrated(void **state)
{
    (void)store_set_up_migrated(state);
    struct store *s = *state;
    assert_int_equal(store_exec(s->db,
                                "INSERT INTO directus_users (id, email) VALUES ('" U1 "', 'a@example.com'), "
                                "('" U2 "', 'b@example.com')"),
                     0);
    return 0;
}

/* --- migrating -------------------------------------------------------------------------------------- */

static void an_empty_store_gets_everything_once(void **state)
{
    struct store *s = *state;
    int applied = -1;
    assert_int_equal(db_migrate(s->db, &applied), 0);
    assert_int_equal(applied, migration_count());
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM schema_version"), migration_count());
    assert_int_equal(db_migrate(s->db, &applied), 0);
    assert_int_equal(applied, 0);
}

static void the_versions_are_in_order_and_the_same_on_both_engines(void **state)
{
    (void)state;
    for (int i = 0; i < migration_count(); i++)
        assert_true(sqlite_migrations[i].version > (i ? sqlite_migrations[i - 1].version : 0));
    for (int i = 0; sqlite_migrations[i].name || postgres_migrations[i].name; i++) {
        assert_int_equal(sqlite_migrations[i].version, postgres_migrations[i].version);
        assert_string_equal(sqlite_migrations[i].name, postgres_migrations[i].name);
    }
}

static void a_newer_database_is_left_alone(void **state)
{
    struct store *s = *state;
    assert_int_equal(db_migrate(s->db, NULL), 0);
    assert_int_equal(store_exec(s->db, "INSERT INTO schema_version (version, name, applied_at) "
                                       "VALUES (9999, 'tomorrow', '2999-01-01T00:00:00.000Z')"),
                     0);
    int applied = -1;
    assert_int_equal(db_migrate(s->db, &applied), -ENOTSUP);
    assert_int_equal(applied, -1);
}

static void a_failing_migration_leaves_nothing_behind(void **state)
{
    static const struct migration list[] = {
        {1, "good", "CREATE TABLE good (id INTEGER);"},
        {2, "bad", "CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);"},
        {0, NULL, NULL},
    };
    static const struct migration mended[] = {
        {1, "good", "CREATE TABLE good (id INTEGER);"},
        {2, "bad", "CREATE TABLE half (id INTEGER); CREATE TABLE whole (id INTEGER);"},
        {0, NULL, NULL},
    };
    struct store *s = *state;
    int applied;
    assert_int_equal(db_apply_migrations(s->db, list, NULL), -EIO);
    assert_int_equal(store_int(s->db, "SELECT max(version) FROM schema_version"), 1);
    assert_int_equal(tables(s->db, "half"), 0);
    assert_int_equal(db_apply_migrations(s->db, mended, &applied), 0);
    assert_int_equal(applied, 1);
}

static void a_migration_that_ends_its_transaction_is_refused(void **state)
{
    static const struct migration list[] = {
        {1, "sly", "CREATE TABLE half (id INTEGER); COMMIT; CREATE TABLE rest (id INTEGER);"},
        {0, NULL, NULL},
    };
    struct store *s = *state;
    assert_int_equal(db_apply_migrations(s->db, list, NULL), -EIO);
    assert_int_equal(tables(s->db, ""), 0);
}

/* A process of its own that starts when `go` is closed; exits with 0 if it found or made the schema. */
static pid_t start_migrating(const struct store *s, int go[2])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char c;
    struct db *db;
    struct db_options options = store_options(s);
    (void)close(go[1]);
    if (read(go[0], &c, 1) != 0 || db_open(&options, &db) < 0 || db_migrate(db, NULL) < 0)
        _exit(1);
    db_close(db);
    _exit(0);
}

static void several_processes_may_start_at_once(void **state)
{
    struct store *s = *state;
    pid_t pids[6];
    int go[2];
    db_close(s->db);
    s->db = NULL;
    assert_true(store_is_postgres() || unlink(s->path) == 0);
    assert_int_equal(pipe(go), 0);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        pids[i] = start_migrating(s, go);
    (void)close(go[1]);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    (void)close(go[0]);
    store_open_at(s);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM schema_version"), migration_count());
}

/* --- what the schema promises ------------------------------------------------------------------------ */

static void an_installation_starts_with_its_roles_and_prompt(void **state)
{
    struct store *s = *state;
    assert_int_equal(
        store_int(s->db, "SELECT count(*) FROM directus_roles r JOIN directus_access a ON a.role = r.id "
                         "JOIN directus_policies p ON p.id = a.policy "
                         "WHERE r.name IN ('Administrator', 'Creator', 'Viewer') AND p.app_access = TRUE"),
        3);
    assert_int_equal(
        store_int(s->db, "SELECT count(*) FROM directus_roles r JOIN directus_access a ON a.role = r.id "
                         "JOIN directus_policies p ON p.id = a.policy WHERE p.admin_access = TRUE"),
        1);
    assert_int_equal(
        store_int(s->db, "SELECT count(*) FROM system_config WHERE key = 'prime_directive' AND value <> ''"),
        1);
}

static void every_reference_has_an_index(void **state)
{
    struct store *s = *state;
    /* Without one, deleting a user would read the whole of each table. */
    static const char sqlite[] = "SELECT count(*) FROM sqlite_schema t, pragma_foreign_key_list(t.name) f "
                                 "WHERE t.type = 'table' AND f.seq = 0 AND NOT EXISTS "
                                 "(SELECT 1 FROM pragma_index_list(t.name) i, pragma_index_info(i.name) x "
                                 "WHERE x.seqno = 0 AND x.name = f.\"from\")";
    static const char postgres[] =
        "SELECT count(*) FROM pg_constraint f WHERE f.contype = 'f' AND NOT EXISTS "
        "(SELECT 1 FROM pg_index i WHERE i.indrelid = f.conrelid "
        "AND i.indkey[0] = f.conkey[1])";
    assert_true(store_int(s->db, store_is_postgres()
                                     ? "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
                                     : "SELECT count(*) FROM pragma_foreign_key_list('media_jobs')") > 0);
    assert_int_equal(store_int(s->db, store_is_postgres() ? postgres : sqlite), 0);
}

static void every_table_tells_of_others_writes(void **state)
{
    struct store *s = *state;
    if (!store_is_postgres())
        skip();
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' "
                                      "AND tablename NOT LIKE 'directus\\_%' AND NOT EXISTS "
                                      "(SELECT 1 FROM pg_trigger WHERE tgname = 'genie_tell' "
                                      "AND tgrelid = CAST(tablename AS regclass))"),
                     0);
    store_await_listening(s->db);
    int64_t version = db_data_version(s->db);
    store_as_admin(s->name, "UPDATE system_config SET value = 'be kind'");
    store_await_change(s->db, version);
}

static int texts_are_iso(struct db_conn *c, void *sql)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int n = 0;
    assert_int_equal(db_query(c, sql, DB_NO_ARGS, &rows), 0);
    for (; db_next(rows) > 0; n++) {
        char again[ISO_TIME_LEN];
        int64_t ms;
        assert_int_equal(clock_parse_iso(db_text(rows, 0), &ms), 0);
        clock_format_iso(ms, again);
        assert_string_equal(again, db_text(rows, 0));
    }
    return n;
}

static void timestamps_are_iso_with_milliseconds(void **state)
{
    struct store *s = *state;
    static char users[] = "SELECT \"createdAt\" FROM users",
                config[] = "SELECT date_created FROM system_config";
    assert_int_equal(store_exec(s->db, "INSERT INTO users (username, password) VALUES ('a', '')"), 0);
    assert_int_equal(db_read(s->db, texts_are_iso, users), 1);
    assert_int_equal(db_read(s->db, texts_are_iso, config), 1);
}

static void an_address_is_one_users_in_any_spelling(void **state)
{
    struct store *s = *state;
    assert_int_equal(
        store_exec(s->db, "INSERT INTO directus_users (id, email) VALUES ('" ID("10") "', 'A@Example.com')"),
        -EEXIST);
}

static void an_anythingllm_user_has_one_directus_user(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO users (id, username, password) VALUES (1, 'a', '')"), 0);
    assert_int_equal(
        store_exec(s->db, "UPDATE directus_users SET anythingllm_user_id = 1 WHERE id = '" U1 "'"), 0);
    assert_int_equal(
        store_exec(s->db, "UPDATE directus_users SET anythingllm_user_id = 1 WHERE id = '" U2 "'"), -EEXIST);
}

static void two_users_nodes_cannot_be_joined(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO user_nodes (id, user_id, node_type, title) VALUES "
                                       "('" ID("11") "', '" U1 "', 'note', 'x'), ('" ID(
                                           "12") "', '" U1 "', 'note', 'y'), "
                                                 "('" ID("13") "', '" U2 "', 'note', 'z')"),
                     0);
    assert_int_equal(store_exec(s->db, "INSERT INTO user_node_edges (id, user_id, source, target) "
                                       "VALUES ('" ID("14") "', '" U1 "', '" ID("11") "', '" ID("12") "')"),
                     0);
    assert_int_equal(store_exec(s->db, "INSERT INTO user_node_edges (id, user_id, source, target) "
                                       "VALUES ('" ID("15") "', '" U1 "', '" ID("11") "', '" ID("13") "')"),
                     -EDOM);
}

static void a_user_takes_the_rows_along_and_leaves_the_trail(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO fan_profiles (id, user_id, platform) VALUES ('" ID(
                                           "16") "', '" U1 "', 'x')"),
                     0);
    assert_int_equal(
        store_exec(s->db, "INSERT INTO fan_subscription_events (id, user_id, fan_profile_id, event_type, "
                          "occurred_at) VALUES ('" ID("17") "', '" U1 "', '" ID(
                              "16") "', 'renewed', '2026-01-01T00:00:00.000Z')"),
        0);
    assert_int_equal(store_exec(s->db, "INSERT INTO agent_audits (id, user_id, slug, status) "
                                       "VALUES ('" ID("18") "', '" U1 "', 'post-create', 'success')"),
                     0);
    assert_int_equal(store_exec(s->db, "DELETE FROM directus_users WHERE id = '" U1 "'"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM fan_profiles"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM fan_subscription_events"), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM agent_audits WHERE user_id = '" U1 "'"), 1);
}

static void an_audit_cannot_be_rewritten(void **state)
{
    struct store *s = *state;
    assert_int_equal(store_exec(s->db, "INSERT INTO credential_audits (id, actor, action, outcome) "
                                       "VALUES ('" ID("18") "', '" U1 "', 'reveal', 'refused')"),
                     0);
    assert_int_equal(store_exec(s->db, "UPDATE credential_audits SET outcome = 'ok'"), -EDOM);
}

static void an_answer_is_stored_once(void **state)
{
    struct store *s = *state;
    static const char answer[] = "INSERT INTO chat_answers (answer_uuid, chat_id) VALUES ('x', 1)";
    assert_int_equal(store_exec(s->db, "INSERT INTO workspace_chats (id, \"workspaceId\", prompt, response) "
                                       "VALUES (1, 1, 'hi', '{}')"),
                     0);
    assert_int_equal(store_exec(s->db, answer), 0);
    assert_int_equal(store_exec(s->db, answer), -EEXIST);
}

static void values_outside_a_list_are_refused(void **state)
{
    struct store *s = *state;
    static const char *const refused[] = {
        "INSERT INTO scheduled_posts (id, user_id, platform) VALUES ('" ID("19") "', '" U1 "', 'myspace')",
        "INSERT INTO scheduled_posts (id, user_id, platform, status) VALUES ('" ID("19") "', '" U1
                                                                                         "', 'x', 'lost')",
        "INSERT INTO scheduled_posts (id, user_id, platform, status) VALUES ('" ID(
            "19") "', '" U1 "', 'x', 'scheduled')",
        "INSERT INTO user_personas (id, user_id, onboarding_state) VALUES ('" ID("19") "', '" U1 "', 'DONE')",
        "INSERT INTO user_node_edges (id, user_id, source, target) VALUES ('" ID("20") "', '" U1 "', '" ID(
            "21") "', '" ID("21") "')",
        "INSERT INTO creator_profiles (id, user_id, platform, username) VALUES ('" ID("22") "', '" ID(
            "23") "', 'x', 'me')",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_int_equal(store_exec(s->db, refused[i]), -EDOM);
}

#define EMPTY(f) cmocka_unit_test_setup_teardown(f, store_set_up, store_tear_down)
#define MIGRATED(f) cmocka_unit_test_setup_teardown(f, set_up_migrated, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EMPTY(an_empty_store_gets_everything_once),
        EMPTY(the_versions_are_in_order_and_the_same_on_both_engines),
        EMPTY(a_newer_database_is_left_alone),
        EMPTY(a_failing_migration_leaves_nothing_behind),
        EMPTY(a_migration_that_ends_its_transaction_is_refused),
        EMPTY(several_processes_may_start_at_once),
        MIGRATED(an_installation_starts_with_its_roles_and_prompt),
        MIGRATED(every_reference_has_an_index),
        MIGRATED(every_table_tells_of_others_writes),
        MIGRATED(timestamps_are_iso_with_milliseconds),
        MIGRATED(an_address_is_one_users_in_any_spelling),
        MIGRATED(an_anythingllm_user_has_one_directus_user),
        MIGRATED(two_users_nodes_cannot_be_joined),
        MIGRATED(a_user_takes_the_rows_along_and_leaves_the_trail),
        MIGRATED(an_audit_cannot_be_rewritten),
        MIGRATED(an_answer_is_stored_once),
        MIGRATED(values_outside_a_list_are_refused),
    };
    return cmocka_run_group_tests_name("db/migrate", tests, NULL, NULL);
}
