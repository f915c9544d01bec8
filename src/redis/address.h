/* SPDX-License-Identifier: MIT */
/* The address of a Redis as REDIS_URL gives it: redis://[user[:password]@]host[:port][/db]. Pure. */
#ifndef REDIS_ADDRESS_H
#define REDIS_ADDRESS_H

#include "base/arena.h"

struct redis_address {
    const char *host;     /* a name or an address, without brackets */
    const char *port;     /* "6379" unless the URL says another */
    const char *user;     /* NULL: the default user */
    const char *password; /* NULL: none is sent; a secret */
    int db;               /* 0 … 65535 */
};

/* Parts of `url`, in the arena; user and password may be percent-encoded. 0; -EINVAL with a sentence in
 * *ret_why that names no part of the URL, since it may hold a password; -ENOMEM. */
int redis_address_parse(const char *url, struct arena *a, struct redis_address *ret, const char **ret_why);

#endif
