/* SPDX-License-Identifier: MIT */
/* The output of a run goes three ways: into what is kept, from there into the row at each beat and at the
 * end, and as events to a reader. A reader that is slow or gone misses events and is told how many bytes; the
 * program never waits for it. */
#include "goose/run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "proc/process.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TEXTS_MAX (4 * RECIPE_MAX)
#define PIECE_MAX ((size_t)64 * 1024) /* of text: what one read gives, each byte perhaps a U+FFFD */
#define EVENT_MAX (6 * PIECE_MAX + 256)
#define RETRY_MS 500

/* ---- the reader's side */

/* What the stream's callbacks know: it may outlive the run. */
struct valve {
    atomic_bool closed;
    int64_t missed; /* bytes; the run's thread alone */
};

static void valve_pause(void *ctx, bool paused)
{
    struct valve *v = ctx;
    atomic_store(&v->closed, paused);
}

static void valve_abandoned(void *ctx)
{
    (void)ctx; /* the run goes on, and its row has what it prints */
}

static void valve_release(void *ctx)
{
    free(ctx);
}

int run_open_stream(struct run *run, struct event_hub *hub, const char *owner)
{
    static const struct event_ops ops = {GOOSE_STREAM, valve_pause, valve_abandoned, valve_release};
    struct valve *v = calloc(1, sizeof *v);
    int r = v ? event_stream_new(hub, run->id, owner, &ops, v, &run->stream) : -ENOMEM;
    if (r < 0)
        free(v);
    return r;
}

static void push(struct run *run, struct buf *event)
{
    if (run->stream && !event->failed)
        (void)event_stream_push(run->stream, event->data, event->len);
}

static void push_output(struct run *run, enum process_stream from, const char *text, size_t len)
{
    static const char *const names[] = {[PROCESS_STDOUT] = "stdout", [PROCESS_STDERR] = "stderr"};
    struct valve *v = event_stream_ctx(run->stream);
    if (atomic_load(&v->closed)) {
        v->missed += (int64_t)len;
        return;
    }
    _cleanup_buf_ struct buf event = BUF_INIT(EVENT_MAX);
    (void)buf_addf(&event, "{\"type\":\"output\",\"stream\":\"%s\"", names[from]);
    if (v->missed > 0)
        (void)buf_addf(&event, ",\"missed\":%lld", (long long)v->missed);
    (void)buf_adds(&event, ",\"text\":");
    (void)json_write_str(&event, text, len);
    (void)buf_adds(&event, "}");
    push(run, &event);
    v->missed = 0;
}

static void push_started(struct run *run)
{
    _cleanup_buf_ struct buf event = BUF_INIT(EVENT_MAX);
    (void)buf_addf(&event, "{\"type\":\"started\",\"runId\":\"%s\",\"timeout_s\":%lld}", run->id,
                   (long long)run->timeout_s);
    push(run, &event);
}

static void push_finished(struct run *run, const struct goose_end *end)
{
    _cleanup_buf_ struct buf event = BUF_INIT(EVENT_MAX);
    (void)buf_addf(&event,
                   "{\"type\":\"finished\",\"runId\":\"%s\",\"status\":\"%s\",\"exit_code\":", run->id,
                   end->status);
    if (end->has_exit_code)
        (void)buf_addf(&event, "%lld", (long long)end->exit_code);
    else
        (void)buf_adds(&event, "null");
    (void)buf_adds(&event, ",\"error\":");
    if (end->error)
        (void)json_write_str(&event, end->error, strlen(end->error));
    else
        (void)buf_adds(&event, "null");
    (void)buf_addf(&event, ",\"output_bytes\":%lld}", (long long)end->output_bytes);
    push(run, &event);
}

/* ---- what it prints */

static void keep(struct run *run, enum process_stream from, const struct buf *text)
{
    if (text->len == 0)
        return;
    pthread_mutex_lock(&run->lock);
    output_add(&run->output, text->data, text->len);
    pthread_mutex_unlock(&run->lock);
    if (run->stream)
        push_output(run, from, text->data, text->len);
}

static void on_output(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct run *run = ctx;
    _cleanup_buf_ struct buf text = BUF_INIT(PIECE_MAX);
    join_bytes(&run->join[from], &text, data, len);
    keep(run, from, &text);
}

static void finish_output(struct run *run)
{
    for (int from = 0; from < 2; from++) {
        _cleanup_buf_ struct buf text = BUF_INIT(PIECE_MAX);
        join_finish(&run->join[from], &text);
        keep(run, (enum process_stream)from, &text);
    }
}

/* A copy of what is kept, and how much was printed; NULL where there is nothing new, or without memory. */
static char *copy_output(struct run *run, bool always, int64_t *ret_total)
{
    _cleanup_buf_ struct buf text = BUF_INIT(OUTPUT_TEXT_MAX);
    pthread_mutex_lock(&run->lock);
    *ret_total = run->output.total;
    bool wanted = always || run->output.total != run->noted;
    int r = wanted ? output_text(&run->output, &text) : -ENODATA;
    pthread_mutex_unlock(&run->lock);
    return r == 0 ? buf_take(&text, NULL) : NULL;
}

/* ---- its life */

