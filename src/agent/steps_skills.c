/* SPDX-License-Identifier: MIT */
/* The step that finds skills for a task. What it gives may go into a prompt, so openers of ACTION tags are
 * broken in it. */
#include "agent/steps.h"

#include "agent/tags.h"
#include "base/text.h"

#include <errno.h>

#define ARENA_MAX (8 * 1024 * 1024)
#define SKILLS_DEFAULT 5

struct activation {
    struct arena arena;
    struct skill_set *set;
    struct skill_activation found;
};

static void release(struct activation *a)
{
    arena_free(&a->arena);
    skill_set_unref(a->set);
}

static int activate(struct step_run *run, const char *query, size_t most, struct activation *a)
{
    int r = skills_take(run->env->skills, &a->set);
    struct skill_scratch *scratch = r == 0 ? skill_scratch_take(a->set) : NULL;
    if (!scratch)
        return r < 0 ? r : -ENOMEM;
    skill_activate(a->set, scratch, query, most, &a->found);
    skill_scratch_give(a->set, scratch);
    return 0;
}

static json_t *skill_of(struct activation *a, const struct skill_hit *hit)
{
    const struct skill *k = &a->set->skills[hit->skill];
    const char *name = tags_break(&a->arena, k->name), *what = tags_break(&a->arena, k->description),
               *text = tags_break(&a->arena, k->content);
    return name && what && text ? json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:i}", "id", k->id, "name", name,
                                            "category", k->category, "description", what, "content", text,
                                            "activation_score", hit->score, "hops", hit->hops)
                                : NULL;
}

/* {skills: [...], text: the same for a prompt, best first}. */
static int result_of(struct activation *a, json_t **ret)
{
    _cleanup_json_ json_t *list = json_array();
    _cleanup_buf_ struct buf text = BUF_INIT(ARENA_MAX);
    for (size_t i = 0; i < a->found.n; i++) {
        json_t *skill = skill_of(a, &a->found.hits[i]);
        if (!skill || json_array_append_new(list, skill) < 0)
            return -ENOMEM;
        (void)buf_addf(&text, "%s## %s\n%s\n\n%s", i ? "\n\n" : "", json_str(skill, "name", ""),
                       json_str(skill, "description", ""), json_str(skill, "content", ""));
    }
    if (text.failed || !buf_str(&text))
        return -ENOMEM;
    *ret = json_pack("{s:O, s:s}", "skills", list, "text", buf_str(&text));
    return *ret ? 0 : -ENOMEM;
}

int step_skills_activate(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_(release) struct activation a = {0};
    int64_t most = json_int(config, "limit", SKILLS_DEFAULT);
    arena_init(&a.arena, ARENA_MAX);
    if (most < 1 || most > SKILL_HITS_MOST)
        return step_fail(run, -EINVAL, "\"limit\" must lie between 1 and %d", SKILL_HITS_MOST);
    int r = activate(run, json_str(config, "query", ""), (size_t)most, &a);
    if (r < 0)
        return step_fail(run, r, "The skills could not be read, try again shortly");
    r = result_of(&a, ret);
    return r < 0 ? step_fail(run, r, "Out of memory") : 0;
}
