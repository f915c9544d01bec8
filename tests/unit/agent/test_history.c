/* SPDX-License-Identifier: MIT */
/* Threads belong to (user, session); an exchange is stored once, whoever stores it and how often. */
#include "../db/store.h"

#include "agent/history.h"
#include "auth/accounts.h"
#include "base/text.h"

#define STORERS 32

struct world {
    struct store *store;
    struct db *db;
    struct arena arena;
    struct identity anna, bert;
    int64_t anna_workspace;
};

struct new_account {
    struct account_spec spec;
    struct account account;
};

static int create_unit(struct db_conn *c, void *arg)
{
    struct new_account *n = arg;
    return account_create(c, &n->spec, &n->account);
}

static int64_t add_user(struct world *w, const char *email, const char *onboarding, struct identity *ret)
{
    struct new_account n = {.spec = {.email = email, .password_hash = "x", .onboarding = onboarding}};
    assert_int_equal(db_write(w->db, create_unit, &n), 0);
    *ret = (struct identity){.app_access = true, .anythingllm_user_id = n.account.anythingllm_user_id};
    memcpy(ret->user_id, n.account.user_id, UUID_SIZE);
    return n.account.workspace_id;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_configure(LOG_ERROR, false);
    (void)store_set_up((void **)&w->store);
    w->db = w->store->db;
    assert_int_equal(db_migrate(w->db, NULL), 0);
    arena_init(&w->arena, 16 * 1024 * 1024);
    w->anna_workspace = add_user(w, "anna@example.com", "COMPLETE", &w->anna);
    (void)add_user(w, "bert@example.com", NULL, &w->bert);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    arena_free(&w->arena);
    (void)store_tear_down((void **)&w->store);
    free(w);
    return 0;
}

static struct exchange_record record(const struct world *w, const struct identity *who, const char *session,
                                     const char *uuid, const char *prompt, const char *response)
{
    return (struct exchange_record){.answer_uuid = uuid,
                                    .user_id = who->user_id,
                                    .session_id = session,
                                    .anythingllm_user_id = who->anythingllm_user_id,
                                    .workspace_id = w->anna_workspace,
                                    .prompt = prompt,
                                    .response = response};
}

/* Stores an exchange with a new uuid and a plain answer. */
static int64_t store(struct world *w, const struct identity *who, const char *session, const char *prompt,
                     const char *answer)
{
    char uuid[UUID_SIZE];
    uuid_make(uuid);
    json_t *response = json_pack("{s:s, s:[]}", "text", answer, "sources");
    struct exchange_record x = record(w, who, session, uuid, prompt, json_text(&w->arena, response));
    json_decref(response);
    assert_int_equal(db_write(w->db, history_store_unit, &x), 0);
    assert_true(x.ret_chat_id > 0);
    return x.ret_chat_id;
}

static struct chat_context load(struct world *w, const struct identity *who, const char *session)
{
    struct chat_context ctx;
    assert_int_equal(history_load(w->db, &w->arena, who, session, &ctx), 0);
    return ctx;
}

/* The prompts of a page, in a line; the total goes to *ret_total. */
static const char *page(struct world *w, const struct identity *who, const char *session, int64_t limit,
                        int64_t before, int64_t *ret_total)
{
    json_t *rows = NULL, *row;
    size_t i;
    const char *line = "";
    assert_int_equal(history_list(w->db, who, session, limit, before, &rows, ret_total), 0);
    json_array_foreach (rows, i, row)
        line = arena_printf(&w->arena, "%s%s ", line, json_str(row, "prompt", "?"));
    json_decref(rows);
    return line;
}

static void a_new_user_starts_from_persona_and_workspace(void **state)
{
    struct world *w = *state;
    struct chat_context ctx = load(w, &w->anna, "s");
    assert_int_equal(ctx.state, ONBOARDING_COMPLETE);
    assert_int_equal(ctx.workspace_id, w->anna_workspace);
    assert_true(strlen(ctx.system_prompt) > 100);
    assert_int_equal(ctx.thread_id, 0);
    assert_int_equal(ctx.n_history, 0);
    assert_int_equal(load(w, &w->bert, "s").state, ONBOARDING_EXTENSION);
}

