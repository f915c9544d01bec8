/* SPDX-License-Identifier: MIT */
/* Event streams as a client sees them: a real server hands out the streams that the test produces. */
#include "http/events.h"

#include "gate.h"
#include "support.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define OWNER "11111111-1111-4111-8111-111111111111"
#define HOST "Host: test\r\n"
#define KIB 1024

struct app {
    struct event_hub *hub;
};

/* What the producer was told. */
struct heard {
    atomic_int pauses, resumes, abandoned, released, mixed_up;
    atomic_int paused;
    struct gate *hold; /* where being paused takes its time; or NULL */
};

static void on_pause(void *ctx, bool paused)
{
    struct heard *h = ctx;
    if (paused && h->hold)
        gate_pass(h->hold);
    if (atomic_exchange(&h->paused, paused) == (int)paused)
        atomic_fetch_add(&h->mixed_up, 1);
    atomic_fetch_add(paused ? &h->pauses : &h->resumes, 1);
}

static void on_abandoned(void *ctx)
{
    atomic_fetch_add(&((struct heard *)ctx)->abandoned, 1);
}

static void on_release(void *ctx)
{
    atomic_fetch_add(&((struct heard *)ctx)->released, 1);
}

static const struct event_ops ops = {"test", on_pause, on_abandoned, on_release};

static reply read_stream(struct request *rq)
{
    int64_t after;
    struct event_stream *s = event_stream_find(rq->app->hub, "test", rq->params[0], OWNER);
    if (!s)
        return reply_error(rq, ERR_NOT_FOUND, NULL);
    reply answer;
    if (request_query_int(rq, "after", 0, 0, INT64_MAX, &after) < 0)
        answer = reply_error(rq, ERR_INVALID_QUERY, NULL);
    else
        answer = reply_events(rq, s, after);
    if (request_query(rq, "changed-my-mind"))
        answer = reply_json(rq, 200, "{s:b}", "ok", 1);
    event_stream_unref(s);
    return answer;
}

static const struct route table[] = {
    {HTTP_GET, "/s/:id", AUTH_NONE, READS, FAST, read_stream, NO_BODY, ""},
    {HTTP_GET, "/slow/:id", AUTH_NONE, READS, BLOCKING, read_stream, NO_BODY, ""},
    ROUTES_END,
};
static const struct route *const tables[] = {table, NULL};

struct place {
    struct site site;
    struct app app;
};

static void enter_with(struct place *p, int64_t grace_ms, int64_t keep_ms, int64_t heartbeat_ms)
{
    struct event_hub_options options = {grace_ms, keep_ms, heartbeat_ms};
    *p = (struct place){0};
    site_init(&p->site);
    assert_int_equal(event_hub_start(&options, &p->app.hub), 0);
    site_start(&p->site, tables, &p->app);
}

static void enter(struct place *p)
{
    enter_with(p, 60000, 60000, 60000);
}

static void leave(struct place *p)
{
    site_stop(&p->site, 0);
    event_hub_stop(p->app.hub);
}

struct producer {
    struct event_stream *stream;
    char id[UUID_SIZE];
    struct heard heard;
};

static void produce(struct place *p, struct producer *m)
{
    *m = (struct producer){0};
    uuid_make(m->id);
    assert_int_equal(event_stream_new(p->app.hub, m->id, OWNER, &ops, &m->heard, &m->stream), 0);
    assert_ptr_equal(event_stream_ctx(m->stream), &m->heard);
}

static void end(struct producer *m)
{
    event_stream_end(m->stream);
    event_stream_unref(m->stream);
}

/* Event number n is {"n":n,"x":"…"} with a text of `size` bytes. */
static int push(struct producer *m, int n, size_t size)
{
    _cleanup_buf_ struct buf b = BUF_INIT(size + 100);
    assert_int_equal(buf_addf(&b, "{\"n\":%d,\"x\":\"%0*d\"}", n, (int)size, n), 0);
    return event_stream_push(m->stream, b.data, b.len);
}

static void expect_events(struct buf *b, const struct producer *m, int from, int to, size_t size)
{
    for (int n = from; n <= to; n++)
        assert_int_equal(
            buf_addf(b, "data: {\"n\":%d,\"x\":\"%0*d\"}\nid: %s:%d\n\n", n, (int)size, n, m->id, n), 0);
}

