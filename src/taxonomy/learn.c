/* SPDX-License-Identifier: MIT */
/* In a run the edges fade first, each once: one that has is younger than the slot. Then the sets that are
 * older than the slot are consumed, each in the unit that counts it. So a run that another server goes on
 * with does nothing twice. */
#include "taxonomy/learn.h"

#include "base/json.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

#define SETS_SHARE 10

struct set {
    char id[UUID_SIZE];
    json_t *tags;
};

/* ---- remembering */

static int insert_set(struct db_conn *c, void *arg)
{
    char id[UUID_SIZE];
    uuid_make(id);
    return db_exec(c, "INSERT INTO taxonomy_tag_sets (id, tags) VALUES (?1, ?2)",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(arg)), NULL);
}

int taxonomy_remember(struct db *db, const struct taxonomy_terms *tags)
{
    _cleanup_json_ json_t *list = json_array();
    _cleanup_buf_ struct buf text = BUF_INIT(64 * 1024);
    if (tags->n < 2)
        return 0;
    for (size_t i = 0; i < tags->n; i++)
        if (json_array_append_new(list, json_string(tags->items[i].name)) < 0)
            return -ENOMEM;
    if (json_write(&text, list) < 0)
        return -ENOMEM;
    int r = db_write(db, insert_set, text.data);
    return r < 0 ? r : 0;
}

/* ---- fading */

static int fade(struct db_conn *c, const struct duty_run *run)
{
    int64_t faded = 0;
    int r = db_exec(
        c,
        "UPDATE taxonomy_edges SET weight = weight * ?1, date_updated = ?2 WHERE id IN (SELECT id "
        "FROM taxonomy_edges WHERE type = 'CO_OCCURS' AND date_updated < ?3 "
        "ORDER BY date_updated, id LIMIT ?4)",
        DB_ARGS(DB_REAL(TAXONOMY_FADE), DB_TEXT(run->now), DB_TEXT(run->slot), DB_INT(run->batch)), &faded);
    return r < 0 ? r : faded > 0;
}

static int delete_faint(struct db_conn *c)
{
    return db_exec(c, "DELETE FROM taxonomy_edges WHERE type = 'CO_OCCURS' AND weight < ?1",
                   DB_ARGS(DB_REAL(TAXONOMY_LEAST)), NULL);
}

/* ---- strengthening */

/* Where the pair has an edge, either way or both, it grows; else one is made. */
static int strengthen(struct db_conn *c, const struct duty_run *run, const char *a, const char *b)
{
    char id[UUID_SIZE];
    int64_t grown = 0;
    int r =
        db_exec(c,
                "UPDATE taxonomy_edges SET weight = CASE WHEN weight + ?1 > 1 THEN 1 ELSE weight + ?1 END, "
                "date_updated = ?2 WHERE type = 'CO_OCCURS' AND ((source = ?3 AND target = ?4) OR "
                "(source = ?4 AND target = ?3))",
                DB_ARGS(DB_REAL(TAXONOMY_DELTA), DB_TEXT(run->now), DB_TEXT(a), DB_TEXT(b)), &grown);
    if (r < 0 || grown > 0)
        return r;
    uuid_make(id);
    return db_exec(
        c,
        "INSERT INTO taxonomy_edges (id, type, source, target, weight, date_created, date_updated) "
        "VALUES (?1, 'CO_OCCURS', ?2, ?3, ?4, ?5, ?5)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(a), DB_TEXT(b), DB_REAL(TAXONOMY_DELTA), DB_TEXT(run->now)), NULL);
}

/* The id of a tag: 1, 0 where it is gone, or negative errno. */
static int find_tag(struct db_conn *c, const char *name, char *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT id FROM taxonomy_nodes WHERE type = 'tag' AND name = ?1",
                     DB_ARGS(DB_TEXT(name)), &rows);
    if (r >= 0)
        r = db_next(rows);
    if (r > 0)
        (void)snprintf(ret, UUID_SIZE, "%s", db_text(rows, 0));
    return r;
}

static int consume(struct db_conn *c, const struct duty_run *run, const struct set *set)
{
    char ids[TAXONOMY_TAGS_MOST][UUID_SIZE];
    size_t n = 0;
    int r = 0;
    for (size_t i = 0; i < json_array_size(set->tags) && n < TAXONOMY_TAGS_MOST && r >= 0; i++) {
        r = find_tag(c, json_string_value(json_array_get(set->tags, i)), ids[n]);
        n += r > 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n && r >= 0; k++)
            if (!str_equal(ids[i], ids[k]))
                r = strengthen(c, run, ids[i], ids[k]);
    if (r >= 0)
        r = db_exec(c, "DELETE FROM taxonomy_tag_sets WHERE id = ?1", DB_ARGS(DB_TEXT(set->id)), NULL);
    return r;
}

/* How many were read; each holds a reference. */
static int read_sets(struct db_conn *c, const struct duty_run *run, struct set *sets, int64_t most)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int n = 0;
    int r = db_query(c,
                     "SELECT id, tags FROM taxonomy_tag_sets WHERE date_created < ?1 "
                     "ORDER BY date_created, id LIMIT ?2",
                     DB_ARGS(DB_TEXT(run->slot), DB_INT(most)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        const char *tags = db_text(rows, 1);
        (void)snprintf(sets[n].id, UUID_SIZE, "%s", db_text(rows, 0));
        sets[n++].tags = tags ? json_parse(tags, strlen(tags)) : NULL;
    }
    if (r < 0)
        for (int i = 0; i < n; i++)
            json_decref(sets[i].tags);
    return r < 0 ? r : n;
}

static int consume_some(struct db_conn *c, const struct duty_run *run)
{
    int64_t most = run->batch / SETS_SHARE + 1;
    _cleanup_free_ struct set *sets = calloc((size_t)most, sizeof *sets);
    int r = sets ? 0 : -ENOMEM, n = r < 0 ? r : read_sets(c, run, sets, most);
    for (int i = 0; i < n; i++) {
        if (r >= 0)
            r = consume(c, run, &sets[i]);
        json_decref(sets[i].tags);
    }
    return r < 0 || n < 0 ? (r < 0 ? r : n) : n == most;
}

int taxonomy_learn(struct db_conn *c, const struct duty_run *run)
{
    int r = fade(c, run);
    if (r != 0)
        return r;
    r = delete_faint(c);
    return r < 0 ? r : consume_some(c, run);
}
