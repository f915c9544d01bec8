/* SPDX-License-Identifier: MIT */
#include "skills/import.h"

#include "base/text.h"
#include "skills/folder.h"
#include "skills/shipped_skills.h"
#include "skills/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define ARENA_MAX ((size_t)512 * 1024 * 1024)

static const char *const outcome_names[SKILL_OUTCOMES] = {"added", "changed", "unchanged", "skipped"};

/* ---- reading */

static int skip(struct import_item *item, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int skip(struct import_item *item, int line, const char *fmt, ...)
{
    va_list ap;
    item->outcome = SKILL_SKIPPED;
    va_start(ap, fmt);
    front_fault_set(&item->fault, line, fmt, ap);
    va_end(ap);
    return 0;
}

/* "01-core-development": two digits, a hyphen, a name. */
static bool is_category(const char *s, size_t len)
{
    return len > 3 && len <= SKILL_CATEGORY_MAX && isdigit((unsigned char)s[0]) &&
           isdigit((unsigned char)s[1]) && s[2] == '-';
}

/* The innermost folder of the path that is a category's, else the users' own. */
static const char *category_of(struct arena *a, const char *path)
{
    const char *found = NULL;
    size_t found_len = 0;
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1)
        if (is_category(path, (size_t)(slash - path))) {
            found = path;
            found_len = (size_t)(slash - path);
        }
    return found ? arena_strndup(a, found, found_len) : SKILLS_OWN_CATEGORY;
}

/* A text that is no skill is an item that is skipped; only -ENOMEM fails. */
static int read_item(struct arena *a, const char *text, size_t len, struct import_item *item)
{
    int r = skill_file_read(a, text, len, &item->skill, &item->fault);
    if (r == -EBADMSG)
        item->outcome = SKILL_SKIPPED;
    else if (r == 0 && !item->skill.category)
        item->skill.category = category_of(a, item->path);
    return r == -EBADMSG ? 0 : r < 0 ? r : item->skill.category ? 0 : -ENOMEM;
}

/* A name that came before is the first file's. */
static int check_name(json_t *names, struct import_item *item)
{
    if (item->outcome == SKILL_SKIPPED)
        return 0;
    const char *before = json_str(names, item->skill.name, NULL);
    if (before)
        return skip(item, item->skill.name_line, "'%.64s' is the name of %.100s already", item->skill.name,
                    before);
    return json_object_set_new(names, item->skill.name, json_string(item->path)) < 0 ? -ENOMEM : 0;
}

static int read_texts(struct skills_import *i, const struct skill_text *texts)
{
    _cleanup_json_ json_t *names = json_object();
    int r = names ? 0 : -ENOMEM;
    for (size_t k = 0; k < i->n && r == 0; k++) {
        i->items[k].path = texts[k].path;
        r = read_item(&i->arena, texts[k].text, texts[k].len, &i->items[k]);
        if (r == 0)
            r = check_name(names, &i->items[k]);
    }
    return r;
}

/* The bytes of a file are needed until its skill is copied out of them. */
static int read_file(struct skills_import *i, const char *dir, const struct folder_entry *from,
                     struct import_item *item)
{
    struct arena bytes;
    char *text = NULL;
    size_t len = 0;
    arena_init(&bytes, 2 * SKILL_FILE_MAX);
    int r = from->error ? from->error : folder_read(&bytes, dir, from->path, SKILL_FILE_MAX, &text, &len);
    if (r == 0)
        r = read_item(&i->arena, text, len, item);
    else if (r == -EFBIG)
        r = skip(item, 0, "it is larger than %d bytes", SKILL_FILE_MAX);
    else if (r == -EXDEV)
        r = skip(item, 0, "it lies deeper than %d levels", FOLDER_DEPTH_MAX);
    else if (r != -ENOMEM)
        r = skip(item, 0, "it can't be read: %s", strerror(-r));
    arena_free(&bytes);
    return r;
}

/* A file's name may be any bytes; what is told of it is a text. */
static const char *shown_path(struct arena *a, const char *path)
{
    char *shown = arena_strdup(a, path);
    if (shown)
        text_make_printable(shown);
    return shown;
}

static int read_entry(struct skills_import *i, const char *dir, const struct folder_entry *from,
                      struct import_item *item, json_t *names)
{
    item->path = shown_path(&i->arena, from->path);
    int r = item->path ? read_file(i, dir, from, item) : -ENOMEM;
    return r == 0 ? check_name(names, item) : r;
}

static int read_folder(struct skills_import *i, const char *dir, skills_progress_fn progress, void *ctx)
{
    struct folder folder = {0};
    _cleanup_json_ json_t *names = json_object();
    int r = names ? folder_list(&i->arena, dir, &folder) : -ENOMEM;
    if (r < 0)
        return r;
    i->items = arena_alloc(&i->arena, (folder.n + 1) * sizeof *i->items);
    if (!i->items)
        return -ENOMEM;
    i->n = folder.n;
    for (size_t k = 0; k < i->n && r == 0; k++) {
        r = read_entry(i, dir, &folder.entries[k], &i->items[k], names);
        if (progress)
            progress(ctx, (int64_t)k + 1, (int64_t)i->n);
    }
    return r;
}

/* ---- writing */

static int write_item(struct db_conn *c, struct import_item *item)
{
    struct skill_write w = {.file = &item->skill};
    int r = skill_store_upsert(c, &w);
    if (r == 0)
        item->outcome = w.added ? SKILL_ADDED : w.changed ? SKILL_CHANGED : SKILL_UNCHANGED;
    return r;
}

