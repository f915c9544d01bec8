/* SPDX-License-Identifier: MIT */
/* The order of an import: the private copy, the check that it is AnythingLLM's, the tables, and then what
 * makes them usable here: accounts, sessions, documents. */
#include "import/anythingllm.h"

#include "base/buf.h"
#include "base/text.h"
#include "import/ids.h"
#include "import/job.h"
#include "import/snapshot.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define KIND "anythingllm"
#define BATCH_MAX ((size_t)256 << 20)
#define SMALL_MAX ((size_t)64 << 10)

int job_fail(struct import_job *job, int r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!job->result->error[0])
        (void)vsnprintf(job->result->error, sizeof job->result->error, fmt, ap);
    va_end(ap);
    return r;
}

void job_progress(const struct import_job *job, const char *what, int64_t done, int64_t total)
{
    if (job->options->progress)
        job->options->progress(job->options->ctx, what, done, total);
}

/* ---- what it is */

static int check_tables(struct import_job *job)
{
    static const char *const tables[] = {"_prisma_migrations", "users", "workspaces", "workspace_chats",
                                         "system_settings"};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        int r = source_has_table(job->source, tables[i]);
        if (r < 0)
            return job_fail(job, r, "%s can't be read: %s", job->options->file, source_error(job->source));
        if (r == 0)
            return job_fail(job, -EINVAL, "%s is no database of AnythingLLM: it has no table %s",
                            job->options->file, tables[i]);
    }
    return 0;
}

static int hash(const char *text, char *ret)
{
    uint8_t digest[32];
    unsigned len = sizeof digest;
    if (EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL) != 1)
        return -EIO;
    hex_encode(digest, sizeof digest, ret);
    return 0;
}

/* The first migration has a random id in every installation; so has its first setting a time, where the file
 * itself was a copy of a migrated one. Neither ever changes. */
static int identify(struct import_job *job, struct arena *a)
{
    const char *migration = NULL, *born = "";
    int r = source_text(job->source,
                        "SELECT id FROM _prisma_migrations ORDER BY migration_name, started_at, id LIMIT 1",
                        a, &migration);
    if (r > 0)
        r = source_text(job->source,
                        "SELECT CAST(createdAt AS TEXT) FROM system_settings WHERE label = 'multi_user_mode'",
                        a, &born);
    if (r < 0 || !migration)
        return job_fail(job, r < 0 ? r : -EINVAL, "%s is no database of AnythingLLM: nothing says which one",
                        job->options->file);
    const char *text = arena_printf(a, "%s\n%s", migration, born);
    return text ? hash(text, job->result->identity) : -ENOMEM;
}

static int recognise(struct import_job *job)
{
    struct arena a;
    arena_init(&a, SMALL_MAX);
    int r = check_tables(job);
    if (r == 0)
        r = identify(job, &a);
    arena_free(&a);
    return r;
}

/* ---- what it goes to */

static int begin_unit(struct db_conn *c, void *arg)
{
    struct import_job *job = arg;
    const char *owner = job->options->owner;
    int r = ids_source(c, KIND, job->result->identity, &job->source_id);
    if (r < 0 || !owner)
        return r;
    job->owner = 0;
    r = db_query_int(
        c, "SELECT coalesce(anythingllm_user_id, 0) FROM directus_users WHERE lower(email) = lower(?1)",
        DB_ARGS(DB_TEXT(owner)), &job->owner);
    return r < 0 ? r : job->owner == 0 ? -ENOENT : 0;
}

static int begin(struct import_job *job)
{
    int r = db_write(job->db, begin_unit, job);
    if (r == -ENOENT)
        return job_fail(job, r, "there is no account for %s", job->options->owner);
    return r < 0 ? job_fail(job, r, "the store failed: %s", strerror(-r)) : 0;
}

/* ---- the run */

static int run_steps(struct import_job *job)
{
    static int (*const steps[])(struct import_job *) = {
        recognise, begin, import_rows, import_owner, import_accounts, import_sessions, import_documents};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
        r = steps[i](job);
    return r;
}

static int refuse_file(struct import_job *job, int r)
{
    const char *why = r == -EBUSY    ? "it is being written to; stop AnythingLLM first, or give a copy"
                      : r == -EINVAL ? "it is no database of SQLite"
                                     : strerror(-r);
    return job_fail(job, r, "%s can't be read: %s", job->options->file, why);
}

static int open_copy(struct import_job *job)
{
    _cleanup_(snapshot_freeP) struct snapshot *copy = NULL;
    int r = snapshot_take(job->options->file, job->options->work_dir, &copy);
    if (r == 0)
        r = source_open(snapshot_path(copy), &job->source);
    return r; /* the copy leaves the file system here; the open source keeps it */
}

int anythingllm_import(struct db *db, const struct anythingllm_options *options,
                       struct anythingllm_result *ret)
{
    struct import_job job = {.db = db, .options = options, .result = ret};
    memset(ret, 0, sizeof *ret);
    ret->accounts = json_array();
    if (!ret->accounts)
        return job_fail(&job, -ENOMEM, "out of memory");
    int r = open_copy(&job);
    if (r < 0)
        return refuse_file(&job, r);
    arena_init(&job.batch, BATCH_MAX);
    r = run_steps(&job);
    arena_free(&job.batch);
    source_close(job.source);
    return r < 0 ? job_fail(&job, r, "it failed: %s", strerror(-r)) : 0;
}
