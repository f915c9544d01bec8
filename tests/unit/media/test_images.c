/* SPDX-License-Identifier: MIT */
#include "media.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void assert_size(const struct media *m, int64_t width, int64_t height)
{
    assert_int_equal(media_result(m)->width, width);
    assert_int_equal(media_result(m)->height, height);
}

static void every_format_is_written_and_read_again(void **state)
{
    static const char *const formats[] = {"png", "webp", "avif", "jpeg"};
    struct media *m = *state;
    media_make_picture(m, "picture.png", "160x120");
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        char params[64], type[32], words[PATH_MAX + 64];
        (void)snprintf(params, sizeof params, "{\"format\":\"%s\",\"quality\":60}", formats[i]);
        (void)snprintf(type, sizeof type, "image/%s", formats[i]);
        assert_int_equal(media_operate(m, "convert_image", params, "picture.png", NULL), 0);
        assert_string_equal(media_result(m)->type, type);
        assert_size(m, 160, 120);
        assert_true(media_result(m)->bytes > 100);
        /* and what came out goes in again */
        (void)snprintf(words, sizeof words, "cp %s again", media_result(m)->path);
        media_do(m, words);
        assert_int_equal(media_operate(m, "convert_image", "{\"format\":\"png\"}", "again", NULL), 0);
        assert_string_equal(m->run.inputs[0].type, type);
        assert_size(m, 160, 120);
    }
}

static void transparent_parts_become_white_in_jpeg(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i color=red@0.0:s=32x32,format=rgba -frames:v 1 clear.png");
    assert_int_equal(media_operate(m, "convert_image", "{\"format\":\"jpeg\"}", "clear.png", NULL), 0);
    assert_true(media_pixel(m, media_result(m)->path, 9, 9) >= 0xfdfdfd);
}

static void a_picture_is_resized_as_its_fit_says(void **state)
{
    static const struct {
        const char *params;
        int width, height;
    } cases[] = {
        {"{\"width\":80}", 80, 60},
        {"{\"height\":30}", 40, 30},
        {"{\"width\":80,\"height\":80}", 80, 60},
        {"{\"width\":80,\"height\":80,\"fit\":\"cover\"}", 80, 80},
        {"{\"width\":80,\"height\":80,\"fit\":\"exact\"}", 80, 80},
        {"{\"width\":320}", 160, 120},
        {"{\"width\":320,\"enlarge\":true}", 320, 240},
        {"{\"width\":320,\"height\":320,\"fit\":\"cover\"}", 120, 120},
        {"{\"width\":320,\"height\":320,\"fit\":\"cover\",\"enlarge\":true}", 320, 320},
        {"{\"width\":320,\"height\":60,\"fit\":\"exact\"}", 160, 60},
        {"{\"width\":1,\"height\":1}", 1, 1},
    };
    struct media *m = *state;
    media_make_picture(m, "picture.png", "160x120");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(media_operate(m, "resize_image", cases[i].params, "picture.png", NULL), 0);
        assert_size(m, cases[i].width, cases[i].height);
    }
}

/* Left red, right blue: which part is kept is told by its colour. */
static void a_part_is_kept_by_place_or_gravity(void **state)
{
    struct media *m = *state;
    media_do(
        m,
        "ffmpeg -v error -f lavfi -i color=red:s=50x40 -f lavfi -i color=blue:s=50x40 -filter_complex hstack "
        "-frames:v 1 halves.png");
    assert_int_equal(
        media_operate(m, "crop_image", "{\"width\":20,\"height\":10,\"x\":5,\"y\":5}", "halves.png", NULL),
        0);
    assert_size(m, 20, 10);
    assert_true(media_pixel(m, media_result(m)->path, 19, 9) >= 0xf00000);
    assert_int_equal(media_operate(m, "crop_image", "{\"width\":20,\"height\":10,\"gravity\":\"southeast\"}",
                                   "halves.png", NULL),
                     0);
    assert_true(media_pixel(m, media_result(m)->path, 0, 0) <= 0x0001ff);
    assert_int_equal(media_operate(m, "crop_image", "{\"width\":20,\"height\":10}", "halves.png", NULL), 0);
    assert_true(media_pixel(m, media_result(m)->path, 2, 5) >= 0xf00000);
    assert_true(media_pixel(m, media_result(m)->path, 17, 5) <= 0x0001ff);
    assert_int_equal(media_operate(m, "crop_image", "{\"width\":20,\"height\":41}", "halves.png", NULL),
                     -EINVAL);
    assert_non_null(strstr(m->run.error, "100 x 40"));
}

