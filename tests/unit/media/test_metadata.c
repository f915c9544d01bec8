/* SPDX-License-Identifier: MIT */
/* What a file told before is asked for again, of ExifTool and of ffprobe. */
#include "media.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TELL \
    "exiftool -q -overwrite_original -GPSLatitude=52.5 -GPSLatitudeRef=N -EXIF:Artist=me -XMP:Creator=me "

/* A sum over the decoded pixels. */
static char *pixels_of(const struct media *m, const char *path)
{
    char words[PATH_MAX + 64];
    (void)snprintf(words, sizeof words, "identify -format %%# %s", path);
    return media_tool_output(m, words);
}

static char *left_in(const struct media *m, const char *path)
{
    char words[PATH_MAX + 128];
    (void)snprintf(words, sizeof words,
                   "exiftool -s -G1 -EXIF:all -XMP:all -IPTC:all -GPS:all -Comment -Author %s", path);
    return media_tool_output(m, words);
}

static void assert_stripped(struct media *m, const char *name)
{
    _cleanup_free_ char *told = left_in(m, media_path(m, name));
    _cleanup_free_ char *before = pixels_of(m, media_path(m, name));
    assert_non_null(strstr(told, "me"));
    assert_int_equal(media_operate(m, "strip_metadata", "{}", name, NULL), 0);
    _cleanup_free_ char *left = left_in(m, media_result(m)->path);
    _cleanup_free_ char *after = pixels_of(m, media_result(m)->path);
    assert_string_equal(left, "");
    assert_string_equal(after, before);
    assert_int_equal(media_result(m)->width, 64);
}

static void pictures_tell_nothing_and_keep_every_pixel(void **state)
{
    struct media *m = *state;
    media_do(m, "convert -size 64x48 gradient:red-blue p.jpg");
    media_do(m, "convert -size 64x48 gradient:red-blue p.png");
    media_do(m, "convert -size 64x48 gradient:red-blue p.webp");
    media_do(m, TELL "-IPTC:By-line=me -Comment=me p.jpg");
    media_do(m, TELL "-PNG:Author=me p.png");
    media_do(m, TELL "p.webp");
    assert_stripped(m, "p.jpg");
    assert_string_equal(media_result(m)->type, "image/jpeg");
    assert_stripped(m, "p.png");
    assert_stripped(m, "p.webp");
}

/* A statement of origin, a block that no program knows, and what somebody hung on behind the end. */
static void blocks_without_a_name_and_what_follows_the_end_go_too(void **state)
{
    static const char script[] =
        "use Compress::Zlib;"
        "sub get{local $/;open F,'<',$_[0];binmode F;<F>}sub put{open G,'>',$_[0];binmode G;print G "
        "$_[1];close G}"
        "sub chunk{my($t,$d)=@_;pack('N',length $d).$t.$d.pack('N',crc32($t.$d))}"
        "my $j='jumdc2pa'.pack('H*','0011001080000 0aa00389b71'=~s/ //r).\"\\3secret\\0\";"
        "$j=pack('N',4+length $j).$j;$j=pack('N',8+length $j).'jumb'.$j;"
        "my $p=get('p.png');put('b.png',substr($p,0,33).chunk('caBX',$j).chunk('prVt','secret').substr($p,33)"
        ".'secret');"
        "my $w=get('p.webp');my $b=substr($w,12).'XyZw'.pack('V',6).'secret';"
        "put('b.webp','RIFF'.pack('V',4+length $b).'WEBP'.$b.'secret');"
        "put('b.gif',get('p.gif').'secret');put('b.jpg',get('p.jpg').'secret');";
    static const char *const names[] = {"b.png", "b.webp", "b.gif", "b.jpg"};
    struct media *m = *state;
    media_do(m, "convert -size 64x48 gradient:red-blue p.png");
    media_do(m, "convert p.png p.webp");
    media_do(m, "convert p.png p.jpg");
    media_do(m, "convert p.png -rotate 180 p.png -set comment secret -loop 0 p.gif");
    media_write(m, "make.pl", script, strlen(script));
    media_do(m, "perl make.pl");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char command[PATH_MAX + 64];
        assert_int_equal(media_operate(m, "strip_metadata", "{}", names[i], NULL), 0);
        (void)snprintf(command, sizeof command, "grep -c secret -a %s", names[i]);
        _cleanup_free_ char *before = media_tool_output(m, command);
        assert_int_not_equal(atoi(before), 0);
        (void)snprintf(command, sizeof command, "perl -0777 -ne print(/secret/||0) %s",
                       media_result(m)->path);
        _cleanup_free_ char *left = media_tool_output(m, command);
        assert_string_equal(left, "0");
        _cleanup_free_ char *was = pixels_of(m, media_path(m, names[i]));
        _cleanup_free_ char *is = pixels_of(m, media_result(m)->path);
        assert_string_equal(is, was); /* both frames of the moving one */
    }
}

