/* SPDX-License-Identifier: MIT */
/* /api/queue/taxonomy: the cache of the taxonomy. */
#include "taxonomy/taxonomy.h"

#include "api/app.h"
#include "api/routes.h"
#include "base/log.h"

#include <errno.h>

static const struct field invalidate_answer[] = {HAS_BOOL("ok"), HAS_INT("cleared"), FIELD_END};

static reply invalidate(struct request *rq)
{
    size_t cleared;
    int r = taxonomy_invalidate(rq->app->taxonomy, &cleared);
    if (r == -ENOMEM || r == -ETIMEDOUT)
        return reply_error(rq, ERR_OVERLOADED, NULL);
    if (r < 0)
        return reply_store_error(rq, r);
    log_event(LOG_INFO, "taxonomy cache dropped", LOG_N("cleared", cleared));
    return reply_value(rq, 200, json_pack("{s:b, s:I}", "ok", 1, "cleared", (json_int_t)cleared));
}

/* clang-format off */
const struct route taxonomy_routes[] = {
    { HTTP_POST, "/api/queue/taxonomy/invalidate", AUTH_ADMIN_OR_SECRET, WRITES, BLOCKING, invalidate, NO_BODY,
      "Drop the cache of the taxonomy and load its graph anew", .answer = ANSWER(invalidate_answer) },
    ROUTES_END
};
/* clang-format on */
