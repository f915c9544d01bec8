/* SPDX-License-Identifier: MIT */
/* Direct scores are counted in tenths, which floats hold exactly: equal scores are equal. */
#include "skills/ask.h"

#include "base/text.h"
#include "skills/scratch.h"

#include <stdlib.h>
#include <string.h>

#define TENTHS_TAG 3.0f
#define SNIPPET_BEFORE 60 /* bytes before the term */
#define SNIPPET_BYTES 220

/* ---- activation */

static void tally_terms(const struct postings *p, const struct skill_scratch *s, struct tally *t)
{
    for (size_t i = 0; i < s->n_terms; i++)
        postings_add(p, s->terms[i], t);
}

static void add_tenths(struct tally *t, uint32_t skill, float tenths)
{
    if (t->score[skill] == 0)
        t->touched[t->n++] = skill;
    t->score[skill] += tenths;
}

/* A tag matches when the query has all of its terms. */
static void add_tags(const struct skill_set *set, struct skill_scratch *s)
{
    tally_terms(&set->tag_terms, s, &s->tags);
    for (uint32_t i = 0; i < s->tags.n; i++) {
        uint32_t tag = s->tags.touched[i];
        if (s->tags.score[tag] < (float)set->tag_n_terms[tag])
            continue;
        struct graph_neighbours near = graph_neighbours(set->graph, set->n_skills + set->n_categories + tag);
        for (uint32_t k = 0; k < near.n; k++)
            if (near.kind[k] == SKILL_EDGE_TAG)
                add_tenths(&s->skills, near.arc[k].to, TENTHS_TAG);
    }
    tally_clear(&s->tags);
}

static bool comes_before(double score, uint32_t skill, const struct skill_hit *other)
{
    return score != other->score ? score > other->score : skill < other->skill;
}

/* Keeps the best `most` in order. */
static void offer(struct skill_hit *hits, size_t *n, size_t most, struct skill_hit hit)
{
    size_t at = *n;
    if (at == most && !comes_before(hit.score, hit.skill, &hits[at - 1]))
        return;
    if (at == most)
        at--;
    else
        (*n)++;
    for (; at > 0 && comes_before(hit.score, hit.skill, &hits[at - 1]); at--)
        hits[at] = hits[at - 1];
    hits[at] = hit;
}

/* The best of those that match directly, as what fires. */
static size_t choose_seeds(const struct tally *direct, struct graph_hit *seeds)
{
    struct skill_hit best[SKILL_SEEDS_MOST];
    size_t n = 0;
    for (uint32_t i = 0; i < direct->n; i++) {
        uint32_t skill = direct->touched[i];
        offer(best, &n, SKILL_SEEDS_MOST,
              (struct skill_hit){.skill = skill, .score = (double)direct->score[skill]});
    }
    for (size_t i = 0; i < n; i++)
        seeds[i] =
            (struct graph_hit){.node = best[i].skill, .potential = (float)(best[i].score / best[0].score)};
    return n;
}

/* What came over edges: of a seed, what it has beyond what it was given. */
static double received(const struct graph_hit *hit, const struct graph_hit *seeds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seeds[i].node == hit->node)
            return (double)hit->potential - (double)seeds[i].potential;
    return (double)hit->potential;
}

/* Skills that are reached, with their direct scores, which are taken off the tally. */
static void offer_reached(const struct skill_set *set, struct skill_scratch *s, const struct graph_hit *seeds,
                          size_t n_seeds, size_t n_hits, size_t most, struct skill_activation *ret)
{
    for (size_t i = 0; i < n_hits; i++) {
        const struct graph_hit *h = &s->hits[i];
        if (h->node >= set->n_skills)
            continue;
        double direct = (double)s->skills.score[h->node] / 10;
        struct skill_hit hit = {.skill = h->node,
                                .direct = direct,
                                .score = direct + received(h, seeds, n_seeds),
                                .hops = direct > 0 ? 0 : h->hops};
        offer(ret->hits, &ret->n, most, hit);
        s->skills.score[h->node] = 0;
    }
}

void skill_activate(const struct skill_set *set, struct skill_scratch *s, const char *query, size_t most,
                    struct skill_activation *ret)
{
    struct graph_hit seeds[SKILL_SEEDS_MOST];
    ret->n = 0;
    skill_scratch_cut(set, s, query);
    tally_terms(&set->direct, s, &s->skills);
    add_tags(set, s);
    size_t n = choose_seeds(&s->skills, seeds);
    size_t n_hits = graph_propagate(set->graph, s->walk, seeds, n, NULL, s->hits, graph_nodes(set->graph));
    ret->seeds = (uint32_t)n;
    ret->fired = graph_scratch_stats(s->walk).fired;
    offer_reached(set, s, seeds, n, n_hits, most, ret);
    for (uint32_t i = 0; i < s->skills.n; i++) { /* those that match, and that no signal reached */
        uint32_t skill = s->skills.touched[i];
        double direct = (double)s->skills.score[skill] / 10;
        if (direct > 0)
            offer(ret->hits, &ret->n, most,
                  (struct skill_hit){.skill = skill, .direct = direct, .score = direct});
    }
    tally_clear(&s->skills);
}

/* ---- search */

static int by_score(const void *a, const void *b)
{
    const struct skill_score *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->skill < y->skill ? -1 : x->skill > y->skill;
}

