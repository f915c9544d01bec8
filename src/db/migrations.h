/* SPDX-License-Identifier: MIT */
/* The migrations of each engine, embedded at build from migrations/<engine>/NNNN_name.sql. */
#ifndef DB_MIGRATIONS_H
#define DB_MIGRATIONS_H

struct migration {
    int version; /* NNNN; 0 ends the table */
    const char *name;
    const char *sql;
};

extern const struct migration sqlite_migrations[], postgres_migrations[];

#endif
