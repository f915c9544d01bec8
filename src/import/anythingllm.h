/* SPDX-License-Identifier: MIT */
/* Brings an AnythingLLM installation in: docs/import.md says what becomes of what.
 *
 * Rows go in batches, each a unit of the store together with the note of what each row has become (ids.h); so
 * a run that was killed is gone on with by the next, and a second run adds what is new. */
#ifndef IMPORT_ANYTHINGLLM_H
#define IMPORT_ANYTHINGLLM_H

#include "db/db.h"
#include "import/report.h"

#include <stdbool.h>

struct anythingllm_options {
    const char *file;      /* the database, storage/anythingllm.db */
    const char *documents; /* its storage folder, or the folder `documents` in it; may be NULL */
    const char *owner;     /* e-mail of the account that gets what is nobody's; may be NULL */
    const char *work_dir;  /* where the private copy is made; there for ever */
    bool accounts;         /* make an account for each user that has none */
    bool admins;           /* bring in what gives rights over everybody */
    /* Tells of progress; may be NULL. total 0: the step is done. */
    void (*progress)(void *ctx, const char *what, int64_t done, int64_t total);
    void *ctx;
};

struct anythingllm_result {
    char identity[65]; /* of the source: the same in every copy of that database */
    struct report report;
    int64_t nobodys;  /* exchanges that belong to no user, and to no owner either */
    int64_t unlinked; /* users without an account */
    json_t *accounts; /* those made: [{"email", "username", "role"}]; the caller's */
    char error[512];  /* the sentence, where it failed */
};

/* 0, or negative errno with a sentence in ret->error; what was brought in until then stays, and is counted.
 */
int anythingllm_import(struct db *db, const struct anythingllm_options *options,
                       struct anythingllm_result *ret);

#endif
