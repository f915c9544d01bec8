/* SPDX-License-Identifier: MIT */
#include "http/client_address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PROXIES "127.0.0.1, ::1,10.0.0.2,2001:db8::2"

static const struct {
    const char *peer, *trusted, *forwarded, *client;
} walks[] = {
    {"9.9.9.9", PROXIES, NULL, "9.9.9.9"},
    {"9.9.9.9", PROXIES, "1.1.1.1", "9.9.9.9"}, /* not from a proxy: not believed */
    {"127.0.0.1", PROXIES, NULL, "127.0.0.1"},
    {"127.0.0.1", PROXIES, "", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1", "1.1.1.1"},
    {"127.0.0.1", PROXIES, " 1.1.1.1\t", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "6.6.6.6, 1.1.1.1", "1.1.1.1"}, /* the client made the first up */
    {"127.0.0.1", PROXIES, "1.1.1.1, 10.0.0.2", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1,10.0.0.2,::1", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "10.0.0.2", "10.0.0.2"}, /* the proxy itself asks */
    {"127.0.0.1", PROXIES, "6.6.6.6, unknown, 10.0.0.2",
     "10.0.0.2"}, /* malformed: the last good one counts */
    {"127.0.0.1", PROXIES, "6.6.6.6,,10.0.0.2", "10.0.0.2"},
    {"127.0.0.1", PROXIES, "6.6.6.6,", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "nonsense", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1:8080", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1:port", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1:", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1:70000", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1:-1", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "1.1.1.256", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "2001:DB8:0:0::1", "2001:db8::1"},
    {"127.0.0.1", PROXIES, "[2001:db8::1]", "2001:db8::1"},
    {"127.0.0.1", PROXIES, "[2001:db8::1]:443", "2001:db8::1"},
    {"127.0.0.1", PROXIES, "[2001:db8::1", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "[2001:db8::1]x", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "[1.1.1.1]", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "2001:db8::1%eth0", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "::ffff:1.1.1.1", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "[::ffff:1.1.1.1]:80", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "1.1.1.1, 2001:db8:0::2", "1.1.1.1"}, /* trusted in another spelling */
    {"127.0.0.1", PROXIES, "1.1.1.1, ::ffff:10.0.0.2", "1.1.1.1"},
    {"127.0.0.1", PROXIES, "\"1.1.1.1\"", "127.0.0.1"},
    {"127.0.0.1", PROXIES, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "127.0.0.1"},
    {"127.0.0.1", "none", "1.1.1.1", "127.0.0.1"},
    {"127.0.0.1", "", "1.1.1.1", "127.0.0.1"},
    {"127.0.0.1", NULL, "1.1.1.1", "127.0.0.1"},
    {"::1", PROXIES, "1.1.1.1", "1.1.1.1"},
    {"", PROXIES, "1.1.1.1", ""},
};

static void the_walk_over_forwarded_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
        struct arena a;
        arena_init(&a, 65536);
        const char *found = client_address(&a, walks[i].peer, walks[i].trusted, walks[i].forwarded);
        if (strcmp(found, walks[i].client) != 0)
            fail_msg("%s, \"%s\": %s instead of %s", walks[i].peer, walks[i].forwarded, found,
                     walks[i].client);
        arena_free(&a);
    }
}

static void addresses_of_sockets_as_text(void **state)
{
    static const char *const cases[][2] = {{"2001:db8::1", "2001:db8::1"},
                                           {"::1", "::1"},
                                           {"::ffff:1.2.3.4", "1.2.3.4"},
                                           {"::1.2.3.4", "::1.2.3.4"},
                                           {"::", "::"}};
    struct arena a;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000001)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    (void)state;
    arena_init(&a, 4096);
    assert_string_equal(address_text(&a, (struct sockaddr *)&v4), "127.0.0.1");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(inet_pton(AF_INET6, cases[i][0], &v6.sin6_addr), 1);
        assert_string_equal(address_text(&a, (struct sockaddr *)&v6), cases[i][1]);
    }
    assert_string_equal(address_text(&a, &other), "");
    assert_string_equal(address_text(&a, NULL), "");
    arena_free(&a);
}

static void trust_is_by_whole_address(void **state)
{
    (void)state;
    assert_true(address_is_trusted(PROXIES, "10.0.0.2"));
    assert_false(address_is_trusted(PROXIES, "10.0.0.20"));
    assert_false(address_is_trusted(PROXIES, "0.0.0.2"));
    assert_false(address_is_trusted(PROXIES, ""));
    assert_false(address_is_trusted("none", "none"));
    assert_false(address_is_trusted(NULL, "127.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_walk_over_forwarded_addresses),
        cmocka_unit_test(addresses_of_sockets_as_text),
        cmocka_unit_test(trust_is_by_whole_address),
    };
    return cmocka_run_group_tests_name("http/client_address", tests, NULL, NULL);
}
