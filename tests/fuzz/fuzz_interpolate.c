/* SPDX-License-Identifier: MIT */
/* Three lines of JSON: a step's config, the input, the results. Values are inserted and never read again: the
 * same template over values without a dollar or brace gives texts of the same shape; nothing goes past the
 * limits. */
#include "fuzz.h"

#include "agent/interpolate.h"

#include <stdlib.h>
#include <string.h>

static void require(bool held)
{
    if (!held)
        abort();
}

static json_t *next_line(const char **at, const char *end)
{
    const char *line = *at, *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
    stop = stop ? stop : end;
    *at = stop < end ? stop + 1 : end;
    return json_parse(line, (size_t)(stop - line));
}

static int depth_of(const json_t *value)
{
    int most = 0;
    const char *key;
    json_t *inner;
    size_t i;
    json_object_foreach ((json_t *)value, key, inner) {
        (void)key;
        int depth = depth_of(inner);
        most = depth > most ? depth : most;
    }
    json_array_foreach (value, i, inner) {
        int depth = depth_of(inner);
        most = depth > most ? depth : most;
    }
    return most + 1;
}

static void ignore(void *ctx, const char *path)
{
    require(path[0] != '\0');
    ++*(size_t *)ctx;
}

static void check(const json_t *value, const struct interpolate_scope *scope)
{
    _cleanup_json_ json_t *out = NULL;
    char error[80];
    size_t references = 0;
    interpolate_each(value, ignore, &references);
    int r = interpolate(value, scope, &out, error, sizeof error);
    require((r == 0) == (error[0] == '\0') && strlen(error) < sizeof error);
    if (r == 0)
        require(depth_of(out) <= JSON_MAX_DEPTH);
    if (r == 0 && json_is_string(value) && references == 0 && !strchr(json_string_value(value), '$'))
        require(json_equal(value, out));
    (void)interpolate_is_missing(value, scope);
}

/* A text from outside goes through unchanged, whatever it holds. */
static void check_inserted(const struct interpolate_scope *scope)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)scope->input, key, value) {
        if (!json_is_string(value) || key[0] == '\0' ||
            strspn(key, "abcdefghijklmnopqrstuvwxyz") != strlen(key) || strlen(key) > 60)
            continue;
        char name[80];
        char error[80];
        (void)snprintf(name, sizeof name, "<$input.%s>", key);
        _cleanup_json_ json_t *text = json_string(name), *out = NULL;
        require(interpolate(text, scope, &out, error, sizeof error) == 0);
        const char *result = json_string_value(out);
        size_t len = json_string_length(value);
        require(result && json_string_length(out) == len + 2 &&
                memcmp(result + 1, json_string_value(value), len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    _cleanup_json_ json_t *value = next_line(&at, end), *input = next_line(&at, end),
                          *results = next_line(&at, end);
    if (!value)
        return 0;
    if (!json_is_object(input)) {
        json_decref(input);
        input = json_object();
    }
    const struct interpolate_scope scope = {.input = input, .results = results, .user_id = "the-user"};
    check(value, &scope);
    check_inserted(&scope);
    return 0;
}
