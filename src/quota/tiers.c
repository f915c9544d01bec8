/* SPDX-License-Identifier: MIT */
/* The file is walked by hand and not by descriptors, since its keys are data: every one must be known, and
 * every known one must be there. Whatever is wrong ends the walk with its place: "tiers.pro.ai_clip_ops must
 * be …". */
#include "quota/tiers.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define ALIASES_MAX 32
#define ARENA_MAX ((size_t)64 * 1024)
#define FREE "free"

const struct feature_info features[FEATURES] = {
    [FEATURE_CAPTIONS] = {.key = "caption_generator"},
    [FEATURE_TAXONOMY] = {.key = "taxonomy_ai_calls"},
    [FEATURE_MEDIA] = {.key = "ai_clip_ops"},
    [FEATURE_SCHEDULED_POSTS] = {.key = "scheduled_queue_size", .level = true},
    [FEATURE_CHAT] = {.key = "chat_messages", .optional = true},
};

static const char *const tier_names[TIERS] = {
    [TIER_STARTER] = "starter", [TIER_CREATOR] = "creator", [TIER_PRO] = "pro", [TIER_STUDIO] = "studio"};

/* Every operation of a media job: one that the file forgets would be neither counted nor refused. */
static const char *const operations[] = {
    "convert_image",  "resize_image",
    "crop_image",     "resize_video",
    "crop_video",     "compress_video",
    "download_video", "trim_videos",
    "join_videos",    "apply_watermark",
    "create_teaser",  "strip_metadata",
    "ytdlp_info",     "apply_steganographic_watermark",
};
#define OPERATIONS ARRAY_LEN(operations)

/* Stored tiers may have these names, so the file must say what they stand for; without one it is these. */
static const char *const needed_aliases[] = {"freemium", "elite"};
static const enum tier usual_tiers[ARRAY_LEN(needed_aliases)] = {TIER_STARTER, TIER_STUDIO};

struct tiers {
    atomic_int references;
    struct arena texts;
    const char *shown_as[FEATURES], *labels[FEATURES];
    int64_t limits[TIERS][FEATURES];
    bool counted[TIERS][FEATURES];
    struct {
        const char *name;
        enum tier tier;
    } aliases[ALIASES_MAX];
    size_t n_aliases;
    enum feature operations[OPERATIONS];
};

struct parse {
    struct tiers *tiers;
    char *error; /* of TIERS_ERROR_MAX */
};

