/* SPDX-License-Identifier: MIT */
#include "import/ids.h"

int ids_source(struct db_conn *c, const char *kind, const char *identity, int64_t *ret_source)
{
    int r = db_query_int(c, "SELECT id FROM import_sources WHERE kind = ?1 AND identity = ?2",
                         DB_ARGS(DB_TEXT(kind), DB_TEXT(identity)), ret_source);
    if (r != 0)
        return r < 0 ? r : 0;
    return db_insert(c, "INSERT INTO import_sources (kind, identity) VALUES (?1, ?2) RETURNING id",
                     DB_ARGS(DB_TEXT(kind), DB_TEXT(identity)), ret_source);
}

int ids_known(struct db_conn *c, int64_t source, const char *table, const char *old_id, int64_t *ret_new)
{
    return db_query_int(
        c,
        "SELECT coalesce(new_id, 0) FROM import_rows WHERE source_id = ?1 AND table_name = ?2 "
        "AND old_id = ?3",
        DB_ARGS(DB_INT(source), DB_TEXT(table), DB_TEXT(old_id)), ret_new);
}

int ids_resolve(struct db_conn *c, int64_t source, const char *table, int64_t old_id, int64_t *ret_new)
{
    char text[OLD_ID_MAX], sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT t.id FROM import_rows m JOIN %s t ON t.id = m.new_id WHERE m.source_id = ?1 AND "
                   "m.table_name = ?2 AND m.old_id = ?3",
                   table);
    return db_query_int(c, sql, DB_ARGS(DB_INT(source), DB_TEXT(table), DB_TEXT(ids_text(old_id, text))),
                        ret_new);
}

int ids_keep(struct db_conn *c, int64_t source, const char *table, const char *old_id, int64_t new_id)
{
    return db_exec(
        c, "INSERT INTO import_rows (source_id, table_name, old_id, new_id) VALUES (?1, ?2, ?3, ?4)",
        DB_ARGS(DB_INT(source), DB_TEXT(table), DB_TEXT(old_id), new_id ? DB_INT(new_id) : DB_NULL), NULL);
}
