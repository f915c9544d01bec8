/* SPDX-License-Identifier: MIT */
#include "llm/words.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <ctype.h>
#include <libstemmer.h>
#include <string.h>

#define WORD_MAX 40

static const char *const questions[] = {"what", "why",   "how", "when", "where", "who",
                                        "whom", "which", "is",  "are",  "does",  "did"};

static const char *const grammar[] = {
    "a",    "about", "after",  "all",   "also", "am",     "an",  "and",  "any",  "are",   "as",   "at",
    "be",   "been",  "but",    "by",    "can",  "could",  "did", "do",   "does", "for",   "from", "had",
    "has",  "have",  "he",     "her",   "here", "him",    "his", "how",  "i",    "if",    "in",   "into",
    "is",   "it",    "its",    "just",  "let",  "me",     "my",  "no",   "not",  "now",   "of",   "on",
    "or",   "our",   "please", "shall", "she",  "should", "so",  "some", "than", "that",  "the",  "their",
    "them", "then",  "there",  "these", "they", "this",   "to",  "up",   "us",   "was",   "we",   "were",
    "what", "when",  "where",  "which", "who",  "whom",   "why", "will", "with", "would", "you",  "your",
};

static bool listed(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

bool words_have(const struct words *w, uint64_t word)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->word[i] == word)
            return true;
    return false;
}

size_t words_shared(const struct words *a, const struct words *b)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        n += words_have(b, a->word[i]);
    return n;
}

/* FNV-1a. */
static uint64_t hash(const unsigned char *s, int len)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < len; i++)
        h = (h ^ s[i]) * 0x100000001b3u;
    return h;
}

static void add_word(struct words *w, struct sb_stemmer *stemmer, const char *word, bool first)
{
    if (first && w->n == 0)
        w->asks = listed(questions, ARRAY_LEN(questions), word);
    size_t len = strlen(word);
    if (len < 2 || w->n == WORDS_MAX || listed(grammar, ARRAY_LEN(grammar), word))
        return;
    const sb_symbol *stem = sb_stemmer_stem(stemmer, (const sb_symbol *)word, (int)len);
    if (!stem)
        return;
    uint64_t h = hash(stem, sb_stemmer_length(stemmer));
    if (!words_have(w, h))
        w->word[w->n++] = h;
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The end of the run of bytes without white space at s, if it is a URL; else s. */
static const char *skip_url(const char *s, const char *end)
{
    const char *at = s;
    while (at < end && !isspace((unsigned char)*at))
        at++;
    return memmem(s, (size_t)(at - s), "://", 3) ? at : s;
}

void words_add(struct words *w, struct sb_stemmer *stemmer, const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    bool first = true, fresh = true;
    while (at < end) {
        if (fresh)
            at = skip_url(at, end);
        const char *start = at;
        while (at < end && is_word_byte(*at))
            at++;
        size_t n = (size_t)(at - start);
        if (n > 0 && n < WORD_MAX) {
            char word[WORD_MAX];
            memcpy(word, start, n);
            word[n] = '\0';
            str_lower(word);
            add_word(w, stemmer, word, first);
            first = false;
        }
        fresh = at < end && isspace((unsigned char)*at);
        at += at < end;
    }
}
