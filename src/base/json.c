/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "base/text.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

/* 15 digits show 0.9 as 0.9; every decimal of that length survives a round trip. */
#define OUTPUT_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/* jansson recurses per level up to 2048, and makes up to a hundred bytes of memory of one byte of text
 * ("{},"); we count the brackets and commas first, so that both limits are ours to choose. */
static bool too_much(const char *s, size_t len)
{
    size_t depth = 0, containers = 0, commas = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == ',') {
            commas++;
        } else if (c == '{' || c == '[') {
            containers++;
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        }
    }
    return containers > JSON_MAX_CONTAINERS || commas >= JSON_MAX_VALUES;
}

static void wipe_and_free(void *p)
{
    if (p)
        wipe(p, malloc_usable_size(p));
    free(p);
}

void json_wipe_memory(void)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
}

json_t *json_parse(const char *s, size_t len)
{
    if (memchr(s, '\0', len) || too_much(s, len)) /* jansson takes a NUL for the end of the text */
        return NULL;
    return json_loadb(s, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
}

json_t *json_parse_told(const char *s, size_t len, char *why, size_t size)
{
    json_error_t error;
    if (memchr(s, '\0', len) || too_much(s, len)) {
        (void)snprintf(why, size, "%s",
                       memchr(s, '\0', len) ? "it holds a zero byte, so it is no JSON"
                                            : "it holds more values, or deeper ones, than are taken");
        return NULL;
    }
    json_t *value = json_loadb(s, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!value) { /* behind " near" stands what it found there, which may be anything */
        const char *near = strstr(error.text, " near '");
        (void)snprintf(why, size, "line %d, column %d: %.*s", error.line, error.column,
                       near ? (int)(near - error.text) : (int)strlen(error.text), error.text);
    }
    return value;
}

json_t *json_parse_own(const char *s, size_t len)
{
    return json_loadb(s, len, JSON_DECODE_ANY, NULL);
}

const char *json_str(const json_t *obj, const char *key, const char *fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? json_string_value(v) : fallback;
}

int64_t json_int(const json_t *obj, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

double json_num(const json_t *obj, const char *key, double fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool json_bool(const json_t *obj, const char *key, bool fallback)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

static int append(const char *data, size_t len, void *to)
{
    return buf_add(to, data, len) < 0 ? -1 : 0;
}

int json_write(struct buf *b, const json_t *value)
{
    size_t before = b->len;
    if (json_dump_callback(value, append, b, OUTPUT_FLAGS) == 0)
        return 0;
    b->len = before;
    if (b->data)
        b->data[before] = '\0';
    return -ENOBUFS;
}

char *json_text(struct arena *a, const json_t *value)
{
    size_t len = json_dumpb(value, NULL, 0, OUTPUT_FLAGS);
    char *out = len ? arena_alloc(a, len + 1) : NULL;
    if (out)
        (void)json_dumpb(value, out, len, OUTPUT_FLAGS);
    return out;
}

static int write_escape(struct buf *b, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = memchr(named, c, sizeof named - 1);
    if (at)
        return buf_add(b, (char[]){'\\', letters[at - named]}, 2);
    return buf_addf(b, "\\u%04x", c);
}

int json_write_str(struct buf *b, const char *s, size_t len)
{
    int r = buf_add(b, "\"", 1);
    size_t plain = 0;
    for (size_t i = 0; i < len && r == 0; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        r = buf_add(b, s + plain, i - plain);
        if (r == 0)
            r = write_escape(b, c);
        plain = i + 1;
    }
    if (r == 0)
        r = buf_add(b, s + plain, len - plain);
    return r == 0 ? buf_add(b, "\"", 1) : r;
}
