/* SPDX-License-Identifier: MIT */
/* Files that mean harm: each is refused with a sentence, nothing of the machine is read, nothing is fetched,
 * and nothing stays. */
#include "media.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PNG "\x89PNG\r\n\x1a\n"

static void assert_nothing_stays(struct media *m)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    media_tmp_remove(&m->tmp);
    assert_int_equal(media_leftovers(m), 0);
}

static void assert_refused(struct media *m, const char *op, const char *params, const char *name,
                           const char *why)
{
    assert_int_equal(media_operate(m, op, params, name, NULL), -EINVAL);
    assert_false(m->run.may_pass);
    if (why && !strstr(m->run.error, why))
        fail_msg("%s", m->run.error);
    assert_nothing_stays(m);
}

static void put_big(uint8_t *to, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void a_picture_of_100000_by_100000_is_refused_by_its_header(void **state)
{
    struct media *m = *state;
    uint8_t png[64] = PNG "\0\0\0\x0dIHDR";
    put_big(png + 16, 100000);
    put_big(png + 20, 100000);
    png[24] = 8;
    media_write(m, "huge.png", png, sizeof png);
    assert_refused(m, "convert_image", "{\"format\":\"jpeg\"}", "huge.png", "100000 x 100000 pixels");
    assert_string_equal(m->log, ""); /* no program has seen it */
    assert_refused(m, "strip_metadata", "{}", "huge.png", "100000 x 100000 pixels");
    put_big(png + 16, 16384);
    put_big(png + 20, 16384);
    media_write(m, "huge.png", png, sizeof png);
    assert_refused(m, "apply_steganographic_watermark", "{\"payload\":\"x\"}", "huge.png",
                   "16384 x 16384 pixels");
}

/* AVIF's size stands where only its decoder finds it. */
static void a_large_picture_in_another_container_is_refused_too(void **state)
{
    struct media *m = *state;
    static const char script[] = "local $/;open F,'<','small.avif';binmode F;$_=<F>;"
                                 "s/(ispe....)......../$1\\0\\1\\x86\\xa0\\0\\1\\x86\\xa0/s or die;"
                                 "open G,'>','huge.avif';binmode G;print G $_;";
    media_do(m, "convert -size 64x48 gradient: avif:small.avif");
    media_write(m, "patch.pl", script, strlen(script));
    media_do(m, "perl patch.pl");
    assert_refused(m, "convert_image", "{\"format\":\"jpeg\"}", "huge.avif", NULL);
}

static const char hls[] =
    "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
static const char concat[] = "ffconcat version 1.0\nfile /etc/passwd\n";
static const char svg[] =
    "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">"
    "<image href=\"/etc/passwd\" width=\"9\" height=\"9\"/></svg>";
static const char mvg[] =
    "push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 'label:@/etc/passwd'\npop graphic-context\n";
static const char msl[] =
    "<?xml version=\"1.0\"?><image><read filename=\"/etc/passwd\"/><write filename=\"/tmp/x.png\"/></image>";

static void playlists_and_scripts_are_not_followed(void **state)
{
    static const struct {
        const char *name, *text, *op, *params;
    } cases[] = {
        {"hls.mp4", hls, "compress_video", "{}"},
        {"concat.mp4", concat, "resize_video", "{\"width\":64}"},
        {"svg.png", svg, "convert_image", "{\"format\":\"png\"}"},
        {"mvg.jpg", mvg, "convert_image", "{\"format\":\"png\"}"},
        {"msl.jpg", msl, "strip_metadata", "{}"},
    };
    struct media *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        media_write(m, cases[i].name, cases[i].text, strlen(cases[i].text));
        assert_refused(m, cases[i].op, cases[i].params, cases[i].name, "text/plain");
        assert_string_equal(m->log, "");
    }
}

static void write_after(const struct media *m, const char *name, const char *head, size_t head_len,
                        const char *text)
{
    uint8_t bytes[1024];
    memcpy(bytes, head, head_len);
    memcpy(bytes + head_len, text, strlen(text));
    media_write(m, name, bytes, head_len + strlen(text));
}

