/* SPDX-License-Identifier: MIT */
/* A post that joins the queue reinforces the notes that its answer cited: of this user alone. */
#include "../items/rows.h"

#include "base/clock.h"
#include "posts/accepted.h"
#include "posts/posts.h"

#define NODE "00000000-0000-4000-8000-0000000000a1"
#define OTHER "00000000-0000-4000-8000-0000000000a2"
#define BERTS "00000000-0000-4000-8000-0000000000b1"
#define CAPTION "Morning light over the bay, and a slow yoga flow to wake up with"

struct accepted_world {
    struct rows_world *rows;
    struct config cfg;
    struct quota *quota;
};

struct statement {
    const char *sql;
    const struct db_value *args;
    size_t n;
};

static int statement_unit(struct db_conn *c, void *arg)
{
    const struct statement *s = arg;
    return db_exec(c, s->sql, s->args, s->n, NULL);
}

static void write_row(struct rows_world *w, const char *sql, const struct db_value *args, size_t n)
{
    assert_int_equal(db_write(w->db, statement_unit, &(struct statement){sql, args, n}), 0);
}

static void add_node(struct rows_world *w, enum person who, const char *id, double weight, const char *status)
{
    write_row(w,
              "INSERT INTO user_nodes (id, user_id, node_type, title, weight, status) "
              "VALUES (?1, ?2, 'content', 'n', ?3, ?4)",
              DB_ARGS(DB_TEXT(id), DB_TEXT(w->people[who].user_id), DB_REAL(weight), DB_TEXT(status)));
}

/* An answer of the chat that cites a node. */
static void add_answer(struct rows_world *w, enum person who, const char *text, const char *cited)
{
    json_t *response = json_pack("{s:s, s:[{s:s}]}", "text", text, "sources", "id", cited);
    char *json = arena_alloc(&w->arena, 4096);
    size_t n = json_dumpb(response, json, 4095, 0);
    assert_true(n > 0 && n < 4095);
    json_decref(response);
    write_row(w,
              "INSERT INTO workspace_chats (\"workspaceId\", prompt, response, user_id) SELECT 1, 'q', ?1, "
              "anythingllm_user_id FROM directus_users WHERE id = ?2",
              DB_ARGS(DB_TEXT(json), DB_TEXT(w->people[who].user_id)));
}

static int set_up(void **state)
{
    struct accepted_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_configure(LOG_ERROR, true);
    assert_int_equal(world_set_up((void **)&w->rows), 0);
    w->cfg = (struct config){.tiers_file = TIERS_DEFAULT_PATH};
    assert_int_equal(quota_open(&w->cfg, w->rows->db, &w->quota), 0);
    posts_set_rules(w->quota);
    add_node(w->rows, ANNA, NODE, 0.5, "active");
    add_node(w->rows, ANNA, OTHER, 0.05, "decayed");
    add_node(w->rows, BERT, BERTS, 0.5, "active");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct accepted_world *w = *state;
    void *rows = w->rows;
    quota_close(w->quota);
    free(w);
    return world_tear_down(&rows);
}

static void schedule_post(struct accepted_world *w, const char *text, bool draft)
{
    struct items_error error;
    char at[ISO_TIME_LEN];
    json_t *row = NULL;
    clock_format_iso(clock_now_ms() + 3600000, at);
    json_t *values = json_pack("{s:s, s:s}", "platform", "onlyfans", "content_text", text);
    if (!draft)
        (void)json_object_set_new(values, "scheduled_time", json_string(at));
    if (create(w->rows, ANNA, POSTS, values, &row, &error) < 0)
        fail_msg("%s", error.sentence);
    json_decref(row);
}

static int64_t reinforced(struct accepted_world *w, const char *id)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM user_nodes WHERE id = '%s' AND last_reinforced_at IS NOT NULL", id);
    return store_int(w->rows->db, sql);
}

