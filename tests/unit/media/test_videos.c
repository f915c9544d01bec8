/* SPDX-License-Identifier: MIT */
#include "media.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MARK_PARAMS \
    "{\"watermark_file_id\":\"11111111-1111-4111-8111-111111111111\",\"position\":\"tl\"," \
    "\"margin\":0,\"opacity\":100}"

static void assert_film(const struct media *m, int width, int height, double seconds)
{
    const struct media_output *out = media_result(m);
    _cleanup_free_ char *codec = media_probe(m, out->path, "stream=codec_name");
    _cleanup_free_ char *format = media_probe(m, out->path, "stream=pix_fmt");
    assert_string_equal(codec, "h264");
    assert_string_equal(format, "yuv420p");
    assert_string_equal(out->kind, "video");
    assert_string_equal(out->type, "video/mp4");
    assert_int_equal(out->width, width);
    assert_int_equal(out->height, height);
    assert_true(out->duration > seconds - 0.15 && out->duration < seconds + 0.15);
}

static int streams_of(const struct media *m)
{
    _cleanup_free_ char *n = media_probe(m, media_result(m)->path, "format=nb_streams");
    return atoi(n);
}

static void sizes_are_even_and_the_absent_side_follows(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":81}", "film.mp4", NULL), 0);
    assert_film(m, 82, 60, 1);
    assert_int_equal(streams_of(m), 2);
    assert_int_equal(media_operate(m, "resize_video", "{\"height\":240}", "film.mp4", NULL), 0);
    assert_film(m, 320, 240, 1);
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":64,\"height\":64}", "film.mp4", NULL), 0);
    assert_film(m, 64, 64, 1);
}

static void a_part_of_the_picture_is_kept(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    assert_int_equal(
        media_operate(m, "crop_video", "{\"width\":41,\"height\":30,\"x\":100,\"y\":80}", "film.mp4", NULL),
        0);
    assert_film(m, 40, 30, 1);
    assert_int_equal(media_operate(m, "crop_video", "{\"width\":40,\"height\":30}", "film.mp4", NULL), 0);
    assert_int_equal(media_operate(m, "crop_video", "{\"width\":162,\"height\":30}", "film.mp4", NULL),
                     -EINVAL);
    assert_non_null(strstr(m->run.error, "160 x 120"));
}

static void compressing_makes_h264_and_aac_that_begin_at_once(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=160x120:d=1:r=10 -f lavfi -i sine=d=1 -c:v libvpx-vp9 "
                "-cpu-used 8 "
                "-deadline realtime -c:a libopus film.webm");
    assert_int_equal(media_operate(m, "compress_video", "{\"crf\":35,\"max_height\":60}", "film.webm", NULL),
                     0);
    assert_film(m, 80, 60, 1);
    assert_int_equal(streams_of(m), 2);
    char words[PATH_MAX + 64];
    (void)snprintf(words, sizeof words, "head -c 200 %s", media_result(m)->path);
    _cleanup_free_ char *head = media_tool_output(m, words);
    assert_memory_equal(head + 4, "ftyp", 4);
    assert_memory_equal(head + 4 + 32, "moov", 4); /* before the pictures */
}

static void a_film_is_made_as_small_as_is_asked(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i nullsrc=s=160x120:d=4:r=10,geq=random(1)*255:128:128 -f lavfi "
                "-i sine=d=4 "
                "-c:v libx264 -preset ultrafast -qp 10 -c:a aac film.mp4");
    assert_int_equal(media_operate(m, "compress_video", "{\"target_mb\":0.15}", "film.mp4", NULL), 0);
    assert_true(m->run.inputs[0].bytes > 300000);
    assert_true(media_result(m)->bytes <= 150000);
    assert_true(media_result(m)->bytes > 75000); /* and the room is used */
    assert_int_equal(m->run.n_outputs, 1);
    assert_film(m, 160, 120, 4);
    media_do(m, "ffmpeg -v error -f lavfi -i nullsrc=s=32x32:d=200:r=1,geq=random(1)*255:128:128 -c:v "
                "libx264 -preset "
                "ultrafast -qp 0 long.mp4");
    assert_int_equal(media_operate(m, "compress_video", "{\"target_mb\":0.1}", "long.mp4", NULL), -EINVAL);
    assert_non_null(strstr(m->run.error, "0.1 MB"));
}

