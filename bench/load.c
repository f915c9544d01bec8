/* SPDX-License-Identifier: MIT */
/* A load generator for plain answers and for streams: one thread, one epoll, connections that are kept. Three
 * ways: closed (default)  each connection sends its next request when it has the answer: throughput
 *   --rate R          requests begin at fixed times, whatever the answers do: latency. One that finds no free
 * connection waits for one, and that wait counts
 *   --hold            each connection opens one answer and leaves it open; prints a line when all have shown
 * the needle, then waits for the end of standard input
 * --needle TEXT is looked for in the answers: the time to the first one, and how many. A '#' in a header or
 * body becomes a digit of the request's number (of the connection's, with --per-connection); several --body
 * take turns. Only 127.0.0.1 is ever asked. One line of JSON is the result. */
#include "answer.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define READ_MAX (64 * 1024)
#define REQUEST_MAX (64 * 1024)
#define HEADERS_MAX (16 * 1024)
#define BODIES_MOST 64
#define NEEDLE_MAX 64
#define SAMPLES_MOST (1 << 23)
#define ERRORS_MOST 1000
#define OPENING_MOST 128 /* held streams that are on their way at a time */
#define DIGITS 8
#define SPARE_SECONDS 60

static struct {
    int64_t port, connections, seconds, warmup, rate, sources, expect;
    const char *method, *path, *bodies[BODIES_MOST], *needle;
    size_t n_bodies, needle_len;
    bool hold, per_connection;
    char headers[HEADERS_MAX];
} opt = {
    .connections = 1, .seconds = 5, .warmup = 1, .sources = 1, .expect = 200, .method = "GET", .path = "/"};

enum state { CLOSED, CONNECTING, FREE, SENDING, RECEIVING, HOLDING };

struct conn {
    int fd;
    enum state state;
    int64_t number; /* of the connection */
    char *request;
    size_t request_len, sent;
    struct answer answer;
    int64_t began_us, first_us; /* first_us: 0 = the needle was not seen yet */
    int64_t needles;
    size_t tail_len;
    char tail[NEEDLE_MAX];  /* the last bytes carried, shorter than the needle */
    TAILQ_ENTRY(conn) link; /* in the list of free ones */
};

struct samples {
    int32_t *us;
    size_t n, room;
};

static int epoll_fd;
static struct conn *conns;
static TAILQ_HEAD(, conn) free_conns = TAILQ_HEAD_INITIALIZER(free_conns);
static struct samples whole, first, late;
static int64_t measure_from_us, end_us, next_us, next_number;
static int64_t answers, errors, unexpected, carried, needles, opened, shown, lost, waiting_most;
static bool starved; /* an arrival found no free connection, and those after it are late by that */
static int last_unexpected;

/* ---- samples */

static void add_sample(struct samples *s, int64_t us)
{
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 2 : 4096;
        int32_t *grown = room <= SAMPLES_MOST ? realloc(s->us, room * sizeof *grown) : NULL;
        if (!grown)
            tool_die("more than %d answers: measure for a shorter time", SAMPLES_MOST);
        s->us = grown;
        s->room = room;
    }
    s->us[s->n++] = us > INT32_MAX ? INT32_MAX : (int32_t)us;
}

static int by_size(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s)
{
    static const struct {
        const char *name;
        double part;
    } marks[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};
    if (s->n == 0)
        return;
    qsort(s->us, s->n, sizeof *s->us, by_size);
    (void)printf(",\"%s_us\":{\"n\":%zu", name, s->n);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        (void)printf(",\"%s\":%d", marks[i].name, s->us[(size_t)(marks[i].part * (double)(s->n - 1))]);
    (void)printf("}");
}

/* ---- requests */

static bool measuring(void)
{
    return measure_from_us && tool_now_us() >= measure_from_us;
}

/* Each run of eight '#' shows a number; a run may be broken by other characters. */
static void fill_number(char *text, int64_t number)
{
    char digits[32];
    int i = 0;
    (void)snprintf(digits, sizeof digits, "%0*lld", DIGITS, (long long)(number % 100000000));
    for (char *p = text; (p = strchr(p, '#')); p++)
        *p = digits[i++ % DIGITS];
}

