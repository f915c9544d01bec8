/* SPDX-License-Identifier: MIT */
#include "skills/store.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define RELATION "related"
#define WEIGHT_SAME 1e-9

static json_t *tags_json(const struct skill_file *s)
{
    json_t *tags = json_array();
    for (size_t i = 0; tags && i < s->n_tags; i++)
        if (json_array_append_new(tags, json_string(s->tags[i])) < 0) {
            json_decref(tags);
            return NULL;
        }
    return tags;
}

/* Whether the present row says what the file says. */
static bool row_is_same(struct db_rows *rows, const struct skill_file *s, const json_t *tags)
{
    const char *text = db_text(rows, 3);
    _cleanup_json_ json_t *there = text ? json_parse(text, strlen(text)) : NULL;
    return str_equal(db_text(rows, 1), s->category) && str_equal(db_text(rows, 2), s->description) &&
           str_equal(db_text(rows, 4), s->content) && there && json_equal(there, tags);
}

/* 1 with the id, and whether the row is the same; 0 where there is none. */
static int find_row(struct db_conn *c, const struct skill_file *s, const json_t *tags, char id[UUID_SIZE],
                    bool *ret_same)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT id, category, description, tags, content FROM agent_skills WHERE name = ?1",
                     DB_ARGS(DB_TEXT(s->name)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    (void)snprintf(id, UUID_SIZE, "%s", db_text(rows, 0));
    *ret_same = row_is_same(rows, s, tags);
    return 1;
}

int skill_store_upsert(struct db_conn *c, struct skill_write *w)
{
    const struct skill_file *s = w->file;
    char id[UUID_SIZE], now[ISO_TIME_LEN];
    bool same = false;
    _cleanup_json_ json_t *tags = tags_json(s);
    _cleanup_free_ char *tags_text = tags ? json_dumps(tags, JSON_COMPACT) : NULL;
    if (!tags_text)
        return -ENOMEM;
    int r = find_row(c, s, tags, id, &same);
    if (r < 0)
        return r;
    w->added = r == 0;
    w->changed = r == 1 && !same;
    if (w->added)
        uuid_make(id);
    clock_format_iso(clock_now_ms(), now);
    if (w->added)
        return db_exec(c,
                       "INSERT INTO agent_skills (id, name, category, description, tags, content, "
                       "date_created, date_updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
                       DB_ARGS(DB_TEXT(id), DB_TEXT(s->name), DB_TEXT(s->category), DB_TEXT(s->description),
                               DB_TEXT(tags_text), DB_TEXT(s->content), DB_TEXT(now)),
                       NULL);
    if (!w->changed)
        return 0;
    return db_exec(c,
                   "UPDATE agent_skills SET category = ?2, description = ?3, tags = ?4, content = ?5, "
                   "date_updated = ?6 WHERE id = ?1",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(s->category), DB_TEXT(s->description), DB_TEXT(tags_text),
                           DB_TEXT(s->content), DB_TEXT(now)),
                   NULL);
}

static int find_id(struct db_conn *c, const char *name, char id[UUID_SIZE])
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT id FROM agent_skills WHERE name = ?1", DB_ARGS(DB_TEXT(name)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r > 0)
        (void)snprintf(id, UUID_SIZE, "%s", db_text(rows, 0));
    return r;
}

struct wanted {
    char target[UUID_SIZE];
    double weight;
};

/* The file's relations by id; of a name that comes twice, the first. */
static int resolve_links(struct db_conn *c, struct skill_file *s, struct wanted *to, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_links; i++) {
        struct wanted w = {.weight = s->links[i].weight};
        size_t k = 0;
        int r = find_id(c, s->links[i].name, w.target);
        if (r < 0)
            return r;
        s->links[i].stranger = r == 0;
        if (r == 0)
            continue;
        while (k < n && strcmp(to[k].target, w.target) != 0)
            k++;
        if (k == n)
            to[n++] = w;
    }
    *ret_n = n;
    return 0;
}

/* Whether the store has exactly these. */
static int links_are_same(struct db_conn *c, const char *id, const struct wanted *wanted, size_t n)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    size_t found = 0, there = 0;
    int r = db_query(c, "SELECT target, weight FROM skill_edges WHERE source = ?1 AND relation = ?2",
                     DB_ARGS(DB_TEXT(id), DB_TEXT(RELATION)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        there++;
        for (size_t i = 0; i < n; i++)
            found += strcmp(wanted[i].target, db_text(rows, 0)) == 0 &&
                     fabs(wanted[i].weight - db_real(rows, 1)) < WEIGHT_SAME;
    }
    return r < 0 ? r : found == n && there == n;
}

static int add_link(struct db_conn *c, const char *source, const struct wanted *w)
{
    char id[UUID_SIZE];
    uuid_make(id);
    return db_exec(
        c,
        "INSERT INTO skill_edges (id, source, target, relation, weight) "
        "VALUES (?1, ?2, ?3, ?4, ?5)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(source), DB_TEXT(w->target), DB_TEXT(RELATION), DB_REAL(w->weight)),
        NULL);
}

int skill_store_link(struct db_conn *c, struct skill_file *s, size_t *ret_n, bool *ret_changed)
{
    struct wanted wanted[SKILL_LINKS_MAX];
    char id[UUID_SIZE];
    int r = find_id(c, s->name, id);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    r = resolve_links(c, s, wanted, ret_n);
    if (r == 0)
        r = links_are_same(c, id, wanted, *ret_n);
    if (r != 0)
        return r < 0 ? r : 0;
    *ret_changed = true;
    r = db_exec(c, "DELETE FROM skill_edges WHERE source = ?1 AND relation = ?2",
                DB_ARGS(DB_TEXT(id), DB_TEXT(RELATION)), NULL);
    for (size_t i = 0; i < *ret_n && r == 0; i++)
        r = add_link(c, id, &wanted[i]);
    return r;
}
