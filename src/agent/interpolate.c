/* SPDX-License-Identifier: MIT */
/* One pass over each string finds the next reference; the rest is text. Recursion follows the template, which
 * was parsed with a depth of at most JSON_MAX_DEPTH; inserted values are shared, not copied, after they were
 * measured. */
#include "agent/interpolate.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define PATH_MAX_BYTES 256

struct reference {
    const char *from, *to; /* the bytes that stand for it */
    char path[PATH_MAX_BYTES];
};

struct work {
    const struct interpolate_scope *scope;
    size_t budget;   /* bytes that may still be produced */
    bool in_address; /* the text at hand is one */
    char *error;
    size_t error_size;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

/* The end of `name.key.0`: a dot belongs to it only if a word follows, so that a sentence may end in a
 * reference. */
static const char *path_end(const char *s)
{
    while (is_word(*s) || (*s == '.' && is_word(s[1])))
        s++;
    return s;
}

static bool set_path(struct reference *ref, const char *path, size_t len)
{
    if (len >= sizeof ref->path)
        return false;
    memcpy(ref->path, path, len);
    ref->path[len] = '\0';
    return true;
}

/* `{{ path }}` at s, or false. */
static bool read_braces(const char *s, struct reference *ret)
{
    const char *from = s + 2 + strspn(s + 2, " \t");
    from += *from == '$';
    const char *to = from + strcspn(from, "{}$ \t\r\n\"");
    const char *end = to + strspn(to, " \t");
    if (!is_letter(*from) || strncmp(end, "}}", 2) != 0 || !set_path(ret, from, (size_t)(to - from)))
        return false;
    ret->from = s;
    ret->to = end + 2;
    return true;
}

static bool read_dollar(const char *s, struct reference *ret)
{
    const char *to = path_end(s + 1);
    if (!is_letter(s[1]) || !set_path(ret, s + 1, (size_t)(to - s - 1)))
        return false;
    ret->from = s;
    ret->to = to;
    return true;
}

/* The next reference or `$$` (an empty path) at or after s; false if there is none. */
static bool next_reference(const char *s, struct reference *ret)
{
    for (s = strpbrk(s, "${"); s; s = strpbrk(s + 1, "${")) {
        if (s[0] == '$' && s[1] == '$') {
            *ret = (struct reference){.from = s, .to = s + 2};
            return true;
        }
        if (s[0] == '$' ? read_dollar(s, ret) : s[1] == '{' && read_braces(s, ret))
            return true;
    }
    return false;
}

static bool is_whole(const char *text, struct reference *ret)
{
    return next_reference(text, ret) && ret->path[0] && ret->from == text && *ret->to == '\0';
}

static const json_t *child(const json_t *value, const char *key)
{
    int64_t index;
    if (json_is_object(value))
        return json_object_get(value, key);
    if (json_is_array(value) && parse_int(key, 0, INT32_MAX, &index) == 0)
        return json_array_get(value, (size_t)index);
    return NULL;
}

/* The value that a path names, as a new reference, or NULL. */
static json_t *look_up(const struct interpolate_scope *scope, const char *path)
{
    char keys[PATH_MAX_BYTES];
    (void)snprintf(keys, sizeof keys, "%s", path);
    char *rest = keys, *key = strsep(&rest, ".");
    if (strcmp(key, "user") == 0)
        return rest && strcmp(rest, "id") == 0 ? json_string(scope->user_id) : NULL;
    const json_t *value = strcmp(key, "input") == 0 ? scope->input : json_object_get(scope->results, key);
    while (value && (key = strsep(&rest, ".")))
        value = child(value, key);
    return json_incref((json_t *)value);
}

static int missing(struct work *w, const char *path)
{
    (void)snprintf(w->error, w->error_size, "Nothing is known by the reference $%.120s", path);
    return -ENOENT;
}

static int too_large(struct work *w)
{
    (void)snprintf(w->error, w->error_size, "The step's config becomes too large or too deeply nested");
    return -EMSGSIZE;
}

static int spend(struct work *w, size_t bytes)
{
    if (bytes > w->budget)
        return too_large(w);
    w->budget -= bytes;
    return 0;
}

/* Counts a value that is to be inserted at that depth; ends early where a limit is passed. */
static int measure(struct work *w, const json_t *value, int depth)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (depth > JSON_MAX_DEPTH)
        return too_large(w);
    int r = spend(w, json_is_string(value) ? json_string_length(value) + 1 : 1);
    json_object_foreach ((json_t *)value, key, inner) {
        if (r == 0)
            r = spend(w, strlen(key));
        if (r == 0)
            r = measure(w, inner, depth + 1);
        if (r < 0)
            return r;
    }
    json_array_foreach (value, i, inner) {
        if (r == 0)
            r = measure(w, inner, depth + 1);
        if (r < 0)
            return r;
    }
    return r;
}

static int add_value(struct buf *out, const json_t *value)
{
    if (json_is_null(value))
        return 0;
    if (json_is_string(value))
        return buf_add(out, json_string_value(value), json_string_length(value));
    return json_write(out, value);
}

static bool is_unreserved(unsigned char c)
{
    return is_word((char)c) || c == '-' || c == '.' || c == '~';
}

