/* SPDX-License-Identifier: MIT */
/* A model server that costs next to nothing: one thread, one epoll, every answer made of three texts prepared
 * at the start (head and first token, token, end). It speaks Ollama's NDJSON and OpenAI's server-sent events,
 * waits as it is told before the first token and between tokens, and can leave streams open. Each token is a
 * write of its own.
 *
 *   GET /stats      {"begun","completed","aborted","open"}
 *   GET /closed/N   waits for the Nth stream whose client left early: {"at_us"} of the monotonic clock
 *
 * Both waits are of one length each, so a queue sorted by time is just a list. */
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define HEAD_MAX 4096
#define READ_MAX (64 * 1024)
#define BACKLOG 4096
#define CLOSED_KEPT 65536
#define MOST_SECONDS 3600

struct format {
    const char *path, *type, *token, *end;
    char *texts[3]; /* as sent: head and first token; token; end */
    size_t lengths[3];
};

enum { FIRST, TOKEN, END };

static struct format formats[] = {
    {.path = "/api/chat",
     .type = "application/x-ndjson",
     .token = "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:00.000000Z\",\"message\":{\"role\":"
              "\"assistant\","
              "\"content\":\"%s\"},\"done\":false}\n",
     .end = "{\"model\":\"bench\",\"created_at\":\"2026-01-01T00:00:00.000000Z\",\"message\":{\"role\":"
            "\"assistant\","
            "\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,\"total_duration\":1000,\"prompt_eval_"
            "count\":26,"
            "\"eval_count\":%d}\n"},
    {.path = "/v1/chat/completions",
     .type = "text/event-stream",
     .token =
         "data: "
         "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":"
         "\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":null}]}\n\n",
     .end =
         "data: "
         "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":"
         "\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_"
         "tokens\":26,"
         "\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n"},
};

#define N_FORMATS (sizeof formats / sizeof formats[0])

static struct {
    int64_t port, tokens, first_us, between_us, hold_after, seconds;
    const char *text;
} opt = {.tokens = 64, .hold_after = -1, .seconds = 600, .text = " word"};

enum state {
    READING_HEAD,
    READING_BODY,
    DUE,     /* in a list of waits */
    WRITING, /* the socket took a part */
    HELD,
    ASKING, /* for a close that has not happened yet */
};

TAILQ_HEAD(conns, conn);

struct conn {
    int fd;
    enum state state;
    const struct format *format; /* NULL unless a stream is answered */
    int64_t sent_tokens, due_us, asks_for;
    size_t head_len;
    uint64_t body_left;
    const char *out;
    size_t out_len;
    bool dead;
    TAILQ_ENTRY(conn) link; /* in a list of waits, the askers', or the dead's */
    char head[HEAD_MAX];
};

static int epoll_fd, listener;
static struct conns before_first = TAILQ_HEAD_INITIALIZER(before_first),
                    between = TAILQ_HEAD_INITIALIZER(between), askers = TAILQ_HEAD_INITIALIZER(askers),
                    dead = TAILQ_HEAD_INITIALIZER(dead);
static int64_t begun, completed, aborted, closed_at_us[CLOSED_KEPT];

static void advance(struct conn *c);

/* ---- connections */

static void watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event ev = {.events = events | EPOLLRDHUP, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &ev) < 0)
        tool_die("epoll_ctl: %s", strerror(errno));
}

static struct conns *list_of(const struct conn *c)
{
    if (c->state == ASKING)
        return &askers;
    if (c->state != DUE)
        return NULL;
    return c->sent_tokens == 0 ? &before_first : &between;
}

static void set_state(struct conn *c, enum state state)
{
    struct conns *from = list_of(c);
    if (from)
        TAILQ_REMOVE(from, c, link);
    c->state = state;
    struct conns *to = list_of(c);
    if (to)
        TAILQ_INSERT_TAIL(to, c, link);
}

static bool send_text(struct conn *c, const char *text, size_t len)
{
    c->out = text;
    c->out_len = len;
    while (c->out_len > 0) {
        ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        c->out += n;
        c->out_len -= (size_t)n;
    }
    return true;
}

static void send_json(struct conn *c, const char *json)
{
    char text[512];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(json), json);
    (void)send_text(c, text, (size_t)n); /* shorter than any socket buffer */
    set_state(c, READING_HEAD);
}

static void tell_closed(struct conn *c)
{
    char json[64];
    (void)snprintf(json, sizeof json, "{\"at_us\":%lld}",
                   (long long)closed_at_us[(c->asks_for - 1) % CLOSED_KEPT]);
    send_json(c, json);
}

static void tell_askers(void)
{
    struct conn *c, *next;
    for (c = TAILQ_FIRST(&askers); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->asks_for <= aborted)
            tell_closed(c);
    }
}

