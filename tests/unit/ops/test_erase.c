/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include "../auth/people.h"
#include "../support/temp_dir.h"
#include "items/access.h"
#include "ops/erase.h"

static struct erase_options options(struct store *s, const struct account *a, bool admin)
{
    return (struct erase_options){.db = s->db,
                                  .postgres = store_is_postgres(),
                                  .user_id = a->user_id,
                                  .native_id = a->anythingllm_user_id,
                                  .admin = admin,
                                  .data_dir = s->dir};
}

static int erase_with_files(struct store *s, struct erase_options *o, struct erase_summary *ret,
                            struct ops_error *ret_error)
{
    char dir[] = "/tmp/genie-erase-XXXXXX";
    assert_non_null(mkdtemp(dir));
    const struct config cfg = {.data_dir = dir};
    assert_int_equal(files_open(&cfg, s->db, &o->files), 0);
    int r = erase_user(o, ret, ret_error);
    files_close(o->files);
    remove_dir(dir);
    return r;
}

static int erase(struct store *s, const struct account *a, bool admin, struct erase_summary *ret)
{
    struct ops_error error = {0};
    struct erase_options o = options(s, a, admin);
    return erase_with_files(s, &o, ret, &error);
}

static int64_t rows(struct store *s, const char *table)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    return store_int(s->db, sql);
}

#define ID(n) "0000000-0000-4000-8000-00000000000" #n

/* Something of everything that a user may have; `n` tells users apart. */
static void furnish(struct store *s, const struct account *a, char n)
{
    const char *u = a->user_id;
    long long native = (long long)a->anythingllm_user_id, workspace = (long long)a->workspace_id;
    run_sql(s->db,
            "INSERT INTO user_nodes (id, user_id, node_type, title) VALUES ('%c" ID(1) "', '%s', 'x', 't')",
            n, u);
    run_sql(s->db, "INSERT INTO media_jobs (id, user_id, operation) VALUES ('%c" ID(2) "', '%s', 'x')", n, u);
    run_sql(
        s->db,
        "INSERT INTO queue_jobs (id, queue, operation, user_id) VALUES ('job-%c', 'media-jobs', 'x', '%s')",
        n, u);
    run_sql(s->db,
            "INSERT INTO queue_outbox (job_id, queue, operation, data) VALUES ('job-%c', 'media-jobs', 'x', "
            "'{}')",
            n);
    run_sql(s->db,
            "INSERT INTO agent_audits (id, user_id, slug, status) VALUES ('%c" ID(3) "', '%s', 'x', 'miss')",
            n, u);
    run_sql(
        s->db,
        "INSERT INTO workspace_threads (name, slug, workspace_id, user_id) VALUES ('t', 't-%c', %lld, %lld)",
        n, workspace, native);
    run_sql(s->db,
            "INSERT INTO workspace_chats (\"workspaceId\", prompt, response, user_id) VALUES (%lld, 'p', "
            "'{}', %lld)",
            workspace, native);
    run_sql(s->db,
            "INSERT INTO directus_sessions (token, \"user\", expires) VALUES ('s-%c', '%s', "
            "'2030-01-01T00:00:00.000Z')",
            n, u);
    run_sql(s->db,
            "INSERT INTO directus_files (id, filename_disk, filename_download, uploaded_by) VALUES ('%c" ID(
                4) "', 'f-%c', 'f', '%s')",
            n, n, u);
    run_sql(s->db,
            "INSERT INTO idempotency_keys (scope, route, key, body_hash, expires_at) VALUES ('user %s', 'r', "
            "'k', "
            "'h', '2030-01-01T00:00:00.000Z')",
            u);
}

static void all_of_one_and_nothing_of_another(void **state)
{
    struct store *s = *state;
    static const char *const tables[] = {
        "user_nodes",        "media_jobs",      "queue_jobs",        "queue_outbox",   "workspaces",
        "workspace_threads", "workspace_chats", "directus_sessions", "directus_files", "user_personas",
        "idempotency_keys",  "users",           "workspace_users",   "directus_users"};
    struct erase_summary summary;
    struct account anna = person(s->db, "anna@example.com", NULL),
                   ben = person(s->db, "ben@example.com", NULL);
    furnish(s, &anna, 'a');
    furnish(s, &ben, 'b');
    struct erase_options o = options(s, &anna, false);
    assert_int_equal(erase_count(&o, &summary), 0);
    assert_int_equal(summary.rows, 3); /* node, job, persona */
    assert_int_equal(summary.files, 1);
    assert_int_equal(erase(s, &anna, false, &summary), 0);
    assert_int_equal(summary.rows, 3);
    assert_int_equal(summary.chats, 1);
    assert_int_equal(summary.threads, 1);
    assert_int_equal(summary.workspaces, 1);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (rows(s, tables[i]) != 1)
            fail_msg("%s has %lld rows", tables[i], (long long)rows(s, tables[i]));
    assert_int_equal(rows(s, "agent_audits"), 2); /* the trail stays */
    assert_int_equal(erase(s, &anna, false, &summary), -ENOENT);
}

struct kept {
    int n;
    char last[64];
};

static void note_kept(void *ctx, const char *name)
{
    struct kept *k = ctx;
    k->n++;
    (void)snprintf(k->last, sizeof k->last, "%s", name);
}

