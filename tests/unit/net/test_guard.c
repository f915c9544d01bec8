/* SPDX-License-Identifier: MIT */
#include "net/guard.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static bool is_public(const char *text)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *in4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
        storage.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
        storage.ss_family = AF_INET6;
    }
    return guard_address_is_public((struct sockaddr *)&storage);
}

static const char *const refused[] = {
    /* IPv4: first and last of each block */
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    /* IPv6 */
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff00::",
    "ff02::1",
    "ffff::1",
    "100::1",
    "4000::1",
    "8000::1",
    "5f00::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "64:ff9b:1::1",
    "64:ff9a::808:808",
    "1fff::1",
    /* IPv4 inside IPv6 */
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:255.255.255.255",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b::192.168.1.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::1",
    "2002::1",
    "2002:ffff:ffff::1",
    "2002:6440:1::1",
};

static const char *const let_through[] = {
    "1.1.1.1",         "8.8.8.8",         "9.255.255.255",    "11.0.0.0",        "100.63.255.255",
    "100.128.0.0",     "126.255.255.255", "128.0.0.1",        "168.63.129.15",   "168.63.129.17",
    "169.253.255.255", "169.255.0.0",     "172.15.255.255",   "172.32.0.0",      "192.0.1.0",
    "192.0.3.0",       "192.88.98.255",   "192.88.100.0",     "192.167.255.255", "192.169.0.0",
    "198.17.255.255",  "198.20.0.0",      "198.51.99.255",    "198.51.101.0",    "203.0.112.255",
    "203.0.114.0",     "223.255.255.255", "2000::1",          "2001:200::1",     "2001:4860:4860::8888",
    "2001:db7::1",     "2001:db9::1",     "2003::1",          "2606:4700::1111", "3ffe::1",
    "3fff:1000::1",    "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "2002:808:808::1",
};

static void addresses_that_are_not_public_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (is_public(refused[i]))
            fail_msg("%s was let through", refused[i]);
}

static void public_addresses_are_let_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(let_through); i++)
        if (!is_public(let_through[i]))
            fail_msg("%s was refused", let_through[i]);
}

static void other_families_are_refused(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_false(guard_address_is_public((struct sockaddr *)&local));
    struct sockaddr_storage none = {.ss_family = AF_UNSPEC};
    assert_false(guard_address_is_public((struct sockaddr *)&none));
}

static const struct {
    const char *url;
    const char *host; /* NULL = refused */
} urls[] = {
    {"http://example.com", "example.com"},
    {"HTTPS://Example.COM:8443/a?b#c", "example.com"},
    {"http://example.com./", "example.com."},
    {"http://[2606:4700::1111]/", "2606:4700::1111"},
    {"http://[::FFFF:7f00:1]:80/", "::ffff:7f00:1"},
    {"http://a?@b/", "a"},
    {"http://a#@b/", "a"},
    /* odd spellings of 127.0.0.1 are what they are: the socket's address decides */
    {"http://2130706433/", "127.0.0.1"},
    {"http://0x7f.1/", "127.0.0.1"},
    {"http://017700000001/", "127.0.0.1"},
    {"http://%31%32%37.0.0.1/", "127.0.0.1"},
    {"", NULL},
    {"example.com/x", NULL},
    {"//example.com", NULL},
    {"http:example.com", NULL},
    {"http:/example.com", NULL},
    {"http:///example.com", NULL},
    {"http://", NULL},
    {"http://:80/", NULL},
    {"http://user@example.com/", NULL},
    {"http://user:secret@example.com/", NULL},
    {"http://@example.com/", NULL},
    {"http://example.com\\@127.0.0.1/", NULL},
    {"http://exa mple.com/", NULL},
    {"http://example.com/ x", NULL},
    {"http://example.com/\r\nHost: x", NULL},
    {" http://example.com/", NULL},
    {"http://example.com:99999/", NULL},
    {"http://[::1", NULL},
    {"http://[1.2.3.4]/", NULL},
    {"file:///etc/passwd", NULL},
    {"ftp://example.com/", NULL},
    {"gopher://example.com/", NULL},
    {"dict://example.com/", NULL},
    {"javascript:alert(1)", NULL},
    {"httpx://example.com/", NULL},
};

