/* SPDX-License-Identifier: MIT */
/* A question, from the cache of indexes through the stages to passages in the caller's memory. */
#include "retrieval/retrieval.h"

#include "base/text.h"
#include "retrieval/embedder.h"
#include "retrieval/internal.h"
#include "retrieval/load.h"

#include <errno.h>
#include <string.h>

#define CACHE_USERS 256
#define CACHE_BYTES ((size_t)96 << 20)
#define PASSAGES_MAX 50

struct retrieval {
    struct db *db;
    struct index_cache *cache;
    struct embedder *embedder; /* NULL where none is configured */
};

DEFINE_CLEANUP(struct retrieval *, retrieval_close);

static int build_index(void *ctx, const char *user_id, struct index **ret)
{
    struct retrieval *r = ctx;
    if (!r->embedder)
        return index_load(r->db, user_id, NULL, 0, ret);
    return index_load(r->db, user_id, embedder_model(r->embedder), embedder_dim(r->embedder), ret);
}

int retrieval_open_with(struct db *db, const struct vector_source *source, struct retrieval **ret)
{
    _cleanup_(retrieval_closeP) struct retrieval *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->db = db;
    struct index_cache_options options = {CACHE_USERS, CACHE_BYTES, build_index, r};
    int err = index_cache_new(&options, &r->cache);
    if (err == 0 && source)
        err = embedder_new(source, db, r->cache, &r->embedder);
    if (err < 0)
        return err;
    *ret = TAKE_PTR(r);
    return 0;
}

static int embed_by_llm(void *ctx, const char *const *texts, size_t n, float **ret, size_t *ret_dim)
{
    return llm_embed(ctx, texts, n, ret, ret_dim);
}

int retrieval_open(const struct config *cfg, struct db *db, struct llm *llm, struct retrieval **ret)
{
    if (!llm || !cfg->embedding_provider)
        return retrieval_open_with(db, NULL, ret);
    char model[256];
    (void)snprintf(model, sizeof model, "%s/%s", cfg->embedding_provider, cfg->embedding_model);
    return retrieval_open_with(db, &(struct vector_source){model, embed_by_llm, llm}, ret);
}

void retrieval_close(struct retrieval *r)
{
    if (!r)
        return;
    embedder_free(r->embedder);
    index_cache_free(r->cache);
    free(r);
}

void retrieval_forget(struct retrieval *r, const char *user_id)
{
    index_cache_forget(r->cache, user_id);
}

/* The question's vector, if there is something to compare it with; NULL = tag overlap. */
static float *question_vector(struct retrieval *r, const struct index *x, const char *user_id,
                              const char *question, bool *ret_failed)
{
    if (!r->embedder)
        return NULL;
    if (x->n_lacking > 0)
        embedder_fill(r->embedder, user_id);
    if (x->vectors.present == 0 || x->vectors.present < x->n_nodes / 2)
        return NULL;
    float *vector = NULL;
    size_t dim = 0;
    if (embedder_question(r->embedder, question, &vector, &dim) == 0 && dim == x->vectors.dim)
        return vector;
    free(vector);
    *ret_failed = true;
    return NULL;
}

static int add_passage(const struct index *x, const struct ranked *from, struct arena *a, struct passage *ret)
{
    const struct index_node *node = &x->nodes[from->node];
    size_t len;
    const char *text = index_passage(x, from->node, from->unit, &len);
    *ret = (struct passage){
        .id = arena_strdup(a, node->id),
        .title = arena_strdup(a, node->title),
        .text = arena_strndup(a, text, len),
        .kind = arena_strdup(a, node->kind),
        .score = (double)from->score,
    };
    return ret->id && ret->title && ret->text && ret->kind ? 0 : -ENOMEM;
}

static int copy_passages(const struct index *x, const struct ranking *kept, size_t most, struct arena *a,
                         struct retrieval_result *ret)
{
    size_t n = kept->n < most ? kept->n : most;
    ret->passages = arena_alloc(a, (n ? n : 1) * sizeof *ret->passages);
    if (!ret->passages)
        return -ENOMEM;
    for (ret->n = 0; ret->n < n; ret->n++)
        if (add_passage(x, &kept->item[ret->n], a, &ret->passages[ret->n]) < 0)
            return -ENOMEM;
    return 0;
}

static int find_in(struct retrieval *r, struct lease *l, struct arena *a, const char *user_id,
                   const char *question, size_t most, struct retrieval_result *ret)
{
    const struct index *x = lease_index(l);
    _cleanup_free_ float *vector = question_vector(r, x, user_id, question, &ret->dense_failed);
    struct search *s = lease_search(l);
    if (!s)
        return -ENOMEM;
    search_run(x, s, question, vector, ret->stage_us);
    for (int i = 0; i < STAGE_COUNT; i++)
        ret->stage_n[i] = s->stage[i].n;
    int err = copy_passages(x, &s->stage[STAGE_ENTROPY], most, a, ret);
    lease_search_done(l, s);
    return err;
}

int retrieval_find(struct retrieval *r, struct arena *a, const char *user_id, const char *question,
                   size_t most, struct retrieval_result *ret)
{
    if (most < 1 || most > PASSAGES_MAX)
        return -EINVAL;
    _cleanup_(index_cache_give_backP) struct lease *l = NULL;
    struct retrieval_result found = {0};
    int err = index_cache_take(r->cache, user_id, db_topic_version(r->db, DB_NODES), &l);
    if (err == 0)
        err = find_in(r, l, a, user_id, question, most, &found);
    if (err == 0)
        *ret = found;
    return err;
}

int retrieval_embed(struct retrieval *r, const char *user_id, struct cancel *cancel, size_t *ret_left)
{
    *ret_left = 0;
    return r->embedder ? embedder_fill_now(r->embedder, user_id, cancel, ret_left) : 0;
}
