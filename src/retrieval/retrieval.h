/* SPDX-License-Identifier: MIT */
/* "Node RAG": what of a user's own nodes bears on a question. Five stages: BM25, dense (cosine over
 * embeddings where a provider is configured, else tag overlap weighted by node weight), reciprocal rank
 * fusion, propagation over the node graph, entropy gate. Each user has an index of their own (terms,
 * statistics, graph), built on first use, kept in a bounded cache, and rebuilt after a change; nothing of
 * another user's nodes can influence a score. Thread-safe. */
#ifndef RETRIEVAL_RETRIEVAL_H
#define RETRIEVAL_RETRIEVAL_H

#include "base/arena.h"
#include "base/config.h"
#include "db/db.h"
#include "llm/llm.h"

struct retrieval;

enum retrieval_stage { STAGE_BM25, STAGE_DENSE, STAGE_RRF, STAGE_PROPAGATION, STAGE_ENTROPY, STAGE_COUNT };

struct passage {
    const char *id; /* of the user_nodes row */
    const char *title, *text, *kind;
    double score; /* activation: 1 for the best direct match */
};

struct retrieval_result {
    struct passage *passages; /* best first; in the caller's arena */
    size_t n;
    int64_t stage_us[STAGE_COUNT]; /* time each took */
    size_t stage_n[STAGE_COUNT];   /* candidates each left */
    bool dense_failed;             /* the embedder failed; tag overlap stood in */
};

/* llm may be NULL: then no embeddings; the same where cfg names no embedder. 0 or -ENOMEM. */
int retrieval_open(const struct config *cfg, struct db *db, struct llm *llm, struct retrieval **ret);

/* Nobody may use it any more; llm must still be open, since vectors may be on their way (waits 5 s at most).
 */
void retrieval_close(struct retrieval *r);

/* The best `most` (1..50) nodes of that user for a question; result texts are copied into the arena.
 * Texts are well-formed UTF-8, at most 4,000 characters. 0 (also with none found), -EINVAL for an impossible
 * id, -ENOMEM, -ETIMEDOUT, or the store's error; *ret is written only on success. Blocks only to build the
 * index or for the embedder (5 s at most). */
int retrieval_find(struct retrieval *r, struct arena *a, const char *user_id, const char *question,
                   size_t most, struct retrieval_result *ret);

/* The nodes or edges of a user changed; NULL = of everybody. Cheap. */
void retrieval_forget(struct retrieval *r, const char *user_id);

#endif
