/* SPDX-License-Identifier: MIT */
/* One thread loads at a time; readers don't wait for it once there is a map. Locks are held for a few
 * instructions each, and never two of them. */
#include "taxonomy/taxonomy.h"

#include "base/clock.h"
#include "base/log.h"
#include "taxonomy/duck.h"
#include "taxonomy/map.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PATH_BYTES_MAX 4096

struct taxonomy {
    struct db *db;
    char file[PATH_BYTES_MAX]; /* of DuckDB */
    const char *library;       /* DUCKDB_LIB; the config outlives us */
    struct slot map;
    struct graph_pool pool;
    atomic_int_least64_t hits, misses, checked_ms;
    atomic_bool stale, from_duckdb;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t loaded;
    bool loading;
    uint64_t anew_begun,
        anew_done; /* numbers of loads from the store itself: the last one, the last good one */
};

int taxonomy_open(const struct config *cfg, struct db *db, struct taxonomy **ret)
{
    struct taxonomy *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->db = db;
    t->library = cfg->duckdb_lib;
    if (snprintf(t->file, sizeof t->file, "%s/" DUCK_FILE, cfg->data_dir) >= (int)sizeof t->file) {
        free(t);
        return -ENAMETOOLONG;
    }
    pthread_mutex_init(&t->map.lock, NULL);
    pthread_mutex_init(&t->pool.lock, NULL);
    pthread_mutex_init(&t->lock, NULL);
    cond_init(&t->loaded);
    *ret = t;
    return 0;
}

void taxonomy_close(struct taxonomy *t)
{
    if (!t)
        return;
    slot_put(&t->map, NULL);
    graph_pool_free(&t->pool);
    pthread_cond_destroy(&t->loaded);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->pool.lock);
    pthread_mutex_destroy(&t->map.lock);
    free(t);
}

/* ---- loading, by whoever may */

/* The file's rows, where it holds what the store holds: its stamp says so. */
static int read_file(struct taxonomy *t, struct taxonomy_rows *ret)
{
    char held[TAXONOMY_STAMP_SIZE], there[TAXONOMY_STAMP_SIZE];
    int r = duck_read_stamp(t->file, there);
    if (r == 0)
        r = taxonomy_stamp_read(t->db, held);
    if (r == 0 && strcmp(held, there) != 0)
        r = -ESTALE;
    return r == 0 ? duck_read(t->file, ret) : r;
}

/* What the store holds, by way of a new file where there can be one. What that file gives back is what
 * counts, also where another server puts its own there meanwhile: it may have read the store before us. */
static int read_store(struct taxonomy *t, bool duck, struct taxonomy_rows *ret, bool *ret_duckdb)
{
    struct taxonomy_rows rows, again;
    int r = taxonomy_rows_read(t->db, &rows);
    if (r < 0)
        return r;
    *ret_duckdb = duck && duck_write(t->file, &rows, &again) == 0;
    if (*ret_duckdb)
        taxonomy_rows_free(&rows);
    *ret = *ret_duckdb ? again : rows;
    return 0;
}

static int read_rows(struct taxonomy *t, bool anew, struct taxonomy_rows *ret, bool *ret_duckdb)
{
    bool duck = duck_load(t->library) == 0;
    *ret_duckdb = true;
    if (duck && !anew && read_file(t, ret) == 0)
        return 0;
    return read_store(t, duck, ret, ret_duckdb);
}

/* anew: from the store, whatever the file says. */
static int load(struct taxonomy *t, bool anew)
{
    struct taxonomy_rows rows;
    struct taxonomy_map *map;
    bool duckdb;
    int64_t began = clock_monotonic_ms();
    atomic_store_explicit(&t->stale, false, memory_order_relaxed); /* what comes from now on counts anew */
    int r = read_rows(t, anew, &rows, &duckdb);
    duck_rest();
    if (r == 0)
        r = map_build(&rows, &map);
    atomic_store_explicit(&t->checked_ms, clock_monotonic_ms(), memory_order_relaxed);
    if (r < 0)
        return log_error(r, "the taxonomy can't be loaded");
    log_event(LOG_INFO, "taxonomy loaded", LOG_N("nodes", map_rows(map)->n_nodes),
              LOG_N("edges", map_rows(map)->n_edges), LOG_S("from", duckdb ? "duckdb" : "store"),
              LOG_N("ms", clock_monotonic_ms() - began));
    atomic_store_explicit(&t->from_duckdb, duckdb, memory_order_relaxed);
    slot_put(&t->map, map_shared(map));
    return 0;
}

