/* SPDX-License-Identifier: MIT */
/* libyaml gives events; the containers that are open are a stack of fixed size, so nothing recurses. */
#include "skills/front_matter.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct reading {
    struct arena *arena;
    struct front_fault *fault;
    struct front_node *open[FRONT_DEPTH_MAX]; /* containers, outermost first */
    size_t depth;
    const char *key[FRONT_DEPTH_MAX]; /* of an open map: its member that comes next */
    struct front_node *root;
    size_t nodes;
    int first_line, documents;
    bool ended;
};

void front_fault_set(struct front_fault *fault, int line, const char *fmt, va_list ap)
{
    fault->line = line;
    text_vprintf(fault->why, sizeof fault->why, fmt, ap);
    text_make_printable(fault->why);
}

int front_fail(struct front_fault *fault, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    front_fault_set(fault, line, fmt, ap);
    va_end(ap);
    return -EBADMSG;
}

const struct front_node *front_member(const struct front_node *map, const char *key)
{
    for (const struct front_node *n = map ? map->first : NULL; n; n = n->next)
        if (str_equal(n->key, key))
            return n;
    return NULL;
}

/* Hangs a node into the innermost container, under the key that was read for it. */
static int place(struct reading *r, struct front_node *node)
{
    struct front_node *parent = r->depth > 0 ? r->open[r->depth - 1] : NULL;
    if (!parent) {
        r->root = node;
        return 0;
    }
    if (parent->kind == FRONT_MAP) {
        node->key = r->key[r->depth - 1];
        r->key[r->depth - 1] = NULL;
        if (front_member(parent, node->key))
            return front_fail(r->fault, node->line, "'%.64s' stands there twice", node->key);
    }
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    return 0;
}

static bool awaits_key(const struct reading *r)
{
    return r->depth > 0 && r->open[r->depth - 1]->kind == FRONT_MAP && !r->key[r->depth - 1];
}

static int make(struct reading *r, enum front_kind kind, int line, struct front_node **ret)
{
    if (++r->nodes > FRONT_NODES_MAX)
        return front_fail(r->fault, line, "there are more than %d values", FRONT_NODES_MAX);
    *ret = arena_alloc(r->arena, sizeof **ret);
    if (!*ret)
        return -ENOMEM;
    (*ret)->kind = kind;
    (*ret)->line = line;
    return 0;
}

static int begin_container(struct reading *r, enum front_kind kind, int line)
{
    struct front_node *node = NULL;
    if (awaits_key(r))
        return front_fail(r->fault, line, "a key must be a text");
    if (r->depth == FRONT_DEPTH_MAX)
        return front_fail(r->fault, line, "it is nested deeper than %d levels", FRONT_DEPTH_MAX);
    int err = make(r, kind, line, &node);
    if (err == 0)
        err = place(r, node);
    if (err < 0)
        return err;
    r->open[r->depth] = node;
    r->key[r->depth] = NULL;
    r->depth++;
    return 0;
}

/* Only a plain scalar can be nothing: "null" in quotes is a word. */
static bool is_nothing(const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || str_equal(text, "~") || str_equal_nocase(text, "null"));
}

static int take_scalar(struct reading *r, const yaml_event_t *e, int line)
{
    struct front_node *node = NULL;
    const char *text = (const char *)e->data.scalar.value;
    if (strlen(text) != e->data.scalar.length)
        return front_fail(r->fault, line, "a text holds a NUL");
    const char *kept = arena_strdup(r->arena, text);
    if (!kept)
        return -ENOMEM;
    if (awaits_key(r)) {
        r->key[r->depth - 1] = kept;
        return 0;
    }
    int err = make(r, FRONT_TEXT, line, &node);
    if (err < 0)
        return err;
    node->text = is_nothing(e) ? NULL : kept;
    return place(r, node);
}

static const char *anchor_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return (const char *)e->data.alias.anchor;
    case YAML_SCALAR_EVENT:
        return (const char *)e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)e->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static int take_event(struct reading *r, const yaml_event_t *e)
{
    int line = r->first_line + (int)e->start_mark.line;
    if (anchor_of(e))
        return front_fail(r->fault, line, "anchors and aliases are not taken");
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return r->documents++ == 0 ? 0 : front_fail(r->fault, line, "a second YAML document begins");
    case YAML_SCALAR_EVENT:
        return take_scalar(r, e, line);
    case YAML_SEQUENCE_START_EVENT:
        return begin_container(r, FRONT_LIST, line);
    case YAML_MAPPING_START_EVENT:
        return begin_container(r, FRONT_MAP, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return 0;
    case YAML_STREAM_END_EVENT:
        r->ended = true;
        return 0;
    default:
        return 0;
    }
}

static int parser_fault(const struct reading *r, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    return front_fail(r->fault, r->first_line + (int)p->problem_mark.line, "it is no YAML: %s",
                      p->problem ? p->problem : "unknown");
}

int front_read(struct arena *a, const char *yaml, size_t len, int first_line, struct front_node **ret,
               struct front_fault *fault)
{
    struct reading r = {.arena = a, .fault = fault, .first_line = first_line};
    yaml_parser_t parser;
    if (len > FRONT_BYTES_MAX)
        return front_fail(fault, first_line, "it is longer than %d bytes", FRONT_BYTES_MAX);
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    int err = 0;
    while (err == 0 && !r.ended) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            err = parser_fault(&r, &parser);
            break;
        }
        err = take_event(&r, &e);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    if (err == 0)
        *ret = r.root;
    return err;
}
