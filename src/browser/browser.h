/* SPDX-License-Identifier: MIT */
/* The Stagehand service (STAGEHAND_URL): sessions of a browser that runs elsewhere, over its HTTP interface.
 * Whoever starts a session ends it. The guard checks where a page's address leads before the browser gets it;
 * the browser resolves once more by itself, which a service on another network should confine.
 *
 * What is sent may hold secrets: it is never logged, and no error repeats it. Blocking; any thread that may
 * wait. */
#ifndef BROWSER_BROWSER_H
#define BROWSER_BROWSER_H

#include "base/cancel.h"
#include "base/config.h"
#include "base/json.h"

#define BROWSER_ID_MAX 128
#define BROWSER_ERROR_MAX 200

struct browser {
    const struct config *cfg;
    struct cancel *cancel; /* may be NULL */
    int64_t limit_ms;      /* of each call */
    char error[BROWSER_ERROR_MAX];
};

/* Starts a session and gives its id (BROWSER_ID_MAX + 1 bytes). model: NULL = the chat's; browser: what the
 * service is told of it, NULL = one of its own without a window. 0, -EINVAL where `browser` asks for more
 * than how the browser looks (docs/flows.md), or an error of browser_call. */
int browser_start(struct browser *b, const char *model, json_t *browser, char *ret_id);

/* Does one thing in a session ("navigate", "act", "extract" …); takes over body, which may be NULL for lack
 * of memory. *ret: a new reference to the result. 0; -ENODEV there is no service, -ECONNREFUSED it can't be
 * reached, -ENOENT it doesn't offer this or has closed the session; -ETIMEDOUT, -ECANCELED, -ENOMEM, -EIO and
 * others; with a sentence in b->error. */
int browser_call(struct browser *b, const char *session, const char *operation, json_t *body, json_t **ret);

/* Whether a page may be opened: 0, -EINVAL the form, -EACCES its host isn't public, -ENOENT or another: it
 * can't be looked up; with a sentence. */
int browser_check_page(struct browser *b, const char *url);

/* Ends a session; a few seconds at most, also after cancel was raised. Failures are logged. */
void browser_end(const struct config *cfg, const char *session);

#endif