static int fail(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct parse *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vprintf(p->error, TIERS_ERROR_MAX, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static int no_memory(struct parse *p)
{
    (void)fail(p, "there is not enough memory to read it");
    return -ENOMEM;
}

/* ---- names */

const char *tier_name(enum tier tier)
{
    return tier_names[tier];
}

static int find_name(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(names[i], name))
            return (int)i;
    return -1;
}

static int find_feature(const char *key)
{
    for (int f = 0; f < FEATURES; f++)
        if (str_equal(features[f].key, key))
            return f;
    return -1;
}

/* ---- reading */

/* A name or label: printable, of a bearable length; copied into the snapshot. */
static int take_text(struct parse *p, const json_t *value, const char *where, const char *key,
                     const char **ret)
{
    const char *text = json_string_value(value);
    if (!text)
        return fail(p, "%s.%s must be a text", where, key);
    if (str_is_blank(text) || strlen(text) > TIERS_NAME_MAX)
        return fail(p, "%s.%s must have 1 to %d characters", where, key, TIERS_NAME_MAX);
    for (const char *s = text; *s; s++)
        if ((unsigned char)*s < ' ')
            return fail(p, "%s.%s holds a control character", where, key);
    *ret = arena_strdup(&p->tiers->texts, text);
    return *ret ? 0 : no_memory(p);
}

static int read_feature(struct parse *p, const char *name, const json_t *value)
{
    char where[96];
    const char *key;
    json_t *field;
    int f = find_feature(name), r = 0;
    if (f < 0)
        return fail(p, "features.%.64s is no feature", name);
    (void)snprintf(where, sizeof where, "features.%s", name);
    if (!json_is_object(value))
        return fail(p, "%s must be an object", where);
    json_object_foreach ((json_t *)value, key, field) {
        if (str_equal(key, "label"))
            r = take_text(p, field, where, key, &p->tiers->labels[f]);
        else if (str_equal(key, "shown_as") && !features[f].level)
            r = take_text(p, field, where, key, &p->tiers->shown_as[f]);
        else
            return fail(p, "%s.%.64s is unknown: a feature has a label and, unless it is a level, shown_as",
                        where, key);
        if (r < 0)
            return r;
    }
    if (!p->tiers->labels[f])
        return fail(p, "%s.label is missing", where);
    return p->tiers->shown_as[f] || features[f].level ? 0 : fail(p, "%s.shown_as is missing", where);
}

/* The one that may be left out has names all the same. */
static int complete_features(struct parse *p)
{
    for (int f = 0; f < FEATURES; f++) {
        if (p->tiers->labels[f])
            continue;
        if (!features[f].optional)
            return fail(p, "features.%s is missing", features[f].key);
        p->tiers->shown_as[f] = features[f].key;
        p->tiers->labels[f] = "chat messages";
    }
    return 0;
}

/* A name means one thing: it may be given to /api/usage/increment. */
static int check_shown(struct parse *p)
{
    const struct tiers *t = p->tiers;
    for (int f = 0; f < FEATURES; f++) {
        const char *shown = t->shown_as[f];
        int other = shown ? find_feature(shown) : -1;
        bool taken = other >= 0 && other != f;
        for (int g = 0; g < f && shown; g++)
            taken |= str_equal(shown, t->shown_as[g]);
        if (taken || (shown && find_name(operations, OPERATIONS, shown) >= 0))
            return fail(p, "features.%s.shown_as is %s, which is the name of something else", features[f].key,
                        shown);
    }
    return 0;
}

static int read_limit(struct parse *p, const char *tier, int t, const char *name, const json_t *value)
{
    int f = find_feature(name);
    if (f < 0)
        return fail(p, "tiers.%s.%.64s is no feature", tier, name);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < TIERS_UNLIMITED || n > TIERS_LIMIT_MAX)
        return fail(p, "tiers.%s.%s must be a whole number from -1 (unlimited) to %d", tier, name,
                    TIERS_LIMIT_MAX);
    p->tiers->limits[t][f] = n;
    p->tiers->counted[t][f] = true;
    return 0;
}

static int read_tier(struct parse *p, const char *name, const json_t *value)
{
    const char *key;
    json_t *limit;
    int t = find_name(tier_names, TIERS, name), r;
    if (t < 0)
        return fail(p, "tiers.%.64s is no tier: there are starter, creator, pro and studio", name);
    if (!json_is_object(value))
        return fail(p, "tiers.%s must be an object", name);
    for (int f = 0; f < FEATURES; f++)
        p->tiers->limits[t][f] = TIERS_UNLIMITED;
    json_object_foreach ((json_t *)value, key, limit) {
        r = read_limit(p, name, t, key, limit);
        if (r < 0)
            return r;
    }
    for (int f = 0; f < FEATURES; f++)
        if (!p->tiers->counted[t][f] && !features[f].optional)
            return fail(p, "tiers.%s.%s is missing", name, features[f].key);
    return 0;
}

static int read_alias(struct parse *p, const char *name, const json_t *value)
{
    struct tiers *tiers = p->tiers;
    int t = find_name(tier_names, TIERS, json_string_value(value));
    if (find_name(tier_names, TIERS, name) >= 0)
        return fail(p, "aliases.%s is a tier itself", name);
    if (t < 0)
        return fail(p, "aliases.%.64s must name a tier: starter, creator, pro or studio", name);
    if (tiers->n_aliases == ALIASES_MAX)
        return fail(p, "aliases holds more than %d names", ALIASES_MAX);
    if (name[0] == '\0' || strlen(name) > TIERS_NAME_MAX)
        return fail(p, "aliases.%.64s must have 1 to %d characters", name, TIERS_NAME_MAX);
    const char *copy = arena_strdup(&tiers->texts, name);
    if (!copy)
        return no_memory(p);
    tiers->aliases[tiers->n_aliases].name = copy;
    tiers->aliases[tiers->n_aliases++].tier = (enum tier)t;
    return 0;
}

