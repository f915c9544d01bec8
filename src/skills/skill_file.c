/* SPDX-License-Identifier: MIT */
#include "skills/skill_file.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOM "\xEF\xBB\xBF"

/* The file cut in two; lengths without the lines of dashes. */
struct parts {
    const char *yaml, *body;
    size_t yaml_len, body_len;
    int yaml_line; /* where the YAML begins */
};

void skill_file_note(struct skill_file *s, int line, const char *fmt, ...)
{
    va_list ap;
    if (s->n_notes >= SKILL_NOTES_MAX) {
        struct front_fault *last = &s->notes[SKILL_NOTES_MAX];
        s->n_notes = SKILL_NOTES_MAX + 1;
        s->more_notes++;
        (void)front_fail(last, last->line ? last->line : line, "and %zu more", s->more_notes);
        return;
    }
    va_start(ap, fmt);
    front_fault_set(&s->notes[s->n_notes++], line, fmt, ap);
    va_end(ap);
}

/* Length of the line at s, its end included. */
static size_t line_length(const char *s, size_t len)
{
    const char *end = memchr(s, '\n', len);
    return end ? (size_t)(end - s) + 1 : len;
}

static bool is_mark(const char *line, size_t len, const char *mark)
{
    while (len > 0 && strchr("\r\n \t", line[len - 1]))
        len--;
    return len == 3 && memcmp(line, mark, 3) == 0;
}

static int split(const char *text, size_t len, struct parts *ret, struct front_fault *fault)
{
    size_t at = line_length(text, len);
    if (!is_mark(text, at, "---"))
        return front_fail(fault, 1, "there is no front matter: the first line must be ---");
    *ret = (struct parts){.yaml = text + at, .yaml_line = 2};
    for (int line = 2; at < len; line++) {
        size_t n = line_length(text + at, len - at);
        size_t yaml_len = (size_t)(text + at - ret->yaml);
        if (is_mark(text + at, n, "---") || is_mark(text + at, n, "...")) {
            ret->yaml_len = yaml_len;
            ret->body = text + at + n;
            ret->body_len = len - at - n;
            return 0;
        }
        if (yaml_len + n > FRONT_BYTES_MAX)
            return front_fail(fault, line, "the front matter is longer than %d bytes", FRONT_BYTES_MAX);
        at += n;
    }
    return front_fail(fault, 1, "the front matter has no end: a second line of --- is missing");
}

static int check_bytes(const char *text, size_t len, struct front_fault *fault)
{
    int line = 1;
    for (size_t at = 0; at < len;) {
        uint32_t c;
        size_t n = utf8_decode(text + at, len - at, &c);
        if (n == 0 || c == 0)
            return front_fail(fault, line, n == 0 ? "it is not UTF-8" : "it holds a NUL");
        line += c == '\n';
        at += n;
    }
    return 0;
}

/* Without white space at both ends; NULL without memory. */
static char *trimmed(struct arena *a, const char *s)
{
    static const char space[] = " \t\r\n";
    s += strspn(s, space);
    size_t len = strlen(s);
    while (len > 0 && strchr(space, s[len - 1]))
        len--;
    return arena_strndup(a, s, len);
}

/* A member that is a text: 0 with *ret (NULL where it is absent or blank), -EBADMSG or -ENOMEM. */
static int text_member(struct arena *a, const struct front_node *root, const char *key, size_t max,
                       const char **ret, struct front_fault *fault)
{
    const struct front_node *node = front_member(root, key);
    *ret = NULL;
    if (!node || (node->kind == FRONT_TEXT && !node->text))
        return 0;
    if (node->kind != FRONT_TEXT)
        return front_fail(fault, node->line, "'%s' must be a text", key);
    char *text = trimmed(a, node->text);
    if (!text)
        return -ENOMEM;
    if (strlen(text) > max)
        return front_fail(fault, node->line, "'%s' is longer than %zu bytes", key, max);
    *ret = text[0] ? text : NULL;
    return 0;
}

/* Names stand in addresses and in one line of a report. */
static bool name_is_sane(const char *name)
{
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < 0x20 || *c == 0x7f || *c == '/')
            return false;
    return true;
}

static int read_texts(struct arena *a, const struct front_node *root, struct skill_file *s,
                      struct front_fault *fault)
{
    int r = text_member(a, root, "name", SKILL_NAME_MAX, &s->name, fault);
    if (r == 0 && !s->name)
        r = front_fail(fault, root->line, "there is no 'name'");
    if (r == 0)
        s->name_line = front_member(root, "name")->line;
    if (r == 0 && !name_is_sane(s->name))
        r = front_fail(fault, s->name_line, "'name' must be one line without '/' or control characters");
    if (r == 0)
        r = text_member(a, root, "description", SKILL_DESCRIPTION_MAX, &s->description, fault);
    if (r == 0 && !s->description)
        r = front_fail(fault, root->line, "there is no 'description'");
    if (r == 0)
        r = text_member(a, root, "category", SKILL_CATEGORY_MAX, &s->category, fault);
    if (r == 0 && s->category && !name_is_sane(s->category))
        r = front_fail(fault, front_member(root, "category")->line,
                       "'category' must be one line without '/' or control characters");
    return r;
}

