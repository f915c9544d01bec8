/* SPDX-License-Identifier: MIT */
/* The graph engine: activation over a graph of the documented size (191 skills, 252 nodes, 12,880 edges), and
 * walks over a graph of any size, each against the same hops as SQL on DuckDB:
 *
 *     graph_bench skills [LIBDUCKDB]
 *     graph_bench NODES EDGES [LIBDUCKDB]
 *
 * Edges of the large graph lead anywhere, so nearly each touches memory that no cache holds. Every walk
 * begins from other seeds. What both come to must be the same, else the program ends with a failure. */
#include "base/clock.h"
#include "hops_sql.h"
#include "skills/ask.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SKILLS 191
#define CATEGORIES 11
#define TAGS 50
#define TAGS_A_SKILL 6
#define EDGES 12880
#define QUESTIONS 2000
#define WALKS 200
#define SQL_WALKS 5
#define SEEDS 16
#define HITS 64

static uint64_t state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(((state >> 32) * n) >> 32);
}

static float share(void)
{
    return (float)below(1u << 24) / (1u << 24);
}

static void die(const char *what)
{
    (void)fprintf(stderr, "graph_bench: %s\n", what);
    exit(1);
}

/* Microseconds of processor time of this thread, which is all that a walk needs: others on the machine count
 * less than by the wall clock. */
static double processor_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_number);
    return values[n / 2];
}

/* ---- walks */

static void choose_seeds(struct graph_hit *seeds, uint32_t nodes)
{
    for (size_t i = 0; i < SEEDS; i++)
        seeds[i] = (struct graph_hit){.node = below(nodes), .potential = 0.5f + share() / 2};
}

/* What a walk can't do without: it goes along the edges of the nodes that fired, and adds each weight to what
 * stands for its target. Nanoseconds an edge. */
static double bare_walk(const struct graph *g, const struct graph_hit *hits, size_t n, double *sums)
{
    size_t touched = 0;
    double begin = processor_us();
    for (size_t i = 0; i < n; i++) {
        if (!hits[i].fired)
            continue;
        struct graph_neighbours near = graph_neighbours(g, hits[i].node);
        float least = GRAPH_SIGNAL_FLOOR / GRAPH_DECAY / hits[i].potential;
        for (uint32_t k = 0; k < near.n && near.arc[k].weight >= least; k++) {
            if (k + 16 < near.n)
                __builtin_prefetch(&sums[near.arc[k + 16].to], 1);
            sums[near.arc[k].to] += (double)near.arc[k].weight;
            touched++;
        }
    }
    return (processor_us() - begin) * 1000 / (double)touched;
}

/* In large pages, as what a walk works on. */
static double *make_sums(uint32_t nodes)
{
    const size_t page = (size_t)2 << 20;
    size_t bytes = (nodes * sizeof(double) + page - 1) / page * page;
    double *sums = aligned_alloc(page, bytes);
    if (!sums)
        die("out of memory");
    (void)madvise(sums, bytes, MADV_HUGEPAGE);
    return memset(sums, 0, bytes);
}

static void time_bare_walks(const struct graph *g, struct graph_scratch *s)
{
    static double ns[WALKS];
    struct graph_hit seeds[SEEDS], *hits = calloc(graph_nodes(g), sizeof *hits);
    double *sums = make_sums(graph_nodes(g));
    if (!hits)
        die("out of memory");
    for (size_t i = 0; i < WALKS; i++) {
        choose_seeds(seeds, graph_nodes(g));
        size_t n = graph_propagate(g, s, seeds, SEEDS, NULL, hits, graph_nodes(g));
        choose_seeds(seeds,
                     graph_nodes(g)); /* another walk in between, so that nothing is in a cache for it */
        (void)graph_propagate(g, s, seeds, SEEDS, NULL, hits + n, graph_nodes(g) - n);
        ns[i] = bare_walk(g, hits, n, sums);
    }
    printf("a bare loop over the same edges: median %.3f ns an edge\n", median(ns, WALKS));
    free(hits);
    free(sums);
}

