/* SPDX-License-Identifier: MIT */
/* The taxonomy's cache: a look-up that is kept, one that is worked out, a text tagged, and the graph loaded
 * from the store and by way of DuckDB:
 *
 *     taxonomy_bench FOLDER NODES EDGES
 *
 * FOLDER, which must be empty, gets a store with a taxonomy of that size, made up. */
#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"
#include "taxonomy/duck.h"
#include "taxonomy/import.h"
#include "taxonomy/map.h"
#include "taxonomy/taxonomy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAGS_A_CATEGORY 20
#define KEPT_ROUNDS 200000
#define TEXTS 2000
#define LOADS 5

static uint64_t state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(((state >> 32) * n) >> 32);
}

static void die(const char *what)
{
    (void)fprintf(stderr, "taxonomy_bench: %s\n", what);
    exit(1);
}

static int64_t processor_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_size);
    return values[n / 2];
}

/* Categories of twenty tags each, and co-occurrence between any two tags. */
static void make_file(uint32_t nodes, uint32_t edges, struct taxonomy_file *f)
{
    uint32_t categories = nodes / (TAGS_A_CATEGORY + 1), tags = nodes - categories;
    *f = (struct taxonomy_file){.n_nodes = nodes, .n_edges = edges};
    arena_init(&f->arena, (size_t)256 << 20);
    f->nodes = arena_alloc(&f->arena, nodes * sizeof *f->nodes);
    f->edges = arena_alloc(&f->arena, edges * sizeof *f->edges);
    if (!f->nodes || !f->edges || tags < 2)
        die("too many, or too few");
    for (uint32_t i = 0; i < nodes; i++)
        f->nodes[i] = (struct taxonomy_file_node){
            .type = i < tags ? TAXONOMY_TAG : TAXONOMY_CATEGORY,
            .name = arena_printf(&f->arena, i < tags ? "first%u-second%u" : "category%u", i, i / 7)};
    for (uint32_t i = 0; i < edges; i++) {
        uint32_t a = below(tags), b = (a + 1 + below(tags - 1)) % tags;
        bool hierarchy = i < tags;
        f->edges[i] =
            (struct taxonomy_file_edge){.relation = hierarchy ? TAXONOMY_HAS_TAG : TAXONOMY_CO_OCCURS,
                                        .source = {hierarchy ? 1u << TAXONOMY_CATEGORY : 1u << TAXONOMY_TAG,
                                                   f->nodes[hierarchy ? tags + i % categories : a].name},
                                        .target = {1u << TAXONOMY_TAG, f->nodes[hierarchy ? i : b].name},
                                        .weight = hierarchy ? 1 : (double)below(1000) / 1000};
    }
}

static struct db *make_store(const char *folder, const struct taxonomy_file *file)
{
    char path[4096];
    struct db *db = NULL;
    struct taxonomy_import run = {0};
    (void)snprintf(path, sizeof path, "%s/genie.db", folder);
    if (db_open(&(struct db_options){.path = path, .readers = 4}, &db) < 0 || db_migrate(db, NULL) < 0)
        die("the store can't be opened");
    if (taxonomy_import(db, file, &run) < 0)
        die("the taxonomy can't be imported");
    return db;
}

/* Each name once: worked out. Then names at random: kept. Processor time of this thread. */
static void measure_look_ups(struct taxonomy *t, const struct taxonomy_file *f)
{
    size_t n = f->n_nodes < 4000 ? f->n_nodes : 4000;
    double *worked_out = malloc(n * sizeof *worked_out);
    struct taxonomy_answer answer;
    struct arena a;
    arena_init(&a, (size_t)1 << 20);
    (void)taxonomy_look_up(t, &a, "nothing", &answer); /* which loads */
    for (size_t i = 0; worked_out && i < n; i++) {
        int64_t began = processor_ns();
        if (taxonomy_look_up(t, &a, f->nodes[i].name, &answer) < 0)
            die("a look-up failed");
        worked_out[i] = (double)(processor_ns() - began) / 1000;
        arena_free(&a);
    }
    printf("look-up worked out: median %.1f us\n", median(worked_out, n));
    free(worked_out);
    int64_t began = processor_ns();
    for (int i = 0; i < KEPT_ROUNDS; i++) {
        (void)taxonomy_look_up(t, &a, f->nodes[below((uint32_t)n)].name, &answer);
        arena_free(&a);
    }
    printf("look-up kept: mean %.2f us\n", (double)(processor_ns() - began) / 1000 / KEPT_ROUNDS);
}

static void measure_tagging(struct taxonomy *t, const struct taxonomy_file *f)
{
    double *took = malloc(TEXTS * sizeof *took);
    for (int i = 0; took && i < TEXTS; i++) {
        struct taxonomy_answer answer;
        struct arena a;
        char text[2048];
        size_t len = 0;
        arena_init(&a, (size_t)1 << 20);
        for (int k = 0; k < 60; k++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s ",
                                    k % 10 ? "word" : f->nodes[below((uint32_t)f->n_nodes)].name);
        int64_t began = processor_ns();
        if (taxonomy_tag(t, &a, text, &answer) < 0)
            die("a text could not be tagged");
        took[i] = (double)(processor_ns() - began) / 1000;
        arena_free(&a);
    }
    printf("text of 60 words tagged: median %.1f us\n", median(took, TEXTS));
    free(took);
}

/* Rows alone; wall clock, since the disk takes part. */
static void measure_loads(struct db *db, const char *folder)
{
    char path[4096];
    struct taxonomy_rows rows;
    double store[LOADS], duckdb[LOADS];
    (void)snprintf(path, sizeof path, "%s/" DUCK_FILE, folder);
    bool duck = duck_load(NULL) == 0;
    for (int i = 0; i < LOADS; i++) {
        int64_t began = clock_monotonic_us();
        if (taxonomy_rows_read(db, &rows) < 0)
            die("the store can't be read");
        store[i] = (double)(clock_monotonic_us() - began) / 1000;
        if (duck && i == 0 && duck_write(path, &rows, NULL) < 0)
            die("DuckDB can't be written");
        taxonomy_rows_free(&rows);
        began = clock_monotonic_us();
        if (duck && duck_read(path, &rows) < 0)
            die("DuckDB can't be read");
        duckdb[i] = (double)(clock_monotonic_us() - began) / 1000;
        if (duck)
            taxonomy_rows_free(&rows);
    }
    printf("rows from the store: median %.1f ms\n", median(store, LOADS));
    if (duck)
        printf("rows from DuckDB %s: median %.1f ms\n", duck_version(), median(duckdb, LOADS));
}

int main(int argc, char **argv)
{
    struct taxonomy_file file;
    struct taxonomy *t = NULL;
    if (argc != 4 || atoi(argv[2]) < 3 || atoi(argv[3]) < 1)
        die("taxonomy_bench FOLDER NODES EDGES");
    log_configure(LOG_WARN, false);
    make_file((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), &file);
    struct db *db = make_store(argv[1], &file);
    struct config cfg = {.data_dir = argv[1]};
    printf("%zu nodes, %zu edges\n", file.n_nodes, file.n_edges);
    if (taxonomy_open(&cfg, db, &t) < 0)
        die("out of memory");
    measure_look_ups(t, &file);
    measure_tagging(t, &file);
    measure_loads(db, argv[1]);
    taxonomy_close(t);
    db_close(db);
    taxonomy_file_free(&file);
    return 0;
}