static void request_stream(struct client *c, struct place *p, const struct producer *m, int64_t after)
{
    char request[200];
    client_open(c, p->site.port);
    (void)snprintf(request, sizeof request,
                   "GET /s/%s?after=%lld HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", m->id,
                   (long long)after);
    client_send(c, request);
}

/* The same without chunks, which may cut what a test looks for. */
static void request_plain_stream(struct client *c, struct place *p, const struct producer *m)
{
    char request[200];
    client_open(c, p->site.port);
    (void)snprintf(request, sizeof request, "GET /s/%s HTTP/1.0\r\n\r\n", m->id);
    client_send(c, request);
}

/* Reads a stream to its end and compares. */
static void expect_whole(struct client *c, const char *events)
{
    struct answer a;
    char type[64];
    assert_true(client_answer(c, false, &a));
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "Content-Type", type, sizeof type), "text/event-stream");
    assert_string_equal(a.body, events);
    answer_free(&a);
    client_close(c);
}

static void events_arrive_as_they_were_pushed(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    _cleanup_buf_ struct buf want = BUF_INIT(64 * KIB);
    (void)state;
    enter(&p);
    produce(&p, &m);
    assert_int_equal(push(&m, 1, 5), 0);
    request_stream(&c, &p, &m, 0);
    assert_true(client_await(&c, "\"n\":1"));
    for (int n = 2; n <= 20; n++) {
        char text[20];
        assert_int_equal(push(&m, n, 5), 0);
        (void)snprintf(text, sizeof text, "\"n\":%d,", n);
        assert_true(client_await(&c, text)); /* each without waiting for the next */
    }
    assert_false(event_stream_ended(m.stream));
    event_stream_end(m.stream);
    assert_true(event_stream_ended(m.stream));
    assert_int_equal(push(&m, 21, 5), -EPIPE);
    expect_events(&want, &m, 1, 20, 5);
    expect_whole(&c, want.data);
    event_stream_unref(m.stream);
    assert_int_equal(atomic_load(&m.heard.released), 0); /* kept for a replay */
    leave(&p);
    assert_int_equal(atomic_load(&m.heard.released), 1);
    assert_int_equal(atomic_load(&m.heard.abandoned), 0);
}

/* The second of two events comes at every moment of the first one's way out, also when its connection is
 * about to go to sleep: none may be slept through. */
static void no_push_is_slept_through(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    (void)state;
    enter(&p);
    produce(&p, &m);
    request_plain_stream(&c, &p, &m);
    assert_true(client_await(&c, "\r\n\r\n"));
    for (int n = 1; n <= 8000; n += 2) {
        char text[20];
        assert_int_equal(push(&m, n, 1), 0);
        for (int64_t until = clock_monotonic_us() + n % 397; clock_monotonic_us() < until;)
            ;
        assert_int_equal(push(&m, n + 1, 1), 0);
        (void)snprintf(text, sizeof text, "\"n\":%d,", n + 1);
        assert_true(client_await(&c, text));
        buf_reset(&c.in);
    }
    client_close(&c);
    end(&m);
    leave(&p);
}

static void a_replay_is_byte_identical_from_every_event(void **state)
{
    enum { EVENTS = 40 };
    struct place p;
    struct producer m;
    (void)state;
    enter(&p);
    produce(&p, &m);
    for (int n = 1; n <= EVENTS; n++)
        assert_int_equal(push(&m, n, (size_t)(n * 37 % 500) + 3), 0);
    end(&m);
    for (int after = 0; after <= EVENTS; after++) {
        struct client c;
        _cleanup_buf_ struct buf want = BUF_INIT(64 * KIB);
        for (int n = after + 1; n <= EVENTS; n++)
            expect_events(&want, &m, n, n, (size_t)(n * 37 % 500) + 3);
        request_stream(&c, &p, &m, after);
        expect_whole(&c, buf_str(&want));
    }
    leave(&p);
}

