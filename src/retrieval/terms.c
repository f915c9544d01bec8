/* SPDX-License-Identifier: MIT */
/* One character is read, classed and folded at a time; a word gathers in a small buffer. libstemmer keeps
 * state in its object, so each cutter has its own. */
#include "retrieval/terms.h"

#include "base/text.h"

#include <libstemmer.h>
#include <string.h>

#define CHAR_MAX_BYTES 4

enum kind { SEPARATOR, APOSTROPHE, MARK, LETTER, IDEOGRAPH };

struct terms {
    struct sb_stemmer *stemmer;
    const char *text;
    size_t len, at;
    char word[TERM_MAX + CHAR_MAX_BYTES];
    size_t word_len;
    bool plain;                    /* the word has ASCII letters only, after folding */
    char previous[CHAR_MAX_BYTES]; /* the ideograph just before `at`, for a pair */
    size_t previous_len;
    char pending[2 * CHAR_MAX_BYTES]; /* a pair that comes after its second character */
    size_t pending_len;
};

struct terms *terms_new(void)
{
    _cleanup_(terms_freeP) struct terms *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->stemmer = sb_stemmer_new("english", "UTF_8");
    return t->stemmer ? TAKE_PTR(t) : NULL;
}

void terms_free(struct terms *t)
{
    if (!t)
        return;
    if (t->stemmer)
        sb_stemmer_delete(t->stemmer);
    free(t);
}

void terms_begin(struct terms *t, const char *text, size_t len)
{
    t->text = text;
    t->len = len;
    t->at = 0;
    t->word_len = t->previous_len = t->pending_len = 0;
}

/* Beyond ASCII: ranges that are no letters or digits, or none of words; what no range names is a letter.
 * Ascending. */
static const struct {
    uint32_t first, last;
    enum kind kind;
} kinds[] = {
    {0x80, 0xA9, SEPARATOR},      {0xAB, 0xAC, SEPARATOR},       {0xAD, 0xAD, MARK},
    {0xAE, 0xB1, SEPARATOR},      {0xB4, 0xB4, APOSTROPHE},      {0xB6, 0xB8, SEPARATOR},
    {0xBB, 0xBB, SEPARATOR},      {0xBF, 0xBF, SEPARATOR},       {0xD7, 0xD7, SEPARATOR},
    {0xF7, 0xF7, SEPARATOR},      {0x2B9, 0x2FF, MARK},          {0x300, 0x36F, MARK},
    {0x37E, 0x37E, SEPARATOR},    {0x483, 0x489, MARK},          {0x55A, 0x55F, SEPARATOR},
    {0x589, 0x58A, SEPARATOR},    {0x591, 0x5BD, MARK},          {0x5BE, 0x5C0, SEPARATOR},
    {0x5F3, 0x5F4, SEPARATOR},    {0x600, 0x60F, SEPARATOR},     {0x610, 0x61A, MARK},
    {0x61B, 0x61F, SEPARATOR},    {0x640, 0x640, MARK},          {0x64B, 0x65F, MARK},
    {0x66A, 0x66D, SEPARATOR},    {0x6D4, 0x6D4, SEPARATOR},     {0x964, 0x965, SEPARATOR},
    {0xE3F, 0xE3F, SEPARATOR},    {0x1100, 0x11FF, IDEOGRAPH},   {0x1680, 0x1680, SEPARATOR},
    {0x180E, 0x180E, SEPARATOR},  {0x1AB0, 0x1AFF, MARK},        {0x1DC0, 0x1DFF, MARK},
    {0x2000, 0x200A, SEPARATOR},  {0x200B, 0x200F, MARK},        {0x2010, 0x2017, SEPARATOR},
    {0x2018, 0x2019, APOSTROPHE}, {0x201A, 0x206F, SEPARATOR},   {0x20A0, 0x20CF, SEPARATOR},
    {0x20D0, 0x20FF, MARK},       {0x2100, 0x2BFF, SEPARATOR},   {0x2E00, 0x2E7F, SEPARATOR},
    {0x2E80, 0x2FDF, IDEOGRAPH},  {0x3000, 0x3004, SEPARATOR},   {0x3005, 0x3007, IDEOGRAPH},
    {0x3008, 0x3020, SEPARATOR},  {0x3030, 0x3030, SEPARATOR},   {0x3040, 0x30FA, IDEOGRAPH},
    {0x30FB, 0x30FB, SEPARATOR},  {0x30FC, 0x31FF, IDEOGRAPH},   {0x3200, 0x33FF, SEPARATOR},
    {0x3400, 0x9FFF, IDEOGRAPH},  {0xA960, 0xA97F, IDEOGRAPH},   {0xAC00, 0xD7FF, IDEOGRAPH},
    {0xE000, 0xF8FF, SEPARATOR},  {0xF900, 0xFAFF, IDEOGRAPH},   {0xFE00, 0xFE0F, MARK},
    {0xFE10, 0xFE1F, SEPARATOR},  {0xFE20, 0xFE2F, MARK},        {0xFE30, 0xFE6F, SEPARATOR},
    {0xFEFF, 0xFEFF, MARK},       {0xFF5B, 0xFF65, SEPARATOR},   {0xFF66, 0xFFDC, IDEOGRAPH},
    {0xFFE0, 0xFFFF, SEPARATOR},  {0x1F000, 0x1FAFF, SEPARATOR}, {0x20000, 0x3FFFF, IDEOGRAPH},
    {0xE0000, 0x10FFFF, MARK},
};

