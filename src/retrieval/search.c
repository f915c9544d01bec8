/* SPDX-License-Identifier: MIT */
#include "retrieval/search.h"

#include "base/clock.h"
#include "base/text.h"
#include "retrieval/gate.h"

#include <string.h>

struct search *search_new(const struct index *x)
{
    _cleanup_(search_freeP) struct search *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->cutter = terms_new();
    s->scratch = graph_scratch_new(x->n_nodes);
    s->quantised = malloc(x->vectors.stride ? x->vectors.stride : 1);
    int r = tally_init(&s->tally, x->n_units);
    return s->cutter && s->scratch && s->quantised && r == 0 ? TAKE_PTR(s) : NULL;
}

void search_free(struct search *s)
{
    if (!s)
        return;
    terms_free(s->cutter);
    graph_scratch_free(s->scratch);
    free(s->quantised);
    tally_free(&s->tally);
    free(s);
}

size_t search_bytes(const struct index *x)
{
    return sizeof(struct search) + graph_scratch_bytes(x->n_nodes) +
           x->n_units * (sizeof(float) + sizeof(uint32_t)) + x->vectors.stride;
}

static void add_term(struct search *s, uint32_t term)
{
    for (size_t i = 0; i < s->n_terms; i++)
        if (s->terms[i] == term)
            return;
    if (term != LEXICON_NONE && s->n_terms < SEARCH_TERMS_MAX)
        s->terms[s->n_terms++] = term;
}

/* The terms of the question that the index knows. Filler words count only if the question has nothing else:
 * there are few texts, so a rare "my" would weigh as much as a rare name. Returns whether there was anything
 * else. */
static bool take_terms(const struct index *x, struct search *s, const char *question, size_t len,
                       bool fillers)
{
    const char *term;
    size_t n;
    bool any = false;
    s->n_terms = 0;
    terms_begin(s->cutter, question, len);
    while (terms_next(s->cutter, &term, &n)) {
        if (!fillers && term_is_filler(term, n))
            continue;
        any = true;
        add_term(s, lexicon_find(&x->lexicon, term, n));
    }
    return any;
}

static void tally_terms(const struct postings *p, struct search *s)
{
    for (size_t i = 0; i < s->n_terms; i++)
        postings_add(p, s->terms[i], &s->tally);
}

static void rank_text(const struct index *x, struct search *s, struct ranking *ret)
{
    ranking_begin(ret, SEARCH_CANDIDATES);
    tally_terms(&x->text, s);
    for (uint32_t i = 0; i < s->tally.n; i++) {
        uint32_t unit = s->tally.touched[i];
        ranking_offer(ret, (struct ranked){x->units[unit].node, unit, s->tally.score[unit]});
    }
    tally_clear(&s->tally);
    while (ret->n > 0 && ret->item[ret->n - 1].score < SEARCH_LEAST * ret->item[0].score)
        ret->n--;
}

/* Tag overlap, which stands in for vectors, knows nothing new of a node that words have found: BM25 counts
 * its tags already. Counted again by fusion they would pass what answers better. So those keep the order and
 * the lead that they have, and overlap ranks the nodes that words have missed, behind them. */
static void rank_overlap(const struct index *x, struct search *s, struct ranking *ret)
{
    const struct ranking *text = &s->stage[STAGE_BM25];
    float best = 0;
    tally_terms(&x->tags, s);
    for (uint32_t i = 0; i < s->tally.n; i++)
        best = s->tally.score[s->tally.touched[i]] > best ? s->tally.score[s->tally.touched[i]] : best;
    for (size_t i = 0; i < text->n && best > 0; i++)
        ranking_offer(ret, (struct ranked){.node = text->item[i].node, .score = best + text->item[i].score});
    for (uint32_t i = 0; i < s->tally.n; i++) {
        uint32_t node = s->tally.touched[i];
        ranking_offer(ret, (struct ranked){.node = node, .score = s->tally.score[node]});
    }
    tally_clear(&s->tally);
}

