/* SPDX-License-Identifier: MIT */
/* Walked by hand, so that each complaint has its place: "nodes[3].type must be one of …". A key that isn't
 * known is refused: it is a misspelt one more often than not. */
#include "taxonomy/file.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

#define ARENA_MAX ((size_t)128 << 20)
#define PLACE_MAX 64

/* A node by its type and name, to find the second of its kind. */
struct seen {
    UT_hash_handle hh;
    size_t place;
    char key[];
};

struct parse {
    struct taxonomy_file *file;
    struct seen *seen;
    char *error;
};

static int fail(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct parse *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vprintf(p->error, TAXONOMY_ERROR_MAX, fmt, ap);
    text_make_printable(p->error);
    va_end(ap);
    return -EINVAL;
}

static int no_memory(struct parse *p)
{
    (void)fail(p, "there is not enough memory to read it");
    return -ENOMEM;
}

/* ---- values */

/* A name in normal form, copied. */
static int take_name(struct parse *p, const char *text, size_t len, const char *where, const char **ret)
{
    char name[TAXONOMY_NAME_MAX + 1];
    int r = taxonomy_normalise(text, len, name);
    if (r == -E2BIG)
        return fail(p, "%s must have at most %d bytes", where, TAXONOMY_NAME_MAX);
    if (r < 0)
        return fail(p, "%s must not be blank, and must hold no control characters", where);
    *ret = arena_strdup(&p->file->arena, name);
    return *ret ? 0 : no_memory(p);
}

static int read_name(struct parse *p, const json_t *value, const char *where, const char **ret)
{
    if (!json_is_string(value))
        return fail(p, "%s must be a text", where);
    return take_name(p, json_string_value(value), json_string_length(value), where, ret);
}

