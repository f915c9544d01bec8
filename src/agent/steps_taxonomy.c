/* SPDX-License-Identifier: MIT */
/* taxonomy_tag: the tags of a text by the taxonomy's index, and, where a language model is connected and the
 * plan has units left, chosen from those and their neighbours by the model. The model may only choose: a name
 * that wasn't offered is left out. What can't be refined is what the index says, with the reason. */
#include "agent/steps.h"

#include "agent/tags.h"
#include "base/log.h"
#include "base/text.h"
#include "taxonomy/learn.h"
#include "taxonomy/names.h"

#include <errno.h>
#include <string.h>

#define ARENA_MAX ((size_t)2 << 20)
#define ANSWER_MAX (16 * 1024)
#define TEXT_MAX ((size_t)8 << 10) /* bytes of the text that the model is shown */
#define LEASE_MS (15 * 60 * 1000)

static const char instruction[] =
    "You choose tags for a text of a content creator. Choose only from the list that you are given, at most "
    "12, those that fit best first. Answer with a JSON array of their names and nothing else.";

struct tagging {
    struct step_run *run;
    struct arena arena;
    struct taxonomy_answer found;
    struct taxonomy_terms tags; /* what is answered */
    size_t most;
    bool refined;
    const char *reason; /* why not; NULL where it wasn't wanted */
};

static void release(struct tagging *g)
{
    arena_free(&g->arena);
}

/* ---- asking the model */

static int add_names(struct buf *b, const struct taxonomy_terms *terms)
{
    for (size_t i = 0; i < terms->n; i++)
        (void)buf_addf(b, "%s%s", b->data[b->len - 1] == '\n' ? "" : ", ", terms->items[i].name);
    return b->failed ? -ENOMEM : 0;
}

static char *question(struct tagging *g, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 * 1024);
    size_t len = utf8_floor(text, strlen(text), TEXT_MAX);
    (void)buf_addf(&b, "Text:\n%.*s\n\nList:\n", (int)len, text);
    if (b.failed || add_names(&b, &g->found.tags) < 0 || add_names(&b, &g->found.neighbours) < 0)
        return NULL;
    return tags_break(&g->arena, buf_str(&b));
}

static const struct taxonomy_term *find_term(const struct taxonomy_terms *terms, const char *name)
{
    for (size_t i = 0; i < terms->n; i++)
        if (strcmp(terms->items[i].name, name) == 0)
            return &terms->items[i];
    return NULL;
}

/* The term of that name among what was offered, once. */
static const struct taxonomy_term *choose(const struct tagging *g, const json_t *said,
                                          const struct taxonomy_terms *chosen)
{
    char name[TAXONOMY_NAME_MAX + 1];
    if (!json_is_string(said) ||
        taxonomy_normalise(json_string_value(said), json_string_length(said), name) < 0 ||
        find_term(chosen, name))
        return NULL;
    const struct taxonomy_term *term = find_term(&g->found.tags, name);
    return term ? term : find_term(&g->found.neighbours, name);
}

/* The list that the model's text holds. Models like to write around it. */
static json_t *list_in(const char *text)
{
    const char *begin = strchr(text, '['), *end = begin ? strrchr(begin, ']') : NULL;
    json_t *list = end ? json_parse(begin, (size_t)(end - begin) + 1) : NULL;
    if (json_is_array(list))
        return list;
    json_decref(list);
    return NULL;
}

/* Takes over what the model chose; false where that is nothing. */
static bool take_choice(struct tagging *g, const char *text)
{
    _cleanup_json_ json_t *list = list_in(text);
    struct taxonomy_term *items = arena_alloc(&g->arena, (g->most + 1) * sizeof *items);
    struct taxonomy_terms chosen = {items, 0};
    for (size_t i = 0; items && i < json_array_size(list) && chosen.n < g->most; i++) {
        const struct taxonomy_term *term = choose(g, json_array_get(list, i), &chosen);
        if (term)
            items[chosen.n++] = *term;
    }
    if (chosen.n == 0)
        return false;
    g->tags = chosen;
    return true;
}

static int ask_model(struct tagging *g, const struct llm_model *model, const char *text)
{
    _cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
    struct llm_result result = {0};
    char *asked = question(g, text);
    if (!asked)
        return -ENOMEM;
    struct llm_message messages[] = {{.speaker = LLM_SYSTEM, .text = instruction},
                                     {.speaker = LLM_USER, .text = asked}};
    const struct llm_request request = {
        .model = *model, .messages = messages, .n_messages = ARRAY_LEN(messages), .temperature = 0};
    int r = llm_complete(g->run->env->llm, &request, g->run->cancel, &out, &result);
    if (r < 0 || result.outcome != LLM_OK)
        return result.outcome == LLM_CANCELLED && r == 0 ? -ECANCELED : -EIO;
    const char *said = buf_str(&out);
    return said && take_choice(g, said) ? 0 : -EIO;
}