/* Candidates of the dense stage have no unit of their own: the node as a whole matched. */
static void rank_dense(const struct index *x, struct search *s, const float *vector, struct ranking *ret)
{
    ranking_begin(ret, vector ? SEARCH_CANDIDATES : s->stage[STAGE_BM25].n + SEARCH_CANDIDATES);
    if (vector)
        vectors_rank(&x->vectors, vector, s->quantised, ret);
    else
        rank_overlap(x, s, ret);
    for (size_t i = 0; i < ret->n; i++)
        ret->item[i].unit = x->nodes[ret->item[i].node].first_unit;
}

/* The activation of a node that signals over edges brought: more with each path, but bounded, so that one
 * that is merely well connected can't pass what answers the question itself. */
static float received(const struct graph_hit *hit)
{
    return SEARCH_RECEIVED * hit->potential / (1 + hit->potential);
}

/* The best fused candidates fire at 1.0. What was found directly keeps its score, scaled so that the best has
 * 1; what signals reach beside it comes behind. */
static void propagate(const struct index *x, struct search *s, const struct ranking *fused,
                      struct ranking *ret)
{
    struct graph_hit seeds[SEARCH_SEEDS];
    size_t n = fused->n < SEARCH_SEEDS ? fused->n : SEARCH_SEEDS;
    for (size_t i = 0; i < n; i++)
        seeds[i] = (struct graph_hit){.node = fused->item[i].node, .potential = 1};
    size_t n_hits = graph_propagate(x->graph, s->scratch, seeds, n, NULL, s->hits, RANKING_MAX);

    ranking_begin(ret, RANKING_MAX);
    for (size_t i = 0; i < fused->n; i++) {
        struct ranked candidate = fused->item[i];
        candidate.score /= fused->item[0].score;
        ranking_offer(ret, candidate);
    }
    for (size_t i = 0; i < n_hits; i++) {
        struct ranked candidate = {.node = s->hits[i].node,
                                   .unit = x->nodes[s->hits[i].node].first_unit,
                                   .score = received(&s->hits[i])};
        ranking_offer(ret, candidate);
    }
}

static void gate(const struct index *x, const struct ranking *active, struct ranking *ret)
{
    ranking_begin(ret, RANKING_MAX);
    for (size_t i = 0; i < active->n; i++)
        if (gate_passes(x->nodes[active->item[i].node].entropy, i, active->n))
            ret->item[ret->n++] = active->item[i];
}

/* Microseconds since *mark, which moves on. */
static int64_t lap(int64_t *mark)
{
    int64_t now = clock_monotonic_us(), took = now - *mark;
    *mark = now;
    return took;
}

void search_run(const struct index *x, struct search *s, const char *question, const float *vector,
                int64_t *stage_us)
{
    struct ranking *stage = s->stage;
    struct ranking *const found[] = {&stage[STAGE_BM25], &stage[STAGE_DENSE]};
    size_t len = utf8_floor(question, strlen(question), SEARCH_QUESTION_MAX);
    int64_t us[STAGE_COUNT], mark = clock_monotonic_us();

    if (!take_terms(x, s, question, len, false))
        (void)take_terms(x, s, question, len, true);
    rank_text(x, s, &stage[STAGE_BM25]);
    us[STAGE_BM25] = lap(&mark);
    rank_dense(x, s, vector, &stage[STAGE_DENSE]);
    us[STAGE_DENSE] = lap(&mark);
    ranking_begin(&stage[STAGE_RRF], RANKING_MAX);
    ranking_fuse(found, ARRAY_LEN(found), &stage[STAGE_RRF]);
    us[STAGE_RRF] = lap(&mark);
    propagate(x, s, &stage[STAGE_RRF], &stage[STAGE_PROPAGATION]);
    us[STAGE_PROPAGATION] = lap(&mark);
    gate(x, &stage[STAGE_PROPAGATION], &stage[STAGE_ENTROPY]);
    us[STAGE_ENTROPY] = lap(&mark);
    if (stage_us)
        memcpy(stage_us, us, sizeof us);
}
