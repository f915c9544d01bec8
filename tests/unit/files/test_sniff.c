/* SPDX-License-Identifier: MIT */
#include "files/sniff.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    const char *bytes;
    size_t len;
    const char *type;
};

#define IS(bytes_, type_) \
    { \
        .bytes = (bytes_), .len = sizeof(bytes_) - 1, .type = (type_) \
    }
#define ANY "application/octet-stream"

static const struct sample samples[] = {
    IS("\x89PNG\r\n\x1a\n....", "image/png"),
    IS("\xff\xd8\xff\xe0..JFIF", "image/jpeg"),
    IS("GIF87a....", "image/gif"),
    IS("GIF89a....", "image/gif"),
    IS("RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
    IS("RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
    IS("RIFF\x24\0\0\0AVI LIST", ANY),
    IS("\0\0\0\x1c"
       "ftypavif\0\0\0\0",
       "image/avif"),
    IS("\0\0\0\x1c"
       "ftypheic\0\0\0\0",
       "image/heic"),
    IS("\0\0\0\x1c"
       "ftypmif1\0\0\0\0mif1avifmiaf",
       "image/avif"),
    IS("\0\0\0\x1c"
       "ftypmif1\0\0\0\0mif1heic",
       "image/heic"),
    /* the brand behind the box's end isn't one of the file's */
    IS("\0\0\0\x14"
       "ftypmif1\0\0\0\0mif1avif",
       "image/heic"),
    IS("\0\0\0\x20"
       "ftypisom\0\0\2\0isomiso2avc1mp41",
       "video/mp4"),
    IS("\0\0\0\x18"
       "ftypmp42\0\0\0\0",
       "video/mp4"),
    IS("\0\0\0\x14"
       "ftypqt  \0\0\0\0",
       "video/quicktime"),
    IS("\0\0\0\x14"
       "ftypM4A \0\0\0\0",
       "audio/mp4"),
    IS("\0\0\0\x14"
       "ftypjpx \0\0\0\0",
       ANY),
    /* what phones and cameras write */
    IS("\0\0\0\x1c"
       "ftypXAVC\1\0\x1f\xffXAVCmp42iso2",
       "video/mp4"),
    IS("\0\0\0\x18"
       "ftypiso3\0\0\0\1avc1",
       "video/mp4"),
    IS("\0\0\0\x18"
       "ftypiso9\0\0\0\1",
       "video/mp4"),
    IS("\0\0\0\x14"
       "ftypM4VH\0\0\0\1",
       "video/mp4"),
    IS("\0\0\0\x14"
       "ftypMSNV\1\x29\0\x46",
       "video/mp4"),
    IS("\0\0\0\x18"
       "ftyp3gp4\0\0\0\0isom3gp4",
       "video/3gpp"),
    IS("\0\0\0\x18"
       "ftyp3gr6\0\0\0\0isom3gr6",
       "video/3gpp"),
    IS("\0\0\0\x14"
       "ftyp3g2a\0\0\0\0",
       "video/3gpp2"),
    IS("\0\0\0\x18"
       "ftypheim\0\0\0\0",
       "image/heic"),
    /* a brand of the maker's own: one of the others says it, but none behind the box */
    IS("\0\0\0\x1c"
       "ftypNIKO\0\0\0\0NIKO\0\0\0\0qt  ",
       "video/quicktime"),
    IS("\0\0\0\x14"
       "ftypCAEP\0\0\0\0CAEPmp42",
       ANY),
    /* a raw picture that calls itself a film as well */
    IS("\0\0\0\x18"
       "ftypcrx \0\0\0\1crx isom",
       ANY),
    /* QuickTime without a brand */
    IS("\0\0\0\x08wide\0\x01\x02\x03mdat", "video/quicktime"),
    IS("\0\0\x02\x54moov\0\0\0\x6cmvhd", "video/quicktime"),
    IS("\0\x10\0\0mdat\0\0\0\0", "video/quicktime"),
    IS("The moov box", "text/plain"),
    IS("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
    IS("\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", "video/x-matroska"),
    IS("\x1a\x45\xdf\xa3\xa3\x42\x82\x84"
       "olse",
       ANY),
    IS("\x1a\x45\xdf\xa3\xa3\x42\x82", ANY),
    IS("ID3\x04\0\0", "audio/mpeg"),
    IS("\xff\xfb\x90\x64", "audio/mpeg"),
    IS("\xff\xfb\xf0\x64", ANY), /* no such bit rate */
    IS("\xff\xfe\x41\x00", ANY), /* UTF-16 */
    IS("%PDF-1.7\n", "application/pdf"),
    IS("PK\x03\x04\x14\0", "application/zip"),
    IS("PK\x05\x06\0\0", "application/zip"),
    IS("<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>", "text/plain"),
    IS("<!doctype html><script>alert(1)</script>", "text/plain"),
    IS("\xef\xbb\xbfGr\xc3\xbc\xc3\x9f"
       "e\r\n",
       "text/plain"),
    IS("caf\xe9", ANY), /* Latin-1 */
    IS("text\0text", ANY),
    IS("\0", ANY),
    IS("", ANY),
};

static void every_kind_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        assert_string_equal(sniff_type((const uint8_t *)samples[i].bytes, samples[i].len, true),
                            samples[i].type);
}

static void a_beginning_is_never_read_past(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        for (size_t len = 0; len <= samples[i].len; len++) {
            uint8_t *exact = malloc(len + 1); /* at its end the sanitizer watches */
            assert_non_null(exact);
            memcpy(exact + 1, samples[i].bytes, len);
            assert_non_null(sniff_type(exact + 1, len, true));
            free(exact);
        }
}

static void text_may_be_cut_in_a_character(void **state)
{
    (void)state;
    const uint8_t *text = (const uint8_t *)"abc\xe2\x82";
    assert_string_equal(sniff_type(text, 5, false), "text/plain");
    assert_string_equal(sniff_type(text, 5, true), ANY);
    uint8_t large[SNIFF_BYTES + 10];
    memset(large, 'a', sizeof large);
    memcpy(large + SNIFF_BYTES - 1, "\xe2\x82\xac", 3);
    assert_string_equal(sniff_type(large, sizeof large, true), "text/plain");
}

static void only_what_runs_nothing_is_shown(void **state)
{
    static const char *const shown[] = {"image/png",  "image/jpeg",      "image/webp",
                                        "image/gif",  "image/avif",      "video/mp4",
                                        "video/webm", "video/quicktime", "audio/mpeg"};
    static const char *const kept[] = {"text/plain", "application/pdf", "application/zip", ANY, ""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        assert_true(sniff_is_inline(shown[i]));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        assert_false(sniff_is_inline(kept[i]));
    assert_false(sniff_is_inline("image/svg+xml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_known),
        cmocka_unit_test(a_beginning_is_never_read_past),
        cmocka_unit_test(text_may_be_cut_in_a_character),
        cmocka_unit_test(only_what_runs_nothing_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
