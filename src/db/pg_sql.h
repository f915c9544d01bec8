/* SPDX-License-Identifier: MIT */
/* Looks at SQL without understanding it: where quotes, comments and statements begin and end. Private to
 * src/db; pure. */
#ifndef DB_PG_SQL_H
#define DB_PG_SQL_H

#include <stdbool.h>
#include <stddef.h>

#define PG_MAX_PARAMS 65535 /* what the protocol can carry */

/* Writes "?N" as "$N" wherever it isn't quoted. 0, the text (owned by the caller) and the highest number; or
 * -EINVAL for a number out of range, -ENOMEM. */
int pg_sql_translate(const char *sql, char **ret, int *ret_params);

/* Whether a statement begins, ends or divides a transaction, which a unit of work must not. */
bool pg_sql_controls_transaction(const char *sql, size_t len);

/* The next statement of a script, without its semicolon; moves *script on. False at the end; comments and
 * space alone are no statement. */
bool pg_sql_next_statement(const char **script, const char **ret, size_t *ret_len);

#endif