static enum kind kind_of(uint32_t c)
{
    if (c < 0x80) /* nearly every character there is */
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? LETTER
               : c == '\''                                                                ? APOSTROPHE
                                                                                          : SEPARATOR;
    size_t low = 0, high = ARRAY_LEN(kinds);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > kinds[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ARRAY_LEN(kinds) && c >= kinds[low].first ? kinds[low].kind : LETTER;
}

/* U+00C0 to U+017F without accents; a dot stands for a character that is no letter. */
static const char latin[][3] = {
    "a", "a", "a",  "a",  "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i", /* C0 */
    "d", "n", "o",  "o",  "o", "o", "o",  ".", "o", "u", "u", "u", "u", "y", "th", "ss",
    "a", "a", "a",  "a",  "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i", /* E0 */
    "d", "n", "o",  "o",  "o", "o", "o",  ".", "o", "u", "u", "u", "u", "y", "th", "y",
    "a", "a", "a",  "a",  "a", "a", "c",  "c", "c", "c", "c", "c", "c", "c", "d",  "d", /* 100 */
    "d", "d", "e",  "e",  "e", "e", "e",  "e", "e", "e", "e", "e", "g", "g", "g",  "g",
    "g", "g", "g",  "g",  "h", "h", "h",  "h", "i", "i", "i", "i", "i", "i", "i",  "i", /* 120 */
    "i", "i", "ij", "ij", "j", "j", "k",  "k", "k", "l", "l", "l", "l", "l", "l",  "l",
    "l", "l", "l",  "n",  "n", "n", "n",  "n", "n", "n", "n", "n", "o", "o", "o",  "o", /* 140 */
    "o", "o", "oe", "oe", "r", "r", "r",  "r", "r", "r", "s", "s", "s", "s", "s",  "s",
    "s", "s", "t",  "t",  "t", "t", "t",  "t", "u", "u", "u", "u", "u", "u", "u",  "u", /* 160 */
    "u", "u", "u",  "u",  "w", "w", "y",  "y", "y", "z", "z", "z", "z", "z", "z",  "s",
};
_Static_assert(sizeof latin / sizeof latin[0] == 0x180 - 0xC0, "one entry a character");

/* Lower case where capitals and small letters stand apart by a fixed distance or alternate: Greek, Cyrillic,
 * Armenian, and the rest of Latin that has pairs. */
static uint32_t lower(uint32_t c)
{
    if ((c >= 0x391 && c <= 0x3AB) || (c >= 0x410 && c <= 0x42F))
        return c + 0x20;
    if (c == 0x451 || c == 0x401)
        return 0x435; /* io is commonly written as ie */
    if (c >= 0x400 && c <= 0x40F)
        return c + 0x50;
    if (c == 0x3C2)
        return 0x3C3; /* final sigma */
    if (c >= 0x531 && c <= 0x556)
        return c + 0x30;
    if (((c >= 0x460 && c <= 0x4FF) || (c >= 0x1E00 && c <= 0x1EFF)) && c % 2 == 0)
        return c + 1;
    return c;
}

static size_t encode(uint32_t c, char *ret)
{
    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3F));
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    ret[0] = (char)(first[n] | c);
    return n;
}

