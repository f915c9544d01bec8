/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "base/cleanup.h"
#include "reader/json_tokens.h"

static void test_posts_become_content_with_tags_and_details(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "data/posts.json",
              "[{\"id\":7,\"text\":\"Sunset shoot #Beach\",\"created_at\":\"2026-03-01T10:00:00Z\","
              "\"tags\":[\"Summer\",\"beach\"],\"likes\":41,\"url\":\"https://x\"},"
              "{\"caption\":{\"text\":\"Second\"},\"owner\":{\"username\":\"mia\"}}]");
    assert_int_equal(c.n, 2);
    const struct draft *d = draft_of(&c, "Sunset shoot");
    assert_int_equal(d->kind, NODE_CONTENT);
    assert_string_equal(d->title, "Sunset shoot #Beach (2026-03-01)");
    assert_string_equal(d->content, "Sunset shoot #Beach\n\nlikes: 41");
    assert_string_equal(d->tags, "[\"summer\",\"beach\"]");
    assert_string_equal(draft_of(&c, "Second")->content, "Second");
    corpus_free(&c);
}

static void test_messages_know_who_and_thread(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "messages/inbox.json",
              "{\"participants\":[{\"name\":\"Anna\"},{\"name\":\"Mia\"}],\"messages\":["
              "{\"sender_name\":\"Anna\",\"timestamp_ms\":1772359200000,\"content\":\"I love Berlin\"},"
              "{\"from\":{\"name\":\"Mia\"},\"text\":\"Me too\"}],\"title\":\"Anna\"}");
    assert_int_equal(c.n, 2);
    const struct draft *first = draft_of(&c, "I love Berlin"), *second = draft_of(&c, "Me too");
    assert_int_equal(first->kind, NODE_FAN_MEMORY);
    assert_string_equal(first->title, "Message from Anna (2026-03-01)");
    assert_string_equal(second->title, "Message from Mia");
    assert_int_equal(first->thread, second->thread);
    assert_int_not_equal(first->thread, LEXICON_NONE);
    corpus_free(&c);
}

static void test_shapes_of_platforms(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "data/tweets.js",
              "window.YTD.tweets.part0 = [{\"tweet\":{\"full_text\":\"Hello X\",\"entities\":"
              "{\"hashtags\":[{\"text\":\"New\",\"indices\":[\"1\",\"2\"]}]},\"created_at\":"
              "\"Wed Oct 10 20:19:24 +0000 2018\"}}]");
    assert_int_equal(c.n, 1);
    assert_non_null(strstr(c.drafts[0].title, "Hello X"));
    corpus_free(&c);
    /* names as the kinds of what they hold, and bytes of UTF-8 as characters */
    read_text(&c, "export.json",
              "{\"posts\":[{\"text\":\"caf\\u00c3\\u00a9 \\u00f0\\u009f\\u0098\\u008a\"}],"
              "\"fans\":[{\"username\":\"@anna\",\"total_spend\":12.5}],\"about\":{\"bio\":\"I dance\"}}");
    assert_int_equal(c.n, 3);
    assert_int_equal(draft_of(&c, "caf\xC3\xA9 \xF0\x9F\x98\x8A")->kind, NODE_CONTENT);
    assert_int_equal(draft_of(&c, "total_spend: 12.5")->kind, NODE_FAN_MEMORY);
    assert_int_equal(draft_of(&c, "I dance")->kind, NODE_PERSONA);
    corpus_free(&c);
    read_text(&c, "posts.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n\n\"three\"\n");
    assert_int_equal(c.n, 3);
    corpus_free(&c);
}

