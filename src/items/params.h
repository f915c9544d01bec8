/* SPDX-License-Identifier: MIT */
/* Directus's query parameters → a query: fields=a,b · filter={…} or filter[a][_eq]=x · sort=a,-b · limit,
 * offset, page · search · meta=total_count,filter_count. What Directus has and this doesn't (deep, alias,
 * aggregate, groupBy, …) is refused rather than ignored, since ignoring it would answer another question.
 * Pure. */
#ifndef ITEMS_PARAMS_H
#define ITEMS_PARAMS_H

#include "items/items.h"

#define PARAMS_LIMIT_DEFAULT 100
#define PARAMS_MAX_DEPTH 20          /* of brackets */
#define PARAMS_MAX_BYTES (32 * 1024) /* names and values together */

struct items_params {
    struct items_query query; /* its parts point below; valid until items_params_free */
    struct items_error error; /* why an add failed */
    bool failed;
    json_t *fields, *filter, *sort;
    char *search;
    int64_t page; /* 0 = not given */
    size_t bytes;
};

#define ITEMS_PARAMS_INIT \
    { \
        .query = {.limit = PARAMS_LIMIT_DEFAULT } \
    }

void items_params_free(struct items_params *p);

/* Adds one parameter, decoded; a failure is remembered. ctx: struct items_params (as request_each_query wants
 * it). */
void items_params_add(void *ctx, const char *name, const char *value);

/* Adds the members of an object, as the SDK sends them in a body: texts and numbers like parameters, lists of
 * texts item by item, a filter as it is. What is no object adds nothing; a failure is remembered. */
void items_params_add_json(struct items_params *p, const json_t *query);

/* After the last one: 0 with p->query ready, or -EINVAL with p->error. */
int items_params_ready(struct items_params *p);

#endif
