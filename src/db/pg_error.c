/* SPDX-License-Identifier: MIT */
#include "db/pg_error.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

/* The first row whose code is a prefix decides. */
static const struct {
    const char *code;
    struct pg_error error;
} rows[] = {
    {"08", {.r = -EIO, .lost = true}},                   /* connection */
    {"0A000", {.r = -EIO, .again = true, .lost = true}}, /* a plan that a migration made stale */
    {"22", {.r = -EDOM}},                                /* a value its column can't hold */
    {"23505", {.r = -EEXIST, .duplicate = true}},
    {"23", {.r = -EDOM}},
    {"25P03", {.r = -ETIMEDOUT, .lost = true}},          /* idle in a transaction for too long */
    {"26000", {.r = -EIO, .again = true, .lost = true}}, /* somebody discarded our statements */
    {"40001", {.r = -ETIMEDOUT, .again = true}},         /* serialization */
    {"40P01", {.r = -ETIMEDOUT, .again = true, .deadlock = true}},
    {"53100", {.r = -ENOSPC}},
    {"53200", {.r = -ENOMEM}},
    {"53300", {.r = -ETIMEDOUT, .lost = true}}, /* too many connections */
    {"55P03", {.r = -ETIMEDOUT}},               /* lock_timeout */
    {"57014", {.r = -ETIMEDOUT}},               /* statement_timeout */
    {"57P", {.r = -EIO, .lost = true}},         /* the server stops, or has just started */
};

struct pg_error pg_error_of(const char *sqlstate)
{
    if (!sqlstate)
        return (struct pg_error){.r = -EIO, .lost = true};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strncmp(sqlstate, rows[i].code, strlen(rows[i].code)) == 0)
            return rows[i].error;
    return (struct pg_error){.r = -EIO};
}
