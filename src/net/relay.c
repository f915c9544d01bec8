/* SPDX-License-Identifier: MIT */
/* A call is curl's on the thread and its owner's elsewhere; in between are two windows, the state and some
 * flags, under the call's lock. The owner puts the call into the inbox when curl has been waiting for what he
 * did. A server that is silent though it is its turn is noticed by a look at all calls each second: they are
 * few. */
#include "net/relay.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/headers.h"
#include "net/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#define KEPT_CONNECTIONS 64L
#define IDLE_CONNECTION_S 3L /* Node's servers close an idle connection after 5 s */
#define READ_BUFFER 16384L
#define LOOK_MS 500
#define WINDOW_MAX (RELAY_WINDOW + (size_t)64 * 1024) /* and the piece that fills it */
#define ARENA_MAX (2 * RELAY_HEADER_BYTES_MAX + (size_t)64 * 1024)

struct window {
    struct buf bytes;
    size_t at; /* taken of it */
};

struct relay_call {
    struct relay *relay;
    atomic_int refs;
    struct relay_request request; /* copied */
    struct curl_slist *headers;
    struct arena texts; /* the thread's, until the head is there */
    struct relay_head head;
    size_t header_bytes;
    CURL *easy; /* the thread's */

    pthread_mutex_t lock;
    struct relay_waker waker;
    struct window out, in;
    bool out_ended, out_paused, in_paused; /* paused: curl waits for the owner */
    bool over;                             /* the transfer has ended, in whatever way */
    bool whole;                            /* and all of the answer has come */
    bool unwanted;
    int64_t moved_ms; /* when the server last did something, or it became its turn */
    enum relay_state state;

    bool in_inbox; /* under the relay's lock, like the entry */
    TAILQ_ENTRY(relay_call) inbox;
    TAILQ_ENTRY(relay_call) place; /* among the running; the thread's */
};

TAILQ_HEAD(call_list, relay_call);

struct relay {
    struct loop loop;
    struct relay_options options;
    struct call_list running;
    int64_t look_due_ms;

    pthread_mutex_t lock;
    struct call_list inbox;
    bool stopping;
    int calls; /* of which the thread is not done */
};

/* --- windows ------------------------------------------------------------------------------------------- */

static size_t window_left(const struct window *w)
{
    return w->bytes.len - w->at;
}

static size_t window_take(struct window *w, char *to, size_t max)
{
    size_t n = window_left(w) < max ? window_left(w) : max;
    if (n > 0)
        memcpy(to, w->bytes.data + w->at, n);
    w->at += n;
    if (window_left(w) == 0) {
        buf_reset(&w->bytes);
        w->at = 0;
    }
    return n;
}

static int window_add(struct window *w, const char *data, size_t len)
{
    if (w->at > 0) {
        buf_drop(&w->bytes, w->at);
        w->at = 0;
    }
    return buf_add(&w->bytes, data, len);
}

/* --- references and the inbox -------------------------------------------------------------------------- */

