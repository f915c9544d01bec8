/* SPDX-License-Identifier: MIT */
#include "queue/work.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define LINE_MAX_BYTES 1000
#define BACKOFF_MS 1000
#define BACKOFF_MOST_MS 300000

static struct work *work_of(struct queue_work *shown)
{
    return (struct work *)shown;
}

struct work *work_new(struct queue *q, struct queue_claim *claim)
{
    struct work *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->claim = claim;
    w->refs = 1;
    w->good_until_ms = claim->good_until_ms;
    w->renew_at_ms = claim->good_until_ms - QUEUE_LEASE_MS + QUEUE_RENEW_MS;
    w->handler = queue_handler_of(q, claim->job.queue, claim->job.operation);
    w->shown = (struct queue_work){.job = claim->job, .arena = &claim->arena, .cancel = &w->cancel};
    w->notes.percent = w->stored_percent = w->last.percent = -1;
    w->settle = (struct queue_settle){.claim = claim, .percent = -1};
    pthread_mutex_init(&w->notes_lock, NULL);
    return w;
}

struct work *work_ref(struct work *w)
{
    w->refs++;
    return w;
}

static void free_lines(struct work_notes *n)
{
    for (size_t i = 0; i < n->n_lines; i++)
        free(n->lines[i]);
    free(n->lines);
    n->lines = NULL;
    n->n_lines = 0;
}

void work_unref(struct work *w)
{
    if (--w->refs > 0)
        return;
    free_lines(&w->notes);
    free_lines(&w->last);
    pthread_mutex_destroy(&w->notes_lock);
    json_decref(w->shown.result);
    free(w->result_text);
    queue_claim_free(w->claim);
    free(w);
}

void work_stop(struct work *w, unsigned why)
{
    (void)atomic_fetch_or(&w->why, why);
    cancel_raise(&w->cancel);
}

bool queue_work_cancelled(struct queue_work *shown)
{
    return (atomic_load(&work_of(shown)->why) & WHY_ASKED) != 0;
}

/* ---- running */

static void fail_for_good(struct work *w, const char *why)
{
    w->shown.verdict = WORK_FAILED;
    (void)snprintf(w->shown.error, sizeof w->shown.error, "%s", why);
}

/* Whether a text of JSON holds an escaped NUL, which jsonb refuses: its backslash isn't itself escaped. */
static bool holds_nul(const char *json)
{
    for (const char *at = json; (at = strstr(at, "\\u0000")); at++) {
        size_t before = 0;
        while (at - json > (ptrdiff_t)before && at[-1 - (ptrdiff_t)before] == '\\')
            before++;
        if (before % 2 == 0)
            return true;
    }
    return false;
}

static void write_result(struct work *w)
{
    w->result_text = json_dumps(w->shown.result, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!w->result_text)
        fail_for_good(w, "The result can't be written as JSON");
    else if (strlen(w->result_text) > WORK_RESULT_MAX)
        fail_for_good(w, "The result is too large");
    else if (holds_nul(w->result_text))
        fail_for_good(w, "The result holds a NUL character");
}

void work_run(struct work *w)
{
    struct queue_work *shown = &w->shown;
    if (w->claim->unfit || !w->handler || !w->handler->run) {
        shown->verdict = WORK_FAILED;
        (void)snprintf(shown->error, sizeof shown->error, "%s",
                       w->claim->unfit ? w->claim->unfit : "No worker knows this operation");
        log_event(LOG_WARN, "a job can't run", LOG_S("job", shown->job.id),
                  LOG_S("operation", shown->job.operation), LOG_S("why", shown->error));
        return;
    }
    if (cancel_raised(&w->cancel))
        return;
    w->ran = true;
    log_set_request(shown->job.id);
    w->handler->run(w->handler->ctx, shown);
    log_set_request(NULL);
    utf8_repair(shown->error, strlen(shown->error)); /* what the store takes */
    if (shown->verdict == WORK_DONE && shown->result)
        write_result(w);
}

/* 1 s, 2 s, 4 s … a quarter more or less, so that what failed together doesn't come back together. */
static int64_t backoff_ms(int attempt)
{
    uint16_t random;
    int64_t ms = BACKOFF_MS;
    for (int i = 1; i < attempt && ms < BACKOFF_MOST_MS; i++)
        ms *= 2;
    if (ms > BACKOFF_MOST_MS)
        ms = BACKOFF_MOST_MS;
    random_bytes(&random, sizeof random);
    return ms - ms / 4 + ms / 2 * random / UINT16_MAX;
}

static void conclude(struct work *w, enum queue_move move, int64_t delay_ms)
{
    w->settle.move = move;
    w->settle.delay_ms = delay_ms;
}

void work_give_back(struct work *w)
{
    conclude(w, QUEUE_RETURNED, 0);
}