static void positions_that_never_were_are_404(void **state)
{
    struct place p;
    struct producer m;
    (void)state;
    enter(&p);
    produce(&p, &m);
    assert_int_equal(push(&m, 1, 5), 0);
    static const int64_t positions[] = {2, 100, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(positions); i++) {
        struct client c;
        struct answer a;
        request_stream(&c, &p, &m, positions[i]);
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status, 404);
        answer_free(&a);
        client_close(&c);
    }
    assert_null(event_stream_find(p.app.hub, "other", m.id, OWNER));
    assert_null(event_stream_find(p.app.hub, "test", m.id, "22222222-2222-4222-8222-222222222222"));
    assert_null(event_stream_find(p.app.hub, "test", "22222222-2222-4222-8222-222222222222", OWNER));
    end(&m);
    leave(&p);
    assert_int_equal(atomic_load(&m.heard.released), 1); /* the refused readers held nothing back */
}

/* An event's data may look like the lines of the stream itself. */
static void data_that_looks_like_an_event_line_misleads_nobody(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    char data[200], want[400];
    (void)state;
    enter(&p);
    produce(&p, &m);
    (void)snprintf(data, sizeof data, "\"id: %s:2\\nid: %s:3\\n\\n\"", m.id, m.id);
    assert_int_equal(event_stream_push(m.stream, data, strlen(data)), 0);
    assert_int_equal(event_stream_push(m.stream, "2", 1), 0);
    end(&m);
    request_stream(&c, &p, &m, 1);
    (void)snprintf(want, sizeof want, "data: 2\nid: %s:2\n\n", m.id);
    expect_whole(&c, want);
    leave(&p);
}

static void the_newest_reader_wins(void **state)
{
    struct place p;
    struct producer m;
    struct client first, second;
    struct answer a;
    _cleanup_buf_ struct buf want = BUF_INIT(64 * KIB);
    (void)state;
    enter(&p);
    produce(&p, &m);
    assert_int_equal(push(&m, 1, 5), 0);
    request_stream(&first, &p, &m, 0);
    assert_true(client_await(&first, "\"n\":1"));
    request_stream(&second, &p, &m, 0);
    assert_true(client_answer(&first, false, &a)); /* ended properly, as if the stream were over */
    assert_non_null(strstr(a.body, "\"n\":1"));
    answer_free(&a);
    assert_true(client_await(&second, "\"n\":1"));
    assert_int_equal(push(&m, 2, 5), 0);
    end(&m);
    expect_events(&want, &m, 1, 2, 5);
    expect_whole(&second, want.data);
    client_close(&first);
    assert_int_equal(atomic_load(&m.heard.abandoned), 0);
    leave(&p);
}

static void a_handler_may_change_its_mind(void **state)
{
    struct place p;
    struct producer m;
    struct answer a;
    char request[200];
    (void)state;
    enter_with(&p, 0, 60000, 60000);
    produce(&p, &m);
    (void)snprintf(request, sizeof request, "GET /s/%s?changed-my-mind=1 HTTP/1.1\r\n" HOST "\r\n", m.id);
    ask(p.site.port, request, &a);
    assert_string_equal(a.body, "{\"ok\":true}");
    answer_free(&a);
    assert_true(await_count(&m.heard.abandoned, 1)); /* its reader is gone */
    end(&m);
    leave(&p);
    assert_int_equal(atomic_load(&m.heard.released), 1);
}

static void blocking_handlers_stream_too(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    char request[200];
    _cleanup_buf_ struct buf want = BUF_INIT(64 * KIB);
    (void)state;
    enter(&p);
    produce(&p, &m);
    client_open(&c, p.site.port);
    (void)snprintf(request, sizeof request, "GET /slow/%s HTTP/1.1\r\n" HOST "\r\n", m.id);
    client_send(&c, request);
    assert_true(client_await(&c, "\r\n\r\n")); /* the head comes before the first event */
    assert_int_equal(push(&m, 1, 5), 0);
    end(&m);
    expect_events(&want, &m, 1, 1, 5);
    expect_whole(&c, want.data);
    leave(&p);
}

static void a_head_request_ends_its_reading(void **state)
{
    struct place p;
    struct producer m;
    struct answer a;
    char request[200];
    (void)state;
    enter_with(&p, 0, 60000, 60000);
    produce(&p, &m);
    (void)snprintf(request, sizeof request, "HEAD /s/%s HTTP/1.1\r\n" HOST "\r\n", m.id);
    ask(p.site.port, request, &a);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    assert_true(await_count(&m.heard.abandoned, 1));
    end(&m);
    leave(&p);
}

/* --- a client that leaves ------------------------------------------------------------------------------ */

