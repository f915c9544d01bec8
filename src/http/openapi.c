/* SPDX-License-Identifier: MIT */
/* One operation a row. What OpenAPI has no word for stands in members that begin with x-: the tests of access
 * read them. */
#include "http/openapi.h"

#include "base/buf.h"
#include "base/text.h"
#include "http/exchange.h"
#include "http/secret.h"

#include <string.h>

#define JSON_TYPE "application/json"

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

/* ---- parameters */

static json_t *parameter(const char *name, size_t len, const char *in, bool required, json_t *schema)
{
    return json_pack("{s:s%, s:s, s:b, s:o}", "name", name, len, "in", in, "required", required, "schema",
                     schema);
}

/* "/api/x/:id" as "/api/x/{id}" ("/api/x/" and a tail as "/api/x/{path}"), and its parameters into
 * `parameters`. */
static void convert_path(const char *path, struct buf *out, json_t *parameters)
{
    for (const char *s = path; *s;) {
        size_t len = strcspn(s + 1, "/") + 1;
        if (s[1] == ':' || str_equal(s, "/*")) {
            const char *name = s[1] == ':' ? s + 2 : "path";
            size_t name_len = s[1] == ':' ? len - 2 : strlen(name);
            (void)buf_addf(out, "/{%.*s}", (int)name_len, name);
            (void)json_array_append_new(
                parameters, parameter(name, name_len, "path", true, json_pack("{s:s}", "type", "string")));
        } else {
            (void)buf_add(out, s, len);
        }
        s += len;
    }
}

/* A list comes as one text with commas. */
static void add_query(const struct route *route, json_t *parameters)
{
    for (const struct field *f = route->query.fields; f && f->name; f++) {
        json_t *p = parameter(f->name, strlen(f->name), "query", f->required, field_schema(f));
        if (f->type == FIELD_TYPE_ARRAY) {
            set(p, "style", json_string("form"));
            set(p, "explode", json_false());
            set(json_object_get(p, "schema"), "items", json_pack("{s:s}", "type", "string"));
        }
        (void)json_array_append_new(parameters, p);
    }
    static const char key[] = "Idempotency-Key";
    if (route->idempotent)
        (void)json_array_append_new(
            parameters, parameter(key, sizeof key - 1, "header", false,
                                  json_pack("{s:s, s:s}", "type", "string", "pattern", "^[!-~]{1,128}$")));
}

/* ---- answers */

