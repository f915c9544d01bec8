/* SPDX-License-Identifier: MIT */
/* Browser steps (browser/browser.h). A session belongs to the flow that opened it: no other id is accepted,
 * and what the flow leaves open is ended with it. */
#include "agent/steps.h"

#include "browser/browser.h"

#include <errno.h>
#include <string.h>

static struct browser browser_of(const struct step_run *run)
{
    return (struct browser){.cfg = run->env->cfg, .cancel = run->cancel, .limit_ms = step_time_left(run)};
}

/* What the service lacks is told apart from what failed. */
static int conclude(struct step_run *run, const struct browser *b, int r)
{
    if (r == -ENODEV || r == -ECONNREFUSED || r == -ENOENT)
        return step_unavailable(run, b->error);
    return r < 0 ? step_fail(run, r, "%s", b->error) : 0;
}

static char *find_session(struct stagehand_sessions *sessions, const char *id)
{
    for (size_t i = 0; i < sessions->n; i++)
        if (strcmp(sessions->ids[i], id) == 0)
            return sessions->ids[i];
    return NULL;
}

/* A call on a session that this flow opened. Takes over body. */
static int call_session(struct step_run *run, const json_t *config, const char *operation, json_t *body,
                        json_t **ret)
{
    const char *id = json_str(config, "sessionId", "");
    struct browser b = browser_of(run);
    if (!run->env->cfg->stagehand_url || find_session(run->sessions, id))
        return conclude(run, &b, browser_call(&b, id, operation, body, ret));
    json_decref(body);
    return step_fail(run, -EINVAL, "\"sessionId\" must be that of a browser session opened by this flow");
}

/* Copies the fields that are there. */
static json_t *pick(const json_t *config, const char *const *names)
{
    json_t *out = json_object();
    for (; out && *names; names++) {
        json_t *value = json_object_get(config, *names);
        if (value)
            (void)json_object_set(out, *names, value);
    }
    return out;
}

int step_stagehand_start(struct step_run *run, const json_t *config, json_t **ret)
{
    struct stagehand_sessions *open = run->sessions;
    struct browser b = browser_of(run);
    if (open->n == STAGEHAND_SESSIONS_MAX)
        return step_fail(run, -EINVAL, "A flow can open at most %d browser sessions", STAGEHAND_SESSIONS_MAX);
    int r = browser_start(&b, json_str(config, "model", NULL), json_object_get(config, "browser"),
                          open->ids[open->n]);
    if (r < 0)
        return conclude(run, &b, r);
    *ret = json_pack("{s:s}", "sessionId", open->ids[open->n++]);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

static int check_page(struct step_run *run, const char *url)
{
    struct browser b = browser_of(run);
    int r = browser_check_page(&b, url);
    return r < 0 ? step_fail(run, r, "%s", b.error) : 0;
}

int step_stagehand_navigate(struct step_run *run, const json_t *config, json_t **ret)
{
    static const char *const names[] = {"url", NULL};
    if (!run->env->cfg->stagehand_url)
        return call_session(run, config, "navigate", NULL, ret);
    int r = check_page(run, json_str(config, "url", ""));
    return r < 0 ? r : call_session(run, config, "navigate", pick(config, names), ret);
}

int step_stagehand_act(struct step_run *run, const json_t *config, json_t **ret)
{
    return call_session(run, config, "act", json_pack("{s:s}", "input", json_str(config, "action", "")), ret);
}

int step_stagehand_extract(struct step_run *run, const json_t *config, json_t **ret)
{
    static const char *const names[] = {"instruction", "schema", NULL};
    return call_session(run, config, "extract", pick(config, names), ret);
}

int step_stagehand_observe(struct step_run *run, const json_t *config, json_t **ret)
{
    static const char *const names[] = {"instruction", NULL};
    return call_session(run, config, "observe", pick(config, names), ret);
}

int step_stagehand_screenshot(struct step_run *run, const json_t *config, json_t **ret)
{
    return call_session(run, config, "screenshot", json_object(), ret);
}

static void forget_session(struct stagehand_sessions *sessions, const char *id)
{
    char *found = find_session(sessions, id);
    if (!found)
        return;
    sessions->n--;
    if (found != sessions->ids[sessions->n])
        memcpy(found, sessions->ids[sessions->n], sizeof sessions->ids[0]);
}

int step_stagehand_close(struct step_run *run, const json_t *config, json_t **ret)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = call_session(run, config, "end", json_object(), &answer);
    if (r < 0)
        return r;
    forget_session(run->sessions, json_str(config, "sessionId", ""));
    *ret = json_pack("{s:b}", "closed", 1);
    return *ret ? 0 : step_fail(run, -ENOMEM, "Out of memory");
}

void stagehand_end_all(const struct config *cfg, struct stagehand_sessions *sessions)
{
    for (size_t i = 0; i < sessions->n; i++)
        browser_end(cfg, sessions->ids[i]);
    sessions->n = 0;
}
