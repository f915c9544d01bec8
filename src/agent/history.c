/* SPDX-License-Identifier: MIT */
#include "agent/history.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "llm/join.h"
#include "llm/pick.h"

#include <errno.h>
#include <string.h>

#define ACTIONS_SHOWN_MAX 2000 /* bytes of a flow's results that the model sees again */
#define THREAD_NAME_CHARS 22

struct load {
    struct arena *arena;
    const struct identity *who;
    const char *session_id;
    struct chat_context *ctx;
};

/* A user without a persona has not begun onboarding. */
static int load_persona(struct db_conn *c, struct load *l)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT onboarding_state, voice, summary FROM user_personas WHERE user_id = ?1",
                     DB_ARGS(DB_TEXT(l->who->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    (void)onboarding_state_find(db_text(rows, 0), &l->ctx->state);
    l->ctx->voice = db_text_dup(rows, 1, l->arena);
    l->ctx->summary = db_text_dup(rows, 2, l->arena);
    return 0;
}

#define WORKSPACE_COLUMNS \
    "SELECT w.id, coalesce(nullif(w.\"openAiPrompt\", ''), s.value, '') FROM workspace_users u " \
    "JOIN workspaces w ON w.id = u.workspace_id LEFT JOIN system_config s ON s.key = 'prime_directive' "

/* 1 the query finds it, 0 it doesn't, or the store's error. */
static int read_workspace(struct db_conn *c, struct load *l, const char *sql, const struct db_value *args,
                          size_t n)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, sql, args, n, &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    l->ctx->workspace_id = db_int(rows, 0);
    l->ctx->system_prompt = db_text_dup(rows, 1, l->arena);
    return l->ctx->system_prompt ? 1 : -ENOMEM;
}

/* A thread goes on in its workspace, as long as the user is a member; what is new begins in the first. */
static int load_workspace(struct db_conn *c, struct load *l)
{
    struct db_value user = DB_INT(l->who->anythingllm_user_id);
    int r = l->ctx->thread_id
                ? read_workspace(c, l,
                                 WORKSPACE_COLUMNS "JOIN workspace_threads t ON t.workspace_id = w.id "
                                                   "WHERE u.user_id = ?1 AND t.id = ?2 LIMIT 1",
                                 DB_ARGS(user, DB_INT(l->ctx->thread_id)))
                : 0;
    if (r == 0)
        r = read_workspace(c, l, WORKSPACE_COLUMNS "WHERE u.user_id = ?1 ORDER BY w.id LIMIT 1", &user, 1);
    return r < 0 ? r : 0;
}

static int find_thread(struct db_conn *c, const char *user_id, const char *session_id, int64_t *ret)
{
    return db_query_int(c, "SELECT thread_id FROM session_threads WHERE user_id = ?1 AND session_id = ?2",
                        DB_ARGS(DB_TEXT(user_id), DB_TEXT(session_id)), ret);
}

/* The inside of a JSON string, unescaped, in the arena. */
static const char *picked_text(struct arena *a, const struct pick *p)
{
    if (p->type != PICK_STRING)
        return "";
    if (!memchr(p->raw, '\\', p->len))
        return arena_strndup(a, p->raw, p->len);
    _cleanup_buf_ struct buf text = BUF_INIT(p->len + 4);
    struct joiner j = {0};
    join_json(&j, &text, p->raw, p->len);
    join_finish(&j, &text);
    return text.failed ? NULL : arena_strndup(a, text.data ? text.data : "", text.len);
}

/* The visible text of a stored response, with what its flows brought, as a later turn shows it. */
static const char *answer_text(struct arena *a, const char *response)
{
    static const char *const paths[] = {"text", "actions"};
    struct pick field[2];
    if (pick_fields(response, strlen(response), JSON_OWN_MAX_DEPTH, paths, 2, field) < 0)
        return "";
    const char *text = picked_text(a, &field[0]);
    if (!text || field[1].type != PICK_ARRAY || field[1].len <= 2)
        return text;
    size_t len = utf8_floor(field[1].raw, field[1].len, ACTIONS_SHOWN_MAX);
    return arena_printf(a, "%s\n\n(Results of the actions of this answer: %.*s)", text, (int)len,
                        field[1].raw);
}