static void make_request(struct conn *c)
{
    int64_t number = next_number++;
    const char *body = opt.n_bodies ? opt.bodies[(size_t)number % opt.n_bodies] : "";
    int n = snprintf(c->request, REQUEST_MAX, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", opt.method, opt.path,
                     opt.headers);
    if (opt.n_bodies)
        n += snprintf(c->request + n, REQUEST_MAX - (size_t)n, "Content-Length: %zu\r\n", strlen(body));
    n += snprintf(c->request + n, REQUEST_MAX - (size_t)n, "\r\n%s", body);
    if (n >= REQUEST_MAX)
        tool_die("the request is too long");
    fill_number(c->request, opt.per_connection ? c->number : number);
    c->request_len = (size_t)n;
}

/* ---- connections */

static void watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &ev) < 0)
        tool_die("epoll_ctl: %s", strerror(errno));
}

static void count_error(const char *what)
{
    if (++errors >= ERRORS_MOST)
        tool_die("too many errors, the last one: %s", what);
}

static void close_conn(struct conn *c)
{
    if (c->state == CLOSED)
        return;
    if (c->state == FREE)
        TAILQ_REMOVE(&free_conns, c, link);
    if (c->state == HOLDING)
        lost++;
    (void)close(c->fd);
    c->state = CLOSED;
}

