/* SPDX-License-Identifier: MIT */
/* In this order: what models put around a caption goes, links go where they may not be, the hashtags at its
 * end are set apart, sentences are counted, hashtags are counted, and what is left is fitted into its length.
 * Each step takes a text and makes a text. */
#include "agent/caption_text.h"

#include "base/buf.h"
#include "base/grapheme.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unictype.h>

#define ROUNDS_MAX 4 /* a preamble around a label around quotes */
#define PREAMBLE_MAX 160
#define TAGS_MOST 32 /* that are set apart */
#define TAG_MAX_BYTES 60
#define ELLIPSIS "\xE2\x80\xA6"

/* ---- characters and words */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The character at s, 0 at the end; its bytes in *ret_n (at least 1 unless at the end). */
static uint32_t char_at(const char *s, size_t len, size_t *ret_n)
{
    uint32_t c = 0;
    *ret_n = len > 0 ? utf8_decode(s, len, &c) : 0;
    if (len > 0 && *ret_n == 0)
        *ret_n = 1;
    return c;
}

static bool is_word_char(uint32_t c)
{
    return c == '_' || uc_is_alnum(c) || uc_is_general_category(c, UC_MARK);
}

static size_t token_length(const char *s)
{
    return strcspn(s, " \t\r\n");
}

static bool begins(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* Bytes of a hashtag at the beginning of s, 0 where there is none. "#1" alone is a number. */
static size_t hashtag_length(const char *s)
{
    size_t len = strlen(s), i = 1, n;
    bool letter = false;
    if (s[0] != '#')
        return 0;
    for (uint32_t c; i < len && is_word_char(c = char_at(s + i, len - i, &n)); i += n)
        letter |= !isdigit((int)(c < 128 ? c : 'a'));
    return letter ? i : 0;
}

static char *trim(char *s)
{
    while (is_space(*s))
        s++;
    size_t len = strlen(s);
    while (len > 0 && is_space(s[len - 1]))
        len--;
    s[len] = '\0';
    return s;
}

/* One blank between words, at most one empty line between lines, no control characters. */
static char *tidy(char *s)
{
    char *to = s;
    int lines = 0;
    bool blank = false;
    for (const char *from = s; *from; from++) {
        if (*from == '\n')
            lines++;
        else if (is_space(*from) || (unsigned char)*from < ' ' || *from == 0x7F)
            blank = true;
        else {
            if (to > s && lines)
                to += lines > 1 ? (to[0] = to[1] = '\n', 2) : (to[0] = '\n', 1);
            else if (to > s && blank)
                *to++ = ' ';
            lines = 0;
            blank = false;
            *to++ = *from;
        }
    }
    *to = '\0';
    return s;
}

/* ---- what models put around it */

static bool begins_with_any(const char *s, const char *const *list)
{
    for (; *list; list++)
        if (begins(s, *list))
            return true;
    return false;
}

static const char *const openers[] = {"here is",   "here's",      "here\xE2\x80\x99s",
                                      "here are",  "sure",        "certainly",
                                      "of course", "absolutely",  "okay",
                                      "ok,",       "great",       "**caption",
                                      "caption",   "[caption",    "my caption",
                                      "a caption", "the caption", NULL};
static const char *const chatter[] = {"sure!",      "sure,",      "sure.",       "sure thing!",
                                      "certainly!", "of course!", "absolutely!", "okay!",
                                      "ok!",        "great!",     NULL};
static const char *const remarks[] = {
    "let me know",  "note:",          "(note",        "*note",          "hope this", "i hope this",
    "feel free to", "would you like", "this caption", "do you want me", NULL};

static bool has_word(const char *s, size_t len, const char *word)
{
    for (size_t i = 0; i + strlen(word) <= len; i++)
        if (begins(s + i, word))
            return true;
    return false;
}

/* "Here is your caption:", and the line or quote that follows: where the caption begins, or s. */
static char *after_preamble(char *s)
{
    size_t len = strcspn(s, ":\n");
    if (s[len] != ':' || len > PREAMBLE_MAX || !begins_with_any(s, openers))
        return s;
    char *rest = s + len + 1;
    while (*rest == '*' || *rest == ']')
        rest++;
    bool apart = rest[strspn(rest, " ")] == '\n' || rest[strspn(rest, " ")] == '"';
    bool says_so = has_word(s, len, "caption") || has_word(s, len, "post") || has_word(s, len, "option");
    return (apart || says_so) && !str_is_blank(rest) ? rest : s;
}

/* A first line that is chatter alone. */
static char *after_chatter(char *s)
{
    size_t line = strcspn(s, "\n");
    bool alone = line < 24 && s[line] == '\n' && begins_with_any(s, chatter);
    return alone ? s + line + 1 : s;
}

static void drop_remark(char *s)
{
    char *last = NULL;
    for (char *at = strstr(s, "\n\n"); at; at = strstr(at + 1, "\n\n"))
        last = at;
    if (last && begins_with_any(last + 2 + strspn(last + 2, " \n"), remarks))
        *last = '\0';
}

/* A fence of code around it. */
static char *without_fence(char *s)
{
    if (strncmp(s, "```", 3) != 0)
        return s;
    char *rest = s + strcspn(s, "\n"), *end = strstr(rest, "```");
    if (!*rest || !end)
        return s;
    *end = '\0';
    return rest + 1;
}

/* Quotes around the whole, or around all but the hashtags behind it. */
static char *without_quotes(char *s)
{
    static const char *const pairs[][2] = {
        {"\"", "\""},
        {"'", "'"},
        {"`", "`"},
        {"\xE2\x80\x9C", "\xE2\x80\x9D"},
        {"\xE2\x80\x98", "\xE2\x80\x99"},
        {"\xC2\xAB", "\xC2\xBB"},
        {"**", "**"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const char *open = pairs[i][0], *close = pairs[i][1];
        size_t n = strlen(open), m = strlen(close);
        char *end = strncmp(s, open, n) == 0 ? strstr(s + n, close) : NULL;
        if (!end || strstr(end + m, close))
            continue;
        const char *rest = end + m + strspn(end + m, " \n");
        if (*rest && *rest != '#')
            continue;
        memset(end, ' ', m);
        return s + n;
    }
    return s;
}

static char *without_frame(char *s)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        const char *before = s;
        s = trim(after_chatter(trim(after_preamble(s))));
        drop_remark(s);
        s = trim(without_quotes(trim(without_fence(trim(s)))));
        if (s == before)
            break;
    }
    return s;
}