static void without_grace_a_lost_client_is_told_at_once_and_once(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    (void)state;
    enter_with(&p, 0, 60000, 60000);
    produce(&p, &m);
    assert_int_equal(push(&m, 1, 5), 0);
    sleep_ms(700); /* several looks at the time: before its first reader a stream is not abandoned yet */
    assert_int_equal(atomic_load(&m.heard.abandoned), 0);
    request_stream(&c, &p, &m, 0);
    assert_true(client_await(&c, "\"n\":1"));
    client_close(&c);
    assert_true(await_count(&m.heard.abandoned, 1));
    sleep_ms(600);
    assert_int_equal(atomic_load(&m.heard.abandoned), 1);
    end(&m);
    leave(&p);
}

static void a_lost_client_is_noticed_by_a_reset_too(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)state;
    enter_with(&p, 0, 60000, 60000);
    produce(&p, &m);
    request_stream(&c, &p, &m, 0);
    assert_true(client_await(&c, "\r\n\r\n"));
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    client_close(&c);
    assert_true(await_count(&m.heard.abandoned, 1));
    end(&m);
    leave(&p);
}

static void a_stream_that_is_never_read_is_abandoned_too(void **state)
{
    struct place p;
    struct producer m;
    (void)state;
    enter_with(&p, 0, 60000, 60000);
    produce(&p, &m);
    assert_true(await_count(&m.heard.abandoned, 1));
    end(&m);
    leave(&p);
}

static void grace_begins_anew_with_each_reader(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    (void)state;
    enter_with(&p, 400, 60000, 60000);
    produce(&p, &m);
    for (int round = 0; round < 3; round++) {
        request_stream(&c, &p, &m, 0);
        assert_true(client_await(&c, "\r\n\r\n"));
        sleep_ms(600); /* longer than the grace, but not alone */
        assert_int_equal(atomic_load(&m.heard.abandoned), 0);
        client_close(&c);
    }
    assert_true(await_count(&m.heard.abandoned, 1));
    end(&m);
    leave(&p);
}

static void an_ended_stream_is_not_abandoned(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    (void)state;
    enter_with(&p, 0, 60000, 60000);
    produce(&p, &m);
    request_stream(&c, &p, &m, 0);
    assert_true(client_await(&c, "\r\n\r\n"));
    end(&m);
    expect_whole(&c, "");
    sleep_ms(600);
    assert_int_equal(atomic_load(&m.heard.abandoned), 0);
    leave(&p);
}

/* --- what is kept -------------------------------------------------------------------------------------- */

static bool is_kept(struct place *p, const struct producer *m)
{
    struct event_stream *s = event_stream_find(p->app.hub, "test", m->id, OWNER);
    if (s)
        event_stream_unref(s);
    return s != NULL;
}

static void ended_streams_expire(void **state)
{
    struct place p;
    static struct producer many[200];
    (void)state;
    enter_with(&p, 60000, 300, 60000);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        produce(&p, &many[i]);
        if (i > 0)
            end(&many[i]);
    }
    for (size_t i = 1; i < ARRAY_LEN(many); i++)
        assert_true(await_count(&many[i].heard.released, 1));
    assert_false(is_kept(&p, &many[1]));
    assert_true(is_kept(&p, &many[0])); /* still running */
    assert_int_equal(atomic_load(&many[0].heard.abandoned), 0);
    end(&many[0]);
    leave(&p);
}

static void a_reader_finishes_what_expires_meanwhile(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    _cleanup_buf_ struct buf want = BUF_INIT((size_t)4096 * KIB);
    (void)state;
    enter_with(&p, 60000, 1, 60000);
    produce(&p, &m);
    for (int n = 1; n <= 3000; n++)
        assert_int_equal(push(&m, n, 1000), 0);
    request_stream(&c, &p, &m, 0);
    assert_true(client_await(&c, "\"n\":1,"));
    end(&m);
    sleep_ms(600);
    expect_events(&want, &m, 1, 3000, 1000);
    expect_whole(&c, want.data);
    leave(&p);
    assert_int_equal(atomic_load(&m.heard.released), 1);
}

