/* SPDX-License-Identifier: MIT */
/* What an import took, what it left, and why; by table. Reasons are sentences of ours, so there are few of
 * them; each keeps the first rows that it met. One thread. */
#ifndef IMPORT_REPORT_H
#define IMPORT_REPORT_H

#include "base/json.h"

#include <stdint.h>
#include <stdio.h>

#define REPORT_EXAMPLES 5
#define REPORT_REASONS 24 /* a table; more are counted together */
#define REPORT_TABLES 160
#define REPORT_NAME 64 /* as long as PostgreSQL's */

enum outcome { OUTCOME_ADDED, OUTCOME_LINKED, OUTCOME_THERE, OUTCOME_LEFT, OUTCOME_KINDS };

struct report_reason {
    bool left;       /* else the row was taken, but changed */
    const char *why; /* static */
    int64_t rows, examples[REPORT_EXAMPLES];
};

struct report_table {
    char name[REPORT_NAME];
    int64_t counts[OUTCOME_KINDS];
    struct report_reason reasons[REPORT_REASONS];
    size_t n_reasons;
};

struct report {
    struct report_table tables[REPORT_TABLES];
    size_t n_tables;
};

/* The table's part, made when first asked for. */
struct report_table *report_table(struct report *r, const char *name);

void report_count(struct report_table *t, enum outcome outcome);

/* Adds a reason why the row `id` was left (or changed: left false). `why` lives for ever. */
void report_why(struct report_table *t, bool left, const char *why, int64_t id);

int64_t report_total(const struct report *r, enum outcome outcome);

/* As a table for people, and as JSON (NULL without memory). */
void report_print(const struct report *r, FILE *out);
json_t *report_json(const struct report *r);

#endif
