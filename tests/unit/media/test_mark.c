/* SPDX-License-Identifier: MIT */
#include "media.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "media/mark_code.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST "owner=0123456789abcdef; sold to 0123456789abcdef on 2026-01-31!!"

static void assert_reads(struct media *m, const char *name, const char *payload)
{
    assert_int_equal(media_operate(m, "apply_steganographic_watermark", "{\"extract\":true}", name, NULL), 0);
    assert_int_equal(m->run.n_outputs, 0);
    assert_true(json_bool(m->run.result, "found", false) == (payload != NULL));
    if (payload)
        assert_string_equal(json_str(m->run.result, "payload", ""), payload);
}

static void copy_result(const struct media *m, const char *name)
{
    char words[PATH_MAX + 64];
    (void)snprintf(words, sizeof words, "cp %s %s", media_result(m)->path, name);
    media_do(m, words);
}

static void a_payload_survives_jpeg_of_quality_80(void **state)
{
    static const char *const pictures[] = {"photo.png", "photo.jpg", "plain.png"};
    struct media *m = *state;
    char params[160];
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=320x240 -vf noise=alls=20:all_seed=7,gblur=1 "
                "-frames:v 1 photo.png");
    media_do(m, "convert photo.png -quality 90 photo.jpg");
    media_do(m, "convert -size 320x240 xc:white plain.png");
    (void)snprintf(params, sizeof params, "{\"payload\":\"%s\"}", LONGEST);
    assert_int_equal(strlen(LONGEST), MARK_MESSAGE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(pictures); i++) {
        assert_int_equal(media_operate(m, "apply_steganographic_watermark", params, pictures[i], NULL), 0);
        assert_int_equal(media_result(m)->width, 320);
        assert_int_equal(media_result(m)->height, 240);
        copy_result(m, "marked");
        assert_reads(m, "marked", LONGEST);
        media_do(m, "convert marked -quality 80 again.jpg");
        assert_reads(m, "again.jpg", LONGEST);
        assert_reads(m, pictures[i], NULL); /* which it wasn't in before */
    }
}

static void short_and_other_scripts_come_back_as_they_are(void **state)
{
    struct media *m = *state;
    media_make_picture(m, "picture.png", "200x160");
    assert_int_equal(media_operate(m, "apply_steganographic_watermark",
                                   "{\"payload\":\"\xc3\xa9\xe2\x9c\x93\",\"strength\":4}", "picture.png",
                                   NULL),
                     0);
    assert_true(json_int(m->run.result, "strength", 0) >= 4);
    copy_result(m, "marked");
    assert_reads(m, "marked", "\xc3\xa9\xe2\x9c\x93");
}

static void a_picture_that_is_too_small_is_told(void **state)
{
    struct media *m = *state;
    media_make_picture(m, "picture.png", "64x64");
    assert_int_equal(
        media_operate(m, "apply_steganographic_watermark", "{\"payload\":\"x\"}", "picture.png", NULL),
        -EINVAL);
    assert_non_null(strstr(m->run.error, "too small"));
    assert_reads(m, "picture.png", NULL);
}

/* What is transparent is white in a JPEG, and says nothing there. */
static void a_transparent_picture_carries_it_in_what_is_seen(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=260x200 -vf noise=alls=20:all_seed=7,gblur=1 "
                "-frames:v 1 photo.png");
    media_do(m, "convert -size 640x640 xc:none photo.png -geometry +203+300 -composite sticker.png");
    assert_int_equal(media_operate(m, "apply_steganographic_watermark", "{\"payload\":\"" LONGEST "\"}",
                                   "sticker.png", NULL),
                     0);
    copy_result(m, "marked");
    assert_reads(m, "marked", LONGEST);
    media_do(m, "convert marked -background white -alpha remove -quality 80 again.jpg");
    assert_reads(m, "again.jpg", LONGEST);
    assert_reads(m, "sticker.png", NULL);
}

