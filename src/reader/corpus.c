/* SPDX-License-Identifier: MIT */
#include "reader/corpus.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "reader/tags.h"
#include "retrieval/chunk.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define ARENA_MAX (CORPUS_TEXT_MAX + ((size_t)80 << 20)) /* titles, tags, names of files */
#define PIECE_MAX ((size_t)8 * CHUNK_WHOLE)              /* bytes */
#define HEAD_CHARS 60                                    /* of a text that stands for a title */
#define DATE_MAX 32
#define LOOK_EVERY 16

void corpus_init(struct corpus *c)
{
    *c = (struct corpus){0};
    c->line = BUF_INIT(TITLE_MAX);
    c->text = BUF_INIT(PIECE_MAX);
    arena_init(&c->texts, ARENA_MAX);
}

void corpus_free(struct corpus *c)
{
    arena_free(&c->texts);
    buf_free(&c->line);
    buf_free(&c->text);
    free(c->drafts);
    free(c->tag_of);
    lexicon_free(&c->keys);
    lexicon_free(&c->names);
    lexicon_free(&c->tags);
    *c = (struct corpus){0};
}

bool corpus_is_full(const struct corpus *c)
{
    return c->n >= CORPUS_NODES_MAX || c->bytes >= CORPUS_TEXT_MAX;
}

bool corpus_stops(struct corpus *c)
{
    if (!c->stopped && c->looks++ % LOOK_EVERY == 0)
        c->stopped = cancel_raised(c->cancel);
    return c->stopped || corpus_is_full(c);
}

void corpus_remark(struct corpus *c, const char *name, const char *why)
{
    if (c->n_remarks >= CORPUS_REMARKS_MAX)
        return;
    const char *kept = arena_strndup(&c->texts, name, utf8_floor(name, strlen(name), 200));
    if (kept)
        c->remarks[c->n_remarks++] = (struct remark){kept, why};
}

/* ---- titles */

/* The day, where the text is a date in one of the usual forms; else its beginning. */
static void format_date(const char *date, char ret[DATE_MAX + 1])
{
    char iso[ISO_TIME_LEN];
    int64_t n;
    if (parse_int(date, 100000000, INT64_C(100000000000000), &n) == 0) {
        /* seconds, or milliseconds where they would be thousands of years */
        clock_format_iso(n < INT64_C(100000000000) ? n * 1000 : n, iso);
        date = iso;
    } else if (clock_parse_iso(date, &n) == 0) {
        clock_format_iso(n, iso);
        date = iso;
    }
    bool is_iso = strlen(date) >= 10 && isdigit((unsigned char)date[0]) && date[4] == '-' && date[7] == '-';
    size_t len = utf8_floor(date, strlen(date), is_iso ? 10 : DATE_MAX);
    memcpy(ret, date, len);
    ret[len] = '\0';
}

/* The first words of a text's first paragraph, on one line. */
static size_t head_of(const char *text, size_t len, char *ret, size_t size)
{
    const char *paragraph = memmem(text, len, "\n\n", 2);
    len = paragraph ? (size_t)(paragraph - text) : len;
    size_t most = chars_to_bytes(text, len, HEAD_CHARS), n = 0;
    bool cut = most < len;
    if (most > size - 4)
        most = utf8_floor(text, len, size - 4);
    for (size_t i = 0; i < most; i++) {
        bool blank = isspace((unsigned char)text[i]);
        if (!blank || (n > 0 && ret[n - 1] != ' '))
            ret[n++] = blank ? ' ' : text[i];
    }
    while (cut && n > 0 && ret[n - 1] != ' ')
        n--;
    while (n > 0 && ret[n - 1] == ' ')
        n--;
    if (n == 0)
        n = utf8_floor(text, len, most);
    if (n > 0 && ret[0] != '\0' && cut) {
        memcpy(ret + n, "\xE2\x80\xA6", 3);
        n += 3;
    }
    return n;
}

static bool is_given(const char *s)
{
    return s && !str_is_blank(s);
}

