/* SPDX-License-Identifier: MIT */
/* Writing. Values are checked before the unit begins; inside it come the checks that need the store (whose
 * row it is, whose rows its references name, whether it may go now) and the writes themselves: all rows or
 * none. Listeners are told after the unit is durable.
 *
 * References are held against the owner of the row, not against who writes: an admin who mends a creator's
 * row can't tie it to somebody else's file. */
#include "base/text.h"
#include "base/uuid.h"
#include "items/items.h"
#include "items/scope.h"
#include "limits/idempotency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BULK_MAX 500
#define ARENA_MAX (8 * 1024 * 1024)
#define OWNERS_MAX 16
#define LISTENERS_MAX 8

/* ---- listeners */

static struct {
    items_changed_fn fn;
    void *ctx;
} listeners[LISTENERS_MAX];
static int listener_count; /* set before threads start, read by all */

void items_on_change(items_changed_fn fn, void *ctx)
{
    if (listener_count == LISTENERS_MAX)
        abort(); /* a mistake in the program's wiring */
    listeners[listener_count].fn = fn;
    listeners[listener_count++].ctx = ctx;
}

static void tell(const char *collection, const char *user_id)
{
    for (int i = 0; i < listener_count; i++)
        listeners[i].fn(listeners[i].ctx, collection, user_id);
}

/* ---- one writing */

struct writing {
    struct filter_scope scope;
    struct arena arena;
    struct write_row *rows; /* in the arena; of an update and a deletion only the first has values */
    size_t n;
    const char *const *ids;             /* of an update or deletion */
    char owners[OWNERS_MAX][UUID_SIZE]; /* whose rows changed */
    size_t owner_count;
    bool many_owners; /* more than fit */
    json_t *made;     /* of a creation: the rows as they are read, in their order; owned */
};

/* The same for who is that elsewhere. */
static int writing_open_any(struct writing *w, const struct identity *who, const char *collection,
                            enum action action, struct items_error *error)
{
    *w = (struct writing){0};
    arena_init(&w->arena, ARENA_MAX);
    return scope_open(&w->scope, &w->arena, who, collection, action, error);
}

static int writing_open(struct writing *w, const struct identity *who, const char *collection,
                        enum action action, struct items_error *error)
{
    int r = writing_open_any(w, who, collection, action, error);
    if (r == 0 && (w->scope.collection->elsewhere_actions & action))
        return scope_refuse(&w->scope, -EACCES, NULL, w->scope.collection->elsewhere);
    return r == 0 ? rules_ready(&w->scope) : r;
}

static void writing_done(struct writing *w)
{
    json_decref(w->made);
    arena_free(&w->arena);
}

/* Tells the listeners whose rows changed; of a shared collection nobody's in particular. */
static void writing_tell(const struct writing *w)
{
    const char *name = w->scope.collection->name;
    bool to_all = !w->scope.collection->owner || w->many_owners;
    if (to_all)
        tell(name, NULL);
    for (size_t i = 0; i < w->owner_count && !to_all; i++)
        tell(name, w->owners[i]);
}

static void note_owner(struct writing *w, const char *owner)
{
    if (!owner || !owner[0])
        return;
    for (size_t i = 0; i < w->owner_count; i++)
        if (strcmp(w->owners[i], owner) == 0)
            return;
    if (w->owner_count == OWNERS_MAX)
        w->many_owners = true;
    else
        (void)snprintf(w->owners[w->owner_count++], UUID_SIZE, "%s", owner);
}

static bool names_others(const struct write_row *row)
{
    for (size_t i = 0; i < row->n; i++)
        if (row->columns[i]->refers && row->values[i].type != DB_T_NULL)
            return true;
    return false;
}

/* Rows of one owner hang together: a deletion takes others with it, a row keeps those that it names from
 * being deleted, and two clients may give the same names in opposite orders. Such a unit holds some of them
 * while it waits for others. Rows that name none are free of that, once their ids are sorted. */
static bool is_entangled(const struct writing *w)
{
    bool entangled = !w->rows; /* a deletion */
    for (size_t i = 0; w->rows && i < (w->ids ? 1 : w->n) && !entangled; i++)
        entangled = names_others(&w->rows[i]);
    return entangled;
}

static int run_writing(struct db *db, const struct writing *w, db_fn unit, void *arg)
{
    const char *turn = w->scope.values.who->user_id;
    return is_entangled(w) ? db_write_in_turn(db, turn, unit, arg) : db_write(db, unit, arg);
}