/* Takes the turn to load; waits for another's to end where `waits`. 0, -EBUSY or -ETIMEDOUT. */
static int take_turn(struct taxonomy *t, bool waits)
{
    struct timespec until = clock_deadline(TAXONOMY_LOAD_WAIT_MS);
    int waited = 0;
    pthread_mutex_lock(&t->lock);
    while (t->loading && waits && waited == 0)
        waited = pthread_cond_timedwait(&t->loaded, &t->lock, &until);
    bool mine = !t->loading;
    t->loading = true;
    pthread_mutex_unlock(&t->lock);
    return mine ? 0 : waits ? -ETIMEDOUT : -EBUSY;
}

static void end_turn(struct taxonomy *t)
{
    pthread_mutex_lock(&t->lock);
    t->loading = false;
    pthread_cond_broadcast(&t->loaded);
    pthread_mutex_unlock(&t->lock);
}

/* ---- the newest map */

static struct taxonomy_map *take(struct taxonomy *t)
{
    struct shared *now = slot_take(&t->map);
    return now ? map_of_shared(now) : NULL;
}

/* Of those who find none, one loads it, and the others wait. */
static int load_first(struct taxonomy *t, struct taxonomy_map **ret)
{
    int r = take_turn(t, true);
    if (r < 0)
        return r;
    struct taxonomy_map *map = take(t);
    if (!map) {
        r = load(t, false);
        map = take(t);
    }
    end_turn(t);
    *ret = map;
    return r;
}

static bool is_due(const struct taxonomy *t)
{
    return atomic_load_explicit(&t->stale, memory_order_relaxed) ||
           clock_monotonic_ms() - atomic_load_explicit(&t->checked_ms, memory_order_relaxed) >=
               TAXONOMY_CHECK_MS;
}

/* One thread looks whether the store has changed. If that can't be told, the old map is as good as any. */
static void check(struct taxonomy *t, const struct taxonomy_map *map)
{
    char stamp[TAXONOMY_STAMP_SIZE];
    if (take_turn(t, false) < 0)
        return;
    if (is_due(t)) {
        atomic_store_explicit(&t->stale, false, memory_order_relaxed);
        atomic_store_explicit(&t->checked_ms, clock_monotonic_ms(), memory_order_relaxed);
        int r = taxonomy_stamp_read(t->db, stamp);
        if (r < 0)
            (void)log_error(r, "whether the taxonomy has changed can't be told");
        else if (strcmp(stamp, map_rows(map)->stamp) != 0)
            (void)load(t, false);
    }
    end_turn(t);
}

/* A reference to it. */
static int newest(struct taxonomy *t, struct taxonomy_map **ret)
{
    struct taxonomy_map *map = take(t);
    int r = map ? 0 : load_first(t, &map);
    if (r < 0)
        return r;
    if (is_due(t)) {
        check(t, map);
        map_unref(map);
        map = take(t);
    }
    *ret = map;
    return 0;
}

/* ---- answers */

static int copy_terms(const struct taxonomy_rows *rows, struct arena *a, const struct taxonomy_scored *from,
                      size_t n, struct taxonomy_terms *ret)
{
    struct taxonomy_term *items = arena_alloc(a, (n + 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct taxonomy_node *node = &rows->nodes[from[i].node];
        items[i] = (struct taxonomy_term){arena_strdup(a, node->name), taxonomy_type_name(node->type),
                                          arena_strdup(a, node->dimension), from[i].score};
        if (!items[i].name || (node->dimension && !items[i].dimension))
            return -ENOMEM;
    }
    *ret = (struct taxonomy_terms){items, n};
    return 0;
}

static int copy_answer(const struct taxonomy_rows *rows, struct arena *a, const struct map_answer *from,
                       struct taxonomy_answer *ret)
{
    int r = copy_terms(rows, a, from->tags, from->n_tags, &ret->tags);
    if (r == 0)
        r = copy_terms(rows, a, from->concepts, from->n_concepts, &ret->super_concepts);
    return r == 0 ? copy_terms(rows, a, from->neighbours, from->n_neighbours, &ret->neighbours) : r;
}

/* Through the cache, and counted. */
static int look_up(struct taxonomy *t, struct taxonomy_map *map, const char *name,
                   const struct map_answer **ret)
{
    int r = map_look_up(map, &t->pool, name, ret);
    if (r >= 0)
        atomic_fetch_add_explicit(r ? &t->hits : &t->misses, 1, memory_order_relaxed);
    return r < 0 ? r : 0;
}

int taxonomy_look_up(struct taxonomy *t, struct arena *a, const char *term, struct taxonomy_answer *ret)
{
    char name[TAXONOMY_NAME_MAX + 1];
    const struct map_answer *found;
    _cleanup_(map_unrefP) struct taxonomy_map *map = NULL;
    if (taxonomy_normalise(term, strlen(term), name) < 0)
        return -EINVAL;
    int r = newest(t, &map);
    if (r == 0)
        r = look_up(t, map, name, &found);
    return r == 0 ? copy_answer(map_rows(map), a, found, ret) : r;
}

/* ---- tagging */

static bool is_among(const struct taxonomy_scored *list, size_t n, uint32_t node)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].node == node)
            return true;
    return false;
}

