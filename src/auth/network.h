/* SPDX-License-Identifier: MIT */
/* Whether a client address is in a list of networks, as in a Directus policy's `ip_access`. Pure. */
#ifndef AUTH_NETWORK_H
#define AUTH_NETWORK_H

#include <stdbool.h>

/* list: comma separated IPv4 or IPv6 addresses, networks (10.0.0.0/8) and ranges (10.0.0.1-10.0.0.9). An IPv4
 * address and its IPv4-mapped IPv6 form are the same. A malformed item matches nothing; an unknown address is
 * in no list. */
bool network_list_has(const char *list, const char *address);

#endif
