/* SPDX-License-Identifier: MIT */
/* The answer where no model is connected: the sentences of the given passages that share most with the
 * question, quoted with their sources. It asks nothing of the network. A flow is named beside the text, never
 * in it, and no text that it quotes can open a tag. */
#include "llm/engine.h"
#include "llm/words.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <libstemmer.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define PASSAGES_MAX 16
#define PASSAGE_BYTES ((size_t)16 * 1024) /* looked at of each passage */
#define SENTENCES_MAX 512
#define QUOTES_MAX 4
#define QUOTES_EACH 2 /* of one passage */
#define QUOTE_BYTES 360
#define TITLE_BYTES 120
#define ANSWER_MAX ((size_t)64 * 1024)
#define FLOW_THRESHOLD \
    1.0 /* share of the name that the message has + share of the message that the flow explains */
#define FLOW_LEAST_SHARED 2

struct sentence {
    const char *text;
    size_t len;
    size_t passage;
    uint64_t has; /* bit i: question word i */
    double score;
    bool taken;
};

struct draft {
    const struct llm_grounding *g;
    struct sb_stemmer *stemmer;
    struct words question;
    struct sentence *sentences;
    size_t n_sentences;
    size_t order[QUOTES_MAX]; /* passages in the order of their citation */
    size_t n_order;
    const struct llm_flow *flow;
    struct buf text;
};

DEFINE_CLEANUP(struct sb_stemmer *, sb_stemmer_delete);

/* ---- which flow ---- */

static double score_flow(struct draft *d, const struct llm_flow *flow)
{
    struct words name = {0}, all = {0};
    const char *shown = flow->name && flow->name[0] ? flow->name : flow->slug;
    const char *description = flow->description ? flow->description : "";
    words_add(&name, d->stemmer, shown, strlen(shown));
    all = name;
    words_add(&all, d->stemmer, description, strlen(description));
    size_t of_name = words_shared(&name, &d->question), of_all = words_shared(&d->question, &all);
    if (of_name == 0 || of_all < FLOW_LEAST_SHARED)
        return 0;
    return (double)of_name / (double)name.n + (double)of_all / (double)d->question.n;
}

/* A question about something is no wish to have it done. */
static void choose_flow(struct draft *d)
{
    double best = FLOW_THRESHOLD;
    for (size_t i = 0; i < d->g->n_flows && !d->question.asks; i++) {
        double score = score_flow(d, &d->g->flows[i]);
        if (score > best || (score == best && !d->flow)) {
            best = score;
            d->flow = &d->g->flows[i];
        }
    }
}

/* ---- which sentences ---- */

static bool ends_sentence(const char *s, const char *end)
{
    if (*s == '\n')
        return true;
    return strchr(".!?", *s) && (s + 1 == end || isspace((unsigned char)s[1]));
}

static void add_sentence(struct draft *d, const char *s, size_t len, size_t passage)
{
    while (len > 0 && isspace((unsigned char)*s)) {
        s++;
        len--;
    }
    if (len == 0 || d->n_sentences == SENTENCES_MAX)
        return;
    struct sentence *to = &d->sentences[d->n_sentences++];
    *to = (struct sentence){.text = s, .len = len, .passage = passage};
    struct words words = {0};
    words_add(&words, d->stemmer, s, len);
    for (size_t i = 0; i < d->question.n && i < 64; i++)
        if (words_have(&words, d->question.word[i]))
            to->has |= UINT64_C(1) << i;
}

static void add_passage(struct draft *d, size_t passage)
{
    const char *text = d->g->passages[passage].text;
    size_t len = strlen(text);
    const char *start = text, *end = text + utf8_floor(text, len, PASSAGE_BYTES);
    for (const char *s = text; s < end; s++)
        if (ends_sentence(s, end)) {
            add_sentence(d, start, (size_t)(s + 1 - start), passage);
            start = s + 1;
        }
    add_sentence(d, start, (size_t)(end - start), passage);
}

/* Rare words of the question count more; long sentences a little less; earlier passages win where all else is
 * equal. */
static void score_sentences(struct draft *d)
{
    double weight[64] = {0};
    for (size_t i = 0; i < d->question.n && i < 64; i++) {
        size_t n = 0;
        for (size_t k = 0; k < d->n_sentences; k++)
            n += d->sentences[k].has >> i & 1;
        weight[i] = n ? log(1 + (double)d->n_sentences / (double)n) : 0;
    }
    for (size_t k = 0; k < d->n_sentences; k++) {
        struct sentence *s = &d->sentences[k];
        for (size_t i = 0; i < 64; i++)
            s->score += s->has >> i & 1 ? weight[i] : 0;
        s->score /= 1 + (double)s->len / (4 * QUOTE_BYTES);
        s->score -= 1e-6 * (double)s->passage;
    }
}

static struct sentence *take_best(struct draft *d, const size_t *taken_of)
{
    struct sentence *best = NULL;
    for (size_t k = 0; k < d->n_sentences; k++) {
        struct sentence *s = &d->sentences[k];
        if (!s->taken && s->has && taken_of[s->passage] < QUOTES_EACH && (!best || s->score > best->score))
            best = s;
    }
    if (best)
        best->taken = true;
    return best;
}

