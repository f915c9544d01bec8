/* SPDX-License-Identifier: MIT */
/* The tiers file: the shipped one, and what is said of every kind of broken one. */
#include "quota/tiers.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define SHIPPED TIERS_DEFAULT_PATH

static struct tiers *shipped(void)
{
    char error[TIERS_ERROR_MAX], source[TIERS_ERROR_MAX];
    struct tiers *tiers = NULL;
    if (tiers_load(&(struct config){.tiers_file = SHIPPED}, &tiers, source, error) < 0)
        fail_msg("%s", error);
    assert_string_equal(source, SHIPPED);
    return tiers;
}

static void the_shipped_file_says_what_the_plans_promise(void **state)
{
    static const int64_t limits[TIERS][4] = {
        {3, 10, 5, 3}, {50, 100, 30, -1}, {200, 500, 150, -1}, {-1, -1, -1, -1}};
    static const char *const shown[] = {"post_creations", "taxonomy_tags", "media_modifications", NULL};
    (void)state;
    struct tiers *tiers = shipped();
    for (int t = 0; t < TIERS; t++)
        for (int f = 0; f < 4; f++) {
            assert_int_equal(tiers_limit(tiers, t, f), limits[t][f]);
            assert_true(tiers_counts(tiers, t, f));
        }
    for (int f = 0; f < 4; f++)
        assert_true(str_equal(tiers_shown_as(tiers, f), shown[f]));
    assert_string_equal(tiers_label(tiers, FEATURE_CAPTIONS), "caption generation");
    assert_false(tiers_count_anywhere(tiers, FEATURE_CHAT));
    tiers_unref(tiers);
}

static void names_of_tiers(void **state)
{
    static const struct {
        const char *stored;
        enum tier tier;
    } cases[] = {{"starter", TIER_STARTER}, {"creator", TIER_CREATOR},  {"pro", TIER_PRO},
                 {"studio", TIER_STUDIO},   {"freemium", TIER_STARTER}, {"elite", TIER_STUDIO},
                 {NULL, TIER_STARTER},      {"", TIER_STARTER},         {"Pro", TIER_STARTER},
                 {"platinum", TIER_STARTER}};
    (void)state;
    struct tiers *tiers = shipped();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(tiers_find(tiers, cases[i].stored), cases[i].tier);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(tier_of(cases[i].stored), cases[i].tier);
    enum tier tier;
    assert_int_equal(tiers_named(tiers, "elite", &tier), 0);
    assert_int_equal(tier, TIER_STUDIO);
    assert_int_equal(tiers_named(tiers, "platinum", &tier), -ENOENT);
    tiers_unref(tiers);
}

static void names_of_operations(void **state)
{
    static const struct {
        const char *name;
        int feature; /* -1 = unknown */
    } cases[] = {{"post_creations", FEATURE_CAPTIONS},
                 {"caption_generator", FEATURE_CAPTIONS},
                 {"taxonomy_tags", FEATURE_TAXONOMY},
                 {"ai_clip_ops", FEATURE_MEDIA},
                 {"media_modifications", FEATURE_MEDIA},
                 {"apply_watermark", FEATURE_MEDIA},
                 {"trim_videos", FEATURE_MEDIA},
                 {"ytdlp_info", FEATURE_FREE},
                 {"download_video", FEATURE_FREE},
                 {"strip_metadata", FEATURE_FREE},
                 {"scheduled_queue_size", FEATURE_SCHEDULED_POSTS},
                 {"chat_messages", FEATURE_CHAT},
                 {"free", -1},
                 {"", -1},
                 {"APPLY_WATERMARK", -1}};
    (void)state;
    struct tiers *tiers = shipped();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum feature f = 99;
        int r = tiers_resolve(tiers, cases[i].name, &f);
        assert_int_equal(r, cases[i].feature < 0 ? -ENOENT : 0);
        if (r == 0)
            assert_int_equal(f, cases[i].feature);
    }
    tiers_unref(tiers);
}

