/* SPDX-License-Identifier: MIT */
/* A trie of path segments: a look-up costs one comparison per sibling on the way and allocates nothing. Where
 * a fixed segment and a parameter both fit, the fixed one wins. */
#include "http/route.h"

#include <errno.h>
#include <string.h>

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

static int add_route(struct route_set *set, const struct route *route)
{
    struct node *n = &set->root;
    for (const char *s = route->path; *s;) {
        s += *s == '/';
        size_t len = strcspn(s, "/");
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

static const struct node *match(const struct node *parent, const char *segment, size_t len)
{
    for (const struct node *n = parent->children; n; n = n->next)
        if (n->is_param ? len > 0 : n->len == len && !memcmp(n->segment, segment, len))
            return n;
    return NULL;
}

const struct route *routes_find(const struct route_set *set, enum http_method method, char *path_copy,
                                const char *params[REQUEST_MAX_PARAMS], unsigned *ret_allowed)
{
    const struct node *n = &set->root;
    size_t n_params = 0;
    *ret_allowed = 0;
    for (char *s = path_copy; s;) {
        s += *s == '/';
        size_t len = strcspn(s, "/");
        char *rest = s[len] ? s + len : NULL;
        n = match(n, s, len);
        if (!n)
            return NULL;
        if (n->is_param && n_params < REQUEST_MAX_PARAMS)
            params[n_params++] = s;
        if (rest)
            *rest++ = '\0'; /* cuts the parameter off; the next segment begins behind it */
        s = rest;
    }
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