static int read_operation(struct parse *p, const char *name, const json_t *value)
{
    int o = find_name(operations, OPERATIONS, name);
    const char *feature = json_string_value(value);
    int f = find_feature(feature);
    if (o < 0)
        return fail(p, "operations.%.64s is no operation", name);
    if (str_equal(feature, FREE))
        f = FEATURE_FREE;
    else if (f < 0 || features[f].level || features[f].optional)
        return fail(p, "operations.%s must name a counted feature, or \"" FREE "\"", name);
    p->tiers->operations[o] = (enum feature)f;
    return 0;
}

typedef int (*read_fn)(struct parse *p, const char *name, const json_t *value);

/* Reads the members of a section, then asks for those that must be there. */
static int read_section(struct parse *p, const json_t *root, const char *section, read_fn read,
                        const char *const *needed, size_t n_needed)
{
    json_t *object = json_object_get(root, section), *value;
    const char *key;
    if (!object)
        return fail(p, "%s is missing", section);
    if (!json_is_object(object))
        return fail(p, "%s must be an object", section);
    json_object_foreach (object, key, value) {
        int r = read(p, key, value);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < n_needed; i++)
        if (!json_object_get(object, needed[i]))
            return fail(p, "%s.%s is missing", section, needed[i]);
    return 0;
}

static int check_sections(struct parse *p, const json_t *root)
{
    static const char *const known[] = {"features", "tiers", "aliases", "operations"};
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        return fail(p, "the file must be a JSON object");
    json_object_foreach ((json_t *)root, key, value)
        if (find_name(known, ARRAY_LEN(known), key) < 0)
            return fail(p, "%.64s is unknown: the file has features, tiers, aliases and operations", key);
    return 0;
}

static int read_all(struct parse *p, const json_t *root)
{
    int r = check_sections(p, root);
    if (r == 0)
        r = read_section(p, root, "features", read_feature, NULL, 0);
    if (r == 0)
        r = complete_features(p);
    if (r == 0)
        r = check_shown(p);
    if (r == 0)
        r = read_section(p, root, "tiers", read_tier, tier_names, TIERS);
    if (r == 0)
        r = read_section(p, root, "aliases", read_alias, needed_aliases, ARRAY_LEN(needed_aliases));
    if (r == 0)
        r = read_section(p, root, "operations", read_operation, operations, OPERATIONS);
    return r;
}

/* Why the text isn't JSON; jansson says where, within the limits that json_parse sets. */
static int fail_syntax(struct parse *p, const char *text, size_t len)
{
    json_error_t where;
    _cleanup_json_ json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (value || !utf8_valid(where.text, strlen(where.text)))
        return fail(p, "it is not JSON that can be read: it holds a NUL, or is nested too deeply");
    return fail(p, "line %d, column %d: %s", where.line, where.column, where.text);
}

int tiers_parse(const char *text, size_t len, struct tiers **ret, char *ret_error)
{
    struct parse p = {.error = ret_error};
    if (len > TIERS_BYTES_MAX)
        return fail(&p, "it has more than %d bytes", TIERS_BYTES_MAX);
    _cleanup_json_ json_t *root = json_parse(text, len);
    if (!root)
        return fail_syntax(&p, text, len);
    _cleanup_(tiers_unrefP) struct tiers *tiers = calloc(1, sizeof *tiers);
    if (!tiers)
        return no_memory(&p);
    atomic_init(&tiers->references, 1);
    arena_init(&tiers->texts, ARENA_MAX);
    p.tiers = tiers;
    int r = read_all(&p, root);
    if (r == 0)
        *ret = TAKE_PTR(tiers);
    return r;
}

/* ---- asking */

struct tiers *tiers_ref(struct tiers *tiers)
{
    atomic_fetch_add(&tiers->references, 1);
    return tiers;
}

void tiers_unref(struct tiers *tiers)
{
    if (!tiers || atomic_fetch_sub(&tiers->references, 1) != 1)
        return;
    arena_free(&tiers->texts);
    free(tiers);
}

enum tier tier_of(const char *stored)
{
    int t = stored ? find_name(tier_names, TIERS, stored) : -1;
    int a = stored ? find_name(needed_aliases, ARRAY_LEN(needed_aliases), stored) : -1;
    return t >= 0 ? (enum tier)t : a >= 0 ? usual_tiers[a] : TIER_STARTER;
}

