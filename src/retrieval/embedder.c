/* SPDX-License-Identifier: MIT */
#include "retrieval/embedder.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/text.h"
#include "retrieval/embedding.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define QUESTION_MAX 4096 /* bytes of a question that are embedded */

struct embedder {
    struct vector_source source;
    char *model;
    struct db *db;
    struct index_cache *cache;
    atomic_size_t dim;
    _Atomic int64_t pause_until; /* on the monotonic clock, ms */
    atomic_bool closing;
    pthread_mutex_t lock;
    struct pool *thread;                                    /* started when first needed */
    char waiting[EMBEDDER_WAITING_MAX][CACHE_USER_MAX + 1]; /* users queued or worked on; "" = free */
};

/* A batch of nodes: texts, then vectors, on their way into the store. */
struct batch {
    const struct embedder *embedder;
    const char *user_id;
    const struct index_node *node[EMBEDDER_BATCH];
    char *text[EMBEDDER_BATCH];
    size_t n, dim;
    float *vectors;
};

struct fill {
    struct embedder *embedder;
    char *user_id; /* its place in `waiting` */
};

int embedder_new(const struct vector_source *source, struct db *db, struct index_cache *cache,
                 struct embedder **ret)
{
    struct embedder *e = calloc(1, sizeof *e);
    char *model = strdup(source->model);
    if (!e || !model) {
        free(e);
        free(model);
        return -ENOMEM;
    }
    *e = (struct embedder){.source = *source, .model = model, .db = db, .cache = cache};
    pthread_mutex_init(&e->lock, NULL);
    *ret = e;
    return 0;
}

void embedder_free(struct embedder *e)
{
    if (!e)
        return;
    atomic_store(&e->closing, true);
    if (e->thread)
        pool_stop(e->thread);
    pthread_mutex_destroy(&e->lock);
    free(e->model);
    free(e);
}

const char *embedder_model(const struct embedder *e)
{
    return e->model;
}

size_t embedder_dim(const struct embedder *e)
{
    return atomic_load(&e->dim);
}

static bool may_ask(struct embedder *e)
{
    return !atomic_load(&e->closing) && clock_monotonic_ms() >= atomic_load(&e->pause_until);
}

/* Asks the source. A failure is logged here, once a pause. */
static int ask(struct embedder *e, const char *const *texts, size_t n, float **ret, size_t *ret_dim)
{
    if (!may_ask(e))
        return -EIO;
    int r = e->source.embed(e->source.ctx, texts, n, ret, ret_dim);
    if (r == 0 && *ret_dim > VECTOR_DIM_MAX) {
        free(*ret);
        r = -EIO;
    }
    if (r == -ENOTSUP) { /* named, but without an address */
        atomic_store(&e->pause_until, INT64_MAX);
        return -EIO;
    }
    if (r < 0) {
        atomic_store(&e->pause_until, clock_monotonic_ms() + EMBEDDER_PAUSE_MS);
        log_event(LOG_WARN, "the embedder failed, tag overlap stands in", LOG_S("model", e->model));
        return -EIO;
    }
    size_t before = atomic_exchange(&e->dim, *ret_dim);
    if (before != 0 && before != *ret_dim)
        index_cache_forget(e->cache, NULL);
    return 0;
}

int embedder_question(struct embedder *e, const char *question, float **ret, size_t *ret_dim)
{
    size_t len = utf8_floor(question, strlen(question), QUESTION_MAX);
    if (!utf8_valid(question, len))
        return -EIO;
    _cleanup_free_ char *text = strndup(question, len);
    return text ? ask(e, (const char *const *)&text, 1, ret, ret_dim) : -EIO;
}

/* Stores the vectors of a batch. A node that was edited since keeps a vector whose fingerprint no longer
 * fits, and is embedded again; one that is gone is no row. */
