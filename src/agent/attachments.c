/* SPDX-License-Identifier: MIT */
#include "agent/attachments.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_BYTES 255
#define DATA "data:"
#define BASE64 ";base64,"

static const char *const image_types[] = {"image/png", "image/jpeg", "image/webp", "image/gif"};
static const char *const text_types[] = {"application/json", "application/xml", "application/x-yaml"};

static bool is_one_of(const char *mime, const char *const *types, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(mime, types[i]))
            return true;
    return false;
}

/* The part after "base64," of a data URI, or NULL. A text that begins with "data:" is not yet one. */
static const char *data_of(const char *content)
{
    const char *comma = str_has_prefix(content, DATA) ? content + strcspn(content, ", \t\r\n") : NULL;
    size_t len = comma && *comma == ',' ? (size_t)(comma + 1 - content) : 0;
    return len > strlen(BASE64) && memcmp(comma + 1 - strlen(BASE64), BASE64, strlen(BASE64)) == 0 ? comma + 1
                                                                                                   : NULL;
}

static bool is_base64(const char *s)
{
    size_t digits = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    size_t padding = strspn(s + digits, "=");
    return digits > 0 && padding <= 2 && s[digits + padding] == '\0' && (digits + padding) % 4 == 0;
}

/* A name on one line, since it becomes a heading. */
static const char *heading(struct arena *a, const char *name)
{
    char *copy = arena_strdup(a, name);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = ' ';
    return copy;
}

static int add_image(struct attachments *to, const char *mime, const char *content, const char **why)
{
    const char *data = data_of(content);
    if (!data || !is_base64(data)) {
        *why = "An image attachment must be a base64 data URI";
        return -EINVAL;
    }
    to->images[to->n_images++] = (struct llm_image){mime, data};
    return 0;
}

static int add_text(struct arena *a, struct attachments *to, const char *name, const char *content,
                    const char **why)
{
    const char *data = data_of(content);
    const char *text = content;
    size_t len = strlen(content);
    if (data) {
        text = (const char *)base64_decode(a, data, &len);
        if (!text) {
            *why = "A text attachment is not valid base64";
            return -EINVAL;
        }
    }
    if (!utf8_valid(text, len) || memchr(text, '\0', len)) {
        *why = "A text attachment is not UTF-8 text";
        return -ENOTSUP;
    }
    struct attached_text *at = &to->texts[to->n_texts++];
    *at = (struct attached_text){heading(a, name), arena_strndup(a, text, len)};
    return at->name && at->text ? 0 : -ENOMEM;
}

static int add(struct arena *a, struct attachments *to, const json_t *item, const char **why)
{
    const char *name = json_str(item, "name", "attachment"), *mime = json_str(item, "mime", NULL);
    const char *content = json_str(item, "contentString", NULL);
    if (!mime || !content || strlen(name) > NAME_MAX_BYTES) {
        *why = "An attachment needs name, mime and contentString";
        return -EINVAL;
    }
    char *bare = arena_strndup(a, mime, strcspn(mime, "; "));
    if (!bare)
        return -ENOMEM;
    str_lower(bare);
    if (is_one_of(bare, image_types, ARRAY_LEN(image_types)))
        return add_image(to, bare, content, why);
    if (str_has_prefix(bare, "text/") || is_one_of(bare, text_types, ARRAY_LEN(text_types)))
        return add_text(a, to, name, content, why);
    *why = "Attachments of this kind can't be read: only texts and images";
    return -ENOTSUP;
}

int attachments_parse(struct arena *a, const json_t *list, struct attachments *ret, const char **ret_sentence)
{
    struct attachments found = {0};
    *ret_sentence = "Too many attachments";
    if (json_array_size(list) > ATTACHMENTS_MOST)
        return -EINVAL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int r = add(a, &found, json_array_get(list, i), ret_sentence);
        if (r < 0)
            return r;
    }
    *ret = found;
    return 0;
}
