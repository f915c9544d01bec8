/* SPDX-License-Identifier: MIT */
/* Look-ups, tagging, and the cache: above all that nobody ever sees an empty or half-loaded graph. */
#include "taxonomies.h"

#include "taxonomy/taxonomy.h"

#include <stdatomic.h>

struct world {
    struct store *store;
    struct config cfg;
    struct taxonomy *taxonomy;
    struct arena arena;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    (void)store_set_up_migrated((void **)&w->store);
    w->cfg = (struct config){.data_dir = w->store->dir, .duckdb_lib = "none"};
    assert_int_equal(taxonomy_open(&w->cfg, w->store->db, &w->taxonomy), 0);
    arena_init(&w->arena, (size_t)16 << 20);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    taxonomy_close(w->taxonomy);
    arena_free(&w->arena);
    (void)store_tear_down((void **)&w->store);
    free(w);
    return 0;
}

static struct taxonomy_answer look_up(struct world *w, const char *term)
{
    struct taxonomy_answer a;
    int r = taxonomy_look_up(w->taxonomy, &w->arena, term, &a);
    if (r < 0)
        fail_msg("%s: %d", term, r);
    return a;
}

static double score_of(const struct taxonomy_terms *terms, const char *name)
{
    for (size_t i = 0; i < terms->n; i++)
        if (strcmp(terms->items[i].name, name) == 0)
            return terms->items[i].score;
    return 0;
}

static struct taxonomy_cache_stats stats(struct world *w)
{
    struct taxonomy_cache_stats s;
    taxonomy_cache_stats(w->taxonomy, &s);
    return s;
}

static void a_term_leads_to_tags_concepts_and_neighbours(void **state)
{
    struct world *w = *state;
    import_sample(w->store->db);
    struct taxonomy_answer a = look_up(w, " Golden Hour ");
    assert_int_equal(a.tags.n, 1);
    assert_string_equal(a.tags.items[0].name, "golden-hour");
    assert_string_equal(a.tags.items[0].dimension, "setting");
    assert_true(score_of(&a.super_concepts, "time-and-weather") > 0);
    assert_true(score_of(&a.super_concepts, "craft") > 0); /* by MAPS_TO_CONCEPT */
    assert_true(score_of(&a.neighbours, "natural-light") > score_of(&a.neighbours, "ring-light"));
    assert_true(score_of(&a.neighbours, "golden-hour") == 0);
}

static void a_compound_is_found_whole_and_by_part(void **state)
{
    struct world *w = *state;
    import_sample(w->store->db);
    struct taxonomy_answer whole = look_up(w, "golden hour"), part = look_up(w, "hour");
    assert_true(score_of(&whole.tags, "golden-hour") == 1);
    assert_true(score_of(&part.tags, "golden-hour") > 0 && score_of(&part.tags, "golden-hour") < 1);
    assert_true(score_of(&part.tags, "blue-hour") > 0);
    struct taxonomy_answer alias = look_up(w, "sunset light");
    assert_true(score_of(&alias.tags, "golden-hour") == 1);
    struct taxonomy_answer category = look_up(w, "outdoors"), nothing = look_up(w, "submarine");
    assert_true(score_of(&category.tags, "beach") > 0);
    assert_int_equal(nothing.tags.n + nothing.super_concepts.n + nothing.neighbours.n, 0);
    struct taxonomy_answer a;
    assert_int_equal(taxonomy_look_up(w->taxonomy, &w->arena, " ", &a), -EINVAL);
}

static void a_text_is_tagged(void **state)
{
    struct world *w = *state;
    struct taxonomy_answer a;
    import_sample(w->store->db);
    assert_int_equal(taxonomy_tag(w->taxonomy, &w->arena,
                                  "Yoga flows on the BEACH at golden hour, behind the scenes. Hour of calm!",
                                  &a),
                     0);
    assert_true(score_of(&a.tags, "beach") == 1);
    assert_true(score_of(&a.tags, "yoga-flow") == 1); /* whatever its ending */
    assert_true(score_of(&a.tags, "golden-hour") == 1);
    assert_true(score_of(&a.tags, "behind-the-scenes") == 1);
    assert_true(score_of(&a.tags, "blue-hour") > 0 && score_of(&a.tags, "blue-hour") < 0.5); /* by a part */
    assert_true(score_of(&a.super_concepts, "places") > 0);
    assert_true(score_of(&a.neighbours, "swimwear") > 0);
    assert_true(score_of(&a.neighbours, "beach") == 0);
    for (size_t i = 1; i < a.tags.n; i++)
        assert_true(a.tags.items[i - 1].score >= a.tags.items[i].score);
}