static void instructions_are_the_workspace_s_or_the_installation_s_or_none(void **state)
{
    struct world *w = *state;
    assert_int_equal(store_exec(w->db, "UPDATE workspaces SET \"openAiPrompt\" = 'Own words'"), 0);
    assert_string_equal(load(w, &w->anna, "s").system_prompt, "Own words");
    assert_int_equal(store_exec(w->db, "UPDATE workspaces SET \"openAiPrompt\" = ''"), 0);
    assert_true(strlen(load(w, &w->anna, "s").system_prompt) > 100);
    assert_int_equal(store_exec(w->db, "UPDATE workspaces SET \"openAiPrompt\" = NULL"), 0);
    assert_true(strlen(load(w, &w->anna, "s").system_prompt) > 100);
    assert_int_equal(store_exec(w->db, "DELETE FROM system_config"), 0);
    assert_string_equal(load(w, &w->anna, "s").system_prompt, "");
}

static void what_is_missing_is_told(void **state)
{
    struct world *w = *state;
    assert_int_equal(store_exec(w->db, "DELETE FROM workspace_users"), 0);
    assert_int_equal(store_exec(w->db, "DELETE FROM user_personas"), 0);
    struct chat_context ctx = load(w, &w->anna, "s");
    assert_int_equal(ctx.workspace_id, 0);
    assert_int_equal(ctx.state, ONBOARDING_EXTENSION);
}

static int64_t workspace_of(struct world *w, const char *session)
{
    struct chat_context ctx;
    assert_int_equal(history_load(w->db, &w->arena, &w->anna, session, &ctx), 0);
    return ctx.workspace_id;
}

/* As one that was brought in from elsewhere is. */
static void a_thread_goes_on_in_its_workspace_while_its_user_is_a_member(void **state)
{
    struct world *w = *state;
    char sql[512];
    assert_int_equal(store_exec(w->db, "INSERT INTO workspaces (id, name, slug, \"openAiPrompt\") "
                                       "VALUES (900, 'Other', 'other', 'Be brief.')"),
                     0);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO workspace_threads (id, name, slug, workspace_id, user_id) "
                   "VALUES (91, 'T', 't', 900, %lld)",
                   (long long)w->anna.anythingllm_user_id);
    assert_int_equal(store_exec(w->db, sql), 0);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO session_threads (user_id, session_id, thread_id) VALUES ('%s', 's', 91)",
                   w->anna.user_id);
    assert_int_equal(store_exec(w->db, sql), 0);
    assert_int_equal(workspace_of(w, "s"), w->anna_workspace);
    (void)snprintf(sql, sizeof sql, "INSERT INTO workspace_users (user_id, workspace_id) VALUES (%lld, 900)",
                   (long long)w->anna.anythingllm_user_id);
    assert_int_equal(store_exec(w->db, sql), 0);
    assert_int_equal(workspace_of(w, "s"), 900);
    assert_int_equal(workspace_of(w, "another"), w->anna_workspace);
}

static void a_thread_is_of_one_user_and_one_session(void **state)
{
    struct world *w = *state;
    (void)store(w, &w->anna, "same", "anna's", "to anna");
    (void)store(w, &w->bert, "same", "bert's", "to bert");
    (void)store(w, &w->anna, "other", "elsewhere", "there");
    struct chat_context ctx = load(w, &w->anna, "same");
    assert_int_equal(ctx.n_history, 1);
    assert_string_equal(ctx.history[0].prompt, "anna's");
    assert_string_equal(ctx.history[0].answer, "to anna");
    assert_string_equal(load(w, &w->bert, "same").history[0].prompt, "bert's");
    int64_t total;
    assert_string_equal(page(w, &w->bert, "same", 10, 0, &total), "bert's ");
    assert_int_equal(total, 1);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_threads"), 3);
}

static void only_the_newest_exchanges_are_loaded_oldest_first(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < HISTORY_MOST + 5; i++)
        (void)store(w, &w->anna, "s", arena_printf(&w->arena, "%d", i), "a");
    struct chat_context ctx = load(w, &w->anna, "s");
    assert_int_equal(ctx.n_history, HISTORY_MOST);
    for (int i = 0; i < HISTORY_MOST; i++)
        assert_string_equal(ctx.history[i].prompt, arena_printf(&w->arena, "%d", i + 5));
}

