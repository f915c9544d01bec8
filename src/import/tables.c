/* SPDX-License-Identifier: MIT */
/* Left out on purpose: password hashes (bcrypt: nobody can log in with one here), file names of pictures that
 * stay behind, and what refers to tables that aren't brought in. */
#include "import/job.h"

#include "auth/accounts.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "import/ids.h"

#include <errno.h>
#include <string.h>

#define NO_PASSWORD "!" /* as auth/accounts.c makes them */
#define KEY_MAX 1024    /* bytes of what is looked up by an index */
#define TEXT_MAX (64 * 1024)
#define LONG_MAX_BYTES (1024 * 1024)
#define ANSWER_MAX (4 * 1024 * 1024)

#define COL(name_, kind_, ...) \
    { \
        .name = (name_), .kind = (kind_), .max = TEXT_MAX, __VA_ARGS__ \
    }
#define KEY(name_, ...) \
    { \
        .name = (name_), .kind = COLUMN_TEXT, .max = KEY_MAX, __VA_ARGS__ \
    }
#define LONG(name_, ...) \
    { \
        .name = (name_), .kind = COLUMN_TEXT, .max = LONG_MAX_BYTES, __VA_ARGS__ \
    }
#define REF(name_, table_, rule_) \
    { \
        .name = (name_), .kind = COLUMN_REF, .table = (table_), .rule = (rule_) \
    }
#define TIMES COL("createdAt", COLUMN_TIME, .needed = true), COL("lastUpdatedAt", COLUMN_TIME, .needed = true)

struct db_value *import_value(const struct import_table *t, struct import_row *row, const char *column)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->columns[i].name, column) == 0)
            return &row->now[i];
    return NULL;
}

static const char *text_of(const struct db_value *v)
{
    return v && v->type == DB_T_TEXT ? v->p : NULL;
}

/* 1 the query finds a row, 0 none, or the store's error. */
static int finds(struct db_conn *c, const char *sql, const struct db_value *args, size_t n)
{
    int64_t one;
    return db_query_int(c, sql, args, n, &one);
}

static int leave(struct import_row *row, const char *why)
{
    row->left = why;
    return 0;
}

/* Leaves the row where the query finds its key taken: as struct import_table.prepare. */
static int unless_taken(struct db_conn *c, struct import_row *row, const char *sql,
                        const struct db_value *key, const char *why)
{
    int r = key->type == DB_T_NULL ? 0 : finds(c, sql, key, 1);
    return r > 0 ? leave(row, why) : r < 0 ? r : 1;
}

/* Gives a name that is taken eight digits. */
static int make_unique(struct db_conn *c, struct import_job *job, struct import_row *row, struct db_value *v,
                       const char *sql, const char *why)
{
    const char *given = text_of(v);
    char *name = given ? arena_alloc(&job->batch, KEY_MAX + 1) : NULL;
    if (!name)
        return given ? -ENOMEM : 1;
    memcpy(name, given, strlen(given) + 1);
    int r = account_unique_name(c, sql, name, KEY_MAX);
    if (r < 0)
        return r;
    if (strcmp(name, given) != 0)
        row->unit_changed = why;
    *v = DB_TEXT(name);
    return 1;
}

/* ---- users */

static const struct import_column user_columns[] = {
    KEY("username"),
    COL("password", COLUMN_TEXT, .needed = true),
    KEY("role", .needed = true),
    COL("suspended", COLUMN_INT, .needed = true),
    COL("seen_recovery_codes", COLUMN_BOOL),
    TIMES,
    COL("dailyMessageLimit", COLUMN_INT),
    COL("bio", COLUMN_TEXT),
};
enum { USER_NAME, USER_PASSWORD, USER_ROLE };

static int check_user(struct import_job *job, struct import_row *row)
{
    row->values[USER_PASSWORD] = DB_TEXT(NO_PASSWORD);
    if (!job->options->admins && !str_equal(text_of(&row->values[USER_ROLE]), "default")) {
        row->values[USER_ROLE] = DB_TEXT("default");
        row->changed = "its role became default (--admins keeps roles)";
    }
    return 0;
}

