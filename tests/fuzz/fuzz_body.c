/* SPDX-License-Identifier: MIT */
/* Any bytes as a body: what json_parse takes is within its limits and survives being written and read again,
 * and what body_bind takes keeps every promise of its table, read here from the JSON once more by other
 * means. */
#include "fuzz.h"

#include "base/text.h"
#include "base/uuid.h"
#include "http/body.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)4 * 1024 * 1024)
#define COUNT_MAX INT64_C(9007199254740993) /* one more than doubles can tell apart */

struct all {
    const char *name, *code, *kind, *id, *other;
    int64_t count, free_int;
    double share;
    bool flag;
    const json_t *object, *list, *any;
};

static const struct field fields[] = {
    FIELD_STR(all, name, "name", REQUIRED, MIN_LEN(2), MAX_LEN(8)),
    FIELD_STR(all, code, "code", CHARSET("a-cX_0-9-")),
    FIELD_STR(all, kind, "kind", CHOICES("red|green")),
    FIELD_UUID(all, id, "id"),
    FIELD_STR(all, other, "o", ALIAS("other")),
    FIELD_INT(all, count, "n", RANGE(-5, COUNT_MAX), DEFAULT(7)),
    FIELD_INT(all, free_int, "i"),
    FIELD_NUM(all, share, "r", RANGE(-1, 2), DEFAULT(1)),
    FIELD_BOOL(all, flag, "b", DEFAULT(1)),
    FIELD_OBJECT(all, object, "obj"),
    FIELD_ARRAY(all, list, "list", MAX_LEN(3)),
    FIELD_ANY(all, any, "any"),
    FIELD_END,
};

static void require(bool held)
{
    if (!held)
        abort();
}

static int depth_of(const json_t *v)
{
    int most = 0;
    size_t i;
    const char *key;
    json_t *child;
    json_array_foreach (v, i, child) {
        int d = depth_of(child);
        most = d > most ? d : most;
    }
    json_object_foreach ((json_t *)(uintptr_t)v, key, child) {
        int d = depth_of(child);
        most = d > most ? d : most;
    }
    return most + (json_is_array(v) || json_is_object(v));
}

static const json_t *value_of(const json_t *body, const char *name, const char *alias)
{
    const json_t *v = json_object_get(body, name);
    if (!v && alias)
        v = json_object_get(body, alias);
    return json_is_null(v) ? NULL : v;
}

/* A bound text is the body's own, whole, well-formed and within its limits. */
static void check_text(const char *bound, const json_t *v, size_t max)
{
    require((bound != NULL) == (v != NULL));
    if (!bound)
        return;
    require(json_is_string(v) && bound == json_string_value(v) && strlen(bound) == json_string_length(v));
    require(strlen(bound) <= max && utf8_valid(bound, strlen(bound)));
}

static void check_texts(const struct all *got, const json_t *body)
{
    check_text(got->name, value_of(body, "name", NULL), 8);
    check_text(got->code, value_of(body, "code", NULL), 1024);
    check_text(got->kind, value_of(body, "kind", NULL), 1024);
    check_text(got->id, value_of(body, "id", NULL), 1024);
    check_text(got->other, value_of(body, "o", "other"), 1024);
    require(got->name && !str_is_blank(got->name) && utf8_count(got->name, strlen(got->name)) >= 2);
    require(!got->code || str_only(got->code, "abcX_0123456789-"));
    require(!got->kind || str_equal(got->kind, "red") || str_equal(got->kind, "green"));
    require(!got->id || uuid_valid(got->id));
}

static void check_others(const struct all *got, const json_t *body)
{
    const json_t *n = value_of(body, "n", NULL), *i = value_of(body, "i", NULL),
                 *r = value_of(body, "r", NULL);
    const json_t *b = value_of(body, "b", NULL);
    require(n ? json_is_integer(n) && got->count == json_integer_value(n) : got->count == 7);
    require(got->count >= -5 && got->count <= COUNT_MAX);
    require(i ? json_is_integer(i) && got->free_int == json_integer_value(i) : got->free_int == 0);
    require(!r || json_is_number(r));
    require(got->share >= -1 && got->share <= 2);
    require(b ? json_is_boolean(b) && got->flag == json_is_true(b) : got->flag);
    require(got->object == value_of(body, "obj", NULL) && (!got->object || json_is_object(got->object)));
    require(got->list == value_of(body, "list", NULL) && (!got->list || json_is_array(got->list)));
    require(json_array_size(got->list) <= 3 && got->any == value_of(body, "any", NULL));
}

static void check_bound(const json_t *body)
{
    struct all got = {0};
    struct body_error e = {0};
    int r = body_bind(fields, body, &got, &e);
    if (r == 0) {
        check_texts(&got, body);
        check_others(&got, body);
    } else {
        require(e.error != ERR_NONE && e.sentence[0] && utf8_valid(e.sentence, strlen(e.sentence)));
        require((e.field != NULL) == (json_is_object(body)));
    }
}

static void check_rewritten(const json_t *value)
{
    _cleanup_buf_ struct buf once = BUF_INIT(TEXT_MAX), twice = BUF_INIT(TEXT_MAX);
    require(json_write(&once, value) == 0);
    _cleanup_json_ json_t *again = json_parse(once.data, once.len);
    require(again && json_write(&twice, again) == 0);
    require(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX / 8)
        return 0;
    _cleanup_json_ json_t *value = json_parse((const char *)data, size);
    if (!value)
        return 0;
    require(depth_of(value) <= JSON_MAX_DEPTH && !memchr(data, '\0', size));
    check_rewritten(value);
    check_bound(value);
    return 0;
}