/* ---- links */

#define LINK_BREAKS " \t\r\n,;|()<>[]{}\"*"

/* Endings that are hardly ever the beginning of a sentence behind a missing blank. */
static const char endings[] =
    "|com|net|org|io|co|tv|ly|link|bio|page|app|xxx|fans|gg|site|online|shop|store|info|"
    "biz|uk|de|fr|eu|ru|vip|cam|porn|adult|ai|dev|cc|xyz|fm|club|";

static bool is_ending(const char *s, size_t len)
{
    char wanted[16];
    if (len < 2 || len > 12)
        return false;
    (void)snprintf(wanted, sizeof wanted, "|%.*s|", (int)len, s);
    str_lower(wanted);
    return strstr(endings, wanted) != NULL;
}

/* "name.tld" or "name.tld/path", without a scheme. */
static bool is_bare_link(const char *s, size_t len)
{
    size_t host = 0, label = 0, dots = 0;
    for (; host < len && (isalnum((unsigned char)s[host]) || s[host] == '-' || s[host] == '.'); host++)
        if (s[host] == '.')
            label = host + 1, dots++;
    size_t last = host - label;
    bool named = dots > 0 && label > 1 && last >= 2;
    for (size_t i = label; i < host && named; i++)
        named = isalpha((unsigned char)s[i]);
    bool path = host < len && (s[host] == '/' || s[host] == ':') && host + 1 < len;
    return named && (host == len || path) && (path || is_ending(s + label, last));
}

/* Where a link begins in a token, and its host; SIZE_MAX where there is none. */
static size_t find_link(const char *s, size_t len, size_t *ret_host)
{
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        bool scheme = platform_is_url(s + i, len - i), www = len - i > 4 && begins(s + i, "www.");
        if (scheme)
            *ret_host = i + (begins(s + i, "https") ? 8 : 7);
        else if (www)
            *ret_host = i;
        if (scheme || www)
            return i;
    }
    while (start < len && !isalnum((unsigned char)s[start]))
        start++;
    *ret_host = start;
    return start < len && is_bare_link(s + start, len - start) ? start : SIZE_MAX;
}

static bool is_own(const char *host, size_t len, const char *own)
{
    size_t n = strlen(own), end = 0;
    while (end < len && (isalnum((unsigned char)host[end]) || host[end] == '-' || host[end] == '.'))
        end++;
    /* what stands before an @ is no host */
    if (memchr(host, '@', len))
        return false;
    return end >= n && strncasecmp(host + end - n, own, n) == 0 && (end == n || host[end - n - 1] == '.');
}