static void the_built_in_file_is_the_shipped_one(void **state)
{
    char error[TIERS_ERROR_MAX], source[TIERS_ERROR_MAX], here[4096];
    struct tiers *tiers = NULL, *file = shipped();
    struct buf a = BUF_INIT(65536), b = BUF_INIT(65536);
    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(tiers_load(&(struct config){0}, &tiers, source, error), 0);
    assert_int_equal(chdir(here), 0);
    assert_string_equal(source, "the built-in tiers");
    assert_int_equal(tiers_print(tiers, &a), 0);
    assert_int_equal(tiers_print(file, &b), 0);
    assert_string_equal(buf_str(&a), buf_str(&b));
    buf_free(&a);
    buf_free(&b);
    tiers_unref(tiers);
    tiers_unref(file);
}

static void files_that_can_t_be_read_are_named(void **state)
{
    static const char *const paths[] = {"/nowhere/tiers.json", "/"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char error[TIERS_ERROR_MAX] = "";
        struct tiers *tiers = NULL;
        assert_true(tiers_load(&(struct config){.tiers_file = paths[i]}, &tiers, NULL, error) < 0);
        assert_non_null(strstr(error, "can't be read"));
        assert_true(str_has_prefix(error, paths[i]));
        assert_null(tiers);
    }
}

/* ---- broken ones: the shipped file with one thing changed */

struct change {
    const char *section, *key, *member; /* member NULL: the key itself; key NULL: the section */
    const char *value;                  /* as JSON; NULL = removed */
    const char *error;                  /* NULL = the file is good */
};