static int load_history(struct db_conn *c, struct load *l)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    struct exchange *list = arena_alloc(l->arena, HISTORY_MOST * sizeof *list);
    size_t n = 0;
    int r =
        list
            ? db_query(c,
                       "SELECT prompt, response FROM workspace_chats WHERE thread_id = ?1 AND include = TRUE "
                       "ORDER BY id DESC LIMIT ?2",
                       DB_ARGS(DB_INT(l->ctx->thread_id), DB_INT(HISTORY_MOST)), &rows)
            : -ENOMEM;
    while (r >= 0 && n < HISTORY_MOST && (r = db_next(rows)) > 0) {
        /* filled from the end, since the newest comes first */
        struct exchange *e = &list[HISTORY_MOST - ++n];
        e->prompt = db_text_dup(rows, 0, l->arena);
        e->answer = answer_text(l->arena, db_text(rows, 1));
        if (!e->prompt || !e->answer)
            return -ENOMEM;
    }
    l->ctx->history = list ? list + HISTORY_MOST - n : NULL;
    l->ctx->n_history = n;
    return r < 0 ? r : 0;
}

static int load_unit(struct db_conn *c, void *arg)
{
    struct load *l = arg;
    int r = load_persona(c, l);
    if (r >= 0)
        r = find_thread(c, l->who->user_id, l->session_id, &l->ctx->thread_id);
    if (r > 0)
        r = load_history(c, l);
    return r < 0 ? r : load_workspace(c, l);
}

int history_load(struct db *db, struct arena *a, const struct identity *who, const char *session_id,
                 struct chat_context *ret)
{
    struct chat_context ctx = {.state = ONBOARDING_EXTENSION, .system_prompt = ""};
    int r = db_read(db, load_unit, &(struct load){a, who, session_id, &ctx});
    if (r == 0)
        *ret = ctx;
    return r;
}

/* A thread is called after the first message, as AnythingLLM does. */
static int make_thread(struct db_conn *c, const struct exchange_record *x, int64_t *ret)
{
    char slug[UUID_SIZE], name[4 * THREAD_NAME_CHARS + 8];
    size_t end = 0;
    for (size_t chars = 0; x->prompt[end] && chars < THREAD_NAME_CHARS; chars++)
        do
            end++;
        while (((unsigned char)x->prompt[end] & 0xC0) == 0x80);
    (void)snprintf(name, sizeof name, "%.*s%s", (int)end, x->prompt, x->prompt[end] ? "…" : "");
    uuid_make(slug);
    int r = db_insert(
        c,
        "INSERT INTO workspace_threads (name, slug, workspace_id, user_id) VALUES (?1, ?2, ?3, ?4) "
        "RETURNING id",
        DB_ARGS(DB_TEXT(name), DB_TEXT(slug), DB_INT(x->workspace_id), DB_INT(x->anythingllm_user_id)), ret);
    if (r < 0)
        return r;
    return db_exec(c, "INSERT INTO session_threads (user_id, session_id, thread_id) VALUES (?1, ?2, ?3)",
                   DB_ARGS(DB_TEXT(x->user_id), DB_TEXT(x->session_id), DB_INT(*ret)), NULL);
}

