/* SPDX-License-Identifier: MIT */
/* Objects of any JSON export as records. An object that holds text is a record; one that stands in another
 * under a name such as "author", "caption" or "hashtags" says it for that one; small ones without text add
 * their values to it, unless their name is one of what isn't kept ("email"). Texts in an array count for the
 * object around it. The array that an object stands in is its thread, unless it names one. */
#include "reader/fields.h"
#include "reader/formats.h"
#include "reader/json_tokens.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

struct level {
    bool object, used;
    enum field_role role; /* of the name it stands under */
    enum node_kind kind;
    uint32_t array;       /* number of the innermost array around it */
    char key[64];         /* of an object: the name read last; of an array: its own */
    struct fields fields; /* of an object */
};

struct reading {
    struct corpus *corpus;
    const struct source *source;
    struct json_tokens tokens;
    struct level level[JSON_TOKENS_DEPTH + 1]; /* [0] is around everything */
    unsigned depth;
    uint32_t arrays;
};

static void set_key(struct level *l, const struct buf *name)
{
    size_t len = utf8_floor(name->data, name->len, sizeof l->key - 1);
    memcpy(l->key, name->data, len);
    l->key[len] = '\0';
}

static void enter(struct reading *r, bool object)
{
    struct level *up = &r->level[r->depth], *l = &r->level[++r->depth];
    if (!l->used)
        fields_init(&l->fields);
    fields_reset(&l->fields);
    l->used = true;
    l->object = object;
    memcpy(l->key, up->key, sizeof l->key);
    l->role = up->key[0] ? field_role_of(up->key, strlen(up->key)) : FIELD_DETAIL;
    l->kind = node_kind_of(up->key, strlen(up->key), up->kind);
    if (object && l->role == FIELD_TEXT &&
        l->kind == NODE_PERSONA) /* {"about":{"bio":…}} is a thing by itself */
        l->role = FIELD_DETAIL;
    l->array = object ? up->array : ++r->arrays;
}

/* The object that a value in this level belongs to; NULL = none. */
static struct level *owner_of(struct reading *r, unsigned depth)
{
    while (depth > 0 && !r->level[depth].object)
        depth--;
    return depth > 0 ? &r->level[depth] : NULL;
}

static int emit(struct reading *r, struct level *l)
{
    char thread[320] = "";
    if (l->array > 0 && l->kind == NODE_FAN_MEMORY)
        (void)snprintf(thread, sizeof thread, "%.250s#%u", r->source->name, l->array);
    return fields_emit(&l->fields, r->corpus, r->source, l->kind, thread);
}

static bool says_it_for_another(const struct level *l)
{
    switch (l->role) {
    case FIELD_AUTHOR:
    case FIELD_TAGS:
    case FIELD_TITLE:
    case FIELD_DATE:
    case FIELD_THREAD:
        return true;
    case FIELD_TEXT: /* {"caption":{"text":…}}, but not {"message":{"text":…, "from":…}} */
        return l->fields.author[0] == '\0' && l->fields.date[0] == '\0';
    default:
        return false;
    }
}

static int leave_object(struct reading *r)
{
    struct level *l = &r->level[r->depth--];
    struct level *owner = owner_of(r, r->depth);
    bool direct = r->level[r->depth].object;
    bool for_another = owner && (direct || l->role == FIELD_TAGS) && says_it_for_another(l);
    if (l->fields.text.failed || l->fields.details.failed)
        return -ENOMEM;
    if (l->role == FIELD_IGNORED && l->fields.text.len == 0)
        return 0;
    if (for_another)
        fields_merge(&owner->fields, l->role, &l->fields);
    else if (fields_have_substance(&l->fields))
        return emit(r, l);
    else if (owner && direct)
        fields_merge(&owner->fields, FIELD_DETAIL, &l->fields);
    else if (l->fields.n_details > 0)
        r->corpus->counts.without_text++;
    return 0;
}

/* A text that no object is around, or in an array under a name that says nothing, is a record by itself. */
static int add_loose(struct reading *r, const struct level *l, const struct buf *text)
{
    struct record record = {.kind = l->kind, .text = text->data, .text_len = text->len};
    return corpus_add(r->corpus, r->source, &record);
}

static int add_value(struct reading *r, bool is_string)
{
    struct level *l = &r->level[r->depth];
    struct buf *text = &r->tokens.text;
    struct level *owner = owner_of(r, r->depth);
    enum field_role role = l->object ? field_role_of(l->key, strlen(l->key)) : l->role;
    if (!owner)
        return is_string ? add_loose(r, l, text) : 0;
    if (!l->object && role == FIELD_DETAIL && is_string && text->len > sizeof l->key)
        return add_loose(r, l, text);
    fields_add(&owner->fields, role, l->key, text->data, text->len);
    return 0;
}

static int take(struct reading *r, enum json_token token)
{
    switch (token) {
    case JSON_TOKEN_OBJECT:
    case JSON_TOKEN_ARRAY:
        enter(r, token == JSON_TOKEN_OBJECT);
        return 0;
    case JSON_TOKEN_OBJECT_END:
        return leave_object(r);
    case JSON_TOKEN_ARRAY_END:
        r->depth--;
        return 0;
    case JSON_TOKEN_KEY:
        set_key(&r->level[r->depth], &r->tokens.text);
        return 0;
    case JSON_TOKEN_STRING:
    case JSON_TOKEN_NUMBER:
        return add_value(r, token == JSON_TOKEN_STRING);
    default:
        return 0;
    }
}

/* X's exports are scripts: window.YTD.tweets.part0 = […] */
static size_t script_length(const char *text, size_t len)
{
    size_t n = 0;
    if (len < 7 || memcmp(text, "window.", 7) != 0)
        return 0;
    while (n < len && n < 200 && text[n] != '=')
        n++;
    return n < len && text[n] == '=' ? n + 1 : 0;
}

static int read_tokens(struct reading *r, const char **ret_why)
{
    int err = 0;
    while (err == 0 && !corpus_stops(r->corpus)) {
        enum json_token token = json_tokens_next(&r->tokens);
        if (token == JSON_TOKEN_END)
            return 0;
        if (token == JSON_TOKEN_BROKEN) {
            *ret_why = r->tokens.why;
            return -EBADMSG;
        }
        err = take(r, token);
    }
    return err;
}

int format_read_json(struct corpus *c, const struct source *source, const char *text, size_t len,
                     const char **ret_why)
{
    _cleanup_free_ struct reading *r = calloc(1, sizeof *r);
    size_t skip = script_length(text, len);
    if (!r)
        return -ENOMEM;
    r->corpus = c;
    r->source = source;
    r->level[0].kind = source->kind;
    json_tokens_begin(&r->tokens, text + skip, len - skip);
    int err = read_tokens(r, ret_why);
    for (size_t i = 1; i <= JSON_TOKENS_DEPTH && r->level[i].used; i++)
        fields_free(&r->level[i].fields);
    json_tokens_free(&r->tokens);
    return err;
}
