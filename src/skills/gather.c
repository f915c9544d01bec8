/* SPDX-License-Identifier: MIT */
#include "skills/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct gather *g, uint32_t term)
{
    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 1024;
        struct occurrence *all = realloc(g->all, cap * sizeof *all);
        if (!all)
            return -ENOMEM;
        g->all = all;
        unsigned *fields = realloc(g->fields, cap * sizeof *fields);
        if (!fields)
            return -ENOMEM;
        g->fields = fields;
        g->cap = cap;
    }
    if (term >= g->latest_cap) {
        uint32_t cap = term < 512 ? 1024 : term * 2;
        uint32_t *latest = realloc(g->latest, cap * sizeof *latest);
        if (!latest)
            return -ENOMEM;
        memset(latest + g->latest_cap, 0, (cap - g->latest_cap) * sizeof *latest);
        g->latest = latest;
        g->latest_cap = cap;
    }
    return 0;
}

static int see(struct gather *g, uint32_t doc, uint32_t term, unsigned field, float weight, uint32_t *ret_new)
{
    int r = make_room(g, term);
    if (r < 0)
        return r;
    uint32_t at = g->latest[term];
    bool there = at < g->n && g->all[at].term == term && g->all[at].doc == doc;
    if (there && g->fields[at] & field)
        return 0;
    if (!there) {
        at = (uint32_t)g->n++;
        g->all[at] = (struct occurrence){term, doc, 0};
        g->fields[at] = 0;
        g->latest[term] = at;
    }
    g->all[at].weight += weight;
    g->fields[at] |= field;
    if (ret_new)
        (*ret_new)++;
    return 0;
}

static bool is_number(const char *term, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (term[i] < '0' || term[i] > '9')
            return false;
    return true;
}

int gather_add(struct gather *g, uint32_t doc, const char *text, unsigned field, float weight,
               uint32_t *ret_new)
{
    const char *term;
    size_t len;
    terms_begin(g->cutter, text, strlen(text));
    while (terms_next(g->cutter, &term, &len)) {
        if (term_is_filler(term, len) || (field & GATHER_NO_NUMBERS && is_number(term, len)))
            continue;
        uint32_t id = lexicon_add(g->lexicon, term, len);
        int r = id == LEXICON_NONE ? -ENOMEM
                                   : see(g, doc, id, field & ~(unsigned)GATHER_NO_NUMBERS, weight, ret_new);
        if (r < 0)
            return r;
    }
    return 0;
}

void gather_free(struct gather *g)
{
    free(g->all);
    free(g->fields);
    free(g->latest);
}