/* ---- binding values */

static int refuse_field(struct writing *w, const char *field, const char *why)
{
    char sentence[200];
    (void)snprintf(sentence, sizeof sentence, "%.60s %.130s", field, why);
    return scope_refuse(&w->scope, -EINVAL, field, sentence);
}

static int refuse_column(struct writing *w, const char *name, enum action action)
{
    int r = 0;
    if (!filter_column(&w->scope, name, &r))
        return r == -EINVAL ? -EACCES : r;
    char why[200];
    (void)snprintf(why, sizeof why, "You don't have permission to %s field \"%s\" in collection \"%s\".",
                   action == ACTION_CREATE ? "set" : "change", name, w->scope.collection->name);
    return scope_refuse(&w->scope, -EACCES, name, why);
}

/* Clients like to send whose row it is; saying what is so anyway is no offence. */
static bool repeats_owner(const struct writing *w, const char *name, const json_t *value)
{
    return str_equal(w->scope.collection->owner, name) && json_is_string(value) &&
           str_equal_nocase(json_string_value(value), w->scope.values.who->user_id);
}

static int bind_value(struct writing *w, struct write_row *row, const struct column *column,
                      const json_t *value)
{
    const char *why = NULL;
    struct db_value v = DB_NULL;
    for (size_t i = 0; i < row->n; i++)
        if (row->columns[i] == column)
            return refuse_field(w, column->name, "is given twice");
    if (json_is_null(value) && !(column->flags & NULLABLE))
        return refuse_field(w, column->name, "can't be null");
    int r = json_is_null(value) ? 0 : value_to_write(&w->scope.values, column, value, &v, &why);
    if (r < 0)
        return r == -EINVAL ? refuse_field(w, column->name, why ? why : "is wrong") : r;
    row->columns[row->n] = column;
    row->values[row->n++] = v;
    return 0;
}

static bool has_column(const struct write_row *row, const struct column *column)
{
    for (size_t i = 0; i < row->n; i++)
        if (row->columns[i] == column)
            return true;
    return false;
}

static int check_needed(struct writing *w, const struct write_row *row)
{
    for (const struct column *c = w->scope.collection->columns; c->name; c++)
        if ((c->flags & NEEDED) && !has_column(row, c))
            return refuse_field(w, c->name, "is required");
    return 0;
}

static int bind_row(struct writing *w, struct write_row *row, const json_t *values, enum action action)
{
    const char *name;
    json_t *value;
    if (!json_is_object(values))
        return scope_refuse(&w->scope, -EINVAL, NULL, "A row must be an object");
    json_object_foreach ((json_t *)values, name, value) {
        const struct column *column = access_column(w->scope.collection, name);
        if (action == ACTION_CREATE && repeats_owner(w, name, value))
            continue;
        if (!column || !access_writes(column, action, w->scope.values.who))
            return refuse_column(w, name, action);
        int r = bind_value(w, row, column, value);
        if (r < 0)
            return r;
    }
    if (action == ACTION_CREATE)
        return (w->scope.collection->elsewhere_actions & action) ? 0 : check_needed(w, row);
    return row->n > 0 ? 0 : scope_refuse(&w->scope, -EINVAL, NULL, "There is nothing to change");
}

/* ---- inside the unit */

