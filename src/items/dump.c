/* SPDX-License-Identifier: MIT */
#include "items/dump.h"

#include "items/sql.h"
#include "items/values.h"

#include <errno.h>

static void write_query(struct sql *sql, const struct dump *dump, const json_t *after)
{
    const char *key = dump->columns[0].name;
    sql_add(sql, "SELECT ");
    for (const struct column *column = dump->columns; column->name; column++)
        sql_add(sql, "%s\"%s\"", column == dump->columns ? "" : ", ", column->name);
    sql_add(sql, " FROM %s WHERE %s", dump->table, dump->where);
    if (after) {
        sql_add(sql, " AND \"%s\" > ", key);
        sql_arg(sql, json_is_integer(after) ? DB_INT(json_integer_value(after))
                                            : DB_TEXT(json_string_value(after)));
    }
    sql_add(sql, " ORDER BY \"%s\" LIMIT %d", key, DUMP_PAGE);
}

static int append_row(const struct dump *dump, struct db_rows *rows, json_t *all)
{
    _cleanup_json_ json_t *row = json_object();
    int i = 0;
    for (const struct column *column = dump->columns; column->name; column++)
        if (json_object_set_new(row, column->name, value_to_json(column, rows, i++)) < 0)
            return -ENOMEM;
    return json_array_append(all, row) == 0 ? 0 : -ENOMEM;
}

int dump_page(struct db_conn *c, const struct dump *dump, const json_t *after, json_t *rows)
{
    struct sql sql = SQL_INIT;
    struct db_rows *found = NULL;
    int n = 0, r;
    sql.args = calloc(4, sizeof *sql.args);
    sql.cap = sql.args ? 4 : 0;
    if (sql.cap)
        sql.args[sql.n++] = dump->owner; /* ?1, wherever `where` names it */
    else
        sql.failed = true;
    write_query(&sql, dump, after);
    r = sql_ready(&sql);
    if (r == 0)
        r = db_query(c, sql.text.data, sql.args, sql.n, &found);
    while (r == 0 && (r = db_next(found)) > 0) {
        r = append_row(dump, found, rows);
        n++;
    }
    db_rows_free(found);
    sql_free(&sql);
    return r < 0 ? r : n;
}
