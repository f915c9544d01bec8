/* SPDX-License-Identifier: MIT */
/* What is done in a page, and how a run ends by what came of it. */
#include "scrape/internal.h"

#include <errno.h>
#include <string.h>

#define NOT_CONFIGURED "publisher_not_configured"

static bool end(struct run *run, enum queue_verdict verdict, const char *error)
{
    run->work->verdict = verdict;
    (void)snprintf(run->work->error, sizeof run->work->error, "%s", error);
    return false;
}

bool run_failed(struct run *run, const char *error)
{
    return end(run, WORK_FAILED, error);
}

bool run_retry(struct run *run, const char *error)
{
    return end(run, WORK_RETRY, error);
}

bool run_browser_failed(struct run *run, int r)
{
    if (r == -ENODEV) {
        queue_log(run->work, "%s", run->browser.error);
        return run_failed(run, NOT_CONFIGURED);
    }
    bool hopeless = r == -EACCES || r == -EINVAL;
    return hopeless ? run_failed(run, run->browser.error) : run_retry(run, run->browser.error);
}

bool run_store_failed(struct run *run, int r)
{
    char why[64];
    (void)snprintf(why, sizeof why, "The store could not be reached (%s)", strerror(-r));
    return run_retry(run, why);
}

void run_done(struct run *run, json_t *result)
{
    run->work->verdict = WORK_DONE;
    run->work->result = result;
    if (!result)
        (void)run_retry(run, "Out of memory");
}

bool page_open(struct run *run, const char *url)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = url ? browser_check_page(&run->browser, url) : -ENOMEM;
    if (r == 0)
        r = browser_call(&run->browser, run->session, "navigate", json_pack("{s:s}", "url", url), &answer);
    return r < 0 ? run_browser_failed(run, r) : true;
}

bool page_act(struct run *run, const char *instruction, json_t *variables)
{
    _cleanup_json_ json_t *answer = NULL;
    json_t *body = json_pack("{s:s, s:{s:o*}}", "input", instruction, "options", "variables", variables);
    int r = browser_call(&run->browser, run->session, "act", body, &answer);
    if (r < 0)
        return run_browser_failed(run, r);
    return json_bool(answer, "success", true)
               ? true
               : run_retry(run, "The browser did not find how to do this on the page");
}

bool page_read(struct run *run, const char *instruction, const char *properties, json_t **ret)
{
    _cleanup_json_ json_t *answer = NULL;
    json_t *body = json_pack("{s:s, s:{s:s, s:o}}", "instruction", instruction, "schema", "type", "object",
                             "properties", json_parse(properties, strlen(properties)));
    int r = browser_call(&run->browser, run->session, "extract", body, &answer);
    if (r < 0)
        return run_browser_failed(run, r);
    if (!json_is_object(answer))
        return run_retry(run, "The browser service gave an answer that can't be read");
    *ret = json_incref(answer);
    return true;
}
