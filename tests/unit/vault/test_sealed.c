/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include "vault/sealed.h"

#include <errno.h>

static void both_forms_are_read(void **state)
{
    (void)state;
    struct sealed s;
    static const char *const wrapped[] = {WRAP(BARE_V1), " {\n\t\"enc\" : \"" BARE_V1 "\" }\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrapped); i++) {
        assert_int_equal(sealed_parse(wrapped[i], &s), 0);
        assert_false(s.bare);
        assert_int_equal(s.len, 42);
    }
    assert_int_equal(sealed_parse(BARE_V1, &s), 0);
    assert_true(s.bare && s.format == VAULT_V1 && s.key_id[0] == '\0');
    assert_int_equal(s.iv[0], 0xa0);
    assert_int_equal(s.tag[15], 0x55);
    assert_int_equal(sealed_parse(WRAP(BARE_V2_OLD), &s), 0);
    assert_int_equal(s.format, VAULT_V2);
    assert_string_equal(s.key_id, "old.1");
}

#define IV "a0a1a2a3a4a5a6a7a8a9aaab"
#define TAG "c991b1a08d55dfdcc5644ea6f61b6e55"

static void everything_else_is_not(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "v1",
        "v1:",
        "v1:::",
        "v1:" IV ":" TAG ":",   /* seals nothing */
        "v1:" IV ":" TAG ":0",  /* half a byte */
        "v1:" IV ":" TAG ":AB", /* a second spelling */
        "v1:" IV ":" TAG ":zz",
        "v1:" IV ":" TAG ":ab ",
        "v1:" IV ":" TAG ":ab:cd",
        "v1:" IV TAG ":ab",
        "v1:" IV ":" TAG "00:ab",
        "v1:" IV "00:" TAG ":ab",
        "v1:a0:" TAG ":ab",
        "v1:k1:" IV ":" TAG ":ab",
        "v2:" IV ":" TAG ":ab", /* names no key */
        "v2::" IV ":" TAG ":ab",
        "v2:a b:" IV ":" TAG ":ab",
        "v2:123456789012345678901234567890123:" IV ":" TAG ":ab",
        "v3:" IV ":" TAG ":ab",
        "V1:" IV ":" TAG ":ab",
        " v1:" IV ":" TAG ":ab",
        "\"v1:" IV ":" TAG ":ab\"",
        "{\"enc\":\"v1:" IV ":" TAG ":ab\"",
        "{\"enc\":\"v1:" IV ":" TAG ":ab",
        "{\"enc\":\"v1:" IV ":" TAG ":ab\"}}",
        "{\"enc\":\"v1:" IV ":" TAG ":ab\",\"x\":1}",
        "{\"x\":1,\"enc\":\"v1:" IV ":" TAG ":ab\"}",
        "{\"ENC\":\"v1:" IV ":" TAG ":ab\"}",
        "{\"enc\":\"\\u0076"
        "1:" IV ":" TAG ":ab\"}",
        "{\"enc\":null}",
        "{}",
        "{\"username\":\"anna\"}",
    };
    struct sealed s = {.len = 77};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (sealed_parse(wrong[i], &s) != -EBADMSG || s.len != 77)
            fail_msg("'%s' is read", wrong[i]);
}

static void the_longest_is_read_and_no_longer(void **state)
{
    (void)state;
    struct sealed s;
    static const char head[] = "v1:" IV ":" TAG ":";
    size_t len = sizeof head - 1 + 2 * VAULT_PLAIN_MAX;
    _cleanup_free_ char *text = malloc(len + 3);
    assert_non_null(text);
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'a', len + 2 - (sizeof head - 1));
    text[len + 2] = '\0';
    assert_int_equal(sealed_parse(text, &s), -EBADMSG);
    text[len] = '\0';
    assert_int_equal(sealed_parse(text, &s), 0);
    assert_int_equal(s.len, VAULT_PLAIN_MAX);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct sealed s;
    uint8_t data[42];
    _cleanup_buf_ struct buf out = BUF_INIT(1024);
    assert_int_equal(sealed_parse(BARE_V2_OLD, &s), 0);
    sealed_bytes(s.hex, data, s.len);
    assert_int_equal(sealed_write(&out, &s, data), 0);
    assert_string_equal(out.data, WRAP(BARE_V2_OLD));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_are_read),
        cmocka_unit_test(everything_else_is_not),
        cmocka_unit_test(the_longest_is_read_and_no_longer),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests_name("vault/sealed", tests, NULL, NULL);
}
