/* SPDX-License-Identifier: MIT */
/* Tables of prefixes, after the IANA registries of special-purpose addresses. IPv4 is public unless listed;
 * IPv6 is public only inside 2000::/3, less what is listed there. Where an IPv6 form carries an IPv4 address,
 * that one counts. URLs are read by curl's own parser, so that what is checked is what will be connected to.
 */
#include "net/guard.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define URL_MAX 2048
#define HOST_MAX 255

struct prefix4 {
    uint8_t bytes[4];
    int bits;
};

static const struct prefix4 special4[] = {
    {{0, 0, 0, 0}, 8},        /* this network */
    {{10, 0, 0, 0}, 8},       /* private */
    {{100, 64, 0, 0}, 10},    /* carrier NAT, and a metadata address */
    {{127, 0, 0, 0}, 8},      /* loopback */
    {{168, 63, 129, 16}, 32}, /* a cloud's host agent on a public number */
    {{169, 254, 0, 0}, 16},   /* link-local and metadata */
    {{172, 16, 0, 0}, 12},    /* private */
    {{192, 0, 0, 0}, 24},     /* protocol assignments, and a metadata address */
    {{192, 0, 2, 0}, 24},     /* documentation */
    {{192, 88, 99, 0}, 24},   /* 6to4 relays */
    {{192, 168, 0, 0}, 16},   /* private */
    {{198, 18, 0, 0}, 15},    /* benchmarks */
    {{198, 51, 100, 0}, 24},  /* documentation */
    {{203, 0, 113, 0}, 24},   /* documentation */
    {{224, 0, 0, 0}, 4},      /* multicast */
    {{240, 0, 0, 0}, 4},      /* reserved, broadcast */
};

struct prefix6 {
    uint8_t bytes[12];
    int bits;
    int embedded; /* offset of the IPv4 address that decides; -1 = none, refused */
};

static const struct prefix6 special6[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 96, 12}, /* IPv4-mapped */
    {{0, 0x64, 0xFF, 0x9B}, 96, 12},                      /* NAT64 */
    {{0x20, 0x02}, 16, 2},                                /* 6to4 */
    {{0x20, 0x01, 0, 0}, 23, -1},       /* protocol assignments: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0D, 0xB8}, 32, -1}, /* documentation */
    {{0x3F, 0xFF, 0x00}, 20, -1},       /* documentation */
};

static bool in_prefix(const uint8_t *address, const uint8_t *prefix, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, (size_t)whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static bool public4(const uint8_t *address)
{
    for (size_t i = 0; i < ARRAY_LEN(special4); i++)
        if (in_prefix(address, special4[i].bytes, special4[i].bits))
            return false;
    return true;
}

static bool public6(const uint8_t *address)
{
    for (size_t i = 0; i < ARRAY_LEN(special6); i++) {
        const struct prefix6 *p = &special6[i];
        if (in_prefix(address, p->bytes, p->bits))
            return p->embedded >= 0 && public4(address + p->embedded);
    }
    return address[0] >> 5 == 1;
}

bool guard_address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, address, sizeof in4);
        return public4((const uint8_t *)&in4.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        return public6(in6.sin6_addr.s6_addr);
    }
    return false;
}

static void curl_freeP(char **p)
{
    curl_free(*p);
}

DEFINE_CLEANUP(CURLU *, curl_url_cleanup);

/* curl takes one to three slashes after the scheme; exactly two are a URL. */
static bool has_web_scheme(const char *url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(url, schemes[i], len) == 0)
            return url[len] != '/';
    }
    return false;
}

static void copy_host(const char *host, char *ret_host)
{
    size_t len = strlen(host);
    bool bracketed = host[0] == '[' && host[len - 1] == ']';
    memcpy(ret_host, host + bracketed, len - 2 * bracketed);
    ret_host[len - 2 * bracketed] = '\0';
    str_lower(ret_host);
}

/* A URL of good form, read, and its host (the caller's to curl_free). */
static int read_url(const char *url, CURLU *parsed, char **ret_host)
{
    if (!parsed || !has_web_scheme(url) || strnlen(url, URL_MAX + 1) > URL_MAX)
        return -EINVAL;
    if (curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, ret_host, 0) != CURLUE_OK)
        return -EINVAL;
    return (*ret_host)[0] == '\0' || strlen(*ret_host) > HOST_MAX ? -EINVAL : 0;
}

int guard_authority(const char *url, char *ret)
{
    _cleanup_(curl_url_cleanupP) CURLU *parsed = curl_url();
    _cleanup_(curl_freeP) char *host = NULL, *port = NULL;
    int r = read_url(url, parsed, &host);
    if (r < 0)
        return r;
    CURLUcode found = curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
    if (found != CURLUE_OK && found != CURLUE_NO_PORT)
        return -EINVAL;
    int len = snprintf(ret, GUARD_AUTHORITY_SIZE, "%s%s%s", host, port ? ":" : "", port ? port : "");
    str_lower(ret);
    return len < GUARD_AUTHORITY_SIZE ? 0 : -EINVAL;
}

int guard_parse_url(const char *url, char *ret_host)
{
    _cleanup_(curl_url_cleanupP) CURLU *parsed = curl_url();
    _cleanup_(curl_freeP) char *host = NULL;
    int r = read_url(url, parsed, &host);
    if (r < 0)
        return r;
    if (ret_host)
        copy_host(host, ret_host);
    return 0;
}

/* ---- where a URL comes in */

static bool private_allowed; /* set before threads start */

void guard_allow_private(bool allow)
{
    private_allowed = allow;
}

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host), tail = sizeof name - 1;
    if (len > 0 && host[len - 1] == '.')
        len--;
    return len >= tail && strncmp(host + len - tail, name, tail) == 0 &&
           (len == tail || host[len - tail - 1] == '.');
}

/* A name has no address here; what is one is read as connect() would. */
static bool is_private_address(const char *host)
{
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return false;
    bool found = false;
    for (const struct addrinfo *at = list; at; at = at->ai_next)
        found = found || !guard_address_is_public(at->ai_addr);
    freeaddrinfo(list);
    return found;
}

int guard_check_url(const char *url)
{
    char host[HOST_MAX + 1];
    int r = guard_parse_url(url, host);
    if (r < 0 || private_allowed)
        return r;
    return is_localhost(host) || is_private_address(host) ? -EACCES : 0;
}
