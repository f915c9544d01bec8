/* SPDX-License-Identifier: MIT */
#include "skills/scratch.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void free_one(struct skill_scratch *s)
{
    terms_free(s->cutter);
    tally_free(&s->skills);
    tally_free(&s->tags);
    graph_scratch_free(s->walk);
    free(s->hits);
    free(s->scores);
    free(s->related);
    free(s->listed);
    free(s);
}

void skill_scratches_free(struct skill_scratch *all)
{
    for (struct skill_scratch *next; all; all = next) {
        next = all->next;
        free_one(all);
    }
}

static struct skill_scratch *make(const struct skill_set *set)
{
    struct skill_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    uint32_t nodes = graph_nodes(set->graph);
    s->cutter = terms_new();
    s->walk = graph_scratch_new(nodes);
    s->hits = calloc(nodes + 1, sizeof *s->hits);
    s->scores = calloc(set->n_skills + 1, sizeof *s->scores);
    s->related = calloc(set->n_skills + 1, sizeof *s->related);
    s->listed = calloc(set->n_skills + 1, sizeof *s->listed);
    int r = tally_init(&s->skills, set->n_skills);
    if (r == 0)
        r = tally_init(&s->tags, set->n_tags);
    if (r == 0 && s->cutter && s->walk && s->hits && s->scores && s->related && s->listed)
        return s;
    free_one(s);
    return NULL;
}

struct skill_scratch *skill_scratch_take(struct skill_set *set)
{
    pthread_mutex_lock(&set->lock);
    struct skill_scratch *s = set->idle;
    if (s)
        set->idle = s->next;
    pthread_mutex_unlock(&set->lock);
    return s ? s : make(set);
}

void skill_scratch_give(struct skill_set *set, struct skill_scratch *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&set->lock);
    s->next = set->idle;
    set->idle = s;
    pthread_mutex_unlock(&set->lock);
}

void skill_scratch_cut(const struct skill_set *set, struct skill_scratch *s, const char *query)
{
    const char *term;
    size_t len;
    s->n_terms = 0;
    terms_begin(s->cutter, query, utf8_floor(query, strlen(query), SKILL_QUERY_MAX));
    while (s->n_terms < SKILL_TERMS_MAX && terms_next(s->cutter, &term, &len)) {
        uint32_t id = term_is_filler(term, len) ? LEXICON_NONE : lexicon_find(&set->lexicon, term, len);
        size_t i = 0;
        while (i < s->n_terms && s->terms[i] != id)
            i++;
        if (id != LEXICON_NONE && i == s->n_terms)
            s->terms[s->n_terms++] = id;
    }
}

bool skill_query_holds(const struct skill_set *set, struct skill_scratch *s, const char *text, size_t len)
{
    const char *term;
    size_t n;
    bool any = false;
    terms_begin(s->cutter, text, len);
    while (terms_next(s->cutter, &term, &n)) {
        if (term_is_filler(term, n))
            continue;
        uint32_t id = lexicon_find(&set->lexicon, term, n);
        size_t i = 0;
        while (i < s->n_terms && s->terms[i] != id)
            i++;
        if (id == LEXICON_NONE || i == s->n_terms)
            return false;
        any = true;
    }
    return any;
}