/* Writes the character as it stands in a term; its length. */
static size_t fold(uint32_t c, char *ret)
{
    if (c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    if (c >= 0xC0 && c < 0x180) {
        size_t n = strlen(latin[c - 0xC0]);
        memcpy(ret, latin[c - 0xC0], n);
        return n;
    }
    return encode(lower(c), ret);
}

static void add_letter(struct terms *t, uint32_t c)
{
    char folded[CHAR_MAX_BYTES];
    size_t n = fold(c, folded);
    if (t->word_len == 0)
        t->plain = true;
    if (t->word_len + n > TERM_MAX)
        return;
    memcpy(t->word + t->word_len, folded, n);
    t->word_len += n;
    for (size_t i = 0; i < n; i++)
        if (folded[i] < 'a' || folded[i] > 'z')
            t->plain = false;
}

/* Ends the word that has gathered: the term, stemmed where the rules fit. */
static void take_word(struct terms *t, const char **ret, size_t *ret_len)
{
    *ret = t->word;
    *ret_len = t->word_len;
    if (t->plain && t->word_len > 2) {
        const sb_symbol *stem = sb_stemmer_stem(t->stemmer, (const sb_symbol *)t->word, (int)t->word_len);
        int n = stem ? sb_stemmer_length(t->stemmer) : 0;
        if (n > 0) {
            *ret = (const char *)stem;
            *ret_len = (size_t)n;
        }
    }
    t->word_len = 0;
}

/* Reads one character at t->at: its kind, its code and its length; a malformed byte is a separator. */
static enum kind peek(const struct terms *t, uint32_t *ret, size_t *ret_len)
{
    *ret = (unsigned char)t->text[t->at];
    *ret_len = 1;
    if (*ret < 0x80)
        return kind_of(*ret);
    size_t n = utf8_decode(t->text + t->at, t->len - t->at, ret);
    *ret_len = n ? n : 1;
    if (n == 0)
        return SEPARATOR;
    if (*ret >= 0xFF01 && *ret <= 0xFF5E)
        *ret -= 0xFF01 - 0x21;
    return kind_of(*ret);
}

/* Takes the ideograph at t->at as a term, and keeps the pair it makes with the one before it. */
static void take_ideograph(struct terms *t, size_t len, const char **ret, size_t *ret_len)
{
    const char *s = t->text + t->at;
    if (t->previous_len > 0) {
        memcpy(t->pending, t->previous, t->previous_len);
        memcpy(t->pending + t->previous_len, s, len);
        t->pending_len = t->previous_len + len;
    }
    memcpy(t->previous, s, len);
    t->previous_len = len;
    t->at += len;
    *ret = s;
    *ret_len = len;
}

static bool ends_word(const struct terms *t, size_t at)
{
    struct terms ahead = {.text = t->text, .len = t->len, .at = at};
    uint32_t c;
    size_t n;
    return at >= t->len || peek(&ahead, &c, &n) != LETTER;
}

/* Steps over an apostrophe; the possessive s goes with it. */
static void skip_apostrophe(struct terms *t, size_t len)
{
    t->at += len;
    if (t->word_len == 0 || t->at >= t->len || (t->text[t->at] != 's' && t->text[t->at] != 'S'))
        return;
    if (ends_word(t, t->at + 1))
        t->at++;
}

bool terms_next(struct terms *t, const char **ret, size_t *ret_len)
{
    if (t->pending_len > 0) {
        *ret = t->pending;
        *ret_len = t->pending_len;
        t->pending_len = 0;
        return true;
    }
    while (t->at < t->len) {
        uint32_t c;
        size_t n;
        enum kind kind = peek(t, &c, &n);
        if ((kind == SEPARATOR || kind == IDEOGRAPH) && t->word_len > 0) {
            take_word(t, ret, ret_len);
            return true;
        }
        if (kind == IDEOGRAPH) {
            take_ideograph(t, n, ret, ret_len);
            return true;
        }
        if (kind == APOSTROPHE) {
            skip_apostrophe(t, n);
            continue;
        }
        t->at += n;
        if (kind != MARK)
            t->previous_len = 0;
        if (kind == LETTER)
            add_letter(t, c);
    }
    if (t->word_len == 0)
        return false;
    take_word(t, ret, ret_len);
    return true;
}

bool term_is_filler(const char *term, size_t len)
{
    /* As the stemmer leaves them. Between blanks, so that one strstr-like search finds a whole word. */
    static const char fillers[] = " a about after again all also am an and ani any are as ask at be becaus "
                                  "becom been befor can cant could did do doe "
                                  "doesnt dont each ever everi for from get give go ha had has hav have he "
                                  "her here him his how i id if ill im in into "
                                  "is isnt it its ive just know let list made make may me mean might mine "
                                  "more most much must my need no not now of on "
                                  "one onli or our out pleas put say she should show so some someth such "
                                  "take tell than that thank the their them "
                                  "then there these they thing think this those to too us use veri want was "
                                  "we were what when where which who whom "
                                  "whose whi why will with would yes you your ";
    char wanted[TERM_MAX + 3];
    if (len == 0 || len > TERM_MAX)
        return false;
    wanted[0] = ' ';
    memcpy(wanted + 1, term, len);
    wanted[len + 1] = ' ';
    return memmem(fillers, sizeof fillers - 1, wanted, len + 2) != NULL;
}
