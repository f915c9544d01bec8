/* SPDX-License-Identifier: MIT */
/* The embedder as retrieval sees it: who makes vectors, whether it is worth asking now, and a thread that
 * gives vectors to nodes that have none, in batches, stored back. Questions never wait for that thread; until
 * half of a user's nodes have vectors, tag overlap stands in. After a failure nobody asks for
 * EMBEDDER_PAUSE_MS. Thread-safe. */
#ifndef RETRIEVAL_EMBEDDER_H
#define RETRIEVAL_EMBEDDER_H

#include "base/cancel.h"
#include "db/db.h"
#include "retrieval/cache.h"

#define EMBEDDER_PAUSE_MS 30000
#define EMBEDDER_BATCH 16      /* texts a request */
#define EMBEDDER_MOST 512      /* nodes of one user in a row; the next question brings the next ones */
#define EMBEDDER_WAITING_MAX 8 /* users waiting for the thread */

/* Who makes vectors; as llm_embed. model names it in stored vectors. */
struct vector_source {
    const char *model;
    int (*embed)(void *ctx, const char *const *texts, size_t n, float **ret, size_t *ret_dim);
    void *ctx;
};

struct embedder;

/* source is copied, its model too. cache must outlive it. */
int embedder_new(const struct vector_source *source, struct db *db, struct index_cache *cache,
                 struct embedder **ret);

/* Waits for a batch that is on its way (5 s at most). */
void embedder_free(struct embedder *e);

const char *embedder_model(const struct embedder *e);

/* Length of its vectors, 0 as long as it has not answered yet. */
size_t embedder_dim(const struct embedder *e);

/* The vector of a question, to be freed; blocks for 5 s at most. 0, or -EIO: failed, or failed a moment ago.
 * When the length is another than before, everything cached is forgotten. */
int embedder_question(struct embedder *e, const char *question, float **ret, size_t *ret_dim);

/* Has the nodes of that user that lack a vector embedded, later; the user's index is forgotten when some are.
 */
void embedder_fill(struct embedder *e, const char *user_id);

/* The same at once, on this thread, for EMBEDDER_MOST nodes at most. *ret_left: how many still lack one. 0;
 * -EIO where the embedder fails, or failed a moment ago; or as index_cache_take. Ends after a batch when
 * `cancel` is raised. */
int embedder_fill_now(struct embedder *e, const char *user_id, struct cancel *cancel, size_t *ret_left);

#endif