int history_store_unit(struct db_conn *c, void *arg)
{
    struct exchange_record *x = arg;
    char now[ISO_TIME_LEN];
    int64_t thread = 0;
    int r = db_query_int(c, "SELECT chat_id FROM chat_answers WHERE answer_uuid = ?1",
                         DB_ARGS(DB_TEXT(x->answer_uuid)), &x->ret_chat_id);
    if (r != 0)
        return r < 0 ? r : 0;
    r = find_thread(c, x->user_id, x->session_id, &thread);
    if (r == 0)
        r = make_thread(c, x, &thread);
    if (r < 0)
        return r;
    clock_format_iso(clock_now_ms(), now);
    r = db_insert(
        c,
        "INSERT INTO workspace_chats (\"workspaceId\", prompt, response, user_id, thread_id, \"createdAt\", "
        "\"lastUpdatedAt\") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) RETURNING id",
        DB_ARGS(DB_INT(x->workspace_id), DB_TEXT(x->prompt), DB_TEXT(x->response),
                DB_INT(x->anythingllm_user_id), DB_INT(thread), DB_TEXT(now)),
        &x->ret_chat_id);
    if (r < 0)
        return r;
    return db_exec(c, "INSERT INTO chat_answers (answer_uuid, chat_id) VALUES (?1, ?2)",
                   DB_ARGS(DB_TEXT(x->answer_uuid), DB_INT(x->ret_chat_id)), NULL);
}

struct session {
    const struct identity *who;
    const char *session_id;
    int64_t limit, before, total;
    json_t *rows;
};

static int reset_unit(struct db_conn *c, void *arg)
{
    const struct session *s = arg;
    return db_exec(c,
                   "UPDATE workspace_chats SET include = FALSE WHERE include = TRUE AND thread_id IN "
                   "(SELECT thread_id FROM session_threads WHERE user_id = ?1 AND session_id = ?2)",
                   DB_ARGS(DB_TEXT(s->who->user_id), DB_TEXT(s->session_id)), NULL);
}

int history_reset(struct db *db, const struct identity *who, const char *session_id)
{
    return db_write(db, reset_unit, &(struct session){.who = who, .session_id = session_id});
}

/* A row as the API shows it. */
static json_t *listed_row(struct db_rows *rows)
{
    const char *text = db_text(rows, 2);
    _cleanup_json_ json_t *response = json_parse_own(text, strlen(text));
    json_t *sources = json_object_get(response, "sources"), *actions = json_object_get(response, "actions");
    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:s}", "chatId", (json_int_t)db_int(rows, 0), "prompt",
                     db_text(rows, 1), "response", json_str(response, "text", ""), "sources",
                     sources ? json_incref(sources) : json_array(), "actions",
                     actions ? json_incref(actions) : json_array(), "createdAt", db_text(rows, 3));
}

static int list_rows(struct db_conn *c, struct session *s, int64_t thread)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT id, prompt, response, \"createdAt\" FROM workspace_chats WHERE thread_id = ?1 "
                     "AND include = TRUE "
                     "AND (?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT ?3",
                     DB_ARGS(DB_INT(thread), DB_INT(s->before), DB_INT(s->limit)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0)
        if (json_array_insert_new(s->rows, 0, listed_row(rows)) < 0)
            return -ENOMEM;
    return r;
}

static int list_unit(struct db_conn *c, void *arg)
{
    struct session *s = arg;
    int64_t thread = 0;
    int r = find_thread(c, s->who->user_id, s->session_id, &thread);
    if (r <= 0)
        return r;
    r = db_query_int(c, "SELECT count(*) FROM workspace_chats WHERE thread_id = ?1 AND include = TRUE",
                     DB_ARGS(DB_INT(thread)), &s->total);
    return r < 0 ? r : list_rows(c, s, thread);
}

int history_list(struct db *db, const struct identity *who, const char *session_id, int64_t limit,
                 int64_t before, json_t **ret_rows, int64_t *ret_total)
{
    _cleanup_json_ json_t *rows = json_array();
    struct session s = {who, session_id, limit, before, 0, rows};
    int r = rows ? db_read(db, list_unit, &s) : -ENOMEM;
    if (r < 0)
        return r;
    *ret_rows = TAKE_PTR(rows);
    *ret_total = s.total;
    return 0;
}
