/* SPDX-License-Identifier: MIT */
#include "base/address.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *ip, *network;
} cases[] = {
    {"10.0.0.1", "10.0.0.1"},
    {"::ffff:10.0.0.1", "10.0.0.1"},
    {"::ffff:a00:1", "10.0.0.1"},
    {"2001:db8:1:2:3:4:5:6", "20010db800010002"},
    {"2001:DB8:1:2::", "20010db800010002"},
    {"2001:db8:1:3::", "20010db800010003"},
    {"::1", "0000000000000000"},
    {"", ""},
    {"no address", "no address"},
};

static void addresses_count_by_their_network(void **state)
{
    char got[ADDRESS_NETWORK_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        address_network(cases[i].ip, got);
        assert_string_equal(got, cases[i].network);
    }
    address_network(NULL, got);
    assert_string_equal(got, "");
}

static void a_long_text_is_cut(void **state)
{
    char got[ADDRESS_NETWORK_SIZE], text[200];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    address_network(text, got);
    assert_int_equal(strlen(got), ADDRESS_NETWORK_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_count_by_their_network),
        cmocka_unit_test(a_long_text_is_cut),
    };
    return cmocka_run_group_tests_name("base/address", tests, NULL, NULL);
}