static int store_batch(struct db_conn *c, void *arg)
{
    const struct batch *b = arg;
    db_concerns(c, b->user_id);
    for (size_t i = 0; i < b->n; i++) {
        uint64_t fingerprint = embedding_fingerprint(b->embedder->model, b->text[i]);
        _cleanup_buf_ struct buf blob = BUF_INIT(sizeof fingerprint + VECTOR_DIM_MAX * sizeof(float));
        int r = embedding_encode(&blob, fingerprint, b->vectors + i * b->dim, b->dim);
        if (r == 0)
            r = db_exec(c, "UPDATE user_nodes SET embedding = ?1 WHERE id = ?2 AND user_id = ?3",
                        DB_ARGS(DB_BLOB(blob.data, blob.len), DB_TEXT(b->node[i]->id), DB_TEXT(b->user_id)),
                        NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Embeds and stores what the batch has gathered, and empties it. */
static int send_batch(struct embedder *e, struct batch *b)
{
    int r = b->n > 0 ? ask(e, (const char *const *)b->text, b->n, &b->vectors, &b->dim) : 0;
    if (r == 0 && b->n > 0)
        r = db_write(e->db, store_batch, b);
    for (size_t i = 0; i < b->n; i++)
        free(b->text[i]);
    free(b->vectors);
    b->vectors = NULL;
    b->n = 0;
    return r < 0 ? r : 0;
}

/* By id, the order in which all write nodes (docs/store.md). */
static int add_to_batch(struct batch *b, const struct index_node *node)
{
    char text[EMBEDDING_TEXT_MAX + 1];
    size_t at = b->n;
    (void)embedding_text(node->title, node->tags, node->content, text);
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    for (; at > 0 && strcmp(b->node[at - 1]->id, node->id) > 0; at--) {
        b->node[at] = b->node[at - 1];
        b->text[at] = b->text[at - 1];
    }
    b->node[at] = node;
    b->text[at] = copy;
    b->n++;
    return 0;
}

/* How many nodes were given a vector. */
static size_t fill_index(struct embedder *e, const char *user_id, const struct index *x,
                         struct cancel *cancel)
{
    struct batch b = {.embedder = e, .user_id = user_id};
    size_t done = 0, taken = 0;
    for (uint32_t i = 0; i < x->n_nodes && taken < EMBEDDER_MOST && !cancel_raised(cancel); i++) {
        if (!x->nodes[i].lacks_vector)
            continue;
        if (add_to_batch(&b, &x->nodes[i]) < 0)
            break;
        taken++;
        if (b.n < EMBEDDER_BATCH)
            continue;
        if (send_batch(e, &b) < 0)
            return done;
        done = taken;
    }
    return send_batch(e, &b) < 0 ? done : taken;
}

static void fill_user(void *arg)
{
    struct fill *f = arg;
    struct embedder *e = f->embedder;
    struct lease *l = NULL;
    if (may_ask(e) && index_cache_take(e->cache, f->user_id, db_topic_version(e->db, DB_NODES), &l) == 0) {
        size_t done = fill_index(e, f->user_id, lease_index(l), NULL);
        index_cache_give_back(l);
        if (done > 0)
            index_cache_forget(e->cache, f->user_id);
    }
    pthread_mutex_lock(&e->lock);
    f->user_id[0] = '\0';
    pthread_mutex_unlock(&e->lock);
    free(f);
}

int embedder_fill_now(struct embedder *e, const char *user_id, struct cancel *cancel, size_t *ret_left)
{
    struct lease *l = NULL;
    int r = index_cache_take(e->cache, user_id, db_topic_version(e->db, DB_NODES), &l);
    if (r < 0)
        return r;
    size_t lacking = lease_index(l)->n_lacking, done = fill_index(e, user_id, lease_index(l), cancel);
    index_cache_give_back(l);
    if (done > 0)
        index_cache_forget(e->cache, user_id);
    *ret_left = lacking - done;
    return done > 0 || lacking == 0 || cancel_raised(cancel) ? 0 : -EIO;
}

/* A free place in the waiting list; NULL when there is none or the user has one. With the lock held. */
static char *find_place(struct embedder *e, const char *user_id)
{
    char *place = NULL;
    for (size_t i = 0; i < EMBEDDER_WAITING_MAX; i++) {
        if (strcmp(e->waiting[i], user_id) == 0)
            return NULL;
        if (e->waiting[i][0] == '\0')
            place = e->waiting[i];
    }
    return place;
}

void embedder_fill(struct embedder *e, const char *user_id)
{
    if (!may_ask(e))
        return;
    struct fill *f = malloc(sizeof *f);
    pthread_mutex_lock(&e->lock);
    char *place = f ? find_place(e, user_id) : NULL;
    int r = place ? 0 : -EAGAIN;
    if (r == 0 && !e->thread)
        r = pool_start("genie-embed", 1, EMBEDDER_WAITING_MAX, &e->thread);
    if (r == 0) {
        *f = (struct fill){e, place};
        (void)snprintf(place, CACHE_USER_MAX + 1, "%s", user_id);
        r = pool_submit(e->thread, fill_user, f);
        if (r < 0)
            place[0] = '\0';
    }
    pthread_mutex_unlock(&e->lock);
    if (r < 0) /* the next question asks again */
        free(f);
}