static void a_text_has_at_most_twelve_tags(void **state)
{
    struct world *w = *state;
    struct taxonomy_answer a;
    import_sample(w->store->db);
    assert_int_equal(
        taxonomy_tag(
            w->taxonomy, &w->arena,
            "beach garden meadow desert library kitchen denim hoodie suit uniform hat wig gloves scarf "
            "dance yoga cooking painting pottery knitting travel gaming anime poll vlog podcast",
            &a),
        0);
    assert_int_equal(a.tags.n, TAXONOMY_TAGS_MOST);
    assert_int_equal(taxonomy_tag(w->taxonomy, &w->arena, "nothing of the kind: \xff\xfe qqq", &a), 0);
    assert_int_equal(a.tags.n, 0);
}

static void an_empty_taxonomy_says_so(void **state)
{
    struct world *w = *state;
    struct taxonomy_answer a;
    assert_int_equal(taxonomy_tag(w->taxonomy, &w->arena, "beach", &a), -ENODATA);
    assert_int_equal(look_up(w, "beach").tags.n, 0);
}

static void look_ups_are_counted_and_kept(void **state)
{
    struct world *w = *state;
    size_t cleared;
    import_sample(w->store->db);
    assert_int_equal(stats(w).size + stats(w).hits + stats(w).misses, 0);
    (void)look_up(w, "beach");
    (void)look_up(w, "beach");
    (void)look_up(w, "Beach");
    (void)look_up(w, "submarine"); /* isn't kept: who asks for what isn't there fills no memory */
    (void)look_up(w, "submarine");
    assert_int_equal(stats(w).hits, 2);
    assert_int_equal(stats(w).misses, 3);
    assert_int_equal(stats(w).size, 1);
    assert_int_equal(taxonomy_invalidate(w->taxonomy, &cleared), 0);
    assert_int_equal(cleared, 1);
    assert_int_equal(stats(w).size, 0);
    assert_int_equal(stats(w).hits + stats(w).misses, 5);
    (void)look_up(w, "beach");
    assert_int_equal(stats(w).misses, 4);
}

static void a_change_is_seen_once_it_is_told(void **state)
{
    struct world *w = *state;
    size_t cleared;
    import_sample(w->store->db);
    assert_int_equal(look_up(w, "observatory").tags.n, 0);
    struct taxonomy_import run = {0};
    assert_int_equal(import_text(w->store->db, "{'nodes':[{'type':'tag','name':'observatory'}]}", &run), 0);
    taxonomy_forget(w->taxonomy);
    assert_int_equal(look_up(w, "observatory").tags.n, 1);
    /* one that leaves neither a count nor a date behind is seen by invalidate alone */
    assert_int_equal(store_exec(w->store->db, "UPDATE taxonomy_nodes SET name = 'planetarium' "
                                              "WHERE name = 'observatory'"),
                     0);
    taxonomy_forget(w->taxonomy);
    assert_int_equal(look_up(w, "planetarium").tags.n, 0);
    assert_int_equal(taxonomy_invalidate(w->taxonomy, &cleared), 0);
    assert_int_equal(look_up(w, "planetarium").tags.n, 1);
}

/* ---- 64 readers */

#define READERS 64
#define GENERATIONS 12
#define TAGS 20

/* The generation that an answer is of; -1 where it is of none, or mixed. Tags are called g<number>-t<number>.
 */
static int generation_of(const struct taxonomy_answer *a)
{
    int first = -1;
    if (a->tags.n != TAGS)
        return -1;
    for (size_t i = 0; i < a->tags.n; i++) {
        int generation = atoi(a->tags.items[i].name + 1);
        if (i > 0 && generation != first)
            return -1;
        first = generation;
    }
    return first;
}