struct run *run_new(void)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    uuid_make(run->id);
    arena_init(&run->texts, TEXTS_MAX);
    atomic_init(&run->refs, 1);
    pthread_mutex_init(&run->lock, NULL);
    output_init(&run->output);
    run->good_until_ms = clock_monotonic_ms() + RUN_LEASE_OWN_MS;
    return run;
}

struct run *run_ref(struct run *run)
{
    atomic_fetch_add(&run->refs, 1);
    return run;
}

void run_unref(struct run *run)
{
    if (atomic_fetch_sub(&run->refs, 1) > 1)
        return;
    if (run->stream)
        event_stream_unref(run->stream);
    output_free(&run->output);
    pthread_mutex_destroy(&run->lock);
    arena_free(&run->texts);
    free(run);
}

void run_cancel(struct run *run, enum run_why why)
{
    int none = RUN_WHY_NONE;
    (void)atomic_compare_exchange_strong(&run->why, &none, (int)why);
    cancel_raise(&run->cancel);
}

void run_beat(struct run *run)
{
    int64_t asked_ms = clock_monotonic_ms();
    struct goose_beat beat = {.id = run->id, .server = run->server};
    _cleanup_free_ char *output = copy_output(run, false, &beat.output_bytes);
    beat.output = output;
    int r = goose_row_beat(run->db, &beat);
    if (r == 0 && beat.ours) {
        run->good_until_ms = asked_ms + RUN_LEASE_OWN_MS;
        pthread_mutex_lock(&run->lock);
        run->noted = output ? beat.output_bytes : run->noted;
        pthread_mutex_unlock(&run->lock);
    }
    if (r == 0 && beat.cancelled)
        run_cancel(run, RUN_WHY_CANCELLED);
    if ((r == 0 && !beat.ours) || clock_monotonic_ms() >= run->good_until_ms)
        run_cancel(run, RUN_WHY_LOST);
}

/* ---- its end */

/* `sentence` has room for 96 bytes. */
static void judge(struct run *run, int r, const struct process_end *p, struct goose_end *end, char *sentence)
{
    static const char *const whys[] = {[RUN_WHY_STOPPED] = "The server was stopped",
                                       [RUN_WHY_LOST] = "The server lost the store, and the run with it"};
    int why = atomic_load(&run->why);
    end->status = "failed";
    end->error = sentence;
    sentence[0] = '\0';
    if (r < 0)
        (void)snprintf(sentence, 96, "Goose can't be started: %s", strerror(-r));
    else if (p->how == PROCESS_TIMED_OUT)
        (void)snprintf(sentence, 96, "It took longer than %d s", (int)run->timeout_s);
    else if (p->how == PROCESS_CANCELLED && why == RUN_WHY_CANCELLED)
        end->status = "cancelled";
    else if (p->how == PROCESS_CANCELLED)
        (void)snprintf(sentence, 96, "%s", whys[why]);
    else if (p->how == PROCESS_KILLED)
        (void)snprintf(sentence, 96, "Goose was ended by signal %d", p->code);
    else if (p->code != 0)
        (void)snprintf(sentence, 96, "Goose ended with exit status %d", p->code);
    else
        end->status = "completed";
    end->error = sentence[0] ? sentence : NULL;
    end->has_exit_code = r == 0 && p->how == PROCESS_EXITED;
    end->exit_code = end->has_exit_code ? p->code : 0;
}

/* As long as the run is ours; then others call it failed. */
static int note_end(struct run *run, const struct goose_end *end)
{
    int64_t until_ms = clock_monotonic_ms() + GOOSE_LEASE_MS;
    int r = goose_row_end(run->db, end);
    while (r < 0 && clock_monotonic_ms() < until_ms && !atomic_load(&run->in_haste)) {
        (void)usleep(RETRY_MS * 1000);
        r = goose_row_end(run->db, end);
    }
    if (r < 0)
        (void)log_error(r, "can't note the end of a run of Goose");
    return r;
}

static int start(struct run *run, struct process_end *ret)
{
    const char *with_text[] = {run->program.path, "run", "--name", run->id, "--instructions", "-", NULL};
    const char *with_recipe[] = {run->program.path, "run", "--name", run->id, "--recipe",
                                 run->recipe_path,  NULL};
    struct process_spec spec = {
        .argv = run->recipe ? with_recipe : with_text,
        .env = run->program.env,
        .dir = run->dir,
        .input = run->recipe ? NULL : run->instructions,
        .input_len = run->recipe ? 0 : strlen(run->instructions),
        .limit_ms = run->timeout_s * 1000,
        .cancel = &run->cancel,
        .output = on_output,
        .ctx = run,
    };
    return process_run(&spec, ret);
}

void run_work(struct run *run)
{
    struct process_end process = {0};
    struct goose_end end = {.id = run->id, .server = run->server};
    char sentence[96];
    push_started(run);
    int r = start(run, &process);
    finish_output(run);
    program_tidy(run->dir, &run->texts);
    judge(run, r, &process, &end, sentence);
    _cleanup_free_ char *output = copy_output(run, true, &end.output_bytes);
    end.output = output ? output : "";
    (void)note_end(run, &end);
    log_event(LOG_INFO, "Goose run ended", LOG_S("run", run->id), LOG_S("status", end.status),
              LOG_S("error", end.error), LOG_N("bytes", end.output_bytes));
    push_finished(run, &end);
    if (run->stream)
        event_stream_end(run->stream);
}
