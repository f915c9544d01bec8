/* SPDX-License-Identifier: MIT */
/* The table of step types. A type with side effects may run only in a flow whose row allows them: it deletes
 * (directus_delete), publishes (a write to scheduled_posts that is no draft), or sends to another host
 * (http_request, directus_trigger, a browser that opens a page or acts on one, a job that does). Reading a
 * page that is already open, the language model and the user's own memory are not: they go to services of
 * this installation alone. */
#include "agent/steps.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define TIME_SLACK_MS 1000

#define TEXT (1u << JSON_STRING)
#define INTEGER (1u << JSON_INTEGER)
#define NUMBER (1u << JSON_INTEGER | 1u << JSON_REAL)
#define OBJECT (1u << JSON_OBJECT)
#define LIST (1u << JSON_ARRAY)
#define ANYTHING (~0u)
#define REQUIRED true

/* Only media operations stay on this machine. */
static unsigned enqueue_effects(const json_t *config)
{
    return str_equal(json_str(config, "queue", NULL), "media-jobs") ? STEP_READS : STEP_SIDE_EFFECTS;
}

static const struct step_type types[] = {
    {.name = "directus_read",
     .run = step_directus_read,
     .fields = {{"collection", TEXT, REQUIRED},
                {"id", TEXT, false},
                {"filter", OBJECT, false},
                {"fields", LIST | TEXT, false},
                {"sort", LIST | TEXT, false},
                {"limit", INTEGER, false}}},
    {.name = "directus_search",
     .run = step_directus_search,
     .fields = {{"collection", TEXT, REQUIRED},
                {"query", TEXT, REQUIRED},
                {"filter", OBJECT, false},
                {"fields", LIST | TEXT, false},
                {"sort", LIST | TEXT, false},
                {"limit", INTEGER, false}}},
    {.name = "directus_write",
     .effects = STEP_WRITES,
     .more_effects = step_directus_effects,
     .run = step_directus_write,
     .fields = {{"collection", TEXT, REQUIRED}, {"data", OBJECT | LIST, REQUIRED}}},
    {.name = "directus_update",
     .effects = STEP_WRITES,
     .more_effects = step_directus_effects,
     .run = step_directus_update,
     .fields = {{"collection", TEXT, REQUIRED}, {"id", TEXT | LIST, REQUIRED}, {"data", OBJECT, REQUIRED}}},
    {.name = "directus_delete",
     .effects = STEP_WRITES | STEP_SIDE_EFFECTS,
     .run = step_directus_delete,
     .fields = {{"collection", TEXT, REQUIRED}, {"id", TEXT | LIST, REQUIRED}}},
    {.name = "directus_trigger",
     .effects = STEP_WRITES | STEP_SIDE_EFFECTS,
     .unavailable = "no Directus server is connected to this installation",
     .fields = {{"id", TEXT, REQUIRED}, {"data", ANYTHING, false}}},
    {.name = "stagehand_start",
     .run = step_stagehand_start,
     .fields = {{"model", TEXT, false}, {"browser", OBJECT, false}}},
    {.name = "stagehand_navigate",
     .effects = STEP_SIDE_EFFECTS,
     .run = step_stagehand_navigate,
     .fields = {{"sessionId", TEXT, REQUIRED}, {"url", TEXT, REQUIRED}}},
    {.name = "stagehand_act",
     .effects = STEP_SIDE_EFFECTS,
     .run = step_stagehand_act,
     .fields = {{"sessionId", TEXT, REQUIRED}, {"action", TEXT, REQUIRED}}},
    {.name = "stagehand_extract",
     .run = step_stagehand_extract,
     .fields = {{"sessionId", TEXT, REQUIRED}, {"instruction", TEXT, false}, {"schema", OBJECT, false}}},
    {.name = "stagehand_observe",
     .run = step_stagehand_observe,
     .fields = {{"sessionId", TEXT, REQUIRED}, {"instruction", TEXT, false}}},
    {.name = "stagehand_screenshot",
     .run = step_stagehand_screenshot,
     .fields = {{"sessionId", TEXT, REQUIRED}}},
    {.name = "stagehand_close", .run = step_stagehand_close, .fields = {{"sessionId", TEXT, REQUIRED}}},
    {.name = "bullmq_enqueue",
     .effects = STEP_WRITES,
     .more_effects = enqueue_effects,
     .run = step_bullmq_enqueue,
     .fields = {{"queue", TEXT, REQUIRED}, {"operation", TEXT, REQUIRED}, {"params", OBJECT, false}}},
    {.name = "llm_generate",
     .run = step_llm_generate,
     .fields = {{"prompt", TEXT, REQUIRED},
                {"system", TEXT, false},
                {"model", TEXT, false},
                {"temperature", NUMBER, false}}},
    {.name = "memory_recall",
     .run = step_memory_recall,
     .fields = {{"query", TEXT, REQUIRED}, {"limit", INTEGER, false}}},
    {.name = "skills_activate",
     .unavailable = "this installation has no skill graph",
     .fields = {{"query", TEXT, REQUIRED}}},
    {.name = "taxonomy_tag",
     .unavailable = "this installation has no taxonomy",
     .fields = {{"text", TEXT, REQUIRED}}},
    {.name = "http_request",
     .effects = STEP_SIDE_EFFECTS,
     .run = step_http_request,
     .fields = {{"url", TEXT, REQUIRED},
                {"method", TEXT, false},
                {"headers", OBJECT, false},
                {"body", ANYTHING, false}}},
    {.name = "condition",
     .fields = {{"if", OBJECT, REQUIRED}, {"then", LIST, REQUIRED}, {"else", LIST, false}}},
};

const struct step_type *step_type_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_equal(types[i].name, name))
            return &types[i];
    return NULL;
}

static const char *types_text(unsigned set)
{
    static const struct {
        unsigned set;
        const char *text;
    } names[] = {
        {TEXT, "a text"},
        {INTEGER, "a whole number"},
        {NUMBER, "a number"},
        {OBJECT, "an object"},
        {LIST, "a list"},
        {TEXT | LIST, "a text or a list"},
        {OBJECT | LIST, "an object or a list"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].set == set)
            return names[i].text;
    return "something else";
}

int step_check_fields(const struct step_type *type, const json_t *config, bool filled, char *error,
                      size_t size)
{
    for (const struct step_field *f = type->fields; f->name; f++) {
        const json_t *value = json_object_get(config, f->name);
        if (!value && f->required) {
            (void)snprintf(error, size, "%s needs \"%s\" in its config", type->name, f->name);
            return -EINVAL;
        }
        if (value && filled && !(f->types & 1u << json_typeof(value))) {
            (void)snprintf(error, size, "\"%s\" of %s must be %s", f->name, type->name, types_text(f->types));
            return -EINVAL;
        }
    }
    return 0;
}

int step_fail(struct step_run *run, int r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(run->error, sizeof run->error, fmt, ap);
    va_end(ap);
    return r;
}

int step_unavailable(struct step_run *run, const char *why)
{
    return step_fail(run, -ENOTSUP, "step_unavailable: %s", why);
}

int64_t step_time_left(const struct step_run *run)
{
    int64_t left = run->deadline_ms - clock_monotonic_ms();
    return (left > 0 ? left : 0) + TIME_SLACK_MS;
}
