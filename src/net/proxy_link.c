/* SPDX-License-Identifier: MIT */
/* Each stage has a time that it may last; passing has one in which something must move. The client's bytes
 * behind a plain request are its body and nothing else: a second request on the connection would go to the
 * first one's server. An end that waits for nothing is not watched at all, since its hang-up would be
 * reported without end. */
#include "net/proxy_link.h"

#include "base/text.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#define HEAD_MS 10000
#define CONNECT_MS 5000 /* to one address */
#define ANSWER_MS 5000
#define IDLE_MS 60000
#define ANSWER_MAX 1024
#define PRIVILEGED_PORTS 1024

static void end_close(struct link_end *end)
{
    if (end->watched) /* a fork of ours may still hold the socket open */
        (void)epoll_ctl(end->link->proxy->epoll, EPOLL_CTL_DEL, end->fd, NULL);
    closeP(&end->fd);
    end->fd = -1;
    end->watched = 0;
}

static void over(struct proxy_link *l)
{
    l->stage = LINK_OVER;
}

static void stage(struct proxy_link *l, enum link_stage next, int64_t most_ms)
{
    l->stage = next;
    l->due_ms = clock_monotonic_ms() + most_ms;
}

static void passed(struct proxy_link *l)
{
    int64_t idle_ms = l->proxy->options.idle_ms;
    stage(l, LINK_PASSES, idle_ms ? idle_ms : IDLE_MS);
}

/* Writes down what the owner may want to know. */
static void note(struct proxy_link *l, bool *what)
{
    (void)pthread_mutex_lock(&l->proxy->lock);
    *what = true;
    (void)pthread_mutex_unlock(&l->proxy->lock);
}

/* Counts bytes; whether there is room for them. */
static bool count(struct proxy_link *l, size_t n)
{
    struct proxy *p = l->proxy;
    (void)pthread_mutex_lock(&p->lock);
    p->report.bytes += (int64_t)n;
    bool spent = p->report.bytes > p->options.max_bytes;
    p->report.spent = p->report.spent || spent;
    (void)pthread_mutex_unlock(&p->lock);
    if (spent && p->options.ended)
        cancel_raise(p->options.ended);
    return !spent;
}

/* ---- passing bytes */