static void add_title(struct buf *b, const struct source *source, const struct record *r)
{
    static const char *const by[] = {
        [NODE_CONTENT] = "by", [NODE_FAN_MEMORY] = "from", [NODE_PERSONA] = "of", [NODE_NOTE] = "by"};
    static const char *const nouns[] = {[NODE_CONTENT] = "Post",
                                        [NODE_FAN_MEMORY] = "Message",
                                        [NODE_PERSONA] = "Profile",
                                        [NODE_NOTE] = "Note"};
    char head[4 * HEAD_CHARS + 8] = "";
    if (is_given(r->title))
        (void)buf_add(b, r->title, utf8_floor(r->title, strlen(r->title), 160));
    else if (is_given(r->author) && r->kind == NODE_FAN_MEMORY && !is_given(r->date) && !is_given(r->thread))
        (void)buf_addf(b, "Fan %s", r->author); /* said of a fan, not by one */
    else if (is_given(r->author))
        (void)buf_addf(b, "%s %s %s", nouns[r->kind], by[r->kind], r->author);
    else if (source->is_document)
        (void)buf_add(b, source->title, utf8_floor(source->title, strlen(source->title), 160));
    else
        (void)buf_add(b, head, head_of(r->text, r->text_len, head, sizeof head));
    if (is_given(r->title) && is_given(r->author))
        (void)buf_addf(b, ", %s %s", by[r->kind], r->author);
}

/* Control characters become blanks: PostgreSQL takes no NUL, and a title is one line. */
static void clean(char *s, size_t len, bool lines)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] < ' ' && !(lines && (s[i] == '\n' || s[i] == '\t'))) || s[i] == 0x7F)
            s[i] = ' ';
}

/* The title in c->line: 0 or -ENOMEM. What doesn't fit is left out. */
static int make_title(struct corpus *c, const struct source *source, const struct record *r, size_t part,
                      size_t parts)
{
    char date[DATE_MAX + 1];
    struct buf *b = &c->line;
    buf_reset(b);
    add_title(b, source, r);
    if (is_given(r->date)) {
        format_date(r->date, date);
        (void)buf_addf(b, " (%s)", date);
    }
    if (parts > 1)
        (void)buf_addf(b, " (%zu/%zu)", part + 1, parts);
    if (b->len == 0)
        (void)buf_adds(b, "Untitled");
    if (b->len == 0)
        return -ENOMEM;
    clean(b->data, b->len, false);
    return 0;
}

/* ---- tags */

static int add_tag_numbers(struct corpus *c, struct draft *d, char (*tags)[TAG_MAX + 1], size_t n)
{
    if (c->n_tag_of + n > c->tag_of_cap) {
        size_t cap = c->tag_of_cap ? 2 * c->tag_of_cap : 1024;
        uint32_t *grown = reallocarray(c->tag_of, cap, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        c->tag_of = grown;
        c->tag_of_cap = cap;
    }
    d->first_tag = (uint32_t)c->n_tag_of;
    for (size_t i = 0; i < n; i++) {
        uint32_t number = lexicon_add(&c->tags, tags[i], strlen(tags[i]));
        if (number == LEXICON_NONE)
            return -ENOMEM;
        c->tag_of[c->n_tag_of++] = number;
    }
    d->n_tags = (uint32_t)n;
    return 0;
}

static const char *tags_text(struct corpus *c, char (*tags)[TAG_MAX + 1], size_t n)
{
    _cleanup_json_ json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, json_string(tags[i])) < 0)
            return NULL;
    return list ? json_text(&c->texts, list) : NULL;
}

static int set_tags(struct corpus *c, struct draft *d, const struct record *r, const char *piece, size_t len)
{
    char tags[TAGS_MAX][TAG_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < r->n_tags; i++)
        tags_add(tags, &n, r->tags[i], strlen(r->tags[i]));
    tags_add_hashtags(tags, &n, piece, len);
    d->tags = tags_text(c, tags, n);
    return d->tags ? add_tag_numbers(c, d, tags, n) : -ENOMEM;
}

/* ---- pieces */

