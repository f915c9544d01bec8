/* SPDX-License-Identifier: MIT */
/* Where a host's name leads, for URLs that somebody else than us will open (a remote browser): what we fetch
 * ourselves is checked on the socket instead (net/guard.h). */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "base/cancel.h"

#define RESOLVE_TIMEOUT_MS 10000

/* Whether every address of a host (a name, or an address without brackets; at most 255 bytes) is public.
 * 0; -EACCES one is not; -ENOENT it has none; -ETIMEDOUT; -ECANCELED soon (100 ms) after cancel is raised;
 * -ENOMEM. Thread-safe. */
int resolve_all_public(const char *host, struct cancel *cancel);

#endif
