/* SPDX-License-Identifier: MIT */
/* What ffprobe and ffmpeg print, read. */
#include "media/film.h"
#include "media/progress.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VIDEO "\"index\":1,\"codec_type\":\"video\",\"codec_name\":\"h264\",\"width\":640,\"height\":360"

static int parse(const char *text, struct media_film *ret, const char **ret_why)
{
    *ret_why = NULL;
    return media_film_parse(text, strlen(text), ret, ret_why);
}

static void a_film_is_what_its_streams_say(void **state)
{
    (void)state;
    struct media_film film;
    const char *why;
    assert_int_equal(
        parse("{\"streams\":["
              "{\"index\":0,\"codec_type\":\"video\",\"codec_name\":\"png\",\"width\":9,\"height\":9,"
              "\"disposition\":{\"attached_pic\":1}},"
              "{" VIDEO ",\"avg_frame_rate\":\"30000/1001\","
              "\"side_data_list\":[{\"rotation\":-90}]},"
              "{\"index\":2,\"codec_type\":\"audio\",\"codec_name\":\"aac\",\"channels\":2},"
              "{\"index\":3,\"codec_type\":\"audio\",\"codec_name\":\"mp3\",\"channels\":2}],"
              "\"format\":{\"duration\":\"12.5\"}}",
              &film, &why),
        0);
    assert_int_equal(film.video, 1);
    assert_int_equal(film.audio, 2);
    assert_int_equal(film.width, 360);
    assert_int_equal(film.height, 640);
    assert_string_equal(film.audio_codec, "aac");
    assert_true(film.rate > 29.96 && film.rate < 29.98);
    assert_true(film.duration == 12.5);
}

static void pixels_have_the_shape_that_is_told(void **state)
{
    static const struct {
        const char *told;
        double shape;
    } cases[] = {{"4:3", 4.0 / 3}, {"12:11", 12.0 / 11}, {"1:1", 1}, {"0:1", 1},     {"1:0", 1},
                 {"N/A", 1},       {"1:9999", 1},        {"", 1},    {"nan:nan", 1}, {"inf:1", 1}};
    (void)state;
    struct media_film film;
    const char *why;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"streams\":[{" VIDEO ",\"sample_aspect_ratio\":\"%s\",\"duration\":\"3.5\"}],"
                       "\"format\":{\"duration\":\"12.5\"}}",
                       cases[i].told);
        assert_int_equal(parse(text, &film, &why), 0);
        assert_true(film.shape > cases[i].shape - 1e-6 && film.shape < cases[i].shape + 1e-6);
        assert_true(film.picture == 3.5);
    }
}

static void odd_numbers_become_sensible_ones(void **state)
{
    static const char *const rates[] = {"0/0", "1/0", "-5/1", "nonsense", "1e300/1e-300", "nan/1"};
    (void)state;
    struct media_film film;
    const char *why;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"streams\":[{" VIDEO ",\"avg_frame_rate\":\"%s\"}],\"format\":{}}", rates[i]);
        assert_int_equal(parse(text, &film, &why), 0);
        assert_true(film.rate >= 1 && film.rate <= 240);
        assert_true(film.duration == 0);
        assert_int_equal(film.audio, -1);
    }
}

static void what_is_no_film_is_told(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "holds no moving picture"},
        {"{\"streams\":7}", "holds no moving picture"},
        {"{\"streams\":[{\"index\":0,\"codec_type\":\"audio\",\"channels\":1}]}", "holds no moving picture"},
        {"{\"streams\":[{\"index\":0,\"codec_type\":\"video\",\"codec_name\":\"h264\",\"width\":0,\"height\":"
         "0}]}",
         "can't be decoded: it is damaged, or of a kind that isn't known here"},
        {"{\"streams\":[{\"index\":0,\"codec_type\":\"video\",\"codec_name\":\"h264\",\"width\":100000,"
         "\"height\":2}]}",
         "is larger than 8192 x 4320 pixels"},
        {"{\"streams\":[{" VIDEO "}],\"format\":{\"duration\":\"1e9\"}}", "is longer than 6 hours"},
    };
    (void)state;
    struct media_film film;
    const char *why;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(cases[i].text, &film, &why), -EINVAL);
        assert_string_equal(why, cases[i].why);
    }
}

static void progress_is_read_however_it_is_cut(void **state)
{
    static const char text[] =
        "frame=1\nout_time_us=N/A\nout_time_us=-7\nout_time_us=1500000\nout_time=00:00:01.5\n"
        "a_line_that_is_much_longer_than_any_line_that_matters_can_be_out_time_us=9999999999\n"
        "out_time_us=1200000\nprogress=end\n";
    (void)state;
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct media_progress_lines p = {.len = 0};
        for (size_t at = 0; at < sizeof text - 1; at += piece)
            media_progress_feed(&p, text + at, at + piece < sizeof text - 1 ? piece : sizeof text - 1 - at);
        assert_true(p.seconds == 1.5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_film_is_what_its_streams_say),
        cmocka_unit_test(pixels_have_the_shape_that_is_told),
        cmocka_unit_test(odd_numbers_become_sensible_ones),
        cmocka_unit_test(what_is_no_film_is_told),
        cmocka_unit_test(progress_is_read_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
