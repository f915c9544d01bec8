/* SPDX-License-Identifier: MIT */
#include "reader/csv.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "reader/fields.h"
#include "reader/formats.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define COLUMNS_MAX 128
#define NAME_SIZE 65

/* ---- cells */

static char find_separator(const char *s, size_t len)
{
    static const char choices[] = ",;\t|";
    size_t count[sizeof choices - 1] = {0}, best = 0;
    bool quoted = false;
    for (size_t i = 0; i < len && (quoted || (s[i] != '\n' && s[i] != '\r')); i++) {
        const char *found = s[i] ? strchr(choices, s[i]) : NULL;
        quoted ^= s[i] == '"';
        if (found && !quoted)
            count[found - choices]++;
    }
    for (size_t i = 1; i < sizeof choices - 1; i++)
        if (count[i] > count[best])
            best = i;
    return choices[best];
}

void csv_begin(struct csv *c, const char *s, size_t len)
{
    *c = (struct csv){.s = s, .len = len, .cell = BUF_INIT(FIELD_TEXT_MAX)};
    if (len > 5 && strncasecmp(s, "sep=", 4) == 0 && (s[5] == '\n' || s[5] == '\r')) {
        c->separator = s[4];
        c->at = s[5] == '\r' && len > 6 && s[6] == '\n' ? 7 : 6;
        return;
    }
    c->separator = find_separator(s, len);
}

void csv_free(struct csv *c)
{
    buf_free(&c->cell);
}

static void add(struct csv *c, const char *s, size_t len)
{
    (void)buf_add(&c->cell, s, utf8_floor(s, len, c->cell.max - c->cell.len));
}

/* What stands between quotes; the first one is behind us. */
static void read_quoted(struct csv *c)
{
    for (;;) {
        const char *from = c->s + c->at, *end = memchr(from, '"', c->len - c->at);
        size_t n = end ? (size_t)(end - from) : c->len - c->at;
        add(c, from, n);
        c->at += n;
        if (!end) {
            c->unclosed = true;
            return;
        }
        c->at++;
        if (c->at >= c->len || c->s[c->at] != '"')
            return;
        add(c, "\"", 1);
        c->at++;
    }
}

static bool ends_cell(const struct csv *c, char x)
{
    return x == c->separator || x == '\n' || x == '\r';
}

enum csv_cell csv_next(struct csv *c)
{
    buf_reset(&c->cell);
    if (c->at >= c->len)
        return CSV_END;
    if (c->s[c->at] == '"') {
        c->at++;
        read_quoted(c);
    }
    size_t n = 0;
    while (c->at + n < c->len && !ends_cell(c, c->s[c->at + n]))
        n++;
    add(c, c->s + c->at, n);
    c->at += n;
    if (!buf_str(&c->cell) || c->cell.failed)
        return CSV_NO_MEMORY;
    if (c->at >= c->len)
        return CSV_LAST;
    char x = c->s[c->at++];
    if (x == c->separator) {
        if (c->at < c->len)
            return CSV_CELL;
        return CSV_LAST; /* the empty cell behind it says nothing */
    }
    if (x == '\r' && c->at < c->len && c->s[c->at] == '\n')
        c->at++;
    return CSV_LAST;
}

/* ---- rows */

struct table {
    struct corpus *corpus;
    const struct source *source;
    struct csv csv;
    char names[COLUMNS_MAX][NAME_SIZE];
    enum field_role roles[COLUMNS_MAX];
    size_t n_names;
    bool has_names;
    struct fields fields;
};

static bool looks_like_name(const char *s, size_t len)
{
    bool letter = false;
    for (size_t i = 0; i < len; i++)
        letter |= isalpha((unsigned char)s[i]) || (unsigned char)s[i] >= 0x80;
    return letter && len < NAME_SIZE && !memchr(s, '@', len) && !memchr(s, '\n', len) &&
           !isdigit((unsigned char)s[0]);
}

/* The first row names the columns where each cell looks like a name; else they have numbers, and it is read
 * again as a row. */
static enum csv_cell read_names(struct table *t)
{
    enum csv_cell got;
    size_t begin = t->csv.at;
    t->has_names = true;
    do {
        got = csv_next(&t->csv);
        if (got == CSV_END || got == CSV_NO_MEMORY)
            return got;
        const struct buf *cell = &t->csv.cell;
        if (t->n_names >= COLUMNS_MAX)
            continue;
        t->has_names &= looks_like_name(cell->data, cell->len) || (cell->len == 0 && t->n_names > 0);
        size_t len = utf8_floor(cell->data, cell->len, NAME_SIZE - 1);
        memcpy(t->names[t->n_names], cell->data, len);
        t->roles[t->n_names] = field_role_of(cell->data, len);
        t->names[t->n_names++][len] = '\0';
    } while (got == CSV_CELL);
    if (t->has_names)
        return got;
    t->csv.at = begin;
    for (size_t i = 0; i < t->n_names; i++) {
        (void)snprintf(t->names[i], NAME_SIZE, "column %zu", i + 1);
        t->roles[i] = FIELD_TEXT;
    }
    return got;
}

/* Reads one row into the fields. Without names, the longest text of the row can only be guessed at, so all
 * cells become text. */
static enum csv_cell read_row(struct table *t)
{
    enum csv_cell got;
    size_t column = 0;
    fields_reset(&t->fields);
    do {
        got = csv_next(&t->csv);
        if (got == CSV_END || got == CSV_NO_MEMORY)
            return got;
        const struct buf *cell = &t->csv.cell;
        if (column >= t->n_names)
            continue;
        fields_add(&t->fields, t->roles[column], t->names[column], cell->data, cell->len);
        column++;
    } while (got == CSV_CELL);
    return got;
}

static int read_rows(struct table *t, const char **ret_why)
{
    int r = 0;
    enum csv_cell got = read_names(t);
    while (r == 0 && got == CSV_LAST && !corpus_stops(t->corpus)) {
        got = read_row(t);
        if (t->csv.unclosed) {
            *ret_why = "a quote isn't closed: what follows it isn't read";
            return -EBADMSG;
        }
        if (got == CSV_LAST)
            r = fields_emit(&t->fields, t->corpus, t->source, t->source->kind, NULL);
    }
    return got == CSV_NO_MEMORY ? -ENOMEM : r;
}

int format_read_csv(struct corpus *c, const struct source *source, const char *text, size_t len,
                    const char **ret_why)
{
    _cleanup_free_ struct table *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->corpus = c;
    t->source = source;
    csv_begin(&t->csv, text, len);
    fields_init(&t->fields);
    int r = read_rows(t, ret_why);
    fields_free(&t->fields);
    csv_free(&t->csv);
    return r;
}
