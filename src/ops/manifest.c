/* SPDX-License-Identifier: MIT */
#include "ops/manifest.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash ends the process */
#include <uthash.h>

#define LINE_MAX_BYTES (MEMBER_NAME_MAX + 128)

struct member {
    UT_hash_handle hh;
    int64_t size;
    char sha[SHA256_HEX + 1];
    char name[];
};

const char *member_name(const struct member *m)
{
    return m->name;
}

int64_t member_size(const struct member *m)
{
    return m->size;
}

const char *member_sha(const struct member *m)
{
    return m->sha;
}

const struct member *member_next(const struct member *m)
{
    return m->hh.next;
}

/* No empty part, none that begins with a dot (so neither "." nor ".."), no control characters. */
static bool parts_are_plain(const char *path)
{
    bool begins = true;
    for (const char *s = path; *s; s++) {
        if (begins && (*s == '.' || *s == '/'))
            return false;
        if ((unsigned char)*s < ' ' || *s == 0x7f || *s == '\\')
            return false;
        begins = *s == '/';
    }
    return !begins;
}

bool member_name_valid(const char *name)
{
    size_t len = strnlen(name, MEMBER_NAME_MAX + 1);
    if (len > MEMBER_NAME_MAX || !utf8_valid(name, len))
        return false;
    if (strcmp(name, MEMBER_DATABASE) == 0 || strcmp(name, MEMBER_SECRETS) == 0)
        return true;
    static const char *const folders[] = {MEMBER_FILES, MEMBER_EXPORTS};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (str_has_prefix(name, folders[i]))
            return parts_are_plain(name + strlen(folders[i]));
    return false;
}

int manifest_add(struct manifest *m, const char *name, int64_t size, const char *sha)
{
    if (!member_name_valid(name))
        return -EINVAL;
    if (m->n >= MEMBERS_MAX || size < 0 || size > MEMBER_SIZE_MAX || m->bytes > MEMBER_SIZE_MAX - size)
        return -ERANGE;
    if (manifest_find(m, name))
        return -EEXIST;
    size_t len = strlen(name);
    struct member *new = calloc(1, sizeof *new + len + 1);
    if (!new)
        return -ENOMEM;
    memcpy(new->name, name, len + 1);
    (void)snprintf(new->sha, sizeof new->sha, "%s", sha);
    new->size = size;
    HASH_ADD_KEYPTR(hh, m->members, new->name, len, new);
    if (!new->hh.tbl) {
        free(new);
        return -ENOMEM;
    }
    m->n++;
    m->bytes += size;
    return 0;
}

const struct member *manifest_find(const struct manifest *m, const char *name)
{
    struct member *found;
    HASH_FIND_STR(m->members, name, found);
    return found;
}

void manifest_free(struct manifest *m)
{
    struct member *one, *next;
    HASH_ITER (hh, m->members, one, next) {
        HASH_DEL(m->members, one);
        free(one);
    }
    m->n = 0;
}

int manifest_write(const struct manifest *m, struct buf *out)
{
    (void)buf_addf(out, "genie-backup 1\nprogram %s\n", m->program);
    if (m->schema)
        (void)buf_addf(out, "schema %lld\n", (long long)m->schema);
    (void)buf_addf(out, "created %s\n", m->created);
    for (const struct member *one = m->members; one; one = one->hh.next)
        (void)buf_addf(out, "member %s %lld %s\n", one->sha, (long long)one->size, one->name);
    return buf_addf(out, "end %zu %lld\n", m->n, (long long)m->bytes) < 0 || out->failed ? -ENOBUFS : 0;
}

/* ---- reading */

struct lines {
    const char *at, *end;
    char line[LINE_MAX_BYTES + 1];
};

/* The next whole line into l->line: -EINVAL where it has no end, is too long or holds a NUL. */
static int next_line(struct lines *l)
{
    size_t left = (size_t)(l->end - l->at);
    const char *end = left ? memchr(l->at, '\n', left) : NULL;
    size_t len = end ? (size_t)(end - l->at) : 0;
    if (!end || len > LINE_MAX_BYTES || memchr(l->at, '\0', len))
        return -EINVAL;
    memcpy(l->line, l->at, len);
    l->line[len] = '\0';
    l->at = end + 1;
    return 0;
}

/* What follows "<word> " in the present line, or NULL. */
static char *after(struct lines *l, const char *word)
{
    size_t len = strlen(word);
    return str_has_prefix(l->line, word) && l->line[len] == ' ' ? l->line + len + 1 : NULL;
}

/* Canonical digits alone: what is read must be what would be written. */
static int read_number(const char *s, int64_t *ret)
{
    if (!str_only(s, "0123456789") || (s[0] == '0' && s[1]))
        return -EINVAL;
    return parse_int(s, 0, MEMBER_SIZE_MAX, ret);
}

static int read_word(struct lines *l, const char *word, char *ret, size_t size)
{
    const char *value = next_line(l) == 0 ? after(l, word) : NULL;
    size_t len = value ? strlen(value) : 0;
    if (len == 0 || len >= size)
        return -EINVAL;
    for (const char *s = value; *s; s++)
        if (*s <= ' ' || *s > '~')
            return -EINVAL;
    memcpy(ret, value, len + 1);
    return 0;
}

static int read_schema(struct lines *l, struct manifest *m)
{
    if (l->at == l->end || *l->at != 's')
        return 0;
    const char *value = next_line(l) == 0 ? after(l, "schema") : NULL;
    return value && read_number(value, &m->schema) == 0 && m->schema > 0 ? 0 : -EINVAL;
}

static int read_head(struct lines *l, struct manifest *m)
{
    if (next_line(l) < 0 || strcmp(l->line, "genie-backup 1") != 0)
        return -EINVAL;
    int r = read_word(l, "program", m->program, sizeof m->program);
    if (r == 0)
        r = read_schema(l, m);
    return r == 0 ? read_word(l, "created", m->created, sizeof m->created) : r;
}

static int read_member(struct lines *l, struct manifest *m)
{
    char *sha = after(l, "member");
    if (!sha || strnlen(sha, SHA256_HEX + 2) < SHA256_HEX + 2 || sha[SHA256_HEX] != ' ')
        return -EINVAL;
    sha[SHA256_HEX] = '\0';
    char *number = sha + SHA256_HEX + 1, *name = strchr(number, ' ');
    if (!name || !str_only(sha, "0123456789abcdef"))
        return -EINVAL;
    *name++ = '\0';
    int64_t size;
    int r = read_number(number, &size);
    return r == 0 ? manifest_add(m, name, size, sha) : r;
}

static int read_end(struct lines *l, const struct manifest *m)
{
    char expected[64];
    (void)snprintf(expected, sizeof expected, "end %zu %lld", m->n, (long long)m->bytes);
    bool has_database = manifest_find(m, MEMBER_DATABASE);
    return strcmp(l->line, expected) == 0 && l->at == l->end && has_database == (m->schema > 0) ? 0 : -EINVAL;
}

int manifest_parse(const char *text, size_t len, struct manifest *ret)
{
    struct manifest m = {0};
    struct lines l = {.at = text, .end = text + len};
    int r = len <= MANIFEST_MAX ? read_head(&l, &m) : -ERANGE;
    while (r == 0 && (r = next_line(&l)) == 0 && !str_has_prefix(l.line, "end "))
        r = read_member(&l, &m);
    if (r == 0)
        r = read_end(&l, &m);
    if (r < 0) {
        manifest_free(&m);
        return r == -EEXIST ? -EINVAL : r;
    }
    *ret = m;
    return 0;
}
