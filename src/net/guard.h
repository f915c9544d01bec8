/* SPDX-License-Identifier: MIT */
/* The URL guard: which addresses outgoing requests on behalf of a user may reach. Only http and https; every
 * address that is really connected to must be public (no loopback, private, link-local, unique local, carrier
 * NAT, multicast, documentation or metadata address, also not inside an IPv4-mapped, 6to4 or NAT64 one). The
 * check happens on the socket's address itself, so a name that resolves differently the second time gains
 * nothing. Thread-safe. */
#ifndef NET_GUARD_H
#define NET_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether an address is a public unicast one. */
bool guard_address_is_public(const struct sockaddr *address);

/* Checks the form of a URL: http or https, a host, no user info, at most 2,048 bytes. 0 or -EINVAL; ret_host
 * (may be NULL, else of 256 bytes) gets the host in lower case without brackets. */
int guard_parse_url(const char *url, char *ret_host);

/* ALLOW_PRIVATE_URLS, for guard_check_url: once, at the start of the process, before there are threads. */
void guard_allow_private(bool allow);

/* What can be said of a user's URL where it comes in, without looking anything up: 0; -EINVAL it is not of
 * good form; -EACCES its host is written as an address that isn't public, in whatever way (2130706433), or is
 * "localhost" or below. What a name leads to is checked when it is connected to. */
int guard_check_url(const char *url);

/* Who a URL (of good form) speaks to, as lists of hosts name it: the host in lower case (IPv6 in brackets),
 * and
 * ":port" where that isn't the scheme's own. ret: GUARD_AUTHORITY_SIZE bytes. 0 or -EINVAL. */
#define GUARD_AUTHORITY_SIZE 272
int guard_authority(const char *url, char *ret);

#endif
