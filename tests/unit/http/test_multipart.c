/* SPDX-License-Identifier: MIT */
/* Forms as clients send them, whole and cut at every byte; and what is none. */
#include "http/multipart.h"

#include "http/upload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TOO_LONG \
    "multipart/form-data; boundary=12345678901234567890123456789012345678901234567890123456789012345678901"

#define TYPE "multipart/form-data; boundary=XyZ"

static int on_begin(void *ctx, const struct multipart_part *part)
{
    assert_true(buf_addf(ctx, "[%s|%s|%s]", part->name, part->filename ? part->filename : "-",
                         part->type ? part->type : "-") == 0);
    return strcmp(part->name, "refuse") == 0 ? -EACCES : 0;
}

static int on_data(void *ctx, const char *data, size_t len)
{
    return buf_add(ctx, data, len);
}

static int on_end(void *ctx)
{
    return buf_adds(ctx, "!");
}

static const struct multipart_events events = {on_begin, on_data, on_end};

/* Two pieces, cut at `at`; then byte by byte where at is SIZE_MAX. */
static int read_cut(const char *type, const char *body, size_t len, size_t at, struct buf *out)
{
    struct multipart m;
    *out = BUF_INIT(65536);
    int r = multipart_init(&m, type, &events, out);
    if (at == SIZE_MAX)
        for (size_t i = 0; i < len && r == 0; i++)
            r = multipart_push(&m, body + i, 1);
    else if (r == 0) {
        (void)multipart_push(&m, body, at);
        r = multipart_push(&m, body + at, len - at);
    }
    if (r == 0)
        r = multipart_end(&m);
    assert_int_equal(r < 0 && m.delimiter_len ? multipart_push(&m, "x", 1) : r, r); /* it stays so */
    multipart_free(&m);
    return r;
}

/* Whatever the cut: this verdict, and where it is 0 these events. */
static void expect_type(const char *type, const char *body, int verdict, const char *seen)
{
    size_t len = strlen(body);
    for (size_t at = 0; at <= len + 1; at++) {
        struct buf out;
        int r = read_cut(type, body, len, at > len ? SIZE_MAX : at, &out);
        if (r != verdict || (r == 0 && strcmp(buf_str(&out), seen) != 0))
            fail_msg("cut at %zu: %d %s\n%s", at, r, buf_str(&out), body);
        buf_free(&out);
    }
}

static void expect(const char *body, int verdict, const char *seen)
{
    expect_type(TYPE, body, verdict, seen);
}

#define PART(disposition, more, content) \
    "--XyZ\r\nContent-Disposition: form-data; " disposition "\r\n" more "\r\n" content "\r\n"
#define LAST "--XyZ--\r\n"

static void forms(void **state)
{
    (void)state;
    expect(PART("name=\"a\"", "", "1") LAST, 0, "[a|-|-]1!");
    expect(PART("name=\"a\"", "", "") LAST, 0, "[a|-|-]!");
    expect(PART("name=\"a\"", "", "1")
               PART("name=\"f\"; filename=\"x.png\"", "Content-Type: image/png \r\n", "\x89PNG") LAST,
           0, "[a|-|-]1![f|x.png|image/png]\x89PNG!");
    expect(PART("name=a; filename=b", "X-Other: 1\r\nContent-Transfer-Encoding: binary\r\n", "1") LAST, 0,
           "[a|b|-]1!");
    expect("--XyZ--", 0, "");
    expect("a preamble\r\n" PART("name=\"a\"", "", "1") "--XyZ--\r\nan epilogue --XyZ", 0, "[a|-|-]1!");
    expect("--XyZ \t\r\ncontent-disposition:form-data;name=\"a\"\r\n\r\n1\r\n--XyZ--", 0, "[a|-|-]1!");
}

