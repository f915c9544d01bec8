/* SPDX-License-Identifier: MIT */
/* A text is cut into stems once. Each different stem adds one to the phrases that hold it; of those that have
 * all their words, the text is then searched for the words in a row. */
#include "taxonomy/phrases.h"

#include "retrieval/terms.h"

#include <errno.h>
#include <string.h>

#define TOKENS_MAX 4096
#define NAME_WORDS_MAX 64

void taxonomy_offer(struct taxonomy_scored *list, size_t *n, size_t most, struct taxonomy_scored candidate)
{
    size_t at = 0, end = *n;
    while (at < *n && (list[at].score > candidate.score ||
                       (list[at].score == candidate.score && list[at].node < candidate.node))) {
        if (list[at].node == candidate.node)
            return;
        at++;
    }
    if (at == most)
        return;
    for (size_t i = at; i < *n; i++)
        if (list[i].node == candidate.node)
            end = i;
    if (end == *n && *n < most)
        (*n)++;
    else if (end == *n)
        end--;
    memmove(list + at + 1, list + at, (end - at) * sizeof *list);
    list[at] = candidate;
}

/* ---- building */

struct builder {
    struct phrases *p;
    struct terms *cutter;
    struct occurrence *all;
    size_t n_all, cap_all, n_words, cap_words, cap_items;
};

static int grow(void **items, size_t n, size_t *cap, size_t more, size_t size)
{
    size_t wanted = *cap ? *cap : 256;
    while (wanted < n + more)
        wanted *= 2;
    if (wanted == *cap)
        return 0;
    void *grown = realloc(*items, wanted * size);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    *cap = wanted;
    return 0;
}

/* Whether the words of a phrase, up to here, hold that one already. */
static bool said_before(const uint32_t *words, size_t n, uint32_t word)
{
    for (size_t i = 0; i < n; i++)
        if (words[i] == word)
            return true;
    return false;
}

static int add_word(struct builder *b, struct phrase *phrase, const char *term, size_t len)
{
    struct phrases *p = b->p;
    uint32_t word = lexicon_add(&p->stems, term, len);
    if (word == LEXICON_NONE)
        return -ENOMEM;
    if (!term_is_filler(term, len) && !said_before(p->words + phrase->first, phrase->n, word)) {
        b->all[b->n_all++] = (struct occurrence){word, p->n, 1};
        phrase->telling++;
    }
    p->words[b->n_words++] = word;
    phrase->n++;
    return 0;
}

static int add_phrase(struct builder *b, uint32_t node, const char *name, float weight)
{
    struct phrases *p = b->p;
    struct phrase phrase = {.node = node, .first = (uint32_t)b->n_words, .weight = weight};
    const char *term;
    size_t len;
    if (grow((void **)&p->items, p->n, &b->cap_items, 1, sizeof *p->items) < 0 ||
        grow((void **)&p->words, b->n_words, &b->cap_words, NAME_WORDS_MAX, sizeof *p->words) < 0 ||
        grow((void **)&b->all, b->n_all, &b->cap_all, NAME_WORDS_MAX, sizeof *b->all) < 0)
        return -ENOMEM;
    terms_begin(b->cutter, name, strlen(name));
    while (phrase.n < NAME_WORDS_MAX && terms_next(b->cutter, &term, &len))
        if (add_word(b, &phrase, term, len) < 0)
            return -ENOMEM;
    p->items[p->n++] = phrase;
    return 0;
}

static int add_all(struct builder *b, const struct taxonomy_rows *rows)
{
    size_t alias = 0;
    int r = 0;
    for (size_t i = 0; i < rows->n_nodes && r == 0; i++) {
        bool tag = rows->nodes[i].type == TAXONOMY_TAG;
        if (tag)
            r = add_phrase(b, (uint32_t)i, rows->nodes[i].name, 1);
        for (; alias < rows->n_aliases && rows->aliases[alias].node == i; alias++)
            if (tag && r == 0)
                r = add_phrase(b, (uint32_t)i, rows->aliases[alias].term,
                               rows->aliases[alias].weight < 1 ? (float)rows->aliases[alias].weight : 1);
    }
    return r;
}