/* The account with that e-mail: 1, its id and its AnythingLLM user (0 = none); 0; or the store's error. */
static int find_account(struct db_conn *c, const char *email, char *ret_id, int64_t *ret_user)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT id, anythingllm_user_id FROM directus_users WHERE lower(email) = lower(?1)",
                     DB_ARGS(DB_TEXT(email)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r > 0) {
        (void)snprintf(ret_id, UUID_SIZE, "%s", db_text(rows, 0));
        *ret_user = db_int(rows, 1);
    }
    return r;
}

static int link_to(struct import_row *row, int64_t user)
{
    row->outcome = OUTCOME_LINKED;
    row->new_id = user;
    return 0;
}

/* A user of the same name, with an account, is the same person. */
static int prepare_user(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    const char *name = text_of(&row->now[USER_NAME]);
    char account[UUID_SIZE];
    int64_t user = 0;
    int r = name ? find_account(c, name, account, &user) : 0;
    if (r < 0)
        return r;
    if (r == 0 && name)
        r = db_query_int(c,
                         "SELECT u.id FROM users u JOIN directus_users d ON d.anythingllm_user_id = u.id "
                         "WHERE u.username = ?1",
                         DB_ARGS(DB_TEXT(name)), &user);
    if (r < 0 || user != 0)
        return r < 0 ? r : link_to(row, user);
    return make_unique(c, job, row, &row->now[USER_NAME], "SELECT 1 FROM users WHERE username = ?1",
                       "its name is taken by another, so it got digits");
}

/* An account that has no AnythingLLM user yet (Directus made it) gets this one. */
static int after_user(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    const char *name = text_of(&row->values[USER_NAME]);
    int64_t changed = 0;
    (void)job;
    int r = name
                ? db_exec(c,
                          "UPDATE directus_users SET anythingllm_user_id = ?2 WHERE lower(email) = lower(?1) "
                          "AND anythingllm_user_id IS NULL",
                          DB_ARGS(DB_TEXT(name), DB_INT(row->new_id)), &changed)
                : 0;
    if (r == 0 && changed > 0)
        row->outcome = OUTCOME_LINKED;
    return r;
}

/* ---- workspaces */

static const struct import_column workspace_columns[] = {
    COL("name", COLUMN_TEXT, .needed = true),
    KEY("slug", .needed = true),
    TIMES,
    COL("openAiTemp", COLUMN_REAL),
    COL("openAiHistory", COLUMN_INT, .needed = true),
    LONG("openAiPrompt"),
    COL("similarityThreshold", COLUMN_REAL),
    COL("chatProvider", COLUMN_TEXT),
    COL("chatModel", COLUMN_TEXT),
    COL("topN", COLUMN_INT),
    COL("chatMode", COLUMN_TEXT),
    COL("agentProvider", COLUMN_TEXT),
    COL("agentModel", COLUMN_TEXT),
    COL("queryRefusalResponse", COLUMN_TEXT),
    COL("vectorSearchMode", COLUMN_TEXT),
};
enum { WORKSPACE_SLUG = 1 };

static int prepare_workspace(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    return make_unique(c, job, row, &row->now[WORKSPACE_SLUG], "SELECT 1 FROM workspaces WHERE slug = ?1",
                       "its slug is taken by another, so it got digits");
}

static const struct import_column member_columns[] = {
    REF("user_id", "users", REF_NEEDED),
    REF("workspace_id", "workspaces", REF_NEEDED),
    TIMES,
};
enum { MEMBER_USER, MEMBER_WORKSPACE };

/* Two users of the source may be one here. */
static int prepare_member(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    (void)job;
    int r = finds(c, "SELECT 1 FROM workspace_users WHERE user_id = ?1 AND workspace_id = ?2",
                  DB_ARGS(row->now[MEMBER_USER], row->now[MEMBER_WORKSPACE]));
    return r > 0 ? leave(row, "its user is a member already") : r < 0 ? r : 1;
}

