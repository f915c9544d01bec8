/* SPDX-License-Identifier: MIT */
#include "base/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void address_network(const char *ip, char ret[ADDRESS_NETWORK_SIZE])
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    unsigned char v6[16];
    if (!ip || inet_pton(AF_INET6, ip, v6) != 1)
        (void)snprintf(ret, ADDRESS_NETWORK_SIZE, "%s", ip ? ip : "");
    else if (memcmp(v6, mapped, sizeof mapped) == 0)
        (void)inet_ntop(AF_INET, v6 + sizeof mapped, ret, ADDRESS_NETWORK_SIZE);
    else
        hex_encode(v6, 8, ret);
}