static void hostile_texts_in_tags_do_no_harm(void **state)
{
    struct media *m = *state;
    media_do(m, "convert -size 64x48 gradient:red-blue p.jpg");
    static const char args[] =
        "-EXIF:Artist=me$(touch${IFS}pwned)`touch pwned`';--\n-XMP:Creator=%n%s{}[]\\\"@/etc/passwd me\n"
        "-XMP:Title=-o/tmp/x\n-overwrite_original\n-q\np.jpg\n";
    media_write(m, "args", args, strlen(args));
    media_do(m, "exiftool -@ args");
    assert_stripped(m, "p.jpg");
    assert_int_equal(media_operate(m, "resize_image", "{\"width\":32}", "p.jpg", NULL), 0);
}

static void films_tell_nothing_and_keep_every_frame(void **state)
{
    static const char *const names[] = {"film.mov", "film.mkv"};
    struct media *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char words[PATH_MAX + 256];
        media_make_film(m, "plain.mp4", "64x48", "1");
        (void)snprintf(
            words, sizeof words,
            "ffmpeg -v error -i plain.mp4 -c copy -metadata title=secret -metadata location=+52.5+013.4/ "
            "-metadata creation_time=2026-01-01T00:00:00Z -metadata:s:v:0 handler_name=Canon "
            "-metadata:s:a:0 title=secret %s",
            names[i]);
        media_do(m, words);
        assert_int_equal(media_operate(m, "strip_metadata", "{}", names[i], NULL), 0);
        const struct media_output *out = media_result(m);
        assert_string_equal(out->type, m->run.inputs[0].type);
        (void)snprintf(words, sizeof words, "ffprobe -v error -show_format -show_streams %s", out->path);
        _cleanup_free_ char *told = media_tool_output(m, words);
        assert_null(strstr(told, "secret"));
        assert_null(strstr(told, "52.5"));
        assert_null(strstr(told, "Canon"));
        assert_null(strstr(told, "creation_time"));
        (void)snprintf(words, sizeof words, "ffmpeg -v error -i %s -map 0:v -f md5 -", out->path);
        _cleanup_free_ char *after = media_tool_output(m, words);
        _cleanup_free_ char *before = media_tool_output(m, "ffmpeg -v error -i plain.mp4 -map 0:v -f md5 -");
        assert_string_equal(after, before);
    }
}