const struct skill_score *skill_search(const struct skill_set *set, struct skill_scratch *s,
                                       const char *query, const char *category, size_t *ret_n)
{
    size_t n = 0;
    skill_scratch_cut(set, s, query);
    tally_terms(&set->text, s, &s->skills);
    for (uint32_t i = 0; i < s->skills.n; i++) {
        uint32_t skill = s->skills.touched[i];
        if (!category || str_equal(set->skills[skill].category, category))
            s->scores[n++] = (struct skill_score){skill, s->skills.score[skill]};
    }
    tally_clear(&s->skills);
    if (n > 0)
        qsort(s->scores, n, sizeof *s->scores, by_score);
    *ret_n = n;
    return s->scores;
}

static size_t word_length(const char *s)
{
    static const char space[] = " \t\r\n";
    return strcspn(s, space);
}

/* Where the first word stands that has a term of the query; the text's length where none has. */
static size_t first_match(const struct skill_set *set, struct skill_scratch *s, const char *text)
{
    size_t at = 0;
    while (text[at]) {
        size_t n = word_length(text + at);
        if (n > 0 && skill_query_holds(set, s, text + at, n))
            return at;
        at += n ? n : 1;
    }
    return at;
}

/* Copies with each run of white space as one blank. */
static char *squeeze(struct arena *a, const char *before, const char *text, size_t len, const char *after)
{
    static const char space[] = " \t\r\n";
    char *out = arena_alloc(a, strlen(before) + len + strlen(after) + 1), *to = out;
    if (!out)
        return NULL;
    to = stpcpy(to, before);
    for (size_t i = 0; i < len; i++) {
        bool blank = strchr(space, text[i]) != NULL;
        if (blank && (i + 1 == len || strchr(space, text[i + 1])))
            continue;
        *to++ = blank ? ' ' : text[i];
    }
    (void)strcpy(to, after);
    return out;
}

const char *skill_snippet(const struct skill_set *set, struct skill_scratch *s, uint32_t skill,
                          struct arena *a)
{
    const char *text = set->skills[skill].content;
    size_t len = strlen(text), match = first_match(set, s, text), begin = 0;
    if (match == len) {
        text = set->skills[skill].description;
        len = strlen(text);
    } else if (match > SNIPPET_BEFORE) {
        begin = match - SNIPPET_BEFORE;
        begin += word_length(text + begin); /* to the end of a word, and so to the border of a character */
        begin += begin < match;
    }
    size_t n = utf8_floor(text + begin, len - begin, SNIPPET_BYTES);
    return squeeze(a, begin > 0 ? "… " : "", text + begin, n, begin + n < len ? " …" : "");
}

/* ---- relations */

/* The skills that hang on a concept, each with the product of both edges' weights. */
static void add_sharers(const struct skill_set *set, struct skill_scratch *s, uint32_t skill, uint32_t node,
                        float weight)
{
    struct graph_neighbours near = graph_neighbours(set->graph, node);
    for (uint32_t i = 0; i < near.n; i++)
        if (near.arc[i].to < set->n_skills && near.arc[i].to != skill)
            add_tenths(&s->skills, near.arc[i].to, weight * near.arc[i].weight);
}

static void list(struct skill_scratch *s, size_t *n, struct skill_related related)
{
    if (s->listed[related.skill])
        return;
    s->listed[related.skill] = true;
    s->related[(*n)++] = related;
}

static void list_sharers(struct skill_scratch *s, size_t *n, const char *relation)
{
    for (uint32_t i = 0; i < s->skills.n; i++) {
        uint32_t other = s->skills.touched[i];
        float weight = s->skills.score[other];
        list(s, n, (struct skill_related){other, weight < 1 ? weight : 1.0f, relation});
    }
    tally_clear(&s->skills);
}

static int by_relation(const void *a, const void *b)
{
    const struct skill_related *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->skill < y->skill ? -1 : x->skill > y->skill;
}

static void sort_related(struct skill_scratch *s, size_t begin, size_t end)
{
    if (end > begin)
        qsort(s->related + begin, end - begin, sizeof *s->related, by_relation);
}

/* A neighbour over several relations counts with the heaviest, which comes first. */
static void list_stated(const struct skill_set *set, struct skill_scratch *s, uint32_t skill, size_t *n)
{
    struct graph_neighbours near = graph_neighbours(set->graph, skill);
    for (uint32_t i = 0; i < near.n; i++)
        if (near.kind[i] >= SKILL_EDGE_STATED)
            list(s, n,
                 (struct skill_related){near.arc[i].to, near.arc[i].weight,
                                        skill_set_edge_name(set, near.kind[i])});
}

const struct skill_related *skill_relations(const struct skill_set *set, struct skill_scratch *s,
                                            uint32_t skill, size_t *ret_n)
{
    struct graph_neighbours near = graph_neighbours(set->graph, skill);
    size_t n = 0;
    list_stated(set, s, skill, &n);
    sort_related(s, 0, n);
    size_t stated = n;
    for (uint32_t i = 0; i < near.n; i++)
        if (near.kind[i] == SKILL_EDGE_TAG)
            add_sharers(set, s, skill, near.arc[i].to, near.arc[i].weight);
    list_sharers(s, &n, "shared-tags");
    sort_related(s, stated, n);
    size_t by_tags = n;
    add_sharers(set, s, skill, set->skills[skill].category_node, SKILL_CATEGORY_WEIGHT);
    list_sharers(s, &n, "category");
    sort_related(s, by_tags, n);
    for (size_t i = 0; i < n; i++)
        s->listed[s->related[i].skill] = false;
    *ret_n = n;
    return s->related;
}