/* Content that begins like a delimiter is content. */
static void almost_delimiters(void **state)
{
    (void)state;
    expect(PART("name=\"a\"", "", "\r\n--XyY\r\r\n\r\n--X\r\n-\r\n--") LAST, 0,
           "[a|-|-]\r\n--XyY\r\r\n\r\n--X\r\n-\r\n--!");
    expect(PART("name=\"a\"", "", "--XyZ") LAST, 0,
           "[a|-|-]--XyZ!"); /* its line has begun with a header's end */
    expect(PART("name=\"a\"", "", "x--XyZ--\n--XyZ--\r--XyZ") LAST, 0, "[a|-|-]x--XyZ--\n--XyZ--\r--XyZ!");
}

static void names(void **state)
{
    (void)state;
    expect(PART("name=\"a \\\"b\\\" \\\\\"", "", "") LAST, 0, "[a \"b\" \\|-|-]!");
    expect(PART("name=\"a\"; filename=\"c:\\dir\\x.png\"", "", "") LAST, 0, "[a|c:\\dir\\x.png|-]!");
    expect(PART("name=\"a\"; filename=\"\"", "", "") LAST, 0, "[a||-]!");
    expect(PART("name=\"a\"; filename*=utf-8'en'%e2%82%AC.txt", "", "") LAST, 0, "[a|\xe2\x82\xac.txt|-]!");
    expect(PART("name=\"a\"; filename*=UTF-8''b; filename=\"c\"", "", "") LAST, 0, "[a|b|-]!");
    expect(PART("name=\"a\"; filename*=UTF-8''%0", "", "") LAST, -EINVAL, NULL);
    expect(PART("name=\"a\"; filename*=UTF-8''%00", "", "") LAST, -EINVAL, NULL);
    expect(PART("name=\"a\"; filename*=latin1''b", "", "") LAST, -EINVAL, NULL);
}

static void what_is_no_form(void **state)
{
    (void)state;
    expect("", -EINVAL, NULL);
    expect("{}", -EINVAL, NULL);
    expect(PART("name=\"a\"", "", "1"), -EINVAL, NULL);
    expect(PART("name=\"a\"", "", "1") "--XyZ", -EINVAL, NULL);
    expect(PART("name=\"a\"", "", "1") "--XyZ-", -EINVAL, NULL);
    expect(PART("name=\"a\"", "", "1") "--XyZ-x", -EINVAL, NULL);
    expect(PART("name=\"a\"", "", "1") "--XyZ1\r\n", -EINVAL, NULL);
    expect("--XyZ\nContent-Disposition: form-data; name=a\n\n1\n--XyZ--", -EINVAL, NULL);
    expect(PART("filename=\"a\"", "", "1") LAST, -EINVAL, NULL);
    expect(PART("name=\"a", "", "1") LAST, -EINVAL, NULL);
    expect("--XyZ\r\n\r\n1\r\n" LAST, -EINVAL, NULL);
    expect("--XyZ\r\nno header\r\n\r\n1\r\n" LAST, -EINVAL, NULL);
    expect("--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n" LAST, -EINVAL, NULL);
    expect(PART("name=a", "Content-Disposition: form-data; name=b\r\n", "1") LAST, -EINVAL, NULL);
    expect(PART("name=a", "Content-Transfer-Encoding: base64\r\n", "MQ==") LAST, -EINVAL, NULL);
    expect(PART("name=\"refuse\"", "", "1") LAST, -EACCES, NULL);
}

