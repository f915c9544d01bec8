/* SPDX-License-Identifier: MIT */
/* The chat: what happens between a creator's message and its finalized answer. A turn is one message and its
 * answer; it is produced into an event stream, whether or not somebody is reading, until its grace is over.
 *
 *   chat_begin (worker): gate → context → retrieval → prompt → model started
 *   model's thread:      text → tag scanner → textResponseChunk events
 *   flow worker:         flows of the tags, one after the other → toolCall, actionResult events
 *   store's writer:      exchange durable → finalizeResponseStream → end */
#ifndef AGENT_CHAT_H
#define AGENT_CHAT_H

#include "agent/catalog.h"
#include "agent/runner.h"
#include "base/error.h"
#include "http/events.h"
#include "quota/quota.h"

struct chat;

struct chat_options {
    struct action_env env; /* settings, store, models, retrieval */
    struct flow_catalog *flows;
    struct quota *quota;
    struct event_hub *events;
};

int chat_open(const struct chat_options *options, struct chat **ret);

/* Begins no more turns, stops those that run (what was produced is stored and finalized as stopped), and
 * waits for that. chat_begin may still be called, and refuses. */
void chat_quiesce(struct chat *chat);

/* After chat_quiesce, when nobody calls chat_begin any more. */
void chat_close(struct chat *chat);

struct chat_message {
    const char *text;
    const char *session_id;    /* NULL = genie-<user id> */
    const json_t *attachments; /* array or NULL */
    struct identity *who;
};

struct chat_refusal {
    enum error_id error;
    const char *field, *sentence; /* may be NULL */
    struct quota_outcome quota;   /* of ERR_TIER_LIMIT */
};

/* Begins a turn. 0 and *ret (a reference), or -1 with *ret_refusal: then nothing has begun. Workers only. */
int chat_begin(struct chat *chat, const struct chat_message *message, struct event_stream **ret,
               struct chat_refusal *ret_refusal);

#define CHAT_STREAM "chat" /* the kind of its streams */

/* Stops the turn of a stream (found with event_stream_find). False if its end was decided before. Any thread.
 */
bool chat_stop(struct event_stream *stream);

/* The session id that stands for "none given", in the arena. */
const char *chat_default_session(struct arena *a, const struct identity *who);

#endif
