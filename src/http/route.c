/* SPDX-License-Identifier: MIT */
/* A trie of path segments: a look-up costs one comparison per sibling on the way and allocates nothing. Where
 * a fixed segment and a parameter both fit, the fixed one wins, unless the rest of the path fits only behind
 * the parameter; a tail ("*") takes what nothing else fits. */
#include "http/route.h"

#include <errno.h>
#include <string.h>

#define SEGMENTS_MAX 16

enum segment_kind { SEGMENT_FIXED, SEGMENT_PARAM, SEGMENT_TAIL }; /* in the order they are tried */

struct node {
    const char *segment; /* into the route's path */
    size_t len;
    enum segment_kind kind;
    struct node *children, *next;
    const struct route *routes[HTTP_METHODS];
};

struct route_set {
    struct node root;
    const struct route *const *tables;
};

static const char *const method_names[HTTP_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE", "SEARCH"};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

static enum segment_kind kind_of(const char *segment, size_t len)
{
    if (segment[0] == ':')
        return SEGMENT_PARAM;
    return len == 1 && segment[0] == '*' ? SEGMENT_TAIL : SEGMENT_FIXED;
}

static struct node *child_for(struct node *parent, const char *segment, size_t len)
{
    enum segment_kind kind = kind_of(segment, len);
    struct node **at = &parent->children, **place = at;
    for (; *at; at = &(*at)->next) {
        const struct node *n = *at;
        bool same = n->kind == kind &&
                    (kind != SEGMENT_FIXED || (n->len == len && !memcmp(n->segment, segment, len)));
        if (same)
            return *at;
        if (n->kind < kind)
            place = &(*at)->next;
    }
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    *n = (struct node){.segment = segment, .len = len, .kind = kind, .next = *place};
    *place = n;
    return n;
}

static bool is_sound(const struct route *route)
{
    const struct rate_limit *rate = route->rate;
    bool unseen = route->body.kind == BODY_STREAM; /* its bytes are its own sink's alone */
    bool works = route->kind == BLOCKING || route->kind == MODEL;
    if (route->idempotent && (!works || route->method == HTTP_GET || route->body.secret_answer || unseen))
        return false;
    return !rate ||
           (rate->name && rate->limit > 0 && rate->window_s > 0 && rate->window_s <= RATE_WINDOW_MAX_S);
}

static int add_route(struct route_set *set, const struct route *route)
{
    if (!is_sound(route))
        return -EINVAL;
    struct node *n = &set->root;
    int params = 0, segments = 0;
    for (const char *s = route->path; *s;) {
        s += *s == '/';
        size_t len = strcspn(s, "/");
        params += *s == ':';
        if (n->kind == SEGMENT_TAIL)
            return -EINVAL;
        if (params > REQUEST_MAX_PARAMS || ++segments > SEGMENTS_MAX)
            return -EINVAL;
        n = child_for(n, s, len);
        if (!n)
            return -ENOMEM;
        s += len;
    }
    if (n->routes[route->method])
        return -EEXIST;
    n->routes[route->method] = route;
    return 0;
}

int routes_compile(const struct route *const *tables, struct route_set **ret)
{
    struct route_set *set = calloc(1, sizeof *set);
    if (!set)
        return -ENOMEM;
    set->tables = tables;
    for (size_t i = 0; tables[i]; i++)
        for (const struct route *route = tables[i]; route->path; route++) {
            int r = add_route(set, route);
            if (r < 0) {
                routes_free(set);
                return r;
            }
        }
    *ret = set;
    return 0;
}

/* Depth is that of our own tables, not of input. */
static void free_children(struct node *n)
{
    while (n->children) {
        struct node *child = n->children;
        n->children = child->next;
        free_children(child);
        free(child);
    }
}

void routes_free(struct route_set *set)
{
    if (!set)
        return;
    free_children(&set->root);
    free(set);
}

static bool has_routes(const struct node *n)
{
    for (int m = 0; m < HTTP_METHODS; m++)
        if (n->routes[m])
            return true;
    return false;
}

static bool fits(const struct node *n, const char *segment)
{
    if (n->kind == SEGMENT_PARAM) /* a slash: what was not cut any more */
        return segment[0] != '\0' && !strchr(segment, '/');
    return strlen(segment) == n->len && !memcmp(n->segment, segment, n->len);
}

/* Depth is that of our own tables, not of input; at most three children of a node fit. */
static const struct node *match(const struct node *parent, char *const *segments, size_t count,
                                const char **params)
{
    if (count == 0)
        return has_routes(parent) ? parent : NULL;
    for (const struct node *n = parent->children; n; n = n->next) {
        if (n->kind == SEGMENT_TAIL)
            return n;
        if (!fits(n, segments[0]))
            continue;
        bool is_param = n->kind == SEGMENT_PARAM;
        if (is_param)
            params[0] = segments[0];
        const struct node *found = match(n, segments + 1, count - 1, params + is_param);
        if (found)
            return found;
        if (is_param)
            params[0] = NULL;
    }
    return NULL;
}

/* Cuts a path at its slashes: the number of segments. Where there are too many, the last has the rest. */
static size_t cut(char *path, char *segments[SEGMENTS_MAX])
{
    size_t count = 0;
    for (char *s = path + (*path == '/'); s && count < SEGMENTS_MAX; count++) {
        segments[count] = s;
        s = count + 1 < SEGMENTS_MAX ? strchr(s, '/') : NULL;
        if (s)
            *s++ = '\0';
    }
    return count;
}

const struct route *routes_find(const struct route_set *set, enum http_method method, char *path_copy,
                                const char *params[REQUEST_MAX_PARAMS], unsigned *ret_allowed)
{
    char *segments[SEGMENTS_MAX];
    size_t count = cut(path_copy, segments);
    const struct node *n = match(&set->root, segments, count, params);
    *ret_allowed = 0;
    if (!n)
        return NULL;
    for (int m = 0; m < HTTP_METHODS; m++)
        if (n->routes[m])
            *ret_allowed |= 1u << m;
    return n->routes[method];
}

void routes_each(const struct route_set *set, void (*visit)(void *ctx, const struct route *route), void *ctx)
{
    for (size_t i = 0; set->tables[i]; i++)
        for (const struct route *route = set->tables[i]; route->path; route++)
            visit(ctx, route);
}

static void note_tail(void *ctx, const struct route *route)
{
    bool *found = ctx;
    const char *last = strrchr(route->path, '/');
    *found = *found || (last && strcmp(last, "/*") == 0);
}

bool routes_have_tail(const struct route_set *set)
{
    bool found = false;
    routes_each(set, note_tail, &found);
    return found;
}
