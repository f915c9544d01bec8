/* SPDX-License-Identifier: MIT */
#include "http/openapi.h"

#include "base/buf.h"
#include "base/text.h"

#include <string.h>

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
            (void)json_array_append_new(parameters,
                                        json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", name, name_len, "in",
                                                  "path", "required", 1, "schema", "type", "string"));
        } else {
            (void)buf_add(out, s, len);
        }
        s += len;
    }
}

static json_t *error_response(const char *description)
{
    return json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", description, "content", "application/json",
                     "schema", "$ref", "#/components/schemas/Error");
}

static json_t *responses(const struct route *route)
{
    json_t *r = json_pack("{s:{s:s}}", "2XX", "description", "Done");
    if (!r)
        return NULL;
    if (route->body.kind != BODY_NONE)
        (void)json_object_set_new(r, "400", error_response("A field is missing or has an invalid value"));
    if (route->auth != AUTH_NONE) {
        (void)json_object_set_new(r, "401", error_response("Invalid or expired token"));
        (void)json_object_set_new(r, "403", error_response("Not permitted"));
    }
    if (strchr(route->path, ':'))
        (void)json_object_set_new(r, "404", error_response("Not found, or not yours"));
    (void)json_object_set_new(r, "default", error_response("Another error of the table"));
    return r;
}

static json_t *body_content(const struct body_spec *body)
{
    json_t *content = json_object();
    if (body->kind == BODY_FIELDS)
        (void)json_object_set_new(content, "application/json",
                                  json_pack("{s:o}", "schema", body_schema(body->fields)));
    if (body->kind == BODY_JSON)
        (void)json_object_set_new(content, "application/json", json_pack("{s:{}}", "schema"));
    if (body->kind == BODY_STREAM)
        (void)json_object_set_new(content, "*/*", json_pack("{s:{}}", "schema"));
    if (body->upload)
        (void)json_object_set_new(content, "multipart/form-data",
                                  json_pack("{s:{s:s, s:{s:{s:s, s:s}}}}", "schema", "type", "object",
                                            "properties", "file", "type", "string", "format", "binary"));
    return content;
}

static json_t *operation(const struct route *route, json_t *parameters)
{
    json_t *op = json_pack("{s:s, s:o}", "summary", route->summary, "responses", responses(route));
    if (op && json_array_size(parameters) > 0)
        (void)json_object_set(op, "parameters", parameters);
    if (op && route->auth != AUTH_NONE)
        (void)json_object_set_new(op, "security", json_pack("[{s:[]}]", "bearer"));
    json_t *content = op ? body_content(&route->body) : NULL;
    if (json_object_size(content) > 0)
        (void)json_object_set_new(
            op, "requestBody",
            json_pack("{s:b, s:o}", "required", route->body.kind != BODY_JSON, "content", content));
    else
        json_decref(content);
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
        (void)json_object_set_new(paths, buf_str(&path), item);
    }
    (void)snprintf(method, sizeof method, "%s", http_method_name(route->method));
    str_lower(method);
    (void)json_object_set_new(item, method, operation(route, parameters));
}

static json_t *error_schema(void)
{
    return json_pack("{s:s, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type", "object", "required",
                     "ok", "error", "code", "properties", "ok", "type", "boolean", "error", "type", "string",
                     "code", "type", "string", "field", "type", "string");
}

json_t *openapi_document(const struct route_set *routes)
{
    json_t *paths = json_object();
    routes_each(routes, add_route, paths);
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:{s:{s:s, s:s, s:s}}, s:{s:o}}}", "openapi", "3.1.0",
                     "info", "title", "GenieHelper", "version", GENIE_VERSION, "description",
                     "A self-hosted agent for content creators", "paths", paths, "components",
                     "securitySchemes", "bearer", "type", "http", "scheme", "bearer", "bearerFormat", "JWT",
                     "schemas", "Error", error_schema());
}
