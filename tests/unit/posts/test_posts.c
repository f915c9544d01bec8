/* SPDX-License-Identifier: MIT */
/* The rules of posts, through the items engine: every way to a post obeys them. */
#include "../items/rows.h"

#include "base/clock.h"
#include "posts/platforms.h"
#include "posts/posts.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

struct posts_world {
    struct rows_world *rows;
    struct config cfg;
    struct quota *quota;
};

static int set_up(void **state)
{
    struct posts_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    log_configure(LOG_ERROR, true);
    assert_int_equal(world_set_up((void **)&w->rows), 0);
    w->cfg = (struct config){.tiers_file = TIERS_DEFAULT_PATH};
    assert_int_equal(quota_open(&w->cfg, w->rows->db, &w->quota), 0);
    posts_set_rules(w->quota);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct posts_world *w = *state;
    void *rows = w->rows;
    quota_close(w->quota);
    free(w);
    return world_tear_down(&rows);
}

static const char *in(struct posts_world *w, int64_t ms)
{
    char *text = arena_alloc(&w->rows->arena, ISO_TIME_LEN);
    clock_format_iso(clock_now_ms() + ms, text);
    return text;
}

/* A post of Anna's from a JSON text with single quotes: the result, and its row's id in *ret_id. */
static int post(struct posts_world *w, enum person who, const char *text, const char **ret_id,
                struct items_error *error)
{
    char *json = arena_strdup(&w->rows->arena, text);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *values = json_loads(json, 0, NULL), *row = NULL;
    assert_non_null(values);
    int r = create(w->rows, who, POSTS, values, &row, error);
    if (r == 0 && ret_id)
        *ret_id = arena_strdup(&w->rows->arena, json_str(row, "id", ""));
    json_decref(row);
    return r;
}

static const char *scheduled(struct posts_world *w, enum person who)
{
    struct items_error error;
    const char *id = NULL;
    const char *text = arena_printf(&w->rows->arena,
                                    "{'platform':'x','content_text':'c','scheduled_time':'%s'}", in(w, HOUR));
    if (post(w, who, text, &id, &error) < 0)
        fail_msg("%s", error.sentence);
    return id;
}

static int change(struct posts_world *w, enum person who, const char *id, const char *field,
                  const char *value, struct items_error *error)
{
    return update(w->rows, who, POSTS, id, json_pack("{s:s?}", field, value), error);
}

static const char *state_of(struct posts_world *w, const char *id)
{
    return query_text(
        w->rows, arena_printf(&w->rows->arena, "SELECT status FROM scheduled_posts WHERE id = '%s'", id));
}

static void set_state(struct posts_world *w, const char *id, const char *status)
{
    const char *sql =
        arena_printf(&w->rows->arena, "UPDATE scheduled_posts SET status = '%s' WHERE id = '%s'", status, id);
    assert_int_equal(store_exec(w->rows->db, sql), 0);
}

static void the_time_decides(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    const char *id = scheduled(w, ANNA), *draft;
    assert_string_equal(state_of(w, id), "scheduled");
    assert_int_equal(change(w, ANNA, id, "scheduled_time", NULL, &error), 0);
    assert_string_equal(state_of(w, id), "draft");
    assert_int_equal(change(w, ANNA, id, "scheduled_time", in(w, DAY), &error), 0);
    assert_string_equal(state_of(w, id), "scheduled");
    assert_int_equal(change(w, ANNA, id, "status", "draft", &error), 0);
    assert_string_equal(state_of(w, id), "draft");
    assert_int_equal(change(w, ANNA, id, "content_text", "other", &error), 0);
    assert_string_equal(state_of(w, id), "draft");
    assert_int_equal(change(w, ANNA, id, "status", "scheduled", &error), 0);
    assert_int_equal(post(w, ANNA, "{'platform':'x','caption':'c'}", &draft, &error), 0);
    assert_string_equal(state_of(w, draft), "draft");
    assert_int_equal(change(w, ANNA, draft, "status", "scheduled", &error), -EINVAL);
    assert_string_equal(error.field, "scheduled_time");
}

