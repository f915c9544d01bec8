/* SPDX-License-Identifier: MIT */
/* Numbers are compared by value, whether written 1 or 1.0; everything else only with its own kind. */
#include "agent/condition.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static bool are_equal(const json_t *left, const json_t *right)
{
    if (json_is_integer(left) && json_is_integer(right))
        return json_integer_value(left) == json_integer_value(right);
    if (json_is_number(left) && json_is_number(right))
        return json_number_value(left) == json_number_value(right);
    return json_equal(left, right);
}

/* -1, 0 or 1 in *ret: numbers by value, texts byte by byte (so ISO 8601 times in order of time). */
static int compare(const json_t *left, const json_t *right, int *ret)
{
    if (json_is_number(left) && json_is_number(right)) {
        double a = json_number_value(left), b = json_number_value(right);
        *ret = (a > b) - (a < b);
        return 0;
    }
    if (!json_is_string(left) || !json_is_string(right))
        return -EINVAL;
    int order = strcmp(json_string_value(left), json_string_value(right));
    *ret = (order > 0) - (order < 0);
    return 0;
}

static int contains(const json_t *left, const json_t *right)
{
    json_t *item;
    size_t i;
    if (json_is_string(left) && json_is_string(right))
        return strstr(json_string_value(left), json_string_value(right)) != NULL;
    if (json_is_object(left) && json_is_string(right))
        return json_object_get(left, json_string_value(right)) != NULL;
    if (!json_is_array(left))
        return -EINVAL;
    json_array_foreach (left, i, item)
        if (are_equal(item, right))
            return 1;
    return 0;
}

static int apply(const char *op, const json_t *left, const json_t *right)
{
    int order;
    if (strcmp(op, "eq") == 0)
        return are_equal(left, right);
    if (strcmp(op, "ne") == 0)
        return !are_equal(left, right);
    if (strcmp(op, "contains") == 0)
        return contains(left, right);
    int r = compare(left, right, &order);
    return r < 0 ? r : strcmp(op, "lt") == 0 ? order < 0 : order > 0;
}

int condition_test(const json_t *test, const struct interpolate_scope *scope, char *error, size_t size)
{
    const char *op = json_str(test, "op", "");
    const json_t *left = json_object_get(test, "left"), *right = json_object_get(test, "right");
    bool exists = strcmp(op, "exists") == 0;
    _cleanup_json_ json_t *a = NULL, *b = NULL;
    if (exists && interpolate_is_missing(left, scope))
        return 0;
    int r = interpolate(left, scope, &a, error, size);
    if (r < 0 || exists)
        return r < 0 ? r : !json_is_null(a);
    r = interpolate(right, scope, &b, error, size);
    if (r == 0)
        r = apply(op, a, b);
    if (r == -EINVAL)
        (void)snprintf(error, size, "\"%s\" can't compare these two values", op);
    return r;
}
