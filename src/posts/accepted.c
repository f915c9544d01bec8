/* SPDX-License-Identifier: MIT */
#include "posts/accepted.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)16 << 20)
#define RESPONSE_MAX ((size_t)512 << 10) /* a longer one is not looked at */

/* The text with one blank for each run of white space. */
static char *plain(struct arena *a, const char *text)
{
    char *out = arena_strdup(a, text);
    size_t n = 0;
    for (const char *s = text; out && *s; s++) {
        bool space = strchr(" \t\r\n", *s) != NULL;
        if (!space)
            out[n++] = *s;
        else if (n > 0 && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    if (out)
        out[n > 0 && out[n - 1] == ' ' ? n - 1 : n] = '\0';
    return out;
}

static bool is_long(const char *text)
{
    return utf8_count(text, strlen(text)) >= ACCEPTED_CHARS_MIN;
}

/* The ids that an answer cites, added to `cited`, where it holds the text or is held by it. */
static int match(struct arena *a, const char *response, const char *text, json_t *cited)
{
    size_t len = response ? strlen(response) : 0, i;
    _cleanup_json_ json_t *answer =
        len <= RESPONSE_MAX ? json_parse_own(response ? response : "", len) : NULL;
    const char *said = json_str(answer, "text", NULL);
    const json_t *source;
    char *there = said ? plain(a, said) : NULL;
    if (said && !there)
        return -ENOMEM;
    if (!there || !is_long(there) || (!strstr(there, text) && !strstr(text, there)))
        return 0;
    json_array_foreach (json_object_get(answer, "sources"), i, source) {
        const char *id = json_str(source, "id", NULL);
        if (id && uuid_valid(id) && json_object_set_new(cited, id, json_true()) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int find_cited(struct db_conn *c, struct arena *a, const char *user_id, const char *text,
                      json_t *cited)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT w.response FROM workspace_chats w JOIN directus_users d "
                     "ON d.anythingllm_user_id = w.user_id WHERE d.id = ?1 ORDER BY w.id DESC LIMIT ?2",
                     DB_ARGS(DB_TEXT(user_id), DB_INT(ACCEPTED_ANSWERS)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0)
        r = match(a, db_text(rows, 0), text, cited);
    return r;
}

/* A note that comes back begins anew: the days that it was out are not taken off it at night. */
static int reinforce(struct db_conn *c, const char *user_id, const char *id, const char *now)
{
    return db_exec(c,
                   "UPDATE user_nodes SET last_reinforced_at = ?1, weight = weight + (1 - weight) * ?2, "
                   "last_decayed_at = CASE WHEN status = 'decayed' THEN ?1 ELSE last_decayed_at END, "
                   "status = 'active' WHERE id = ?3 AND user_id = ?4",
                   DB_ARGS(DB_TEXT(now), DB_REAL(ACCEPTED_GAIN), DB_TEXT(id), DB_TEXT(user_id)), NULL);
}

/* In the order in which all write nodes: docs/store.md says why. */
static int reinforce_all(struct db_conn *c, struct arena *a, const char *user_id, const json_t *cited)
{
    char now[ISO_TIME_LEN];
    const char *id;
    json_t *yes;
    size_t n = 0;
    const char **ids = arena_alloc(a, (json_object_size(cited) + 1) * sizeof *ids);
    int r = ids ? db_now_text(c, 0, now) : -ENOMEM;
    if (r < 0)
        return r;
    json_object_foreach ((json_t *)cited, id, yes)
        ids[n++] = id;
    qsort(ids, n, sizeof *ids, str_order);
    for (size_t i = 0; i < n && r == 0; i++)
        r = reinforce(c, user_id, ids[i], now);
    return r;
}

int accepted_reinforce(struct db_conn *c, const char *user_id, const char *text)
{
    _cleanup_json_ json_t *cited = json_object();
    struct arena a;
    arena_init(&a, ARENA_MAX);
    char *wanted = cited ? plain(&a, text) : NULL;
    int r = wanted ? 0 : -ENOMEM;
    if (r == 0 && is_long(wanted))
        r = find_cited(c, &a, user_id, wanted, cited);
    if (r == 0)
        r = reinforce_all(c, &a, user_id, cited);
    arena_free(&a);
    return r;
}
