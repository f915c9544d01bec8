/* SPDX-License-Identifier: MIT */
/* A check may hang where nothing of ours can bound it (a file system of another machine, a resolver): so each
 * has a thread, and who asks waits for it only so long. What such a thread holds is given up; the command
 * ends soon after. */
#include "ops/doctor.h"

#include "base/clock.h"
#include "base/cleanup.h"
#include "ops/checks.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_MS 25000

static const struct check {
    const char *name;
    bool (*run)(const struct checkup *c, struct finding *f);
    bool without_settings; /* can be looked at where the settings are wrong */
} checks[] = {
    {"settings", check_settings, true},
    {"genie.env", check_settings_file, true},
    {"secrets", check_secrets, false},
    {"exposure", check_exposure, false},
    {"data directory", check_data, false},
    {"free space", check_space, false},
    {"database", check_sqlite, false},
    {"database log", check_sqlite_log, false},
    {"postgres", check_postgres, false},
    {"postgres settings", check_postgres_settings, false},
    {"postgres connections", check_postgres_connections, false},
    {"postgres clock", check_postgres_clock, false},
    {"postgres listen", check_postgres_listen, false},
    {"redis", check_redis, false},
    {"queues", check_queues, false},
    {"directus", check_directus, false},
    {"directus token", check_directus_token, false},
    {"directus database", check_directus_database, false},
    {"directus collections", check_collections, false},
    {"model", check_model, false},
    {"anthropic", check_anthropic, false},
    {"embedder", check_embedder, false},
    {"stagehand", check_stagehand, false},
    {"ffmpeg", check_ffmpeg, true},
    {"ffprobe", check_ffprobe, true},
    {"convert", check_convert, true},
    {"exiftool", check_exiftool, true},
    {"yt-dlp", check_ytdlp, true},
    {"open files", check_open_files, false},
    {"memory", check_memory, true},
    {"time", check_time, true},
    {"port", check_port, false},
};

_Static_assert(ARRAY_LEN(checks) <= DOCTOR_MOST, "DOCTOR_MOST has room for every check");

const char *verdict_name(enum verdict v)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    return names[v];
}

bool found(struct finding *f, enum verdict v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(f->found, sizeof f->found, fmt, ap);
    va_end(ap);
    f->verdict = v;
    return true;
}

bool mend(struct finding *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(f->mend, sizeof f->mend, fmt, ap);
    va_end(ap);
    return true;
}

const char *checkup_setting(const struct checkup *c, const char *name)
{
    for (const struct setting *s = settings; s->name && c->loaded; s++)
        if (strcmp(s->name, name) == 0 && (s->type == SETTING_TEXT || s->type == SETTING_CHOICE))
            return *(const char *const *)((const char *)c->cfg + s->offset);
    return NULL;
}

/* ---- running them */

/* Shared by who asks and the thread; the last one frees it. */
struct task {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    const struct check *check;
    struct checkup checkup;
    struct finding finding;
    bool done, has_row, given_up;
};

static void free_task(struct task *t)
{
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void *run_task(void *arg)
{
    struct task *t = arg;
    struct finding f = {0};
    bool has_row = t->check->run(&t->checkup, &f);
    pthread_mutex_lock(&t->lock);
    t->finding = f;
    t->has_row = has_row;
    t->done = true;
    bool given_up = t->given_up;
    pthread_cond_signal(&t->ended);
    pthread_mutex_unlock(&t->lock);
    if (given_up)
        free_task(t);
    return NULL;
}

static struct task *start_task(const struct check *check, const struct checkup *checkup)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->check = check;
    t->checkup = *checkup;
    pthread_mutex_init(&t->lock, NULL);
    cond_init(&t->ended);
    if (pthread_create(&t->thread, NULL, run_task, t) != 0) {
        free_task(t);
        return NULL;
    }
    return t;
}

/* Whether there is a row. */
static bool end_task(struct task *t, const struct timespec *until, struct finding *ret, bool *hung)
{
    pthread_mutex_lock(&t->lock);
    while (!t->done && pthread_cond_timedwait(&t->ended, &t->lock, until) == 0)
        ;
    bool done = t->done, has_row = t->has_row;
    *ret = t->finding;
    t->given_up = !done;
    pthread_t thread = t->thread;
    pthread_mutex_unlock(&t->lock);
    if (done) {
        (void)pthread_join(thread, NULL);
        free_task(t);
        return has_row;
    }
    (void)pthread_detach(thread);
    *hung = true;
    return found(ret, CHECK_FAIL, "no answer in %d s", LIMIT_MS / 1000);
}

size_t doctor_run(const struct config_load *load, bool loaded, struct diagnosis *ret, bool *ret_hung)
{
    const struct checkup checkup = {.load = load, .cfg = &load->config, .loaded = loaded};
    struct task *tasks[ARRAY_LEN(checks)] = {NULL};
    struct timespec until = clock_deadline(LIMIT_MS);
    size_t n = 0;
    *ret_hung = false;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (loaded || checks[i].without_settings)
            tasks[i] = start_task(&checks[i], &checkup);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct diagnosis *d = &ret[n];
        *d = (struct diagnosis){.name = checks[i].name};
        if (tasks[i])
            n += end_task(tasks[i], &until, &d->finding, ret_hung);
        else if (loaded || checks[i].without_settings)
            n += found(&d->finding, CHECK_FAIL, "it can't be looked at: out of memory or threads");
    }
    return n;
}
