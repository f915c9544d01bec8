/* SPDX-License-Identifier: MIT */
#include "items/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define FIRST_ARGS 16
#define PIECE_MAX 512

void sql_free(struct sql *sql)
{
    buf_free(&sql->text);
    free(sql->args);
    *sql = (struct sql)SQL_INIT;
}

void sql_add(struct sql *sql, const char *fmt, ...)
{
    char piece[PIECE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(piece, sizeof piece, fmt, ap);
    va_end(ap);
    if (len < 0 || len >= PIECE_MAX || buf_add(&sql->text, piece, (size_t)len) < 0)
        sql->failed = true;
}

static bool grow(struct sql *sql)
{
    size_t cap = sql->cap ? sql->cap * 2 : FIRST_ARGS;
    struct db_value *args = sql->n < SQL_MAX_ARGS ? realloc(sql->args, cap * sizeof *args) : NULL;
    if (!args)
        return false;
    sql->args = args;
    sql->cap = cap;
    return true;
}

void sql_arg(struct sql *sql, struct db_value value)
{
    if (sql->n == sql->cap && !grow(sql)) {
        sql->failed = true;
        return;
    }
    sql->args[sql->n++] = value;
    sql_add(sql, "?%zu", sql->n);
}

int sql_ready(struct sql *sql)
{
    if (sql->failed)
        return -E2BIG;
    return buf_str(&sql->text) ? 0 : -ENOMEM;
}