static const struct import_column thread_columns[] = {
    COL("name", COLUMN_TEXT, .needed = true),
    KEY("slug", .needed = true),
    REF("workspace_id", "workspaces", REF_NEEDED),
    REF("user_id", "users", REF_IF_SET),
    TIMES,
};
enum { THREAD_SLUG = 1 };

static int prepare_thread(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    return make_unique(c, job, row, &row->now[THREAD_SLUG], "SELECT 1 FROM workspace_threads WHERE slug = ?1",
                       "its slug is taken by another, so it got digits");
}

/* ---- chats */

static const struct import_column chat_columns[] = {
    REF("workspaceId", "workspaces", REF_NEEDED),
    LONG("prompt", .needed = true),
    {.name = "response", .kind = COLUMN_ANSWER, .needed = true, .max = ANSWER_MAX},
    COL("include", COLUMN_BOOL, .needed = true),
    REF("user_id", "users", REF_IF_SET),
    REF("thread_id", "workspace_threads", REF_IF_SET),
    KEY("api_session_id"),
    TIMES,
    COL("feedbackScore", COLUMN_BOOL),
    COL("memoryProcessed", COLUMN_BOOL, .source = "memory_processed"),
};
enum { CHAT_WORKSPACE, CHAT_USER = 4, CHAT_THREAD, CHAT_API_SESSION };

/* A user's exchanges outside any thread get one, since histories are read by thread. */
static int prepare_chat(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    struct db_value *user = &row->now[CHAT_USER], *thread = &row->now[CHAT_THREAD];
    if (user->type == DB_T_NULL || thread->type != DB_T_NULL || row->now[CHAT_API_SESSION].type != DB_T_NULL)
        return 1;
    int64_t found;
    int r = session_default_thread(c, job, row->values[CHAT_WORKSPACE].i, row->values[CHAT_USER].i,
                                   row->now[CHAT_WORKSPACE].i, user->i, &found);
    if (r < 0)
        return r;
    *thread = DB_INT(found);
    return 1;
}

/* ---- documents */

static const struct import_column document_columns[] = {
    KEY("docId", .needed = true),
    COL("filename", COLUMN_TEXT, .needed = true),
    KEY("docpath", .needed = true),
    REF("workspaceId", "workspaces", REF_NEEDED),
    LONG("metadata"),
    COL("pinned", COLUMN_BOOL),
    COL("watched", COLUMN_BOOL),
    TIMES,
};

static int prepare_document(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    (void)job;
    return unless_taken(c, row, "SELECT 1 FROM workspace_documents WHERE \"docId\" = ?1", &row->now[0],
                        "its docId is taken");
}

static const struct import_column vector_columns[] = {
    KEY("docId", .needed = true),
    KEY("vectorId", .needed = true),
    TIMES,
};

static int prepare_vector(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    (void)job;
    int r = finds(c, "SELECT 1 FROM workspace_documents WHERE \"docId\" = ?1", &row->now[0], 1);
    return r == 0 ? leave(row, "its document is not here") : r;
}

/* ---- invites, keys, settings, events */

static const struct import_column invite_columns[] = {
    KEY("code", .needed = true),
    KEY("status", .needed = true),
    REF("claimedBy", "users", REF_OR_NONE),
    COL("workspaceIds", COLUMN_TEXT),
    REF("createdBy", "users", REF_OR_NONE),
    TIMES,
};
enum { INVITE_CODE, INVITE_STATUS, INVITE_WORKSPACES = 3, INVITE_CREATOR };

static int check_invite(struct import_job *job, struct import_row *row)
{
    const char *status = text_of(&row->values[INVITE_STATUS]);
    (void)job;
    if (!choices_have("pending|claimed|disabled", status, strlen(status)))
        return leave(row, "its status is unknown");
    return 0;
}

