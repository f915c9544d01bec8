/* SPDX-License-Identifier: MIT */
#include "onboarding/state.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <stdio.h>

#define UNFINISHED "queue = 'onboarding-jobs' AND state IN ('waiting', 'prioritized', 'delayed', 'active')"

static const char *const names[] = {
    [ONBOARDING_EXTENSION] = "EXTENSION_INSTALL",
    [ONBOARDING_DATA] = "DATA_COLLECTION",
    [ONBOARDING_PROCESSING] = "PROCESSING",
    [ONBOARDING_COMPLETE] = "COMPLETE",
};

const char *onboarding_state_name(enum onboarding_state state)
{
    return names[state];
}

int onboarding_state_find(const char *name, enum onboarding_state *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_equal(names[i], name)) {
            *ret = (enum onboarding_state)i;
            return 0;
        }
    return -EINVAL;
}

bool onboarding_may_step(enum onboarding_state from, enum onboarding_state to)
{
    return to == from || (int)to == (int)from + 1;
}

int onboarding_read(struct db_conn *c, const char *user_id, enum onboarding_state *ret, char *persona_id)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    *ret = ONBOARDING_EXTENSION;
    int r = db_query(c, "SELECT id, onboarding_state FROM user_personas WHERE user_id = ?1",
                     DB_ARGS(DB_TEXT(user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    if (persona_id)
        (void)snprintf(persona_id, UUID_SIZE, "%s", db_text(rows, 0));
    return onboarding_state_find(db_text(rows, 1), ret) == 0 ? 1 : -EIO;
}

int onboarding_has_job(struct db_conn *c, const char *user_id)
{
    int64_t one;
    return db_query_int(c, "SELECT 1 FROM queue_jobs WHERE user_id = ?1 AND " UNFINISHED " LIMIT 1",
                        DB_ARGS(DB_TEXT(user_id)), &one);
}

static int make_persona(struct db_conn *c, struct onboarding_change *change, const char *now)
{
    uuid_make(change->persona_id);
    return db_exec(c,
                   "INSERT INTO user_personas (id, user_id, onboarding_state, date_created, date_updated)"
                   " VALUES (?1, ?2, ?3, ?4, ?4)",
                   DB_ARGS(DB_TEXT(change->persona_id), DB_TEXT(change->user_id), DB_TEXT(names[change->to]),
                           DB_TEXT(now)),
                   NULL);
}

static int update_persona(struct db_conn *c, const struct onboarding_change *change, const char *now)
{
    return db_exec(c,
                   "UPDATE user_personas SET onboarding_state = ?2, onboarding_reason = NULL,"
                   " date_updated = ?3 WHERE id = ?1",
                   DB_ARGS(DB_TEXT(change->persona_id), DB_TEXT(names[change->to]), DB_TEXT(now)), NULL);
}

static int list_jobs(struct db_conn *c, struct onboarding_change *change)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r =
        db_query(c, "SELECT id FROM queue_jobs WHERE user_id = ?1 AND " UNFINISHED " ORDER BY seq LIMIT ?2",
                 DB_ARGS(DB_TEXT(change->user_id), DB_INT(ONBOARDING_WITHDRAWN_MOST)), &rows);
    change->n_withdrawn = 0;
    while (r == 0 && change->n_withdrawn < ONBOARDING_WITHDRAWN_MOST && (r = db_next(rows)) > 0) {
        (void)snprintf(change->withdrawn[change->n_withdrawn++], ONBOARDING_JOB_ID_SIZE, "%s",
                       db_text(rows, 0));
        r = 0;
    }
    return r < 0 ? r : 0;
}

/* Else the creator could never send another export. Who works on such a job finds it no longer active. */
static int withdraw_jobs(struct db_conn *c, struct onboarding_change *change, const char *now)
{
    const char *user_id = change->user_id;
    int r = list_jobs(c, change);
    if (r < 0)
        return r;
    return db_exec(c,
                   "UPDATE queue_jobs SET state = 'failed', error = ?2, finished_at = ?3, lease_owner = NULL,"
                   " lease_until = NULL WHERE user_id = ?1 AND " UNFINISHED,
                   DB_ARGS(DB_TEXT(user_id), DB_TEXT(ONBOARDING_WITHDRAWN), DB_TEXT(now)), NULL);
}

int onboarding_read_reason(struct db_conn *c, const char *user_id, char *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT onboarding_reason FROM user_personas WHERE user_id = ?1"
                     " AND onboarding_state = 'DATA_COLLECTION' AND onboarding_reason IS NOT NULL",
                     DB_ARGS(DB_TEXT(user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r;
    const char *reason = db_text(rows, 0);
    size_t len = utf8_floor(reason, strlen(reason), ONBOARDING_REASON_SIZE - 1);
    memcpy(ret, reason, len);
    ret[len] = '\0';
    return 1;
}

int onboarding_end(struct db_conn *c, const struct onboarding_end *end)
{
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    return db_exec(c,
                   "UPDATE user_personas SET onboarding_state = ?2, onboarding_reason = ?3, date_updated = ?4"
                   " WHERE user_id = ?1 AND onboarding_state = 'PROCESSING' AND NOT EXISTS"
                   " (SELECT 1 FROM queue_jobs WHERE user_id = ?1 AND id <> ?5 AND " UNFINISHED ")",
                   DB_ARGS(DB_TEXT(end->user_id),
                           DB_TEXT(names[end->good ? ONBOARDING_COMPLETE : ONBOARDING_DATA]),
                           DB_TEXT(end->good ? NULL : end->reason), DB_TEXT(now), DB_TEXT(end->job_id)),
                   NULL);
}

/* The job, the persona, what was read: in the order in which the end of a job writes them too. */
int onboarding_change(struct db_conn *c, struct onboarding_change *change)
{
    enum onboarding_state from;
    int64_t one;
    char now[ISO_TIME_LEN];
    change->n_withdrawn = 0;
    clock_format_iso(clock_now_ms(), now);
    int r = db_query_int(c, "SELECT 1 FROM directus_users WHERE id = ?1", DB_ARGS(DB_TEXT(change->user_id)),
                         &one);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    int found = onboarding_read(c, change->user_id, &from, change->persona_id);
    if (found < 0)
        return found;
    if (!change->any && !onboarding_may_step(from, change->to))
        return -EPERM;
    bool withdraws = change->any && change->to < ONBOARDING_PROCESSING;
    r = withdraws ? withdraw_jobs(c, change, now) : 0;
    if (r == 0 && !found)
        r = make_persona(c, change, now);
    else if (r == 0 && from != change->to)
        r = update_persona(c, change, now);
    if (r == 0 && withdraws)
        r = db_exec(c, "DELETE FROM export_reads WHERE user_id = ?1", DB_ARGS(DB_TEXT(change->user_id)),
                    NULL);
    return r < 0 ? r : 0;
}