/* A unit is taken before the model is asked, and given back where that came to nothing. */
static int refine_counted(struct tagging *g, const struct llm_model *model, const char *text)
{
    const struct step_run *run = g->run;
    struct quota_outcome outcome;
    struct quota_ask ask = {.user_id = run->who->user_id, .feature = FEATURE_TAXONOMY, .amount = 1};
    char hold[UUID_SIZE];
    uuid_make(hold);
    if (quota_reserve(run->env->quota, &ask, hold, LEASE_MS, &outcome) < 0)
        quota_fail(run->env->quota, ask.feature, &outcome);
    if (!outcome.allowed) {
        g->reason = quota_reason_name(outcome.reason);
        return 0;
    }
    int r = ask_model(g, model, text);
    int settled =
        quota_settle(run->env->quota, run->who->user_id, hold, r == 0 ? QUOTA_KEEP_ALL : QUOTA_RETURN_ALL);
    if (settled < 0)
        (void)log_error(settled, "taxonomy_tag: the unit goes back when its lease ends");
    g->refined = r == 0;
    g->reason = r == 0 ? NULL : "model_failed";
    return r == -ECANCELED ? r : 0;
}

static int refine(struct tagging *g, const char *text)
{
    const struct action_env *env = g->run->env;
    const struct identity *who = g->run->who;
    g->reason = "no_model";
    if (!env->llm || !env->quota)
        return 0;
    struct llm_model model = llm_choose(env->llm, LLM_WRITER, who->admin && !who->impersonated_by);
    if (model.provider == LLM_EXTRACTIVE)
        return 0;
    g->reason = "nothing_found";
    return g->found.tags.n > 0 ? refine_counted(g, &model, text) : 0;
}

/* ---- the answer */

static json_t *describe(const struct taxonomy_terms *terms)
{
    json_t *list = json_array();
    for (size_t i = 0; i < terms->n; i++) {
        const struct taxonomy_term *t = &terms->items[i];
        json_t *one =
            json_pack("{s:s, s:f, s:s?}", "tag", t->name, "score", t->score, "dimension", t->dimension);
        if (!list || !one || json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *names_of(const struct taxonomy_terms *terms)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < terms->n; i++)
        if (json_array_append_new(list, json_string(terms->items[i].name)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static int answer(struct tagging *g, json_t **ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(16 * 1024);
    for (size_t i = 0; i < g->tags.n; i++)
        (void)buf_addf(&text, "%s%s", i ? ", " : "", g->tags.items[i].name);
    const char *line = buf_str(&text);
    json_t *tags = describe(&g->tags), *concepts = names_of(&g->found.super_concepts);
    if (!line || !tags || !concepts) {
        json_decref(tags);
        json_decref(concepts);
        return -ENOMEM;
    }
    *ret = json_pack("{s:o, s:o, s:s, s:b, s:s?}", "tags", tags, "super_concepts", concepts, "text", line,
                     "refined", g->refined, "reason", g->reason);
    return *ret ? 0 : -ENOMEM;
}

static int find_tags(struct tagging *g, const char *text)
{
    struct step_run *run = g->run;
    if (!run->env->taxonomy)
        return step_unavailable(run, "this installation has no taxonomy");
    int r = taxonomy_tag(run->env->taxonomy, &g->arena, text, &g->found);
    if (r == -ENODATA)
        return step_unavailable(run, "the taxonomy is empty: `genie taxonomy import` brings one in");
    if (r < 0)
        return step_fail(run, r, "The taxonomy could not be read, try again shortly");
    g->tags = g->found.tags;
    if (g->tags.n > g->most)
        g->tags.n = g->most;
    return 0;
}

int step_taxonomy_tag(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_(release) struct tagging g = {.run = run};
    const char *text = json_str(config, "text", "");
    int64_t most = json_int(config, "limit", TAXONOMY_TAGS_MOST);
    arena_init(&g.arena, ARENA_MAX);
    if (str_is_blank(text))
        return step_fail(run, -EINVAL, "There is no text to tag");
    if (most < 1 || most > TAXONOMY_TAGS_MOST)
        return step_fail(run, -EINVAL, "\"limit\" must lie between 1 and %d", TAXONOMY_TAGS_MOST);
    g.most = (size_t)most;
    int r = find_tags(&g, text);
    if (r == 0 && json_bool(config, "refine", true))
        r = refine(&g, text);
    if (r == -ECANCELED)
        return step_fail(run, r, "The step was cancelled");
    if (r < 0)
        return r;
    r = taxonomy_remember(run->env->db, &g.tags);
    if (r < 0) /* one set fewer to learn from */
        (void)log_error(r, "taxonomy_tag: what was tagged can't be kept");
    r = answer(&g, ret);
    return r < 0 ? step_fail(run, r, "Out of memory") : 0;
}