static int write_links(struct db_conn *c, struct skills_import *i, struct import_item *item)
{
    size_t written = 0;
    bool changed = false;
    int r = skill_store_link(c, &item->skill, &written, &changed);
    i->relations += written;
    if (r == 0 && changed && item->outcome == SKILL_UNCHANGED)
        item->outcome = SKILL_CHANGED;
    return r;
}

/* May run again after it was undone, so it counts from nothing; notes of relations are made after. */
static int write_all(struct db_conn *c, void *arg)
{
    struct skills_import *i = arg;
    int r = 0;
    i->relations = 0;
    for (size_t k = 0; k < i->n && r == 0; k++)
        if (i->items[k].outcome != SKILL_SKIPPED)
            r = write_item(c, &i->items[k]);
    for (size_t k = 0; k < i->n && r == 0; k++)
        if (i->items[k].outcome != SKILL_SKIPPED)
            r = write_links(c, i, &i->items[k]);
    return r;
}

static void note_strangers(struct skills_import *i)
{
    for (size_t k = 0; k < i->n; k++) {
        struct skill_file *s = &i->items[k].skill;
        for (size_t l = 0; l < s->n_links && i->items[k].outcome != SKILL_SKIPPED; l++)
            if (s->links[l].stranger)
                skill_file_note(s, s->links[l].line, "there is no skill '%s', so that relation was left out",
                                s->links[l].name);
    }
}

static int write_import(struct db *db, struct skills_import *i)
{
    int r = db_write_long(db, write_all, i);
    if (r < 0)
        return r;
    note_strangers(i);
    for (size_t k = 0; k < i->n; k++)
        i->counts[i->items[k].outcome]++;
    return 0;
}

int skills_import_folder(struct db *db, const char *dir, skills_progress_fn progress, void *ctx,
                         struct skills_import *ret)
{
    *ret = (struct skills_import){0};
    arena_init(&ret->arena, ARENA_MAX);
    int r = read_folder(ret, dir, progress, ctx);
    return r == 0 ? write_import(db, ret) : r;
}

int skills_import_texts(struct db *db, const struct skill_text *texts, size_t n, struct skills_import *ret)
{
    *ret = (struct skills_import){.n = n};
    arena_init(&ret->arena, ARENA_MAX);
    ret->items = arena_alloc(&ret->arena, (n + 1) * sizeof *ret->items);
    int r = ret->items ? read_texts(ret, texts) : -ENOMEM;
    return r == 0 ? write_import(db, ret) : r;
}

int skills_import_shipped(struct db *db, struct skills_import *ret)
{
    struct skill_text texts[SHIPPED_SKILLS];
    for (size_t k = 0; k < SHIPPED_SKILLS; k++)
        texts[k] = (struct skill_text){shipped_skills[k].path, shipped_skills[k].text, shipped_skills[k].len};
    return skills_import_texts(db, texts, SHIPPED_SKILLS, ret);
}

void skills_import_free(struct skills_import *i)
{
    arena_free(&i->arena);
}

/* ---- report */

static bool is_taken(const struct import_item *item)
{
    return item->outcome != SKILL_SKIPPED;
}

static json_t *fault_json(const char *path, const struct front_fault *f)
{
    return json_pack("{s:s, s:i, s:s}", "file", path, "line", f->line, "reason", f->why);
}

json_t *skills_import_json(const struct skills_import *i)
{
    _cleanup_json_ json_t *taken = json_array(), *skipped = json_array(), *notes = json_array();
    for (size_t k = 0; k < i->n; k++) {
        const struct import_item *item = &i->items[k];
        int r = is_taken(item) ? json_array_append_new(taken, json_pack("{s:s, s:s, s:s}", "file", item->path,
                                                                        "name", item->skill.name, "outcome",
                                                                        outcome_names[item->outcome]))
                               : json_array_append_new(skipped, fault_json(item->path, &item->fault));
        for (size_t l = 0; is_taken(item) && l < item->skill.n_notes; l++)
            r |= json_array_append_new(notes, fault_json(item->path, &item->skill.notes[l]));
        if (r < 0)
            return NULL;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:O, s:O, s:O}", "added", (json_int_t)i->counts[SKILL_ADDED],
                     "changed", (json_int_t)i->counts[SKILL_CHANGED], "unchanged",
                     (json_int_t)i->counts[SKILL_UNCHANGED], "relations", (json_int_t)i->relations, "taken",
                     taken, "skipped", skipped, "notes", notes);
}

static void print_fault(FILE *to, const char *kind, const char *path, const struct front_fault *f)
{
    if (f->line > 0)
        (void)fprintf(to, "%s %s:%d: %s\n", kind, path, f->line, f->why);
    else
        (void)fprintf(to, "%s %s: %s\n", kind, path, f->why);
}

void skills_import_print(const struct skills_import *i, FILE *to)
{
    for (size_t k = 0; k < i->n; k++) {
        const struct import_item *item = &i->items[k];
        if (!is_taken(item))
            print_fault(to, "skipped", item->path, &item->fault);
        for (size_t l = 0; is_taken(item) && l < item->skill.n_notes; l++)
            print_fault(to, "note   ", item->path, &item->skill.notes[l]);
    }
    (void)fprintf(to, "%zu skills added, %zu changed, %zu unchanged; %zu files skipped; %zu relations.\n",
                  i->counts[SKILL_ADDED], i->counts[SKILL_CHANGED], i->counts[SKILL_UNCHANGED],
                  i->counts[SKILL_SKIPPED], i->relations);
}