/* First many small ones, then few large ones: what is kept stays within 64 MiB, and the oldest go first. */
static void what_is_kept_is_bounded(void **state)
{
    enum { SMALL = 300, LARGE = 30 };
    static struct producer many[SMALL + LARGE];
    struct place p;
    const size_t large = (size_t)3500 * KIB, bound = (size_t)64 * 1024 * KIB;
    size_t kept = 0;
    (void)state;
    enter(&p);
    for (int i = 0; i < SMALL + LARGE; i++) {
        produce(&p, &many[i]);
        assert_int_equal(push(&many[i], 1, i < SMALL ? 10 : large), 0);
        end(&many[i]);
    }
    for (int i = 0; i < SMALL + LARGE; i++) {
        bool here = is_kept(&p, &many[i]);
        assert_int_equal(atomic_load(&many[i].heard.released), !here);
        assert_true(!here || i >= SMALL); /* the oldest are gone */
        kept += here ? large : 0;
    }
    assert_true(kept <= bound && kept + large > bound - large);
    assert_true(is_kept(&p, &many[SMALL + LARGE - 1]));
    leave(&p);
    for (int i = 0; i < SMALL + LARGE; i++)
        assert_int_equal(atomic_load(&many[i].heard.released), 1);
}

/* A long answer keeps only its later part; what is kept begins with a whole event and can be replayed. */
static void trimming_keeps_the_borders_of_events(void **state)
{
    enum { EVENTS = 6000 };
    struct place p;
    struct producer m;
    struct client c;
    char last[40];
    int first_kept = 0;
    (void)state;
    enter(&p);
    produce(&p, &m);
    request_plain_stream(&c, &p, &m);
    for (int n = 1; n <= EVENTS; n++) {
        assert_int_equal(push(&m, n, 500), 0);
        if (n % 100)
            continue;
        (void)snprintf(last, sizeof last, "\"n\":%d,", n);
        assert_true(client_await(&c, last));
        buf_reset(&c.in);
    }
    client_close(&c);
    end(&m);
    for (int after = 0; after < EVENTS; after += 50) {
        struct answer a;
        request_stream(&c, &p, &m, after);
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status,
                         first_kept || a.status == 200 ? 200 : 404); /* once kept, all the rest is */
        if (a.status == 200) {
            _cleanup_buf_ struct buf want = BUF_INIT((size_t)8192 * KIB);
            first_kept = first_kept ? first_kept : after;
            expect_events(&want, &m, after + 1, EVENTS, 500);
            assert_int_equal(a.len, want.len);
            assert_memory_equal(a.body, want.data, want.len);
        }
        answer_free(&a);
        client_close(&c);
    }
    assert_true(first_kept > 0);
    assert_true((EVENTS - first_kept) * 560 >= 1024 * KIB - 100 * 560); /* about a mebibyte at least */
    leave(&p);
}

/* --- pace ---------------------------------------------------------------------------------------------- */

static void a_slow_reader_pauses_the_producer_and_lets_it_go_on(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    int n = 0, read = 0;
    (void)state;
    enter(&p);
    produce(&p, &m);
    request_plain_stream(&c, &p, &m);
    assert_true(client_await(&c, "\r\n\r\n"));
    for (int round = 1; round <= 3; round++) {
        while (atomic_load(&m.heard.pauses) < round)
            assert_int_equal(push(&m, ++n, 10000), 0);
        assert_int_equal(atomic_load(&m.heard.paused), 1);
        for (; read < n; read++) {
            char text[20];
            (void)snprintf(text, sizeof text, "\"n\":%d,", read + 1);
            assert_true(client_await(&c, text));
            if (read % 20 == 0)
                buf_drop(&c.in,
                         (size_t)((char *)memmem(c.in.data, c.in.len, text, strlen(text)) - c.in.data));
        }
        assert_true(await_count(&m.heard.resumes, round));
    }
    assert_int_equal(atomic_load(&m.heard.mixed_up), 0);
    client_close(&c);
    end(&m);
    leave(&p);
}

static void *push_until_paused(void *arg)
{
    struct producer *m = arg;
    for (int n = 1; atomic_load(&m->heard.pauses) == 0; n++)
        if (push(m, n, 10000) != 0)
            break;
    return NULL;
}

/* The reader catches up while the producer is still being told to pause: the last word must be the right one.
 */
