/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include "base/text.h"

#include <errno.h>

/* Opens a text under k1 and the key old.1. */
static int open_text(const char *record, const char *sealed, struct buf *to, struct vault_label *label)
{
    _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, "old.1=" OLD_KEY, "v1");
    return vault_unseal(v, record, sealed, to, label);
}

static void expect_plain(const char *sealed, const char *key_id, bool current)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(4096);
    struct vault_label label;
    assert_int_equal(open_text(RECORD, sealed, &plain, &label), 0);
    assert_string_equal(plain.data, PLAIN);
    assert_string_equal(label.key_id, key_id);
    assert_int_equal(label.current, current);
}

static void what_node_sealed_opens(void **state)
{
    (void)state;
    expect_plain(WRAP(BARE_V1), "k1", true);
    expect_plain(BARE_V1, "k1", false);
    expect_plain(WRAP(BARE_V1_OLD), "old.1", false);
    expect_plain(WRAP(BARE_V2), "k1", false);
    expect_plain(BARE_V2_OLD, "old.1", false);
}

static void what_is_sealed_opens(void **state)
{
    (void)state;
    static const char *const formats[] = {"v1", "v2"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, NULL, formats[i]);
        _cleanup_buf_ struct buf sealed = BUF_INIT(VAULT_SEALED_MAX), again = BUF_INIT(VAULT_SEALED_MAX),
                                 plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
        struct vault_label label;
        assert_string_equal(vault_version(v), formats[i]);
        assert_int_equal(vault_seal(v, RECORD, PLAIN, strlen(PLAIN), &sealed), 0);
        assert_int_equal(vault_seal(v, RECORD, PLAIN, strlen(PLAIN), &again), 0);
        assert_string_not_equal(sealed.data, again.data);
        assert_null(strstr(sealed.data, "anna"));
        assert_int_equal(vault_unseal(v, RECORD, sealed.data, &plain, &label), 0);
        assert_string_equal(plain.data, PLAIN);
        assert_true(label.current && !label.bare);
    }
}

static void one_byte_and_very_many(void **state)
{
    (void)state;
    _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, NULL, "v2");
    _cleanup_buf_ struct buf sealed = BUF_INIT(VAULT_SEALED_MAX), plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
    _cleanup_free_ char *most = malloc(VAULT_PLAIN_MAX + 1);
    assert_non_null(most);
    memset(most, 'x', VAULT_PLAIN_MAX + 1);
    assert_int_equal(vault_seal(v, RECORD, most, VAULT_PLAIN_MAX, &sealed), 0);
    assert_int_equal(vault_unseal(v, RECORD, sealed.data, &plain, NULL), 0);
    assert_int_equal(plain.len, VAULT_PLAIN_MAX);
    assert_memory_equal(plain.data, most, VAULT_PLAIN_MAX);
    buf_reset(&sealed);
    buf_reset(&plain);
    assert_int_equal(vault_seal(v, RECORD, "1", 1, &sealed), 0);
    assert_int_equal(vault_unseal(v, RECORD, sealed.data, &plain, NULL), 0);
    assert_string_equal(plain.data, "1");
    assert_int_equal(vault_seal(v, RECORD, most, VAULT_PLAIN_MAX + 1, &sealed), -EMSGSIZE);
    assert_int_equal(vault_seal(v, RECORD, "", 0, &sealed), -EMSGSIZE);
}

/* Whether a text that differs in one bit opens. */
static void expect_no_bit_is_free(const char *sealed, struct vault *v)
{
    _cleanup_free_ char *text = strdup(sealed);
    assert_non_null(text);
    for (size_t i = 0; text[i]; i++)
        for (int bit = 0; bit < 8; bit++) {
            _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(4096);
            text[i] = (char)(text[i] ^ 1 << bit);
            int r = vault_unseal(v, RECORD, text, &plain, NULL);
            text[i] = (char)(text[i] ^ 1 << bit);
            if (r != -EBADMSG || plain.len != 0)
                fail_msg("bit %d of byte %zu is free: %s", bit, i, sealed);
        }
}

static void no_bit_can_change(void **state)
{
    (void)state;
    _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, "old.1=" OLD_KEY, "v2");
    expect_no_bit_is_free(WRAP(BARE_V1), v);
    expect_no_bit_is_free(BARE_V1, v);
    expect_no_bit_is_free(WRAP(BARE_V2), v);
    expect_no_bit_is_free(BARE_V2_OLD, v);
}

static void no_text_can_be_cut(void **state)
{
    (void)state;
    char text[512];
    for (size_t n = 0; n < strlen(WRAP(BARE_V2)); n++) {
        _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(4096);
        memcpy(text, WRAP(BARE_V2), n);
        text[n] = '\0';
        assert_int_equal(open_text(RECORD, text, &plain, NULL), -EBADMSG);
    }
}

static void expect_closed(struct vault *v, const char *record, const char *sealed)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(4096);
    assert_int_equal(vault_unseal(v, record, sealed, &plain, NULL), -EBADMSG);
    assert_int_equal(plain.len, 0);
}

static void another_key_opens_nothing(void **state)
{
    (void)state;
    _cleanup_(vault_closeP) struct vault *other = vault_with("k1", THIRD_KEY, "old.1=" THIRD_KEY, "v2");
    expect_closed(other, RECORD, WRAP(BARE_V1));
    expect_closed(other, RECORD, WRAP(BARE_V2));
    expect_closed(other, RECORD, WRAP(BARE_V2_OLD));
    _cleanup_(vault_closeP) struct vault *renamed = vault_with("k9", KEY, NULL, "v2");
    expect_closed(renamed, RECORD, WRAP(BARE_V2)); /* v2 goes by the name */
}

static void v2_opens_for_its_own_record_alone(void **state)
{
    (void)state;
    _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, NULL, "v2");
    expect_closed(v, OTHER_RECORD, WRAP(BARE_V2));
    expect_closed(v, "", WRAP(BARE_V2));
    _cleanup_buf_ struct buf sealed = BUF_INIT(VAULT_SEALED_MAX);
    assert_int_equal(vault_seal(v, OTHER_RECORD, PLAIN, strlen(PLAIN), &sealed), 0);
    expect_closed(v, RECORD, sealed.data);
}

static void a_full_target_is_told(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(10), sealed = BUF_INIT(10);
    _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, NULL, "v1");
    assert_int_equal(vault_unseal(v, RECORD, WRAP(BARE_V1), &plain, NULL), -ENOBUFS);
    assert_int_equal(plain.len, 0);
    assert_int_equal(vault_seal(v, RECORD, PLAIN, strlen(PLAIN), &sealed), -ENOBUFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_node_sealed_opens),
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(one_byte_and_very_many),
        cmocka_unit_test(no_bit_can_change),
        cmocka_unit_test(no_text_can_be_cut),
        cmocka_unit_test(another_key_opens_nothing),
        cmocka_unit_test(v2_opens_for_its_own_record_alone),
        cmocka_unit_test(a_full_target_is_told),
    };
    return cmocka_run_group_tests_name("vault/vault", tests, NULL, NULL);
}