static int write_generation(struct db_conn *c, void *arg)
{
    int generation = *(int *)arg, r;
    r = db_exec(c, "DELETE FROM taxonomy_nodes", DB_NO_ARGS, NULL);
    if (r == 0)
        r = db_exec(c,
                    "INSERT INTO taxonomy_nodes (id, type, name) VALUES "
                    "('00000000-0000-4000-8000-000000000000', 'category', 'probe')",
                    DB_NO_ARGS, NULL);
    for (int i = 1; i <= TAGS && r == 0; i++) {
        char id[40], edge[40], name[32];
        (void)snprintf(id, sizeof id, "00000000-0000-4000-8000-%012d", i);
        (void)snprintf(edge, sizeof edge, "00000000-0000-4000-9000-%012d", i);
        (void)snprintf(name, sizeof name, "g%d-t%d", generation, i);
        r = db_exec(c, "INSERT INTO taxonomy_nodes (id, type, name) VALUES (?1, 'tag', ?2)",
                    DB_ARGS(DB_TEXT(id), DB_TEXT(name)), NULL);
        if (r == 0)
            r = db_exec(c,
                        "INSERT INTO taxonomy_edges (id, type, source, target) VALUES (?1, 'HAS_TAG', "
                        "'00000000-0000-4000-8000-000000000000', ?2)",
                        DB_ARGS(DB_TEXT(edge), DB_TEXT(id)), NULL);
    }
    return r;
}

static struct {
    struct taxonomy *taxonomy;
    atomic_bool done;
    atomic_int wrong, failed;
    atomic_llong look_ups;
} readers;

/* Reads until the last generation is in force, and then once more. */
static void *read_on(void *arg)
{
    (void)arg;
    struct arena a;
    struct taxonomy_answer answer;
    int newest = -1;
    bool last;
    arena_init(&a, (size_t)1 << 20);
    do {
        last = atomic_load(&readers.done);
        int r = taxonomy_look_up(readers.taxonomy, &a, "probe", &answer);
        int generation = r == 0 ? generation_of(&answer) : -1;
        atomic_fetch_add(&readers.look_ups, 1);
        atomic_fetch_add(&readers.failed, r < 0);
        atomic_fetch_add(&readers.wrong, generation < newest || generation < 0);
        newest = generation;
        arena_free(&a);
        usleep(500); /* leaves the loading thread a share of few processors */
    } while (!last);
    return newest == GENERATIONS ? NULL : &readers;
}

static void *invalidate_too(void *arg)
{
    size_t cleared;
    (void)arg;
    while (!atomic_load(&readers.done)) {
        atomic_fetch_add(&readers.failed, taxonomy_invalidate(readers.taxonomy, &cleared) < 0);
        usleep(2000);
    }
    return NULL;
}

static void readers_see_whole_graphs_alone(void **state)
{
    struct world *w = *state;
    pthread_t threads[READERS], other;
    int generation = 0;
    size_t cleared;
    readers.taxonomy = w->taxonomy;
    assert_true(db_write(w->store->db, write_generation, &generation) >= 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, NULL), 0);
    assert_int_equal(pthread_create(&other, NULL, invalidate_too, NULL), 0);
    while (++generation <= GENERATIONS) {
        assert_true(db_write(w->store->db, write_generation, &generation) >= 0);
        assert_int_equal(taxonomy_invalidate(w->taxonomy, &cleared), 0);
    }
    atomic_store(&readers.done, true);
    for (int i = 0; i < READERS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(atomic_load(&readers.failed), 0);
    assert_int_equal(atomic_load(&readers.wrong), 0);
    assert_int_equal(stats(w).hits + stats(w).misses, atomic_load(&readers.look_ups));
    assert_true(stats(w).size <= 1);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    log_configure(LOG_ERROR, true);
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_term_leads_to_tags_concepts_and_neighbours),
        WORLD_TEST(a_compound_is_found_whole_and_by_part),
        WORLD_TEST(a_text_is_tagged),
        WORLD_TEST(a_text_has_at_most_twelve_tags),
        WORLD_TEST(an_empty_taxonomy_says_so),
        WORLD_TEST(look_ups_are_counted_and_kept),
        WORLD_TEST(a_change_is_seen_once_it_is_told),
        WORLD_TEST(readers_see_whole_graphs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