struct relay_call *relay_ref(struct relay_call *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void relay_unref(struct relay_call *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    buf_free(&c->out.bytes);
    buf_free(&c->in.bytes);
    headers_free(c->headers);
    arena_wipe(&c->texts);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Has the thread look at the call. Not with the call's lock held. */
static void touch(struct relay_call *c)
{
    struct relay *r = c->relay;
    pthread_mutex_lock(&r->lock);
    bool put = !c->in_inbox && !r->stopping;
    if (put) {
        c->in_inbox = true;
        (void)relay_ref(c);
        TAILQ_INSERT_TAIL(&r->inbox, c, inbox);
    }
    pthread_mutex_unlock(&r->lock);
    if (put)
        loop_wake(&r->loop);
}

static void wake_locked(struct relay_call *c, enum relay_news news)
{
    if (c->waker.wake)
        c->waker.wake(c->waker.ctx, news);
}

/* --- curl's callbacks, on the thread -------------------------------------------------------------------- */

static size_t on_send(char *to, size_t size, size_t n, void *arg)
{
    struct relay_call *c = arg;
    pthread_mutex_lock(&c->lock);
    bool was_full = window_left(&c->out) >= RELAY_WINDOW;
    size_t taken = window_take(&c->out, to, size * n);
    size_t result = taken || c->out_ended ? taken : CURL_READFUNC_PAUSE;
    c->out_paused = result == CURL_READFUNC_PAUSE;
    c->moved_ms = c->relay->loop.now_ms;
    if (was_full && window_left(&c->out) < RELAY_WINDOW)
        wake_locked(c, RELAY_ROOM);
    pthread_mutex_unlock(&c->lock);
    return result;
}

static size_t on_receive(char *data, size_t size, size_t n, void *arg)
{
    struct relay_call *c = arg;
    size_t result = size * n;
    pthread_mutex_lock(&c->lock);
    c->moved_ms = c->relay->loop.now_ms;
    c->in_paused = window_left(&c->in) >= RELAY_WINDOW;
    if (c->in_paused)
        result = CURL_WRITEFUNC_PAUSE;
    else if (window_add(&c->in, data, size * n) < 0)
        result = CURL_WRITEFUNC_ERROR;
    else
        wake_locked(c, RELAY_ANSWER);
    pthread_mutex_unlock(&c->lock);
    return result;
}

/* A line of the head. Its end makes the answer known, unless it was an interim one. */
static void end_head(struct relay_call *c)
{
    long status = 0;
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return;
    c->head.status = (int)status;
    pthread_mutex_lock(&c->lock);
    c->state = RELAY_ANSWERED;
    c->moved_ms = c->relay->loop.now_ms;
    wake_locked(c, RELAY_ANSWER);
    pthread_mutex_unlock(&c->lock);
}

/* "Name: value", without the line's end; lines that are none are left out. 0, or -1 where there are too many.
 */
static int add_header(struct relay_call *c, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    c->header_bytes += len;
    if (c->header_bytes > RELAY_HEADER_BYTES_MAX)
        return -1;
    if (!colon || colon == line || memchr(line, '\0', len))
        return 0;
    char *name = arena_strndup(&c->texts, line, (size_t)(colon - line));
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    char *text = arena_strndup(&c->texts, value, (size_t)(end - value));
    if (!name || !text || c->head.n_headers == RELAY_HEADERS_MAX)
        return -1;
    int64_t length;
    if (str_equal_nocase(name, "Content-Length") && parse_int(text, 0, INT64_MAX, &length) == 0)
        c->head.length = length;
    c->head.headers[c->head.n_headers++] = (struct relay_header){name, text};
    return 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct relay_call *c = arg;
    size_t len = size * n;
    if (c->head.status) /* trailers */
        return len;
    while (len > 0 && strchr("\r\n", line[len - 1]))
        len--;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        c->head.n_headers = 0;
        c->head.length = -1;
        return size * n;
    }
    if (len == 0)
        end_head(c);
    else if (add_header(c, line, len) < 0)
        return 0;
    return size * n;
}

/* --- the thread ---------------------------------------------------------------------------------------- */

static void set_body(struct relay_call *c)
{
    const char *method = c->request.method;
    if (strcmp(method, "HEAD") == 0) {
        (void)curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (c->request.body == RELAY_BODY_NONE) {
        (void)curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
    } else {
        int64_t len = c->request.body == RELAY_BODY_CHUNKED ? -1 : c->request.body;
        (void)curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len);
        (void)curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_send);
        (void)curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
    }
    (void)curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
}

/* On a connection that turns out to be closed, curl sends a request once more: only where that does no harm.
 */
static bool repeats_safely(const char *method)
{
    return choices_have("GET|HEAD|SEARCH", method, strlen(method));
}

static int start_transfer(struct relay *r, struct relay_call *c)
{
    c->easy = curl_easy_init();
    if (!c->easy)
        return -ENOMEM;
    loop_set_common(c->easy);
    set_body(c);
    (void)curl_easy_setopt(c->easy, CURLOPT_URL, c->request.url);
    (void)curl_easy_setopt(c->easy, CURLOPT_REQUEST_TARGET, c->request.target);
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    (void)curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_receive);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    (void)curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, READ_BUFFER);
    (void)curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, (long)!repeats_safely(c->request.method));
    (void)curl_easy_setopt(c->easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    (void)curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->options.connect_timeout_ms);
    (void)curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
    return curl_multi_add_handle(r->loop.multi, c->easy) == CURLM_OK ? 0 : -ENOMEM;
}

static void count_out(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    r->calls--;
    pthread_mutex_unlock(&r->lock);
}

/* The transfer is over; what has come of its answer can still be read. */
static void finish(struct relay *r, struct relay_call *c, enum relay_state failure, bool whole)
{
    if (c->easy) {
        (void)curl_multi_remove_handle(r->loop.multi, c->easy);
        curl_easy_cleanup(c->easy);
        c->easy = NULL;
    }
    TAILQ_REMOVE(&r->running, c, place);
    pthread_mutex_lock(&c->lock);
    c->over = true;
    c->whole = whole;
    c->out_paused = c->in_paused = false;
    if (c->state == RELAY_WAITING)
        c->state = failure;
    wake_locked(c, RELAY_OVER);
    pthread_mutex_unlock(&c->lock);
    count_out(r);
    relay_unref(c);
}