struct tagging {
    struct taxonomy_scored tags[TAXONOMY_TAGS_MOST], concepts[MAP_CONCEPTS_MOST],
        neighbours[MAP_NEIGHBOURS_MOST];
    size_t n_tags, n_concepts, n_neighbours;
};

/* What stands above and beside a tag that was found, for as much as the tag itself counts. */
static void add_surroundings(struct tagging *g, const struct map_answer *found, float score)
{
    for (uint32_t i = 0; i < found->n_concepts; i++)
        taxonomy_offer(g->concepts, &g->n_concepts, MAP_CONCEPTS_MOST,
                       (struct taxonomy_scored){found->concepts[i].node, found->concepts[i].score * score});
    for (uint32_t i = 0; i < found->n_neighbours; i++)
        if (!is_among(g->tags, g->n_tags, found->neighbours[i].node))
            taxonomy_offer(
                g->neighbours, &g->n_neighbours, MAP_NEIGHBOURS_MOST,
                (struct taxonomy_scored){found->neighbours[i].node, found->neighbours[i].score * score});
}

static int tag_by(struct taxonomy *t, struct taxonomy_map *map, const char *text, struct tagging *g)
{
    int r = map_tag(map, text, strlen(text), TAXONOMY_TAGS_MOST, g->tags, &g->n_tags);
    for (size_t i = 0; i < g->n_tags && r == 0; i++) {
        const struct map_answer *found;
        r = look_up(t, map, map_rows(map)->nodes[g->tags[i].node].name, &found);
        if (r == 0)
            add_surroundings(g, found, g->tags[i].score);
    }
    return r;
}

int taxonomy_tag(struct taxonomy *t, struct arena *a, const char *text, struct taxonomy_answer *ret)
{
    struct tagging g = {0};
    _cleanup_(map_unrefP) struct taxonomy_map *map = NULL;
    int r = newest(t, &map);
    if (r == 0 && map_rows(map)->n_nodes == 0)
        r = -ENODATA;
    if (r == 0)
        r = tag_by(t, map, text, &g);
    if (r == 0)
        r = copy_terms(map_rows(map), a, g.tags, g.n_tags, &ret->tags);
    if (r == 0)
        r = copy_terms(map_rows(map), a, g.concepts, g.n_concepts, &ret->super_concepts);
    return r == 0 ? copy_terms(map_rows(map), a, g.neighbours, g.n_neighbours, &ret->neighbours) : r;
}

/* ---- upkeep */

static uint64_t anew_begun(struct taxonomy *t)
{
    pthread_mutex_lock(&t->lock);
    uint64_t begun = t->anew_begun;
    pthread_mutex_unlock(&t->lock);
    return begun;
}

/* Loads from the store, and says how many answers went with the old map. */
static int load_anew(struct taxonomy *t, size_t *ret_cleared)
{
    struct taxonomy_map *before = take(t);
    pthread_mutex_lock(&t->lock);
    uint64_t number = ++t->anew_begun;
    pthread_mutex_unlock(&t->lock);
    int r = load(t, true);
    if (r == 0) {
        *ret_cleared = before ? map_cached(before) : 0;
        t->anew_done = number; /* read by whoever has the turn */
    }
    if (before)
        map_unref(before);
    return r;
}

/* A load from the store that began after this call did will do, whoever asked for it. */
int taxonomy_invalidate(struct taxonomy *t, size_t *ret_cleared)
{
    uint64_t begun = anew_begun(t);
    size_t cleared = 0;
    int r = take_turn(t, true);
    if (r < 0)
        return r;
    if (t->anew_done <= begun)
        r = load_anew(t, &cleared);
    end_turn(t);
    if (r == 0)
        *ret_cleared = cleared;
    return r;
}

void taxonomy_forget(struct taxonomy *t)
{
    atomic_store_explicit(&t->stale, true, memory_order_relaxed);
}

void taxonomy_cache_stats(struct taxonomy *t, struct taxonomy_cache_stats *ret)
{
    struct taxonomy_map *map = take(t);
    *ret = (struct taxonomy_cache_stats){
        .hits = atomic_load_explicit(&t->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&t->misses, memory_order_relaxed),
        .size = map ? (int64_t)map_cached(map) : 0,
    };
    if (map)
        map_unref(map);
}

size_t taxonomy_loaded(struct taxonomy *t, bool *ret_duckdb)
{
    struct taxonomy_map *map = take(t);
    size_t n = map ? map_rows(map)->n_nodes : 0;
    *ret_duckdb = atomic_load_explicit(&t->from_duckdb, memory_order_relaxed);
    if (map)
        map_unref(map);
    return n;
}