static const struct change changes[] = {
    {"tiers", NULL, NULL, NULL, "tiers is missing"},
    {"tiers", NULL, NULL, "[]", "tiers must be an object"},
    {"plans", NULL, NULL, "{}", "plans is unknown: the file has features, tiers, aliases and operations"},
    {"tiers", "pro", NULL, NULL, "tiers.pro is missing"},
    {"tiers", "platinum", NULL, "{}",
     "tiers.platinum is no tier: there are starter, creator, pro and studio"},
    {"tiers", "pro", NULL, "7", "tiers.pro must be an object"},
    {"tiers", "pro", "ai_clip_ops", NULL, "tiers.pro.ai_clip_ops is missing"},
    {"tiers", "pro", "ai_clips", "1", "tiers.pro.ai_clips is no feature"},
    {"tiers", "pro", "ai_clip_ops", "-2",
     "tiers.pro.ai_clip_ops must be a whole number from -1 (unlimited) to 1000000000"},
    {"tiers", "pro", "ai_clip_ops", "1.5",
     "tiers.pro.ai_clip_ops must be a whole number from -1 (unlimited) to 1000000000"},
    {"tiers", "pro", "ai_clip_ops", "\"5\"",
     "tiers.pro.ai_clip_ops must be a whole number from -1 (unlimited) to 1000000000"},
    {"tiers", "pro", "ai_clip_ops", "null",
     "tiers.pro.ai_clip_ops must be a whole number from -1 (unlimited) to 1000000000"},
    {"tiers", "pro", "ai_clip_ops", "1000000001",
     "tiers.pro.ai_clip_ops must be a whole number from -1 (unlimited) to 1000000000"},
    {"tiers", "pro", "ai_clip_ops", "0", NULL},
    {"tiers", "pro", "chat_messages", "10", NULL},
    {"aliases", "elite", NULL, NULL, "aliases.elite is missing"},
    {"aliases", "elite", NULL, "\"platinum\"",
     "aliases.elite must name a tier: starter, creator, pro or studio"},
    {"aliases", "gold", NULL, "3", "aliases.gold must name a tier: starter, creator, pro or studio"},
    {"aliases", "pro", NULL, "\"studio\"", "aliases.pro is a tier itself"},
    {"aliases", "", NULL, "\"studio\"", "aliases. must have 1 to 64 characters"},
    {"aliases", "gold", NULL, "\"pro\"", NULL},
    {"operations", "ytdlp_info", NULL, NULL, "operations.ytdlp_info is missing"},
    {"operations", "make_coffee", NULL, "\"free\"", "operations.make_coffee is no operation"},
    {"operations", "ytdlp_info", NULL, "\"nothing\"",
     "operations.ytdlp_info must name a counted feature, or \"free\""},
    {"operations", "ytdlp_info", NULL, "false",
     "operations.ytdlp_info must name a counted feature, or \"free\""},
    {"operations", "ytdlp_info", NULL, "\"scheduled_queue_size\"",
     "operations.ytdlp_info must name a counted feature, or \"free\""},
    {"operations", "ytdlp_info", NULL, "\"ai_clip_ops\"", NULL},
    {"features", "ai_clip_ops", NULL, NULL, "features.ai_clip_ops is missing"},
    {"features", "ai_clips", NULL, "{}", "features.ai_clips is no feature"},
    {"features", "ai_clip_ops", NULL, "\"x\"", "features.ai_clip_ops must be an object"},
    {"features", "ai_clip_ops", "label", NULL, "features.ai_clip_ops.label is missing"},
    {"features", "ai_clip_ops", "label", "\" \"", "features.ai_clip_ops.label must have 1 to 64 characters"},
    {"features", "ai_clip_ops", "label", "\"a\\nb\"", "features.ai_clip_ops.label holds a control character"},
    {"features", "ai_clip_ops", "shown_as", NULL, "features.ai_clip_ops.shown_as is missing"},
    {"features", "ai_clip_ops", "shown_as", "5", "features.ai_clip_ops.shown_as must be a text"},
    {"features", "ai_clip_ops", "shown_as", "\"post_creations\"",
     "features.ai_clip_ops.shown_as is post_creations, which is the name of something else"},
    {"features", "ai_clip_ops", "shown_as", "\"caption_generator\"",
     "features.ai_clip_ops.shown_as is caption_generator, which is the name of something else"},
    {"features", "ai_clip_ops", "shown_as", "\"crop_video\"",
     "features.ai_clip_ops.shown_as is crop_video, which is the name of something else"},
    {"features", "ai_clip_ops", "shown_as", "\"ai_clip_ops\"", NULL},
    {"features", "ai_clip_ops", "color", "1",
     "features.ai_clip_ops.color is unknown: a feature has a label and, unless it is a level, shown_as"},
    {"features", "scheduled_queue_size", "shown_as", "\"posts\"",
     "features.scheduled_queue_size.shown_as is unknown: a feature has a label and, unless it is a level, "
     "shown_as"},
    {"features", "chat_messages", NULL, "{\"label\":\"chat\"}", "features.chat_messages.shown_as is missing"},
};

static json_t *change_file(const struct change *c)
{
    json_t *root = json_load_file(SHIPPED, 0, NULL), *object = root;
    const char *path[] = {c->section, c->key, c->member}, *last = c->section;
    assert_non_null(root);
    for (int i = 1; i < 3 && path[i]; i++) {
        object = json_object_get(object, path[i - 1]);
        last = path[i];
    }
    assert_non_null(object);
    if (c->value)
        assert_int_equal(json_object_set_new(object, last, json_loads(c->value, JSON_DECODE_ANY, NULL)), 0);
    else
        assert_int_equal(json_object_del(object, last), 0);
    return root;
}

static void whatever_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        char error[TIERS_ERROR_MAX] = "";
        struct tiers *tiers = NULL;
        json_t *root = change_file(&changes[i]);
        char *text = json_dumps(root, 0);
        int r = tiers_parse(text, strlen(text), &tiers, error);
        assert_int_equal(r, changes[i].error ? -EINVAL : 0);
        assert_string_equal(error, changes[i].error ? changes[i].error : "");
        assert_true((tiers == NULL) == (changes[i].error != NULL));
        tiers_unref(tiers);
        free(text);
        json_decref(root);
    }
}

#define OPEN "[[[[[[[[[[[[[["
#define CLOSE "]]]]]]]]]]]]]]"

