/* SPDX-License-Identifier: MIT */
#include "http/client_address.h"

#include "base/config.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define ADDRESS_MAX INET6_ADDRSTRLEN

const char *address_text(struct arena *a, const struct sockaddr *address)
{
    char text[ADDRESS_MAX] = "";
    if (address && address->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else if (address && address->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    return arena_strdup(a, str_has_prefix(text, "::ffff:") && strchr(text, '.') ? text + 7 : text);
}

bool address_is_trusted(const char *trusted, const char *address)
{
    return !str_equal_nocase(trusted, "none") && config_list_has(trusted, address);
}

/* Whether s is ":<port>" or nothing. */
static bool is_port(const char *s)
{
    int64_t port;
    return *s == '\0' || (*s == ':' && s[1] != '-' && parse_int(s + 1, 0, 65535, &port) == 0);
}

static const char *canonical_v4(struct arena *a, char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char *port = text + strcspn(text, ":");
    if (!is_port(port))
        return NULL;
    *port = '\0';
    return inet_pton(AF_INET, text, &address.sin_addr) == 1 ? address_text(a, (struct sockaddr *)&address)
                                                            : NULL;
}

static const char *canonical_v6(struct arena *a, char *text)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    if (text[0] == '[') {
        char *end = strchr(++text, ']');
        if (!end || !is_port(end + 1))
            return NULL;
        *end = '\0';
    }
    return inet_pton(AF_INET6, text, &address.sin6_addr) == 1 ? address_text(a, (struct sockaddr *)&address)
                                                              : NULL;
}

/* The canonical form of one entry: an IPv4 address, an IPv6 address, or either with a port (IPv6 then in
 * brackets); NULL when malformed. */
static const char *canonical(struct arena *a, const char *entry, size_t len)
{
    char text[ADDRESS_MAX + 10];
    if (len == 0 || len >= sizeof text)
        return NULL;
    memcpy(text, entry, len);
    text[len] = '\0';
    size_t digits = strspn(text, "0123456789");
    return text[digits] == '.' ? canonical_v4(a, text) : canonical_v6(a, text);
}

const char *client_address(struct arena *a, const char *peer, const char *trusted, const char *forwarded)
{
    const char *found = peer;
    size_t end = forwarded ? strlen(forwarded) : 0;
    while (end > 0 && address_is_trusted(trusted, found)) {
        size_t begin = end;
        while (begin > 0 && forwarded[begin - 1] != ',')
            begin--;
        const char *entry = forwarded + begin;
        size_t len = end - begin;
        for (; len > 0 && (*entry == ' ' || *entry == '\t'); entry++)
            len--;
        while (len > 0 && (entry[len - 1] == ' ' || entry[len - 1] == '\t'))
            len--;
        const char *next = canonical(a, entry, len);
        if (!next)
            break;
        found = next;
        end = begin > 0 ? begin - 1 : 0;
    }
    return found;
}
