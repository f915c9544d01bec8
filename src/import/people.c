/* SPDX-License-Identifier: MIT */
/* Accounts for users that came without one. Nobody knows a password of them, so nobody can log in until an
 * operator sets one (`genie user passwd`); bcrypt hashes of AnythingLLM are of no use here. */
#include "import/job.h"

#include "auth/accounts.h"
#include "base/text.h"
#include "import/ids.h"

#include <errno.h>
#include <string.h>

#define BATCH 50
#define NO_ADDRESS "import.invalid" /* a domain that never gets mail (RFC 2606) */
#define EMAIL_TRIES 8

struct person {
    int64_t id, old_id;
    char username[ACCOUNT_EMAIL_MAX + 1], email[ACCOUNT_EMAIL_MAX + 1];
    bool admin, suspended;
};

struct people {
    struct import_job *job;
    int64_t after;
    struct person list[BATCH];
    size_t n, at;
};

static void read_person(struct db_rows *rows, struct person *p)
{
    const char *name = db_text(rows, 2);
    *p = (struct person){.id = db_int(rows, 0),
                         .old_id = db_int(rows, 1),
                         .admin = str_equal(db_text(rows, 3), "admin"),
                         .suspended = db_int(rows, 4) != 0};
    if (name && strlen(name) < sizeof p->username)
        (void)snprintf(p->username, sizeof p->username, "%s", name);
    else
        (void)snprintf(p->username, sizeof p->username, "user%lld", (long long)p->old_id);
}

static int list_unit(struct db_conn *c, void *arg)
{
    struct people *b = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    b->n = 0;
    int r =
        db_query(c,
                 "SELECT u.id, CAST(m.old_id AS BIGINT), u.username, u.role, u.suspended FROM import_rows m "
                 "JOIN users u ON u.id = m.new_id LEFT JOIN directus_users d ON d.anythingllm_user_id = u.id "
                 "WHERE m.source_id = ?1 AND m.table_name = 'users' AND d.id IS NULL AND u.id > ?2 "
                 "ORDER BY u.id LIMIT ?3",
                 DB_ARGS(DB_INT(b->job->source_id), DB_INT(b->after), DB_INT(BATCH)), &rows);
    while (r >= 0 && b->n < BATCH && (r = db_next(rows)) > 0)
        read_person(rows, &b->list[b->n++]);
    return r < 0 ? r : 0;
}

/* The user name where it is an address; else one that can't be anybody's. */
static int choose_email(struct db_conn *c, struct person *p)
{
    char name[ACCOUNT_NAME_MAX + 1];
    int64_t one;
    if (account_email(p->username, p->email) == 0)
        return 0;
    account_username(p->username, name);
    for (char *at = name; (at = strchr(at, '@'));)
        *at = '-';
    (void)snprintf(p->email, sizeof p->email, "%s@" NO_ADDRESS, name);
    for (int i = 0; i < EMAIL_TRIES; i++) {
        char digits[5];
        int r = db_query_int(c, "SELECT 1 FROM directus_users WHERE lower(email) = lower(?1)",
                             DB_ARGS(DB_TEXT(p->email)), &one);
        if (r <= 0)
            return r;
        random_text("0123456789", digits, sizeof digits - 1);
        (void)snprintf(p->email, sizeof p->email, "%s-%s@" NO_ADDRESS, name, digits);
    }
    return -EEXIST;
}

static int account_unit(struct db_conn *c, void *arg)
{
    struct people *b = arg;
    struct person *p = &b->list[b->at];
    struct account made;
    int r = choose_email(c, p);
    if (r < 0)
        return r;
    struct account_spec spec = {.email = p->email,
                                .role = p->admin ? "Administrator" : "Creator",
                                .onboarding = "COMPLETE", /* who has worked so far goes on */
                                .status = p->suspended ? "suspended" : "active",
                                .anythingllm_user_id = p->id};
    return account_create(c, &spec, &made);
}

static int note_account(struct import_job *job, const struct person *p)
{
    json_t *made = json_pack("{s:s, s:s, s:s}", "email", p->email, "username", p->username, "role",
                             p->admin ? "Administrator" : "Creator");
    return json_array_append_new(job->result->accounts, made) < 0 ? -ENOMEM : 0;
}

static int make_accounts(struct people *b)
{
    struct import_job *job = b->job;
    struct report_table *report = report_table(&job->result->report, "accounts");
    for (b->at = 0; b->at < b->n; b->at++) {
        const struct person *p = &b->list[b->at];
        int r = db_write(job->db, account_unit, b);
        if (r == -EEXIST) { /* an account of that address has another AnythingLLM user */
            report_count(report, OUTCOME_LEFT);
            report_why(report, true, "there is an account of that address, with a user of its own",
                       p->old_id);
            continue;
        }
        if (r == -ENOENT)
            return job_fail(job, r, "there is no role '%s'", p->admin ? "Administrator" : "Creator");
        if (r == 0)
            r = note_account(job, p);
        if (r < 0)
            return r;
        report_count(report, OUTCOME_ADDED);
    }
    return 0;
}

int import_accounts(struct import_job *job)
{
    struct people *b = calloc(1, sizeof *b);
    int r = b ? 0 : -ENOMEM;
    if (b)
        b->job = job;
    while (r == 0) {
        r = db_read(job->db, list_unit, b);
        if (r < 0 || b->n == 0)
            break;
        b->after = b->list[b->n - 1].id;
        if (job->options->accounts)
            r = make_accounts(b);
        else
            job->result->unlinked += (int64_t)b->n;
        job_progress(job, "accounts", (int64_t)json_array_size(job->result->accounts), 0);
    }
    free(b);
    return r < 0 ? job_fail(job, r, "the store failed: %s", strerror(-r)) : 0;
}