static void results_of_flows_are_shown_behind_the_text_cut_at_a_character(void **state)
{
    struct world *w = *state;
    char uuid[UUID_SIZE];
    uuid_make(uuid);
    struct buf long_text = BUF_INIT(16 * 1024);
    while (long_text.len < 9000)
        (void)buf_adds(&long_text, "世");
    json_t *response = json_pack("{s:s, s:[{s:s, s:s}]}", "text", "Done.", "actions", "slug", "find-it",
                                 "found", buf_str(&long_text));
    struct exchange_record x = record(w, &w->anna, "s", uuid, "Find it", json_text(&w->arena, response));
    json_decref(response);
    buf_free(&long_text);
    assert_int_equal(db_write(w->db, history_store_unit, &x), 0);
    const char *answer = load(w, &w->anna, "s").history[0].answer;
    assert_int_equal(strncmp(answer, "Done.\n", 6), 0);
    assert_non_null(strstr(answer, "find-it"));
    assert_true(strlen(answer) < 2200);
    assert_true(utf8_valid(answer, strlen(answer)));
}

/* A flow may bring a value as deep as any from outside; its place in the stored response adds to that. */
static void an_answer_with_a_deep_result_is_remembered(void **state)
{
    struct world *w = *state;
    char uuid[UUID_SIZE];
    uuid_make(uuid);
    json_t *deep = json_array();
    for (int i = 1; i < JSON_MAX_DEPTH; i++)
        deep = json_pack("[o]", deep);
    json_t *response =
        json_pack("{s:s, s:[{s:{s:o}}]}", "text", "Here it is", "actions", "results", "deep", deep);
    struct exchange_record x = record(w, &w->anna, "s", uuid, "how deep?", json_text(&w->arena, response));
    json_decref(response);
    assert_int_equal(db_write(w->db, history_store_unit, &x), 0);
    const char *answer = load(w, &w->anna, "s").history[0].answer;
    assert_non_null(strstr(answer, "Here it is"));
    assert_non_null(strstr(answer, "[[[[["));
}

static void a_response_that_is_not_ours_is_no_failure(void **state)
{
    struct world *w = *state;
    static const char *const responses[] = {"",   "not JSON",     "[]",
                                            "{}", "{\"text\":5}", "{\"text\":\"t\",\"actions\":{}}"};
    int64_t total;
    for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
        char uuid[UUID_SIZE];
        uuid_make(uuid);
        struct exchange_record x = record(w, &w->anna, "s", uuid, "p", responses[i]);
        assert_int_equal(db_write(w->db, history_store_unit, &x), 0);
    }
    assert_int_equal(load(w, &w->anna, "s").n_history, ARRAY_LEN(responses));
    assert_string_equal(page(w, &w->anna, "s", 10, 0, &total), "p p p p p p ");
}

static void the_same_answer_is_stored_once(void **state)
{
    struct world *w = *state;
    char uuid[UUID_SIZE];
    uuid_make(uuid);
    struct exchange_record x = record(w, &w->anna, "s", uuid, "p", "{\"text\":\"a\"}"), again = x;
    assert_int_equal(db_write(w->db, history_store_unit, &x), 0);
    assert_int_equal(db_write(w->db, history_store_unit, &again), 0);
    assert_int_equal(again.ret_chat_id, x.ret_chat_id);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_chats"), 1);
}

/* One of many that store at once: half of them the same answer, the others their own, all in one new session.
 */
struct storer {
    struct world *w;
    struct exchange_record record;
    char uuid[UUID_SIZE];
    pthread_t thread;
    int r;
};

static void *store_at_once(void *arg)
{
    struct storer *s = arg;
    s->r = db_write(s->w->db, history_store_unit, &s->record);
    return NULL;
}

