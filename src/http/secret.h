/* SPDX-License-Identifier: MIT */
/* Private to src/http. Calls from server to server: the header X-RBAC-SYNC-SECRET, held against a setting in
 * constant time. A setting that is unset matches nothing. Whatever is sent must be right, the secret as well
 * as the token: one that is wrong is refused even where the other would have been enough, since a service
 * that is taken for a user would act on the wrong rows. Where a route takes either and both are sent, the
 * token decides, and the secret adds no rights to it. */
#ifndef HTTP_SECRET_H
#define HTTP_SECRET_H

#include "base/config.h"
#include "http/route.h"

#define SECRET_HEADER "X-RBAC-SYNC-SECRET"

enum secret_outcome {
    SECRET_NOT_TAKEN, /* the route asks for none */
    SECRET_ABSENT,    /* none was sent */
    SECRET_WRONG,
    SECRET_RIGHT,
};

/* given: the header's value, or NULL. Pure. */
enum secret_outcome secret_check(const struct config *cfg, enum route_auth auth, const char *given);

#endif
