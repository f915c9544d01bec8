/* SPDX-License-Identifier: MIT */
/* DuckDB and the store give the same answers, and a file that can't be used is no trouble. Where libduckdb
 * isn't there, what is tested is that its absence is told. */
#include "taxonomies.h"

#include "taxonomy/duck.h"
#include "taxonomy/taxonomy.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A library that the thread sanitizer has not seen built is nothing that it could judge. */
#if defined(__SANITIZE_THREAD__)
#define SANITIZED_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZED_THREADS 1
#endif
#endif

static bool has_duckdb(void)
{
#ifdef SANITIZED_THREADS
    return false;
#else
    return duck_load(NULL) == 0;
#endif
}

struct world {
    struct store *store;
    char file[128];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    (void)store_set_up_migrated((void **)&w->store);
    (void)snprintf(w->file, sizeof w->file, "%s/" DUCK_FILE, w->store->dir);
    import_sample(w->store->db);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    (void)unlink(w->file);
    (void)store_tear_down((void **)&w->store);
    free(w);
    return 0;
}

static struct taxonomy *open_with(const struct world *w, struct config *cfg, const char *library)
{
    struct taxonomy *t = NULL;
    *cfg = (struct config){.data_dir = w->store->dir, .duckdb_lib = library};
    assert_int_equal(taxonomy_open(cfg, w->store->db, &t), 0);
    return t;
}

static bool came_by_duckdb(struct taxonomy *t)
{
    struct arena a;
    struct taxonomy_answer answer;
    bool duckdb;
    arena_init(&a, (size_t)1 << 20);
    assert_int_equal(taxonomy_look_up(t, &a, "beach", &answer), 0);
    assert_int_equal(answer.tags.n, 1);
    assert_true(taxonomy_loaded(t, &duckdb) > 0);
    arena_free(&a);
    return duckdb;
}

