/* SPDX-License-Identifier: MIT */
/* The engine's inside, private to llm/: one thread that owns curl's multi handle and every call that runs.
 * Other threads only set flags of a call and put it into the inbox; so nothing but the inbox and the counts
 * needs the lock. */
#ifndef LLM_ENGINE_H
#define LLM_ENGINE_H

#include "llm/format.h"
#include "llm/llm.h"
#include "net/loop.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* A model server. */
struct upstream {
    const struct llm_format *format;
    char *chat_url, *probe_url, *show_url; /* NULL where this provider is not configured */
    struct curl_slist *headers;            /* hold its key; wiped when freed */
    int64_t idle;                          /* connections kept and not in use, about; engine thread */
};

/* What curl drives: a call or the probe. */
struct transfer {
    CURL *easy; /* NULL unless it runs */
    void (*ended)(struct llm *llm, struct transfer *t, CURLcode result);
};

/* Waits of fixed length: each is a list in which the next to expire is first. */
enum timer { TIMER_FIRST, TIMER_TOKEN, TIMER_END, TIMER_COUNT, TIMER_NONE = TIMER_COUNT };

TAILQ_HEAD(call_list, llm_call);

enum call_state {
    CALL_NEW,     /* in the inbox for the first time */
    CALL_WAITING, /* for the local model */
    CALL_RUNNING, /* a transfer */
    CALL_TALKING, /* extractive: its answer is handed out piece by piece */
    CALL_ENDED,
};

struct llm_call {
    struct transfer transfer;
    struct llm *llm;
    struct llm_model model;
    struct llm_sink sink;
    void *ctx;
    atomic_int refs;
    atomic_uint wanted;   /* WANT_ flags, from any thread */
    atomic_bool finished; /* written under the lock */
    bool in_inbox;        /* under the lock; TAILQ entry `inbox` too */
    TAILQ_ENTRY(llm_call) inbox;

    /* the engine thread's */
    enum call_state state;
    TAILQ_ENTRY(llm_call) place, timed, touch;
    enum timer timer;
    int64_t deadline;
    bool paused, touched;
    bool answering;  /* the status was good and bytes have come */
    struct buf body; /* of the request until it is answered; the whole answer of extractive */
    size_t said;     /* bytes of that answer */
    struct llm_parser parser;
    uint64_t progress; /* of the parser, when last seen */
    int64_t prompt_chars, chars, began_ms;
    char *flow_slug;
};

#define WANT_CANCEL 1u
#define WANT_PAUSE 2u

#define PROBE_MODELS 3 /* one for each role */

struct probe {
    struct transfer transfer;
    enum llm_provider provider; /* LLM_EXTRACTIVE = nobody to probe */
    struct buf body, answer;
    size_t step; /* 0 asks for the server, then one for each model */
    const char *models[PROBE_MODELS];

    /* under the lock */
    bool wanted, known, up;
    bool sees[PROBE_MODELS]; /* the model takes images */
    int64_t asked_ms;
};

struct llm {
    const struct config *cfg;
    struct upstream upstreams[LLM_EXTRACTIVE];
    int64_t opened_ms;

    struct loop loop;
    struct call_list waiting, running, talking, touched; /* a paused talker is among the running */
    struct call_list timers[TIMER_COUNT];
    int64_t n_local_running;

    pthread_mutex_t lock;
    pthread_cond_t probed;
    struct call_list inbox;
    int64_t n_local; /* running and waiting */
    bool stopping;
    struct probe probe;
};

/* engine.c */
int engine_start(struct llm *llm); /* the thread; 0 or negative errno */
void engine_stop(struct llm *llm); /* ends all calls and joins it */
void engine_wake(struct llm *llm); /* any thread */
int transfer_start(struct llm *llm, struct transfer *t, const char *url, struct curl_slist *headers);
void transfer_body(struct transfer *t, const struct buf *body); /* makes it a POST */
void transfer_stop(struct llm *llm, struct transfer *t); /* closes its connection unless it had ended */

/* call.c, on the engine thread */
void calls_init(struct llm *llm);
void calls_take_inbox(struct llm *llm);
void calls_flush(struct llm *llm);
void calls_admit(struct llm *llm);
void calls_talk(struct llm *llm);
void calls_expire(struct llm *llm);
bool calls_have_work(const struct llm *llm);   /* for the next round, without any event */
int64_t calls_next_due(const struct llm *llm); /* -1 = never */
void calls_end_all(struct llm *llm);

/* model.c */
int model_set_up(struct llm *llm); /* the upstreams, from the settings: 0, -EINVAL (logged) or -ENOMEM */
void model_free(struct llm *llm);

/* probe.c */
void probe_init(struct llm *llm);
void probe_free(struct llm *llm);
void probe_ask(struct llm *llm); /* any thread: have the server asked again, unless that was lately */
void probe_run(struct llm *llm); /* engine thread */
bool probe_up(struct llm *llm, bool wait); /* any thread; may wait for the first outcome */
bool probe_sees(struct llm *llm, enum llm_role role);

/* extractive.c: the whole answer, and the slug of a flow to run, owned by the caller, or NULL. 0 or -ENOMEM.
 */
int extractive_answer(const struct llm_grounding *grounding, struct buf *out, char **ret_flow);

#endif