static void many_stores_at_once_make_one_thread_and_one_row_each(void **state)
{
    struct world *w = *state;
    struct storer storers[STORERS];
    char shared[UUID_SIZE];
    uuid_make(shared);
    for (int i = 0; i < STORERS; i++) {
        storers[i] = (struct storer){.w = w};
        uuid_make(storers[i].uuid);
        storers[i].record = record(w, &w->anna, "s", i % 2 ? shared : storers[i].uuid,
                                   i % 2 ? "shared" : "own", "{\"text\":\"a\"}");
        assert_int_equal(pthread_create(&storers[i].thread, NULL, store_at_once, &storers[i]), 0);
    }
    for (int i = 0; i < STORERS; i++) {
        assert_int_equal(pthread_join(storers[i].thread, NULL), 0);
        assert_int_equal(storers[i].r, 0);
        assert_true(storers[i].record.ret_chat_id > 0);
        if (i % 2)
            assert_int_equal(storers[i].record.ret_chat_id, storers[1].record.ret_chat_id);
    }
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_threads"), 1);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_chats WHERE prompt = 'shared'"), 1);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_chats WHERE prompt = 'own'"),
                     STORERS / 2);
}

static void a_thread_is_called_after_the_first_message(void **state)
{
    struct world *w = *state;
    (void)store(w, &w->anna, "short", "Hello", "a");
    (void)store(w, &w->anna, "long", "世世世世世世世世世世世世世世世世世世世世世世世世世", "a");
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_threads WHERE name = 'Hello'"), 1);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_threads WHERE length(name) = 23"), 1);
}

static void reset_hides_a_session_and_nothing_else(void **state)
{
    struct world *w = *state;
    int64_t total;
    assert_int_equal(history_reset(w->db, &w->anna, "never"), 0);
    (void)store(w, &w->anna, "s", "before", "a");
    (void)store(w, &w->anna, "t", "other", "a");
    (void)store(w, &w->bert, "s", "bert's", "a");
    assert_int_equal(history_reset(w->db, &w->anna, "s"), 0);
    assert_int_equal(load(w, &w->anna, "s").n_history, 0);
    assert_string_equal(page(w, &w->anna, "s", 10, 0, &total), "");
    assert_int_equal(total, 0);
    assert_int_equal(load(w, &w->anna, "t").n_history, 1);
    assert_int_equal(load(w, &w->bert, "s").n_history, 1);
    (void)store(w, &w->anna, "s", "after", "a");
    assert_string_equal(page(w, &w->anna, "s", 10, 0, &total), "after ");
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM workspace_chats"), 4);
}

static void pages_go_back_from_the_newest(void **state)
{
    struct world *w = *state;
    int64_t ids[5], total;
    for (int i = 0; i < 5; i++)
        ids[i] = store(w, &w->anna, "s", arena_printf(&w->arena, "%d", i + 1), "a");
    assert_string_equal(page(w, &w->anna, "s", 2, 0, &total), "4 5 ");
    assert_int_equal(total, 5);
    assert_string_equal(page(w, &w->anna, "s", 2, ids[3], &total), "2 3 ");
    assert_string_equal(page(w, &w->anna, "s", 2, ids[1], &total), "1 ");
    assert_string_equal(page(w, &w->anna, "s", 2, ids[0], &total), "");
    assert_int_equal(total, 5);
    assert_string_equal(page(w, &w->anna, "nowhere", 2, 0, &total), "");
    assert_int_equal(total, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_user_starts_from_persona_and_workspace),
        TEST(instructions_are_the_workspace_s_or_the_installation_s_or_none),
        TEST(what_is_missing_is_told),
        TEST(a_thread_goes_on_in_its_workspace_while_its_user_is_a_member),
        TEST(a_thread_is_of_one_user_and_one_session),
        TEST(only_the_newest_exchanges_are_loaded_oldest_first),
        TEST(results_of_flows_are_shown_behind_the_text_cut_at_a_character),
        TEST(an_answer_with_a_deep_result_is_remembered),
        TEST(a_response_that_is_not_ours_is_no_failure),
        TEST(the_same_answer_is_stored_once),
        TEST(many_stores_at_once_make_one_thread_and_one_row_each),
        TEST(a_thread_is_called_after_the_first_message),
        TEST(reset_hides_a_session_and_nothing_else),
        TEST(pages_go_back_from_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
