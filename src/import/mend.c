/* SPDX-License-Identifier: MIT */
#include "import/mend.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"
#define REPLACEMENT_ESCAPE "\\uFFFD"
#define ESCAPE_LEN 6
#define LAST_MS INT64_C(253402300799999)

/* Bytes of the good text that s begins with. */
static size_t good_length(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && s[n] != '\0') {
        int k = utf8_char_length(s + n, len - n);
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    return n;
}

char *mend_text(struct arena *a, const char *s, size_t len, bool *ret_mended)
{
    size_t good = good_length(s, len);
    if (good == len)
        return arena_strndup(a, s, len);
    char *to = arena_alloc(a, 3 * len + 1);
    if (!to)
        return NULL;
    *ret_mended = true;
    char *end = to;
    while (len > 0) {
        memcpy(end, s, good);
        end += good;
        s += good;
        len -= good;
        if (len == 0)
            break;
        memcpy(end, REPLACEMENT, 3);
        end += 3;
        s++;
        len--;
        good = good_length(s, len);
    }
    *end = '\0';
    return to;
}

/* --- JSON ------------------------------------------------------------------------------------------- */

/* The code unit of an escape \uXXXX that s begins with, or -1. */
static int32_t escaped_unit(const char *s)
{
    uint8_t bytes[2];
    char digits[5] = "";
    if (strnlen(s, ESCAPE_LEN) < ESCAPE_LEN || s[0] != '\\' || s[1] != 'u')
        return -1;
    memcpy(digits, s + 2, 4);
    if (hex_decode(digits, bytes, sizeof bytes) < 0)
        return -1;
    return bytes[0] << 8 | bytes[1];
}

static bool is_high(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The length of the escape that s begins with; *ret_bad where it stands for nothing that can be. */
static size_t escape_length(const char *s, bool *ret_bad)
{
    int32_t unit = escaped_unit(s);
    *ret_bad = false;
    if (unit < 0)
        return s[1] ? 2 : 1;
    if (is_high(unit) && is_low(escaped_unit(s + ESCAPE_LEN)))
        return 2 * (size_t)ESCAPE_LEN;
    *ret_bad = unit == 0 || is_high(unit) || is_low(unit);
    return ESCAPE_LEN;
}

/* A replacement is as long as what it replaces, so this can be done in place. */
char *mend_json(struct arena *a, const char *s, bool *ret_mended)
{
    char *to = arena_strdup(a, s);
    for (char *at = to; at && (at = strchr(at, '\\'));) {
        bool bad;
        size_t len = escape_length(at, &bad);
        if (bad) {
            memcpy(at, REPLACEMENT_ESCAPE, ESCAPE_LEN);
            *ret_mended = true;
        }
        at += len;
    }
    return to;
}

/* --- time ------------------------------------------------------------------------------------------- */

int mend_time(const char *text, int64_t number, int64_t *ret_ms)
{
    if (text)
        return clock_parse_iso(text, ret_ms);
    if (number < 0 || number > LAST_MS)
        return -EINVAL;
    *ret_ms = number;
    return 0;
}

/* --- answers ---------------------------------------------------------------------------------------- */

/* Whether something had to be changed. */
static int tidy(json_t *answer, bool *ret_changed)
{
    json_t *sources = json_object_get(answer, "sources"), *actions = json_object_get(answer, "actions");
    if (!json_is_array(sources)) {
        *ret_changed |= sources != NULL;
        if (json_object_set_new(answer, "sources", json_array()) < 0)
            return -ENOMEM;
    }
    if (actions && !json_is_array(actions)) {
        *ret_changed = true;
        (void)json_object_del(answer, "actions");
    }
    return 0;
}

static int drop_attachments(json_t *answer, size_t len, size_t max, bool *ret_changed)
{
    if (len <= max)
        return 0;
    if (json_object_del(answer, "attachments") < 0)
        return -E2BIG;
    *ret_changed = true;
    return 0;
}

int mend_answer(struct arena *a, const char *s, size_t max, const char **ret, bool *ret_mended)
{
    bool changed = false;
    const char *mended = mend_json(a, s, &changed);
    if (!mended)
        return -ENOMEM;
    _cleanup_json_ json_t *answer = json_parse(mended, strlen(mended));
    if (!answer)
        return -EINVAL;
    if (!json_is_string(json_object_get(answer, "text")))
        return -ENODATA;
    int r = tidy(answer, &changed);
    if (r == 0)
        r = drop_attachments(answer, strlen(mended), max, &changed);
    if (r < 0)
        return r;
    *ret_mended |= changed;
    *ret = changed ? json_text(a, answer) : mended;
    if (!*ret)
        return -ENOMEM;
    return strlen(*ret) > max ? -E2BIG : 0;
}
