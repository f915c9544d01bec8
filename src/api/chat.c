/* SPDX-License-Identifier: MIT */
/* /api/genie: the chat stream, its resumption and its end, and the history of a session. */
#include "agent/chat.h"

#include "agent/history.h"
#include "api/app.h"
#include "api/quota_reply.h"
#include "api/routes.h"
#include "base/text.h"

#include <string.h>

#define MESSAGE_MAX (32 * 1024)
#define BODY_BYTES_MAX (16 * 1024 * 1024)
#define HISTORY_LIMIT_MAX 200
#define HISTORY_LIMIT_DEFAULT 50
#define SESSION_CHARS "A-Za-z0-9._:-"
#define SESSION_MAX 128

struct chat_body {
    const char *message;
    const char *session_id;
    const json_t *attachments;
};

/* clang-format off */
static const struct field chat_fields[] = {
    FIELD_STR(chat_body, message, "message", REQUIRED, MAX_LEN(MESSAGE_MAX), BLANK_IS(ERR_EMPTY_MESSAGE)),
    FIELD_STR(chat_body, session_id, "sessionId", MIN_LEN(1), MAX_LEN(SESSION_MAX), CHARSET(SESSION_CHARS)),
    FIELD_ARRAY(chat_body, attachments, "attachments", MAX_LEN(10)),
    FIELD_END
};
/* clang-format on */

struct history_query {
    const char *session_id;
    int64_t limit, before;
};

/* clang-format off */
static const struct field history_query_fields[] = {
    FIELD_STR(history_query, session_id, "sessionId"),
    FIELD_INT(history_query, limit, "limit", RANGE(1, HISTORY_LIMIT_MAX), DEFAULT(HISTORY_LIMIT_DEFAULT)),
    FIELD_INT(history_query, before, "before", RANGE(0, INT64_MAX)),
    FIELD_END
};
/* clang-format on */

static const struct field history_row[] = {
    HAS_INT("chatId"),         HAS_STR("prompt"),     HAS_STR("response"), HAS_LIST("sources", NULL),
    HAS_LIST("actions", NULL), HAS_TIME("createdAt"), FIELD_END,
};
static const struct field history_meta[] = {HAS_INT("total_count"), FIELD_END};
static const struct field history_answer[] = {HAS_BOOL("ok"), HAS_LIST("data", history_row),
                                              HAS_OBJECT("meta", history_meta), FIELD_END};
static const struct field stop_answer[] = {HAS_BOOL("ok"), HAS_BOOL("stopped"), FIELD_END};

static reply no_stream(struct request *rq)
{
    return reply_error(rq, ERR_NOT_FOUND, "There is no such stream to resume");
}

/* A client that lost its connection sends its request again with the id of the last event it saw. */
static reply resume(struct request *rq, const char *stream_id, const char *last_event_id)
{
    char id[UUID_SIZE] = "";
    int64_t after = 0;
    if (last_event_id && event_id_parse(last_event_id, id, &after) < 0)
        return reply_error(rq, ERR_NOT_FOUND, "Last-Event-ID names no stream");
    if (stream_id && id[0] && strcmp(stream_id, id) != 0)
        return no_stream(rq);
    _cleanup_(event_stream_unrefP) struct event_stream *stream =
        event_stream_find(rq->app->events, CHAT_STREAM, stream_id ? stream_id : id, rq->who->user_id);
    return stream ? reply_events(rq, stream, after) : no_stream(rq);
}

static reply chat_send(struct request *rq)
{
    const struct chat_body *in = rq->body;
    const char *last_event_id = request_header(rq, "Last-Event-ID");
    if (last_event_id && last_event_id[0])
        return resume(rq, NULL, last_event_id);
    struct chat_message message = {in->message, in->session_id, in->attachments, rq->who};
    struct chat_refusal refusal = {0};
    _cleanup_(event_stream_unrefP) struct event_stream *stream = NULL;
    int r = chat_begin(rq->app->chat, &message, &stream, &refusal);
    if (r < 0 && refusal.error == ERR_TIER_LIMIT)
        return reply_quota_refused(rq, &refusal.quota);
    if (r < 0)
        return reply_field_error(rq, refusal.error, refusal.field, refusal.sentence);
    return reply_events(rq, stream, 0);
}

static reply chat_resume(struct request *rq)
{
    return resume(rq, rq->params[0], request_header(rq, "Last-Event-ID"));
}

static reply chat_end(struct request *rq)
{
    _cleanup_(event_stream_unrefP) struct event_stream *stream =
        event_stream_find(rq->app->events, CHAT_STREAM, rq->params[0], rq->who->user_id);
    if (!stream)
        return reply_error(rq, ERR_NOT_FOUND, "There is no such stream");
    return reply_json(rq, 200, "{s:b, s:b}", "ok", 1, "stopped", chat_stop(stream));
}

static reply chat_history(struct request *rq)
{
    const struct history_query *q = rq->query;
    const char *session = q->session_id;
    int64_t total;
    json_t *rows;
    if (!session || !session[0])
        session = chat_default_session(&rq->arena, rq->who);
    int r = history_list(rq->app->db, rq->who, session, q->limit, q->before, &rows, &total);
    if (r < 0)
        return reply_store_error(rq, r);
    return reply_json(rq, 200, "{s:b, s:o, s:{s:I}}", "ok", 1, "data", rows, "meta", "total_count",
                      (json_int_t)total);
}

/* clang-format off */
const struct route chat_routes[] = {
    { HTTP_POST,   "/api/genie/stream-chat",     AUTH_USER, WRITES, BLOCKING, chat_send,
      BODY_MAX(chat_body, chat_fields, BODY_BYTES_MAX), "Send a message; the answer is a stream of events", .answer = ANSWER_EVENTS },
    { HTTP_GET,    "/api/genie/stream-chat/:id", AUTH_USER, READS,  FAST,     chat_resume, NO_BODY,
      "Go on reading an answer after the event named by Last-Event-ID", .answer = ANSWER_EVENTS },
    { HTTP_DELETE, "/api/genie/stream-chat/:id", AUTH_USER, WRITES, FAST,     chat_end,    NO_BODY,
      "Stop an answer", .answer = ANSWER(stop_answer) },
    { HTTP_GET,    "/api/genie/history",         AUTH_USER, READS,  BLOCKING, chat_history, NO_BODY,
      "The exchanges of a session, oldest first",
      .query = QUERY(history_query, history_query_fields), .answer = ANSWER(history_answer) },
    ROUTES_END
};
/* clang-format on */
