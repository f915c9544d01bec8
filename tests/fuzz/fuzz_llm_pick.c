/* SPDX-License-Identifier: MIT */
/* The field picker against a full JSON parser: whatever jansson accepts must be accepted, with the same
 * values; what it refuses may be accepted only for what the picker leaves to others (UTF-8, lone surrogates,
 * NUL, huge numbers, equal keys), which plain ASCII without escapes and digits excludes. */
#include "fuzz.h"

#include "base/json.h"
#include "llm/join.h"
#include "llm/pick.h"

#include <ctype.h>
#include <string.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static const char *const paths[] = {"a", "a.b", "a.0.b"};

static const json_t *find(const json_t *top, size_t path)
{
    const json_t *a = json_object_get(top, "a");
    if (path == 0)
        return a;
    if (path == 1)
        return json_object_get(a, "b");
    return json_object_get(json_is_array(a) ? json_array_get(a, 0) : json_object_get(a, "0"), "b");
}

static void compare(const json_t *value, const struct pick *p)
{
    static const enum pick_type types[] = {
        [JSON_OBJECT] = PICK_OBJECT,  [JSON_ARRAY] = PICK_ARRAY, [JSON_STRING] = PICK_STRING,
        [JSON_INTEGER] = PICK_NUMBER, [JSON_REAL] = PICK_NUMBER, [JSON_TRUE] = PICK_TRUE,
        [JSON_FALSE] = PICK_FALSE,    [JSON_NULL] = PICK_NULL,
    };
    check(p->type == (value ? types[json_typeof(value)] : PICK_NONE));
    if (!json_is_string(value))
        return;
    struct joiner joiner = {0};
    _cleanup_buf_ struct buf text = BUF_INIT((size_t)16 * 1024 * 1024);
    join_json(&joiner, &text, p->raw, p->len);
    join_finish(&joiner, &text);
    check(text.len == json_string_length(value) && strcmp(buf_str(&text), json_string_value(value)) == 0);
}

static bool is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isprint((unsigned char)s[i]) || s[i] == '\\' || isdigit((unsigned char)s[i]) || s[i] == '"')
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    if (memchr(s, '\0', size)) /* jansson takes it for the end of the text */
        return 0;
    struct pick picks[ARRAY_LEN(paths)];
    int r = pick_fields(s, size, JSON_MAX_DEPTH, paths, ARRAY_LEN(paths), picks);
    _cleanup_json_ json_t *top = json_parse(s, size);
    check(!top || r == 0);
    check(top || r < 0 || !is_plain(s, size));
    for (size_t i = 0; top && i < ARRAY_LEN(paths); i++)
        compare(find(top, i), &picks[i]);
    return 0;
}
