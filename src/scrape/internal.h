/* SPDX-License-Identifier: MIT */
/* Private to src/scrape: one run of a job, and what its operations share. */
#ifndef SCRAPE_INTERNAL_H
#define SCRAPE_INTERNAL_H

#include "base/clock.h"
#include "base/uuid.h"
#include "browser/browser.h"
#include "scrape/scrape.h"

#define SCRAPE_CALL_MS (INT64_C(120) * 1000)     /* of one thing done in the browser */
#define SCRAPE_RUN_MS (INT64_C(10) * 60 * 1000)  /* of a run */
#define SCRAPE_LOOK_AGAIN_MS (INT64_C(3) * 1000) /* while a person is waited for */
#define PAGE_TEXT_MAX ((size_t)4000)             /* bytes of a text that is read of a page */
#define POST_URL_MAX ((size_t)2048)

struct run {
    const struct scrape *scrape;
    struct queue_work *work;
    const char *user_id;
    struct cancel limit; /* SCRAPE_RUN_MS, or the work's own */
    struct browser browser;
    char session[BROWSER_ID_MAX + 1]; /* "" while there is none */
};

struct operation {
    const char *name;
    void (*run)(struct run *run);
    /* In the unit of a move; may be NULL. */
    int (*moved)(struct db_conn *c, const struct queue_job *job, enum queue_move move, const json_t *result,
                 const char *error);
};

/* Where things are on a platform; NULL if it isn't known. %s of a profile's address is its username. */
struct site {
    const char *platform, *home, *profile, *compose;
};
const struct site *site_find(const char *platform);

/* The address of a profile in the arena; NULL without memory. */
const char *site_profile(struct arena *a, const struct site *site, const char *username);

/* ---- how a run ends: each sets the work's verdict; false, for `return run_failed(…)` */

bool run_failed(struct run *run, const char *error); /* for good */
bool run_retry(struct run *run, const char *error);  /* it may pass */
bool run_browser_failed(struct run *run, int r);     /* by what the browser's call returned */
bool run_store_failed(struct run *run, int r);
void run_done(struct run *run, json_t *result); /* takes over result */

/* ---- in the browser: true, or the verdict is set */

/* Opens a session on the platform's home, signed in to the user's account there; username may be NULL. */
bool account_open(struct run *run, const struct site *site, const char *username);
bool page_open(struct run *run, const char *url);
/* secrets: a dictionary of what %names% in the instruction stand for, taken over; may be NULL. */
bool page_act(struct run *run, const char *instruction, json_t *variables);
/* What the page shows, by a schema's properties (a JSON text of texts, integers and booleans); *ret is a new
 * reference to an object of those that were given, in their types, texts within PAGE_TEXT_MAX. */
bool page_read(struct run *run, const char *instruction, const char *properties, json_t **ret);

/* ---- people */

/* Whether the job waits for a person: 1 yes, 0 no (or it is resolved), -ETIMEDOUT for too long, or the
 * store's error. */
int hitl_waits(struct db *db, const char *job_id);

struct hitl {
    const char *job_id, *user_id, *action, *message, *platform;
    const char *post_id; /* may be NULL */
};

/* In a unit: adds the row and ties the job to it. */
int hitl_add_in(struct db_conn *c, const struct hitl *what);
int hitl_add(struct db *db, const struct hitl *what);

extern const struct operation scrape_profile_operation, scrape_performance_operation, publish_operation;

#endif