static void a_scheduled_answer_reinforces_what_it_cites(void **state)
{
    struct accepted_world *w = *state;
    add_answer(w->rows, ANNA, "Here you are:\n\n" CAPTION "\n\nShall I schedule it?", NODE);
    schedule_post(w, CAPTION, true);
    assert_int_equal(reinforced(w, NODE), 0); /* a draft is no decision */
    schedule_post(w, "Morning  light over the bay,\nand a slow yoga flow to wake up with", false);
    assert_int_equal(reinforced(w, NODE), 1);
    assert_int_equal(reinforced(w, OTHER), 0);
    assert_int_equal(store_int(w->rows->db, "SELECT count(*) FROM user_nodes WHERE id = '" NODE
                                            "' AND weight > 0.549 AND weight < 0.551"),
                     1);
}

static void a_decayed_note_comes_back(void **state)
{
    struct accepted_world *w = *state;
    add_answer(w->rows, ANNA, CAPTION, OTHER);
    schedule_post(w, CAPTION " #yoga", false);
    assert_int_equal(reinforced(w, OTHER), 1);
    assert_int_equal(store_int(w->rows->db, "SELECT count(*) FROM user_nodes WHERE id = '" OTHER
                                            "' AND status = 'active' AND weight > 0.1"),
                     1);
}

/* Else the next night takes off it all the days for which it was out, and it is out again. */
static void what_comes_back_has_not_aged_meanwhile(void **state)
{
    struct accepted_world *w = *state;
    write_row(w->rows,
              "UPDATE user_nodes SET last_decayed_at = '2026-01-01T02:00:00.000Z' WHERE id = ?1 OR id = ?2",
              DB_ARGS(DB_TEXT(NODE), DB_TEXT(OTHER)));
    add_answer(w->rows, ANNA, CAPTION, OTHER);
    add_answer(w->rows, ANNA, CAPTION, NODE);
    schedule_post(w, CAPTION, false);
    assert_int_equal(store_int(w->rows->db, "SELECT count(*) FROM user_nodes WHERE id = '" OTHER
                                            "' AND last_decayed_at = last_reinforced_at"),
                     1);
    assert_int_equal(store_int(w->rows->db, "SELECT count(*) FROM user_nodes WHERE id = '" NODE
                                            "' AND last_decayed_at = '2026-01-01T02:00:00.000Z'"),
                     1); /* which was never out, and ages as it does */
}

static void what_has_nothing_to_do_with_it_stays(void **state)
{
    struct accepted_world *w = *state;
    add_answer(w->rows, ANNA, CAPTION, BERTS); /* whoever planted that */
    add_answer(w->rows, BERT, CAPTION, BERTS);
    add_answer(w->rows, ANNA, "A different answer that speaks of something else", NODE);
    schedule_post(w, CAPTION, false);
    schedule_post(w, "of", false); /* which any answer holds */
    assert_int_equal(
        store_int(w->rows->db, "SELECT count(*) FROM user_nodes WHERE last_reinforced_at IS NOT NULL"), 0);
}

#define ACCEPTED_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static void nodes_are_written_by_their_ids(void **state)
{
    struct accepted_world *w = *state;
    struct db *db = w->rows->db;
    add_answer(w->rows, ANNA, CAPTION, NODE);
    add_answer(w->rows, ANNA, CAPTION, OTHER); /* the latest is looked at first */
    store_note_writes(db, "user_nodes", "NEW.id");
    schedule_post(w, CAPTION, false);
    assert_int_equal(store_int(db, "SELECT count(*) FROM written"), 2);
    assert_int_equal(store_writes_out_of_order(db), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPTED_TEST(a_scheduled_answer_reinforces_what_it_cites),
        ACCEPTED_TEST(a_decayed_note_comes_back),
        ACCEPTED_TEST(what_comes_back_has_not_aged_meanwhile),
        ACCEPTED_TEST(what_has_nothing_to_do_with_it_stays),
        ACCEPTED_TEST(nodes_are_written_by_their_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
