/* SPDX-License-Identifier: MIT */
#include "ops/native.h"

#define COLUMN(name_, type_) \
    { \
        .name = name_, .type = COLUMN_##type_ \
    }
#define COLUMNS_END \
    { \
        .name = NULL \
    }
#define ID COLUMN("id", INT)
#define TIMES COLUMN("createdAt", TIME), COLUMN("lastUpdatedAt", TIME)

static const struct column users[] = {
    ID,
    COLUMN("username", TEXT),
    COLUMN("pfpFilename", TEXT),
    COLUMN("role", TEXT),
    COLUMN("suspended", INT),
    COLUMN("dailyMessageLimit", INT),
    COLUMN("bio", TEXT),
    TIMES,
    COLUMNS_END,
};

static const struct column workspaces[] = {
    ID,
    COLUMN("name", TEXT),
    COLUMN("slug", TEXT),
    COLUMN("openAiPrompt", TEXT),
    COLUMN("openAiTemp", REAL),
    COLUMN("openAiHistory", INT),
    COLUMN("chatMode", TEXT),
    COLUMN("chatModel", TEXT),
    TIMES,
    COLUMNS_END,
};

static const struct column threads[] = {
    ID, COLUMN("name", TEXT), COLUMN("slug", TEXT), COLUMN("workspace_id", INT), TIMES, COLUMNS_END,
};

static const struct column chats[] = {
    ID,
    COLUMN("workspaceId", INT),
    COLUMN("thread_id", INT),
    COLUMN("prompt", TEXT),
    COLUMN("response", TEXT),
    COLUMN("include", BOOL),
    COLUMN("feedbackScore", BOOL),
    TIMES,
    COLUMNS_END,
};

static const struct column documents[] = {
    ID,
    COLUMN("docId", TEXT),
    COLUMN("filename", TEXT),
    COLUMN("workspaceId", INT),
    COLUMN("metadata", TEXT),
    TIMES,
    COLUMNS_END,
};

const struct native_table native_tables[] = {
    {"users", users, "id = ?1"},
    {"workspaces", workspaces, "id IN (SELECT workspace_id FROM workspace_users WHERE user_id = ?1)"},
    {"workspace_threads", threads, "user_id = ?1"},
    {"workspace_chats", chats, "user_id = ?1"},
    {"workspace_documents", documents, "\"workspaceId\" IN " OWN_WORKSPACES},
    {.name = NULL},
};

const struct column stored_file_columns[] = {
    COLUMN("id", UUID),
    COLUMN("filename_disk", TEXT),
    COLUMN("filename_download", TEXT),
    COLUMN("filesize", INT),
    COLUMNS_END,
};
