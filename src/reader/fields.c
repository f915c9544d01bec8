/* SPDX-License-Identifier: MIT */
#include "reader/fields.h"

#include "base/text.h"
#include "reader/tags.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define KEY_MAX 64
#define DETAILS_MAX ((size_t)4096)
#define DETAIL_MAX 200 /* bytes of a detail's value */
#define DETAILS_MOST 24

/* Keys in lower case, without what isn't a letter or digit. */
static const struct {
    const char *key;
    enum field_role role;
} roles[] = {
    {"text", FIELD_TEXT},           {"fulltext", FIELD_TEXT},
    {"body", FIELD_TEXT},           {"content", FIELD_TEXT},
    {"message", FIELD_TEXT},        {"messagetext", FIELD_TEXT},
    {"caption", FIELD_TEXT},        {"description", FIELD_TEXT},
    {"comment", FIELD_TEXT},        {"note", FIELD_TEXT},
    {"notes", FIELD_TEXT},          {"bio", FIELD_TEXT},
    {"about", FIELD_TEXT},          {"rawtext", FIELD_TEXT},
    {"posttext", FIELD_TEXT},       {"selftext", FIELD_TEXT},
    {"post", FIELD_TEXT},           {"tweet", FIELD_TEXT},
    {"title", FIELD_TITLE},         {"subject", FIELD_TITLE},
    {"headline", FIELD_TITLE},      {"author", FIELD_AUTHOR},
    {"from", FIELD_AUTHOR},         {"fromuser", FIELD_AUTHOR},
    {"sender", FIELD_AUTHOR},       {"sendername", FIELD_AUTHOR},
    {"user", FIELD_AUTHOR},         {"displayname", FIELD_AUTHOR},
    {"name", FIELD_AUTHOR},         {"username", FIELD_AUTHOR},
    {"screenname", FIELD_AUTHOR},   {"fan", FIELD_AUTHOR},
    {"fanname", FIELD_AUTHOR},      {"handle", FIELD_AUTHOR},
    {"nickname", FIELD_AUTHOR},     {"thread", FIELD_THREAD},
    {"threadid", FIELD_THREAD},     {"threadpath", FIELD_THREAD},
    {"chat", FIELD_THREAD},         {"chatid", FIELD_THREAD},
    {"conversation", FIELD_THREAD}, {"conversationid", FIELD_THREAD},
    {"date", FIELD_DATE},           {"datetime", FIELD_DATE},
    {"createdat", FIELD_DATE},      {"created", FIELD_DATE},
    {"createdtime", FIELD_DATE},    {"timestamp", FIELD_DATE},
    {"timestampms", FIELD_DATE},    {"creationtimestamp", FIELD_DATE},
    {"time", FIELD_DATE},           {"postedat", FIELD_DATE},
    {"publishedat", FIELD_DATE},    {"sentat", FIELD_DATE},
    {"tags", FIELD_TAGS},           {"tag", FIELD_TAGS},
    {"hashtags", FIELD_TAGS},       {"labels", FIELD_TAGS},
    {"keywords", FIELD_TAGS},       {"categories", FIELD_TAGS},
    {"category", FIELD_TAGS},       {"interests", FIELD_TAGS},
    {"id", FIELD_IGNORED},          {"idstr", FIELD_IGNORED},
    {"uuid", FIELD_IGNORED},        {"guid", FIELD_IGNORED},
    {"uri", FIELD_IGNORED},         {"url", FIELD_IGNORED},
    {"href", FIELD_IGNORED},        {"src", FIELD_IGNORED},
    {"hash", FIELD_IGNORED},        {"token", FIELD_IGNORED},
    {"ip", FIELD_IGNORED},
};

/* Wherever they stand in a key of no role. */
static const char *const unquotable[] = {"email",  "phone",  "address", "password",
                                         "passwd", "secret", "apikey",  "cookie"};

static bool ends_with(const char *s, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len > n && memcmp(s + len - n, end, n) == 0;
}

/* Addresses, numbers of rows and secrets are nothing to quote to anybody. */
static bool is_ignored(const char *raw, const char *key, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(unquotable); i++)
        if (strstr(key, unquotable[i]))
            return true;
    return ends_with(raw, strlen(raw), "_id") || ends_with(raw, strlen(raw), "Id") ||
           ends_with(key, n, "url") || ends_with(key, n, "uri") || ends_with(key, n, "token");
}