static void assert_same_text(const char *a, const char *b)
{
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void assert_same_rows(const struct taxonomy_rows *a, const struct taxonomy_rows *b)
{
    assert_string_equal(a->stamp, b->stamp);
    assert_int_equal(a->n_nodes, b->n_nodes);
    assert_int_equal(a->n_edges, b->n_edges);
    assert_int_equal(a->n_aliases, b->n_aliases);
    for (size_t i = 0; i < a->n_nodes; i++) {
        assert_string_equal(a->nodes[i].id, b->nodes[i].id);
        assert_string_equal(a->nodes[i].name, b->nodes[i].name);
        assert_same_text(a->nodes[i].dimension, b->nodes[i].dimension);
        assert_int_equal(a->nodes[i].type, b->nodes[i].type);
    }
    for (size_t i = 0; i < a->n_edges; i++) {
        assert_int_equal(a->edges[i].source, b->edges[i].source);
        assert_int_equal(a->edges[i].target, b->edges[i].target);
        assert_int_equal(a->edges[i].relation, b->edges[i].relation);
        assert_true(a->edges[i].weight == b->edges[i].weight);
    }
    for (size_t i = 0; i < a->n_aliases; i++) {
        assert_string_equal(a->aliases[i].term, b->aliases[i].term);
        assert_int_equal(a->aliases[i].node, b->aliases[i].node);
        assert_true(a->aliases[i].weight == b->aliases[i].weight);
    }
}

/* A file as a process that is writing has it, since then. */
static void leave_file(char ret[160], const char *file, const char *who, int64_t age_s)
{
    struct timespec then[2] = {{.tv_sec = clock_now_ms() / 1000 - age_s},
                               {.tv_sec = clock_now_ms() / 1000 - age_s}};
    (void)snprintf(ret, 160, "%s.%s.tmp", file, who);
    FILE *f = fopen(ret, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(utimensat(AT_FDCWD, ret, then, 0), 0);
}

static void what_is_written_is_read(void **state)
{
    struct world *w = *state;
    struct taxonomy_rows rows, again;
    char stamp[TAXONOMY_STAMP_SIZE];
    if (!has_duckdb())
        skip();
    assert_int_equal(taxonomy_rows_read(w->store->db, &rows), 0);
    assert_int_equal(duck_read(w->file, &again), -ENOENT);
    char left[160], fresh[160];
    leave_file(left, w->file, "killed", 7200);
    leave_file(fresh, w->file, "writing", 0);
    assert_int_equal(duck_write(w->file, &rows, NULL), 0);
    assert_int_equal(duck_write(w->file, &rows, &again), 0); /* in the place of the first */
    assert_same_rows(&rows, &again);
    taxonomy_rows_free(&again);
    duck_rest(); /* which it comes back from */
    assert_int_equal(duck_read_stamp(w->file, stamp), 0);
    assert_string_equal(stamp, rows.stamp);
    assert_int_equal(duck_read(w->file, &again), 0);
    assert_same_rows(&rows, &again);
    taxonomy_rows_free(&rows);
    taxonomy_rows_free(&again);
    assert_int_equal(unlink(left), -1); /* which somebody who was killed had left */
    assert_int_equal(unlink(fresh), 0);
}

static void assert_same_terms(const struct taxonomy_terms *a, const struct taxonomy_terms *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_true(a->items[i].score == b->items[i].score);
    }
}

/* For every name there is. */
static void answers_are_the_same(void **state)
{
    struct world *w = *state;
    struct config with, without;
    struct taxonomy_rows rows;
    if (!has_duckdb())
        skip();
    assert_int_equal(taxonomy_rows_read(w->store->db, &rows), 0);
    struct taxonomy *duckdb = open_with(w, &with, NULL);
    assert_true(came_by_duckdb(duckdb));
    struct taxonomy_rows read;
    assert_int_equal(duck_read(w->file, &read), 0);
    assert_same_rows(&rows, &read);
    /* the library stays open, so the file is taken away instead */
    assert_int_equal(unlink(w->file), 0);
    assert_int_equal(mkdir(w->file, 0700), 0);
    struct taxonomy *store = open_with(w, &without, NULL);
    assert_false(came_by_duckdb(store));
    for (size_t i = 0; i < rows.n_nodes; i++) {
        struct arena a;
        struct taxonomy_answer one, two;
        arena_init(&a, (size_t)1 << 20);
        assert_int_equal(taxonomy_look_up(duckdb, &a, rows.nodes[i].name, &one), 0);
        assert_int_equal(taxonomy_look_up(store, &a, rows.nodes[i].name, &two), 0);
        assert_same_terms(&one.tags, &two.tags);
        assert_same_terms(&one.super_concepts, &two.super_concepts);
        assert_same_terms(&one.neighbours, &two.neighbours);
        arena_free(&a);
    }
    taxonomy_close(duckdb);
    taxonomy_close(store);
    taxonomy_rows_free(&rows);
    taxonomy_rows_free(&read);
    assert_int_equal(rmdir(w->file), 0);
}

static void a_stale_file_is_made_anew(void **state)
{
    struct world *w = *state;
    struct config cfg;
    struct taxonomy_import run = {0};
    char before[TAXONOMY_STAMP_SIZE], after[TAXONOMY_STAMP_SIZE];
    if (!has_duckdb())
        skip();
    struct taxonomy *t = open_with(w, &cfg, NULL);
    assert_true(came_by_duckdb(t));
    taxonomy_close(t);
    assert_int_equal(duck_read_stamp(w->file, before), 0);
    assert_int_equal(import_text(w->store->db, "{'nodes':[{'type':'tag','name':'observatory'}]}", &run), 0);
    t = open_with(w, &cfg, NULL);
    assert_true(came_by_duckdb(t));
    assert_int_equal(duck_read_stamp(w->file, after), 0);
    assert_string_not_equal(before, after);
    taxonomy_close(t);
}

/* Of the right stamp, but with what no graph can be made of. */
static void a_file_that_was_tampered_with_is_made_anew(void **state)
{
    struct world *w = *state;
    struct config cfg;
    struct taxonomy_rows rows;
    if (!has_duckdb())
        skip();
    assert_int_equal(taxonomy_rows_read(w->store->db, &rows), 0);
    rows.edges[0].weight = -1;
    assert_int_equal(duck_write(w->file, &rows, NULL), 0);
    taxonomy_rows_free(&rows);
    struct taxonomy *t = open_with(w, &cfg, NULL);
    assert_true(came_by_duckdb(t));
    taxonomy_close(t);
    assert_int_equal(duck_read(w->file, &rows), 0);
    assert_true(rows.edges[0].weight >= 0);
    taxonomy_rows_free(&rows);
}

/* A place where nothing can be put: what was read back is not given, and nothing is left. */
static void a_file_that_has_no_place_gives_nothing(void **state)
{
    struct world *w = *state;
    struct taxonomy_rows rows, again;
    if (!has_duckdb())
        skip();
    assert_int_equal(taxonomy_rows_read(w->store->db, &rows), 0);
    assert_int_equal(mkdir(w->file, 0700), 0);
    assert_true(duck_write(w->file, &rows, &again) < 0);
    assert_int_equal(rmdir(w->file), 0);
    taxonomy_rows_free(&rows);
}

/* Garbage, a cut file, and one of something else. */
static void a_broken_file_is_made_anew(void **state)
{
    struct world *w = *state;
    struct config cfg;
    static const struct {
        const char *bytes;
        size_t n;
    } contents[] = {{"", 0}, {"no database at all", 18}, {"\0\0\0\0\0\0\0\0DUCK and then no more", 29}};
    if (!has_duckdb())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        FILE *f = fopen(w->file, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(contents[i].bytes, 1, contents[i].n, f), contents[i].n);
        assert_int_equal(fclose(f), 0);
        struct taxonomy *t = open_with(w, &cfg, NULL);
        assert_true(came_by_duckdb(t));
        taxonomy_close(t);
    }
}

static void a_library_that_is_not_there_is_told(void **state)
{
    struct world *w = *state;
    struct config cfg;
    if (has_duckdb())
        skip(); /* it is open, and stays so */
    int r = duck_load("none");
    assert_true(r == -ENOENT || r == -ENOTSUP);
    assert_null(duck_version());
    struct taxonomy *t = open_with(w, &cfg, "none");
    assert_false(came_by_duckdb(t));
    taxonomy_close(t);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    log_configure(LOG_ERROR + 1, true);
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_is_written_is_read),
        WORLD_TEST(answers_are_the_same),
        WORLD_TEST(a_stale_file_is_made_anew),
        WORLD_TEST(a_broken_file_is_made_anew),
        WORLD_TEST(a_file_that_was_tampered_with_is_made_anew),
        WORLD_TEST(a_file_that_has_no_place_gives_nothing),
        WORLD_TEST(a_library_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
