/* SPDX-License-Identifier: MIT */
/* Brings the schema up to date. Each migration is one unit of work that looks at schema_version first, so
 * that of several processes that start at once one applies it and the others find it done. */
#include "db/engine.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

/* Another process may be at a migration that takes longer than a unit waits. */
#define PATIENCE_MS 60000

struct step {
    const struct migration *list;
    const struct migration *applied; /* NULL: nothing was left to do */
};

static int present_version(struct db_conn *c, int64_t *ret)
{
    int r = db_exec(c,
                    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY, "
                    "name TEXT NOT NULL, applied_at TEXT NOT NULL)",
                    DB_NO_ARGS, NULL);
    if (r < 0)
        return r;
    r = db_query_int(c, "SELECT coalesce(max(version), 0) FROM schema_version", DB_NO_ARGS, ret);
    return r < 0 ? r : 0;
}

static int refuse_newer(int64_t present, int newest)
{
    log_event(LOG_ERROR,
              "The database was made by a newer version of this program; please update the program",
              LOG_N("database_version", present), LOG_N("program_version", newest));
    return -ENOTSUP;
}

static int apply_next(struct db_conn *c, void *arg)
{
    struct step *step = arg;
    int64_t present;
    int newest = 0;
    step->applied = NULL;
    int r = present_version(c, &present);
    if (r < 0)
        return r;
    const struct migration *m, *next = NULL;
    for (m = step->list; m->version != 0; m++) {
        newest = m->version;
        if (!next && m->version > present)
            next = m;
    }
    if (present > newest)
        return refuse_newer(present, newest);
    if (!next)
        return 0;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    r = c->engine->script(c, next->sql);
    if (r == 0)
        r = db_exec(c, "INSERT INTO schema_version (version, name, applied_at) VALUES (?1, ?2, ?3)",
                    DB_ARGS(DB_INT(next->version), DB_TEXT(next->name), DB_TEXT(now)), NULL);
    step->applied = next;
    return r;
}

static int apply_patiently(struct db *db, struct step *step)
{
    int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    int r;
    do
        r = db->engine->write_schema(db, apply_next, step);
    while (r == -ETIMEDOUT && clock_monotonic_ms() < until);
    return r;
}

int db_apply_migrations(struct db *db, const struct migration *list, int *ret_applied)
{
    struct step step = {.list = list};
    for (int applied = 0;; applied++) {
        int r = apply_patiently(db, &step);
        if (r == -ENOTSUP)
            return r;
        if (r < 0)
            return log_error(r, "store: the schema could not be brought up to date");
        if (step.applied) {
            log_event(LOG_INFO, "store: migrated", LOG_N("version", step.applied->version),
                      LOG_S("name", step.applied->name));
            continue;
        }
        if (ret_applied)
            *ret_applied = applied;
        return 0;
    }
}

int db_migrate(struct db *db, int *ret_applied)
{
    return db_apply_migrations(db, db->engine->migrations, ret_applied);
}
