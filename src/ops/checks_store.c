/* SPDX-License-Identifier: MIT */
/* The database, whichever it is. What PostgreSQL says is asked once, by whoever of its checks comes first. */
#include "ops/checks.h"

#include "base/cleanup.h"
#include "db/look.h"
#include "items/access.h"
#include "base/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define QUICK_CHECK_MS 15000
#define POSTGRES_MS 12000
#define QUEUES_MS 3000
#define LOG_WARN_BYTES (INT64_C(1) << 30)
#define CLOCK_WARN_MS 2000
#define TABLES_MAX 64

/* Judges a schema's version; true when it is this program's. */
static bool judge_schema(struct finding *f, int64_t schema)
{
    long long ours = (long long)db_schema_newest(), theirs = (long long)schema;
    if (theirs == ours)
        return true;
    if (theirs > ours) {
        (void)found(f, CHECK_FAIL, "its schema is %lld, newer than this program's %lld", theirs, ours);
        (void)mend(f, "update the program");
        return false;
    }
    (void)found(f, CHECK_OK,
                theirs ? "its schema is %lld; genie serve or genie migrate brings it to %lld"
                       : "nothing in it yet (%lld); genie serve or genie migrate makes the schema, %lld",
                theirs, ours);
    return false;
}

/* ---- SQLite */

static int look(const struct checkup *c, int limit_ms, struct look_sqlite *ret, struct db_why *why)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/genie.db", c->cfg->data_dir);
    return db_look_sqlite(path, limit_ms, ret, why);
}

bool check_sqlite(const struct checkup *c, struct finding *f)
{
    struct look_sqlite seen;
    struct db_why why = {0};
    if (c->cfg->database_url)
        return false;
    int r = look(c, QUICK_CHECK_MS, &seen, &why);
    if (r == -ENOENT)
        return found(f, CHECK_OK, "there is none yet; it comes at the first start");
    if (r < 0 || seen.damage[0]) {
        (void)found(f, CHECK_FAIL, "genie.db can't be used: %s",
                    r == 0        ? seen.damage
                    : why.text[0] ? why.text
                                  : strerror(-r));
        return mend(
            f, "stop the server and put the last backup back: genie restore FILE --force (docs/backup.md)");
    }
    if (!judge_schema(f, seen.schema))
        return true;
    if (!seen.finished) {
        (void)found(f, CHECK_WARN, "it is so large that it can't be looked through in %d s",
                    QUICK_CHECK_MS / 1000);
        return mend(f, "genie backup looks through the whole of it");
    }
    return found(f, CHECK_OK, "genie.db is sound, with schema %lld", (long long)seen.schema);
}

bool check_sqlite_log(const struct checkup *c, struct finding *f)
{
    struct look_sqlite seen;
    struct db_why why = {0};
    if (c->cfg->database_url || look(c, 0, &seen, &why) < 0)
        return false;
    if (seen.log_bytes <= LOG_WARN_BYTES)
        return found(f, CHECK_OK, "%.1f MiB not yet in the database's own file",
                     (double)seen.log_bytes / (double)(1 << 20));
    (void)found(f, CHECK_WARN, "the write-ahead log has grown to %.1f GiB",
                (double)seen.log_bytes / (double)(1 << 30));
    return mend(
        f, "something reads for very long (a copy, another program); when it ends, the log is used anew");
}

/* ---- PostgreSQL */

static pthread_once_t asked = PTHREAD_ONCE_INIT;
static const struct config *asking;
static pthread_mutex_t asking_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    int r;
    struct look_postgres seen;
    struct db_why why;
} answer;

static void ask_postgres(void)
{
    const char *tables[TABLES_MAX + 1];
    size_t n = 0;
    for (const struct collection *t = access_table; t->name && n < TABLES_MAX; t++)
        if (!str_has_prefix(t->name, "directus_"))
            tables[n++] = t->name;
    tables[n] = NULL;
    answer.r = db_look_postgres(asking->database_url, tables, POSTGRES_MS, &answer.seen, &answer.why);
}

/* NULL where there is no PostgreSQL, or it can't be reached (which one check alone says). */
static const struct look_postgres *postgres(const struct checkup *c)
{
    if (!c->cfg->database_url)
        return NULL;
    pthread_mutex_lock(&asking_lock);
    if (!asking)
        asking = c->cfg;
    pthread_mutex_unlock(&asking_lock);
    (void)pthread_once(&asked, ask_postgres);
    return answer.r == 0 ? &answer.seen : NULL;
}

