/* SPDX-License-Identifier: MIT */
/* A way to the test's PostgreSQL that can be blocked: it passes bytes on until it is told otherwise. */
#ifndef TESTS_UNIT_DB_PG_PROXY_H
#define TESTS_UNIT_DB_PG_PROXY_H

#include <stddef.h>

struct pg_proxy;

enum pg_way {
    WAY_OPEN,
    WAY_FROZEN, /* nothing passes, nothing is closed: as when the server hangs */
    WAY_CLOSED, /* every connection is cut, new ones as well: as when it is stopped */
};

/* socket_path: where the server listens. */
struct pg_proxy *pg_proxy_start(const char *socket_path);
void pg_proxy_stop(struct pg_proxy *p);
int pg_proxy_port(const struct pg_proxy *p);

/* What is on its way is passed on before the way is frozen or closed. */
void pg_proxy_set(struct pg_proxy *p, enum pg_way way);

/* Cuts, once, the connection whose client sends bytes with this text in them (it lives until then): before
 * the server sees them, or after it has answered, the answer being lost. */
void pg_proxy_cut_at(struct pg_proxy *p, const char *text, int after);

/* How often that has happened. */
int pg_proxy_cuts(const struct pg_proxy *p);

#endif