static void urls_have_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        char host[256] = "";
        int r = guard_parse_url(urls[i].url, host);
        if ((r == 0) != (urls[i].host != NULL))
            fail_msg("%s gave %d", urls[i].url, r);
        if (r == 0)
            assert_string_equal(host, urls[i].host);
    }
}

static void long_urls_and_hosts_are_refused(void **state)
{
    (void)state;
    char url[2100] = "http://example.com/";
    size_t len = strlen(url);
    memset(url + len, 'a', sizeof url - len - 1);
    url[2048] = '\0';
    assert_int_equal(guard_parse_url(url, NULL), 0);
    url[2048] = 'a';
    url[2049] = '\0';
    assert_int_equal(guard_parse_url(url, NULL), -EINVAL);
    char host[400] = "http://";
    memset(host + 7, 'a', 300);
    assert_int_equal(guard_parse_url(host, NULL), -EINVAL);
}

static void who_a_url_speaks_to(void **state)
{
    static const struct {
        const char *url, *authority; /* NULL: refused */
    } cases[] = {
        {"http://Example.com/x", "example.com"},
        {"https://example.com:443/", "example.com"},
        {"http://example.com:443/", "example.com:443"},
        {"https://example.com:8443", "example.com:8443"},
        {"http://127.1:080/", "127.0.0.1"},
        {"http://[2001:DB8::1]/", "[2001:db8::1]"},
        {"http://[2001:db8::1]:81/", "[2001:db8::1]:81"},
        {"http://example.com.:80/", "example.com."},
        {"http://u@example.com/", NULL},
        {"http://example.com:x/", NULL},
        {"ftp://example.com/", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char authority[GUARD_AUTHORITY_SIZE] = "";
        int r = guard_authority(cases[i].url, authority);
        assert_int_equal(r, cases[i].authority ? 0 : -EINVAL);
        if (cases[i].authority)
            assert_string_equal(authority, cases[i].authority);
    }
}

static void what_a_url_says_itself_is_checked_where_it_comes_in(void **state)
{
    static const struct {
        const char *url;
        int r;
    } cases[] = {
        {"https://example.com/a", 0},
        {"http://93.184.216.34:8080/", 0},
        {"http://[2606:2800:220:1::1]/", 0},
        {"http://localhost.example.com/", 0},
        {"ftp://example.com/", -EINVAL},
        {"file:///etc/passwd", -EINVAL},
        {"http://u:p@example.com/", -EINVAL},
        {"http://127.0.0.1/", -EACCES},
        {"http://2130706433/", -EACCES},
        {"http://0x7f.1/", -EACCES},
        {"http://0177.0.0.1:8055/", -EACCES},
        {"http://10.0.0.1/", -EACCES},
        {"http://169.254.169.254/latest/meta-data/", -EACCES},
        {"http://[::1]/", -EACCES},
        {"http://[::ffff:127.0.0.1]/", -EACCES},
        {"http://[fd00::1]/", -EACCES},
        {"http://localhost:3001/", -EACCES},
        {"http://LocalHost./", -EACCES},
        {"http://any.localhost/", -EACCES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(guard_check_url(cases[i].url), cases[i].r);
    guard_allow_private(true);
    assert_int_equal(guard_check_url("http://127.0.0.1/"), 0);
    assert_int_equal(guard_check_url("file:///etc/passwd"), -EINVAL);
    guard_allow_private(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_are_not_public_are_refused),
        cmocka_unit_test(public_addresses_are_let_through),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(urls_have_one_form),
        cmocka_unit_test(long_urls_and_hosts_are_refused),
        cmocka_unit_test(who_a_url_speaks_to),
        cmocka_unit_test(what_a_url_says_itself_is_checked_where_it_comes_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