static void a_pause_and_its_end_never_overtake_each_other(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    struct gate hold;
    pthread_t thread;
    char last[20];
    (void)state;
    enter(&p);
    produce(&p, &m);
    gate_init(&hold);
    m.heard.hold = &hold;
    assert_int_equal(pthread_create(&thread, NULL, push_until_paused, &m), 0);
    gate_await(&hold, 1);
    request_plain_stream(&c, &p, &m);
    (void)snprintf(last, sizeof last, "\"n\":%d,", 256 * KIB / 10000);
    assert_true(client_await(&c, last)); /* all but one or two: the end of the pause is due */
    sleep_ms(100);
    assert_int_equal(atomic_load(&m.heard.resumes), 0); /* not before the pause has been heard */
    gate_open(&hold);
    assert_true(await_count(&m.heard.resumes, 1));
    assert_int_equal(atomic_load(&m.heard.paused), 0);
    assert_int_equal(atomic_load(&m.heard.mixed_up), 0);
    pthread_join(thread, NULL);
    client_close(&c);
    end(&m);
    leave(&p);
}

static void a_producer_that_ignores_the_pause_is_refused_in_the_end(void **state)
{
    struct place p;
    struct producer m;
    int n = 0, r = 0;
    struct client c;
    _cleanup_buf_ struct buf want = BUF_INIT((size_t)8192 * KIB);
    (void)state;
    enter(&p);
    produce(&p, &m);
    while (r == 0 && n < 10000)
        r = push(&m, ++n, 10000);
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(atomic_load(&m.heard.pauses), 1);
    end(&m); /* what was taken is whole */
    request_stream(&c, &p, &m, 0);
    expect_events(&want, &m, 1, n - 1, 10000);
    expect_whole(&c, want.data);
    leave(&p);
}

static void silence_is_broken_by_heartbeats(void **state)
{
    static const char *const versions[] = {"1.1", "1.0"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct place p;
        struct producer m;
        struct client c;
        char request[200];
        enter_with(&p, 60000, 60000, 100);
        produce(&p, &m);
        client_open(&c, p.site.port);
        (void)snprintf(request, sizeof request, "GET /s/%s HTTP/%s\r\n" HOST "\r\n", m.id, versions[i]);
        client_send(&c, request);
        for (int n = 0; n < 3; n++) {
            assert_true(client_await(&c, ": ping\n"));
            assert_null(memmem(c.in.data, c.in.len, "\n\n", 2)); /* which clients would take for an event */
            buf_reset(&c.in);
        }
        assert_int_equal(push(&m, 1, 5), 0);
        assert_true(client_await(&c, "\"n\":1"));
        end(&m);
        client_close(&c);
        leave(&p);
    }
}

/* nginx asks its upstream with HTTP/1.0 unless told otherwise: no chunks, and the end is the connection's. */
static void a_client_without_chunks_gets_the_plain_stream(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    struct answer a;
    char value[20];
    _cleanup_buf_ struct buf want = BUF_INIT((size_t)1024 * KIB);
    (void)state;
    enter(&p);
    produce(&p, &m);
    for (int n = 1; n <= 300; n++)
        assert_int_equal(push(&m, n, 500), 0);
    request_plain_stream(&c, &p, &m);
    assert_true(client_await(&c, "\"n\":300"));
    assert_int_equal(push(&m, 301, 500), 0);
    end(&m);
    expect_events(&want, &m, 1, 301, 500);
    assert_true(client_answer(&c, false, &a));
    assert_null(answer_header(&a, "Transfer-Encoding", value, sizeof value));
    assert_string_equal(a.body, want.data);
    answer_free(&a);
    client_close(&c);
    leave(&p);
}

static void a_connection_serves_on_after_a_stream(void **state)
{
    struct place p;
    struct producer m;
    struct client c;
    struct answer a;
    char request[200];
    (void)state;
    enter(&p);
    produce(&p, &m);
    assert_int_equal(push(&m, 1, 5), 0);
    end(&m);
    client_open(&c, p.site.port);
    (void)snprintf(request, sizeof request, "GET /s/%s HTTP/1.1\r\n" HOST "\r\n", m.id);
    for (int round = 0; round < 5; round++) {
        client_send(&c, request);
        assert_true(client_answer(&c, false, &a));
        assert_int_equal(a.status, 200);
        assert_non_null(strstr(a.body, "\"n\":1"));
        answer_free(&a);
    }
    client_close(&c);
    leave(&p);
}

/* --- all at once --------------------------------------------------------------------------------------- */

#define RACE_EVENTS 4000