/* A link in a token, and the punctuation behind it: false where there is none that has to go. */
static bool foreign_link(const char *s, size_t len, const char *own, size_t *ret_start, size_t *ret_end)
{
    size_t host = 0, bare = len;
    while (bare > 0 && strchr(".!?:'", s[bare - 1]))
        bare--;
    *ret_start = find_link(s, bare, &host);
    *ret_end = bare;
    return *ret_start != SIZE_MAX && !is_own(s + host, bare - host, own);
}

/* Brackets that a link has left empty: "[text]()" → "text". */
static void drop_brackets(char *s)
{
    for (char *at; (at = strstr(s, "]()")) != NULL;) {
        char *open = at;
        while (open > s && *open != '[')
            open--;
        memmove(at, at + 3, strlen(at + 3) + 1);
        if (*open == '[')
            memmove(open, open + 1, strlen(open));
    }
    for (char *at; (at = strstr(s, "()")) || (at = strstr(s, "<>")) || (at = strstr(s, "[]"));)
        memmove(at, at + 2, strlen(at + 2) + 1);
}

static char *drop_links(char *s, const char *own)
{
    char *to = s, *from = s;
    while (*from) {
        size_t gap = strspn(from, LINK_BREAKS), len = strcspn(from + gap, LINK_BREAKS);
        size_t start = len, end = len;
        bool foreign = foreign_link(from + gap, len, own, &start, &end);
        memmove(to, from, gap + (foreign ? start : len));
        to += gap + (foreign ? start : len);
        bool joins = foreign && start == 0 && from[gap + end] && strchr(".!?,;", from[gap + end]);
        while (joins && to > s && is_space(to[-1]))
            to--;
        if (foreign) {
            memmove(to, from + gap + end, len - end);
            to += len - end;
        }
        from += gap + len;
    }
    *to = '\0';
    drop_brackets(s);
    return s;
}

/* What goes may have kept the halves of another link apart; each round makes the text shorter. */
static char *without_links(char *s, const char *own)
{
    for (size_t before = SIZE_MAX; strlen(s) < before;) {
        before = strlen(s);
        s = drop_links(s, own);
    }
    return s;
}

/* ---- sentences */

static bool ends_sentence(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x3002 || c == 0xFF01 || c == 0xFF1F;
}

/* Bytes up to the end of the first sentence, with the emoji and quotes that follow it; a line is one, too. */
static size_t sentence_length(const char *s)
{
    size_t len = strlen(s), n, i = 0;
    bool words = false, over = false;
    for (; i < len; i += n) {
        uint32_t c = char_at(s + i, len - i, &n);
        bool word = is_word_char(c) || c == '#' || c == '@';
        if (over && word)
            break;
        if (c == '\n' && words)
            over = true;
        words |= word;
        if (!ends_sentence(c) || !words)
            continue;
        size_t m;
        uint32_t next = char_at(s + i + n, len - i - n, &m);
        bool wide = c >= 0x3000; /* no blank is written behind those */
        over |= wide || next == 0 || !is_word_char(next);
    }
    return i;
}

static void cut_sentences(char *s, int most)
{
    size_t at = 0;
    for (int i = 0; i < most && s[at]; i++)
        at += sentence_length(s + at);
    s[at] = '\0';
    (void)trim(s);
}

/* ---- hashtags */

struct parts {
    char *body;
    const char *tags[TAGS_MOST]; /* each with its '#' */
    int n;
    bool apart; /* they stood on lines of their own */
};

static bool has_tag(const struct parts *p, const char *tag, size_t len)
{
    for (int i = 0; i < p->n; i++)
        if (strlen(p->tags[i]) == len && strncasecmp(p->tags[i], tag, len) == 0)
            return true;
    return false;
}

static bool text_has_tag(const char *s, const char *tag, size_t len)
{
    for (const char *at = strchr(s, '#'); at; at = strchr(at + 1, '#'))
        if (hashtag_length(at) == len && strncasecmp(at, tag, len) == 0)
            return true;
    return false;
}

/* Where the run of hashtags at the end begins; the length of s where there is none. */
static size_t tail_start(const char *s)
{
    size_t start = strlen(s);
    for (size_t i = 0, n; s[i]; i += n) {
        n = strspn(s + i, " \n");
        if (n > 0)
            continue;
        n = token_length(s + i);
        if (hashtag_length(s + i) != n)
            start = strlen(s);
        else if (start == strlen(s))
            start = i;
    }
    return start;
}

