/* SPDX-License-Identifier: MIT */
#include "auth/network.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *address;
        bool in;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"192.168.1.128/25", "192.168.1.129", true},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"10.0.0.1", "::ffff:10.0.0.1", true},
        {"::ffff:10.0.0.0/104", "10.9.9.9", true},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"10.0.0.0/-1", "10.0.0.0", false},
        {"10.0.0.0/", "10.0.0.0", false},
        {"2001:db8::/32", "2001:db8:1::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"::/0", "2001:db9::1", true},
        {"10.0.0.5-10.0.0.9", "10.0.0.7", true},
        {"10.0.0.5-10.0.0.9", "10.0.0.10", false},
        {"10.0.0.9-10.0.0.5", "10.0.0.7", false},
        {"nonsense, 10.0.0.1 ,x/8", "10.0.0.1", true},
        {"nonsense", "10.0.0.1", false},
        {"", "10.0.0.1", false},
        {"10.0.0.1", "", false},
        {"10.0.0.1", "somewhere", false},
        {"10.0.0.1", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (network_list_has(cases[i].list, cases[i].address) != cases[i].in)
            fail_msg("%s in \"%s\" is not %d", cases[i].address ? cases[i].address : "NULL", cases[i].list,
                     cases[i].in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
