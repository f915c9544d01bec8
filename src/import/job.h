/* SPDX-License-Identifier: MIT */
/* One run of `genie import anythingllm`; private to src/import. */
#ifndef IMPORT_JOB_H
#define IMPORT_JOB_H

#include "import/anythingllm.h"
#include "import/source.h"
#include "import/tables.h"

struct import_job {
    struct db *db;
    const struct anythingllm_options *options;
    struct anythingllm_result *result;
    struct source *source;
    int64_t source_id;  /* in import_sources */
    int64_t owner;      /* AnythingLLM user that gets what is nobody's; 0 = none */
    struct arena batch; /* of the rows on their way; a unit may take from it too */
};

/* Sets the sentence and returns r. */
int job_fail(struct import_job *job, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Says how far a step is. */
void job_progress(const struct import_job *job, const char *what, int64_t done, int64_t total);

/* The steps, each a file. 0 or negative errno, with the sentence set. */
int import_rows(struct import_job *job);      /* tables → tables (rows.c) */
int import_owner(struct import_job *job);     /* what is nobody's → the owner (owner.c) */
int import_accounts(struct import_job *job);  /* users without an account (people.c) */
int import_sessions(struct import_job *job);  /* threads → sessions of the chat (sessions.c) */
int import_documents(struct import_job *job); /* the folder's texts → nodes of their readers (documents.c) */

/* In a unit: the thread that holds the exchanges of a user that belong to no thread of a workspace, made if
 * need be. The keys are the source's; the user may be 0 (nobody: the owner's). */
int session_default_thread(struct db_conn *c, struct import_job *job, int64_t old_workspace, int64_t old_user,
                           int64_t workspace, int64_t user, int64_t *ret_thread);

#endif