/* Reads from an end if the last that came from it has gone. 0 or negative errno. */
static int pull(struct proxy_link *l, enum link_side from)
{
    struct link_flow *f = &l->flow[from];
    struct link_end *end = &l->end[from];
    if (f->len > 0 || end->read_ended || end->fd < 0)
        return 0;
    ssize_t n = recv(end->fd, f->data, sizeof f->data, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    end->read_ended = n == 0;
    f->len = (size_t)n;
    return 0;
}

/* Writes what came from one end to the other; behind the last of it the end is told. */
static int push(struct proxy_link *l, enum link_side from)
{
    struct link_flow *f = &l->flow[from];
    struct link_end *to = &l->end[!from];
    while (f->at < f->len) {
        ssize_t n = send(to->fd, f->data + f->at, f->len - f->at, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        f->at += (size_t)n;
    }
    f->len = f->at = 0;
    if (l->end[from].read_ended && !to->write_ended) {
        (void)shutdown(to->fd, SHUT_WR);
        to->write_ended = true;
    }
    return 0;
}

/* Whether what was pulled may pass. */
static bool may_pass(struct proxy_link *l, enum link_side from)
{
    size_t n = l->flow[from].len;
    if (from == LINK_CLIENT && l->body_left >= 0) {
        if ((int64_t)n > l->body_left)
            return false;
        l->body_left -= (int64_t)n;
    }
    return count(l, n);
}

static void pass(struct proxy_link *l, enum link_side from)
{
    bool had = l->flow[from].len > 0;
    int r = had ? 0 : pull(l, from);
    if (r < 0 || (!had && !may_pass(l, from)) || push(l, from) < 0)
        over(l);
    else if (l->end[LINK_SERVER].read_ended && l->end[LINK_CLIENT].write_ended)
        over(l);
    else
        passed(l);
}

/* ---- answers of the proxy itself */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {400, "Bad Request"},
        {403, "Forbidden"},
        {407, "Proxy Authentication Required"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

static void answer_goes_on(struct proxy_link *l)
{
    struct link_end *client = &l->end[LINK_CLIENT];
    l->end[LINK_SERVER].read_ended = true; /* nothing comes behind it */
    if (push(l, LINK_SERVER) < 0) {
        over(l);
        return;
    }
    l->flow[LINK_CLIENT].len = 0; /* what the client says now is thrown away */
    if (pull(l, LINK_CLIENT) < 0 || (client->read_ended && client->write_ended))
        over(l);
}

static void answer(struct proxy_link *l, int status, const char *why)
{
    struct link_flow *f = &l->flow[LINK_SERVER];
    const char *challenge = status == 407 ? "Proxy-Authenticate: Basic realm=\"genie\"\r\n" : "";
    end_close(&l->end[LINK_SERVER]);
    f->at = 0;
    f->len = (size_t)snprintf(f->data, ANSWER_MAX,
                              "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                              "Connection: close\r\n%s\r\n%s",
                              status, reason(status), strlen(why), challenge, why);
    stage(l, LINK_ANSWERS, ANSWER_MS);
    answer_goes_on(l);
}

/* ---- connecting */

static void set_port(struct resolve_address *a, int port)
{
    if (a->any.sa_family == AF_INET)
        a->v4.sin_port = htons((uint16_t)port);
    else
        a->v6.sin6_port = htons((uint16_t)port);
}

static int dial(struct resolve_address *a)
{
    const int on = 1;
    _cleanup_close_ int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, &a->any, a->len) < 0 && errno != EINPROGRESS)
        return -errno;
    return TAKE_FD(fd);
}

static void connect_next(struct proxy_link *l)
{
    end_close(&l->end[LINK_SERVER]);
    while (l->tried < l->answer.n) {
        struct resolve_address *a = &l->answer.addresses[l->tried++];
        set_port(a, l->head.port);
        l->end[LINK_SERVER].fd = dial(a);
        if (l->end[LINK_SERVER].fd < 0)
            continue;
        stage(l, LINK_CONNECTS, CONNECT_MS);
        return;
    }
    note(l, &l->proxy->report.unreachable);
    answer(l, 502, "The server could not be reached");
}

/* Puts in front of what the client has sent behind its head: 0 or -EBADMSG, -ENOBUFS, -ENOMEM. */
static int make_plain_request(struct proxy_link *l, size_t head_len)
{
    struct link_flow *f = &l->flow[LINK_CLIENT];
    size_t behind = l->head_text.len - head_len;
    _cleanup_buf_ struct buf out = BUF_INIT(sizeof f->data - PROXY_HEAD_MAX);
    if ((int64_t)behind > l->head.body)
        return -EBADMSG;
    int r = proxy_head_rewrite(l->head_text.data, head_len, &l->head, &out);
    if (r < 0)
        return r;
    l->body_left = l->head.body - (int64_t)behind;
    memcpy(f->data, out.data, out.len);
    memcpy(f->data + out.len, l->head_text.data + head_len, behind);
    f->len = out.len + behind;
    return 0;
}

static void make_tunnel(struct proxy_link *l, size_t head_len)
{
    static const char ok[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    struct link_flow *to_client = &l->flow[LINK_SERVER], *to_server = &l->flow[LINK_CLIENT];
    memcpy(to_client->data, ok, sizeof ok - 1);
    to_client->len = sizeof ok - 1;
    to_server->len = l->head_text.len - head_len;
    memcpy(to_server->data, l->head_text.data + head_len, to_server->len);
    l->body_left = -1;
}

static size_t head_length(const struct proxy_link *l)
{
    const char *end = l->head_text.len ? memmem(l->head_text.data, l->head_text.len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - l->head_text.data) + 4 : 0;
}

static void begin_passing(struct proxy_link *l)
{
    size_t head_len = head_length(l);
    int r = 0;
    if (l->head.tunnel)
        make_tunnel(l, head_len);
    else
        r = make_plain_request(l, head_len);
    buf_free(&l->head_text);
    if (r < 0) {
        answer(l, 400, "More follows the request than its body");
        return;
    }
    passed(l);
    (void)count(l, l->flow[LINK_CLIENT].len);
    if (push(l, LINK_CLIENT) < 0 || push(l, LINK_SERVER) < 0)
        over(l);
}

static void connect_ended(struct proxy_link *l)
{
    int why = 0;
    socklen_t size = sizeof why;
    if (getsockopt(l->end[LINK_SERVER].fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0 || why != 0)
        connect_next(l);
    else
        begin_passing(l);
}

/* ---- looking up */

static void looked_up(struct proxy_link *l)
{
    int r = resolve_result(l->lookup, &l->answer);
    if (r == -EAGAIN)
        return;
    resolve_drop(TAKE_PTR(l->lookup));
    if (r == -ENOENT) {
        note(l, &l->proxy->report.unknown_host);
        answer(l, 502, "The host is not known");
    } else if (r == -E2BIG ||
               (r == 0 && !l->proxy->options.allow_private && !resolve_is_public(&l->answer))) {
        note(l, &l->proxy->report.not_public);
        answer(l, 403, "The address is not a public one");
    } else if (r < 0) {
        answer(l, 502, "The host could not be looked up");
    } else {
        connect_next(l);
    }
}

static void look_up(struct proxy_link *l)
{
    struct proxy *p = l->proxy;
    int r = resolve_begin(l->head.host, p->options.resolve, p->options.resolve_ctx, p->wake, &l->lookup);
    if (r < 0)
        answer(l, 502, "The host could not be looked up");
    else
        stage(l, LINK_LOOKS_UP, RESOLVE_TIMEOUT_MS);
}

/* ---- the head */

static void use_head(struct proxy_link *l, size_t len)
{
    int r = proxy_head_parse(l->head_text.data, len, &l->head);
    if (r == -EOPNOTSUPP) {
        answer(l, 501, "Only http:// and CONNECT are done here");
    } else if (r < 0) {
        answer(l, 400, "The request is malformed");
    } else if (!secret_equal(l->head.credentials, l->proxy->expected)) {
        answer(l, 407, "The password is missing or wrong");
    } else if (l->head.port < PRIVILEGED_PORTS && l->head.port != 80 && l->head.port != 443) {
        note(l, &l->proxy->report.bad_port);
        answer(l, 403, "This is not a port of the web");
    } else {
        look_up(l);
    }
}

static void read_head(struct proxy_link *l)
{
    char piece[PROXY_HEAD_MAX];
    size_t room = PROXY_HEAD_MAX - l->head_text.len;
    ssize_t n = recv(l->end[LINK_CLIENT].fd, piece, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || buf_add(&l->head_text, piece, (size_t)n) < 0) {
        over(l);
        return;
    }
    wipe(piece, (size_t)n);
    size_t len = head_length(l);
    if (len > 0)
        use_head(l, len);
    else if (l->head_text.len == PROXY_HEAD_MAX)
        answer(l, 431, "The request's head is too large");
}

/* ---- what the proxy calls */

struct proxy_link *link_open(struct proxy *proxy, int fd)
{
    const int on = 1;
    int64_t head_ms = proxy->options.head_ms;
    struct proxy_link *l = malloc(sizeof *l);
    if (!l) {
        (void)close(fd);
        return NULL;
    }
    memset(l, 0, offsetof(struct proxy_link, flow));
    l->flow[0].len = l->flow[0].at = l->flow[1].len = l->flow[1].at = 0;
    l->proxy = proxy;
    l->end[LINK_CLIENT] = (struct link_end){.link = l, .side = LINK_CLIENT, .fd = fd};
    l->end[LINK_SERVER] = (struct link_end){.link = l, .side = LINK_SERVER, .fd = -1};
    l->head_text = BUF_INIT_SECRET(PROXY_HEAD_MAX);
    l->lookup = NULL;
    l->tried = 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    stage(l, LINK_READS, head_ms ? head_ms : HEAD_MS);
    return l;
}

void link_event(struct link_end *end, uint32_t events)
{
    struct proxy_link *l = end->link;
    switch (l->stage) {
    case LINK_READS:
        read_head(l);
        break;
    case LINK_LOOKS_UP:
        over(l); /* all that is watched for is that the client leaves */
        break;
    case LINK_CONNECTS:
        if (end->side == LINK_SERVER)
            connect_ended(l);
        else
            over(l);
        break;
    case LINK_PASSES:
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            pass(l, end->side);
        if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && l->stage == LINK_PASSES)
            pass(l, !end->side);
        break;
    case LINK_ANSWERS:
        answer_goes_on(l);
        break;
    case LINK_OVER:
        break;
    }
}

static void late(struct proxy_link *l)
{
    switch (l->stage) {
    case LINK_LOOKS_UP:
        answer(l, 504, "The host could not be looked up in time");
        break;
    case LINK_CONNECTS:
        connect_next(l);
        break;
    default:
        over(l);
    }
}

void link_look(struct proxy_link *l, int64_t now_ms)
{
    if (l->stage == LINK_LOOKS_UP)
        looked_up(l);
    if (l->stage != LINK_OVER && now_ms >= l->due_ms)
        late(l);
}

static uint32_t wishes(const struct proxy_link *l, const struct link_end *end)
{
    bool client = end->side == LINK_CLIENT;
    uint32_t out = l->flow[!end->side].len > 0 ? EPOLLOUT : 0;
    bool reads = l->flow[end->side].len == 0 && !end->read_ended;
    if (l->stage == LINK_PASSES)
        return out | (reads ? EPOLLIN : 0);
    if (l->stage == LINK_CONNECTS)
        return client ? EPOLLRDHUP : EPOLLOUT;
    if (l->stage == LINK_LOOKS_UP)
        return client ? EPOLLRDHUP : 0;
    return client ? out | (end->read_ended ? 0 : EPOLLIN) : 0;
}

static void watch(struct proxy_link *l, struct link_end *end)
{
    uint32_t wanted = wishes(l, end);
    struct epoll_event event = {.events = wanted, .data.ptr = end};
    if (end->fd < 0 || wanted == end->watched)
        return;
    int how = !wanted ? EPOLL_CTL_DEL : end->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(l->proxy->epoll, how, end->fd, &event) < 0)
        over(l);
    else
        end->watched = wanted;
}

void link_watch(struct proxy_link *l)
{
    watch(l, &l->end[LINK_CLIENT]);
    watch(l, &l->end[LINK_SERVER]);
}

void link_free(struct proxy_link *l)
{
    end_close(&l->end[LINK_CLIENT]);
    end_close(&l->end[LINK_SERVER]);
    if (l->lookup)
        resolve_drop(l->lookup);
    buf_free(&l->head_text);
    wipe(&l->head, sizeof l->head);
    free(l);
}
