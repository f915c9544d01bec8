/* SPDX-License-Identifier: MIT */
/* For endpoints that show or change rows through the items engine under names of their own. */
#ifndef API_ITEMS_REPLY_H
#define API_ITEMS_REPLY_H

#include "api/app.h"
#include "items/items.h"

/* The error for what the items engine returned, in the shape of /api. */
reply reply_items_error(struct request *rq, int r, const struct items_error *error);

/* The same for a reading: what can't be read by is a query parameter. */
reply reply_query_error(struct request *rq, int r, const struct items_error *error);

/* The caller as the owner of own rows and no more: an admin sees there what everybody sees. Lives as long as
 * rq->who. */
struct identity items_as_owner(const struct request *rq);

/* What of a JSON object the fields name, under their own names; aliases are known. nulls: whether a null is
 * taken for a value. A new reference, NULL without memory. */
json_t *items_values(const struct field *fields, const json_t *body, bool nulls);

#endif
