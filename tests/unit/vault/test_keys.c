/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>

static void expect_refusal(struct config cfg, const char *begins, const char *holds)
{
    struct vault *v = NULL;
    char why[256] = "";
    if (!cfg.credentials_key_id)
        cfg.credentials_key_id = "k1";
    assert_int_equal(vault_open(&cfg, &v, why, sizeof why), -EINVAL);
    assert_null(v);
    if (!str_has_prefix(why, begins) || !strstr(why, holds))
        fail_msg("'%s' doesn't begin with %s and hold '%s'", why, begins, holds);
    assert_null(strstr(why, "AAEC")); /* no part of a key */
}

static void a_key_is_32_bytes_in_base64(void **state)
{
    (void)state;
    static const char *const wrong[] = {"short",
                                        "AAECAwQFBgcICQoLDA0ODw==",
                                        KEY "AAAA",
                                        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                                        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
                                        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect_refusal((struct config){.credentials_enc_key_b64 = wrong[i]}, "CREDENTIALS_ENC_KEY_B64 ",
                       "32 bytes");
}

static void ids_have_a_form(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "a:b", "a b", "ü", "123456789012345678901234567890123"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect_refusal((struct config){.credentials_enc_key_b64 = KEY, .credentials_key_id = wrong[i]},
                       "CREDENTIALS_KEY_ID ", "letters");
}

static void old_keys_have_a_form(void **state)
{
    (void)state;
    static const struct {
        const char *list, *holds;
    } wrong[] = {
        {OLD_KEY, "keyId=base64"},       {"=" OLD_KEY, "keyId=base64"},
        {"old", "keyId=base64"},         {"old=", "32 bytes"},
        {"old=AAEC", "32 bytes"},        {"k1=" OLD_KEY, "already"},
        {"a=" KEY ",a=" KEY, "already"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect_refusal((struct config){.credentials_enc_key_b64 = KEY, .credentials_old_keys = wrong[i].list},
                       "CREDENTIALS_OLD_KEYS ", wrong[i].holds);
}

static void sixteen_old_keys_and_no_more(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf list = BUF_INIT(4096);
    for (int i = 0; i < 16; i++)
        assert_int_equal(buf_addf(&list, "o%d=%s,", i, OLD_KEY), 0);
    vault_close(vault_with("k1", KEY, list.data, "v1"));
    assert_int_equal(buf_addf(&list, "o16=%s", OLD_KEY), 0);
    expect_refusal((struct config){.credentials_enc_key_b64 = KEY, .credentials_old_keys = list.data},
                   "CREDENTIALS_OLD_KEYS ", "16");
}

static void without_a_key_there_is_no_vault(void **state)
{
    (void)state;
    struct vault *v = (struct vault *)(uintptr_t)1;
    char why[256];
    assert_int_equal(vault_open(&(struct config){.credentials_key_id = "k1"}, &v, why, sizeof why), 0);
    assert_null(v);
    v = NULL;
    expect_refusal((struct config){.credentials_old_keys = "old=" OLD_KEY}, "CREDENTIALS_OLD_KEYS ",
                   "CREDENTIALS_ENC_KEY_B64 is not");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_32_bytes_in_base64),
        cmocka_unit_test(ids_have_a_form),
        cmocka_unit_test(old_keys_have_a_form),
        cmocka_unit_test(sixteen_old_keys_and_no_more),
        cmocka_unit_test(without_a_key_there_is_no_vault),
    };
    return cmocka_run_group_tests_name("vault/keys", tests, NULL, NULL);
}