/* The ids in a row's references must name rows of its owner's. */
static int check_references(struct db_conn *c, struct writing *w, const struct write_row *row,
                            const char *owner)
{
    for (size_t i = 0; i < row->n; i++) {
        const struct column *column = row->columns[i];
        if (!column->refers || row->values[i].type == DB_T_NULL)
            continue;
        int r = scope_owns(c, access_collection(column->refers), owner, row->values[i].p);
        if (r == -ENOENT) {
            (void)refuse_field(w, column->name, "names nothing that is there");
            return -ENOENT;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Says in plain words what a rule of the schema refused. */
static int explain(struct writing *w, int r)
{
    if (r == -EDOM)
        return scope_refuse(&w->scope, -EINVAL, NULL, "The values break a rule of this collection");
    if (r == -EEXIST)
        return scope_refuse(&w->scope, -EEXIST, NULL, "There is such a row already; it must be unique");
    return r;
}

static void add_name(struct sql *names, struct sql *values, const char *name, struct db_value value)
{
    sql_add(names, "%s%s", names->text.len ? ", " : "", name);
    if (values->n)
        sql_add(values, ", ");
    sql_arg(values, value);
}

static int insert_row(struct db_conn *c, struct writing *w, const struct write_row *row)
{
    _cleanup_(sql_free) struct sql names = SQL_INIT, values = SQL_INIT;
    _cleanup_buf_ struct buf sql = BUF_INIT(SQL_MAX_BYTES);
    const struct collection *collection = w->scope.collection;
    const char *now = w->scope.values.now;
    add_name(&names, &values, "id", DB_TEXT(row->id));
    if (collection->owner)
        add_name(&names, &values, collection->owner, DB_TEXT(w->scope.values.who->user_id));
    for (size_t i = 0; i < row->n; i++)
        add_name(&names, &values, row->columns[i]->name, row->values[i]);
    static const char *const stamps[] = {"date_created", "date_updated"};
    for (size_t i = 0; i < ARRAY_LEN(stamps); i++)
        if (access_column(collection, stamps[i]))
            add_name(&names, &values, stamps[i], DB_TEXT(now));
    if (sql_ready(&names) < 0 || sql_ready(&values) < 0)
        return -ENOMEM;
    int r = buf_addf(&sql, "INSERT INTO %s (%s) VALUES (%s)", collection->name, names.text.data,
                     values.text.data);
    return r < 0 ? r : db_exec(c, sql.data, values.args, values.n, NULL);
}

/* Writes the row and reads it, as its maker will see it. */
static int create_row(struct db_conn *c, struct writing *w, const struct write_row *given, const char *owner)
{
    struct write_row row = *given; /* the rules may add to it, and a unit may run twice */
    json_t *made = NULL;
    int r = check_references(c, w, &row, owner);
    if (r == 0)
        r = rules_apply(c, &w->scope, ACTION_CREATE, owner, NULL, &row);
    if (r == 0)
        r = insert_row(c, w, &row);
    if (r == 0)
        r = scope_read_row(c, &w->scope, row.id, &made);
    if (r == 0 && json_array_append_new(w->made, made) < 0)
        r = -ENOMEM;
    return r;
}

static int create_unit(struct db_conn *c, void *arg)
{
    struct writing *w = arg;
    const char *owner = w->scope.collection->owner ? w->scope.values.who->user_id : NULL;
    int r = json_array_clear(w->made);
    if (owner)
        db_concerns(c, owner);
    for (size_t i = 0; i < w->n && r == 0; i++)
        r = create_row(c, w, &w->rows[i], owner);
    return explain(w, r);
}

/* The owner of a row that this identity may write to ("" where it has none), and whether it is held: 0,
 * -ENOENT … */
static int find_row(struct db_conn *c, struct writing *w, const char *id, char *ret_owner, bool *ret_held)
{
    _cleanup_(sql_free) struct sql sql = SQL_INIT;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    const struct collection *collection = w->scope.collection;
    sql_add(&sql, "SELECT %s, %s FROM %s WHERE id = ", collection->owner ? collection->owner : "''",
            collection->held ? collection->held : "0", collection->name);
    sql_arg(&sql, DB_TEXT(id));
    sql_add(&sql, " AND ");
    filter_rows(&w->scope, &sql);
    int r = sql_ready(&sql);
    if (r == 0)
        r = db_query(c, buf_str(&sql.text), sql.args, sql.n, &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    const char *owner = db_text(rows, 0);
    (void)snprintf(ret_owner, UUID_SIZE, "%s", owner ? owner : "");
    *ret_held = db_int(rows, 1) != 0;
    return 0;
}

static void add_set(struct sql *sql, const char *name, struct db_value value)
{
    sql_add(sql, "%s%s = ", sql->n ? ", " : "", name);
    sql_arg(sql, value);
}

static int update_row(struct db_conn *c, struct writing *w, const struct write_row *row, const char *id)
{
    _cleanup_(sql_free) struct sql sql = SQL_INIT;
    const struct collection *collection = w->scope.collection;
    const char *now = w->scope.values.now;
    bool stale = false;
    sql_add(&sql, "UPDATE %s SET ", collection->name);
    for (size_t i = 0; i < row->n; i++) {
        const struct column *column = row->columns[i];
        add_set(&sql, column->name, row->values[i]);
        if (column->stamp && row->values[i].type == DB_T_TEXT &&
            str_equal(row->values[i].p, column->stamp_value))
            add_set(&sql, column->stamp, DB_TEXT(now));
        stale |= (column->flags & EMBEDDED) != 0;
    }
    if (stale && collection->stale)
        add_set(&sql, collection->stale, DB_NULL);
    static const char *const stamps[] = {"date_updated", "modified_on"};
    for (size_t i = 0; i < ARRAY_LEN(stamps); i++)
        if (access_column(collection, stamps[i]))
            add_set(&sql, stamps[i], DB_TEXT(now));
    sql_add(&sql, " WHERE id = ");
    sql_arg(&sql, DB_TEXT(id));
    int r = sql_ready(&sql);
    return r < 0 ? r : db_exec(c, buf_str(&sql.text), sql.args, sql.n, NULL);
}

/* What the columns that were written bring with them. */
static int follow_update(struct db_conn *c, struct writing *w, const struct write_row *row, const char *id)
{
    int r = 0;
    for (size_t i = 0; i < row->n && r == 0; i++)
        if (row->columns[i]->then)
            r = db_exec(c, row->columns[i]->then, DB_ARGS(DB_TEXT(w->scope.values.now), DB_TEXT(id)), NULL);
    return r;
}

static int update_unit(struct db_conn *c, void *arg)
{
    struct writing *w = arg;
    int r = 0;
    w->owner_count = 0;
    w->many_owners = false;
    for (size_t i = 0; i < w->n && r == 0; i++) {
        char owner[UUID_SIZE];
        bool held;
        struct write_row row = *w->rows; /* as in create_row() */
        r = find_row(c, w, w->ids[i], owner, &held);
        if (r == 0)
            r = check_references(c, w, &row, w->scope.collection->owner ? owner : NULL);
        if (r == 0)
            r = rules_apply(c, &w->scope, ACTION_UPDATE, owner, w->ids[i], &row);
        if (r == 0)
            r = update_row(c, w, &row, w->ids[i]);
        if (r == 0)
            r = follow_update(c, w, &row, w->ids[i]);
        if (r == 0 && w->scope.collection->owner)
            db_concerns(c, owner);
        if (r == 0)
            note_owner(w, owner);
    }
    return explain(w, r);
}

static int delete_row(struct db_conn *c, struct writing *w, const char *id)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "DELETE FROM %s WHERE id = ?1", w->scope.collection->name);
    return db_exec(c, sql, DB_ARGS(DB_TEXT(id)), NULL);
}

static int delete_unit(struct db_conn *c, void *arg)
{
    struct writing *w = arg;
    int r = 0;
    w->owner_count = 0;
    w->many_owners = false;
    for (size_t i = 0; i < w->n && r == 0; i++) {
        char owner[UUID_SIZE];
        bool held;
        r = find_row(c, w, w->ids[i], owner, &held);
        if (r == 0 && held)
            return scope_refuse(&w->scope, -EACCES, NULL, w->scope.collection->held_why);
        struct write_row none = {.n = 0};
        if (r == 0)
            r = rules_apply(c, &w->scope, ACTION_DELETE, owner, w->ids[i], &none);
        if (r == 0)
            r = delete_row(c, w, w->ids[i]);
        if (r == 0 && w->scope.collection->owner)
            db_concerns(c, owner);
        if (r == 0)
            note_owner(w, owner);
    }
    return explain(w, r);
}

/* ---- creating */

/* Binds every row and gives it its id. */
static int bind_rows(struct writing *w, const json_t *values)
{
    bool many = json_is_array(values);
    w->n = many ? json_array_size(values) : 1;
    if (w->n == 0 || w->n > BULK_MAX)
        return scope_refuse(&w->scope, -EINVAL, NULL, "From 1 to 500 rows can be written at a time");
    w->rows = arena_alloc(&w->arena, w->n * sizeof *w->rows);
    if (!w->rows)
        return -ENOMEM;
    for (size_t i = 0; i < w->n; i++) {
        int r = bind_row(w, &w->rows[i], many ? json_array_get(values, i) : values, ACTION_CREATE);
        if (r < 0)
            return r;
        uuid_make(w->rows[i].id);
    }
    return 0;
}

/* One creation: the rows, and with a claim its answer. */
struct creating {
    struct writing *w;
    bool many;
    const struct idempotency_claim *claim;
    json_t *(*answer)(const json_t *made);
};

static json_t *made_by(const struct creating *k)
{
    return k->many ? k->w->made : json_array_get(k->w->made, 0);
}

static int creating_unit(struct db_conn *c, void *arg)
{
    struct creating *k = arg;
    int r = create_unit(c, k->w);
    if (r < 0 || !k->claim)
        return r;
    _cleanup_json_ json_t *answer = k->answer(made_by(k));
    return answer ? idempotency_settle_unit(c, k->claim, 200, answer) : -ENOMEM;
}

int items_create(struct db *db, const struct identity *who, const char *collection, const json_t *values,
                 json_t **ret, struct items_error *ret_error)
{
    return items_create_once(db, who, collection, values, NULL, NULL, ret, ret_error);
}

int items_create_once(struct db *db, const struct identity *who, const char *collection, const json_t *values,
                      const struct idempotency_claim *claim, json_t *(*answer)(const json_t *made),
                      json_t **ret, struct items_error *ret_error)
{
    struct writing w;
    struct creating k = {&w, json_is_array(values), claim, answer};
    int r = writing_open(&w, who, collection, ACTION_CREATE, ret_error);
    if (r == 0)
        r = bind_rows(&w, values);
    w.made = json_array();
    if (r == 0)
        r = w.made ? run_writing(db, &w, creating_unit, &k) : -ENOMEM;
    if (r == 0) {
        note_owner(&w, who->user_id);
        writing_tell(&w);
        *ret = json_incref(made_by(&k));
    }
    writing_done(&w);
    return r;
}

/* ---- changing and deleting */

/* Ids in lower case and sorted (docs/store.md says why), in the arena; what is none names no row. */
static int take_ids(struct writing *w, const char *const *ids, size_t n)
{
    if (n == 0 || n > BULK_MAX)
        return scope_refuse(&w->scope, -EINVAL, NULL, "From 1 to 500 rows can be written at a time");
    const char **copies = arena_alloc(&w->arena, n * sizeof *copies);
    if (!copies)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!uuid_valid(ids[i]))
            return -ENOENT;
        char *copy = arena_strdup(&w->arena, ids[i]);
        if (!copy)
            return -ENOMEM;
        str_lower(copy);
        copies[i] = copy;
    }
    qsort(copies, n, sizeof *copies, str_order);
    w->ids = copies;
    w->n = n;
    return 0;
}

