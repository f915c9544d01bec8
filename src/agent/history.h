/* SPDX-License-Identifier: MIT */
/* What is known before a turn begins (one consistent read), and how an exchange is stored: threads by (user,
 * session id), exchanges in AnythingLLM's workspace_chats. Workers only, but history_store_unit, which is a
 * unit for db_write. */
#ifndef AGENT_HISTORY_H
#define AGENT_HISTORY_H

#include "auth/identity.h"
#include "base/json.h"
#include "onboarding/state.h"

#define HISTORY_MOST 20 /* exchanges shown to the model */

struct exchange {
    const char *prompt, *answer; /* answer: its visible text, and results of its flows behind it */
};

/* What a turn starts from; texts in the caller's arena. */
struct chat_context {
    enum onboarding_state state;
    int64_t workspace_id;        /* 0 = the user has no workspace */
    const char *system_prompt;   /* the workspace's, or the installation's */
    const char *voice, *summary; /* of the persona; may be NULL */
    int64_t thread_id;           /* 0 = not there yet */
    struct exchange *history;    /* oldest first */
    size_t n_history;
};

/* 0 or the store's error. */
int history_load(struct db *db, struct arena *a, const struct identity *who, const char *session_id,
                 struct chat_context *ret);

/* An exchange to store; texts live until it is stored. */
struct exchange_record {
    const char *answer_uuid;
    const char *user_id, *session_id;
    int64_t anythingllm_user_id, workspace_id;
    const char *prompt;
    const char *response; /* AnythingLLM's JSON: {"text", "sources", "type", "metrics", "actions", …} */
    int64_t ret_chat_id;
};

/* A unit (db_fn): makes the thread if need be and stores the exchange; the same answer_uuid is stored once.
 */
int history_store_unit(struct db_conn *c, void *exchange_record);

/* Hides the exchanges of a session from later turns and from the history (`/reset`). 0 or the store's error.
 */
int history_reset(struct db *db, const struct identity *who, const char *session_id);

/* The newest `limit` exchanges before chat id `before` (0 = the newest), oldest first, as GET
 * /api/genie/history shows them; *ret_total counts all of the session. 0 or the store's error. */
int history_list(struct db *db, const struct identity *who, const char *session_id, int64_t limit,
                 int64_t before, json_t **ret_rows, int64_t *ret_total);

#endif
