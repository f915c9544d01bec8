/* SPDX-License-Identifier: MIT */
/* Rows of a query. The whole result has arrived when the first row is looked at; that lets a unit ask again
 * while it reads. Values come as text and are given in the portable forms of db.h. */
#include "db/pg_conn.h"

#include "base/clock.h"
#include "base/text.h"

#include <string.h>

enum { OID_BOOL = 16, OID_BYTEA = 17, OID_TIMESTAMP = 1114, OID_TIMESTAMPTZ = 1184 };

struct pg_rows {
    struct db_rows base;
    struct pg_conn *conn;
    PGresult *res;
    int row, count;
    char (*times)[ISO_TIME_LEN]; /* one a column, of the present row */
    uint8_t **blobs;             /* likewise, made when asked for */
};

static struct pg_rows *rows_of(struct db_rows *rows)
{
    return (struct pg_rows *)rows;
}

struct db_rows *pg_rows_make(struct pg_conn *c, PGresult *res)
{
    size_t columns = (size_t)PQnfields(res) + 1;
    struct pg_rows *rows = calloc(1, sizeof *rows);
    if (rows) {
        rows->times = calloc(columns, sizeof *rows->times);
        rows->blobs = calloc(columns, sizeof *rows->blobs);
    }
    if (!rows || !rows->times || !rows->blobs) {
        if (rows) {
            free(rows->times);
            free(rows->blobs);
        }
        free(rows);
        PQclear(res);
        return NULL;
    }
    rows->base.engine = &postgres_engine;
    rows->conn = c;
    rows->res = res;
    rows->row = -1;
    rows->count = PQntuples(res);
    c->rows++;
    return &rows->base;
}

static void drop_blobs(struct pg_rows *rows)
{
    for (int i = 0; i < PQnfields(rows->res); i++) {
        free(rows->blobs[i]);
        rows->blobs[i] = NULL;
    }
}

int pg_next(struct db_rows *base)
{
    struct pg_rows *rows = rows_of(base);
    drop_blobs(rows);
    if (rows->row + 1 >= rows->count)
        return 0;
    rows->row++;
    return 1;
}

void pg_rows_free(struct db_rows *base)
{
    struct pg_rows *rows = rows_of(base);
    drop_blobs(rows);
    rows->conn->rows--;
    PQclear(rows->res);
    free(rows->times);
    free(rows->blobs);
    free(rows);
}

/* "2026-03-13 10:22:00.123+00" as ISO 8601; false for what that can't say, such as infinity. */
static bool format_time(const char *from, char *to)
{
    static const char shape[] = "dddd-dd-dd dd:dd:dd";
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == 'd' ? from[i] < '0' || from[i] > '9' : from[i] != shape[i])
            return false;
    memcpy(to, from, sizeof shape - 1);
    to[10] = 'T';
    memcpy(to + sizeof shape - 1, ".000Z", 6);
    if (from[19] == '.')
        for (int i = 0; i < 3 && from[20 + i] >= '0' && from[20 + i] <= '9'; i++)
            to[20 + i] = from[20 + i];
    return true;
}

const char *pg_text(struct db_rows *base, int col)
{
    struct pg_rows *rows = rows_of(base);
    if (pg_is_null(base, col))
        return NULL;
    const char *value = PQgetvalue(rows->res, rows->row, col);
    switch (PQftype(rows->res, col)) {
    case OID_BOOL:
        return value[0] == 't' ? "1" : "0";
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return format_time(value, rows->times[col]) ? rows->times[col] : value;
    default:
        return value;
    }
}

int64_t pg_int(struct db_rows *rows, int col)
{
    const char *text = pg_text(rows, col);
    return text ? strtoll(text, NULL, 10) : 0;
}

double pg_real(struct db_rows *rows, int col)
{
    const char *text = pg_text(rows, col);
    return text ? strtod(text, NULL) : 0;
}

bool pg_is_null(struct db_rows *base, int col)
{
    struct pg_rows *rows = rows_of(base);
    return rows->row < 0 || PQgetisnull(rows->res, rows->row, col);
}

const void *pg_blob(struct db_rows *base, int col, size_t *ret_len)
{
    struct pg_rows *rows = rows_of(base);
    const char *text = pg_text(base, col);
    *ret_len = text ? (size_t)PQgetlength(rows->res, rows->row, col) : 0;
    if (!text || PQftype(rows->res, col) != OID_BYTEA)
        return text;
    size_t len = str_has_prefix(text, "\\x") ? (*ret_len - 2) / 2 : 0;
    if (!rows->blobs[col]) {
        rows->blobs[col] = malloc(len + 1);
        if (rows->blobs[col] && hex_decode(text + 2, rows->blobs[col], len) < 0)
            len = 0;
    }
    *ret_len = rows->blobs[col] ? len : 0;
    return rows->blobs[col];
}