/* The workspaces that an invite leads to, by their keys here; those that aren't here are dropped. */
static int map_workspaces(struct db_conn *c, struct import_job *job, struct db_value *v)
{
    const char *text = text_of(v);
    _cleanup_json_ json_t *old = text ? json_parse(text, strlen(text)) : NULL, *new = json_array();
    json_t *item;
    size_t i;
    json_array_foreach (old, i, item) {
        int64_t id;
        int r = ids_resolve(c, job->source_id, "workspaces", json_integer_value(item), &id);
        if (r > 0)
            r = json_array_append_new(new, json_integer((json_int_t)id)) < 0 ? -ENOMEM : 0;
        if (r < 0)
            return r;
    }
    *v = text ? DB_TEXT(json_text(&job->batch, new)) : DB_NULL;
    return text && !v->p ? -ENOMEM : 0;
}

static int prepare_invite(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    int r = unless_taken(c, row, "SELECT 1 FROM invites WHERE code = ?1", &row->now[INVITE_CODE],
                         "its code is taken");
    if (r <= 0)
        return r;
    if (row->now[INVITE_CREATOR].type == DB_T_NULL)
        row->now[INVITE_CREATOR] = DB_INT(0); /* as AnythingLLM writes where there are no users */
    r = map_workspaces(c, job, &row->now[INVITE_WORKSPACES]);
    return r < 0 ? r : 1;
}

static const struct import_column key_columns[] = {
    COL("name", COLUMN_TEXT),
    KEY("secret"),
    REF("createdBy", "users", REF_OR_NONE),
    TIMES,
};

static int check_key(struct import_job *job, struct import_row *row)
{
    return job->options->admins ? 0 : leave(row, "it gives rights over everybody (--admins brings it in)");
}

static int prepare_key(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    (void)job;
    return unless_taken(c, row, "SELECT 1 FROM api_keys WHERE secret = ?1", &row->now[1],
                        "its secret is taken");
}

static const struct import_column setting_columns[] = {
    KEY("label", .needed = true),
    COL("value", COLUMN_TEXT),
    TIMES,
};

/* What the installation is called and says. The rest steers AnythingLLM itself, or is a secret. */
static int check_setting(struct import_job *job, struct import_row *row)
{
    static const char carried[] =
        "custom_app_name|support_email|footer_data|meta_page_title|"
        "default_system_prompt|text_splitter_chunk_size|text_splitter_chunk_overlap";
    const char *label = text_of(&row->values[0]);
    (void)job;
    return choices_have(carried, label, strlen(label)) ? 0
                                                       : leave(row, "it is no setting that is brought in");
}

static int prepare_setting(struct db_conn *c, struct import_job *job, struct import_row *row)
{
    (void)job;
    return unless_taken(c, row, "SELECT 1 FROM system_settings WHERE label = ?1", &row->now[0],
                        "there is such a setting here");
}

static const struct import_column event_columns[] = {
    KEY("event", .needed = true),
    LONG("metadata"),
    REF("userId", "users", REF_OR_NONE),
    COL("occurredAt", COLUMN_TIME, .needed = true),
};

#define TABLE(name_, columns_, ...) \
    { \
        .name = (name_), .columns = (columns_), .n = ARRAY_LEN(columns_), __VA_ARGS__ \
    }

const struct import_table import_tables[] = {
    TABLE("users", user_columns, .check = check_user, .prepare = prepare_user, .after = after_user),
    TABLE("workspaces", workspace_columns, .prepare = prepare_workspace),
    TABLE("workspace_users", member_columns, .prepare = prepare_member),
    TABLE("workspace_threads", thread_columns, .prepare = prepare_thread),
    TABLE("workspace_chats", chat_columns, .prepare = prepare_chat),
    TABLE("workspace_documents", document_columns, .prepare = prepare_document),
    TABLE("document_vectors", vector_columns, .prepare = prepare_vector),
    TABLE("invites", invite_columns, .check = check_invite, .prepare = prepare_invite),
    TABLE("api_keys", key_columns, .check = check_key, .prepare = prepare_key),
    TABLE("system_settings", setting_columns, .check = check_setting, .prepare = prepare_setting),
    TABLE("event_logs", event_columns),
    {0},
};