int phrases_build(const struct taxonomy_rows *rows, struct phrases *ret)
{
    struct phrases p = {0};
    _cleanup_(terms_freeP) struct terms *cutter = terms_new();
    struct builder b = {.p = &p, .cutter = cutter};
    int r = cutter ? add_all(&b, rows) : -ENOMEM;
    if (r == 0)
        r = postings_build(p.stems.n, b.all, b.n_all, &p.by_stem);
    free(b.all);
    if (r < 0)
        phrases_free(&p);
    else
        *ret = p;
    return r;
}

void phrases_free(struct phrases *p)
{
    lexicon_free(&p->stems);
    postings_free(&p->by_stem);
    free(p->items);
    free(p->words);
    *p = (struct phrases){0};
}

/* ---- tagging */

struct text_words {
    uint32_t word[TOKENS_MAX];
    size_t n;
};

/* Unknown words count as places, so that what they part isn't taken for a phrase. */
static void cut(const struct phrases *p, struct terms *cutter, const char *text, size_t len,
                struct text_words *ret)
{
    const char *term;
    size_t term_len;
    terms_begin(cutter, text, len < PHRASES_TEXT_MAX ? len : PHRASES_TEXT_MAX);
    ret->n = 0;
    while (ret->n < TOKENS_MAX && terms_next(cutter, &term, &term_len))
        ret->word[ret->n++] = lexicon_find(&p->stems, term, term_len);
}

static bool in_a_row(const struct phrases *p, const struct phrase *phrase, const struct text_words *text)
{
    const uint32_t *words = p->words + phrase->first;
    for (size_t i = 0; i + phrase->n <= text->n; i++)
        if (memcmp(text->word + i, words, phrase->n * sizeof *words) == 0)
            return true;
    return false;
}

static float score(const struct phrases *p, const struct phrase *phrase, const struct text_words *text,
                   float matched)
{
    if (matched < (float)phrase->telling)
        return PHRASES_PART * matched / (float)phrase->telling * phrase->weight;
    return (in_a_row(p, phrase, text) ? PHRASES_WHOLE : PHRASES_SCATTERED) * phrase->weight;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Each different word once. */
static int count_words(const struct phrases *p, const struct text_words *text, struct tally *tally)
{
    _cleanup_free_ uint32_t *sorted = malloc((text->n + 1) * sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    memcpy(sorted, text->word, text->n * sizeof *sorted);
    if (text->n > 1)
        qsort(sorted, text->n, sizeof *sorted, by_number);
    for (size_t i = 0; i < text->n; i++)
        if (i == 0 || sorted[i] != sorted[i - 1])
            postings_add(&p->by_stem, sorted[i], tally);
    return 0;
}

int phrases_tag(const struct phrases *p, const char *text, size_t len, size_t most,
                struct taxonomy_scored *ret, size_t *ret_n)
{
    _cleanup_(terms_freeP) struct terms *cutter = terms_new();
    _cleanup_free_ struct text_words *words = malloc(sizeof *words);
    struct tally tally;
    *ret_n = 0;
    if (!cutter || !words || tally_init(&tally, p->n) < 0)
        return -ENOMEM;
    cut(p, cutter, text, len, words);
    int r = count_words(p, words, &tally);
    for (uint32_t i = 0; i < tally.n && r == 0; i++) {
        const struct phrase *phrase = &p->items[tally.touched[i]];
        struct taxonomy_scored found = {phrase->node, score(p, phrase, words, tally.score[tally.touched[i]])};
        if (found.score >= PHRASES_LEAST)
            taxonomy_offer(ret, ret_n, most, found);
    }
    tally_free(&tally);
    return r;
}