static json_t *media(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *error_response(const struct route *route, const char *description)
{
    static const char *const refs[] = {[ERROR_PLAIN] = "#/components/schemas/Error",
                                       [ERROR_WITH_SUCCESS] = "#/components/schemas/ErrorWithSuccess",
                                       [ERROR_OF_DIRECTUS] = "#/components/schemas/DirectusError"};
    return json_pack("{s:s, s:o}", "description", description, "content",
                     media(JSON_TYPE, json_pack("{s:s}", "$ref", refs[error_shape(route->path)])));
}

static json_t *success(const struct answer_spec *answer)
{
    json_t *r = json_pack("{s:s}", "description", answer->status == 204 ? "Done; no body" : "Done");
    if (answer->status == 204)
        return r;
    json_t *schema = json_pack("{s:s}", "type", answer->type ? "string" : "object");
    if (answer->fields) {
        json_decref(schema);
        schema = answer_schema(answer->fields);
    }
    json_t *content = media(answer->type ? answer->type : JSON_TYPE, schema);
    if (answer->events)
        set(content, EVENTS_TYPE, json_pack("{s:{s:s}}", "schema", "type", "string"));
    set(r, "content", content);
    return r;
}

static void add_success(const struct route *route, json_t *responses)
{
    char status[16];
    const struct answer_spec *answer = &route->answer;
    if (!answer->described) {
        set(responses, "2XX", json_pack("{s:s}", "description", "Done"));
        return;
    }
    (void)snprintf(status, sizeof status, "%d", answer->status ? answer->status : 200);
    set(responses, status, success(answer));
    if (answer->other_status) {
        (void)snprintf(status, sizeof status, "%d", answer->other_status);
        set(responses, status, success(answer));
    }
    if (answer->conditional)
        set(responses, "304", json_pack("{s:s}", "description", "The client has it already; no body"));
}

static json_t *responses(const struct route *route)
{
    bool body = route->body.kind != BODY_NONE;
    const struct {
        bool when;
        const char *status, *description;
    } refusals[] = {
        {body || route->query.fields || route->idempotent, "400",
         "Something in the request is missing or invalid"},
        {route->auth != AUTH_NONE, "401", "Invalid or expired token, or a wrong secret"},
        {route->auth != AUTH_NONE, "403", "Not permitted"},
        {strchr(route->path, ':') != NULL, "404", "Not found, or not yours"},
        {route->idempotent, "409", "A conflict, or a request with this key is being worked on"},
        {body, "413", "The body is too large"},
        {body, "415", "The body is of another type"},
        {route->idempotent, "422", "The key was used for another request"},
        {route->rate != NULL, "429", "Too many requests"},
        {true, "default", "Another error of the table"},
    };
    json_t *r = json_object();
    add_success(route, r);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (refusals[i].when)
            set(r, refusals[i].status, error_response(route, refusals[i].description));
    return r;
}

/* ---- operations */

/* Each member of the list is one sufficient way in. */
static json_t *security(enum route_auth auth)
{
    if (auth == AUTH_SECRET)
        return json_pack("[{s:[]}]", "secret");
    if (auth == AUTH_USER || auth == AUTH_ADMIN)
        return json_pack("[{s:[]}]", "bearer");
    if (auth == AUTH_USER_OR_PUBLIC)
        return json_pack("[{s:[]}, {}]", "bearer");
    return json_pack("[{s:[]}, {s:[]}]", "bearer", "secret");
}

static json_t *form_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s, s:s}}}", "type", "object", "properties", "file", "type", "string",
                     "format", "binary");
}

static json_t *request_body(const struct body_spec *body)
{
    json_t *content = json_object();
    bool required = body->kind == BODY_UPLOAD || body->kind == BODY_STREAM;
    for (const struct field *f = body->fields; f && f->name; f++)
        required = required || f->required;
    if (body->kind == BODY_FIELDS)
        set(content, JSON_TYPE, json_pack("{s:o}", "schema", body_schema(body->fields)));
    if (body->kind == BODY_JSON)
        set(content, JSON_TYPE, json_pack("{s:{}}", "schema"));
    if (body->kind == BODY_STREAM)
        set(content, "*/*", json_pack("{s:{}}", "schema"));
    if (body->upload)
        set(content, "multipart/form-data", json_pack("{s:o}", "schema", form_schema()));
    return json_pack("{s:b, s:o}", "required", required, "content", content);
}

static const char *auth_name(enum route_auth auth)
{
    static const char *const names[] = {[AUTH_NONE] = "none",
                                        [AUTH_USER] = "user",
                                        [AUTH_ADMIN] = "admin",
                                        [AUTH_SECRET] = "secret",
                                        [AUTH_USER_OR_SECRET] = "user-or-secret",
                                        [AUTH_ADMIN_OR_SECRET] = "admin-or-secret",
                                        [AUTH_USER_OR_PUBLIC] = "user-or-public",
                                        [AUTH_USER_OR_SERVICE] = "user-or-service"};
    return names[auth];
}

static void add_extensions(const struct route *route, json_t *op)
{
    set(op, "x-auth", json_string(auth_name(route->auth)));
    set(op, "x-access", json_string(route->access == WRITES ? "writes" : "reads"));
    set(op, "x-kind", json_string(route->kind == FAST ? "fast" : "blocking"));
    if (route->rate)
        set(op, "x-rate-limit",
            json_pack("{s:I, s:I}", "limit", (json_int_t)route->rate->limit, "window_s",
                      (json_int_t)route->rate->window_s));
}

