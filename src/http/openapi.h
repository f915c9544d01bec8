/* SPDX-License-Identifier: MIT */
/* The OpenAPI 3.1 document, made from the rows that route requests, so that it can't drift from them. */
#ifndef HTTP_OPENAPI_H
#define HTTP_OPENAPI_H

#include "http/route.h"

/* A new JSON object, or NULL without memory. */
json_t *openapi_document(const struct route_set *routes);

#endif