bool check_postgres(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!c->cfg->database_url)
        return false;
    if (!seen) {
        (void)found(f, CHECK_FAIL, "DATABASE_URL can't be used: %s",
                    answer.why.text[0] ? answer.why.text : strerror(-answer.r));
        return mend(f, "start the server, let it accept this machine and user, or correct DATABASE_URL");
    }
    if (!judge_schema(f, seen->schema))
        return true;
    return found(f, CHECK_OK, "version %d.%d answers, with schema %lld", seen->version / 10000,
                 seen->version % 10000, (long long)seen->schema);
}

bool check_postgres_settings(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!seen)
        return false;
    if (strcmp(seen->encoding, "UTF8") != 0) {
        (void)found(f, CHECK_FAIL, "the database's encoding is %s", seen->encoding);
        return mend(
            f, "make a new one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the data");
    }
    if (seen->version < 140000) {
        (void)found(f, CHECK_WARN, "version %d is older than what is tested with (15)",
                    seen->version / 10000);
        return mend(f, "update PostgreSQL");
    }
    if (strcmp(seen->synchronous_commit, "off") == 0)
        return found(f, CHECK_OK, "UTF8; synchronous_commit is off, and turned on in every session of ours");
    return found(f, CHECK_OK, "UTF8, synchronous_commit %s", seen->synchronous_commit);
}

bool check_postgres_connections(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!seen)
        return false;
    long long ours = (long long)c->cfg->database_connections + 1, most = (long long)seen->most;
    if (ours <= most)
        return found(f, CHECK_OK, "a server of ours may take %lld of %lld; %lld are in use now", ours, most,
                     (long long)seen->used);
    (void)found(f, CHECK_WARN, "DATABASE_CONNECTIONS and one that listens are %lld, PostgreSQL allows %lld",
                ours, most);
    return mend(f, "lower DATABASE_CONNECTIONS, or raise max_connections");
}

bool check_postgres_clock(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!seen)
        return false;
    double seconds = (double)seen->clock_ms / 1000;
    if (seen->clock_ms > -CLOCK_WARN_MS && seen->clock_ms < CLOCK_WARN_MS)
        return found(f, CHECK_OK, "its clock is %.1f s from ours", seconds);
    (void)found(f, CHECK_WARN, "its clock is %.1f s from ours", seconds);
    return mend(f, "keep both machines in time with NTP");
}

bool check_postgres_listen(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!seen)
        return false;
    if (seen->listens)
        return found(f, CHECK_OK, "notifications arrive");
    (void)found(f, CHECK_FAIL, "a notification didn't arrive: a pooler in between doesn't keep sessions");
    return mend(f, "let it keep sessions (PgBouncer: pool_mode=session), or connect to PostgreSQL itself");
}

/* What genie serve asks before it passes anything on. */
bool check_directus_database(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!c->cfg->directus_url || !seen) /* the latter has a row of its own */
        return false;
    if (seen->directus)
        return found(f, CHECK_OK, "DATABASE_URL names the database of a Directus");
    (void)found(f, CHECK_FAIL, "DIRECTUS_URL is set, but DATABASE_URL isn't the database of a Directus");
    return mend(f, "let DATABASE_URL name the database of that Directus, or unset DIRECTUS_URL");
}

bool check_collections(const struct checkup *c, struct finding *f)
{
    const struct look_postgres *seen = postgres(c);
    if (!seen || !seen->directus)
        return false;
    if (seen->not_collections == 0)
        return found(f, CHECK_OK, "Directus knows every table of ours");
    (void)found(f, CHECK_WARN, "Directus doesn't know %lld tables of ours", (long long)seen->not_collections);
    return mend(f, "genie migrate registers them; then restart Directus");
}

/* ---- what is in it */

static bool find_queues(const struct checkup *c, struct look_queues *ret)
{
    struct look_sqlite seen;
    struct db_why why = {0};
    const struct look_postgres *there = postgres(c);
    if (c->loaded && c->cfg->redis_url) /* they are there */
        return redis_look_queues(c->cfg->redis_url, ret) == 0;
    if (checkup_setting(c, "REDIS_URL")) /* and can't be found */
        return false;
    if (there && there->schema == db_schema_newest())
        *ret = there->queues;
    else if (!c->cfg->database_url && look(c, QUEUES_MS, &seen, &why) == 0 &&
             seen.schema == db_schema_newest())
        *ret = seen.queues;
    else
        return false;
    return ret->waiting >= 0;
}

bool check_queues(const struct checkup *c, struct finding *f)
{
    struct look_queues q;
    if (!find_queues(c, &q))
        return false;
    if (q.paused == 0)
        return found(f, CHECK_OK, "%lld jobs wait, %lld run, %lld failed", q.waiting, q.active, q.failed);
    (void)found(f, CHECK_WARN, "%lld of the queues are paused; %lld jobs wait, %lld run, %lld failed",
                q.paused, q.waiting, q.active, q.failed);
    return mend(f, "genie queue stats shows which; genie queue resume QUEUE lets its jobs begin");
}
