/* SPDX-License-Identifier: MIT */
#include "retrieval/postings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int postings_build(uint32_t terms, const struct occurrence *all, size_t n, struct postings *ret)
{
    struct postings p = {.terms = terms};
    p.first = calloc((size_t)terms + 1, sizeof *p.first);
    p.list = calloc(n ? n : 1, sizeof *p.list);
    if (!p.first || !p.list) {
        postings_free(&p);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        p.first[all[i].term + 1]++;
    for (uint32_t t = 0; t < terms; t++)
        p.first[t + 1] += p.first[t];
    for (size_t i = 0; i < n; i++)
        p.list[p.first[all[i].term]++] = (struct posting){all[i].doc, all[i].weight};
    memmove(p.first + 1, p.first, terms * sizeof *p.first);
    p.first[0] = 0;
    *ret = p;
    return 0;
}

void postings_free(struct postings *p)
{
    free(p->first);
    free(p->list);
    *p = (struct postings){0};
}

size_t postings_bytes(const struct postings *p)
{
    return p->first ? ((size_t)p->terms + 1) * sizeof *p->first + p->first[p->terms] * sizeof *p->list : 0;
}

int tally_init(struct tally *t, uint32_t docs)
{
    *t = (struct tally){.capacity = docs};
    t->score = calloc(docs ? docs : 1, sizeof *t->score);
    t->touched = calloc(docs ? docs : 1, sizeof *t->touched);
    if (t->score && t->touched)
        return 0;
    tally_free(t);
    return -ENOMEM;
}

void tally_free(struct tally *t)
{
    free(t->score);
    free(t->touched);
    *t = (struct tally){0};
}

void tally_clear(struct tally *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        t->score[t->touched[i]] = 0;
    t->n = 0;
}

void postings_add(const struct postings *p, uint32_t term, struct tally *t)
{
    if (term >= p->terms)
        return;
    for (uint32_t i = p->first[term]; i < p->first[term + 1]; i++) {
        const struct posting *at = &p->list[i];
        if (t->score[at->doc] == 0)
            t->touched[t->n++] = at->doc;
        t->score[at->doc] += at->weight;
    }
}
