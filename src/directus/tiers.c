/* SPDX-License-Identifier: MIT */
/* The names that were registered last are rows of genie_registrations ("tier pro"); without any they are
 * those that every file has. A permission is rewritten only where it is still what was made of them. */
#include "directus/tiers.h"

#include "base/json.h"
#include "base/log.h"
#include "directus/permissions.h"
#include "directus/registration.h"

#include <errno.h>

#define TEXTS_MAX \
    ((size_t)256 * 1024) /* a rule before and after, with the longest aliases that a file may have */
#define KIND "tier "

struct taking {
    const json_t *now;
    struct arena arena;
    enum directus_tiers outcome;
};

static bool names_have(const json_t *names, const json_t *name)
{
    size_t i;
    json_t *one;
    json_array_foreach ((json_t *)names, i, one)
        if (json_equal(one, name))
            return true;
    return false;
}

/* In whichever order; neither has a name twice. */
static bool same_names(const json_t *a, const json_t *b)
{
    size_t i;
    json_t *name;
    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach ((json_t *)a, i, name)
        if (!names_have(b, name))
            return false;
    return true;
}

static int read_registered(struct db_conn *c, json_t *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r =
        db_query(c, "SELECT name FROM genie_registrations WHERE name LIKE '" KIND "%'", DB_NO_ARGS, &rows);
    while (r >= 0 && (r = db_next(rows)) > 0)
        if (json_array_append_new(ret, json_string(db_text(rows, 0) + sizeof KIND - 1)) < 0)
            return -ENOMEM;
    return r;
}

static int note_registered(struct db_conn *c, const json_t *names)
{
    size_t i;
    json_t *name;
    int r = db_exec(c, "DELETE FROM genie_registrations WHERE name LIKE '" KIND "%'", DB_NO_ARGS, NULL);
    json_array_foreach ((json_t *)names, i, name)
        if (r >= 0)
            r = db_exec(c, "INSERT INTO genie_registrations (name) VALUES ('" KIND "' || CAST(?1 AS TEXT))",
                        DB_ARGS(DB_TEXT(json_string_value(name))), NULL);
    return r;
}

/* Directus's column is json, which can't be compared; either within the other, they are the same but for the
 * order of names. */
static int rewrite(struct db_conn *c, struct taking *t, const struct collection *collection,
                   const json_t *before)
{
    const char *from, *to;
    int64_t changed;
    int r = directus_extended_rows(collection, before, &t->arena, &from);
    if (r > 0)
        r = directus_extended_rows(collection, t->now, &t->arena, &to);
    if (r <= 0)
        return r;
    r = db_exec(c,
                "UPDATE directus_permissions SET permissions = ?1 WHERE policy = ?2 AND collection = ?3"
                " AND action = 'read' AND CAST(permissions AS jsonb) @> CAST(?4 AS jsonb)"
                " AND CAST(permissions AS jsonb) <@ CAST(?4 AS jsonb)",
                DB_ARGS(DB_TEXT(to), DB_TEXT(directus_policy_ids[POLICY_EXTENDED]), DB_TEXT(collection->name),
                        DB_TEXT(from)),
                &changed);
    if (r == 0 && t->outcome != DIRECTUS_TIERS_KEPT)
        t->outcome = changed > 0 ? DIRECTUS_TIERS_CHANGED : DIRECTUS_TIERS_KEPT;
    return r;
}

static int take(struct db_conn *c, struct taking *t)
{
    _cleanup_json_ json_t *registered = json_array(), *usual = directus_extended_tiers(NULL);
    if (!registered || !usual)
        return -ENOMEM;
    int r = read_registered(c, registered);
    const json_t *before = json_array_size(registered) > 0 ? registered : usual;
    if (r < 0 || same_names(before, t->now))
        return r;
    for (const struct collection *one = access_table; one->name && r >= 0; one++)
        r = rewrite(c, t, one, before);
    return r < 0 ? r : note_registered(c, t->now);
}

static int take_unit(struct db_conn *c, void *arg)
{
    struct taking *t = arg;
    t->outcome = DIRECTUS_TIERS_SAME;
    int r = directus_manages(c);
    if (r <= 0)
        return r;
    arena_init(&t->arena, TEXTS_MAX);
    r = take(c, t);
    arena_free(&t->arena);
    return r < 0 ? r : 0;
}

int directus_register_tiers(struct db *db, const struct tiers *tiers, enum directus_tiers *ret)
{
    _cleanup_json_ json_t *now = directus_extended_tiers(tiers);
    struct taking t = {.now = now};
    int r = now ? db_write(db, take_unit, &t) : -ENOMEM;
    if (r < 0)
        return log_error(r, "store: the tiers could not be registered with Directus");
    *ret = t.outcome;
    return 0;
}