static void text_that_is_no_json_is_shown_with_its_line(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *error;
    } cases[] = {
        {"{\n  \"tiers\": {,}\n}", 0, "line 2, column 13: string or '}' expected near ','"},
        {"", 0, "line 1, column 0: '[' or '{' expected near end of file"},
        {"{\"a\":1,\"a\":2}", 0, "line 1, column 10: duplicate object key near '\"a\"'"},
        {"7", 0, "the file must be a JSON object"},
        {"{}\0", 3, "line 1, column 3: end of file expected near end of file"},
        {OPEN OPEN OPEN OPEN OPEN "0" CLOSE CLOSE CLOSE CLOSE CLOSE, 0,
         "it is not JSON that can be read: it holds a NUL, or is nested too deeply"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char error[TIERS_ERROR_MAX] = "";
        struct tiers *tiers = NULL;
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
        assert_int_equal(tiers_parse(cases[i].text, len, &tiers, error), -EINVAL);
        assert_string_equal(error, cases[i].error);
    }
}

static void a_file_has_a_limit(void **state)
{
    char error[TIERS_ERROR_MAX];
    struct tiers *tiers = NULL;
    char *text = malloc(TIERS_BYTES_MAX + 1);
    (void)state;
    assert_non_null(text);
    memset(text, ' ', TIERS_BYTES_MAX + 1);
    assert_int_equal(tiers_parse(text, TIERS_BYTES_MAX + 1, &tiers, error), -EINVAL);
    assert_string_equal(error, "it has more than 65536 bytes");
    free(text);
}

static void a_tier_that_doesn_t_name_messages_doesn_t_count_them(void **state)
{
    char error[TIERS_ERROR_MAX];
    struct tiers *tiers = NULL;
    json_t *root = change_file(&(struct change){"tiers", "starter", "chat_messages", "20", NULL});
    char *text = json_dumps(root, 0);
    (void)state;
    assert_int_equal(tiers_parse(text, strlen(text), &tiers, error), 0);
    assert_true(tiers_counts(tiers, TIER_STARTER, FEATURE_CHAT));
    assert_false(tiers_counts(tiers, TIER_PRO, FEATURE_CHAT));
    assert_true(tiers_count_anywhere(tiers, FEATURE_CHAT));
    assert_int_equal(tiers_limit(tiers, TIER_STARTER, FEATURE_CHAT), 20);
    assert_int_equal(tiers_limit(tiers, TIER_PRO, FEATURE_CHAT), TIERS_UNLIMITED);
    tiers_unref(tiers);
    free(text);
    json_decref(root);
}

static void aliases_come_one_after_the_other(void **state)
{
    (void)state;
    char error[TIERS_ERROR_MAX];
    enum tier tier;
    _cleanup_(tiers_unrefP) struct tiers *tiers = NULL;
    assert_int_equal(tiers_load(&(struct config){0}, &tiers, NULL, error), 0);
    for (size_t i = 0; i < 2; i++) {
        const char *name = tiers_alias(tiers, i, &tier);
        assert_non_null(name);
        assert_int_equal(tier, tiers_find(tiers, name));
        assert_int_equal(tier, strcmp(name, "elite") == 0 ? TIER_STUDIO : TIER_STARTER);
    }
    assert_null(tiers_alias(tiers, 2, &tier));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_file_says_what_the_plans_promise),
        cmocka_unit_test(names_of_tiers),
        cmocka_unit_test(names_of_operations),
        cmocka_unit_test(the_built_in_file_is_the_shipped_one),
        cmocka_unit_test(files_that_can_t_be_read_are_named),
        cmocka_unit_test(whatever_is_wrong_is_named_with_its_place),
        cmocka_unit_test(text_that_is_no_json_is_shown_with_its_line),
        cmocka_unit_test(a_file_has_a_limit),
        cmocka_unit_test(a_tier_that_doesn_t_name_messages_doesn_t_count_them),
        cmocka_unit_test(aliases_come_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