static void *push_all(void *arg)
{
    struct producer *m = arg;
    for (int n = 1; n <= RACE_EVENTS; n++) {
        while (atomic_load(&m->heard.paused))
            sleep_ms(1);
        if (push(m, n, (size_t)(n % 7 ? 20 : 3000)) != 0)
            break;
        if (n % 50 == 0)
            sleep_ms(1);
    }
    event_stream_end(m->stream);
    return NULL;
}

/* The number of the last event that is whole. */
static int64_t last_whole(const struct buf *b)
{
    const char *border = b->len >= 2 ? memrchr(b->data, '\n', b->len) : NULL;
    while (border && border > b->data && border[-1] != '\n')
        border = memrchr(b->data, '\n', (size_t)(border - b->data));
    size_t whole = border && border > b->data ? (size_t)(border - b->data) + 1 : 0;
    int64_t n = 0;
    for (const char *at = b->data; whole && (at = memmem(at, whole - (size_t)(at - b->data), "id: ", 4));
         at++)
        if (at == b->data || at[-1] == '\n')
            n = strtoll(at + 4 + UUID_LEN + 1, NULL, 10);
    return n;
}

/* Undoes the chunks of what came so far; a chunk that is cut is taken as far as it goes. */
static void unchunk(const struct buf *in, struct buf *out)
{
    const char *at = memmem(in->data, in->len, "\r\n\r\n", 4), *stop = in->data + in->len;
    for (at = at ? at + 4 : stop; at < stop;) {
        const char *line = memmem(at, (size_t)(stop - at), "\r\n", 2);
        if (!line)
            return;
        size_t size = strtoul(at, NULL, 16), left = (size_t)(stop - line) - 2;
        if (size == 0)
            return;
        assert_int_equal(buf_add(out, line + 2, size < left ? size : left), 0);
        at = size + 2 <= left ? line + 2 + size + 2 : stop;
    }
}

/* A producer that never waits, a client that leaves after every few kilobytes and comes back where it was, in
 * every way of leaving: in the end it has every event once, in order. */
static void nothing_is_lost_or_doubled_over_many_resumes(void **state)
{
    struct place p;
    struct producer m;
    pthread_t thread;
    int64_t seen = 0;
    (void)state;
    enter(&p);
    produce(&p, &m);
    assert_int_equal(pthread_create(&thread, NULL, push_all, &m), 0);
    for (int round = 0; seen < RACE_EVENTS; round++) {
        struct client c, rival;
        _cleanup_buf_ struct buf got = BUF_INIT((size_t)16384 * KIB), want = BUF_INIT((size_t)16384 * KIB);
        request_stream(&c, &p, &m, seen);
        char text[40];
        (void)snprintf(text, sizeof text, "\"n\":%lld,", (long long)seen + (round % 3 ? 1 : 100));
        (void)client_await(&c, text); /* or the end, where there are not so many left */
        if (round % 4 == 1) {         /* superseded in the middle instead of leaving */
            request_stream(&rival, &p, &m, seen);
            client_await_end(&c);
            client_close(&rival);
        }
        unchunk(&c.in, &got);
        int64_t last = last_whole(&got);
        for (int64_t n = seen + 1; n <= last; n++)
            expect_events(&want, &m, (int)n, (int)n, (size_t)(n % 7 ? 20 : 3000));
        assert_true(last == 0 || (got.len >= want.len && memcmp(got.data, want.data, want.len) == 0));
        seen = last > seen ? last : seen;
        client_close(&c);
    }
    pthread_join(thread, NULL);
    event_stream_unref(m.stream);
    assert_int_equal(seen, RACE_EVENTS);
    assert_int_equal(atomic_load(&m.heard.mixed_up), 0);
    leave(&p);
    assert_int_equal(atomic_load(&m.heard.released), 1);
}

static void *stop_site(void *arg)
{
    site_stop(&((struct place *)arg)->site, 50);
    return NULL;
}

