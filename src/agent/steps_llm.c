/* SPDX-License-Identifier: MIT */
/* Steps with the writer model and the user's memory. What comes from outside can't open an ACTION tag in a
 * prompt; the writer's own text is a result, and results are never scanned for tags. */
#include "agent/steps.h"

#include "agent/tags.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define ANSWER_MAX (64 * 1024)
#define ARENA_MAX (8 * 1024 * 1024)
#define RECALL_DEFAULT 5
#define RECALL_MOST 50
#define BYTES_PER_TOKEN 4

struct prompt {
    struct arena arena;
    struct llm_message messages[2];
    size_t n;
};

static void release_prompt(struct prompt *p)
{
    arena_free(&p->arena);
}

static int add_message(struct prompt *p, enum llm_speaker speaker, const char *text)
{
    char *broken = tags_break(&p->arena, text);
    if (!broken)
        return -ENOMEM;
    p->messages[p->n++] = (struct llm_message){.speaker = speaker, .text = broken};
    return 0;
}

/* Which model writes: the writer's, under another name where the step asks for one. */
static int choose_model(struct step_run *run, const json_t *config, struct llm_model *ret)
{
    bool admin = run->who->admin && !run->who->impersonated_by;
    struct llm_model model = llm_choose(run->env->llm, LLM_WRITER, admin);
    if (model.provider == LLM_EXTRACTIVE)
        return step_unavailable(run, "no language model is connected, so nothing can be written");
    model.name = json_str(config, "model", model.name);
    *ret = model;
    return 0;
}

static int build_prompt(struct step_run *run, const json_t *config, const struct llm_model *model,
                        struct prompt *p)
{
    const char *system = json_str(config, "system", ""), *text = json_str(config, "prompt", "");
    int64_t tokens = (int64_t)((strlen(system) + strlen(text)) / BYTES_PER_TOKEN);
    if (str_is_blank(text))
        return step_fail(run, -EINVAL, "The prompt is empty");
    if (tokens > model->window_tokens - model->window_tokens / 4)
        return step_fail(run, -EMSGSIZE, "The prompt is too long for the model");
    int r = system[0] ? add_message(p, LLM_SYSTEM, system) : 0;
    if (r == 0)
        r = add_message(p, LLM_USER, text);
    return r < 0 ? step_fail(run, r, "Out of memory") : 0;
}

static int check_result(struct step_run *run, int r, const struct llm_result *result)
{
    if (r == -EBUSY)
        return step_fail(run, r, "The language model is busy, try again shortly");
    if (r < 0)
        return step_fail(run, r, "Out of memory");
    if (result->outcome == LLM_OK)
        return 0;
    r = result->outcome == LLM_CANCELLED ? -ECANCELED : result->outcome == LLM_TIMEOUT ? -ETIMEDOUT : -EIO;
    return step_fail(run, r, "%s", result->error ? result->error : "The language model failed");
}

/* The text without the white space that models like to begin and end with. */
static json_t *trimmed(const char *text)
{
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    size_t len = strlen(text);
    while (len > 0 && strchr(space, text[len - 1]))
        len--;
    return json_stringn(text, len);
}

int step_llm_generate(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_(release_prompt) struct prompt p = {0};
    _cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
    struct llm_model model;
    struct llm_result result = {0};
    arena_init(&p.arena, ARENA_MAX);
    int r = choose_model(run, config, &model);
    if (r == 0)
        r = build_prompt(run, config, &model, &p);
    if (r < 0)
        return r;
    const struct llm_request request = {.model = model,
                                        .messages = p.messages,
                                        .n_messages = p.n,
                                        .temperature = json_num(config, "temperature", -1)};
    r = check_result(run, llm_complete(run->env->llm, &request, run->cancel, &out, &result), &result);
    if (r < 0)
        return r;
    const char *text = buf_str(&out);
    if (!text || str_is_blank(text))
        return step_fail(run, -EIO, "The language model gave no text");
    *ret = json_pack("{s:o, s:s}", "text", trimmed(text), "model", model.name);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

static json_t *memory_of(struct arena *a, const struct passage *p)
{
    char *title = tags_break(a, p->title ? p->title : ""), *text = tags_break(a, p->text ? p->text : "");
    return title && text ? json_pack("{s:s, s:s, s:s, s:s?, s:f}", "id", p->id, "title", title, "text", text,
                                     "kind", p->kind, "score", p->score)
                         : NULL;
}

/* {memories: […], text: the same for a prompt, best first}. */
static int memories(struct arena *a, const struct retrieval_result *found, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    _cleanup_buf_ struct buf text = BUF_INIT(ARENA_MAX);
    for (size_t i = 0; i < found->n; i++) {
        json_t *memory = memory_of(a, &found->passages[i]);
        if (!memory || json_array_append_new(list, memory) < 0)
            return -ENOMEM;
        (void)buf_addf(&text, "%s%s: %s", i ? "\n" : "", json_str(memory, "title", ""),
                       json_str(memory, "text", ""));
    }
    if (text.failed || !buf_str(&text))
        return -ENOMEM;
    *ret = json_pack("{s:O, s:s}", "memories", list, "text", buf_str(&text));
    return *ret ? 0 : -ENOMEM;
}

int step_memory_recall(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_(arena_free) struct arena arena;
    struct retrieval_result found;
    int64_t most = json_int(config, "limit", RECALL_DEFAULT);
    arena_init(&arena, ARENA_MAX);
    if (most < 1 || most > RECALL_MOST)
        return step_fail(run, -EINVAL, "\"limit\" must lie between 1 and %d", RECALL_MOST);
    int r = retrieval_find(run->env->retrieval, &arena, run->who->user_id, json_str(config, "query", ""),
                           (size_t)most, &found);
    if (r < 0)
        return step_fail(run, r, "The memory could not be searched, try again shortly");
    r = memories(&arena, &found, ret);
    return r < 0 ? step_fail(run, r, "Out of memory") : 0;
}