int tiers_named(const struct tiers *tiers, const char *name, enum tier *ret)
{
    int t = find_name(tier_names, TIERS, name);
    for (size_t i = 0; i < tiers->n_aliases && t < 0; i++)
        if (str_equal(tiers->aliases[i].name, name))
            t = (int)tiers->aliases[i].tier;
    if (t < 0)
        return -ENOENT;
    *ret = (enum tier)t;
    return 0;
}

enum tier tiers_find(const struct tiers *tiers, const char *stored)
{
    enum tier found = TIER_STARTER;
    if (stored)
        (void)tiers_named(tiers, stored, &found);
    return found;
}

const char *tiers_alias(const struct tiers *tiers, size_t i, enum tier *ret)
{
    if (i >= tiers->n_aliases)
        return NULL;
    *ret = tiers->aliases[i].tier;
    return tiers->aliases[i].name;
}

int64_t tiers_limit(const struct tiers *tiers, enum tier tier, enum feature feature)
{
    return tiers->limits[tier][feature];
}

bool tiers_counts(const struct tiers *tiers, enum tier tier, enum feature feature)
{
    return tiers->counted[tier][feature];
}

bool tiers_count_anywhere(const struct tiers *tiers, enum feature feature)
{
    bool any = false;
    for (int t = 0; t < TIERS; t++)
        any |= tiers->counted[t][feature];
    return any;
}

const char *tiers_shown_as(const struct tiers *tiers, enum feature feature)
{
    return tiers->shown_as[feature];
}

const char *tiers_label(const struct tiers *tiers, enum feature feature)
{
    return tiers->labels[feature];
}

int tiers_resolve(const struct tiers *tiers, const char *name, enum feature *ret)
{
    int o = find_name(operations, OPERATIONS, name), f = find_feature(name);
    for (int g = 0; g < FEATURES && f < 0; g++)
        if (str_equal(tiers->shown_as[g], name))
            f = g;
    if (o < 0 && f < 0)
        return -ENOENT;
    *ret = o >= 0 ? tiers->operations[o] : (enum feature)f;
    return 0;
}

/* ---- printing */

static json_t *print_features(const struct tiers *tiers)
{
    json_t *all = json_object();
    for (int f = 0; f < FEATURES; f++) {
        json_t *one = json_object();
        if (tiers->shown_as[f])
            (void)json_object_set_new(one, "shown_as", json_string(tiers->shown_as[f]));
        (void)json_object_set_new(one, "label", json_string(tiers->labels[f]));
        (void)json_object_set_new(all, features[f].key, one);
    }
    return all;
}

static json_t *print_tiers(const struct tiers *tiers)
{
    json_t *all = json_object();
    for (int t = 0; t < TIERS; t++) {
        json_t *limits = json_object();
        for (int f = 0; f < FEATURES; f++)
            if (tiers->counted[t][f])
                (void)json_object_set_new(limits, features[f].key, json_integer(tiers->limits[t][f]));
        (void)json_object_set_new(all, tier_names[t], limits);
    }
    return all;
}

static json_t *print_aliases(const struct tiers *tiers)
{
    json_t *all = json_object();
    for (size_t i = 0; i < tiers->n_aliases; i++)
        (void)json_object_set_new(all, tiers->aliases[i].name,
                                  json_string(tier_names[tiers->aliases[i].tier]));
    return all;
}

static json_t *print_operations(const struct tiers *tiers)
{
    json_t *all = json_object();
    for (size_t o = 0; o < OPERATIONS; o++) {
        enum feature f = tiers->operations[o];
        (void)json_object_set_new(all, operations[o],
                                  json_string(f == FEATURE_FREE ? FREE : features[f].key));
    }
    return all;
}

int tiers_print(const struct tiers *tiers, struct buf *out)
{
    _cleanup_json_ json_t *all =
        json_pack("{s:o, s:o, s:o, s:o}", "features", print_features(tiers), "tiers", print_tiers(tiers),
                  "aliases", print_aliases(tiers), "operations", print_operations(tiers));
    _cleanup_free_ char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    return text ? buf_addf(out, "%s\n", text) : -ENOMEM;
}