static void open_conn(struct conn *c)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    int yes = 1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(c->number % opt.sources));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        tool_die("socket: %s", strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (opt.sources > 1 && bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
        tool_die("bind: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        tool_die("connect: %s", strerror(errno));
    c->state = CONNECTING;
    opened++;
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void reopen(struct conn *c)
{
    close_conn(c);
    if (!opt.hold)
        open_conn(c);
}

static void fail_conn(struct conn *c, const char *what)
{
    count_error(what);
    reopen(c);
}

static void send_rest(struct conn *c)
{
    while (c->sent < c->request_len) {
        ssize_t n = send(c->fd, c->request + c->sent, c->request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (n <= 0) {
            fail_conn(c, "sending");
            return;
        }
        c->sent += (size_t)n;
    }
    c->state = RECEIVING;
}

/* began_us: when it should have begun. */
static void begin_request(struct conn *c, int64_t began_us)
{
    if (c->state == FREE)
        TAILQ_REMOVE(&free_conns, c, link);
    make_request(c);
    memset(&c->answer, 0, offsetof(struct answer, line));
    c->sent = c->tail_len = 0;
    c->first_us = c->needles = 0;
    c->began_us = began_us;
    c->state = SENDING;
    send_rest(c);
}

static void set_free(struct conn *c)
{
    c->state = FREE;
    TAILQ_INSERT_TAIL(&free_conns, c, link);
    if (opt.rate == 0)
        begin_request(c, tool_now_us());
}

/* ---- answers */

static void see_needle(struct conn *c)
{
    if (c->needles++ == 0)
        c->first_us = tool_now_us();
}

static void count_in(struct conn *c, const char *data, size_t len)
{
    const char *at = data, *end = data + len;
    while ((at = memmem(at, (size_t)(end - at), opt.needle, opt.needle_len))) {
        see_needle(c);
        at += opt.needle_len;
    }
}

/* The needle may lie across two pieces: the end of the last and the beginning of this one are looked at
 * together. */
static void look_for_needle(void *ctx, const char *data, size_t len)
{
    struct conn *c = ctx;
    if (!opt.needle)
        return;
    char joint[2 * NEEDLE_MAX];
    size_t most = opt.needle_len - 1, head = len < most ? len : most;
    memcpy(joint, c->tail, c->tail_len);
    memcpy(joint + c->tail_len, data, head);
    if (c->tail_len > 0)
        count_in(c, joint, c->tail_len + head);
    if (len > most) {
        count_in(c, data, len);
        memcpy(c->tail, data + len - most, most);
        c->tail_len = most;
        return;
    }
    size_t both = c->tail_len + head, keep = both < most ? both : most;
    memcpy(c->tail, joint + both - keep, keep);
    c->tail_len = keep;
}

static void end_answer(struct conn *c)
{
    int64_t now = tool_now_us();
    if (c->answer.status != opt.expect) {
        unexpected++;
        last_unexpected = c->answer.status;
    }
    if (measure_from_us && c->began_us >= measure_from_us) {
        add_sample(&whole, now - c->began_us);
        if (c->first_us)
            add_sample(&first, c->first_us - c->began_us);
    }
    if (measuring() && now < end_us) {
        answers++;
        carried += (int64_t)c->answer.carried;
        needles += c->needles;
    }
    if (opt.hold)
        fail_conn(c, "an answer that should have stayed open ended");
    else if (c->answer.closes)
        reopen(c);
    else
        set_free(c);
}

static void receive(struct conn *c)
{
    static char data[READ_MAX];
    ssize_t n = recv(c->fd, data, sizeof data, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 && (c->state == FREE || c->state == HOLDING)) {
        reopen(c);
        return;
    }
    int r = n <= 0 || c->state == FREE ? -1 : answer_take(&c->answer, data, (size_t)n, look_for_needle, c);
    if (r < 0) {
        fail_conn(c, n <= 0 ? "the server closed the connection" : "malformed answer");
        return;
    }
    if (c->state == SENDING)
        c->state = RECEIVING;
    if (r > 0)
        end_answer(c);
    else if (opt.hold && c->state == RECEIVING && c->first_us) {
        c->state = HOLDING;
        shown++;
    }
}

static void take_event(struct conn *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error)
            tool_die("connect: %s", strerror(error));
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        set_free(c);
        return;
    }
    if (c->state == SENDING && events & EPOLLOUT) {
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        send_rest(c);
    }
    if (c->state != CLOSED && events & ~(uint32_t)EPOLLOUT)
        receive(c);
}

/* ---- the loop */

static void note_starved(int64_t waiting)
{
    starved = true;
    if (waiting > waiting_most)
        waiting_most = waiting;
}

/* Begins what is due. A wait for a free connection counts as the server's time, the generator's own lateness
 * doesn't. */
static void begin_due(void)
{
    int64_t now = tool_now_us(), interval = 1000000 / opt.rate;
    while (next_us <= now && next_us < end_us) {
        struct conn *c = TAILQ_FIRST(&free_conns);
        if (!c) {
            note_starved((now - next_us) / interval + 1);
            return;
        }
        if (next_us >= measure_from_us)
            add_sample(&late, now - next_us);
        begin_request(c, starved ? next_us : tool_now_us());
        next_us += interval;
    }
    starved = false;
}

static int64_t wait_us(int64_t until_us)
{
    int64_t now = tool_now_us(), due = until_us;
    if (opt.rate > 0 && measure_from_us && !TAILQ_EMPTY(&free_conns) && next_us < due)
        due = next_us;
    return due > now ? due - now : 0;
}

static void round_until(int64_t until_us)
{
    struct epoll_event events[EVENTS];
    int n = tool_wait(epoll_fd, events, EVENTS, wait_us(until_us));
    for (int i = 0; i < n; i++)
        take_event(events[i].data.ptr, events[i].events);
}

static void open_all(void)
{
    for (int64_t i = 0; i < opt.connections; i++)
        open_conn(&conns[i]);
}

static bool all_free(void)
{
    for (int64_t i = 0; i < opt.connections; i++)
        if (conns[i].state != FREE)
            return false;
    return true;
}

static void run_measure(void)
{
    open_all();
    int64_t limit = tool_now_us() + 5000000;
    while (opt.rate > 0 && !all_free())
        if (tool_now_us() > limit)
            tool_die("the server takes no connections");
        else
            round_until(tool_now_us() + 100000);
    next_us = tool_now_us();
    measure_from_us = next_us + opt.warmup * 1000000;
    end_us = measure_from_us + opt.seconds * 1000000;
    while (tool_now_us() < end_us) {
        if (opt.rate > 0)
            begin_due();
        round_until(end_us);
    }
}

static void open_held(void)
{
    int64_t limit = tool_now_us() + opt.seconds * 1000000, next = 0;
    while (shown + errors + lost < opt.connections && tool_now_us() < limit) {
        while (next < opt.connections && next - shown - errors < OPENING_MOST)
            open_conn(&conns[next++]);
        round_until(limit);
    }
    (void)printf("{\"shown\":%lld,\"errors\":%lld,\"unexpected\":%lld,\"last_unexpected\":%d}\n",
                 (long long)shown, (long long)errors, (long long)unexpected, last_unexpected);
    (void)fflush(stdout);
}

static void run_hold(void)
{
    open_held();
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
        tool_die("standard input must be a pipe");
    for (;;) {
        int n = tool_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                return;
            take_event(events[i].data.ptr, events[i].events);
        }
    }
}

static void print_result(void)
{
    double seconds = (double)opt.seconds;
    (void)printf(
        "{\"answers\":%lld,\"per_second\":%.1f,\"errors\":%lld,\"unexpected\":%lld,\"last_unexpected\":%d,"
        "\"connections\":%lld,\"lost\":%lld,\"bytes\":%.1f,\"needles\":%.2f,\"waiting_most\":%lld",
        (long long)answers, (double)answers / seconds, (long long)errors, (long long)unexpected,
        last_unexpected, (long long)opened, (long long)lost,
        answers ? (double)carried / (double)answers : 0.0, answers ? (double)needles / (double)answers : 0.0,
        (long long)waiting_most);
    print_samples("whole", &whole);
    print_samples("first", &first);
    print_samples("late", &late);
    (void)printf("}\n");
}

/* ---- options */

static void add_header(const char *line)
{
    size_t len = strlen(opt.headers);
    int n = snprintf(opt.headers + len, sizeof opt.headers - len, "%s\r\n", line);
    if ((size_t)n >= sizeof opt.headers - len)
        tool_die("too many headers");
}

static void add_body(const char *body)
{
    if (opt.n_bodies == BODIES_MOST)
        tool_die("too many bodies");
    opt.bodies[opt.n_bodies++] = body;
}

static void set_needle(const char *text)
{
    opt.needle = text;
    opt.needle_len = strlen(text);
    if (opt.needle_len == 0 || opt.needle_len >= NEEDLE_MAX)
        tool_die("--needle must have 1 to %d characters", NEEDLE_MAX - 1);
}

static const struct number_option {
    const char *name;
    int64_t *field, min, max;
} number_options[] = {
    {"port", &opt.port, 1, 65535},     {"connections", &opt.connections, 1, 100000},
    {"seconds", &opt.seconds, 1, 600}, {"warmup", &opt.warmup, 0, 60},
    {"rate", &opt.rate, 1, 1000000},   {"sources", &opt.sources, 1, 200},
    {"expect", &opt.expect, 100, 599},
};

#define N_NUMBERS (int)(sizeof number_options / sizeof number_options[0])

static void set_text(int which, const char *text)
{
    if (which == 'm')
        opt.method = text;
    else if (which == 'p')
        opt.path = text;
    else if (which == 'h')
        add_header(text);
    else if (which == 'b')
        add_body(text);
    else if (which == 'n')
        set_needle(text);
    else if (which == 'H')
        opt.hold = true;
    else if (which == 'c')
        opt.per_connection = true;
    else
        tool_die("unknown option: the top of bench/load.c explains them");
}

static void read_options(int argc, char **argv)
{
    struct option options[N_NUMBERS + 8] = {
        [N_NUMBERS] = {"method", required_argument, NULL, 'm'},
        {"path", required_argument, NULL, 'p'},
        {"header", required_argument, NULL, 'h'},
        {"body", required_argument, NULL, 'b'},
        {"needle", required_argument, NULL, 'n'},
        {"hold", no_argument, NULL, 'H'},
        {"per-connection", no_argument, NULL, 'c'},
    };
    for (int i = 0; i < N_NUMBERS; i++)
        options[i] = (struct option){number_options[i].name, required_argument, NULL, 1000 + i};
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o >= 1000) {
            const struct number_option *n = &number_options[o - 1000];
            *n->field = tool_number(n->name, optarg, n->min, n->max);
        } else {
            set_text(o, optarg);
        }
    }
    if (opt.port == 0 || (opt.hold && !opt.needle))
        tool_die("--port is needed, and --hold needs --needle");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    tool_prepare((unsigned)(opt.seconds + opt.warmup) * (opt.hold ? 4 : 1) + SPARE_SECONDS);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)opt.connections, sizeof *conns);
    if (epoll_fd < 0 || !conns)
        tool_die("out of memory");
    for (int64_t i = 0; i < opt.connections; i++) {
        conns[i].number = i;
        conns[i].request = malloc(REQUEST_MAX); /* only what is written becomes real */
        if (!conns[i].request)
            tool_die("out of memory");
    }
    if (opt.hold)
        run_hold();
    else
        run_measure();
    print_result();
    return 0;
}