/* All that a file says of itself. */
static char *told_by(const struct media *m, const char *path)
{
    char words[PATH_MAX + 64];
    (void)snprintf(words, sizeof words, "exiftool -a -u -G1 -s --System:all %s", path);
    return media_tool_output(m, words);
}

/* A phone's upright photograph lies on its side in the file. */
static void pictures_are_worked_on_as_they_are_shown_and_tell_no_place(void **state)
{
    static const char *const formats[] = {"jpeg", "png", "webp", "avif"};
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=160x120 -frames:v 1 photo.jpg");
    media_do(m, "exiftool -q -overwrite_original -n -Orientation=6 -GPSLatitude=52.5 -GPSLatitudeRef=N "
                "-Artist=secret "
                "-Comment=secret -XMP:Creator=secret -IPTC:By-line=secret photo.jpg");
    assert_int_equal(media_operate(m, "resize_image", "{\"width\":60}", "photo.jpg", NULL), 0);
    assert_size(m, 60, 80);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        char params[64];
        (void)snprintf(params, sizeof params, "{\"format\":\"%s\"}", formats[i]);
        assert_int_equal(media_operate(m, "convert_image", params, "photo.jpg", NULL), 0);
        assert_size(m, 120, 160);
        _cleanup_free_ char *told = told_by(m, media_result(m)->path);
        assert_null(strstr(told, "secret"));
        assert_null(strstr(told, "GPS"));
    }
}

/* The smallest profile that is one: a header, and no tags but the white point. */
static void write_profile(const struct media *m)
{
    uint8_t icc[164] = {0, 0, 0, sizeof icc, 'n', 'o', 'n', 'e', 2, 0x40};
    memcpy(icc + 12, "mntrRGB XYZ ", 12);
    memcpy(icc + 36, "acsp", 4);
    memcpy(icc + 68, "\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d", 12);
    icc[131] = 1;
    memcpy(icc + 132, "wtpt\0\0\0\x90\0\0\0\x14", 12);
    memcpy(icc + 144, "XYZ \0\0\0\0\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d", 20);
    media_write(m, "profile.icc", icc, sizeof icc);
}

static void the_colour_profile_stays(void **state)
{
    static const char *const formats[] = {"jpeg", "png", "webp"};
    struct media *m = *state;
    media_make_picture(m, "photo.png", "160x120");
    media_do(m, "convert photo.png photo.jpg");
    write_profile(m);
    media_do(m, "exiftool -q -overwrite_original -ICC_Profile<=profile.icc photo.jpg");
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        char params[64];
        (void)snprintf(params, sizeof params, "{\"format\":\"%s\"}", formats[i]);
        assert_int_equal(media_operate(m, "convert_image", params, "photo.jpg", NULL), 0);
        _cleanup_free_ char *told = told_by(m, media_result(m)->path);
        assert_non_null(strstr(told, "MediaWhitePoint"));
    }
    assert_int_equal(media_operate(m, "strip_metadata", "{}", "photo.jpg", NULL), 0);
    _cleanup_free_ char *told = told_by(m, media_result(m)->path);
    assert_non_null(strstr(told, "MediaWhitePoint"));
}

static void the_first_frame_of_a_moving_picture_is_taken(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=64x48:d=1:r=5 moving.gif");
    assert_int_equal(media_operate(m, "convert_image", "{\"format\":\"webp\"}", "moving.gif", NULL), 0);
    assert_int_equal(m->run.n_outputs, 1);
    assert_size(m, 64, 48);
    assert_int_equal(media_operate(m, "resize_image", "{\"width\":32}", "moving.gif", NULL), 0);
    assert_string_equal(media_result(m)->type, "image/png");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_format_is_written_and_read_again),
        TEST(transparent_parts_become_white_in_jpeg),
        TEST(a_picture_is_resized_as_its_fit_says),
        TEST(a_part_is_kept_by_place_or_gravity),
        TEST(pictures_are_worked_on_as_they_are_shown_and_tell_no_place),
        TEST(the_colour_profile_stays),
        TEST(the_first_frame_of_a_moving_picture_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
