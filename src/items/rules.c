/* SPDX-License-Identifier: MIT */
#include "items/rules.h"

#include "base/text.h"
#include "items/scope.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define RULES_MAX 8

static struct {
    const struct collection *collection;
    items_rules_fn fn;
    void *ctx;
} rules[RULES_MAX];
static int rules_count; /* set before threads start, read by all */

static int find_rules(const struct collection *collection)
{
    for (int i = 0; i < rules_count; i++)
        if (rules[i].collection == collection)
            return i;
    return -1;
}

void items_set_rules(const char *collection, items_rules_fn fn, void *ctx)
{
    const struct collection *found = access_collection(collection);
    int at = found && found->ruled ? find_rules(found) : RULES_MAX;
    if (at < 0)
        at = rules_count++;
    if (at >= RULES_MAX)
        abort(); /* a mistake in the program's wiring */
    rules[at].collection = found;
    rules[at].fn = fn;
    rules[at].ctx = ctx;
}

int rules_ready(const struct filter_scope *scope)
{
    if (!scope->collection->ruled || find_rules(scope->collection) >= 0)
        return 0;
    return scope_refuse(scope, -EACCES, NULL, "This can't be written here");
}

static const char *copy_text(const struct filter_scope *scope, struct db_rows *rows, int index, int *r)
{
    const char *text = db_text(rows, index);
    char *copy = text ? arena_strdup(scope->values.arena, text) : NULL;
    if (text && !copy)
        *r = -ENOMEM;
    return copy;
}

static int read_stored(struct db_conn *c, struct items_change *change, const char *id)
{
    _cleanup_(sql_free) struct sql sql = SQL_INIT;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    const struct collection *collection = change->scope->collection;
    for (const struct column *col = collection->columns; col->name; col++)
        sql_add(&sql, "%s%s", col == collection->columns ? "SELECT " : ", ", col->name);
    sql_add(&sql, " FROM %s WHERE id = ", collection->name);
    sql_arg(&sql, DB_TEXT(id));
    int r = sql_ready(&sql);
    if (r == 0)
        r = db_query(c, buf_str(&sql.text), sql.args, sql.n, &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = 0;
    for (int i = 0; collection->columns[i].name && i < COLUMNS_MAX; i++)
        change->stored[i] = copy_text(change->scope, rows, i, &r);
    return r;
}

int rules_apply(struct db_conn *c, const struct filter_scope *scope, enum action action, const char *owner,
                const char *id, struct write_row *row)
{
    struct items_change change = {.scope = scope, .action = action, .owner = owner, .row = row};
    int at = scope->collection->ruled ? find_rules(scope->collection) : -1;
    if (at < 0)
        return rules_ready(scope);
    int r = id ? read_stored(c, &change, id) : 0;
    return r < 0 ? r : rules[at].fn(rules[at].ctx, c, &change);
}

/* ---- what rules see */

enum action items_change_action(const struct items_change *change)
{
    return change->action;
}

const struct identity *items_change_who(const struct items_change *change)
{
    return change->scope->values.who;
}

const char *items_change_owner(const struct items_change *change)
{
    return change->owner;
}

static const struct column *column_of(const struct items_change *change, const char *name)
{
    const struct column *column = access_column(change->scope->collection, name);
    if (!column)
        abort(); /* a mistake in the rules */
    return column;
}

static int place_in_row(const struct items_change *change, const struct column *column)
{
    for (size_t i = 0; i < change->row->n; i++)
        if (change->row->columns[i] == column)
            return (int)i;
    return -1;
}

const char *items_before(const struct items_change *change, const char *name)
{
    return change->stored[column_of(change, name) - change->scope->collection->columns];
}

const char *items_after(const struct items_change *change, const char *name)
{
    if (change->action == ACTION_DELETE)
        return NULL;
    int at = place_in_row(change, column_of(change, name));
    if (at < 0)
        return items_before(change, name);
    const struct db_value *value = &change->row->values[at];
    return value->type == DB_T_TEXT ? value->p : NULL;
}

bool items_gives(const struct items_change *change, const char *name)
{
    return change->action != ACTION_DELETE && place_in_row(change, column_of(change, name)) >= 0;
}

void items_put(struct items_change *change, const char *name, const char *text)
{
    const struct column *column = column_of(change, name);
    int at = place_in_row(change, column);
    if (at < 0)
        at = (int)change->row->n++; /* each column stands there once, so there is room */
    change->row->columns[at] = column;
    change->row->values[at] = text ? DB_TEXT(text) : DB_NULL;
}

int items_refuse(const struct items_change *change, int r, const char *field, const char *fmt, ...)
{
    char sentence[sizeof change->scope->error->sentence];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    return scope_refuse(change->scope, r, field, sentence);
}

int items_refuse_quota(const struct items_change *change, const struct quota_outcome *outcome)
{
    char sentence[QUOTA_SENTENCE_SIZE];
    quota_sentence(outcome, sentence);
    (void)scope_refuse(change->scope, -EDQUOT, NULL, sentence);
    change->scope->error->quota = *outcome;
    return -EDQUOT;
}