static void boundaries(void **state)
{
    (void)state;
    static const char *const good[] = {"multipart/form-data;boundary=XyZ",
                                       "Multipart/Form-Data; Boundary=\"XyZ\"",
                                       "multipart/form-data; charset=\"a;b\"; boundary=XyZ; x=y"};
    static const char *const bad[] = {"multipart/form-data",
                                      "multipart/form-data; boundary",
                                      "multipart/form-data; boundary=",
                                      "multipart/form-data; boundary=\"XyZ",
                                      "multipart/form-data; boundary=\"XyZ \"",
                                      "multipart/form-data; boundary=\"X\r\nZ\"",
                                      "multipart/form-data; boundary=X<Z",
                                      "multipart/form-datax; boundary=XyZ",
                                      "multipart/mixed; boundary=XyZ",
                                      TOO_LONG};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        expect_type(good[i], PART("name=a", "", "1") LAST, 0, "[a|-|-]1!");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_type(bad[i], PART("name=a", "", "1") LAST, -EINVAL, NULL);
    expect_type("multipart/form-data; boundary=\"'()+_,-./:=? a\"",
                "--'()+_,-./:=? a\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--'()+_,-./:=? a--",
                0, "[a|-|-]1!");
}

static void limits(void **state)
{
    (void)state;
    struct buf out;
    _cleanup_buf_ struct buf body = BUF_INIT(65536);
    for (int i = 0; i < MULTIPART_PARTS_MAX; i++)
        (void)buf_adds(&body, PART("name=a", "", ""));
    size_t before = body.len;
    (void)buf_adds(&body, LAST);
    assert_int_equal(read_cut(TYPE, body.data, body.len, 0, &out), 0);
    buf_free(&out);
    body.len = before;
    (void)buf_adds(&body, PART("name=a", "", "") LAST);
    assert_int_equal(read_cut(TYPE, body.data, body.len, 0, &out), -E2BIG);
    buf_free(&out);
    buf_reset(&body);
    (void)buf_addf(&body, "--XyZ\r\nContent-Disposition: form-data; name=a\r\nX: %*d\r\n\r\n\r\n" LAST,
                   MULTIPART_HEADERS_MAX, 1);
    assert_int_equal(read_cut(TYPE, body.data, body.len, 0, &out), -E2BIG);
    buf_free(&out);
}

/* A NUL would end a name early for some and not for others. */
static void nul_bytes(void **state)
{
    (void)state;
    struct buf out;
    static const char in_name[] = "--XyZ\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\n1\r\n" LAST;
    static const char in_content[] = "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n1\0002\r\n" LAST;
    assert_int_equal(read_cut(TYPE, in_name, sizeof in_name - 1, SIZE_MAX, &out), -EINVAL);
    buf_free(&out);
    assert_int_equal(read_cut(TYPE, in_content, sizeof in_content - 1, SIZE_MAX, &out), 0);
    assert_memory_equal(out.data, "[a|-|-]1\0002!", 11);
    buf_free(&out);
}

static void file_names(void **state)
{
    (void)state;
    static const struct {
        const char *sent, *kept;
    } cases[] = {
        {"cat.png", "cat.png"},
        {"C:\\Users\\me\\cat.png", "cat.png"},
        {"/etc/passwd", "passwd"},
        {"../../x", "x"},
        {"..", "file"},
        {".", "file"},
        {"a/", "file"},
        {"", "file"},
        {"  a b \xc3\xa9 ", "a b \xc3\xa9"},
        {"a\r\nb\x01\x7f\xc2\x85.txt", "ab.txt"},
        {"a\xffz", "az"},
        {"gnp\xe2\x80\xae.exe", "gnp.exe"},
        {".hidden", ".hidden"},
    };
    char name[UPLOAD_NAME_MAX + 1], long_one[1000];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        upload_clean_name(cases[i].sent, name);
        assert_string_equal(name, cases[i].kept);
    }
    for (size_t i = 0; i + 2 < sizeof long_one; i += 2)
        memcpy(long_one + i, "\xc3\xa9", 3);
    upload_clean_name(long_one, name);
    assert_int_equal(strlen(name), UPLOAD_NAME_MAX - 1); /* on the border of a character */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),           cmocka_unit_test(almost_delimiters), cmocka_unit_test(names),
        cmocka_unit_test(what_is_no_form), cmocka_unit_test(boundaries),        cmocka_unit_test(limits),
        cmocka_unit_test(nul_bytes),       cmocka_unit_test(file_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