/* Nanoseconds of a walk and of an edge that it touches, medians. Walks too short for the clock are repeated.
 */
static void time_walks(const struct graph *g, struct graph_scratch *s)
{
    static double ns[WALKS], an_edge[WALKS], touched[WALKS];
    struct graph_hit seeds[SEEDS], hits[HITS];
    int rounds = graph_nodes(g) < 10000 ? 20 : 1;
    for (size_t i = 0; i < WALKS; i++) {
        choose_seeds(seeds, graph_nodes(g));
        double begin = processor_us();
        for (int round = 0; round < rounds; round++)
            (void)graph_propagate(g, s, seeds, SEEDS, NULL, hits, HITS);
        ns[i] = (processor_us() - begin) * 1000 / rounds;
        touched[i] = (double)graph_scratch_stats(s).edges;
        an_edge[i] = ns[i] / touched[i];
    }
    printf("walk over %u nodes and %u edges: median %.1f us, %.0f edges touched, %.3f ns an edge\n",
           graph_nodes(g), graph_edges(g), median(ns, WALKS) / 1000, median(touched, WALKS),
           median(an_edge, WALKS));
}

/* Both ways of one walk must reach as many nodes with the same potential in all. */
static void compare(const struct graph *g, struct graph_scratch *s, const struct graph_hit *seeds,
                    int64_t reached, double sum)
{
    struct graph_hit *hits = calloc(graph_nodes(g), sizeof *hits);
    double own = 0;
    if (!hits)
        die("out of memory");
    size_t n = graph_propagate(g, s, seeds, SEEDS, NULL, hits, graph_nodes(g));
    for (size_t i = 0; i < n; i++)
        own += (double)hits[i].potential;
    free(hits);
    /* a potential at a border may fall on either side of it, since sums are rounded in another order */
    if (fabs((double)n - (double)reached) > 1e-3 * (double)n || fabs(own - sum) > 1e-3 * own)
        die("the walk and the SQL come to different results");
}

static void time_sql(const struct graph *g, struct graph_scratch *s, const char *library)
{
    static double us[SQL_WALKS];
    const char *why;
    struct graph_hit seeds[SEEDS];
    struct hops_sql *h = library ? hops_sql_open(library, g, &why) : NULL;
    if (!h) {
        printf("no comparison with DuckDB: %s\n", library ? why : "no library was named");
        return;
    }
    for (size_t i = 0; i < SQL_WALKS; i++) {
        int64_t reached;
        double sum;
        choose_seeds(seeds, graph_nodes(g));
        int64_t begin = clock_monotonic_us();
        hops_sql_walk(h, seeds, SEEDS, &reached, &sum);
        us[i] = (double)(clock_monotonic_us() - begin);
        compare(g, s, seeds, reached, sum);
    }
    printf("the same hops as SQL on DuckDB: median %.1f us\n", median(us, SQL_WALKS));
    hops_sql_close(h);
}

static struct graph *make_graph(uint32_t nodes, size_t n)
{
    struct graph *g = NULL;
    struct graph_edge *edges = calloc(n, sizeof *edges);
    if (!edges)
        die("out of memory");
    for (size_t i = 0; i < n; i++)
        edges[i] = (struct graph_edge){below(nodes), below(nodes), share(), 0};
    if (graph_build(nodes, edges, n, &g) < 0)
        die("out of memory");
    free(edges);
    return g;
}

static void walk(uint32_t nodes, size_t edges, const char *library)
{
    struct graph *g = make_graph(nodes, edges);
    struct graph_scratch *s = graph_scratch_new(nodes);
    if (!s)
        die("out of memory");
    time_walks(g, s);
    time_bare_walks(g, s);
    time_sql(g, s, library);
    graph_scratch_free(s);
    graph_unref(g);
}

/* ---- activation */

