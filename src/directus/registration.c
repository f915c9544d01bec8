/* SPDX-License-Identifier: MIT */
/* A walk over all there is to register, done twice: once in memory for a fingerprint of its names, which
 * spares every later start the rest; then, in one unit, to register what has no row in genie_registrations.
 */
#include "directus/registration.h"

#include "base/log.h"
#include "base/text.h"
#include "directus/fields.h"
#include "directus/permissions.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NAME_SIZE 192
#define TEXTS_MAX (64 * 1024) /* of one thing */
#define GROUP_NOTE "What GenieHelper keeps"

/* One thing to register; what it is made of depends on its kind. */
struct thing {
    const char *kind;
    char name[NAME_SIZE]; /* "<kind> <what>" */
    const struct directus_collection *look;
    const struct collection *collection;
    const struct column *column;
    const struct directus_concealed *concealed;
    enum directus_policy policy;
    enum action action;
    int sort;
};

struct walk {
    int (*visit)(struct walk *walk, const struct thing *thing);
    void *ctx;
};

/* ---- the walk */

__attribute__((format(printf, 3, 4))) static int visit(struct walk *walk, struct thing *thing,
                                                       const char *fmt, ...)
{
    va_list ap;
    int used = snprintf(thing->name, sizeof thing->name, "%s ", thing->kind);
    va_start(ap, fmt);
    (void)vsnprintf(thing->name + used, sizeof thing->name - (size_t)used, fmt, ap);
    va_end(ap);
    return walk->visit(walk, thing);
}

static int walk_columns(struct walk *walk, const struct directus_collection *look)
{
    const struct collection *rows = access_collection(look->name);
    int sort = 0, r = 0;
    for (const struct column *c = rows->columns; c->name && r >= 0; c++) {
        struct thing t = {.kind = "field", .look = look, .collection = rows, .column = c, .sort = ++sort};
        if (look->theirs && (!look->columns || !access_choice(look->columns, c->name)))
            continue;
        r = visit(walk, &t, "%s.%s", look->name, c->name);
        t.kind = "relation";
        if (r >= 0 && directus_related(rows, c) && !look->theirs)
            r = visit(walk, &t, "%s.%s", look->name, c->name);
    }
    return r;
}

static int walk_collections(struct walk *walk)
{
    int sort = 0, r = visit(walk, &(struct thing){.kind = "folder"}, "%s", DIRECTUS_GROUP);
    for (const struct directus_collection *c = directus_collections; c->name && r >= 0; c++) {
        struct thing t = {.kind = "collection", .look = c, .sort = ++sort};
        if (!c->theirs)
            r = visit(walk, &t, "%s", c->name);
        if (r >= 0)
            r = walk_columns(walk, c);
    }
    for (const struct directus_concealed *c = directus_concealed; c->collection && r >= 0; c++)
        r = visit(walk, &(struct thing){.kind = "field", .concealed = c}, "%s.%s", c->collection, c->field);
    return r;
}

static int walk_permissions(struct walk *walk)
{
    static const enum action actions[] = {ACTION_READ, ACTION_CREATE, ACTION_UPDATE, ACTION_DELETE};
    int r = 0;
    for (int policy = 0; policy < DIRECTUS_POLICIES; policy++)
        for (const struct collection *c = access_table; c->name; c++)
            for (size_t i = 0; i < ARRAY_LEN(actions) && r >= 0; i++) {
                struct thing t = {.kind = "permission",
                                  .collection = c,
                                  .policy = (enum directus_policy)policy,
                                  .action = actions[i]};
                r = visit(walk, &t, "%s %s %s", directus_policy_ids[policy], directus_action_name(actions[i]),
                          c->name);
            }
    return r;
}

static int walk_all(struct walk *walk)
{
    int r = walk_collections(walk);
    return r < 0 ? r : walk_permissions(walk);
}

/* ---- fingerprint */

static int add_to_print(struct walk *walk, const struct thing *thing)
{
    uint64_t *print = walk->ctx;
    for (const char *s = thing->name;; s++) { /* FNV-1a, the NUL with it */
        *print = (*print ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
        if (!*s)
            return 0;
    }
}

/* ret: NAME_SIZE bytes. */
static void fingerprint(char *ret)
{
    uint64_t print = UINT64_C(0xcbf29ce484222325);
    (void)walk_all(&(struct walk){add_to_print, &print});
    (void)snprintf(ret, NAME_SIZE, "all %016" PRIx64, print);
}

/* ---- registering */

struct run {
    struct db_conn *c;
    struct arena arena; /* of one thing */
    const char *complete;
    struct directus_report report;
};

/* 1 if the row was missing, so insert may go on; 0 if it is there. */
static int is_missing(struct run *run, const char *sql, const char *a, const char *b)
{
    int64_t one;
    struct db_value args[] = {DB_TEXT(a), DB_TEXT(b)};
    int r = db_query_int(run->c, sql, args, b ? 2 : 1, &one);
    return r < 0 ? r : r == 0;
}

static int count(int r, int *counter)
{
    *counter += r == 0;
    return r;
}

static int add_collection(struct run *run, const struct thing *t)
{
    const struct directus_collection *look = t->look;
    const char *name = look ? look->name : DIRECTUS_GROUP;
    int r = is_missing(run, "SELECT 1 FROM directus_collections WHERE collection = ?1", name, NULL);
    if (r <= 0)
        return r;
    r = db_exec(run->c,
                "INSERT INTO directus_collections (collection, icon, note, display_template, hidden, sort,"
                " \"group\") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                DB_ARGS(DB_TEXT(name), DB_TEXT(look ? look->icon : "auto_awesome"),
                        DB_TEXT(look ? look->note : GROUP_NOTE), DB_TEXT(look ? look->display : NULL),
                        DB_BOOL(look && look->hidden), DB_INT(t->sort),
                        DB_TEXT(look ? DIRECTUS_GROUP : NULL)),
                NULL);
    return count(r, &run->report.collections);
}

