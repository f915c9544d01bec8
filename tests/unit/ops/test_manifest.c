/* SPDX-License-Identifier: MIT */
#include "ops/manifest.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char whole[] = "genie-backup 1\n"
                            "program 0.1.0\n"
                            "schema 3\n"
                            "created 2026-03-13T10:22:00.123Z\n"
                            "member " SHA " 3 files/a b/\xc3\xbc.txt\n"
                            "member " SHA " 0 files/x\n"
                            "member " SHA " 4096 genie.db\n"
                            "end 3 4099\n";

static int parse(const char *text)
{
    struct manifest m = {0};
    int r = manifest_parse(text, strlen(text), &m);
    manifest_free(&m);
    return r;
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"genie.db",      "secrets.env", "files/a",           "files/a/b/c.d",
                                       "files/ü x.txt", "files/a..b",  "onboarding/u/j.zip"};
    static const char *const bad[] = {"",
                                      "manifest",
                                      "genie.db/x",
                                      "/genie.db",
                                      "../genie.db",
                                      "./genie.db",
                                      "files",
                                      "files/",
                                      "files//a",
                                      "files/..",
                                      "files/../a",
                                      "files/a/..",
                                      "files/a/../b",
                                      "files/.hidden",
                                      "files/./a",
                                      "files/a/",
                                      "/files/a",
                                      "Files/a",
                                      "etc/passwd",
                                      "files/a\nb",
                                      "files/a\x7f",
                                      "files/a\\b",
                                      "files/\xff",
                                      "files/a\x01",
                                      "genie.db-wal",
                                      "secrets.env2",
                                      "onboarding",
                                      "onboarding/",
                                      "onboarding/../a",
                                      "onboarding/u/.deleted",
                                      "onboardingx/a"};
    char longest[MEMBER_NAME_MAX + 2];
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!member_name_valid(good[i]))
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (member_name_valid(bad[i]))
            fail_msg("'%s' is taken", bad[i]);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "files/", 6);
    longest[MEMBER_NAME_MAX + 1] = '\0';
    assert_false(member_name_valid(longest));
    longest[MEMBER_NAME_MAX] = '\0';
    assert_true(member_name_valid(longest));
}

static void what_is_read_is_what_would_be_written(void **state)
{
    (void)state;
    struct manifest m = {0};
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    assert_int_equal(manifest_parse(whole, strlen(whole), &m), 0);
    assert_int_equal(m.n, 3);
    assert_int_equal(m.bytes, 4099);
    assert_int_equal(m.schema, 3);
    assert_string_equal(m.program, "0.1.0");
    assert_non_null(manifest_find(&m, "genie.db"));
    assert_int_equal(member_size(manifest_find(&m, "genie.db")), 4096);
    assert_string_equal(member_name(m.members), "files/a b/\xc3\xbc.txt");
    assert_int_equal(manifest_write(&m, &out), 0);
    assert_string_equal(buf_str(&out), whole);
    manifest_free(&m);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(whole); len++) {
        struct manifest m = {0};
        assert_int_equal(manifest_parse(whole, len, &m), -EINVAL);
    }
}

#define HEAD "genie-backup 1\nprogram 0\ncreated x\n"

static void odd_ones_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "genie-backup 2\nprogram 0\ncreated x\nend 0 0\n",
        "genie-backup 1\ncreated x\nend 0 0\n",
        "genie-backup 1\nprogram 0\nschema 0\ncreated x\nend 0 0\n",
        "genie-backup 1\nprogram 0\nschema 3\ncreated x\nend 0 0\n", /* a schema without a database */
        HEAD "member " SHA " 1 genie.db\nend 1 1\n",                 /* and the other way round */
        HEAD "member " SHA " 1 files/a\nend 1 2\n",
        HEAD "member " SHA " 1 files/a\nend 2 1\n",
        HEAD "member " SHA " 1 files/a\nmember " SHA " 1 files/a\nend 2 2\n",
        HEAD "member " SHA " -1 files/a\nend 1 -1\n",
        HEAD "member " SHA " 01 files/a\nend 1 1\n",
        HEAD "member " SHA " 1 files/../a\nend 1 1\n",
        HEAD "member " SHA "0 1 files/a\nend 1 1\n",
        HEAD "member ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef 1 files/a\nend 1 1\n",
        HEAD "member " SHA " 1125899906842625 files/a\nend 1 1125899906842625\n",
        HEAD "end 0 0\n\n",
        HEAD "end 0 0\nend 0 0\n",
        HEAD "end 0 0",
        HEAD "junk\nend 0 0\n",
    };
    assert_int_equal(parse(HEAD "end 0 0\n"), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (parse(bad[i]) >= 0)
            fail_msg("taken:\n%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(what_is_read_is_what_would_be_written),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(odd_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
