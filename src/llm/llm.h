/* SPDX-License-Identifier: MIT */
/* Language models behind one streaming interface. One engine thread drives every upstream transfer (curl's
 * multi interface on epoll); a wire format is one file (ollama.c, openai.c, anthropic.c) with the same small
 * vtable; `extractive` needs no model at all and answers from the passages it is given.
 *
 * A call: llm_start() → any number of sink.text() → exactly one sink.done(). Both run on the engine thread
 * and must not block. The text is well-formed UTF-8 in whole characters, however the upstream cut its bytes.
 */
#ifndef LLM_LLM_H
#define LLM_LLM_H

#include "base/buf.h"
#include "base/cancel.h"
#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct llm;      /* the engine; thread-safe */
struct llm_call; /* one running request; reference-counted */

enum llm_role {
    LLM_AGENT,        /* chat */
    LLM_ORCHESTRATOR, /* chat in which flows are offered */
    LLM_WRITER,       /* texts for posts and fans */
};

enum llm_provider { LLM_OLLAMA, LLM_OPENAI, LLM_ANTHROPIC, LLM_EXTRACTIVE };

/* Who will answer; a small value that is copied. Texts live as long as the engine. */
struct llm_model {
    enum llm_provider provider;
    const char *name; /* as shown in metrics: "qwen2.5:latest", "extractive" */
    bool local;       /* behind the bounded queue */
    bool takes_images;
    int64_t window_tokens;
};

enum llm_speaker { LLM_SYSTEM, LLM_USER, LLM_ASSISTANT };

struct llm_image {
    const char *mime; /* image/png … */
    const char *base64;
};

struct llm_message {
    enum llm_speaker speaker;
    const char *text;
    const struct llm_image *images; /* of a user message; may be NULL */
    size_t n_images;
};

/* What `extractive` answers from; other providers ignore it (their prompt already holds it). */
struct llm_passage {
    const char *id, *title, *text;
    double score;
};
struct llm_flow {
    const char *slug, *name, *description;
};
struct llm_grounding {
    const char *question;
    const struct llm_passage *passages;
    size_t n_passages;
    const struct llm_flow *flows;
    size_t n_flows;
    bool first_answer; /* of its thread: say that no model is connected */
};

struct llm_request {
    struct llm_model model;
    const struct llm_message *messages; /* at most one system message, first */
    size_t n_messages;
    double temperature; /* negative = the model's default */
    int64_t max_tokens; /* 0 = the default */
    struct llm_grounding grounding;
};

enum llm_outcome {
    LLM_OK,
    LLM_CANCELLED,
    LLM_FAILED,  /* refused, dropped, malformed or error answer */
    LLM_TIMEOUT, /* connecting, first token, or between tokens */
};

struct llm_result {
    enum llm_outcome outcome;
    const char *error; /* a sentence for users, when not LLM_OK; no addresses, no upstream text */
    int64_t prompt_tokens,
        completion_tokens; /* estimated (4 characters each) where the upstream doesn't say */
    int64_t duration_ms;   /* first byte of the request to the end */
    const char *flow_slug; /* chosen out of band by extractive, else NULL */
};

struct llm_sink {
    void (*text)(void *ctx, const char *text, size_t len);
    void (*done)(void *ctx, const struct llm_result *result); /* result lives until it returns */
};

/* The model that a provider is asked for in a role, by the settings alone. Lives as long as cfg. */
const char *llm_model_name(const struct config *cfg, enum llm_provider provider, enum llm_role role);

/* Starts the engine's thread. cfg must outlive it. 0 or negative errno; -EINVAL (logged) for settings that
 * can't work together. */
int llm_open(const struct config *cfg, struct llm **ret);

/* Cancels what runs (each sink's done is called) and joins the thread. */
void llm_close(struct llm *llm);

/* Who answers for a role: an explicit LLM_PROVIDER serves everybody; else admins go to Anthropic if its key
 * is set; else Ollama if it answers (probed in the background, never waited for), else extractive. */
struct llm_model llm_choose(struct llm *llm, enum llm_role role, bool admin);

/* The extractive model, for degrading to it. */
struct llm_model llm_extractive(void);

/* Starts a call; everything in request is copied before it returns. *ret holds a reference of the caller's
 * and is set before the sink is called. 0, or nothing was started: -EBUSY (the local model's queue is full,
 * or the engine stops), -EINVAL (a text is not UTF-8, or an image not base64), or -ENOMEM (also for more than
 * 64 MiB). */
int llm_start(struct llm *llm, const struct llm_request *request, const struct llm_sink *sink, void *ctx,
              struct llm_call **ret);

/* Asks to stop; done(LLM_CANCELLED) follows unless done is already on its way. The upstream connection is
 * closed at once, also before the first token. Any thread; NULL does nothing. */
void llm_cancel(struct llm_call *call);

/* Stops and restarts the upstream's flow (backpressure); while paused no time-out between tokens counts. Any
 * thread. */
void llm_pause(struct llm_call *call);
void llm_resume(struct llm_call *call);

void llm_call_unref(struct llm_call *call);

/* A whole answer at once, for workers: appends the text to `out` (whose maximum ends the call with
 * LLM_FAILED). Returns 0 with *ret_result (error points to static text), or as llm_start. Cancelled soon
 * after `cancel` is raised. */
int llm_complete(struct llm *llm, const struct llm_request *request, struct cancel *cancel, struct buf *out,
                 struct llm_result *ret_result);

/* Vectors for texts by EMBEDDING_PROVIDER, blocking (5 s): *ret is n × *ret_dim floats, freed by the caller.
 * 0, -ENOTSUP where none is configured, -EIO or -ETIMEDOUT. */
int llm_embed(struct llm *llm, const char *const *texts, size_t n, float **ret, size_t *ret_dim);

/* For /readyz: whether the configured model server answered its last probe (extractive always does). */
bool llm_ready(struct llm *llm);

#endif