/* Takes the hashtags off the end of s; of equal ones the first stays. */
static int take_tags(struct arena *a, char *s, struct parts *p)
{
    size_t start = tail_start(s);
    char *at = s + start;
    p->apart = start > 0 && s[start - 1] == '\n';
    while (*at) {
        size_t n = token_length(at);
        if (n > 0 && !has_tag(p, at, n) && p->n < TAGS_MOST) {
            p->tags[p->n] = arena_strndup(a, at, n);
            if (!p->tags[p->n++])
                return -ENOMEM;
        }
        at += n ? n : 1;
    }
    s[start] = '\0';
    p->body = trim(s);
    return 0;
}

static int count_inline(const char *s)
{
    int n = 0;
    for (const char *at = strchr(s, '#'); at; at = strchr(at + 1, '#'))
        n += hashtag_length(at) > 0;
    return n;
}

/* The hashtags in the text behind the first `most` become words. */
static void unmark_inline(char *s, int most)
{
    for (char *at = strchr(s, '#'); at;) {
        bool tag = hashtag_length(at) > 0;
        if (tag && most-- <= 0)
            memmove(at, at + 1, strlen(at));
        else
            at++;
        at = strchr(at, '#');
    }
}

static bool is_filler(const char *word, size_t len)
{
    static const char fillers[] =
        "|the|and|for|with|this|that|from|your|you|our|new|are|was|have|has|but|not|all|"
        "about|into|just|what|when|will|its|some|more|very|who|how|";
    char wanted[32];
    if (len > 28)
        return true;
    (void)snprintf(wanted, sizeof wanted, "|%.*s|", (int)len, word);
    str_lower(wanted);
    return strstr(fillers, wanted) != NULL;
}

static int add_tag(struct arena *a, struct parts *p, const char *word, size_t len)
{
    const char *tag = arena_printf(a, "#%.*s", (int)len, word);
    if (!tag)
        return -ENOMEM;
    size_t n = strlen(tag);
    if (p->n < TAGS_MOST && n <= TAG_MAX_BYTES && hashtag_length(tag) == n && !has_tag(p, tag, n) &&
        !text_has_tag(p->body, tag, n))
        p->tags[p->n++] = tag;
    return 0;
}

/* The words of a text that say something, as hashtags, until there are `wanted`. */
static int add_words(struct arena *a, struct parts *p, const char *text, int inline_tags, int wanted)
{
    size_t len = strlen(text), i = 0, n;
    while (i < len && p->n + inline_tags < wanted) {
        size_t start = i;
        for (uint32_t c; i < len && is_word_char(c = char_at(text + i, len - i, &n)); i += n)
            ;
        bool says = utf8_count(text + start, i - start) >= 3 && !is_filler(text + start, i - start);
        bool marked = start > 0 && strchr("#@", text[start - 1]);
        if (says && !marked && add_tag(a, p, text + start, i - start) < 0)
            return -ENOMEM;
        if (i < len && i == start) {
            (void)char_at(text + i, len - i, &n);
            i += n;
        }
    }
    return 0;
}

/* As many hashtags as the platform wants: superfluous ones go, missing ones come from the topic, then from
 * the caption's own words, then from what is true of any post. */
static int settle_tags(struct arena *a, const struct caption_form *form, struct parts *p)
{
    const struct platform *platform = form->platform;
    if (platform->tags_max == 0)
        return 0;
    unmark_inline(p->body, platform->tags_max);
    int in_text = count_inline(p->body), room = platform->tags_max - in_text;
    if (p->n > room)
        p->n = room;
    int r = add_words(a, p, form->topic, in_text, platform->tags_min);
    if (r == 0)
        r = add_words(a, p, p->body, in_text, platform->tags_min);
    return r < 0 ? r
                 : add_words(a, p, "ContentCreator NewPost BehindTheScenes CreatorLife", in_text,
                             platform->tags_min);
}

/* ---- length */

static bool fits(const struct platform *platform, const char *s, size_t len)
{
    return utf8_count(s, len) <= platform->caption_max &&
           platform_count(platform, s, len) <= platform->caption_max;
}

