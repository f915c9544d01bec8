/* SPDX-License-Identifier: MIT */
/* Where a host's name leads. What we fetch ourselves is checked on the socket (net/guard.h); this is for what
 * connects by an address that was checked before (net/proxy.h), and for URLs that somebody else than us will
 * open (a remote browser). */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "base/cancel.h"
#include "base/cleanup.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define RESOLVE_TIMEOUT_MS 10000
#define RESOLVE_MOST 32 /* addresses of a name; more are refused as if one weren't public */
#define RESOLVE_HOST_MAX 255

struct resolve_address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

struct resolve_answer {
    size_t n;
    struct resolve_address addresses[RESOLVE_MOST]; /* without a port */
};

/* Finds the addresses of a host (a name, or an address without brackets): 0, -ENOENT it has none, -E2BIG too
 * many. May block for as long as it likes, on a thread of its own, also after whoever asked has left. */
typedef int (*resolve_fn)(void *ctx, const char *host, struct resolve_answer *ret);

/* A look-up that runs. Its functions belong to the one who began it. */
struct resolve_lookup;

/* Begins one. how: NULL = the system's resolver. wake: an eventfd that is written once it has ended (it is
 * duplicated); -1 = none. 0; -ENOENT the host is too long; -ENOMEM; another negative errno. */
int resolve_begin(const char *host, resolve_fn how, void *ctx, int wake, struct resolve_lookup **ret);

/* What came of it: 0 (at least one address); -EAGAIN it runs; -ENOENT; -E2BIG. */
int resolve_result(struct resolve_lookup *lookup, struct resolve_answer *ret);

/* Leaves it, running or not. */
void resolve_drop(struct resolve_lookup *lookup);
DEFINE_CLEANUP(struct resolve_lookup *, resolve_drop);

/* Whether all of them are public. */
bool resolve_is_public(const struct resolve_answer *answer);

/* Whether every address of a host (a name, or an address without brackets; at most 255 bytes) is public.
 * 0; -EACCES one is not; -ENOENT it has none; -ETIMEDOUT; -ECANCELED soon (100 ms) after cancel is raised;
 * -ENOMEM. Thread-safe. */
int resolve_all_public(const char *host, struct cancel *cancel);

#endif
