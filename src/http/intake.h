/* SPDX-License-Identifier: MIT */
/* Private to src/http. The connection's side of a body that goes to a sink. Event thread. */
#ifndef HTTP_INTAKE_H
#define HTTP_INTAKE_H

#include "http/exchange.h"

/* A piece has arrived; *size becomes what is left of it. False: the connection must be cut. */
bool intake_take(struct http_exchange *x, const char *data, size_t *size);

enum intake { INTAKE_SETTLED, INTAKE_SLEEPS, INTAKE_CUT };

/* The body is whole. INTAKE_SETTLED: also where the request is refused now. */
enum intake intake_end(struct http_exchange *x);

/* The sink, if there is one, hears that this is over. */
void intake_close(struct http_exchange *x);

#endif