/* Whatever isn't picture or sound goes, and stands in nobody's way. */
static void subtitles_are_taken_out(void **state)
{
    static const char words[] = "1\n00:00:00,000 --> 00:00:01,000\nsecret words\n";
    static const char *const films[] = {"titled.mkv -c:s srt", "styled.mkv -c:s ass",
                                        "titled.mp4 -c:s mov_text",
                                        "titled.webm -c:v libvpx -c:a libopus -c:s webvtt"};
    struct media *m = *state;
    media_make_film(m, "plain.mp4", "64x48", "1");
    media_write(m, "words.srt", words, strlen(words));
    for (size_t i = 0; i < ARRAY_LEN(films); i++) {
        char name[32], command[PATH_MAX + 128];
        assert_int_equal(sscanf(films[i], "%31s", name), 1);
        (void)snprintf(command, sizeof command, "ffmpeg -v error -i plain.mp4 -i words.srt -c copy%s %s",
                       films[i] + strlen(name), name);
        media_do(m, command);
        assert_int_equal(media_operate(m, "strip_metadata", "{}", name, NULL), 0);
        (void)snprintf(command, sizeof command, "ffprobe -v error -show_streams %s", media_result(m)->path);
        _cleanup_free_ char *told = media_tool_output(m, command);
        assert_non_null(strstr(told, "codec_type=video"));
        assert_null(strstr(told, "codec_type=subtitle"));
        assert_int_equal(media_operate(m, "resize_video", "{\"width\":32}", name, NULL), 0);
    }
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=64x48:d=1:r=10 -c:v msmpeg4 odd.mkv");
    assert_int_equal(media_operate(m, "strip_metadata", "{}", "odd.mkv", NULL), -EINVAL);
    assert_string_equal(m->run.error, "The video has a stream of a kind that isn't decoded here: msmpeg4");
}

/* An MP4 of a camera: QuickTime as FFmpeg writes it, with plain sound, under the brand of the maker. */
static void make_camera_film(const struct media *m)
{
    static const char script[] = "local $/;open F,'<','plain.mov';binmode F;$_=<F>;"
                                 "s/^\\0\\0\\0\\x14ftypqt  ....qt  \\0\\0\\0\\x08wide/"
                                 "\\0\\0\\0\\x1cftypXAVC\\x01\\0\\x1f\\xffXAVCmp42iso2/s or die;"
                                 "open G,'>','camera.mp4';binmode G;print G $_;";
    media_do(m, "ffmpeg -v error -f lavfi -i testsrc=s=64x48:d=1:r=10 -f lavfi -i sine=d=1 -c:v libx264 "
                "-preset ultrafast -c:a pcm_s16be -metadata title=secret plain.mov");
    media_write(m, "patch.pl", script, strlen(script));
    media_do(m, "perl patch.pl");
}

static void films_of_cameras_and_phones_keep_their_streams(void **state)
{
    static const struct {
        const char *name, *was, *becomes, *sound;
    } cases[] = {
        {"camera.mp4", "video/mp4", "video/quicktime", "pcm_s16be"},
        {"phone.3gp", "video/3gpp", "video/3gpp", "aac"},
        {"phone.3g2", "video/3gpp2", "video/3gpp2", "aac"},
    };
    struct media *m = *state;
    make_camera_film(m);
    media_make_film(m, "plain.mp4", "176x144", "1");
    media_do(m, "ffmpeg -v error -i plain.mp4 -c copy -metadata title=secret phone.3gp");
    media_do(m, "ffmpeg -v error -i plain.mp4 -c copy -metadata title=secret phone.3g2");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(media_operate(m, "strip_metadata", "{}", cases[i].name, NULL), 0);
        const struct media_output *out = media_result(m);
        assert_string_equal(m->run.inputs[0].type, cases[i].was);
        assert_string_equal(out->type, cases[i].becomes);
        char words[PATH_MAX + 128];
        (void)snprintf(words, sizeof words, "ffprobe -v error -show_format -show_streams %s", out->path);
        _cleanup_free_ char *told = media_tool_output(m, words);
        assert_null(strstr(told, "secret"));
        assert_non_null(strstr(told, cases[i].sound));
        assert_int_equal(media_operate(m, "resize_video", "{\"width\":32}", cases[i].name, NULL), 0);
        assert_string_equal(media_result(m)->type, "video/mp4");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, media_setup, media_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pictures_tell_nothing_and_keep_every_pixel),
        TEST(blocks_without_a_name_and_what_follows_the_end_go_too),
        TEST(hostile_texts_in_tags_do_no_harm),
        TEST(films_tell_nothing_and_keep_every_frame),
        TEST(subtitles_are_taken_out),
        TEST(films_of_cameras_and_phones_keep_their_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