enum field_role field_role_of(const char *key, size_t len)
{
    char raw[KEY_MAX + 1], plain[KEY_MAX + 1];
    size_t n = 0;
    if (len > KEY_MAX)
        return FIELD_DETAIL;
    memcpy(raw, key, len);
    raw[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (isalnum((unsigned char)key[i]))
            plain[n++] = (char)tolower((unsigned char)key[i]);
    plain[n] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (strcmp(roles[i].key, plain) == 0)
            return roles[i].role;
    return is_ignored(raw, plain, n) ? FIELD_IGNORED : FIELD_DETAIL;
}

void fields_init(struct fields *f)
{
    *f = (struct fields){.text = BUF_INIT(FIELD_TEXT_MAX), .details = BUF_INIT(DETAILS_MAX)};
}

void fields_free(struct fields *f)
{
    buf_free(&f->text);
    buf_free(&f->details);
}

void fields_reset(struct fields *f)
{
    buf_reset(&f->text);
    buf_reset(&f->details);
    f->title[0] = f->author[0] = f->thread[0] = f->date[0] = '\0';
    f->n_tags = f->n_details = 0;
}

/* ---- adding */

static void set_once(char *to, size_t size, const char *value, size_t len)
{
    if (to[0] != '\0')
        return;
    len = utf8_floor(value, len, size - 1);
    memcpy(to, value, len);
    to[len] = '\0';
}

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isspace((unsigned char)s[i]))
            return false;
    return true;
}

static void add_text(struct fields *f, const char *value, size_t len)
{
    if (f->text.len + 2 >= f->text.max)
        return;
    if (f->text.len > 0)
        (void)buf_adds(&f->text, "\n\n");
    (void)buf_add(&f->text, value, utf8_floor(value, len, f->text.max - f->text.len));
}

static void add_detail(struct fields *f, const char *key, const char *value, size_t len)
{
    size_t key_len = utf8_floor(key, strlen(key), KEY_MAX);
    len = utf8_floor(value, len, DETAIL_MAX);
    if (f->n_details >= DETAILS_MOST || f->details.len + key_len + len + 8 > f->details.max)
        return;
    if (f->n_details++ > 0)
        (void)buf_adds(&f->details, "\n");
    (void)buf_add(&f->details, key, key_len);
    (void)buf_adds(&f->details, ": ");
    (void)buf_add(&f->details, value, len);
}

void fields_add(struct fields *f, enum field_role role, const char *key, const char *value, size_t len)
{
    if (is_blank(value, len))
        return;
    switch (role) {
    case FIELD_TEXT:
        add_text(f, value, len);
        break;
    case FIELD_TITLE:
        set_once(f->title, sizeof f->title, value, len);
        break;
    case FIELD_AUTHOR:
        if (f->author[0] == '\0')
            set_once(f->author, sizeof f->author, value, len);
        else
            add_detail(f, key, value, len);
        break;
    case FIELD_THREAD:
        set_once(f->thread, sizeof f->thread, value, len);
        break;
    case FIELD_DATE:
        set_once(f->date, sizeof f->date, value, len);
        break;
    case FIELD_TAGS:
        tags_add_list(f->tags, &f->n_tags, value, len);
        break;
    case FIELD_DETAIL:
        add_detail(f, key, value, len);
        break;
    case FIELD_IGNORED:
        break;
    }
}

static const char *first_of(const struct fields *f)
{
    return f->author[0] ? f->author : f->title[0] ? f->title : f->text.len > 0 ? f->text.data : "";
}

void fields_merge(struct fields *into, enum field_role role, const struct fields *from)
{
    const char *best = first_of(from);
    if (role == FIELD_TEXT && from->text.len > 0)
        best = from->text.data;
    if (role != FIELD_DETAIL) {
        fields_add(into, role, "name", best, strlen(best));
        return;
    }
    if (from->n_details == 0 || into->n_details + from->n_details > DETAILS_MOST ||
        into->details.len + from->details.len + 1 > into->details.max)
        return;
    if (into->n_details > 0)
        (void)buf_adds(&into->details, "\n");
    (void)buf_add(&into->details, from->details.data, from->details.len);
    into->n_details += from->n_details;
}

/* ---- as a record */

bool fields_have_substance(const struct fields *f)
{
    return f->text.len > 0 || ((f->author[0] || f->title[0]) && f->n_details > 0);
}

int fields_emit(struct fields *f, struct corpus *c, const struct source *source, enum node_kind kind,
                const char *thread)
{
    _cleanup_buf_ struct buf all = BUF_INIT(FIELD_TEXT_MAX + DETAILS_MAX + 8);
    if (f->text.failed || f->details.failed)
        return -ENOMEM;
    if (!fields_have_substance(f)) {
        c->counts.without_text++;
        return 0;
    }
    if (f->text.len > 0)
        (void)buf_add(&all, f->text.data, f->text.len);
    if (f->details.len > 0) {
        (void)buf_adds(&all, all.len > 0 ? "\n\n" : "");
        (void)buf_add(&all, f->details.data, f->details.len);
    }
    if (!buf_str(&all) || all.failed)
        return -ENOMEM;
    struct record record = {.kind = kind,
                            .title = f->title,
                            .author = f->author,
                            .thread = f->thread[0] ? f->thread : thread,
                            .date = f->date,
                            .text = all.data,
                            .text_len = all.len,
                            .tags = f->tags,
                            .n_tags = f->n_tags};
    return corpus_add(c, source, &record);
}
