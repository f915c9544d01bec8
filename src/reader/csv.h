/* SPDX-License-Identifier: MIT */
/* CSV cell by cell, by RFC 4180, with the separators that spreadsheets really use. Lenient: quotes within
 * cells are text, a line may end in any way. Constant memory: a cell is cut at FIELD_TEXT_MAX. Pure. */
#ifndef READER_CSV_H
#define READER_CSV_H

#include "base/buf.h"

struct csv {
    const char *s; /* borrowed */
    size_t len, at;
    char separator;
    struct buf cell;
    bool unclosed; /* a quote had no end */
};

/* Finds the separator in the first line. */
void csv_begin(struct csv *c, const char *s, size_t len);
void csv_free(struct csv *c);

enum csv_cell {
    CSV_CELL, /* a cell, and more of its row follow */
    CSV_LAST, /* the last cell of its row */
    CSV_END,  /* there are no more rows */
    CSV_NO_MEMORY,
};

enum csv_cell csv_next(struct csv *c);

#endif