static void what_isnt_here_is_named(void **state)
{
    struct store *s = *state;
    struct erase_summary summary;
    struct ops_error error = {0};
    struct kept kept = {0};
    struct account anna = person(s->db, "anna@example.com", NULL),
                   ben = person(s->db, "ben@example.com", NULL);
    furnish(s, &anna, 'a');
    furnish(s, &ben, 'b');
    struct erase_options o = options(s, &anna, false);
    o.kept = note_kept;
    o.ctx = &kept;
    assert_int_equal(erase_with_files(s, &o, &summary, &error), 0);
    assert_int_equal(kept.n, 1);
    assert_string_equal(kept.last, "f-a");
    assert_int_equal(summary.removed, 0);
}

/* Every owned collection of the access table has a foreign key that goes with the user, or is an audit. */
static void every_owned_collection_is_dealt_with(void **state)
{
    (void)state;
    for (const struct collection *c = access_table; c->name; c++)
        if (c->owner && !(c->admin_actions & ACTION_DELETE) && !str_has_prefix(c->name, "directus_"))
            assert_non_null(strstr(c->name, "audit"));
}

static void a_shared_workspace_stays(void **state)
{
    struct store *s = *state;
    struct erase_summary summary;
    struct account anna = person(s->db, "anna@example.com", NULL),
                   ben = person(s->db, "ben@example.com", NULL);
    run_sql(s->db, "INSERT INTO workspace_users (user_id, workspace_id) VALUES (%lld, %lld)",
            (long long)ben.anythingllm_user_id, (long long)anna.workspace_id);
    run_sql(s->db,
            "INSERT INTO workspace_chats (\"workspaceId\", prompt, response, user_id) VALUES (%lld, 'p', "
            "'{}', %lld), "
            "(%lld, 'q', '{}', %lld)",
            (long long)anna.workspace_id, (long long)anna.anythingllm_user_id, (long long)anna.workspace_id,
            (long long)ben.anythingllm_user_id);
    assert_int_equal(erase(s, &anna, false, &summary), 0);
    assert_int_equal(summary.workspaces, 0);
    assert_int_equal(rows(s, "workspaces"), 2);
    assert_int_equal(rows(s, "workspace_chats"), 1);
}

static void the_last_admin_stays(void **state)
{
    struct store *s = *state;
    struct erase_summary summary;
    struct account one = person(s->db, "one@example.com", "Administrator"),
                   two = person(s->db, "two@example.com", "Administrator"),
                   three = person(s->db, "three@example.com", "Administrator");
    run_sql(s->db, "UPDATE directus_users SET status = 'suspended' WHERE id = '%s'", three.user_id);
    assert_int_equal(erase(s, &one, true, &summary), 0);
    assert_int_equal(erase(s, &two, true, &summary), -EPERM); /* a suspended one doesn't count */
    assert_int_equal(rows(s, "directus_users"), 2);
    run_sql(s->db, "UPDATE directus_users SET status = 'active' WHERE id = '%s'", three.user_id);
    assert_int_equal(erase(s, &two, true, &summary), 0);
}

struct contender {
    struct store *store;
    const struct account *account;
    int r;
};

static void *contend(void *arg)
{
    struct contender *c = arg;
    struct erase_summary summary;
    c->r = erase(c->store, c->account, true, &summary);
    return NULL;
}

static void of_two_last_admins_at_once_one_stays(void **state)
{
    struct store *s = *state;
    for (int round = 0; round < 5; round++) {
        struct account accounts[2] = {person(s->db, "one@example.com", "Administrator"), {.user_id = ""}};
        accounts[1] = person(s->db, "two@example.com", "Administrator");
        struct contender c[2] = {{s, &accounts[0], 0}, {s, &accounts[1], 0}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, contend, &c[i]), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true((c[0].r == 0 && c[1].r == -EPERM) || (c[0].r == -EPERM && c[1].r == 0));
        assert_int_equal(rows(s, "directus_users"), 1);
        run_sql(s->db, "DELETE FROM directus_users WHERE email LIKE '%%@example.com'");
    }
}

/* Directus's own tables refer to users without saying what a removal means. */
static void what_others_refer_by_is_emptied(void **state)
{
    struct store *s = *state;
    struct erase_summary summary;
    if (!store_is_postgres())
        skip();
    struct account anna = person(s->db, "anna@example.com", NULL),
                   ben = person(s->db, "ben@example.com", NULL);
    run_sql(s->db, "CREATE TABLE directus_notes (id integer PRIMARY KEY, \"user Created\" uuid REFERENCES "
                   "directus_users (id))");
    run_sql(s->db, "INSERT INTO directus_notes VALUES (1, '%s'), (2, '%s')", anna.user_id, ben.user_id);
    assert_int_equal(erase(s, &anna, false, &summary), 0);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM directus_notes WHERE \"user Created\" IS NULL"),
                     1);
    run_sql(s->db, "CREATE TABLE directus_strict (id integer PRIMARY KEY, owner uuid NOT NULL REFERENCES "
                   "directus_users (id))");
    run_sql(s->db, "INSERT INTO directus_strict VALUES (1, '%s')", ben.user_id);
    assert_int_equal(erase(s, &ben, false, &summary), -EDOM);
    assert_int_equal(rows(s, "user_personas"), 1); /* all or nothing */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, people_set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_of_one_and_nothing_of_another),
        cmocka_unit_test(every_owned_collection_is_dealt_with),
        TEST(what_isnt_here_is_named),
        TEST(a_shared_workspace_stays),
        TEST(the_last_admin_stays),
        TEST(of_two_last_admins_at_once_one_stays),
        TEST(what_others_refer_by_is_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
