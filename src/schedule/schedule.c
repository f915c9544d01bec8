/* SPDX-License-Identifier: MIT */
#include "schedule/schedule.h"

#include "base/log.h"
#include "base/metrics.h"
#include "schedule/leader.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define LEASE_NAME "schedule"
#define LOOK_MS 1000     /* how often a server that doesn't lead looks whether it could */
#define RETRY_MS 10000   /* until a run that failed goes on */
#define LEAST_WAIT_MS 10 /* between two rounds */
#define NEVER_SEEN (-1)

struct schedule {
    struct schedule_options options;
    int n;
    pthread_t thread;
    pthread_mutex_t lock; /* of stopping */
    pthread_cond_t wake;
    bool stopping;

    /* Of the thread alone. */
    struct leader leader;
    bool leads; /* as was last said */
    int64_t renew_at_ms;
    int64_t last_ms[DUTIES_MOST]; /* slot that was done last; 0 = to be done now */
    int64_t retry_at_ms[DUTIES_MOST];
};

static bool is_stopping(struct schedule *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static void duty_row(const struct duty *d, char *ret, size_t size)
{
    (void)snprintf(ret, size, "duty %s", d->name);
}

/* ---- leading */

/* Says when leading begins and ends. */
static void note_leading(struct schedule *s, const char *why)
{
    bool leads = leader_holds(&s->leader);
    if (leads == s->leads)
        return;
    s->leads = leads;
    metric_add(METRIC_LEADER, leads ? 1 : -1);
    log_event(LOG_INFO, leads ? "schedule: this server leads" : "schedule: this server no longer leads",
              LOG_S("server", s->leader.id), LOG_S("why", leads ? NULL : why));
}

static int read_last(struct db_conn *c, const struct duty *d, int64_t *ret)
{
    char name[96];
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    duty_row(d, name, sizeof name);
    int r =
        db_query(c, "SELECT last_run_at FROM leader_leases WHERE name = ?1", DB_ARGS(DB_TEXT(name)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r < 0)
        return r;
    if (r == 0)
        *ret = NEVER_SEEN;
    else if (db_is_null(rows, 0) || clock_parse_iso(db_text(rows, 0), ret) < 0)
        *ret = 0;
    return 0;
}

static int read_all_unit(struct db_conn *c, void *arg)
{
    struct schedule *s = arg;
    int r = 0;
    for (int i = 0; i < s->n && r == 0; i++)
        r = read_last(c, &s->options.duties[i], &s->last_ms[i]);
    return r;
}

/* Nothing was missed of a duty that hasn't been there. */
static int add_rows_unit(struct db_conn *c, void *arg)
{
    struct schedule *s = arg;
    int64_t now_ms;
    int r = db_now(c, &now_ms);
    for (int i = 0; i < s->n && r == 0; i++) {
        char name[96], slot[ISO_TIME_LEN];
        duty_row(&s->options.duties[i], name, sizeof name);
        clock_format_iso(duty_slot(&s->options.duties[i], now_ms), slot);
        r = db_exec(c, "INSERT INTO leader_leases (name, last_run_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    DB_ARGS(DB_TEXT(name), DB_TEXT(slot)), NULL);
    }
    return r == 0 ? read_all_unit(c, s) : r;
}

static int read_rows(struct schedule *s)
{
    int r = db_read(s->options.db, read_all_unit, s);
    for (int i = 0; i < s->n && r == 0; i++)
        if (s->last_ms[i] == NEVER_SEEN)
            return db_write(s->options.db, add_rows_unit, s);
    return r;
}

/* Takes or renews the lease, and looks what was done. */
static int renew(struct schedule *s)
{
    int r = leader_take(&s->leader);
    if (r > 0) {
        int rows = read_rows(s);
        s->renew_at_ms = clock_monotonic_ms() + (rows == 0 ? s->leader.lease_ms / 3 : LOOK_MS);
        note_leading(s, NULL);
        return rows < 0 ? rows : 1;
    }
    s->renew_at_ms = clock_monotonic_ms() + LOOK_MS;
    note_leading(s, r == 0 ? "another server took the lease" : "the lease ran out without the store");
    return r;
}

/* ---- duties */

struct step {
    struct schedule *s;
    const struct duty *duty;
    int64_t slot_ms;
    bool again; /* the slot was done before */
};

static int keep_slot(struct db_conn *c, const struct step *step, const char *slot)
{
    char name[96];
    duty_row(step->duty, name, sizeof name);
    return db_exec(
        c, "UPDATE leader_leases SET holder = ?2, last_run_at = coalesce(?3, last_run_at) WHERE name = ?1",
        DB_ARGS(DB_TEXT(name), DB_TEXT(step->s->leader.id), DB_TEXT(slot)), NULL);
}

/* Every step writes to the duty's row: that of two servers one is undone, run again, and finds out. */
static int step_unit(struct db_conn *c, void *arg)
{
    struct step *step = arg;
    struct duty_run run = {.ctx = step->s->options.ctx, .batch = step->duty->batch};
    int64_t last_ms;
    db_limit(c, DUTY_STEP_MS);
    int r = leader_confirm(c, &step->s->leader, &run.now_ms);
    if (r <= 0)
        return r < 0 ? r : -ESTALE;
    run.slot_ms = step->slot_ms = duty_slot(step->duty, run.now_ms);
    r = read_last(c, step->duty, &last_ms);
    if (r == 0 && last_ms == NEVER_SEEN)
        return -ESTALE; /* somebody deleted the row; the next renewal makes it */
    step->again = r == 0 && last_ms >= run.slot_ms;
    if (r < 0 || step->again)
        return r;
    clock_format_iso(run.now_ms, run.now);
    clock_format_iso(run.slot_ms, run.slot);
    int more = step->duty->step(c, &run);
    if (more < 0)
        return more;
    r = keep_slot(c, step, more > 0 ? NULL : run.slot);
    return r < 0 ? r : more > 0;
}

static void note_run(const struct step *step, int r, int steps, int64_t began_ms)
{
    bool done = r == 0 && !step->again;
    metric_add(METRIC_DUTIES, done);
    metric_add(METRIC_DUTIES_FAILED, r < 0 && r != -ESTALE);
    if (done)
        log_event(LOG_INFO, "schedule: done", LOG_S("duty", step->duty->name), LOG_N("steps", steps),
                  LOG_N("ms", clock_monotonic_ms() - began_ms));
    if (r < 0 && r != -ESTALE)
        log_event(LOG_WARN, "schedule: a duty failed and is tried again", LOG_S("duty", step->duty->name),
                  LOG_S("error", strerror(-r)));
}

static void run_duty(struct schedule *s, int i)
{
    struct step step = {.s = s, .duty = &s->options.duties[i]};
    int64_t began_ms = clock_monotonic_ms();
    int r, steps = 0, kept = 0;
    do {
        r = db_write(s->options.db, step_unit, &step);
        steps++;
        kept += r >= 0;
        if (clock_monotonic_ms() >= s->renew_at_ms)
            (void)renew(s); /* whether it succeeded shows below */
    } while (r > 0 && leader_holds(&s->leader) && !is_stopping(s) &&
             clock_monotonic_ms() - began_ms < step.duty->limit_ms);
    if (kept > 0 && step.duty->after)
        step.duty->after(s->options.ctx);
    if (r == 0)
        s->last_ms[i] = step.slot_ms;
    if (r < 0)
        s->retry_at_ms[i] = clock_monotonic_ms() + RETRY_MS;
    if (r == -ESTALE)
        s->renew_at_ms = 0;
    note_run(&step, r, steps, began_ms);
}

/* How long until the duty is due: 0 = now. */
static int64_t due_in(const struct schedule *s, int i)
{
    int64_t monotonic_ms = clock_monotonic_ms(), now_ms = monotonic_ms + s->leader.store_ahead;
    const struct duty *d = &s->options.duties[i];
    int64_t slot_ms = duty_slot(d, now_ms);
    if (s->last_ms[i] >= slot_ms)
        return slot_ms + d->every_ms - now_ms;
    return s->retry_at_ms[i] > monotonic_ms ? s->retry_at_ms[i] - monotonic_ms : 0;
}

/* ---- the thread */

static int64_t lead(struct schedule *s)
{
    if (clock_monotonic_ms() >= s->renew_at_ms && renew(s) <= 0)
        return LOOK_MS;
    for (int i = 0; i < s->n && !is_stopping(s) && leader_holds(&s->leader); i++)
        if (due_in(s, i) == 0)
            run_duty(s, i);
    int64_t wait = s->renew_at_ms - clock_monotonic_ms();
    for (int i = 0; i < s->n; i++)
        if (due_in(s, i) < wait)
            wait = due_in(s, i);
    return wait;
}

static int64_t follow(struct schedule *s)
{
    note_leading(s, "the lease ran out without the store");
    if (leader_free(&s->leader) > 0 && renew(s) > 0)
        return 0;
    return LOOK_MS;
}

static void rest(struct schedule *s, int64_t ms)
{
    struct timespec until = clock_deadline(ms > LEAST_WAIT_MS ? ms : LEAST_WAIT_MS);
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *arg)
{
    struct schedule *s = arg;
    while (!is_stopping(s))
        rest(s, leader_holds(&s->leader) ? lead(s) : follow(s));
    if (leader_release(&s->leader) < 0)
        log_event(LOG_WARN, "schedule: the lease could not be given back and ends by itself");
    note_leading(s, "it stops");
    return NULL;
}

int schedule_start(const struct schedule_options *options, struct schedule **ret)
{
    struct schedule *s = calloc(1, sizeof *s);
    if (!s)
        return log_error(-ENOMEM, "schedule: start");
    s->options = *options;
    while (s->n < DUTIES_MOST && options->duties[s->n].name)
        s->n++;
    leader_init(&s->leader, options->db, LEASE_NAME, options->lease_ms);
    pthread_mutex_init(&s->lock, NULL);
    cond_init(&s->wake);
    int r = pthread_create(&s->thread, NULL, work, s);
    if (r != 0) {
        free(s);
        return log_error(-r, "schedule: start");
    }
    (void)pthread_setname_np(s->thread, "genie-schedule");
    *ret = s;
    return 0;
}

void schedule_stop(struct schedule *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