static void add_skill(struct skill_set_builder *b, uint32_t number)
{
    char id[16], name[32], category[32], description[128], tags[160];
    size_t at = 0;
    (void)snprintf(id, sizeof id, "s%u", number);
    (void)snprintf(name, sizeof name, "skill%u word%u", number, below(200));
    (void)snprintf(category, sizeof category, "%02u-category%u", number % CATEGORIES, number % CATEGORIES);
    (void)snprintf(description, sizeof description, "word%u word%u word%u word%u", below(200), below(200),
                   below(200), below(200));
    for (uint32_t i = 0; i < TAGS_A_SKILL; i++)
        at += (size_t)snprintf(tags + at, sizeof tags - at, "%s\"tag%u\"", i ? ", " : "[",
                               (number * 7 + i * below(9)) % TAGS);
    (void)snprintf(tags + at, sizeof tags - at, "]");
    struct skill_row row = {id, name, category, description, tags, description, "", 0};
    if (skill_set_add(b, &row) < 0)
        die("the set does not take so many skills");
}

static struct skill_set *make_skills(size_t relations)
{
    struct skill_set_builder *b = skill_set_begin();
    struct skill_set *set = NULL;
    state = 88172645463325252u; /* the same skills each time */
    for (uint32_t i = 0; i < SKILLS; i++)
        add_skill(b, i);
    for (size_t i = 0; i < relations; i++) {
        char from[16], to[16];
        (void)snprintf(from, sizeof from, "s%zu", i % SKILLS);
        (void)snprintf(to, sizeof to, "s%zu", (i % SKILLS + 1 + i / SKILLS) % SKILLS);
        struct skill_edge_row row = {from, to, "related", 0.05 + 0.9 * (double)share()};
        if (skill_set_add_edge(b, &row) < 0)
            die("the set does not take so many relations");
    }
    if (skill_set_finish(b, &set) < 0)
        die("out of memory");
    skill_set_builder_free(b);
    return set;
}

/* As many stated relations as bring the graph to the documented number of edges. */
static struct skill_set *documented_set(void)
{
    struct skill_set *bare = make_skills(0);
    size_t missing = (EDGES - graph_edges(bare->graph)) / 2;
    skill_set_unref(bare);
    return make_skills(missing);
}

static void time_activation(const char *library)
{
    static double ns[QUESTIONS];
    struct skill_activation found;
    struct skill_set *set = documented_set();
    struct skill_scratch *s = skill_scratch_take(set);
    if (!s)
        die("out of memory");
    for (size_t i = 0; i < QUESTIONS; i++) {
        char query[160];
        (void)snprintf(query, sizeof query,
                       "what about tag%u and tag%u, word%u or skill%u with word%u word%u", below(TAGS),
                       below(TAGS), below(200), below(SKILLS), below(200), below(200));
        double begin = processor_us();
        for (int round = 0; round < 10; round++)
            skill_activate(set, s, query, 5, &found);
        ns[i] = (processor_us() - begin) * 100;
    }
    printf("activation over %u skills, %u nodes and %u edges: median %.1f us\n", set->n_skills,
           graph_nodes(set->graph), graph_edges(set->graph), median(ns, QUESTIONS) / 1000);
    struct graph_scratch *walker = graph_scratch_new(graph_nodes(set->graph));
    if (!walker)
        die("out of memory");
    time_walks(set->graph, walker);
    time_sql(set->graph, walker, library);
    graph_scratch_free(walker);
    skill_scratch_give(set, s);
    skill_set_unref(set);
}

int main(int argc, char **argv)
{
    if (argc >= 2 && argc <= 3 && strcmp(argv[1], "skills") == 0) {
        time_activation(argc == 3 ? argv[2] : NULL);
        return 0;
    }
    long nodes = argc > 1 ? atol(argv[1]) : 0, edges = argc > 2 ? atol(argv[2]) : 0;
    if (argc < 3 || argc > 4 || nodes < 1 || nodes > 100000000 || edges < 1 || edges > 1000000000)
        die("usage: graph_bench skills [LIBDUCKDB] | NODES EDGES [LIBDUCKDB]");
    walk((uint32_t)nodes, (size_t)edges, argc == 4 ? argv[3] : NULL);
    return 0;
}