/* As Instagram and Facebook write them: what a name is of holds for what stands below it. */
static void test_addresses_and_secrets_are_not_kept(void **state)
{
    struct corpus c;
    (void)state;
    read_text(&c, "personal_information.json",
              "{\"profile_user\":[{\"title\":\"Mia\",\"string_map_data\":{"
              "\"Email\":{\"href\":\"\",\"value\":\"leak-1\",\"timestamp\":0},"
              "\"Phone Number\":{\"value\":\"leak-2\"},\"City\":{\"value\":\"Bern\"}}}]}");
    assert_int_equal(c.n, 1);
    assert_non_null(strstr(c.drafts[0].content, "Bern"));
    assert_null(strstr(c.drafts[0].content, "leak"));
    corpus_free(&c);
    read_text(
        &c, "fans.json",
        "[{\"username\":\"anna\",\"spent\":4,\"email_address\":\"leak-3\",\"emails\":[\"leak-4\"],"
        "\"phone_numbers\":[{\"number\":\"leak-5\"}],\"client_secret\":\"leak-6\",\"api_key\":\"leak-7\","
        "\"address\":{\"street\":\"leak-8\"},\"session_cookie\":\"leak-9\"},"
        "{\"phone_messages\":[{\"text\":\"call me\",\"from\":\"anna\"}]}]");
    assert_int_equal(c.n, 2);
    assert_string_equal(draft_of(&c, "spent: 4")->content, "spent: 4");
    assert_string_equal(draft_of(&c, "call me")->content, "call me");
    corpus_free(&c);
}

static void test_broken_text_gives_what_stands_before(void **state)
{
    static const char *const broken[] = {
        "[{\"text\":\"kept\"},{\"text\":\"lo",
        "[{\"text\":\"kept\"},]",
        "[{\"text\":\"kept\"} {}]",
        "[{\"text\":\"kept\"},{\"text\":01}]",
        "[{\"text\":\"kept\"},{\"a\" 1}]",
        "[{\"text\":\"kept\"},{\"a\":\"\\q\"}]",
        "[{\"text\":\"kept\"},{\"a\":nul}]",
        "[{\"text\":\"kept\"},{\"a\":\"\n\"}]",
        "[{\"text\":\"kept\"}]]",
        "[{\"text\":\"kept\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct corpus c;
        read_text(&c, "posts.json", broken[i]);
        assert_int_equal(c.n, 1);
        assert_int_equal(c.n_remarks, 1);
        assert_string_equal(c.remarks[0].name, "posts.json");
        corpus_free(&c);
    }
}

static void test_hostile_depth_and_size(void **state)
{
    struct corpus c;
    size_t len;
    (void)state;
    _cleanup_free_ char *deep = repeat("[{\"a\":", 100000, &len);
    read_bytes(&c, "deep.json", deep, len);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.counts.files_left, 1);
    corpus_free(&c);

    _cleanup_free_ char *many = repeat("\\u0000\\ud800a\\n", 300000, &len);
    char *huge = malloc(len + 64);
    int n = sprintf(huge, "[{\"text\":\"%s\",\"likes\":3}]", many);
    read_bytes(&c, "huge.json", huge, (size_t)n);
    assert_true(c.n > 0 && c.bytes <= 80 * 1024);
    corpus_free(&c);
    free(huge);

    _cleanup_free_ char *rows = repeat("{\"text\":\"same\"}", 500000, &len);
    read_bytes(&c, "rows.json", rows, len);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.counts.duplicates, 499999);
    assert_true(c.texts.total < (1 << 20)); /* they take no memory */
    corpus_free(&c);
}

static void test_tokens_are_cut_never_within_a_character(void **state)
{
    struct json_tokens t;
    size_t len;
    (void)state;
    _cleanup_free_ char *smile = repeat("\xF0\x9F\x98\x8A", 20000, &len);
    char *text = malloc(len + 4);
    int n = sprintf(text, "\"x%s\"", smile);
    json_tokens_begin(&t, text, (size_t)n);
    assert_int_equal(json_tokens_next(&t), JSON_TOKEN_STRING);
    assert_true(t.text.len <= 64 * 1024 && utf8_valid(t.text.data, t.text.len));
    assert_int_equal(json_tokens_next(&t), JSON_TOKEN_END);
    json_tokens_free(&t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_become_content_with_tags_and_details),
        cmocka_unit_test(test_messages_know_who_and_thread),
        cmocka_unit_test(test_shapes_of_platforms),
        cmocka_unit_test(test_addresses_and_secrets_are_not_kept),
        cmocka_unit_test(test_broken_text_gives_what_stands_before),
        cmocka_unit_test(test_hostile_depth_and_size),
        cmocka_unit_test(test_tokens_are_cut_never_within_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