/* A value as one part of an address. */
static int add_part(struct work *w, struct buf *out, const json_t *value, const char *path)
{
    _cleanup_buf_ struct buf text = BUF_INIT(w->budget);
    int r = add_value(&text, value);
    if (r < 0)
        return r;
    if (text.len > 0 && strspn(text.data, ".") == text.len) {
        (void)snprintf(w->error, w->error_size, "The value of $%.120s can't be part of an address", path);
        return -EINVAL;
    }
    for (size_t i = 0; i < text.len && r == 0; i++) {
        unsigned char c = (unsigned char)text.data[i];
        r = is_unreserved(c) ? buf_add(out, &text.data[i], 1) : buf_addf(out, "%%%02X", c);
    }
    return r;
}

static int add_reference(struct work *w, struct buf *out, const struct reference *ref)
{
    if (!ref->path[0])
        return buf_add(out, "$", 1);
    _cleanup_json_ json_t *value = look_up(w->scope, ref->path);
    if (!value)
        return missing(w, ref->path);
    /* what an address begins with is its base, such as https://host */
    return w->in_address && out->len > 0 ? add_part(w, out, value, ref->path) : add_value(out, value);
}

static int fill_text(struct work *w, const char *text, json_t **ret)
{
    _cleanup_buf_ struct buf out = BUF_INIT(w->budget);
    struct reference ref;
    int r = 0;
    while (r == 0 && next_reference(text, &ref)) {
        r = buf_add(&out, text, (size_t)(ref.from - text));
        if (r == 0)
            r = add_reference(w, &out, &ref);
        text = ref.to;
    }
    if (r == 0)
        r = buf_adds(&out, text);
    if (r == -ENOBUFS)
        return too_large(w);
    if (r < 0)
        return r;
    w->budget -= out.len;
    *ret = json_stringn(buf_str(&out), out.len);
    return *ret ? 0 : -ENOMEM;
}

static int fill_string(struct work *w, const json_t *value, int depth, json_t **ret)
{
    struct reference ref;
    const char *text = json_string_value(value);
    if (!is_whole(text, &ref))
        return fill_text(w, text, ret);
    _cleanup_json_ json_t *found = look_up(w->scope, ref.path);
    if (!found)
        return missing(w, ref.path);
    int r = measure(w, found, depth);
    if (r == 0)
        *ret = TAKE_PTR(found);
    return r;
}

static int fill(struct work *w, const json_t *value, int depth, json_t **ret);

static int fill_object(struct work *w, const json_t *value, int depth, json_t **ret)
{
    _cleanup_json_ json_t *out = json_object();
    const char *key;
    json_t *inner;
    json_object_foreach ((json_t *)value, key, inner) {
        json_t *filled;
        int r = spend(w, strlen(key));
        w->in_address = depth == 1 && str_equal(w->scope->address_key, key);
        if (r == 0)
            r = fill(w, inner, depth + 1, &filled);
        w->in_address = false;
        if (r < 0)
            return r;
        if (json_object_set_new(out, key, filled) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(out);
    return *ret ? 0 : -ENOMEM;
}

static int fill_array(struct work *w, const json_t *value, int depth, json_t **ret)
{
    _cleanup_json_ json_t *out = json_array();
    json_t *inner;
    size_t i;
    json_array_foreach (value, i, inner) {
        json_t *filled;
        int r = fill(w, inner, depth + 1, &filled);
        if (r < 0)
            return r;
        if (json_array_append_new(out, filled) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(out);
    return *ret ? 0 : -ENOMEM;
}

static int fill(struct work *w, const json_t *value, int depth, json_t **ret)
{
    if (depth > JSON_MAX_DEPTH)
        return too_large(w);
    switch (json_typeof(value)) {
    case JSON_STRING:
        return fill_string(w, value, depth, ret);
    case JSON_OBJECT:
        return fill_object(w, value, depth, ret);
    case JSON_ARRAY:
        return fill_array(w, value, depth, ret);
    default:
        *ret = json_incref((json_t *)value);
        return 0;
    }
}

int interpolate(const json_t *value, const struct interpolate_scope *scope, json_t **ret, char *error,
                size_t size)
{
    struct work w = {.scope = scope, .budget = INTERPOLATE_MAX_BYTES, .error = error, .error_size = size};
    (void)snprintf(error, size, "Out of memory");
    int r = fill(&w, value, 1, ret);
    if (r == 0)
        error[0] = '\0';
    return r;
}

bool interpolate_is_missing(const json_t *value, const struct interpolate_scope *scope)
{
    struct reference ref;
    if (!json_is_string(value) || !is_whole(json_string_value(value), &ref))
        return false;
    _cleanup_json_ json_t *found = look_up(scope, ref.path);
    return !found;
}

void interpolate_each(const json_t *value, void (*found)(void *ctx, const char *path), void *ctx)
{
    const char *key, *text = json_string_value(value);
    json_t *inner;
    size_t i;
    struct reference ref;
    for (; text && next_reference(text, &ref); text = ref.to)
        if (ref.path[0])
            found(ctx, ref.path);
    json_object_foreach ((json_t *)value, key, inner)
        interpolate_each(inner, found, ctx);
    json_array_foreach (value, i, inner)
        interpolate_each(inner, found, ctx);
}
