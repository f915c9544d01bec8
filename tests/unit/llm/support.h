/* SPDX-License-Identifier: MIT */
/* What the tests of calls share: a server of scripted model answers, settings that point to it, and a sink
 * that remembers. */
#ifndef TESTS_LLM_SUPPORT_H
#define TESTS_LLM_SUPPORT_H

#include "../support/tcp_server.h"
#include "base/buf.h"
#include "base/config.h"
#include "llm/llm.h"

#include <pthread.h>

/* Remembers what a call said and how it ended. */
struct ear {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf text;
    int pieces, ends;
    bool malformed; /* a piece was not well-formed UTF-8 */
    enum llm_outcome outcome;
    char error[200], flow[100];
    int64_t prompt_tokens, completion_tokens;
    int64_t end_order; /* 1 for the first ear that heard its end */
    struct llm_call *call;
    bool pause_at_first; /* pauses the call when it has said something */
};

extern const struct llm_sink ear_sink; /* its context is a struct ear */

void ear_init(struct ear *e);
void ear_free(struct ear *e);                  /* also drops the reference of the call */
bool ear_wait_end(struct ear *e);              /* false after ten seconds */
bool ear_wait_text(struct ear *e, size_t len); /* until it has heard so many bytes */
size_t ear_heard(struct ear *e);

/* Settings with short time-outs, at a server on this port; format is openai, ollama or anthropic. */
struct model_site {
    struct config cfg;
    char base[64];
};
void model_site(struct model_site *site, const char *format, int port);

/* A user's message to the model of the agent. */
struct llm_request ask(struct llm *llm, const char *text);

#define OPENAI_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
bool peer_chunk(struct tcp_peer *p, const char *text);  /* one chunk of the body; "" is the last */
bool peer_token(struct tcp_peer *p, const char *token); /* a chunk with one event of OpenAI */
bool peer_finish(struct tcp_peer *p);                   /* [DONE] and the last chunk */

#endif
