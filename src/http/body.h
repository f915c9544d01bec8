/* SPDX-License-Identifier: MIT */
/* Bodies as tables. A row of descriptors says what a field is called, of what type and within which limits;
 * from it come the parser into a struct, the 400 sentences, and the OpenAPI schema. Queries are bound by the
 * same tables, and answers (http/answer.h) are described by them.
 *
 *   struct chat_body { const char *message; const char *session_id; };
 *   static const struct field chat_fields[] = {
 *       FIELD_STR(chat_body, message, "message", REQUIRED, MAX_LEN(32768)),
 *       FIELD_STR(chat_body, session_id, "sessionId", MAX_LEN(128), CHARSET("A-Za-z0-9._:-")),
 *       FIELD_END
 *   };
 *
 * Texts and JSON values in the struct are borrowed from the request's parsed body. Absent optional fields
 * keep 0/NULL or their default. Unknown fields are ignored. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "base/error.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>

enum field_type {
    FIELD_TYPE_STR,    /* const char * */
    FIELD_TYPE_UUID,   /* const char *, well-formed */
    FIELD_TYPE_INT,    /* int64_t */
    FIELD_TYPE_NUM,    /* double */
    FIELD_TYPE_BOOL,   /* bool */
    FIELD_TYPE_OBJECT, /* const json_t * */
    FIELD_TYPE_ARRAY,  /* const json_t * */
    FIELD_TYPE_ANY,    /* const json_t * */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    bool required;             /* absent, null or a blank text is an error */
    size_t min_len;            /* characters of a text */
    size_t max_len;            /* bytes of a text, items of an array; 0 = 1,024 */
    int64_t min, max;          /* of a number; both 0 = any */
    int64_t fallback;          /* of an absent number or boolean */
    const char *choices;       /* "a|b|c" */
    const char *charset;       /* allowed characters with ranges, as in "A-Za-z0-9._-" */
    const char *alias;         /* a second name it may come under */
    enum error_id blank_error; /* instead of missing_field, where a route promises another code */

    /* for the description of answers alone */
    const struct field *of; /* members of an object, or of each item of an array */
    const char *format;     /* of a text: "date-time" */
    bool nullable, optional;
};

/* clang-format off */
#define FIELD_OF(kind, strct, member, key, ...) \
    {.name = (key), .type = (kind), .offset = offsetof(struct strct, member), ##__VA_ARGS__}
#define FIELD_STR(strct, member, key, ...) FIELD_OF(FIELD_TYPE_STR, strct, member, key, ##__VA_ARGS__)
#define FIELD_UUID(strct, member, key, ...) FIELD_OF(FIELD_TYPE_UUID, strct, member, key, ##__VA_ARGS__)
#define FIELD_INT(strct, member, key, ...) FIELD_OF(FIELD_TYPE_INT, strct, member, key, ##__VA_ARGS__)
#define FIELD_NUM(strct, member, key, ...) FIELD_OF(FIELD_TYPE_NUM, strct, member, key, ##__VA_ARGS__)
#define FIELD_BOOL(strct, member, key, ...) FIELD_OF(FIELD_TYPE_BOOL, strct, member, key, ##__VA_ARGS__)
#define FIELD_OBJECT(strct, member, key, ...) FIELD_OF(FIELD_TYPE_OBJECT, strct, member, key, ##__VA_ARGS__)
#define FIELD_ARRAY(strct, member, key, ...) FIELD_OF(FIELD_TYPE_ARRAY, strct, member, key, ##__VA_ARGS__)
#define FIELD_ANY(strct, member, key, ...) FIELD_OF(FIELD_TYPE_ANY, strct, member, key, ##__VA_ARGS__)
#define FIELD_END {.name = NULL}

#define REQUIRED .required = true
#define MIN_LEN(n) .min_len = (n)
#define MAX_LEN(n) .max_len = (n)
#define RANGE(low, high) .min = (low), .max = (high)
#define DEFAULT(n) .fallback = (n)
#define CHOICES(list) .choices = (list)
#define CHARSET(set) .charset = (set)
#define ALIAS(other) .alias = (other)
#define BLANK_IS(error) .blank_error = (error)
/* clang-format on */

/* What is wrong with a body. */
struct body_error {
    enum error_id error;
    const char *field;
    char sentence[160];
};

/* Binds an object into the struct at `to` (zeroed by the caller): 0, or -EINVAL with *ret_error. Pure. */
int body_bind(const struct field *fields, const json_t *object, void *to, struct body_error *ret_error);

/* The JSON schema of the fields, or of one of them, for OpenAPI; a new reference or NULL without memory. */
json_t *body_schema(const struct field *fields);
json_t *field_schema(const struct field *field);

#endif