/* Browsers record films that don't tell their length. */
static void a_film_without_a_duration_is_measured(void **state)
{
    struct media *m = *state;
    media_do(
        m,
        "ffmpeg -v error -f lavfi -i testsrc=s=64x48:d=2:r=10 -c:v libvpx -deadline realtime -f webm -live 1 "
        "film.webm");
    _cleanup_free_ char *told = media_probe(m, media_path(m, "film.webm"), "format=duration");
    assert_string_equal(told, "N/A");
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":32}", "film.webm", NULL), 0);
    assert_film(m, 32, 24, 2);
    assert_int_equal(streams_of(m), 1);
}

static void a_film_on_its_side_is_worked_on_as_it_is_shown(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    media_do(m, "ffmpeg -v error -i film.mp4 -c copy -metadata:s:v:0 rotate=90 turned.mp4");
    assert_int_equal(media_operate(m, "crop_video", "{\"width\":120,\"height\":160}", "turned.mp4", NULL), 0);
    assert_film(m, 120, 160, 1);
}

/* Camcorders store 16:9 in fewer, wider pixels. */
static void a_film_of_wide_pixels_keeps_its_shape(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i color=red:s=144x108:d=1:r=10,setsar=4/3 -c:v libx264 -preset "
                "ultrafast -pix_fmt yuv420p wide.mp4");
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":96}", "wide.mp4", NULL), 0);
    assert_film(m, 96, 54, 1);
    assert_int_equal(media_operate(m, "resize_video", "{\"height\":54}", "wide.mp4", NULL), 0);
    assert_film(m, 96, 54, 1);
    assert_int_equal(media_operate(m, "create_teaser", "{\"width\":96}", "wide.mp4", NULL), 0);
    assert_film(m, 96, 54, 1);
    assert_int_equal(media_operate(m, "compress_video", "{\"max_height\":54}", "wide.mp4", NULL), 0);
    assert_film(m, 72, 54, 1);
    _cleanup_free_ char *shape = media_probe(m, media_result(m)->path, "stream=display_aspect_ratio");
    assert_string_equal(shape, "16:9");
    media_do(m, "convert -size 20x20 xc:white mark.png");
    assert_int_equal(media_operate(m, "apply_watermark", MARK_PARAMS, "wide.mp4", "mark.png", NULL), 0);
    char words[PATH_MAX + 128];
    (void)snprintf(words, sizeof words, "ffmpeg -v error -i %s -frames:v 1 shot.png", media_result(m)->path);
    media_do(m, words);
    const char *shot = media_path(m, "shot.png"); /* the mark is 22 x 29 pixels, which are shown as 29 x 29 */
    assert_true((media_pixel(m, shot, 10, 24) & 0xffff) > 0x8080);
    assert_true((media_pixel(m, shot, 18, 24) & 0xffff) > 0x8080);
    assert_true((media_pixel(m, shot, 26, 10) & 0xffff) < 0x8080);
    assert_true((media_pixel(m, shot, 10, 32) & 0xffff) < 0x8080);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(sizes_are_even_and_the_absent_side_follows),
        TEST(a_part_of_the_picture_is_kept),
        TEST(compressing_makes_h264_and_aac_that_begin_at_once),
        TEST(a_film_is_made_as_small_as_is_asked),
        TEST(a_film_without_a_duration_is_measured),
        TEST(a_film_on_its_side_is_worked_on_as_it_is_shown),
        TEST(a_film_of_wide_pixels_keeps_its_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