static int read_text(struct parse *p, const json_t *value, const char *where, const char **ret)
{
    if (json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return fail(p, "%s must be a text", where);
    if (json_string_length(value) > TAXONOMY_TEXT_MAX)
        return fail(p, "%s must have at most %d bytes", where, TAXONOMY_TEXT_MAX);
    *ret = arena_strdup(&p->file->arena, json_string_value(value));
    return *ret ? 0 : no_memory(p);
}

static int read_aliases(struct parse *p, const json_t *value, const char *where,
                        struct taxonomy_file_node *node)
{
    size_t n = json_array_size(value);
    int r = 0;
    if (!json_is_array(value) || n > TAXONOMY_ALIASES_MAX)
        return fail(p, "%s must be a list of at most %d texts", where, TAXONOMY_ALIASES_MAX);
    node->aliases = arena_alloc(&p->file->arena, (n + 1) * sizeof *node->aliases);
    if (!node->aliases)
        return no_memory(p);
    for (size_t i = 0; i < n && r == 0; i++) {
        char place[2 * PLACE_MAX];
        (void)snprintf(place, sizeof place, "%s[%zu]", where, i);
        r = read_name(p, json_array_get(value, i), place, &node->aliases[i]);
    }
    node->n_aliases = n;
    return r;
}

/* ---- dimensions and nodes */

/* That there is no second one. what: "dimensions" or "nodes". */
static int must_be_new(struct parse *p, const char *what, const char *kind, const char *name, size_t place)
{
    char key[TAXONOMY_NAME_MAX + 32];
    struct seen *found = NULL;
    int len = snprintf(key, sizeof key, "%s:%s", kind, name);
    HASH_FIND(hh, p->seen, key, (size_t)len, found);
    if (found)
        return fail(p, "%s[%zu] is the same %s as %s[%zu]: %s", what, place, kind, what, found->place, name);
    found = arena_alloc(&p->file->arena, sizeof *found + (size_t)len + 1);
    if (!found)
        return no_memory(p);
    memcpy(found->key, key, (size_t)len + 1);
    found->place = place;
    HASH_ADD(hh, p->seen, key, (size_t)len, found);
    return found->hh.tbl ? 0 : no_memory(p);
}

static int read_dimension(struct parse *p, const json_t *value, size_t i)
{
    struct taxonomy_file_dimension *d = &p->file->dimensions[i];
    char where[PLACE_MAX];
    const char *key;
    json_t *field;
    int r = 0;
    json_object_foreach ((json_t *)value, key, field) {
        (void)snprintf(where, sizeof where, "dimensions[%zu].%.32s", i, key);
        if (str_equal(key, "name"))
            r = read_name(p, field, where, &d->name);
        else if (str_equal(key, "description"))
            r = read_text(p, field, where, &d->description);
        else
            r = fail(p, "%s is unknown: a dimension has a name and a description", where);
        if (r < 0)
            return r;
    }
    return d->name ? must_be_new(p, "dimensions", "dimension", d->name, i)
                   : fail(p, "dimensions[%zu].name is missing", i);
}

static int read_type(struct parse *p, const json_t *value, const char *where, struct taxonomy_file_node *node)
{
    int type = taxonomy_type_find(json_string_value(value));
    if (type < 0)
        return fail(p, "%s must be one of super_concept, category, tag, site", where);
    node->type = (enum taxonomy_type)type;
    return 0;
}

static int read_node_field(struct parse *p, const char *key, const json_t *value, const char *where,
                           struct taxonomy_file_node *node)
{
    if (str_equal(key, "type"))
        return read_type(p, value, where, node);
    if (str_equal(key, "name"))
        return read_name(p, value, where, &node->name);
    if (str_equal(key, "description"))
        return read_text(p, value, where, &node->description);
    if (str_equal(key, "dimension"))
        return json_is_null(value) ? 0 : read_name(p, value, where, &node->dimension);
    if (str_equal(key, "aliases"))
        return read_aliases(p, value, where, node);
    return fail(p, "%s is unknown: a node has type, name, dimension, description and aliases", where);
}

static int read_node(struct parse *p, const json_t *value, size_t i)
{
    struct taxonomy_file_node *node = &p->file->nodes[i];
    char where[PLACE_MAX];
    const char *key;
    json_t *field;
    json_object_foreach ((json_t *)value, key, field) {
        (void)snprintf(where, sizeof where, "nodes[%zu].%.32s", i, key);
        int r = read_node_field(p, key, field, where, node);
        if (r < 0)
            return r;
    }
    if (!json_object_get(value, "type"))
        return fail(p, "nodes[%zu].type is missing", i);
    if (!node->name)
        return fail(p, "nodes[%zu].name is missing", i);
    return must_be_new(p, "nodes", taxonomy_type_name(node->type), node->name, i);
}

/* ---- edges */

/* "tag:beach" names the type, "beach" leaves it to the relation. */
static int read_end(struct parse *p, const json_t *value, const char *where, unsigned types,
                    struct taxonomy_end *ret)
{
    const char *text = json_string_value(value), *colon = text ? strchr(text, ':') : NULL;
    char type[16] = "";
    if (!text)
        return fail(p, "%s must be a node's name, or type:name", where);
    ret->types = types;
    if (colon && colon - text < (int)sizeof type) {
        memcpy(type, text, (size_t)(colon - text));
        int found = taxonomy_type_find(type);
        if (found >= 0 && !(types & 1u << found))
            return fail(p, "%s can't be a %s here", where, type);
        if (found >= 0) {
            ret->types = 1u << found;
            text = colon + 1;
        }
    }
    return take_name(p, text, strlen(text), where, &ret->name);
}

static int read_weight(struct parse *p, const json_t *value, const char *where, double *ret)
{
    double weight = json_is_number(value) ? json_number_value(value) : -1;
    if (!isfinite(weight) || weight < 0 || weight > 1)
        return fail(p, "%s must be a number from 0 to 1", where);
    *ret = weight;
    return 0;
}

/* The relation says what its ends may be, so it is read first. */
static int read_relation(struct parse *p, const json_t *value, size_t i, struct taxonomy_file_edge *edge)
{
    int relation = taxonomy_relation_find(json_str(value, "type", NULL));
    if (relation < 0)
        return fail(p,
                    "edges[%zu].type must be one of HAS_TAG, HAS_CATEGORY, USES_TAG, CO_OCCURS, "
                    "MAPS_TO_CONCEPT",
                    i);
    edge->relation = (enum taxonomy_relation)relation;
    edge->weight = 1;
    return 0;
}

static int read_edge_field(struct parse *p, const char *key, const json_t *value, const char *where,
                           struct taxonomy_file_edge *edge)
{
    const struct taxonomy_relation_info *relation = taxonomy_relation_info(edge->relation);
    if (str_equal(key, "type"))
        return 0;
    if (str_equal(key, "source"))
        return read_end(p, value, where, relation->sources, &edge->source);
    if (str_equal(key, "target"))
        return read_end(p, value, where, relation->targets, &edge->target);
    if (str_equal(key, "weight"))
        return read_weight(p, value, where, &edge->weight);
    return fail(p, "%s is unknown: an edge has type, source, target and weight", where);
}

static int read_edge(struct parse *p, const json_t *value, size_t i)
{
    struct taxonomy_file_edge *edge = &p->file->edges[i];
    char where[PLACE_MAX];
    const char *key;
    json_t *field;
    int r = read_relation(p, value, i, edge);
    if (r < 0)
        return r;
    json_object_foreach ((json_t *)value, key, field) {
        (void)snprintf(where, sizeof where, "edges[%zu].%.32s", i, key);
        r = read_edge_field(p, key, field, where, edge);
        if (r < 0)
            return r;
    }
    if (!edge->source.name || !edge->target.name)
        return fail(p, "edges[%zu].%s is missing", i, edge->source.name ? "target" : "source");
    if (edge->source.types & edge->target.types && str_equal(edge->source.name, edge->target.name))
        return fail(p, "edges[%zu] leads from %s to itself", i, edge->source.name);
    return 0;
}

/* ---- the whole */

struct section {
    const char *name;
    int (*read)(struct parse *p, const json_t *value, size_t i);
    void *items; /* where the pointer to the array stands, in the file */
    size_t *count, size;
};

static int read_section(struct parse *p, const json_t *root, const struct section *s)
{
    const json_t *list = json_object_get(root, s->name);
    size_t n = json_array_size(list);
    int r = 0;
    if (list && !json_is_array(list))
        return fail(p, "%s must be a list", s->name);
    void *items = arena_alloc(&p->file->arena, (n + 1) * s->size);
    if (!items)
        return no_memory(p);
    memcpy(s->items, &items, sizeof items);
    *s->count = n;
    for (size_t i = 0; i < n && r == 0; i++) {
        const json_t *item = json_array_get(list, i);
        r = json_is_object(item) ? s->read(p, item, i) : fail(p, "%s[%zu] must be an object", s->name, i);
    }
    return r;
}

static int read_root(struct parse *p, const json_t *root)
{
    struct taxonomy_file *f = p->file;
    const struct section sections[] = {
        {"dimensions", read_dimension, &f->dimensions, &f->n_dimensions, sizeof *f->dimensions},
        {"nodes", read_node, &f->nodes, &f->n_nodes, sizeof *f->nodes},
        {"edges", read_edge, &f->edges, &f->n_edges, sizeof *f->edges},
    };
    const char *key;
    json_t *value;
    int r = 0;
    if (!json_is_object(root))
        return fail(p, "it must be an object with nodes and edges");
    json_object_foreach ((json_t *)root, key, value)
        if (!choices_have("about|dimensions|nodes|edges", key, strlen(key)))
            return fail(p, "%.64s is unknown: a taxonomy has about, dimensions, nodes and edges", key);
    for (size_t i = 0; i < ARRAY_LEN(sections) && r == 0; i++)
        r = read_section(p, root, &sections[i]);
    if (r == 0 && f->n_dimensions + f->n_nodes + f->n_edges == 0)
        return fail(p, "it holds neither nodes nor edges");
    return r;
}

int taxonomy_file_parse(const char *text, size_t len, struct taxonomy_file *ret, char *error)
{
    struct parse p = {.file = ret, .error = error};
    _cleanup_json_ json_t *root = json_parse_told(text, len, error, TAXONOMY_ERROR_MAX);
    *ret = (struct taxonomy_file){0};
    arena_init(&ret->arena, ARENA_MAX);
    int r = root ? read_root(&p, root) : -EINVAL;
    HASH_CLEAR(hh, p.seen);
    if (r < 0)
        taxonomy_file_free(ret);
    return r;
}

void taxonomy_file_free(struct taxonomy_file *f)
{
    arena_free(&f->arena);
    *f = (struct taxonomy_file){0};
}

/* The whole of a file, to be freed; NULL with errno. */
static char *read_whole(const char *path, size_t *ret_len)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct buf text = BUF_INIT(TAXONOMY_FILE_BYTES_MAX);
    _cleanup_free_ char *piece = malloc(65536);
    ssize_t n = 0;
    int r = fd < 0 ? -errno : piece ? 0 : -ENOMEM;
    while (r == 0 && (n = read(fd, piece, 65536)) > 0)
        r = buf_add(&text, piece, (size_t)n);
    if (r == 0 && n < 0)
        r = -errno;
    char *whole = r == 0 ? buf_take(&text, ret_len) : NULL;
    buf_free(&text);
    errno = r == -ENOBUFS ? EFBIG : r < 0 ? -r : ENOMEM;
    return whole;
}

int taxonomy_file_read(const char *path, struct taxonomy_file *ret, char *error)
{
    char why[TAXONOMY_ERROR_MAX] = "";
    size_t len = 0;
    _cleanup_free_ char *text = read_whole(path, &len);
    if (!text) {
        int r = -errno;
        (void)snprintf(error, TAXONOMY_ERROR_MAX, "%.200s can't be read: %s", path, strerror(-r));
        return r;
    }
    int r = taxonomy_file_parse(text, len, ret, why);
    if (r < 0)
        (void)snprintf(error, TAXONOMY_ERROR_MAX, "%.120s: %.190s", path, why);
    text_make_printable(error);
    return r;
}