void work_conclude(struct work *w)
{
    struct queue_work *shown = &w->shown;
    unsigned why = atomic_load(&w->why);
    if (shown->verdict == WORK_DONE)
        conclude(w, QUEUE_COMPLETED, 0);
    else if (why & WHY_ASKED)
        conclude(w, QUEUE_CANCELLED, 0);
    else if (why)
        conclude(w, QUEUE_RETURNED, 0);
    else if (shown->verdict == WORK_LATER)
        conclude(w, QUEUE_RETURNED, shown->delay_ms > 0 ? shown->delay_ms : 1);
    else if (shown->verdict == WORK_RETRY && shown->job.attempt < shown->job.max_attempts)
        conclude(w, QUEUE_RETRIED, backoff_ms(shown->job.attempt));
    else
        conclude(w, QUEUE_FAILED, 0);
    bool done = w->settle.move == QUEUE_COMPLETED;
    if (w->settle.move == QUEUE_FAILED && !shown->error[0])
        (void)snprintf(shown->error, sizeof shown->error, "The job failed without a reason");
    w->settle.finish = shown->finish;
    w->settle.error = shown->error[0] && !done ? shown->error : NULL;
    w->settle.result = done ? shown->result : NULL;
    w->settle.result_text = done ? w->result_text : NULL;
}

bool work_refuse(struct work *w)
{
    if (w->settle.move != QUEUE_COMPLETED)
        return false;
    w->shown.verdict = WORK_FAILED;
    work_conclude(w);
    return true;
}

/* ---- notes */

void queue_progress(struct queue_work *shown, int percent)
{
    struct work *w = work_of(shown);
    pthread_mutex_lock(&w->notes_lock);
    w->notes.percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    pthread_mutex_unlock(&w->notes_lock);
}

__attribute__((format(printf, 1, 0))) static char *make_line(const char *fmt, va_list ap)
{
    char text[LINE_MAX_BYTES + 4];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n < 0)
        return NULL;
    if ((size_t)n >= sizeof text)
        text[utf8_floor(text, sizeof text - 1, LINE_MAX_BYTES)] = '\0';
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    utf8_repair(text, strlen(text)); /* what the store takes */
    return strdup(text);
}

/* Needs the notes' lock. */
static bool add_line(struct work *w, char *line)
{
    if (line && !w->notes.lines)
        w->notes.lines = calloc(WORK_LINES_PENDING, sizeof *w->notes.lines);
    if (!line || !w->notes.lines || w->notes.n_lines == WORK_LINES_PENDING)
        return false;
    w->notes.lines[w->notes.n_lines++] = line;
    return true;
}

void queue_log(struct queue_work *shown, const char *fmt, ...)
{
    struct work *w = work_of(shown);
    va_list ap;
    va_start(ap, fmt);
    char *line = make_line(fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&w->notes_lock);
    bool added = add_line(w, line);
    w->lines_left_out += !added;
    pthread_mutex_unlock(&w->notes_lock);
    if (!added)
        free(line);
}

bool work_has_notes(struct work *w)
{
    pthread_mutex_lock(&w->notes_lock);
    bool has = w->notes.n_lines > 0 || w->notes.percent != w->stored_percent;
    pthread_mutex_unlock(&w->notes_lock);
    return has;
}

void work_take_notes(struct work *w, struct work_notes *ret)
{
    pthread_mutex_lock(&w->notes_lock);
    *ret = w->notes;
    if (ret->percent == w->stored_percent)
        ret->percent = -1;
    w->stored_percent = w->notes.percent;
    w->notes.lines = NULL;
    w->notes.n_lines = 0;
    size_t left_out = w->lines_left_out;
    w->lines_left_out = 0;
    pthread_mutex_unlock(&w->notes_lock);
    if (left_out > 0)
        log_event(LOG_WARN, "lines of a job's log came too fast, and are left out",
                  LOG_S("job", w->shown.job.id), LOG_N("lines", left_out));
}

/* Before those that came meanwhile; what is too much goes. */
static void put_lines_back(struct work *w, struct work_notes *from)
{
    for (size_t i = 0; i < w->notes.n_lines; i++) {
        if (from->n_lines < WORK_LINES_PENDING)
            from->lines[from->n_lines++] = w->notes.lines[i];
        else
            free(w->notes.lines[i]);
    }
    free(w->notes.lines);
    w->notes.lines = from->lines;
    w->notes.n_lines = from->n_lines;
    from->lines = NULL;
    from->n_lines = 0;
}

void work_end_notes(struct work *w, struct work_notes *notes, bool stored)
{
    if (!stored) {
        pthread_mutex_lock(&w->notes_lock);
        if (notes->percent >= 0)
            w->stored_percent = -1;
        if (notes->lines)
            put_lines_back(w, notes);
        pthread_mutex_unlock(&w->notes_lock);
    }
    free_lines(notes);
}