int items_update(struct db *db, const struct identity *who, const char *collection, const char *const *ids,
                 size_t n, const json_t *values, struct items_error *ret_error)
{
    struct writing w;
    struct write_row row = {.n = 0};
    int r = writing_open(&w, who, collection, ACTION_UPDATE, ret_error);
    if (r == 0)
        r = bind_row(&w, &row, values, ACTION_UPDATE);
    if (r == 0)
        r = take_ids(&w, ids, n);
    w.rows = &row;
    if (r == 0)
        r = run_writing(db, &w, update_unit, &w);
    if (r == 0)
        writing_tell(&w);
    writing_done(&w);
    return r;
}

static int delete_rows(struct db *db, struct writing *w, const char *const *ids, size_t n)
{
    int r = take_ids(w, ids, n);
    if (r == 0)
        r = run_writing(db, w, delete_unit, w);
    if (r == 0)
        writing_tell(w);
    return r;
}

int items_delete(struct db *db, const struct identity *who, const char *collection, const char *const *ids,
                 size_t n, struct items_error *ret_error)
{
    struct writing w;
    int r = writing_open(&w, who, collection, ACTION_DELETE, ret_error);
    if (r == 0)
        r = delete_rows(db, &w, ids, n);
    writing_done(&w);
    return r;
}

/* ---- for the endpoints that are `elsewhere` */

int items_check_new(const struct identity *who, const char *collection, const json_t *values,
                    struct items_error *ret_error)
{
    struct writing w;
    struct write_row row = {.n = 0};
    int r = writing_open_any(&w, who, collection, ACTION_CREATE, ret_error);
    if (r == 0)
        r = bind_row(&w, &row, values, ACTION_CREATE);
    writing_done(&w);
    return r;
}

int items_delete_here(struct db *db, const struct identity *who, const char *collection,
                      const char *const *ids, size_t n, struct items_error *ret_error)
{
    struct writing w;
    int r = writing_open_any(&w, who, collection, ACTION_DELETE, ret_error);
    if (r == 0)
        r = delete_rows(db, &w, ids, n);
    writing_done(&w);
    return r;
}
