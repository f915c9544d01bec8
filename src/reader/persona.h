/* SPDX-License-Identifier: MIT */
/* What an export says of its owner: facts counted from the corpus, which are kept with the place of the
 * reading, and a summary made of them, by a language model where one is connected, else by counting. */
#ifndef READER_PERSONA_H
#define READER_PERSONA_H

#include "base/cancel.h"
#include "base/json.h"
#include "llm/llm.h"
#include "reader/corpus.h"

#define SUMMARY_MAX ((size_t)1500) /* bytes */

/* The facts, owned by the caller; NULL without memory. "samples" are the owner's own texts, for a model. */
json_t *persona_facts(const struct corpus *c);

/* The facts that are told to the owner: without the samples. */
json_t *persona_told(const json_t *facts);

/* The summary by counting, in the arena; NULL without memory. */
char *persona_count(struct arena *a, const json_t *facts);

/* The summary by the model, in the arena: 0; -EIO, -ETIMEDOUT or -EBUSY where it fails, -ECANCELED, -ENOMEM.
 * Takes as long as `limit_ms` at most. */
int persona_write(struct llm *llm, const struct llm_model *model, const json_t *facts, int64_t limit_ms,
                  struct cancel *cancel, struct arena *a, char **ret);

#endif
