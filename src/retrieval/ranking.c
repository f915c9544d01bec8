/* SPDX-License-Identifier: MIT */
/* Lists are short (RANKING_MAX), and most offers fall behind a full list's last item: plain insertion is the
 * fastest. */
#include "retrieval/ranking.h"

#include <stdbool.h>
#include <string.h>

static bool beats(const struct ranked *a, const struct ranked *b)
{
    return a->score > b->score || (a->score == b->score && a->node < b->node);
}

struct ranked *ranking_find(struct ranking *r, uint32_t node)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->item[i].node == node)
            return &r->item[i];
    return NULL;
}

void ranking_offer(struct ranking *r, struct ranked candidate)
{
    if (r->most == 0 || (r->n == r->most && !beats(&candidate, &r->item[r->n - 1])))
        return;
    struct ranked *known = ranking_find(r, candidate.node);
    if (known && known->score >= candidate.score)
        return;
    if (!known && r->n < r->most)
        r->n++;
    size_t at = known ? (size_t)(known - r->item) : r->n - 1; /* the place that falls free */
    for (; at > 0 && beats(&candidate, &r->item[at - 1]); at--)
        r->item[at] = r->item[at - 1];
    r->item[at] = candidate;
}

/* The sum a node gets from all lists, which is the same whichever list it was found in. */
static float fused_score(struct ranking *const *lists, size_t n, uint32_t node)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const struct ranked *at = ranking_find(lists[i], node);
        if (at)
            sum += 1.0 / (double)(RRF_K + 1 + (at - lists[i]->item));
    }
    return (float)sum;
}

void ranking_fuse(struct ranking *const *lists, size_t n, struct ranking *ret)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < lists[i]->n; k++) {
            struct ranked candidate = lists[i]->item[k];
            candidate.score = fused_score(lists, n, candidate.node);
            ranking_offer(ret, candidate);
        }
}
