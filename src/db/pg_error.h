/* SPDX-License-Identifier: MIT */
/* PostgreSQL's errors as the store's own; private to src/db; pure. */
#ifndef DB_PG_ERROR_H
#define DB_PG_ERROR_H

#include <stdbool.h>

struct pg_error {
    int r;          /* negative errno */
    bool again;     /* the unit was in another's way: it may be run again */
    bool duplicate; /* a unique rule: perhaps another came between a look and an insert */
    bool lost;      /* the connection is of no more use */
    bool deadlock;  /* with another that holds what it wants: a second was lost until it was noticed */
};

/* By SQLSTATE, five characters; NULL (the server said none) counts as a lost connection. */
struct pg_error pg_error_of(const char *sqlstate);

#endif
