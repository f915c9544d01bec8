/* SPDX-License-Identifier: MIT */
#include "agent/attachments.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_BYTES 255
#define BASE64 ";base64,"

static const char *const image_types[] = {"image/png", "image/jpeg", "image/webp", "image/gif"};
static const char *const text_types[] = {"application/json", "application/xml", "application/x-yaml"};

static bool is_one_of(const char *mime, const char *const *types, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(mime, types[i]))
            return true;
    return false;
}

/* The part after "base64," of a data URI, or NULL. */
static const char *data_of(const char *content)
{
    const char *at = str_has_prefix(content, "data:") ? strstr(content, BASE64) : NULL;
    return at ? at + strlen(BASE64) : NULL;
}

static bool is_base64(const char *s)
{
    size_t len = strlen(s);
    return len > 0 && len % 4 == 0 &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == len;
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
    to->texts[to->n_texts++] = (struct attached_text){name, arena_strndup(a, text, len)};
    return to->texts[to->n_texts - 1].text ? 0 : -ENOMEM;
}

static int add(struct arena *a, struct attachments *to, const json_t *item, const char **why)
{
    const char *name = json_str(item, "name", "attachment"), *mime = json_str(item, "mime", NULL);
    const char *content = json_str(item, "contentString", NULL);
    if (!mime || !content || strlen(name) > NAME_MAX_BYTES) {
        *why = "An attachment needs name, mime and contentString";
        return -EINVAL;
    }
    const char *bare = arena_strndup(a, mime, strcspn(mime, "; "));
    if (!bare)
        return -ENOMEM;
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