static int make_field(struct run *run, const struct thing *t, struct directus_field *ret)
{
    if (!t->concealed)
        return directus_field_of(t->collection, t->column, t->sort, &run->arena, ret);
    directus_field_concealed(t->concealed, ret);
    return 0;
}

static int add_field(struct run *run, const struct thing *t)
{
    struct directus_field f = {0};
    int r = make_field(run, t, &f);
    if (r == 0)
        r = is_missing(run, "SELECT 1 FROM directus_fields WHERE collection = ?1 AND field = ?2",
                       f.collection, f.field);
    if (r <= 0)
        return r;
    r = db_exec(run->c,
                "INSERT INTO directus_fields (collection, field, special, interface, options, display,"
                " display_options, readonly, hidden, sort, width, note, required)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                DB_ARGS(DB_TEXT(f.collection), DB_TEXT(f.field), DB_TEXT(f.special), DB_TEXT(f.interface),
                        DB_TEXT(f.options), DB_TEXT(f.display), DB_TEXT(f.display_options),
                        DB_BOOL(f.readonly), DB_BOOL(f.hidden), f.sort ? DB_INT(f.sort) : DB_NULL,
                        DB_TEXT(f.width), DB_TEXT(f.note), DB_BOOL(f.required)),
                NULL);
    return count(r, &run->report.fields);
}

static int add_relation(struct run *run, const struct thing *t)
{
    const char *from = t->collection->name, *column = t->column->name;
    int r = is_missing(run, "SELECT 1 FROM directus_relations WHERE many_collection = ?1 AND many_field = ?2",
                       from, column);
    if (r <= 0)
        return r;
    r = db_exec(
        run->c,
        "INSERT INTO directus_relations (many_collection, many_field, one_collection) VALUES (?1, ?2, ?3)",
        DB_ARGS(DB_TEXT(from), DB_TEXT(column), DB_TEXT(directus_related(t->collection, t->column))), NULL);
    return count(r, &run->report.relations);
}

/* A policy that an administrator has removed gets no permissions. */
static int add_permission(struct run *run, const struct thing *t)
{
    struct directus_permission p;
    int64_t one;
    int r = directus_permission_of(t->policy, t->collection, t->action, &run->arena, &p);
    if (r > 0)
        r = db_query_int(run->c, "SELECT 1 FROM directus_policies WHERE id = ?1", DB_ARGS(DB_TEXT(p.policy)),
                         &one);
    if (r <= 0)
        return r;
    r = db_exec(
        run->c,
        "INSERT INTO directus_permissions (policy, collection, action, permissions, validation, presets,"
        " fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        DB_ARGS(DB_TEXT(p.policy), DB_TEXT(p.collection), DB_TEXT(p.action), DB_TEXT(p.permissions),
                DB_TEXT(p.validation), DB_TEXT(p.presets), DB_TEXT(p.fields)),
        NULL);
    return count(r, &run->report.permissions);
}

static const struct {
    const char *kind;
    int (*add)(struct run *run, const struct thing *thing);
} kinds[] = {
    {"folder", add_collection}, {"collection", add_collection}, {"field", add_field},
    {"relation", add_relation}, {"permission", add_permission},
};

/* Notes that it is registered: 1, or 0 if it was before. */
static int take_note(struct db_conn *c, const char *name)
{
    int64_t added;
    int r = db_exec(c, "INSERT INTO genie_registrations (name) VALUES (?1) ON CONFLICT (name) DO NOTHING",
                    DB_ARGS(DB_TEXT(name)), &added);
    return r < 0 ? r : added > 0;
}

static int register_thing(struct walk *walk, const struct thing *thing)
{
    struct run *run = walk->ctx;
    int r = take_note(run->c, thing->name);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && r > 0; i++)
        if (strcmp(kinds[i].kind, thing->kind) == 0) {
            arena_init(&run->arena, TEXTS_MAX);
            r = kinds[i].add(run, thing);
            arena_free(&run->arena);
            break;
        }
    return r;
}

static int register_unit(struct db_conn *c, void *arg)
{
    struct run *run = arg;
    run->c = c;
    run->report = (struct directus_report){0};
    int r = walk_all(&(struct walk){register_thing, run});
    return r < 0 ? r : take_note(c, run->complete);
}

/* ---- looking */

int directus_manages(struct db_conn *c)
{
    int r = db_has_table(c, "directus_migrations");
    return r <= 0 ? r : db_has_table(c, "directus_collections");
}

static int manages_unit(struct db_conn *c, void *arg)
{
    (void)arg;
    return directus_manages(c);
}

int directus_manages_store(struct db *db)
{
    return db_read(db, manages_unit, NULL);
}

/* 1 if there may be something to register. */
static int look_unit(struct db_conn *c, void *arg)
{
    int64_t one;
    int r = directus_manages(c);
    if (r <= 0)
        return r;
    r = db_query_int(c, "SELECT 1 FROM genie_registrations WHERE name = ?1", DB_ARGS(DB_TEXT(arg)), &one);
    return r < 0 ? r : r == 0;
}

int directus_register(struct db *db, struct directus_report *ret)
{
    char complete[NAME_SIZE];
    fingerprint(complete);
    struct run run = {.complete = complete};
    *ret = (struct directus_report){0};
    int r = db_read(db, look_unit, complete);
    if (r > 0)
        r = db_write(db, register_unit, &run);
    if (r < 0)
        return log_error(r, "store: the collections could not be registered with Directus");
    *ret = run.report;
    return ret->collections + ret->fields + ret->relations + ret->permissions > 0;
}