/* The struct stays until the round is over: an event of it may still be in hand. */
static void drop(struct conn *c)
{
    if (c->dead)
        return;
    bool early = c->format != NULL;
    set_state(c, HELD);
    c->dead = true;
    (void)close(c->fd);
    TAILQ_INSERT_TAIL(&dead, c, link);
    if (!early)
        return;
    closed_at_us[aborted % CLOSED_KEPT] = tool_now_us();
    aborted++;
    tell_askers();
}

static void free_dead(void)
{
    struct conn *c;
    while ((c = TAILQ_FIRST(&dead))) {
        TAILQ_REMOVE(&dead, c, link);
        free(c);
    }
}

static void accept_all(void)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (!c)
            tool_die("out of memory");
        c->fd = fd;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(c, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* ---- answers */

static void wait_for_token(struct conn *c)
{
    if (c->sent_tokens == opt.hold_after) {
        set_state(c, HELD);
        return;
    }
    c->due_us = tool_now_us() + (c->sent_tokens == 0 ? opt.first_us : opt.between_us);
    set_state(c, DUE);
}

/* After a text is out: the next wait, or the next request. */
static void advance(struct conn *c)
{
    if (c->sent_tokens <= opt.tokens) {
        wait_for_token(c);
        return;
    }
    completed++;
    c->format = NULL;
    set_state(c, READING_HEAD);
}

static void send_token(struct conn *c)
{
    const struct format *f = c->format;
    int which = c->sent_tokens == 0 ? FIRST : c->sent_tokens < opt.tokens ? TOKEN : END;
    set_state(c, WRITING);
    c->sent_tokens++;
    if (send_text(c, f->texts[which], f->lengths[which])) {
        advance(c);
        return;
    }
    if (errno == EAGAIN)
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    else
        drop(c);
}

static void begin_stream(struct conn *c, const struct format *f)
{
    c->format = f;
    c->sent_tokens = 0;
    begun++;
    if (opt.first_us == 0 && opt.hold_after != 0)
        send_token(c);
    else
        wait_for_token(c);
}

static void answer_get(struct conn *c, const char *path)
{
    char json[256];
    if (sscanf(path, "/closed/%lld", (long long *)&c->asks_for) == 1 && c->asks_for > 0) {
        if (c->asks_for <= aborted)
            tell_closed(c);
        else
            set_state(c, ASKING);
        return;
    }
    if (strcmp(path, "/stats") == 0) {
        (void)snprintf(json, sizeof json,
                       "{\"begun\":%lld,\"completed\":%lld,\"aborted\":%lld,\"open\":%lld}", (long long)begun,
                       (long long)completed, (long long)aborted, (long long)(begun - completed - aborted));
        send_json(c, json);
        return;
    }
    send_json(c, strcmp(path, "/api/tags") == 0 ? "{\"models\":[{\"name\":\"bench\",\"model\":\"bench\"}]}"
                                                : "{\"object\":\"list\",\"data\":[{\"id\":\"bench\"}]}");
}

/* The request line is NUL-terminated at the start of head. */
static void answer(struct conn *c)
{
    char path[128] = "";
    c->head_len = 0;
    if (sscanf(c->head, "%*s %127s", path) != 1) {
        drop(c);
        return;
    }
    for (size_t i = 0; i < N_FORMATS; i++)
        if (strcmp(path, formats[i].path) == 0) {
            begin_stream(c, &formats[i]);
            return;
        }
    if (strcmp(path, "/api/show") == 0)
        send_json(c, "{\"capabilities\":[\"completion\"]}");
    else
        answer_get(c, path);
}

/* ---- requests */

static uint64_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoull(at + 17, NULL, 10) : 0;
}

/* Returns how many of the bytes belonged to the head; the rest is body. */
static size_t take_head(struct conn *c, const char *data, size_t len)
{
    size_t room = HEAD_MAX - 1 - c->head_len, n = len < room ? len : room, before = c->head_len;
    memcpy(c->head + before, data, n);
    c->head_len += n;
    c->head[c->head_len] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end)
        return n;
    c->head_len = (size_t)(end - c->head) + 4;
    end[2] = '\0';
    c->body_left = content_length(c->head);
    c->state = READING_BODY;
    return c->head_len - before;
}

static void take(struct conn *c, const char *data, size_t len)
{
    size_t used = c->state == READING_HEAD ? take_head(c, data, len) : 0;
    if (c->state == READING_HEAD) {
        if (c->head_len == HEAD_MAX - 1)
            drop(c);
        return;
    }
    uint64_t n = len - used;
    c->body_left -= n < c->body_left ? n : c->body_left;
    if (c->body_left == 0)
        answer(c);
}

