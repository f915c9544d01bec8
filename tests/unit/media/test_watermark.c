/* SPDX-License-Identifier: MIT */
/* The mark is red, and lies where the position says; everything else stays. */
#include "media.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID "\"watermark_file_id\": \"11111111-1111-4111-8111-111111111111\""

static bool is_near(unsigned a, unsigned b, int most)
{
    for (int shift = 0; shift <= 16; shift += 8)
        if (abs((int)(a >> shift & 255) - (int)(b >> shift & 255)) > most)
            return false;
    return true;
}

static void make_mark(const struct media *m)
{
    media_do(m, "ffmpeg -v error -f lavfi -i color=red:s=20x10 -frames:v 1 mark.png");
}

static void make_below(const struct media *m, const char *name)
{
    char words[128];
    (void)snprintf(words, sizeof words, "ffmpeg -v error -f lavfi -i color=blue:s=200x100 -frames:v 1 %s",
                   name);
    media_do(m, words);
}

/* 15 % of 200 is 30, so the mark is 30 x 15; with the margin of 20 it ends at (180, 80). */
static void the_mark_has_fifteen_percent_of_the_width_and_lies_below_right(void **state)
{
    struct media *m = *state;
    make_mark(m);
    make_below(m, "below.png");
    assert_int_equal(
        media_operate(m, "apply_watermark", "{" ID ",\"opacity\":100}", "below.png", "mark.png", NULL), 0);
    const struct media_output *out = media_result(m);
    assert_string_equal(out->kind, "image");
    assert_string_equal(out->type, "image/png");
    assert_string_equal(out->file_name, "watermarked.png");
    assert_int_equal(out->width, 200);
    assert_int_equal(out->height, 100);
    assert_true(is_near(media_pixel(m, out->path, 152, 67), 0xff0000, 8));
    assert_true(is_near(media_pixel(m, out->path, 178, 78), 0xff0000, 8));
    assert_true(is_near(media_pixel(m, out->path, 147, 67), 0x0000ff, 8));
    assert_true(is_near(media_pixel(m, out->path, 182, 78), 0x0000ff, 8));
    assert_true(is_near(media_pixel(m, out->path, 178, 82), 0x0000ff, 8));
    assert_true(m->percents > 1);
}

static void every_position_and_the_opacity_are_kept(void **state)
{
    static const struct {
        const char *position;
        int x, y;
    } places[] = {{"tl", 12, 12}, {"tr", 188, 12}, {"bl", 12, 88}, {"br", 188, 88}, {"center", 100, 50}};
    struct media *m = *state;
    make_mark(m);
    make_below(m, "below.jpg");
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char params[160];
        (void)snprintf(params, sizeof params, "{" ID ",\"position\":\"%s\",\"margin\":5,\"opacity\":50}",
                       places[i].position);
        assert_int_equal(media_operate(m, "apply_watermark", params, "below.jpg", "mark.png", NULL), 0);
        const char *path = media_result(m)->path;
        assert_string_equal(media_result(m)->type, "image/jpeg");
        assert_true(is_near(media_pixel(m, path, places[i].x, places[i].y), 0x800080, 32));
        for (size_t other = 0; other < ARRAY_LEN(places); other++)
            if (other != i)
                assert_true(is_near(media_pixel(m, path, places[other].x, places[other].y), 0x0000ff, 32));
    }
}

static void a_mark_taller_than_the_picture_and_a_huge_margin_stay_inside(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i color=red:s=4x400 -frames:v 1 mark.png");
    make_below(m, "below.png");
    assert_int_equal(media_operate(m, "apply_watermark", "{" ID ",\"opacity\":100,\"margin\":16000}",
                                   "below.png", "mark.png", NULL),
                     0);
    assert_int_equal(media_result(m)->width, 200);
    assert_true(is_near(media_pixel(m, media_result(m)->path, 100, 2), 0xff0000, 40));
    assert_true(is_near(media_pixel(m, media_result(m)->path, 100, 97), 0xff0000, 40));
}

static void a_film_becomes_h264_with_the_mark_and_its_sound(void **state)
{
    struct media *m = *state;
    make_mark(m);
    media_do(
        m,
        "ffmpeg -v error -f lavfi -i color=blue:s=201x101:d=1:r=10 -f lavfi -i sine=d=1 -c:v mpeg4 -c:a aac "
        "film.mp4");
    assert_int_equal(
        media_operate(m, "apply_watermark", "{" ID ",\"opacity\":100}", "film.mp4", "mark.png", NULL), 0);
    const struct media_output *out = media_result(m);
    _cleanup_free_ char *codec = media_probe(m, out->path, "stream=codec_name");
    _cleanup_free_ char *streams = media_probe(m, out->path, "format=nb_streams");
    assert_string_equal(codec, "h264");
    assert_string_equal(streams, "2");
    assert_string_equal(out->type, "video/mp4");
    assert_int_equal(out->width, 200);
    assert_int_equal(out->height, 100);
    assert_true(out->duration > 0.9 && out->duration < 1.2);
    assert_true(is_near(media_pixel(m, out->path, 170, 75), 0xff0000, 40));
    assert_true(is_near(media_pixel(m, out->path, 20, 20), 0x0000ff, 40));
}

static void what_is_no_picture_is_no_mark(void **state)
{
    struct media *m = *state;
    media_write(m, "mark.png", "<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
                73);
    make_below(m, "below.png");
    assert_int_equal(media_operate(m, "apply_watermark", "{" ID "}", "below.png", "mark.png", NULL), -EINVAL);
    assert_non_null(strstr(m->run.error, "File 2 is no picture"));
    assert_false(m->run.may_pass);
    assert_int_equal(media_operate(m, "apply_watermark", "{" ID "}", "below.png", NULL), -EINVAL);
    assert_int_equal(
        media_operate(m, "apply_watermark", "{" ID ",\"format\":\"mp4\"}", "below.png", "below.png", NULL),
        -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_mark_has_fifteen_percent_of_the_width_and_lies_below_right),
        TEST(every_position_and_the_opacity_are_kept),
        TEST(a_mark_taller_than_the_picture_and_a_huge_margin_stay_inside),
        TEST(a_film_becomes_h264_with_the_mark_and_its_sound),
        TEST(what_is_no_picture_is_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
