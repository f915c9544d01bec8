/* SPDX-License-Identifier: MIT */
/* IP addresses as texts. Pure. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#define ADDRESS_NETWORK_SIZE 46

/* Under what an address is counted, for limits: an IPv4 address (also one in IPv6's mapped form) by itself,
 * an IPv6 address by its /64, as 16 hex digits, since whoever has one address there has them all. What is no
 * address, and NULL as "", is taken as it is, cut to the size. */
void address_network(const char *ip, char ret[ADDRESS_NETWORK_SIZE]);

#endif