static void read_request(struct conn *c)
{
    static char data[READ_MAX];
    ssize_t n = recv(c->fd, data, sizeof data, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || c->state > READING_BODY) /* nobody here sends a second request before the answer */
        drop(c);
    else
        take(c, data, (size_t)n);
}

static void take_event(struct conn *c, uint32_t events)
{
    if (!c->dead && events & EPOLLOUT && c->state == WRITING) {
        if (send_text(c, c->out, c->out_len)) {
            watch(c, EPOLLIN, EPOLL_CTL_MOD);
            advance(c);
        } else if (errno != EAGAIN) {
            drop(c);
        }
    }
    if (!c->dead && events & ~(uint32_t)EPOLLOUT)
        read_request(c);
}

/* ---- the loop */

/* A token that is due again at once has to wait for the next round: all streams take turns. */
static void send_due(struct conns *list)
{
    int64_t now = tool_now_us();
    struct conn *c, *last = TAILQ_LAST(list, conns);
    while ((c = TAILQ_FIRST(list)) && c->due_us <= now) {
        send_token(c);
        if (c == last)
            return;
    }
}

static int64_t wait_us(void)
{
    int64_t least = -1;
    const struct conn *firsts[] = {TAILQ_FIRST(&before_first), TAILQ_FIRST(&between)};
    for (int i = 0; i < 2; i++)
        if (firsts[i] && (least < 0 || firsts[i]->due_us < least))
            least = firsts[i]->due_us;
    if (least < 0)
        return -1;
    int64_t us = least - tool_now_us();
    return us > 0 ? us : 0;
}

static void serve(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = tool_wait(epoll_fd, events, EVENTS, wait_us());
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                take_event(events[i].data.ptr, events[i].events);
            else
                accept_all();
        }
        send_due(&before_first);
        send_due(&between);
        free_dead();
    }
}

static int open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    socklen_t len = sizeof address;
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, BACKLOG) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0)
        tool_die("can't listen: %s", strerror(errno));
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &ev) < 0)
        tool_die("epoll: %s", strerror(errno));
    return ntohs(address.sin_port);
}

static char *chunk_of(const char *text)
{
    char *chunk;
    if (asprintf(&chunk, "%zx\r\n%s\r\n", strlen(text), text) < 0)
        tool_die("out of memory");
    return chunk;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void prepare(struct format *f)
{
    char *token, *end, *first, *last;
    if (asprintf(&token, f->token, opt.text) < 0 || asprintf(&end, f->end, (int)opt.tokens) < 0)
        tool_die("out of memory");
    f->texts[TOKEN] = chunk_of(token);
    if (asprintf(&first, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%s",
                 f->type, f->texts[TOKEN]) < 0)
        tool_die("out of memory");
    f->texts[FIRST] = first;
    char *chunk = chunk_of(end);
    if (asprintf(&last, "%s0\r\n\r\n", chunk) < 0)
        tool_die("out of memory");
    f->texts[END] = last;
    for (int i = 0; i < 3; i++)
        f->lengths[i] = strlen(f->texts[i]);
    free(token);
    free(end);
    free(chunk);
}
#pragma GCC diagnostic pop

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},     {"tokens", required_argument, NULL, 'n'},
        {"first-us", required_argument, NULL, 'f'}, {"between-us", required_argument, NULL, 'b'},
        {"hold", required_argument, NULL, 'h'},     {"seconds", required_argument, NULL, 's'},
        {"text", required_argument, NULL, 't'},     {0},
    };
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'p')
            opt.port = tool_number("--port", optarg, 0, 65535);
        else if (o == 'n')
            opt.tokens = tool_number("--tokens", optarg, 1, 1000000);
        else if (o == 'f')
            opt.first_us = tool_number("--first-us", optarg, 0, 600000000);
        else if (o == 'b')
            opt.between_us = tool_number("--between-us", optarg, 0, 600000000);
        else if (o == 'h')
            opt.hold_after = tool_number("--hold", optarg, 0, 1000000);
        else if (o == 's')
            opt.seconds = tool_number("--seconds", optarg, 1, MOST_SECONDS);
        else if (o == 't')
            opt.text = optarg;
        else
            tool_die("upstream [--port N] [--tokens N] [--text T] [--first-us N] [--between-us N] [--hold "
                     "AFTER_TOKENS] "
                     "[--seconds N]");
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    tool_prepare((unsigned)opt.seconds);
    for (size_t i = 0; i < N_FORMATS; i++)
        prepare(&formats[i]);
    (void)printf("{\"port\":%d}\n", open_listener());
    (void)fflush(stdout);
    serve();
}