static enum relay_state failure_of(CURLcode result)
{
    if (result == CURLE_OPERATION_TIMEDOUT)
        return RELAY_TIMED_OUT; /* only connecting has a limit of curl's */
    return result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ? RELAY_UNREACHABLE
                                                                                   : RELAY_BROKEN;
}

static void ended(void *ctx, CURL *easy, CURLcode result)
{
    char *owner = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    struct relay_call *c = (struct relay_call *)(void *)owner;
    if (result != CURLE_OK)
        log_event(LOG_WARN, "a request that was passed on failed",
                  LOG_S("error", curl_easy_strerror(result)));
    finish(ctx, c, failure_of(result), result == CURLE_OK);
}

static void begin(struct relay *r, struct relay_call *c)
{
    (void)relay_ref(c);
    TAILQ_INSERT_TAIL(&r->running, c, place);
    c->moved_ms = r->loop.now_ms;
    if (start_transfer(r, c) < 0)
        finish(r, c, RELAY_BROKEN, false);
}

/* What the owner has done meanwhile. */
static void attend(struct relay *r, struct relay_call *c, bool is_new)
{
    pthread_mutex_lock(&c->lock);
    bool unwanted = c->unwanted, over = c->over;
    bool more = c->out_paused && (window_left(&c->out) > 0 || c->out_ended);
    bool room = c->in_paused && window_left(&c->in) < RELAY_WINDOW / 2;
    if (more || room)
        c->moved_ms = r->loop.now_ms;
    c->out_paused = c->out_paused && !more;
    c->in_paused = c->in_paused && !room;
    int pause = (c->out_paused ? CURLPAUSE_SEND : 0) | (c->in_paused ? CURLPAUSE_RECV : 0);
    pthread_mutex_unlock(&c->lock);
    if (is_new && !unwanted)
        begin(r, c);
    else if (is_new)
        count_out(r);
    else if (unwanted && !over)
        finish(r, c, RELAY_BROKEN, false);
    else if (!over && (more || room))
        (void)curl_easy_pause(c->easy, pause);
}

static struct relay_call *take_from_inbox(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    struct relay_call *c = TAILQ_FIRST(&r->inbox);
    if (c) {
        TAILQ_REMOVE(&r->inbox, c, inbox);
        c->in_inbox = false;
    }
    pthread_mutex_unlock(&r->lock);
    return c;
}

static void take_inbox(struct relay *r)
{
    for (struct relay_call *c; (c = take_from_inbox(r)); relay_unref(c)) {
        bool is_new = !c->easy && !c->over;
        attend(r, c, is_new);
    }
}

/* Whether the server has had its turn for too long. It isn't its turn while curl waits for the owner. */
static bool is_silent(struct relay *r, struct relay_call *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->out_paused || c->in_paused)
        c->moved_ms = r->loop.now_ms;
    bool silent = r->loop.now_ms - c->moved_ms > r->options.silence_timeout_ms;
    pthread_mutex_unlock(&c->lock);
    return silent;
}

static void look_for_silence(struct relay *r)
{
    struct relay_call *c, *next;
    if (r->loop.now_ms < r->look_due_ms)
        return;
    r->look_due_ms = r->loop.now_ms + LOOK_MS;
    for (c = TAILQ_FIRST(&r->running); c; c = next) {
        next = TAILQ_NEXT(c, place);
        if (!is_silent(r, c))
            continue;
        log_event(LOG_WARN, "a request that was passed on got no answer in time",
                  LOG_N("limit_ms", r->options.silence_timeout_ms));
        finish(r, c, RELAY_TIMED_OUT, false);
    }
}

static void nothing_after(void *ctx)
{
    (void)ctx;
}

static void *run(void *arg)
{
    struct relay *r = arg;
    for (bool stop = false; !stop;) {
        loop_turn(&r->loop, TAILQ_EMPTY(&r->running) ? -1 : r->look_due_ms, nothing_after, NULL);
        loop_reap(&r->loop, ended, r);
        take_inbox(r);
        loop_clock(&r->loop, nothing_after, NULL);
        loop_reap(&r->loop, ended, r);
        look_for_silence(r);
        pthread_mutex_lock(&r->lock);
        stop = r->stopping;
        pthread_mutex_unlock(&r->lock);
    }
    take_inbox(r);
    while (!TAILQ_EMPTY(&r->running))
        finish(r, TAILQ_FIRST(&r->running), RELAY_BROKEN, false);
    return NULL;
}

