/* SPDX-License-Identifier: MIT */
/* The table itself, and what it makes of params. */
#include "media.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "quota/tiers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID "11111111-1111-4111-8111-111111111111"
#define ID2 "22222222-2222-4222-8222-222222222222"

static json_t *load_tiers(void)
{
    json_t *root = json_load_file("config/tier_rate_limits.json", 0, NULL);
    assert_non_null(root);
    return root;
}

static void every_operation_counts_as_something_and_nothing_else_does(void **state)
{
    (void)state;
    const char *name;
    json_t *feature;
    size_t n = 0;
    _cleanup_json_ json_t *root = load_tiers();
    const json_t *named = json_object_get(root, "operations");
    for (const struct media_operation *op = media_operations; op->name; op++, n++)
        if (!json_object_get(named, op->name))
            fail_msg("%s isn't in config/tier_rate_limits.json", op->name);
    json_object_foreach ((json_t *)(uintptr_t)named, name, feature)
        if (!media_operation_find(name))
            fail_msg("%s is in config/tier_rate_limits.json, and is no operation", name);
    assert_int_equal(json_object_size(named), n);
    assert_null(media_operation_find("rm"));
    assert_null(media_operation_find(NULL));
}

static void rows_are_whole(void **state)
{
    (void)state;
    for (const struct media_operation *op = media_operations; op->name; op++) {
        assert_non_null(op->params);
        assert_non_null(op->summary);
        assert_non_null(op->work);
        assert_true(op->params_size > 0 && op->limit_ms >= 60 * 1000);
        assert_ptr_equal(media_operation_find(op->name), op);
    }
}

/* Binds and tells the sentence, "" where there is nothing to say. */
static const char *say(struct media *m, const char *op, const char *params)
{
    static struct body_error error;
    error = (struct body_error){.field = NULL};
    const void *to = NULL;
    json_decref(m->params);
    m->params = json_parse(params, strlen(params));
    assert_non_null(m->params);
    int r = media_params_bind(media_operation_find(op), m->params, &m->arena, &to, &error);
    assert_true(r == 0 ? to != NULL : r == -EINVAL && error.error != ERR_NONE && error.sentence[0]);
    return r == 0 ? "" : error.sentence;
}

static void params_are_refused_as_bodies_are(void **state)
{
    static const struct {
        const char *op, *params, *says;
    } cases[] = {
        {"convert_image", "{\"format\":\"tiff\"}", "format must be one of jpeg|png|webp|avif"},
        {"convert_image", "{\"format\":\"png\",\"quality\":0}", "quality must be from 1 to 100"},
        {"convert_image", "[]", "params must be an object"},
        {"convert_image", "{\"format\":\"png\",\"unknown\":1}", ""},
        {"resize_image", "{}", "width or height must be given"},
        {"resize_image", "{\"width\":5,\"fit\":\"cover\"}", "fit cover and fit exact need width and height"},
        {"resize_image", "{\"width\":1.5}", "width must be a whole number"},
        {"resize_video", "null", "width or height must be given"},
        {"crop_image", "{\"width\":5,\"height\":5,\"x\":1}", "x and y must be given together"},
        {"crop_image", "{\"width\":5,\"height\":5,\"x\":1,\"y\":1,\"gravity\":\"north\"}",
         "gravity and x with y exclude each other"},
        {"compress_video", "{\"target_mb\":0.01}", "target_mb must be at least 0.1"},
        {"compress_video", "null", ""},
        {"trim_videos", "{\"clips\":[]}", "clips must have at least one item"},
        {"trim_videos", "{\"clips\":[{\"start\":2,\"end\":1}]}",
         "each of clips must be {\"start\": seconds, \"end\": seconds}, with start before end"},
        {"join_videos", "{\"input_file_ids\":[\"" ID "\"]}", "input_file_ids must have at least 2 items"},
        {"join_videos", "{\"input_file_ids\":[\"" ID "\",\"../x\"]}",
         "each of input_file_ids must be a UUID"},
        {"apply_watermark", "{\"watermark_file_id\":\"x\"}", "watermark_file_id must be a UUID"},
        {"apply_watermark", "{\"watermark_file_id\":\"" ID "\",\"opacity\":101}",
         "opacity must be from 0 to 100"},
        {"create_teaser", "{\"segments\":0}", "segments must be from 1 to 20"},
        {"strip_metadata", "{}", ""},
        {"apply_steganographic_watermark", "{}", "payload must be given, unless extract is true"},
        {"apply_steganographic_watermark", "{\"extract\":true}", ""},
        {"apply_steganographic_watermark",
         "{\"payload\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
         "payload is longer than 64 bytes"},
    };
    struct media *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(say(m, cases[i].op, cases[i].params), cases[i].says);
}

static void files_that_params_name_are_told_in_order(void **state)
{
    struct media *m = *state;
    const char *ids[MEDIA_INPUTS_MAX];
    const void *params = NULL;
    struct body_error error;
    const struct media_operation *op = media_operation_find("join_videos");
    m->params = json_pack("{s:[s,s,s]}", "inputFileIds", ID2, ID, ID2);
    assert_int_equal(media_params_bind(op, m->params, &m->arena, &params, &error), 0);
    assert_int_equal(media_params_files(op, params, ids), 3);
    assert_string_equal(ids[0], ID2);
    assert_string_equal(ids[1], ID);
    json_decref(m->params);
    m->params = json_pack("{s:s}", "watermark_file_id", ID);
    op = media_operation_find("apply_watermark");
    assert_int_equal(media_params_bind(op, m->params, &m->arena, &params, &error), 0);
    assert_int_equal(media_params_files(op, params, ids), 1);
    assert_string_equal(ids[0], ID);
    assert_int_equal(media_params_files(media_operation_find("crop_image"), params, ids), 0);
}

static void an_operation_without_its_file_fails(void **state)
{
    struct media *m = *state;
    assert_int_equal(media_operate(m, "compress_video", "{}", NULL), -EINVAL);
    assert_string_equal(m->run.error, "The job names no input_file_id");
    assert_true(media_operate(m, "compress_video", "{}", "isn't there", NULL) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_counts_as_something_and_nothing_else_does),
        cmocka_unit_test(rows_are_whole),
        TEST(params_are_refused_as_bodies_are),
        TEST(files_that_params_name_are_told_in_order),
        TEST(an_operation_without_its_file_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