/* The first bytes say a film or a picture, the rest something else. */
static void disguises_do_not_help(void **state)
{
    static const char ftyp[] = "\0\0\0\x18"
                               "ftypisom\0\0\2\0isommp42";
    static const char ebml[] = "\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska\x42\x87\x81\x04";
    struct media *m = *state;
    write_after(m, "a.mp4", ftyp, sizeof ftyp - 1, hls);
    assert_refused(m, "compress_video", "{}", "a.mp4", "The video");
    write_after(m, "b.mkv", ebml, sizeof ebml - 1, concat);
    assert_refused(m, "create_teaser", "{}", "b.mkv", "The video");
    write_after(m, "c.png", PNG, 8, mvg);
    assert_refused(m, "convert_image", "{\"format\":\"png\"}", "c.png", "The picture is damaged");
    write_after(m, "d.jpg", "\xff\xd8\xff\xe0", 4, svg);
    assert_refused(m, "resize_image", "{\"width\":5}", "d.jpg", "The picture is damaged");
    write_after(m, "e.gif", "GIF89a", 6, msl);
    assert_refused(m, "crop_image", "{\"width\":5,\"height\":5}", "e.gif", NULL);
    assert_refused(m, "strip_metadata", "{}", "c.png", NULL);
}

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void nothing_is_fetched(void **state)
{
    struct media *m = *state;
    uint16_t port;
    char text[256], ftyp[] = "\0\0\0\x18"
                             "ftypisom\0\0\2\0isommp42";
    _cleanup_close_ int fd = listen_somewhere(&port);
    (void)snprintf(text, sizeof text,
                   "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:%u/a.ts\n", port);
    media_write(m, "a.mp4", text, strlen(text));
    assert_refused(m, "compress_video", "{}", "a.mp4", NULL);
    write_after(m, "b.mp4", ftyp, sizeof ftyp - 1, text);
    assert_refused(m, "compress_video", "{}", "b.mp4", NULL);
    (void)snprintf(text, sizeof text,
                   "<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1:%u/'/></svg>",
                   port);
    media_write(m, "c.png", text, strlen(text));
    assert_refused(m, "convert_image", "{\"format\":\"png\"}", "c.png", NULL);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void names_are_never_options(void **state)
{
    static const char *const names[] = {"-y", "@x", "png:a%d[0].png", "$(id);`id`"};
    struct media *m = *state;
    media_make_picture(m, "picture.png", "64x48");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s", media_path(m, names[i]));
        assert_int_equal(link(media_path(m, "picture.png"), path), 0);
        assert_int_equal(media_operate(m, "resize_image", "{\"width\":32}", names[i], NULL), 0);
        assert_int_equal(media_result(m)->width, 32);
    }
    assert_int_equal(media_operate(m, "strip_metadata", "{}", "-y", NULL), 0);
    media_make_film(m, "film.mp4", "64x48", "1");
    assert_int_equal(link(media_path(m, "film.mp4"), media_path(m, "-i")), 0);
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":32}", "-i", NULL), 0);
}

static void films_that_are_cut_off_are_told(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "4");
    media_do(m, "ffmpeg -v error -i film.mp4 -c copy -movflags +faststart fast.mp4");
    media_do(m, "cp film.mp4 headless.mp4");
    media_do(m, "truncate -s 20000 headless.mp4");
    assert_refused(m, "compress_video", "{}", "headless.mp4", "damaged or incomplete");
    media_do(m, "truncate -s 30000 fast.mp4");
    assert_refused(m, "compress_video", "{}", "fast.mp4", "damaged");
    assert_refused(m, "strip_metadata", "{}", "fast.mp4", "damaged");
    media_do(m, "truncate -s 30 fast.mp4");
    assert_refused(m, "trim_videos", "{\"clips\":[{\"start\":0,\"end\":1}]}", "fast.mp4", "damaged");
}

static void pictures_that_are_cut_off_are_told(void **state)
{
    static const char *const names[] = {"p.png", "p.webp", "p.jpg", "p.gif", "p.avif"};
    struct media *m = *state;
    media_make_picture(m, "whole.png", "160x120");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char words[64];
        (void)snprintf(words, sizeof words, "convert whole.png %s", names[i]);
        media_do(m, words);
        (void)snprintf(words, sizeof words, "truncate -s -200 %s", names[i]);
        media_do(m, words);
        assert_refused(m, "convert_image", "{\"format\":\"jpeg\"}", names[i], "The picture is ");
    }
}

/* 24 MiB of zeros in a text chunk and behind the picture's end; what is asked for comes, or a refusal. */
static void a_bomb_in_a_picture_does_not_go_off(void **state)
{
    static const char script[] =
        "use Compress::Zlib;use strict;"
        "sub chunk{my($t,$d)=@_;pack('N',length $d).$t.$d.pack('N',crc32($t.$d))}"
        "sub zeros{my($n)=@_;my($z)=deflateInit();my $o='';my $b=\"\\0\" x 1048576;"
        "$o.=$z->deflate($b) for 1..$n;$o.$z->flush}"
        "my $pic=compress((\"\\0\".\"\\x80\" x 64) x 64);"
        "my $head=\"\\x89PNG\\r\\n\\x1a\\n\".chunk('IHDR',pack('NNCCCCC',64,64,8,0,0,0,0));"
        "open my $f,'>','text.png';binmode $f;print $f $head.chunk('zTXt',\"Comment\\0\\0\".zeros(24))."
        "chunk('IDAT',$pic).chunk('IEND','');close $f;"
        "open $f,'>','data.png';binmode $f;print $f $head.chunk('IDAT',zeros(24)).chunk('IEND','');close $f;"
        "open $f,'>','icc.png';binmode $f;print $f $head.chunk('iCCP',\"x\\0\\0\".zeros(24))."
        "chunk('IDAT',$pic).chunk('IEND','');close $f;";
    static const char *const names[] = {"text.png", "data.png", "icc.png"};
    struct media *m = *state;
    media_write(m, "bomb.pl", script, strlen(script));
    media_do(m, "perl bomb.pl");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int r = media_operate(m, "convert_image", "{\"format\":\"png\"}", names[i], NULL);
        assert_true(r == 0 || r == -EINVAL);
        if (r == 0)
            assert_true(media_result(m)->width == 64 && media_result(m)->bytes < 100000);
        assert_nothing_stays(m);
    }
}