static void stopping_cuts_open_streams(void **state)
{
    enum { STREAMS = 30 };
    static struct producer m[STREAMS];
    struct client c[STREAMS];
    struct place p;
    pthread_t thread;
    (void)state;
    enter(&p);
    for (int i = 0; i < STREAMS; i++) {
        produce(&p, &m[i]);
        request_stream(&c[i], &p, &m[i], 0);
        assert_true(client_await(&c[i], "\r\n\r\n"));
    }
    assert_int_equal(pthread_create(&thread, NULL, stop_site, &p), 0);
    for (int n = 1; n <= 200; n++) /* producers don't know yet */
        for (int i = 0; i < STREAMS; i++)
            assert_int_equal(push(&m[i], n, 10), 0);
    for (int i = 0; i < STREAMS; i++)
        client_await_end(&c[i]);
    pthread_join(thread, NULL);
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(push(&m[i], 201, 10), 0);
        end(&m[i]);
        client_close(&c[i]);
    }
    event_hub_stop(p.app.hub);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(atomic_load(&m[i].heard.released), 1);
}

static void the_forms_of_an_event_id(void **state)
{
    static const char uuid[] = "0189dcbf-6d5b-7c3a-9e6f-0123456789ab";
    static const struct {
        const char *text, *id;
        int64_t n; /* -1: refused */
    } cases[] = {
        {"0", "", 0},
        {"17", "", 17},
        {"9223372036854775807", "", INT64_MAX},
        {"0189dcbf-6d5b-7c3a-9e6f-0123456789ab:5", uuid, 5},
        {"", "", -1},
        {"-1", "", -1},
        {"9223372036854775808", "", -1},
        {"1x", "", -1},
        {" 1", "", -1},
        {":1", "", -1},
        {"0189dcbf-6d5b-7c3a-9e6f-0123456789ab", "", -1},
        {"0189dcbf-6d5b-7c3a-9e6f-0123456789ab:", "", -1},
        {"0189dcbf-6d5b-7c3a-9e6f-0123456789ab:-1", "", -1},
        {"0189dcbf-6d5b-7c3a-9e6f-0123456789ag:1", "", -1},
        {"x0189dcbf-6d5b-7c3a-9e6f-0123456789ab:1", "", -1},
        {"0189dcbf-6d5b-7c3a-9e6f-0123456789ab:1:2", "", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char id[UUID_SIZE] = "untouched";
        int64_t n = -1;
        assert_int_equal(event_id_parse(cases[i].text, id, &n), cases[i].n < 0 ? -EINVAL : 0);
        assert_int_equal(n, cases[i].n);
        assert_string_equal(id, cases[i].n < 0 ? "untouched" : cases[i].id);
        assert_int_equal(event_id_parse(cases[i].text, NULL, &n), cases[i].n < 0 ? -EINVAL : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive_as_they_were_pushed),
        cmocka_unit_test(no_push_is_slept_through),
        cmocka_unit_test(a_replay_is_byte_identical_from_every_event),
        cmocka_unit_test(positions_that_never_were_are_404),
        cmocka_unit_test(data_that_looks_like_an_event_line_misleads_nobody),
        cmocka_unit_test(the_newest_reader_wins),
        cmocka_unit_test(a_handler_may_change_its_mind),
        cmocka_unit_test(blocking_handlers_stream_too),
        cmocka_unit_test(a_head_request_ends_its_reading),
        cmocka_unit_test(without_grace_a_lost_client_is_told_at_once_and_once),
        cmocka_unit_test(a_lost_client_is_noticed_by_a_reset_too),
        cmocka_unit_test(a_stream_that_is_never_read_is_abandoned_too),
        cmocka_unit_test(grace_begins_anew_with_each_reader),
        cmocka_unit_test(an_ended_stream_is_not_abandoned),
        cmocka_unit_test(ended_streams_expire),
        cmocka_unit_test(a_reader_finishes_what_expires_meanwhile),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(trimming_keeps_the_borders_of_events),
        cmocka_unit_test(a_slow_reader_pauses_the_producer_and_lets_it_go_on),
        cmocka_unit_test(a_pause_and_its_end_never_overtake_each_other),
        cmocka_unit_test(a_producer_that_ignores_the_pause_is_refused_in_the_end),
        cmocka_unit_test(silence_is_broken_by_heartbeats),
        cmocka_unit_test(a_client_without_chunks_gets_the_plain_stream),
        cmocka_unit_test(a_connection_serves_on_after_a_stream),
        cmocka_unit_test(nothing_is_lost_or_doubled_over_many_resumes),
        cmocka_unit_test(stopping_cuts_open_streams),
        cmocka_unit_test(the_forms_of_an_event_id),
    };
    log_configure(LOG_ERROR, true);
    return cmocka_run_group_tests_name("http/events", tests, NULL, NULL);
}
