/* SPDX-License-Identifier: MIT */
#include "skills/dump.h"

#include <errno.h>

static int add_nodes(const struct skill_set *set, json_t *nodes)
{
    for (uint32_t v = 0; v < graph_nodes(set->graph); v++)
        if (json_array_append_new(nodes, json_pack("{s:I, s:s, s:s}", "id", (json_int_t)v, "kind",
                                                   skill_set_node_kind(set, v), "name",
                                                   skill_set_node_name(set, v))) < 0)
            return -ENOMEM;
    return 0;
}

static int add_edges(const struct skill_set *set, uint32_t node, json_t *edges)
{
    struct graph_neighbours near = graph_neighbours(set->graph, node);
    for (uint32_t i = 0; i < near.n; i++)
        if (json_array_append_new(edges, json_pack("{s:I, s:I, s:s, s:f}", "source", (json_int_t)node,
                                                   "target", (json_int_t)near.arc[i].to, "kind",
                                                   skill_set_edge_name(set, near.kind[i]), "weight",
                                                   (double)near.arc[i].weight)) < 0)
            return -ENOMEM;
    return 0;
}

json_t *skills_graph_json(const struct skill_set *set)
{
    _cleanup_json_ json_t *nodes = json_array(), *edges = json_array();
    int r = nodes && edges ? add_nodes(set, nodes) : -ENOMEM;
    for (uint32_t v = 0; r == 0 && v < graph_nodes(set->graph); v++)
        r = add_edges(set, v, edges);
    return r == 0 ? json_pack("{s:O, s:O}", "nodes", nodes, "edges", edges) : NULL;
}

/* A text between quotes, as Graphviz reads it. */
static void print_quoted(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            (void)fputc('\\', to);
        (void)fputc((unsigned char)*c < 0x20 ? ' ' : *c, to);
    }
    (void)fputc('"', to);
}

static bool has_opposite(const struct skill_set *set, uint32_t from, struct graph_arc arc, uint8_t kind)
{
    struct graph_neighbours near = graph_neighbours(set->graph, arc.to);
    for (uint32_t i = 0; i < near.n; i++)
        if (near.arc[i].to == from && near.kind[i] == kind && near.arc[i].weight == arc.weight)
            return true;
    return false;
}

static void print_edges(const struct skill_set *set, uint32_t node, FILE *to)
{
    struct graph_neighbours near = graph_neighbours(set->graph, node);
    for (uint32_t i = 0; i < near.n; i++) {
        bool both = has_opposite(set, node, near.arc[i], near.kind[i]);
        if (both && near.arc[i].to < node)
            continue;
        (void)fprintf(to, "  n%u -> n%u [label=", node, near.arc[i].to);
        print_quoted(to, skill_set_edge_name(set, near.kind[i]));
        (void)fprintf(to, ", weight=%.3f%s];\n", (double)near.arc[i].weight, both ? ", dir=both" : "");
    }
}

int skills_graph_dot(const struct skill_set *set, FILE *to)
{
    (void)fputs("digraph skills {\n", to);
    for (uint32_t v = 0; v < graph_nodes(set->graph); v++) {
        const char *shape = v < set->n_skills                       ? "box"
                            : v < set->n_skills + set->n_categories ? "folder"
                                                                    : "ellipse";
        (void)fprintf(to, "  n%u [shape=%s, label=", v, shape);
        print_quoted(to, skill_set_node_name(set, v));
        (void)fputs("];\n", to);
    }
    for (uint32_t v = 0; v < graph_nodes(set->graph); v++)
        print_edges(set, v, to);
    (void)fputs("}\n", to);
    return ferror(to) ? -EIO : 0;
}