int relay_start(const struct relay_options *options, struct relay **ret)
{
    struct relay *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->options = *options;
    TAILQ_INIT(&r->running);
    TAILQ_INIT(&r->inbox);
    pthread_mutex_init(&r->lock, NULL);
    int e = loop_open(&r->loop, KEPT_CONNECTIONS);
    if (e == 0)
        e = loop_start(&r->loop, run, r, "genie-relay");
    if (e < 0) {
        loop_close(&r->loop);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return e;
    }
    *ret = r;
    return 0;
}

void relay_stop(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    loop_wake(&r->loop);
    (void)pthread_join(r->loop.thread, NULL);
    loop_close(&r->loop);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* --- the owner's side ----------------------------------------------------------------------------------- */

static int copy_request(struct relay_call *c, const struct relay_request *request)
{
    /* what curl would add by itself */
    static const char *const not_added[] = {"Expect:", "Accept:", "User-Agent:", "Content-Type:"};
    c->request = *request;
    c->request.method = arena_strdup(&c->texts, request->method);
    c->request.url = arena_strdup(&c->texts, request->url);
    c->request.target = arena_strdup(&c->texts, request->target);
    if (!c->request.method || !c->request.url || !c->request.target)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(not_added) && r == 0; i++) {
        bool given = false;
        for (const char *const *h = request->headers; *h; h++)
            given = given || strncasecmp(*h, not_added[i], strlen(not_added[i])) == 0;
        r = given ? 0 : headers_add(&c->headers, not_added[i]);
    }
    for (const char *const *h = request->headers; *h && r == 0; h++)
        r = headers_add(&c->headers, *h);
    return r;
}

static bool count_in(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    bool room = !r->stopping && r->calls < r->options.most_calls;
    r->calls += room;
    pthread_mutex_unlock(&r->lock);
    return room;
}

int relay_begin(struct relay *r, const struct relay_request *request, struct relay_waker waker,
                struct relay_call **ret)
{
    struct relay_call *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->relay = r;
    c->refs = 1;
    c->waker = waker;
    c->head.length = -1;
    c->out.bytes = BUF_INIT(WINDOW_MAX);
    c->in.bytes = BUF_INIT(WINDOW_MAX);
    arena_init(&c->texts, ARENA_MAX);
    pthread_mutex_init(&c->lock, NULL);
    int e = copy_request(c, request);
    if (e == 0 && !count_in(r))
        e = -EBUSY;
    if (e < 0) {
        relay_unref(c);
        return e;
    }
    touch(c);
    *ret = c;
    return 0;
}

void relay_tell(struct relay_call *c, struct relay_waker waker)
{
    pthread_mutex_lock(&c->lock);
    c->waker = waker;
    pthread_mutex_unlock(&c->lock);
}

int relay_write(struct relay_call *c, const char *data, size_t len)
{
    pthread_mutex_lock(&c->lock);
    int r = c->over ? -EPIPE : window_add(&c->out, data, len);
    if (r == 0)
        r = window_left(&c->out) >= RELAY_WINDOW;
    bool awaited = c->out_paused;
    pthread_mutex_unlock(&c->lock);
    if (awaited)
        touch(c);
    return r;
}

void relay_write_end(struct relay_call *c)
{
    pthread_mutex_lock(&c->lock);
    bool awaited = c->out_paused && !c->out_ended;
    c->out_ended = true;
    pthread_mutex_unlock(&c->lock);
    if (awaited)
        touch(c);
}

enum relay_state relay_state(struct relay_call *c)
{
    pthread_mutex_lock(&c->lock);
    enum relay_state state = c->state;
    pthread_mutex_unlock(&c->lock);
    return state;
}

const struct relay_head *relay_head(const struct relay_call *c)
{
    return &c->head;
}

ssize_t relay_read(struct relay_call *c, char *to, size_t max)
{
    pthread_mutex_lock(&c->lock);
    ssize_t n = (ssize_t)window_take(&c->in, to, max);
    if (n == 0 && c->over)
        n = c->whole ? -ENODATA : -EIO;
    bool awaited = c->in_paused && window_left(&c->in) < RELAY_WINDOW / 2;
    pthread_mutex_unlock(&c->lock);
    if (awaited)
        touch(c);
    return n;
}

void relay_end(struct relay_call *c)
{
    pthread_mutex_lock(&c->lock);
    bool running = !c->over && !c->unwanted;
    c->unwanted = true;
    c->waker = (struct relay_waker){0};
    pthread_mutex_unlock(&c->lock);
    if (running)
        touch(c);
}
