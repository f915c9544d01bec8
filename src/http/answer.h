/* SPDX-License-Identifier: MIT */
/* What a route answers where all went well, as a column of its row: from it comes the schema in the OpenAPI
 * document, which the end-to-end tests hold every answer against.
 *
 *   static const struct field row[] = {HAS_UUID("id"), HAS_STR("title", MAY_BE_NULL), FIELD_END};
 *   static const struct field list_answer[] = {HAS_BOOL("ok"), HAS_LIST("data", row), FIELD_END};
 *   …
 *   {HTTP_GET, "/api/posts", …, "One's posts", .answer = ANSWER(list_answer)},
 *
 * Members are always there unless MAY_BE_ABSENT; there may be more than are named. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include "http/body.h"

struct answer_spec {
    int status;                 /* 0: 200 */
    int other_status;           /* that has the same shape; 0: none */
    const char *type;           /* NULL: JSON */
    const struct field *fields; /* of JSON; NULL: any object */
    bool events;                /* or an event stream, where the client accepts one */
    bool described;             /* there is a column at all */
    bool conditional;           /* 304 for who has it already */
};

/* clang-format off */
#define ANSWER(table) {.fields = (table), .described = true}
#define ANSWER_STATUS(code, table) {.status = (code), .fields = (table), .described = true}
#define ANSWER_TWO(code, other, table) \
    {.status = (code), .other_status = (other), .fields = (table), .described = true}
#define ANSWER_OR_EVENTS(table) {.fields = (table), .events = true, .described = true}
#define ANSWER_OF_TYPE(mime) {.type = (mime), .described = true}
#define ANSWER_EMPTY {.status = 204, .described = true}
/* Bytes of any type: all, a range of them, or word that the client has them. */
#define ANSWER_FILE \
    {.status = 200, .other_status = 206, .type = "*/*", .described = true, .conditional = true}
#define EVENTS_TYPE "text/event-stream"
#define ANSWER_EVENTS ANSWER_OF_TYPE(EVENTS_TYPE)

#define HAS(kind, key, ...) {.name = (key), .type = (kind), ##__VA_ARGS__}
#define HAS_STR(key, ...) HAS(FIELD_TYPE_STR, key, ##__VA_ARGS__)
#define HAS_TIME(key, ...) HAS(FIELD_TYPE_STR, key, .format = "date-time", ##__VA_ARGS__)
#define HAS_UUID(key, ...) HAS(FIELD_TYPE_UUID, key, ##__VA_ARGS__)
#define HAS_INT(key, ...) HAS(FIELD_TYPE_INT, key, ##__VA_ARGS__)
#define HAS_NUM(key, ...) HAS(FIELD_TYPE_NUM, key, ##__VA_ARGS__)
#define HAS_BOOL(key, ...) HAS(FIELD_TYPE_BOOL, key, ##__VA_ARGS__)
#define HAS_ANY(key, ...) HAS(FIELD_TYPE_ANY, key, ##__VA_ARGS__)
/* members: a table, or NULL for any. A list's table with one nameless member says that its items are such. */
#define HAS_OBJECT(key, members, ...) HAS(FIELD_TYPE_OBJECT, key, .of = (members), ##__VA_ARGS__)
#define HAS_LIST(key, members, ...) HAS(FIELD_TYPE_ARRAY, key, .of = (members), ##__VA_ARGS__)
#define MAY_BE_NULL .nullable = true
#define MAY_BE_ABSENT .optional = true
/* clang-format on */

/* The schema of an object with these members; a new reference or NULL without memory. */
json_t *answer_schema(const struct field *fields);

#endif