/* Body up to `len`, a mark that it was cut, and the hashtags; NULL without memory. */
static const char *assemble(struct arena *a, const struct caption_form *form, const struct parts *p,
                            size_t len, const char *mark)
{
    _cleanup_buf_ struct buf b = BUF_INIT((size_t)2 * CAPTION_SAID_MAX);
    (void)buf_add(&b, p->body, len);
    (void)buf_adds(&b, mark);
    const char *gap = p->apart || form->platform->tags_min ? "\n\n" : " ";
    for (int i = 0; i < p->n; i++)
        (void)buf_addf(&b, "%s%s", b.len == 0 ? "" : i ? " " : gap, p->tags[i]);
    return b.failed || !buf_str(&b) ? NULL : arena_strdup(a, b.data);
}

/* 1 fits, 0 doesn't, or -ENOMEM. */
static int try_length(struct arena *a, const struct caption_form *form, const struct parts *p, size_t len,
                      const char *mark, const char **ret)
{
    const char *s = assemble(a, form, p, len, mark);
    if (!s)
        return -ENOMEM;
    if (!fits(form->platform, s, strlen(s)))
        return 0;
    *ret = s;
    return 1;
}

/* Bytes without the punctuation that leads nowhere once the text is cut there. */
static size_t trimmed_length(const char *s, size_t len)
{
    while (len > 0 && (is_space(s[len - 1]) || strchr(",;:-(", s[len - 1])))
        len--;
    return len;
}

/* Longest part of the body that ends with a sentence (by = sentence_length) or a word and still fits: 0 where
 * there is none. */
static size_t longest(const struct caption_form *form, const struct parts *p, size_t (*by)(const char *),
                      size_t room)
{
    size_t best = 0, at = 0;
    while (p->body[at]) {
        at += by(p->body + at);
        size_t len = trimmed_length(p->body, at);
        if (utf8_count(p->body, len) > room || !fits(form->platform, p->body, len))
            break;
        best = len;
        at += strspn(p->body + at, " \n\t");
    }
    return best;
}

/* A first word that is longer than everything: what can't be cut goes, the rest is cut between characters. */
static size_t cut_word(struct parts *p, size_t room)
{
    size_t len = token_length(p->body);
    if (hashtag_length(p->body) || platform_is_url(p->body, len)) {
        p->body = trim(p->body + len);
        return SIZE_MAX;
    }
    size_t bytes = 0;
    for (size_t n; bytes < len; bytes += n) {
        n = grapheme_length(p->body + bytes, len - bytes);
        if (utf8_count(p->body, bytes + n) > room)
            break;
    }
    return bytes;
}

static const char *cut_body(struct arena *a, const struct caption_form *form, struct parts *p)
{
    const char *ret = "";
    for (size_t room = form->platform->caption_max; room > 0 && p->body[0];) {
        size_t sentence = longest(form, p, sentence_length, room),
               word = longest(form, p, token_length, room);
        bool whole = sentence > 0 && sentence >= word / 2;
        size_t len = whole ? sentence : word;
        if (len == 0 && (len = cut_word(p, room)) == SIZE_MAX)
            continue;
        int r = try_length(a, form, p, len, whole ? "" : ELLIPSIS, &ret);
        if (r == 0 && !whole)
            r = try_length(a, form, p, len, "", &ret);
        if (r != 0)
            return r < 0 ? NULL : ret;
        room = utf8_count(p->body, len) < room ? utf8_count(p->body, len) - (len > 0) : room - 1;
    }
    return ret;
}

static const char *fit(struct arena *a, const struct caption_form *form, struct parts *p)
{
    const char *ret = NULL;
    int inline_tags = count_inline(p->body);
    for (;;) {
        int r = try_length(a, form, p, strlen(p->body), "", &ret);
        if (r != 0)
            return r < 0 ? NULL : ret;
        if (p->n == 0 || p->n + inline_tags <= form->platform->tags_min)
            return cut_body(a, form, p);
        p->n--;
    }
}

const char *caption_finish(struct arena *a, const struct caption_form *form, const char *said)
{
    struct parts p = {0};
    char *s = arena_strndup(a, said, utf8_floor(said, strlen(said), CAPTION_SAID_MAX));
    if (!s)
        return NULL;
    s = without_frame(tidy(s));
    if (form->platform->own_site)
        s = without_links(s, form->platform->own_site);
    if (take_tags(a, trim(tidy(s)), &p) < 0)
        return NULL;
    cut_sentences(p.body, form->sentences_max);
    if (p.body[0] == '\0' && p.n == 0)
        return "";
    return settle_tags(a, form, &p) < 0 ? NULL : fit(a, form, &p);
}
