/* SPDX-License-Identifier: MIT */
/* Every address is compared as 16 bytes, IPv4 in its mapped form. */
#include "auth/network.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define ITEM_MAX (2 * INET6_ADDRSTRLEN)

struct address {
    unsigned char bytes[16];
    bool v4;
};

static int parse_address(const char *text, struct address *ret)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    struct address a = {0};
    if (inet_pton(AF_INET, text, a.bytes + sizeof mapped) == 1) {
        memcpy(a.bytes, mapped, sizeof mapped);
        a.v4 = true;
    } else if (inet_pton(AF_INET6, text, a.bytes) != 1) {
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

static bool same_prefix(const struct address *a, const struct address *b, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(a->bytes, b->bytes, (size_t)whole) != 0)
        return false;
    return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0;
}

static bool in_network(const char *network, const char *bits_text, const struct address *who)
{
    struct address net;
    int64_t bits;
    if (parse_address(network, &net) < 0 || parse_int(bits_text, 0, net.v4 ? 32 : 128, &bits) < 0)
        return false;
    return same_prefix(&net, who, (int)bits + (net.v4 ? 96 : 0));
}

static bool in_range(const char *first, const char *last, const struct address *who)
{
    struct address low, high;
    if (parse_address(first, &low) < 0 || parse_address(last, &high) < 0)
        return false;
    return memcmp(low.bytes, who->bytes, 16) <= 0 && memcmp(who->bytes, high.bytes, 16) <= 0;
}

static bool item_has(char *item, const struct address *who)
{
    char *slash = strchr(item, '/'), *dash = strchr(item, '-'), *cut = slash ? slash : dash;
    if (!cut)
        return in_range(item, item, who);
    *cut = '\0';
    return slash ? in_network(item, cut + 1, who) : in_range(item, cut + 1, who);
}

bool network_list_has(const char *list, const char *address)
{
    struct address who;
    const char *item;
    size_t len;
    if (!address || parse_address(address, &who) < 0)
        return false;
    while (list_next(&list, &item, &len)) {
        char copy[ITEM_MAX + 1];
        if (len > ITEM_MAX)
            continue;
        memcpy(copy, item, len);
        copy[len] = '\0';
        if (item_has(copy, &who))
            return true;
    }
    return false;
}
