/* SPDX-License-Identifier: MIT */
#include "media.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TWO_IDS \
    "{\"input_file_ids\":[\"11111111-1111-4111-8111-111111111111\",\"22222222-2222-4222-8222-" \
    "222222222222\"]}"

static void assert_about(double is, double wanted)
{
    if (is < wanted - 0.15 || is > wanted + 0.15)
        fail_msg("%.3f s, not %.3f s", is, wanted);
}

static int frames_of(const struct media *m, const char *path)
{
    _cleanup_free_ char *n = media_probe(m, path, "stream=nb_frames");
    return atoi(n);
}

static int streams_of(const struct media *m, const char *path)
{
    _cleanup_free_ char *n = media_probe(m, path, "format=nb_streams");
    return atoi(n);
}

/* One second red, one blue: the frame at which a cut begins is told by its colour, though no key frame is
 * near. */
static void make_halves(const struct media *m)
{
    media_do(m, "ffmpeg -v error -f lavfi -i color=red:s=64x48:d=1:r=10 -f lavfi -i "
                "color=blue:s=64x48:d=1:r=10 -f lavfi "
                "-i sine=d=2 -filter_complex [0][1]concat -c:v libx264 -preset ultrafast -g 250 -pix_fmt "
                "yuv420p -c:a aac "
                "halves.mp4");
}

static void cuts_are_exact_and_each_clip_is_a_file(void **state)
{
    struct media *m = *state;
    make_halves(m);
    assert_int_equal(media_operate(m, "trim_videos",
                                   "{\"clips\":[{\"start\":0.5,\"end\":1.5},{\"start\":1,\"end\":1.3}]}",
                                   "halves.mp4", NULL),
                     0);
    assert_int_equal(m->run.n_outputs, 2);
    const struct media_output *first = &m->run.outputs[0], *second = &m->run.outputs[1];
    assert_int_equal(frames_of(m, first->path), 10);
    assert_about(first->duration, 1);
    assert_true(media_pixel(m, first->path, 32, 24) > 0xc00000);
    assert_int_equal(frames_of(m, second->path), 3);
    assert_true(media_pixel(m, second->path, 32, 24) < 0x2020ff);
    assert_int_equal(streams_of(m, second->path), 2);
    assert_string_equal(second->file_name, "clip-2.mp4");
}

static void a_clip_behind_the_end_is_refused(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "64x48", "1");
    assert_int_equal(media_operate(m, "trim_videos",
                                   "{\"clips\":[{\"start\":0,\"end\":0.5},{\"start\":0,\"end\":3}]}",
                                   "film.mp4", NULL),
                     -EINVAL);
    assert_non_null(strstr(m->run.error, "Clip 2 ends at 3.000 s"));
}

static void films_of_other_shapes_are_boxed_into_the_first(void **state)
{
    struct media *m = *state;
    media_do(
        m,
        "ffmpeg -v error -f lavfi -i color=red:s=160x80:d=1:r=10 -f lavfi -i sine=d=1 -c:v libx264 -preset "
        "ultrafast -pix_fmt yuv420p -c:a aac wide.mp4");
    media_do(
        m, "ffmpeg -v error -f lavfi -i color=blue:s=61x81:d=1:r=5 -c:v libvpx -deadline realtime tall.webm");
    assert_int_equal(media_operate(m, "join_videos", TWO_IDS, "wide.mp4", "tall.webm", NULL), 0);
    const struct media_output *out = media_result(m);
    assert_int_equal(out->width, 160);
    assert_int_equal(out->height, 80);
    assert_about(out->duration, 2);
    assert_int_equal(frames_of(m, out->path), 20);
    assert_int_equal(streams_of(m, out->path), 2); /* the silent one has silence */
    char words[PATH_MAX + 128];
    (void)snprintf(words, sizeof words, "ffmpeg -v error -ss 1.5 -i %s -frames:v 1 late.png", out->path);
    media_do(m, words);
    assert_true(media_pixel(m, media_path(m, "late.png"), 80, 40) < 0x2020ff);
    assert_true(media_pixel(m, media_path(m, "late.png"), 10, 40) < 0x101010);
    assert_true(media_pixel(m, out->path, 10, 40) > 0xc00000);
}

static void a_teaser_is_of_parts_from_all_of_the_film(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "10");
    assert_int_equal(
        media_operate(m, "create_teaser", "{\"duration\":3,\"segments\":3,\"width\":81}", "film.mp4", NULL),
        0);
    const struct media_output *out = media_result(m);
    assert_int_equal(out->width, 80);
    assert_int_equal(out->height, 60);
    assert_about(out->duration, 3);
    assert_int_equal(streams_of(m, out->path), 2);
    assert_true(media_pixel(m, out->path, 40, 8) < 0x404040); /* it fades in */
    assert_int_equal(media_operate(m, "create_teaser", "{\"mute\":true}", "film.mp4", NULL), 0);
    assert_about(media_result(m)->duration, 10); /* it has no 15 s */
    assert_int_equal(media_result(m)->width, 160);
    assert_int_equal(streams_of(m, media_result(m)->path), 1);
}

static void a_picture_that_ends_before_the_sound_is_all_that_is_cut(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i color=red:s=64x48:d=2:r=10 -f lavfi -i sine=d=6 -c:v libx264 "
                "-preset ultrafast -pix_fmt yuv420p -c:a aac short.mp4");
    assert_int_equal(
        media_operate(m, "trim_videos", "{\"clips\":[{\"start\":4,\"end\":5}]}", "short.mp4", NULL), -EINVAL);
    assert_string_equal(m->run.error, "Clip 1 begins at 4.000 s, but the picture ends at 2.000 s");
    assert_int_equal(
        media_operate(m, "trim_videos", "{\"clips\":[{\"start\":1,\"end\":5}]}", "short.mp4", NULL), 0);
    assert_int_equal(
        media_operate(m, "create_teaser", "{\"duration\":1.5,\"segments\":3}", "short.mp4", NULL), 0);
    assert_int_equal(frames_of(m, media_result(m)->path), 15);
    assert_about(media_result(m)->duration, 1.5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(cuts_are_exact_and_each_clip_is_a_file),
        TEST(a_clip_behind_the_end_is_refused),
        TEST(films_of_other_shapes_are_boxed_into_the_first),
        TEST(a_teaser_is_of_parts_from_all_of_the_film),
        TEST(a_picture_that_ends_before_the_sound_is_all_that_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