/* Tags are compared as they stand: lower case, with hyphens for spaces. */
static int add_tag(struct arena *a, struct skill_file *s, const char *text, int line)
{
    char *tag = trimmed(a, text);
    if (!tag)
        return -ENOMEM;
    str_lower(tag);
    for (char *c = tag; *c; c++)
        if (strchr(" \t\r\n", *c))
            *c = '-';
    for (size_t i = 0; i < s->n_tags; i++)
        if (strcmp(s->tags[i], tag) == 0)
            return 0;
    if (!tag[0])
        return 0;
    if (strlen(tag) > SKILL_TAG_MAX || !name_is_sane(tag))
        skill_file_note(s, line, "a tag of more than %d bytes, or with '/', was left out", SKILL_TAG_MAX);
    else if (s->n_tags == SKILL_TAGS_MAX)
        skill_file_note(s, line, "tags beyond %d were left out", SKILL_TAGS_MAX);
    else
        s->tags[s->n_tags++] = tag;
    return 0;
}

/* A list of texts, or one text with commas. */
static int read_tags(struct arena *a, const struct front_node *root, struct skill_file *s)
{
    const struct front_node *tags = front_member(root, "tags");
    if (!tags)
        return 0;
    if (tags->kind == FRONT_MAP) {
        skill_file_note(s, tags->line, "'tags' must be a list of texts, and was left out");
        return 0;
    }
    const char *list = tags->text, *item;
    size_t len;
    while (list && list_next(&list, &item, &len)) {
        const char *tag = arena_strndup(a, item, len);
        int r = tag ? add_tag(a, s, tag, tags->line) : -ENOMEM;
        if (r < 0)
            return r;
    }
    for (const struct front_node *n = tags->first; n; n = n->next) {
        if (n->kind != FRONT_TEXT)
            skill_file_note(s, n->line, "a tag that is no text was left out");
        int r = n->text ? add_tag(a, s, n->text, n->line) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* A number from 0 to 1 in plain decimals: 0 or -EINVAL. */
static int parse_weight(const char *text, double *ret)
{
    static const char digits[] = "0123456789";
    const char *s = text + strspn(text, digits);
    if (*s == '.')
        s++;
    s += strspn(s, digits);
    if (*s || s == text || strlen(text) > 20 || str_equal(text, "."))
        return -EINVAL;
    *ret = strtod(text, NULL);
    return *ret >= 0 && *ret <= 1 ? 0 : -EINVAL;
}

/* {name, weight}, or a name alone. */
static int add_link(struct arena *a, struct skill_file *s, const struct front_node *item)
{
    const struct front_node *name = item->kind == FRONT_MAP ? front_member(item, "name") : item;
    const struct front_node *weight = item->kind == FRONT_MAP ? front_member(item, "weight") : NULL;
    struct skill_link link = {.weight = SKILL_LINK_WEIGHT, .line = item->line};
    if (!name || name->kind != FRONT_TEXT || !name->text || str_is_blank(name->text)) {
        skill_file_note(s, item->line, "a relation without a name was left out");
        return 0;
    }
    if (weight &&
        (weight->kind != FRONT_TEXT || !weight->text || parse_weight(weight->text, &link.weight) < 0)) {
        skill_file_note(s, weight->line, "a relation whose weight is no number from 0 to 1 was left out");
        return 0;
    }
    link.name = trimmed(a, name->text);
    if (!link.name)
        return -ENOMEM;
    if (str_equal(link.name, s->name))
        skill_file_note(s, item->line, "a relation to itself was left out");
    else if (s->n_links == SKILL_LINKS_MAX)
        skill_file_note(s, item->line, "relations beyond %d were left out", SKILL_LINKS_MAX);
    else
        s->links[s->n_links++] = link;
    return 0;
}

static int read_links(struct arena *a, const struct front_node *root, struct skill_file *s)
{
    const struct front_node *related = front_member(root, "related");
    if (!related || (related->kind == FRONT_TEXT && !related->text))
        return 0;
    if (related->kind != FRONT_LIST) {
        skill_file_note(s, related->line, "'related' must be a list, and was left out");
        return 0;
    }
    for (const struct front_node *n = related->first; n; n = n->next) {
        int r = add_link(a, s, n);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The instructions, their lines ended by a line feed alone. */
static int read_body(struct arena *a, const struct parts *p, struct skill_file *s, struct front_fault *fault)
{
    char *body = arena_strndup(a, p->body, p->body_len), *to = body;
    if (!body)
        return -ENOMEM;
    for (const char *from = body; *from; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = '\0';
    s->content = trimmed(a, body);
    if (!s->content)
        return -ENOMEM;
    int line = p->yaml_line + 1;
    for (const char *c = p->yaml; c < p->yaml + p->yaml_len; c++)
        line += *c == '\n';
    if (strlen(s->content) > SKILL_CONTENT_MAX)
        return front_fail(fault, line, "the text is longer than %d bytes", SKILL_CONTENT_MAX);
    return s->content[0] ? 0 : front_fail(fault, line, "there is no text behind the front matter");
}

int skill_file_read(struct arena *a, const char *text, size_t len, struct skill_file *ret,
                    struct front_fault *fault)
{
    struct parts parts = {0};
    struct front_node *root = NULL;
    if (len >= 3 && memcmp(text, BOM, 3) == 0) {
        text += 3;
        len -= 3;
    }
    int r = check_bytes(text, len, fault);
    if (r == 0)
        r = split(text, len, &parts, fault);
    if (r == 0)
        r = front_read(a, parts.yaml, parts.yaml_len, parts.yaml_line, &root, fault);
    if (r == 0 && (!root || root->kind != FRONT_MAP))
        r = front_fail(fault, parts.yaml_line, "the front matter must be a list of 'name: value'");
    if (r < 0)
        return r;
    *ret = (struct skill_file){0};
    r = read_texts(a, root, ret, fault);
    if (r == 0)
        r = read_body(a, &parts, ret, fault);
    if (r == 0)
        r = read_tags(a, root, ret);
    if (r == 0)
        r = read_links(a, root, ret);
    return r;
}
