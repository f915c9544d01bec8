/* SPDX-License-Identifier: MIT */
/* A store with people in it, and rows of any collection, made from the access table's own columns. */
#ifndef TESTS_UNIT_ITEMS_ROWS_H
#define TESTS_UNIT_ITEMS_ROWS_H

#include "../auth/people.h"

#include "base/uuid.h"
#include "items/access.h"
#include "items/items.h"

enum person { ANNA, BERT, VIEWER, ADMIN, PEOPLE };

struct rows_world {
    struct store *store;
    struct db *db;
    struct identity people[PEOPLE];
    struct arena arena; /* what is made lives here */
    int made;
};

static inline int world_set_up(void **state)
{
    static const struct {
        const char *email, *role, *tier;
    } who[PEOPLE] = {{"anna@example.com", "Creator", "starter"},
                     {"bert@example.com", "Creator", "pro"},
                     {"viewer@example.com", "Viewer", "starter"},
                     {"admin@example.com", "Administrator", "starter"}};
    struct rows_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(people_set_up((void **)&w->store), 0);
    w->db = w->store->db;
    arena_init(&w->arena, 16 * 1024 * 1024);
    for (int i = 0; i < PEOPLE; i++) {
        struct account account = person(w->db, who[i].email, who[i].role);
        w->people[i] = (struct identity){.email = who[i].email,
                                         .role_name = who[i].role,
                                         .tier = who[i].tier,
                                         .admin = i == ADMIN,
                                         .read_only = i == VIEWER};
        memcpy(w->people[i].user_id, account.user_id, UUID_SIZE);
    }
    *state = w;
    return 0;
}

static inline int world_tear_down(void **state)
{
    struct rows_world *w = *state;
    arena_free(&w->arena);
    void *store = w->store;
    free(w);
    return store_tear_down(&store);
}

static inline const char *insert_row(struct rows_world *w, const struct collection *collection,
                                     const char *owner);

/* A good value as JSON: different for each call where it is a text. A new reference. */
static inline json_t *good_value(struct rows_world *w, const struct column *c, const char *owner)
{
    char text[64];
    switch (c->type) {
    case COLUMN_UUID:
        if (!c->refers)
            uuid_make(text);
        return json_string(c->refers ? insert_row(w, access_collection(c->refers), owner) : text);
    case COLUMN_TEXT:
        (void)snprintf(text, sizeof text, "%st%d", c->flags & WEB_URL ? "https://example.com/" : "",
                       ++w->made);
        return json_string(text);
    case COLUMN_INT:
        return json_integer((json_int_t)c->min);
    case COLUMN_REAL:
        return json_real(c->min);
    case COLUMN_BOOL:
        return json_true();
    case COLUMN_TIME:
        return json_string("2026-03-01T12:00:00.000Z");
    case COLUMN_CHOICE:
        (void)snprintf(text, sizeof text, "%.*s",
                       (int)strcspn(c->user_choices ? c->user_choices : c->choices, "|"),
                       c->user_choices ? c->user_choices : c->choices);
        return json_string(text);
    case COLUMN_TAGS:
        return json_pack("[s]", "tag");
    case COLUMN_JSON:
        return json_pack("{s:i}", "n", 1);
    }
    return NULL;
}

/* A value as an SQL literal. */
static inline const char *literal(struct rows_world *w, const json_t *value)
{
    char *text = json_is_string(value)    ? arena_strdup(&w->arena, json_string_value(value))
                 : json_is_boolean(value) ? arena_strdup(&w->arena, json_is_true(value) ? "TRUE" : "FALSE")
                                          : json_text(&w->arena, value);
    assert_non_null(text);
    bool quoted = json_is_string(value) || json_is_array(value) || json_is_object(value);
    return quoted ? arena_printf(&w->arena, "'%s'", text) : text;
}

struct text_arg {
    const char *sql;
    char text[64];
};

static inline int text_unit(struct db_conn *c, void *arg)
{
    struct text_arg *t = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, t->sql, DB_NO_ARGS, &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    (void)snprintf(t->text, sizeof t->text, "%s", db_text(rows, 0) ? db_text(rows, 0) : "");
    return 0;
}

/* The text that a query yields, in the arena; "" for NULL. */
static inline const char *query_text(struct rows_world *w, const char *sql)
{
    struct text_arg t = {.sql = sql};
    assert_int_equal(db_read(w->db, text_unit, &t), 0);
    return arena_strdup(&w->arena, t.text);
}

/* Puts a row into the store behind the engine's back; its id, in the arena. owner is of no account where it
 * is shared. */
static inline const char *insert_row(struct rows_world *w, const struct collection *collection,
                                     const char *owner)
{
    char id[UUID_SIZE];
    _cleanup_buf_ struct buf names = BUF_INIT(4096), values = BUF_INIT(16384);
    if (strcmp(collection->name, "directus_users") == 0)
        return arena_strdup(&w->arena, owner);
    if (strcmp(collection->name, "user_personas") == 0)
        return query_text(
            w, arena_printf(&w->arena, "SELECT id FROM user_personas WHERE user_id = '%s'", owner));
    uuid_make(id);
    (void)buf_adds(&names, "id");
    (void)buf_addf(&values, "'%s'", id);
    if (collection->owner) {
        (void)buf_addf(&names, ", %s", collection->owner);
        (void)buf_addf(&values, ", '%s'", owner);
    }
    for (const struct column *c = collection->columns; c->name; c++) {
        bool needed = !(c->flags & (NULLABLE | FIXED)), named = c->type == COLUMN_TEXT && !(c->flags & FIXED);
        if (!needed && !named)
            continue;
        _cleanup_json_ json_t *value = good_value(w, c, owner);
        (void)buf_addf(&names, ", %s", c->name);
        (void)buf_addf(&values, ", %s", literal(w, value));
    }
    const char *sql =
        arena_printf(&w->arena, "INSERT INTO %s (%s) VALUES (%s)", collection->name, names.data, values.data);
    if (store_exec(w->db, sql) != 0)
        fail_msg("%s", sql);
    return arena_strdup(&w->arena, id);
}

/* What a client that may would send to create a row; a new reference. */
static inline json_t *creation(struct rows_world *w, const struct collection *collection,
                               const struct identity *who)
{
    json_t *values = json_object();
    for (const struct column *c = collection->columns; c->name; c++)
        if ((c->flags & NEEDED) || (c->type == COLUMN_TEXT && access_writes(c, ACTION_CREATE, who)))
            (void)json_object_set_new(values, c->name, good_value(w, c, who->user_id));
    return values;
}

static inline int create(struct rows_world *w, enum person who, const char *collection, json_t *values,
                         json_t **ret, struct items_error *error)
{
    json_t *made = NULL;
    int r = items_create(w->db, &w->people[who], collection, values, &made, error);
    json_decref(values);
    if (ret)
        *ret = made;
    else
        json_decref(made);
    return r;
}

static inline int update(struct rows_world *w, enum person who, const char *collection, const char *id,
                         json_t *values, struct items_error *error)
{
    int r = items_update(w->db, &w->people[who], collection, &id, 1, values, error);
    json_decref(values);
    return r;
}

#define WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_set_up, world_tear_down)

#endif