static void times_lie_within_a_year(void **state)
{
    struct posts_world *w = *state;
    static const struct {
        int64_t from_now;
        int r;
    } cases[] = {{-HOUR, -EINVAL}, {-1, -EINVAL}, {HOUR, 0}, {365 * DAY, 0}, {367 * DAY, -EINVAL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_error error;
        const char *text =
            arena_printf(&w->rows->arena, "{'platform':'x','content_text':'c','scheduled_time':'%s'}",
                         in(w, cases[i].from_now));
        assert_int_equal(post(w, BERT, text, NULL, &error), cases[i].r);
        if (cases[i].r)
            assert_string_equal(error.field, "scheduled_time");
    }
}

static void a_draft_whose_time_has_gone_by_needs_a_new_one(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    const char *id = scheduled(w, ANNA);
    set_state(w, id, "draft");
    assert_int_equal(
        store_exec(w->rows->db, "UPDATE scheduled_posts SET scheduled_time = '2020-01-01T00:00:00.000Z'"), 0);
    assert_int_equal(change(w, ANNA, id, "content_text", "still a draft", &error), 0);
    assert_int_equal(change(w, ANNA, id, "status", "scheduled", &error), -EINVAL);
    assert_int_equal(change(w, ANNA, id, "scheduled_time", in(w, HOUR), &error), 0);
}

static void each_platform_has_its_limit(void **state)
{
    struct posts_world *w = *state;
    for (const struct platform *p = platforms; p->name; p++)
        for (int over = 0; over < 2; over++) {
            struct items_error error;
            char *text = arena_alloc(&w->rows->arena, p->text_max + 2);
            memset(text, 'a', p->text_max + (size_t)over);
            const char *json = arena_printf(
                &w->rows->arena,
                "{'platform':'%s','content_text':'%s','platform_meta':{'subreddit':'art','title':'t'}}",
                p->name, text);
            assert_int_equal(post(w, ANNA, json, NULL, &error), over ? -EINVAL : 0);
            if (over)
                assert_string_equal(error.field, "content_text");
        }
}

static void another_platform_is_another_limit(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    const char *id;
    char json[512];
    (void)snprintf(json, sizeof json, "{'platform':'facebook','content_text':'%0300d'}", 7);
    assert_int_equal(post(w, ANNA, json, &id, &error), 0);
    assert_int_equal(change(w, ANNA, id, "platform", "x", &error), -EINVAL);
    assert_string_equal(error.field, "content_text");
    assert_int_equal(change(w, ANNA, id, "platform", "tiktok", &error), 0);
}

static void reddit_wants_to_know_where(void **state)
{
    struct posts_world *w = *state;
    static const struct {
        const char *meta;
        int r;
    } cases[] = {
        {"{'subreddit':'art','title':'A title'}", 0},
        {"{'subreddit':'r/Art_2','title':'A title','flair':'x'}", 0},
        {"null", -EINVAL},
        {"{}", -EINVAL},
        {"[]", -EINVAL},
        {"'text'", -EINVAL},
        {"{'subreddit':'art'}", -EINVAL},
        {"{'subreddit':'art','title':' '}", -EINVAL},
        {"{'subreddit':'a rt','title':'t'}", -EINVAL},
        {"{'subreddit':'../x','title':'t'}", -EINVAL},
        {"{'subreddit':7,'title':'t'}", -EINVAL},
        {"{'subreddit':'abcdefghijklmnopqrstuv','title':'t'}", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_error error;
        const char *text = arena_printf(
            &w->rows->arena, "{'platform':'reddit','content_text':'c','platform_meta':%s}", cases[i].meta);
        if (post(w, ANNA, text, NULL, &error) != cases[i].r)
            fail_msg("%s", cases[i].meta);
        if (cases[i].r)
            assert_string_equal(error.field, "platform_meta");
    }
    struct items_error error;
    char *filler = arena_alloc(&w->rows->arena, POST_META_MAX + 1);
    memset(filler, 'a', POST_META_MAX);
    const char *large = arena_printf(
        &w->rows->arena, "{'platform':'x','content_text':'c','platform_meta':{'k':'%s'}}", filler);
    assert_int_equal(post(w, ANNA, large, NULL, &error), -EINVAL);
}

static void there_must_be_something_to_post(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    struct arena *a = &w->rows->arena;
    const char *mine = insert_row(w->rows, access_collection("media_assets"), w->rows->people[ANNA].user_id);
    const char *hers = insert_row(w->rows, access_collection("media_assets"), w->rows->people[BERT].user_id);
    const char *time = in(w, HOUR);
    assert_int_equal(
        post(w, ANNA, arena_printf(a, "{'platform':'x','scheduled_time':'%s'}", time), NULL, &error),
        -EINVAL);
    assert_int_equal(post(w, ANNA, "{'platform':'x'}", NULL, &error), 0);
    const char *with = arena_printf(a, "{'platform':'x','scheduled_time':'%s','media_id':'%s'}", time, mine);
    assert_int_equal(post(w, ANNA, with, NULL, &error), 0);
    with = arena_printf(a, "{'platform':'x','content_text':'c','media_id':'%s'}", hers);
    assert_int_equal(post(w, ANNA, with, NULL, &error), -ENOENT);
    assert_string_equal(error.field, "media_id");
}

static void what_is_being_published_stays(void **state)
{
    struct posts_world *w = *state;
    static const char *const gone[] = {"publishing", "posted"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
        struct items_error error;
        const char *id = scheduled(w, ANNA);
        set_state(w, id, gone[i]);
        assert_int_equal(change(w, ANNA, id, "content_text", "x", &error), -EALREADY);
        assert_int_equal(change(w, ANNA, id, "status", "draft", &error), -EALREADY);
        assert_int_equal(items_delete(w->rows->db, &w->rows->people[ANNA], POSTS, &id, 1, &error), -EALREADY);
        assert_string_equal(state_of(w, id), gone[i]);
        assert_int_equal(change(w, BERT, id, "content_text", "x", &error), -ENOENT);
        assert_int_equal(change(w, ADMIN, id, "status", "failed", &error), 0);
    }
}

static void what_failed_can_be_tried_again(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    const char *id = scheduled(w, ANNA);
    assert_int_equal(
        store_exec(w->rows->db, "UPDATE scheduled_posts SET status = 'failed', error_message = 'why'"), 0);
    assert_int_equal(change(w, ANNA, id, "content_text", "better", &error), 0);
    assert_string_equal(state_of(w, id), "failed");
    assert_int_equal(change(w, ANNA, id, "scheduled_time", in(w, HOUR), &error), 0);
    assert_string_equal(state_of(w, id), "scheduled");
    assert_string_equal(query_text(w->rows, "SELECT error_message FROM scheduled_posts"), "");
    assert_int_equal(items_delete(w->rows->db, &w->rows->people[ANNA], POSTS, &id, 1, &error), 0);
}

static void users_set_neither_states_of_the_scheduler_nor_its_fields(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    const char *id = scheduled(w, ANNA);
    assert_int_equal(change(w, ANNA, id, "status", "posted", &error), -EINVAL);
    assert_int_equal(change(w, ANNA, id, "posted_at", in(w, 0), &error), -EACCES);
    assert_int_equal(change(w, ANNA, id, "error_message", "x", &error), -EACCES);
}

static void the_queue_has_as_many_places_as_the_plan(void **state)
{
    struct posts_world *w = *state;
    struct items_error error;
    const char *first = scheduled(w, ANNA), *draft;
    (void)scheduled(w, ANNA);
    (void)scheduled(w, ANNA);
    assert_int_equal(post(w, ANNA, "{'platform':'x','content_text':'c'}", &draft, &error), 0);
    const char *more = arena_printf(&w->rows->arena,
                                    "{'platform':'x','content_text':'c','scheduled_time':'%s'}", in(w, HOUR));
    assert_int_equal(post(w, ANNA, more, NULL, &error), -EDQUOT);
    assert_int_equal(error.quota.reason, QUOTA_LIMIT_REACHED);
    assert_int_equal(error.quota.limit, 3);
    assert_int_equal(change(w, ANNA, draft, "scheduled_time", in(w, HOUR), &error), -EDQUOT);
    assert_string_equal(state_of(w, draft), "draft");
    /* what is in it may be moved */
    assert_int_equal(change(w, ANNA, first, "scheduled_time", in(w, DAY), &error), 0);
    /* a draft frees its place, and so does what goes */
    assert_int_equal(change(w, ANNA, first, "status", "draft", &error), 0);
    assert_int_equal(change(w, ANNA, draft, "scheduled_time", in(w, HOUR), &error), 0);
    assert_int_equal(change(w, ANNA, first, "status", "scheduled", &error), -EDQUOT);
    assert_int_equal(items_delete(w->rows->db, &w->rows->people[ANNA], POSTS, &draft, 1, &error), 0);
    assert_int_equal(change(w, ANNA, first, "status", "scheduled", &error), 0);
    /* an admin who mends a creator's post uses the creator's place */
    const char *fourth = NULL;
    assert_int_equal(post(w, ANNA, "{'platform':'x','content_text':'c'}", &fourth, &error), 0);
    assert_int_equal(change(w, ADMIN, fourth, "scheduled_time", in(w, HOUR), &error), -EDQUOT);
}

static void several_rows_join_together_or_not_at_all(void **state)
{
    struct posts_world *w = *state;
    for (int n = 3; n <= 4; n++) {
        struct items_error error;
        json_t *list = json_array();
        for (int i = 0; i < n; i++)
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "platform", "x", "content_text",
                                                        "c", "scheduled_time", in(w, HOUR)));
        assert_int_equal(store_exec(w->rows->db, "DELETE FROM scheduled_posts"), 0);
        assert_int_equal(create(w->rows, ANNA, POSTS, list, NULL, &error), n == 3 ? 0 : -EDQUOT);
        assert_int_equal(store_int(w->rows->db, "SELECT count(*) FROM scheduled_posts"), n == 3 ? 3 : 0);
    }
}

#define POSTS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POSTS_TEST(the_time_decides),
        POSTS_TEST(times_lie_within_a_year),
        POSTS_TEST(a_draft_whose_time_has_gone_by_needs_a_new_one),
        POSTS_TEST(each_platform_has_its_limit),
        POSTS_TEST(another_platform_is_another_limit),
        POSTS_TEST(reddit_wants_to_know_where),
        POSTS_TEST(there_must_be_something_to_post),
        POSTS_TEST(what_is_being_published_stays),
        POSTS_TEST(what_failed_can_be_tried_again),
        POSTS_TEST(users_set_neither_states_of_the_scheduler_nor_its_fields),
        POSTS_TEST(the_queue_has_as_many_places_as_the_plan),
        POSTS_TEST(several_rows_join_together_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