/* ---- ends that are forced */

static void raise_at_first(void *ctx, int percent)
{
    struct media *m = ctx;
    if (percent > 3)
        cancel_raise(m->run.cancel);
}

static void a_cancel_ends_the_program_at_once(void **state)
{
    struct media *m = *state;
    struct cancel cancel = {.deadline_ms = 0};
    media_do(
        m, "ffmpeg -v error -f lavfi -i testsrc=s=320x240:d=20:r=25 -c:v libx264 -preset ultrafast long.mp4");
    m->run.cancel = &cancel;
    m->during = raise_at_first;
    assert_int_equal(media_operate(m, "compress_video", "{}", "long.mp4", NULL), -ECANCELED);
    assert_string_equal(m->run.error, "The job was cancelled");
    assert_nothing_stays(m);
    assert_true(cancel_raised(&cancel));
    m->during = NULL;
    m->run.cancel = &cancel; /* and none is begun */
    assert_int_equal(media_operate(m, "compress_video", "{}", "long.mp4", NULL), -ECANCELED);
}

static void time_and_size_have_limits(void **state)
{
    struct media *m = *state;
    media_do(m, "ffmpeg -v error -f lavfi -i nullsrc=s=320x240:d=3:r=20,geq=random(1)*255:128:128 -c:v "
                "libx264 -preset "
                "ultrafast -qp 30 noise.mp4");
    m->cfg.max_upload_mb = 1; /* a result may have twice that */
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":640}", "noise.mp4", NULL), -EFBIG);
    assert_non_null(strstr(m->run.error, "2 MiB"));
    m->cfg.max_upload_mb = 64;
    m->limit_ms = 1;
    assert_int_equal(media_operate(m, "resize_video", "{\"width\":640}", "noise.mp4", NULL), -ETIMEDOUT);
    assert_true(m->run.may_pass);
}

static void a_missing_program_is_named_with_its_package(void **state)
{
    struct media *m = *state;
    media_make_picture(m, "picture.png", "64x48");
    media_make_film(m, "film.mp4", "64x48", "1");
    _cleanup_free_ char *path = strdup(getenv("PATH"));
    assert_int_equal(setenv("PATH", m->dir, 1), 0);
    int picture = media_operate(m, "convert_image", "{\"format\":\"png\"}", "picture.png", NULL);
    assert_non_null(strstr(m->run.error, "apt-get install imagemagick"));
    int film = media_operate(m, "compress_video", "{}", "film.mp4", NULL);
    assert_non_null(strstr(m->run.error, "apt-get install ffmpeg"));
    assert_false(m->run.may_pass);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(picture, -ENOENT);
    assert_int_equal(film, -ENOENT);
}

static void inputs_stay_as_they_are(void **state)
{
    struct media *m = *state;
    media_make_picture(m, "picture.png", "64x48");
    _cleanup_free_ char *before = media_tool_output(m, "sha256sum picture.png");
    assert_int_equal(media_operate(m, "strip_metadata", "{}", "picture.png", NULL), 0);
    assert_int_equal(media_operate(m, "resize_image", "{\"width\":9}", "picture.png", NULL), 0);
    _cleanup_free_ char *after = media_tool_output(m, "sha256sum picture.png");
    assert_string_equal(before, after);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_picture_of_100000_by_100000_is_refused_by_its_header),
        TEST(a_large_picture_in_another_container_is_refused_too),
        TEST(playlists_and_scripts_are_not_followed),
        TEST(disguises_do_not_help),
        TEST(nothing_is_fetched),
        TEST(names_are_never_options),
        TEST(films_that_are_cut_off_are_told),
        TEST(pictures_that_are_cut_off_are_told),
        TEST(a_bomb_in_a_picture_does_not_go_off),
        TEST(a_cancel_ends_the_program_at_once),
        TEST(time_and_size_have_limits),
        TEST(a_missing_program_is_named_with_its_package),
        TEST(inputs_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