static int make_key(struct draft *d)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const char *kind = node_kind_name(d->kind);
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, kind, strlen(kind) + 1) == 1 &&
              EVP_DigestUpdate(ctx, d->title, strlen(d->title) + 1) == 1 &&
              EVP_DigestUpdate(ctx, d->content, strlen(d->content)) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, &n) == 1 && 2 * n + 1 == sizeof d->key;
    EVP_MD_CTX_free(ctx);
    if (ok)
        hex_encode(digest, n, d->key);
    return ok ? 0 : -ENOMEM;
}

/* 1 new, 0 known, or -ENOMEM. */
static int is_new(struct corpus *c, const struct draft *d)
{
    uint32_t before = c->keys.n;
    uint32_t number = lexicon_add(&c->keys, d->key, KEY_SIZE - 1);
    return number == LEXICON_NONE ? -ENOMEM : number == before;
}

static int name_number(struct corpus *c, const char *name, uint32_t *ret)
{
    *ret = LEXICON_NONE;
    if (!is_given(name))
        return 0;
    *ret = lexicon_add(&c->names, name, strlen(name));
    return *ret == LEXICON_NONE ? -ENOMEM : 0;
}

static int push(struct corpus *c, const struct draft *d)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        struct draft *grown = reallocarray(c->drafts, cap, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        c->drafts = grown;
        c->cap = cap;
    }
    c->drafts[c->n++] = *d;
    c->bytes += strlen(d->content);
    c->counts.kinds[d->kind]++;
    return 0;
}

struct piece {
    const char *text;
    size_t len, part, parts;
};

/* Title and content where they are worked on; the arena gets them once they are known to be new. */
static int make_texts(struct corpus *c, const struct source *source, const struct record *r,
                      const struct piece *p, struct draft *d)
{
    buf_reset(&c->text);
    int err = buf_add(&c->text, p->text, utf8_floor(p->text, p->len, PIECE_MAX));
    if (err == 0)
        err = make_title(c, source, r, p->part, p->parts);
    if (err < 0)
        return -ENOMEM;
    clean(c->text.data, c->text.len, true);
    d->title = c->line.data;
    d->content = c->text.data;
    return make_key(d);
}

static int keep_draft(struct corpus *c, const struct record *r, struct draft *d)
{
    d->title = arena_strndup(&c->texts, c->line.data, c->line.len);
    d->content = arena_strndup(&c->texts, c->text.data, c->text.len);
    if (!d->title || !d->content)
        return -ENOMEM;
    int err = set_tags(c, d, r, d->content, c->text.len);
    if (err == 0)
        err = name_number(c, r->author, &d->author);
    if (err == 0)
        err = name_number(c, r->thread, &d->thread);
    return err == 0 ? push(c, d) : err;
}

static int add_piece(struct corpus *c, const struct source *source, const struct record *r,
                     const struct piece *p)
{
    struct draft d = {
        .kind = r->kind, .source = source->number, .part = (uint32_t)p->part, .follows = source->is_document};
    int fresh = make_texts(c, source, r, p, &d);
    if (fresh == 0)
        fresh = is_new(c, &d);
    c->counts.duplicates += fresh == 0;
    return fresh > 0 ? keep_draft(c, r, &d) : fresh;
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && isspace((unsigned char)**text)) {
        ++*text;
        --*len;
    }
    while (*len > 0 && isspace((unsigned char)(*text)[*len - 1]))
        --*len;
}

int corpus_add(struct corpus *c, const struct source *source, const struct record *record)
{
    struct record r = *record;
    size_t parts = 0, part = 0, begin, len;
    trim(&r.text, &r.text_len);
    if (r.text_len == 0) {
        c->counts.without_text++;
        return 0;
    }
    c->counts.records++;
    for (struct chunker k = {.text = r.text, .len = r.text_len}; chunk_next(&k, &begin, &len);)
        parts++;
    for (struct chunker k = {.text = r.text, .len = r.text_len}; chunk_next(&k, &begin, &len); part++) {
        if (corpus_is_full(c)) {
            c->counts.left_out += parts - part;
            return 0;
        }
        struct piece p = {r.text + begin, len, part, parts};
        trim(&p.text, &p.len);
        int err = p.len > 0 ? add_piece(c, source, &r, &p) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}
