/* SPDX-License-Identifier: MIT */
/* Entropies come from counts; what is counted is gathered as keys and sorted, but for the common characters,
 * which have a table: sorting every letter of 10,000 notes would take longer than the rest of building their
 * index. */
#include "retrieval/gate.h"

#include "base/buf.h"
#include "base/text.h"

#include <math.h>

#define COMMON_CHARS 0x250

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* −p log2 p of something seen `count` times among n. */
static double bits(size_t count, size_t n)
{
    double p = (double)count / (double)n;
    return count ? -p * log2(p) : 0;
}

/* The bits of `keys`, which are some of n things counted. */
static double bits_of_keys(uint64_t *keys, size_t n_keys, size_t n)
{
    double sum = 0;
    qsort(keys, n_keys, sizeof *keys, by_key);
    for (size_t i = 0, run; i < n_keys; i += run) {
        for (run = 1; i + run < n_keys && keys[i + run] == keys[i]; run++)
            ;
        sum += bits(run, n);
    }
    return sum;
}

static double char_entropy(const char *s, size_t len, uint64_t *keys)
{
    size_t common[COMMON_CHARS] = {0}, n = 0, n_keys = 0, step;
    for (size_t at = 0; at < len; at += step) {
        uint32_t c;
        step = utf8_decode(s + at, len - at, &c);
        if (step == 0) { /* a malformed byte counts as itself */
            step = 1;
            c = 0x110000 + (unsigned char)s[at];
        }
        n++;
        if (c < COMMON_CHARS)
            common[c]++;
        else
            keys[n_keys++] = c;
    }
    double sum = bits_of_keys(keys, n_keys, n);
    for (size_t c = 0; c < COMMON_CHARS; c++)
        sum += bits(common[c], n);
    return sum;
}

static uint64_t hash(const char *s, size_t len)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h;
}

/* Entropy of the tokens over its possible maximum: 0 to 1. */
static double token_evenness(struct terms *cutter, const char *s, size_t len, uint64_t *keys)
{
    size_t term_len, n = 0;
    const char *term;
    terms_begin(cutter, s, len);
    while (terms_next(cutter, &term, &term_len))
        keys[n++] = hash(term, term_len);
    return n > 1 ? bits_of_keys(keys, n, n) / log2((double)n) : 0;
}

double gate_entropy(struct terms *cutter, const char *text, size_t len)
{
    if (len > GATE_TEXT_MAX)
        len = utf8_floor(text, len, GATE_TEXT_MAX);
    if (len == 0)
        return 0;
    /* A text has fewer characters than bytes, and fewer terms: a word needs a byte and a separator, an
     * ideograph, which counts twice, three bytes. */
    _cleanup_free_ uint64_t *keys = malloc((len + 1) * sizeof *keys);
    if (!keys)
        return -1;
    double chars = char_entropy(text, len, keys) / GATE_CHAR_BITS;
    return 0.5 * (chars < 1 ? chars : 1) + 0.5 * token_evenness(cutter, text, len, keys);
}

static bool is_one_word(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r')
            return false;
    return true;
}

double gate_node_entropy(struct terms *cutter, const char *title, const char *content, size_t len)
{
    double alone = gate_entropy(cutter, content, len);
    bool varied = alone >= 0.5 * 1 / GATE_CHAR_BITS; /* of one word, only the first part counts */
    if (alone < 0 || (len > 0 && (!is_one_word(content, len) || !varied)))
        return alone;
    _cleanup_buf_ struct buf both = BUF_INIT(2 * GATE_TEXT_MAX);
    (void)buf_adds(&both, title);
    (void)buf_adds(&both, "\n");
    (void)buf_add(&both, content, len < GATE_TEXT_MAX ? len : GATE_TEXT_MAX);
    return both.failed ? -1 : gate_entropy(cutter, both.data, both.len);
}

bool gate_passes(double entropy, size_t place, size_t n)
{
    if (entropy >= GATE_KEEP)
        return true;
    return entropy > GATE_DROP && place < (n + 1) / 2;
}
