/* SPDX-License-Identifier: MIT */
/* Private to src/agent: one turn of the chat, shared by chat.c (its beginning), turn.c (its life) and
 * turn_events.c (what the client sees of it). The event stream owns it: it is freed when the last reference
 * of the stream goes. */
#ifndef AGENT_TURN_H
#define AGENT_TURN_H

#include "agent/chat.h"
#include "agent/history.h"
#include "agent/tags.h"
#include "base/cancel.h"
#include "base/pool.h"
#include "retrieval/retrieval.h"

#include <pthread.h>

/* Longer than any answer and its flows: a message that was counted for a turn that never ended comes back. */
#define TURN_LEASE_MS (2 * 60 * 60 * INT64_C(1000))

struct chat {
    struct action_env env;
    struct event_hub *events;
    struct flow_catalog *catalog;
    struct quota *quota;
    struct pool *flows; /* runs flows, and what must wait */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    struct turn *turns; /* running ones */
    int running;
    bool closing;
};

struct turn {
    struct chat *chat;
    struct event_stream *stream; /* the producer's reference, until the end; NULL before turn_open */
    struct identity *who;
    struct arena arena;
    char uuid[UUID_SIZE];
    const char *message, *session_id;
    enum onboarding_state state;
    int64_t workspace_id;
    struct llm_model model;
    struct retrieval_result found;
    size_t n_sources;
    struct arena kept;           /* what `fallback` points to */
    struct llm_request fallback; /* the same question for `extractive`, where LLM_FALLBACK says so */
    bool has_fallback;

    pthread_mutex_t lock; /* call, sealed */
    struct llm_call *call;
    bool sealed; /* how it ends is decided: too late to stop it */
    struct cancel cancel;

    /* written by the model's thread, then by who finishes the turn */
    struct tag_scanner tags;
    struct buf visible;  /* the answer as shown and stored */
    struct buf event;    /* scratch for one event */
    struct buf response; /* the exchange's response column, while it is being stored */
    bool answering;      /* the first piece of text has been shown */
    int lost;            /* an event or a piece of text could not be kept: negative errno */
    enum llm_outcome outcome;
    const char *error;
    int64_t prompt_tokens, completion_tokens, duration_ms;
    char flow_slug[TAG_SLUG_MAX + 1]; /* chosen out of band */
    json_t *actions;                  /* results of flows, stored with the answer */
    bool held;                        /* a message of the plan is reserved under the uuid */
    struct exchange_record record;

    struct turn *prev, *next;
};

/* A turn without a stream and a model yet. NULL without memory. */
struct turn *turn_new(struct chat *chat, struct identity *who);

/* Makes its stream; from here on the turn runs. 0, -ENOMEM, or -ESHUTDOWN when the chat is closing. */
int turn_open(struct turn *t);

/* Starts the model. 0, -EBUSY, -EINVAL or -ENOMEM: then the turn must be dropped. */
int turn_start(struct turn *t, const struct llm_request *request);

/* Ends a turn of which nothing is to be stored (refused, or answered without a model). */
void turn_drop(struct turn *t);

/* Asks to stop: the model at once, flows at their next look. False if it comes too late to count: then the
 * turn ends, or has ended, as if nobody had asked. Any thread that keeps the stream alive. */
bool turn_stop(struct turn *t);

/* --- events ---------- */

enum turn_stage { STAGE_THINKING, STAGE_ANSWERING, STAGE_ACTING, STAGE_DONE, STAGE_STOPPED, STAGE_FAILED };

void turn_show_stage(struct turn *t, enum turn_stage stage);
void turn_show_text(struct turn *t, const char *text, size_t len);
/* A whole text at once, closing. action (may be NULL): "reset_chat". */
void turn_show_whole(struct turn *t, const char *text, const char *action);
void turn_show_abort(struct turn *t, const char *sentence);
/* step -1 = the flow as a whole. */
void turn_show_tool(struct turn *t, const char *slug, int step, enum action_status status, int64_t ms,
                    const char *error);
void turn_show_action(struct turn *t, const char *slug, const struct action_result *result);
/* chat_id 0 = nothing was stored. */
void turn_show_final(struct turn *t, bool error, bool stopped, int64_t chat_id);

/* The response column of the exchange, in AnythingLLM's form; owned by the turn. Once; NULL without memory.
 */
const char *turn_response(struct turn *t);

#endif
