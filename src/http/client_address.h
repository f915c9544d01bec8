/* SPDX-License-Identifier: MIT */
/* Private to src/http. Whose address a request comes from: the socket's, or, from a trusted proxy, the
 * right-most address of X-Forwarded-For that is not itself a trusted proxy. The walk ends at the first
 * malformed entry, where the last good address counts. Pure. */
#ifndef HTTP_CLIENT_ADDRESS_H
#define HTTP_CLIENT_ADDRESS_H

#include "base/arena.h"

#include <stdbool.h>
#include <sys/socket.h>

/* The text of a socket address (IPv4-mapped IPv6 as IPv4) in the arena; "" if unknown, NULL without
 * memory. */
const char *address_text(struct arena *a, const struct sockaddr *address);

/* trusted: the TRUSTED_PROXIES list. forwarded: X-Forwarded-For or NULL. Result in the arena, or `peer`
 * itself. */
const char *client_address(struct arena *a, const char *peer, const char *trusted, const char *forwarded);

/* Whether an address (text) is in the list of trusted proxies. */
bool address_is_trusted(const char *trusted, const char *address);

#endif