/* Where no word matches, retrieval still had its reasons: the passage that it found first speaks. */
static struct sentence *take_first(struct draft *d)
{
    if (d->n_sentences > 0)
        d->sentences[0].taken = true;
    return d->n_sentences > 0 ? &d->sentences[0] : NULL;
}

/* ---- the text ---- */

/* One line, of at most `max` bytes. */
static void add_line(struct buf *out, const char *s, size_t len, size_t max)
{
    bool space = false, cut = len > max;
    len = utf8_floor(s, len, max);
    for (size_t i = 0; i < len; i++) {
        if (isspace((unsigned char)s[i])) {
            space = true;
            continue;
        }
        if (space)
            (void)buf_adds(out, " ");
        space = false;
        (void)buf_add(out, s + i, 1);
    }
    (void)buf_adds(out, cut ? "…" : "");
}

static size_t number_of(struct draft *d, size_t passage)
{
    for (size_t i = 0; i < d->n_order; i++)
        if (d->order[i] == passage)
            return i + 1;
    d->order[d->n_order++] = passage;
    return d->n_order;
}

static void add_quote(struct draft *d, const struct sentence *s)
{
    (void)buf_adds(&d->text, "> ");
    add_line(&d->text, s->text, s->len, QUOTE_BYTES);
    (void)buf_addf(&d->text, " [%zu]\n\n", number_of(d, s->passage));
}

static void add_quotes(struct draft *d)
{
    size_t taken_of[PASSAGES_MAX] = {0};
    for (int n = 0; n < QUOTES_MAX; n++) {
        struct sentence *s = take_best(d, taken_of);
        if (!s && n == 0)
            s = take_first(d);
        if (!s)
            return;
        if (n == 0)
            (void)buf_adds(&d->text, "This is what fits your message best:\n\n");
        taken_of[s->passage]++;
        add_quote(d, s);
    }
}

static void add_sources(struct draft *d)
{
    if (d->n_order > 0)
        (void)buf_adds(&d->text, "Sources:\n");
    for (size_t i = 0; i < d->n_order; i++) {
        const char *title = d->g->passages[d->order[i]].title;
        if (!title || str_is_blank(title))
            title = "untitled";
        (void)buf_addf(&d->text, "[%zu] ", i + 1);
        add_line(&d->text, title, strlen(title), TITLE_BYTES);
        (void)buf_adds(&d->text, "\n");
    }
}

static void write_answer(struct draft *d)
{
    if (d->g->first_answer)
        (void)buf_adds(&d->text,
                       "No language model is connected, so I can't write freely: I quote what is stored for "
                       "you and start flows you ask for.\n\n");
    if (d->flow) {
        const char *name = d->flow->name && d->flow->name[0] ? d->flow->name : d->flow->slug;
        (void)buf_adds(&d->text, "I'm starting the flow “");
        add_line(&d->text, name, strlen(name), TITLE_BYTES);
        (void)buf_adds(&d->text, "” for you.\n\n");
    }
    add_quotes(d);
    if (d->n_order == 0 && !d->flow)
        (void)buf_adds(&d->text, "I found nothing stored that fits your message.\n");
    add_sources(d);
}

/* Whether what follows a '[' would make it the opener of a tag, also with blanks or invisible characters
 * between. */
static bool opens_tag(const char *s, const char *end)
{
    static const char word[] = "action";
    while (s < end && (isspace((unsigned char)*s) || (unsigned char)*s >= 0x80))
        s++;
    return (size_t)(end - s) >= sizeof word - 1 && strncasecmp(s, word, sizeof word - 1) == 0;
}

/* The draft as well-formed UTF-8 in which no tag opens. */
static int hand_over(const struct buf *draft, struct buf *out)
{
    struct joiner joiner = {0};
    const char *s = draft->data, *end = draft->data + draft->len;
    while (s < end) {
        const char *bracket = memchr(s, '[', (size_t)(end - s));
        const char *next = bracket ? bracket + 1 : end;
        join_bytes(&joiner, out, s, (size_t)(next - s));
        if (bracket && opens_tag(next, end))
            join_bytes(&joiner, out, " ", 1);
        s = next;
    }
    join_finish(&joiner, out);
    return out->failed ? -ENOMEM : 0;
}

int extractive_answer(const struct llm_grounding *grounding, struct buf *out, char **ret_flow)
{
    _cleanup_(sb_stemmer_deleteP) struct sb_stemmer *stemmer = sb_stemmer_new("english", "UTF_8");
    _cleanup_free_ struct sentence *sentences = calloc(SENTENCES_MAX, sizeof *sentences);
    if (!stemmer || !sentences)
        return -ENOMEM;
    struct draft d = {
        .g = grounding, .stemmer = stemmer, .sentences = sentences, .text = BUF_INIT(ANSWER_MAX)};
    const char *question = grounding->question ? grounding->question : "";
    words_add(&d.question, stemmer, question, strlen(question));
    choose_flow(&d);
    for (size_t i = 0; i < grounding->n_passages && i < PASSAGES_MAX; i++)
        add_passage(&d, i);
    score_sentences(&d);
    write_answer(&d);
    int r = d.text.failed ? -ENOMEM : hand_over(&d.text, out);
    buf_free(&d.text);
    if (r == 0 && d.flow && !(*ret_flow = strdup(d.flow->slug)))
        return -ENOMEM;
    return r;
}
