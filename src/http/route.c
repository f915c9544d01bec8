/* SPDX-License-Identifier: MIT */
/* A trie of path segments: a look-up costs one comparison per sibling on the way and allocates nothing. Where
 * a fixed segment and a parameter both fit, the fixed one wins, unless the rest of the path fits only behind
 * the parameter. */
#include "http/route.h"

#include <errno.h>
#include <string.h>

#define SEGMENTS_MAX 16

struct node {
    const char *segment; /* into the route's path */
    size_t len;
    bool is_param;
    struct node *children, *next;
    const struct route *routes[HTTP_METHODS];
};

struct route_set {
    struct node root;
    const struct route *const *tables;
};

static const char *const method_names[HTTP_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

static struct node *child_for(struct node *parent, const char *segment, size_t len)
{
    struct node **at = &parent->children;
    bool is_param = segment[0] == ':';
    for (; *at; at = &(*at)->next)
        if (is_param ? (*at)->is_param
                     : !(*at)->is_param && (*at)->len == len && !memcmp((*at)->segment, segment, len))
            return *at;
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    *n = (struct node){.segment = segment, .len = len, .is_param = is_param};
    if (is_param) { /* last among its siblings, so that fixed segments are tried first */
        *at = n;
        return n;
    }
    n->next = parent->children;
    parent->children = n;
    return n;
}

static bool is_sound(const struct route *route)
{
    const struct rate_limit *rate = route->rate;
    if (route->idempotent && ((route->kind != BLOCKING && route->kind != MODEL) ||
                              route->method == HTTP_GET || route->body.secret))
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
    return n->is_param ? segment[0] != '\0'
                       : strlen(segment) == n->len && !memcmp(n->segment, segment, n->len);
}

/* Depth is that of our own tables, not of input; at most two children of a node fit. */
static const struct node *match(const struct node *parent, char *const *segments, size_t count,
                                const char **params)
{
    if (count == 0)
        return has_routes(parent) ? parent : NULL;
    for (const struct node *n = parent->children; n; n = n->next) {
        if (!fits(n, segments[0]))
            continue;
        if (n->is_param)
            params[0] = segments[0];
        const struct node *found = match(n, segments + 1, count - 1, params + n->is_param);
        if (found)
            return found;
    }
    return NULL;
}

/* Cuts a path at its slashes: the number of segments, 0 where there are too many. */
static size_t cut(char *path, char *segments[SEGMENTS_MAX])
{
    size_t count = 0;
    for (char *s = path + (*path == '/'); s; count++) {
        if (count == SEGMENTS_MAX)
            return 0;
        segments[count] = s;
        s = strchr(s, '/');
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
    const struct node *n = count ? match(&set->root, segments, count, params) : NULL;
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