static void a_picture_that_shows_too_little_is_told(void **state)
{
    static const char *const sticks[] = {
        "convert -size 400x400 xc:none ( xc:teal[80x80!] ) -geometry +10+10 -composite sticker.png",
        "convert -size 400x400 xc:#20a0a018 sticker.png"};
    struct media *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(sticks); i++) {
        media_do(m, sticks[i]);
        assert_int_equal(
            media_operate(m, "apply_steganographic_watermark", "{\"payload\":\"x\"}", "sticker.png", NULL),
            -EINVAL);
        assert_non_null(strstr(m->run.error, "transparent"));
        assert_non_null(strstr(m->run.error, "160 x 160"));
        assert_int_equal(m->run.n_outputs, 0);
    }
}

/* ---- the code alone */

static struct mark_picture make_noise(int64_t width, int64_t height)
{
    struct mark_picture p = {malloc((size_t)(width * height * 4)), width, height};
    assert_non_null(p.pixels);
    uint32_t x = 12345;
    for (int64_t i = 0; i < width * height * 4; i++) {
        x = x * 1664525 + 1013904223;
        p.pixels[i] = (uint8_t)(96 + (x >> 26));
    }
    return p;
}

static double peak_signal_to_noise(const uint8_t *a, const uint8_t *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += pow((double)a[i] - b[i], 2);
    return 10 * log10(255.0 * 255.0 / (sum / (double)n));
}

static void every_length_and_strength_comes_back_and_is_hardly_seen(void **state)
{
    (void)state;
    uint8_t message[MARK_MESSAGE_MAX], found[MARK_MESSAGE_MAX];
    for (int i = 0; i < MARK_MESSAGE_MAX; i++)
        message[i] = (uint8_t)(i * 37 + 200);
    for (int strength = MARK_STRENGTH_MIN; strength <= MARK_STRENGTH_MAX; strength++) {
        size_t len = strength == 1 ? 1 : (size_t)strength * 12 + 4;
        struct mark_picture p = make_noise(161, 199), before = make_noise(161, 199);
        assert_int_equal(mark_embed(&p, message, len, strength), 0);
        assert_int_equal(mark_extract(&p, found), len);
        assert_memory_equal(found, message, len);
        assert_true(peak_signal_to_noise(p.pixels, before.pixels, 161 * 199 * 4) > 42 - 2 * strength);
        free(p.pixels);
        free(before.pixels);
    }
}

static void a_third_of_the_picture_may_be_lost(void **state)
{
    (void)state;
    uint8_t found[MARK_MESSAGE_MAX];
    struct mark_picture p = make_noise(256, 256), other = make_noise(256, 256);
    assert_int_equal(mark_embed(&p, (const uint8_t *)"hello", 5, 2), 0);
    memcpy(p.pixels, other.pixels, (size_t)256 * 4 * 85);
    assert_int_equal(mark_extract(&p, found), 5);
    assert_memory_equal(found, "hello", 5);
    assert_int_equal(mark_extract(&other, found), -ENOENT);
    free(p.pixels);
    free(other.pixels);
}

static void limits_of_messages_hold(void **state)
{
    (void)state;
    uint8_t bytes[MARK_MESSAGE_MAX + 1] = {0};
    struct mark_picture p = make_noise(160, 160), small = {p.pixels, 8, 8 * (MARK_BLOCKS_MIN - 1)};
    assert_int_equal(mark_embed(&p, bytes, 0, 2), -EINVAL);
    assert_int_equal(mark_embed(&p, bytes, sizeof bytes, 2), -EINVAL);
    assert_int_equal(mark_embed(&p, bytes, 5, 0), -EINVAL);
    assert_int_equal(mark_embed(&small, bytes, 5, 2), -ENOSPC);
    assert_int_equal(mark_extract(&small, bytes), -ENOENT);
    free(p.pixels);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_payload_survives_jpeg_of_quality_80),
        TEST(short_and_other_scripts_come_back_as_they_are),
        TEST(a_transparent_picture_carries_it_in_what_is_seen),
        TEST(a_picture_that_shows_too_little_is_told),
        TEST(a_picture_that_is_too_small_is_told),
        cmocka_unit_test(every_length_and_strength_comes_back_and_is_hardly_seen),
        cmocka_unit_test(a_third_of_the_picture_may_be_lost),
        cmocka_unit_test(limits_of_messages_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
