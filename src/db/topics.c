/* SPDX-License-Identifier: MIT */
#include "db/topics.h"

#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define IDENTITIES (1U << DB_IDENTITIES)
#define NODES (1U << DB_NODES)
#define FLOWS (1U << DB_FLOWS)
#define SKILLS (1U << DB_SKILLS)

/* What caches are made of. `deleted`: what goes with a deleted row, by its foreign keys, as well. */
static const struct {
    const char *table;
    unsigned written, deleted;
} tables[] = {
    {"directus_users", IDENTITIES, TOPICS_ALL},
    {"directus_roles", IDENTITIES, IDENTITIES},
    {"directus_access", IDENTITIES, IDENTITIES},
    {"directus_policies", IDENTITIES, IDENTITIES},
    {"directus_sessions", IDENTITIES, IDENTITIES},
    {"users", IDENTITIES, IDENTITIES},
    {"impersonations", IDENTITIES, IDENTITIES},
    {"revoked_tokens", IDENTITIES, IDENTITIES},
    {"user_nodes", NODES, NODES},
    {"user_node_edges", NODES, NODES},
    {"action_flows", FLOWS, FLOWS},
    {"agent_skills", SKILLS, SKILLS},
    {"skill_edges", SKILLS, SKILLS},
};

/* Steps over a word and the space behind it; false if another one stands there. */
static bool skip_word(const char **sql, const char *word)
{
    size_t len = strlen(word);
    if (strncasecmp(*sql, word, len) != 0 || !isspace((unsigned char)(*sql)[len]))
        return false;
    *sql += len;
    while (isspace((unsigned char)**sql))
        (*sql)++;
    return true;
}

static bool names(const char *sql, const char *table)
{
    size_t len = strlen(table);
    sql += *sql == '"';
    return strncasecmp(sql, table, len) == 0 && !isalnum((unsigned char)sql[len]) && sql[len] != '_' &&
           sql[len] != '.';
}

unsigned topics_of(const char *sql)
{
    while (isspace((unsigned char)*sql))
        sql++;
    bool deletes = skip_word(&sql, "DELETE") && skip_word(&sql, "FROM");
    bool writes =
        !deletes && (skip_word(&sql, "UPDATE") || (skip_word(&sql, "INSERT") && skip_word(&sql, "INTO")));
    if (!deletes && !writes)
        return TOPICS_ALL;
    if (sql[strcspn(sql, ". (")] == '.')
        return TOPICS_ALL; /* in a schema that it names */
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (names(sql, tables[i].table))
            return deletes ? tables[i].deleted : tables[i].written;
    return 0;
}

void change_write(const struct change *change, char *ret)
{
    (void)snprintf(ret, CHANGE_TEXT_SIZE, "%s %u %s", change->node, change->topics, change->user_id);
}

void change_read(const char *text, struct change *ret)
{
    *ret = (struct change){.topics = TOPICS_ALL};
    struct change found = {0};
    int end = 0;
    if (strnlen(text, CHANGE_TEXT_SIZE) == CHANGE_TEXT_SIZE ||
        sscanf(text, "%36s %3u %n%36s", found.node, &found.topics, &end, found.user_id) < 2 || end == 0)
        return;
    if (!uuid_valid(found.node) || found.topics > TOPICS_ALL)
        return;
    if (found.user_id[0] && (!uuid_valid(found.user_id) || strlen(text + end) != UUID_LEN))
        return;
    *ret = found;
}
