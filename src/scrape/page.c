/* SPDX-License-Identifier: MIT */
/* What is done in a page, and how a run ends by what came of it. */
#include "scrape/internal.h"

#include "base/text.h"

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

static json_t *read_property(const char *type, const json_t *given)
{
    const char *text = json_string_value(given);
    if (str_equal(type, "string") && text)
        return json_stringn(text, utf8_floor(text, strlen(text), PAGE_TEXT_MAX));
    bool fits = str_equal(type, "integer") ? json_is_integer(given)
                                           : str_equal(type, "boolean") && json_is_boolean(given);
    return fits ? json_incref((json_t *)(uintptr_t)given) : NULL;
}

/* The service may answer anything: what wasn't asked for, or has another form, goes no further. */
static int sift(const json_t *answer, json_t *properties, json_t **ret)
{
    const char *name;
    json_t *property;
    _cleanup_json_ json_t *out = json_object();
    json_object_foreach (properties, name, property) {
        json_t *value = read_property(json_str(property, "type", ""), json_object_get(answer, name));
        if (value && json_object_set_new(out, name, value) < 0)
            return -ENOMEM;
    }
    *ret = json_incref(out);
    return out ? 0 : -ENOMEM;
}

bool page_read(struct run *run, const char *instruction, const char *properties, json_t **ret)
{
    _cleanup_json_ json_t *answer = NULL, *wanted = json_parse(properties, strlen(properties));
    json_t *body = json_pack("{s:s, s:{s:s, s:O}}", "instruction", instruction, "schema", "type", "object",
                             "properties", wanted);
    int r = browser_call(&run->browser, run->session, "extract", body, &answer);
    if (r < 0)
        return run_browser_failed(run, r);
    if (!json_is_object(answer))
        return run_retry(run, "The browser service gave an answer that can't be read");
    return sift(answer, wanted, ret) == 0 ? true : run_retry(run, "Out of memory");
}