static json_t *operation(const struct route *route, json_t *parameters)
{
    json_t *op = json_pack("{s:s, s:o}", "summary", route->summary, "responses", responses(route));
    if (!op)
        return NULL;
    add_query(route, parameters);
    if (json_array_size(parameters) > 0)
        (void)json_object_set(op, "parameters", parameters);
    if (route->auth != AUTH_NONE)
        set(op, "security", security(route->auth));
    if (route->body.kind != BODY_NONE)
        set(op, "requestBody", request_body(&route->body));
    add_extensions(route, op);
    return op;
}

static void add_route(void *ctx, const struct route *route)
{
    json_t *paths = ctx;
    char method[8];
    if (route->method == HTTP_SEARCH) /* OpenAPI 3.1 has no place for it */
        return;
    _cleanup_buf_ struct buf path = BUF_INIT(512);
    _cleanup_json_ json_t *parameters = json_array();
    convert_path(route->path, &path, parameters);
    json_t *item = json_object_get(paths, buf_str(&path));
    if (!item) {
        item = json_object();
        set(paths, buf_str(&path), item);
    }
    (void)snprintf(method, sizeof method, "%s", http_method_name(route->method));
    str_lower(method);
    set(item, method, operation(route, parameters));
}

/* ---- what all share */

static const struct field error_members[] = {
    HAS_BOOL("ok"),
    HAS_STR("error"),
    HAS_STR("code"),
    HAS_STR("field", MAY_BE_ABSENT),
    /* of a quota refusal */
    HAS_STR("reason", MAY_BE_ABSENT, CHOICES("limit_reached|not_in_tier|quota_check_failed")),
    HAS_STR("message", MAY_BE_ABSENT),
    HAS_INT("limit", MAY_BE_ABSENT),
    HAS_INT("used", MAY_BE_ABSENT),
    HAS_TIME("resets_at", MAY_BE_ABSENT),
    FIELD_END,
};

static json_t *error_schema(void)
{
    json_t *schema = answer_schema(error_members), *codes = json_array();
    for (int id = ERR_NONE + 1; id < ERROR_COUNT; id++)
        (void)json_array_append_new(codes, json_string(error_info((enum error_id)id)->code));
    set(json_object_get(json_object_get(schema, "properties"), "code"), "enum", codes);
    return schema;
}

static json_t *error_with_success_schema(void)
{
    static const struct field members[] = {HAS_BOOL("success"), FIELD_END};
    return json_pack("{s:[{s:s}, o]}", "allOf", "$ref", "#/components/schemas/Error", answer_schema(members));
}

static json_t *directus_error_schema(void)
{
    static const struct field extensions[] = {HAS_STR("code"), FIELD_END};
    static const struct field error[] = {HAS_STR("message"), HAS_OBJECT("extensions", extensions), FIELD_END};
    static const struct field members[] = {HAS_LIST("errors", error), FIELD_END};
    return answer_schema(members);
}

static json_t *components(void)
{
    return json_pack("{s:{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s}}, s:{s:o, s:o, s:o}}", "securitySchemes",
                     "bearer", "type", "http", "scheme", "bearer", "bearerFormat", "JWT", "secret", "type",
                     "apiKey", "in", "header", "name", SECRET_HEADER, "schemas", "Error", error_schema(),
                     "ErrorWithSuccess", error_with_success_schema(), "DirectusError",
                     directus_error_schema());
}

json_t *openapi_document(const struct route_set *routes)
{
    json_t *paths = json_object();
    routes_each(routes, add_route, paths);
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:o}", "openapi", "3.1.0", "info", "title", "GenieHelper",
                     "version", GENIE_VERSION, "description", "A self-hosted agent for content creators",
                     "paths", paths, "components", components());
}
