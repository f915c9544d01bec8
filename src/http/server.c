/* SPDX-License-Identifier: MIT */
/* The seam to libmicrohttpd, and the only file besides reader.c that knows its rules:
 *   - it calls answer() once with the headers, then per piece of the body, then once when the request is
 *     whole; a reply can only be queued at the first or the last of these, so a refused body is drained
 *     (within reason) first;
 *   - suspended at the first of these, the connection comes there again, so a worker may refuse a body before
 *     the client is told to send it;
 *   - its time limit counts while a connection is not suspended and nothing moves: it is what cuts a client
 *     that takes nothing of its answer;
 *   - after MHD_resume_connection it calls answer() again, where the finished reply is queued;
 *   - what a reply points to lives in the request's arena until finish(). */
#include "http/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "http/client_address.h"
#include "http/exchange.h"
#include "http/framing.h"
#include "http/intake.h"
#include "http/peers.h"
#include "http/reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONNECTION_MEMORY (20 * 1024) /* headers of 16 KiB and the write buffer of an answer */
#define ARENA_MAX (64 * 1024 * 1024)
#define LIBRARY_BATCH 128
#define SMALL_BODY ((size_t)16 * 1024)
#define HELD_BODIES_MAX ((size_t)256 * 1024 * 1024)
#define HELD_BODIES_UNKNOWN_MAX ((size_t)64 * 1024 * 1024)
#define DRAIN_MAX (8 * 1024 * 1024)
#define LISTEN_BACKLOG 1024
#define STOP_REPORT_MS 5000

static void set_addresses(struct http_exchange *x)
{
    struct arena *a = &x->rq.arena;
    const struct sockaddr *socket =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const char *peer = address_text(a, socket);
    x->peer_ip = strncpy(x->peer_text, peer ? peer : "", sizeof x->peer_text - 1);
    const char *client =
        client_address(a, x->peer_ip, x->server->config->trusted_proxies, request_forwarded_for(&x->rq));
    x->rq.client_ip = strncpy(x->client_text, client, sizeof x->client_text - 1);
}

/* NULL without memory, also where there was none to mind the connection with. */
static struct http_exchange *exchange_new(struct http_server *server, struct MHD_Connection *connection)
{
    struct peer *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct http_exchange *x = peer ? calloc(1, sizeof *x) : NULL;
    if (!x)
        return NULL;
    x->server = server;
    x->connection = connection;
    x->started_us = clock_monotonic_us();
    x->peer = peer;
    x->file = -1;
    x->rq.exchange = x;
    x->rq.app = server->app;
    arena_init(&x->rq.arena, ARENA_MAX);
    set_addresses(x);
    return x;
}

static void count_reply(int status)
{
    static const enum metric classes[] = {METRIC_HTTP_2XX, METRIC_HTTP_3XX, METRIC_HTTP_4XX, METRIC_HTTP_5XX};
    if (status >= 200 && status < 600)
        metric_add(classes[status / 100 - 2], 1);
}

static void log_exchange(struct http_exchange *x)
{
    const char *user = NULL, *impersonator = NULL;
    if (x->rq.who)
        x->server->auth.describe(x->rq.who, &user, &impersonator);
    log_set_request(x->rq.id);
    log_event(LOG_INFO, "request", LOG_S("method", x->method_name), LOG_S("path", x->rq.path),
              LOG_N("status", x->status), LOG_N("us", clock_monotonic_us() - x->started_us),
              LOG_S("ip", x->rq.client_ip), LOG_S("user", user), LOG_S("impersonated_by", impersonator),
              LOG_S("by", x->rq.by_secret ? "secret" : NULL));
    log_set_request(NULL);
}

void exchange_drop_body(struct http_exchange *x)
{
    buf_free(&x->body);
    atomic_fetch_sub(&x->server->held_bodies, x->held);
    x->held = 0;
}

static bool holds_secrets(const struct http_exchange *x)
{
    return x->rq.route && x->rq.route->body.secret;
}

static void exchange_free(struct http_exchange *x)
{
    struct http_server *server = x->server;
    if (x->phase == PHASE_SENT) {
        count_reply(x->status);
        log_exchange(x);
    }
    if (x->stream) {
        if (x->phase != PHASE_SENT)
            reader_drop(x->stream);
        reader_unref(x->stream);
    }
    if (x->file >= 0)
        (void)close(x->file);
    if (x->rq.who)
        server->auth.unref(x->rq.who);
    json_decref(x->rq.json);
    json_decref(x->query);
    intake_close(x);
    exchange_drop_body(x);
    if (holds_secrets(x))
        arena_wipe(&x->rq.arena);
    else
        arena_free(&x->rq.arena);
    free(x);
}

static struct MHD_Response *file_response(struct http_exchange *x)
{
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(x->len, x->file, (uint64_t)x->file_at);
    if (response)
        x->file = -1; /* it closes it */
    return response;
}

static struct MHD_Response *make_response(struct http_exchange *x)
{
    if (x->file >= 0)
        return file_response(x);
    if (!x->stream)
        return MHD_create_response_from_buffer(x->len, (void *)(uintptr_t)x->data, MHD_RESPMEM_PERSISTENT);
    uint64_t length = x->stream_length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)x->stream_length;
    struct MHD_Response *response =
        reader_response(reader_ref(x->stream), x->connection, length, x->http_1_0);
    if (!response) {
        reader_unref(x->stream);
        return NULL;
    }
    (void)MHD_set_response_options(response, MHD_RF_SEND_KEEP_ALIVE_HEADER, MHD_RO_END);
    peer_unwatch(x->peer); /* from the sink's hands to the stream's */
    peer_watch(x->peer, reader_sleeper(x->stream));
    return response;
}

static enum MHD_Result queue(struct http_exchange *x)
{
    reply_common_headers(x);
    if (x->hang_up)
        reply_header(&x->rq, "Connection", "close");
    struct MHD_Response *response = make_response(x);
    if (!response)
        return MHD_NO;
    for (struct reply_header_line *h = x->headers; h; h = h->next)
        (void)MHD_add_response_header(response, h->name, h->value);
    if (x->stream) { /* it may stay open for long, and the answer has copied its headers */
        x->headers = NULL;
        arena_free(&x->rq.arena);
    }
    x->phase = PHASE_SENT;
    enum MHD_Result r = MHD_queue_response(x->connection, (unsigned)x->status, response);
    MHD_destroy_response(response);
    return r;
}

/* What was decided at the headers: answer at once where the body need not be sent or can't be drained. */
static enum MHD_Result decided(struct http_exchange *x)
{
    x->phase = PHASE_BODY;
    if (!x->refused)
        return MHD_YES;
    const char *length = request_header(&x->rq, "Content-Length");
    bool waits = str_equal_nocase(request_header(&x->rq, "Expect"), "100-continue");
    bool too_large = x->status == 413 || (length && strtoull(length, NULL, 10) > DRAIN_MAX);
    x->hang_up = x->hang_up || too_large || waits;
    return x->hang_up ? queue(x) : MHD_YES;
}

/* The headers are there, and counted where the route counts them. */
static enum MHD_Result begin(struct http_exchange *x)
{
    if (!x->refused && x->open && !dispatch_open(x))
        return MHD_YES;
    return decided(x);
}

/* Whether this much more may be held. Who is not known yet (no token, or one that the store has to be asked
 * about) gets less, so that nobody without an account can take the room of those who have one. */
bool exchange_hold(struct http_exchange *x, size_t size)
{
    size_t most = x->rq.who || x->rq.by_secret ? HELD_BODIES_MAX : HELD_BODIES_UNKNOWN_MAX;
    if (atomic_fetch_add(&x->server->held_bodies, size) + size > most) {
        atomic_fetch_sub(&x->server->held_bodies, size);
        return false;
    }
    x->held += size;
    return true;
}

static bool add_body(struct http_exchange *x, const char *data, size_t size)
{
    if (x->rq.route->body.kind == BODY_NONE)
        return true;
    /* small ones are free, or a few strangers with large ones could refuse everybody's */
    bool room = x->body.len + size <= SMALL_BODY || exchange_hold(x, size);
    return room && buf_add(&x->body, data, size) == 0;
}

static void keep_body(struct http_exchange *x, const char *data, size_t size)
{
    bool fits = x->received <= x->body.max;
    if (fits && add_body(x, data, size))
        return;
    x->refused = true;
    exchange_drop_body(x);
    (void)reply_error(&x->rq, fits ? ERR_OVERLOADED : ERR_TOO_LARGE, NULL);
}

static enum MHD_Result take_body(struct http_exchange *x, const char *data, size_t *size)
{
    if (x->sink)
        return intake_take(x, data, size) ? MHD_YES : MHD_NO;
    x->received += *size;
    peer_progress(x->peer, (int64_t)x->received);
    if (!x->refused)
        keep_body(x, data, *size);
    if (holds_secrets(x))
        wipe((void *)(uintptr_t)data, *size); /* the library's buffer, which is done with what we took */
    if (x->refused && x->received > x->body.max + DRAIN_MAX)
        return MHD_NO;
    *size = 0;
    return MHD_YES;
}

/* Counts a request in; NULL without memory or when the server stops. Counting comes first: once http_stop has
 * seen none after saying so, none can come. */
static struct http_exchange *enter(struct http_server *server, struct MHD_Connection *connection)
{
    atomic_fetch_add(&server->exchanges, 1);
    struct http_exchange *x = atomic_load(&server->stopping) ? NULL : exchange_new(server, connection);
    if (!x)
        atomic_fetch_sub(&server->exchanges, 1);
    return x;
}

/* The request has arrived whole. */
static enum MHD_Result whole(struct http_exchange *x)
{
    enum intake intake = x->sink ? intake_end(x) : INTAKE_SETTLED;
    if (intake != INTAKE_SETTLED)
        return intake == INTAKE_SLEEPS ? MHD_YES : MHD_NO;
    peer_serving(x->peer);
    return dispatch_run(x) ? queue(x) : MHD_YES;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **state)
{
    struct http_exchange *x = *state;
    if (!x) {
        *state = x = enter(cls, connection);
        if (!x)
            return MHD_NO;
        x->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
        return dispatch_headers(x, method, url) ? begin(x) : MHD_YES;
    }
    if (x->phase == PHASE_COUNTED) {
        dispatch_counted(x);
        return begin(x);
    }
    if (x->phase == PHASE_BODY && *size > 0)
        return take_body(x, data, size);
    if (x->phase == PHASE_ANSWER)
        return queue(x);
    if (x->phase == PHASE_OPENED) {
        peer_go_on(x->peer);
        return decided(x);
    }
    return x->phase == PHASE_BODY ? whole(x) : MHD_YES;
}

static void finish(void *cls, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
    struct http_server *server = cls;
    struct http_exchange *x = *state;
    (void)connection, (void)why;
    if (!x)
        return;
    peer_unwatch(x->peer);
    peer_waiting(x->peer);
    exchange_free(x);
    *state = NULL;
    atomic_fetch_sub(&server->exchanges, 1);
}

static void connection_changed(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *context = peer_add(server->peers, fd);
    } else if (*context) {
        peer_remove(*context);
        *context = NULL;
    }
}

/* The target as sent; libmicrohttpd decodes it in place after this. */
static void *begin_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    const struct http_server *server = cls;
    struct peer *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (peer)
        peer_take_target(peer, target, server->keeps_targets);
    return NULL; /* the request's state is made with its headers */
}

static void log_library(void *cls, const char *fmt, va_list ap)
{
    char line[256];
    (void)cls;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(line, sizeof line, fmt, ap);
#pragma GCC diagnostic pop
    line[strcspn(line, "\r\n")] = '\0';
    log_event(LOG_DEBUG, "libmicrohttpd", LOG_S("text", line));
}

/* A stream has a client's socket, perhaps an upstream's, and shares a few more. */
static void raise_descriptor_limit(int64_t connections)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)connections * 2 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
        return;
    limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_event(LOG_WARN, "can't raise the limit of open files", LOG_S("error", strerror(errno)));
    if (limit.rlim_cur < want)
        log_event(LOG_WARN, "the limit of open files is lower than MAX_CONNECTIONS needs",
                  LOG_N("limit", limit.rlim_cur), LOG_N("needed", want));
}

/* Resolves BIND_ADDRESS and SERVER_PORT to a listening socket; negative errno with a log line. */
static int listen_on(const struct config *cfg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST},
                    *found = NULL;
    char port[16];
    int yes = 1;
    (void)snprintf(port, sizeof port, "%lld", (long long)cfg->server_port);
    if (getaddrinfo(cfg->bind_address, port, &hints, &found) != 0)
        return log_error(-EINVAL, "BIND_ADDRESS is not an IP address");
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int r = -errno;
        if (fd >= 0)
            (void)close(fd);
        fd = log_error(r, "can't listen on BIND_ADDRESS and SERVER_PORT");
    }
    freeaddrinfo(found);
    return fd;
}

/* libmicrohttpd 0.9.75 asks for 128 events, and when exactly so many are ready it waits once more, with the
 * old time-out, before it serves them: the server stands still for seconds. Its call ends here, and a batch
 * of its own size never comes. For everybody else this is the system's epoll_wait. */
int epoll_wait(int fd, struct epoll_event *events, int most, int timeout_ms)
{
    return epoll_pwait(fd, events, most == LIBRARY_BATCH ? LIBRARY_BATCH - 1 : most, timeout_ms, NULL);
}

/* When it is told to take no more clients, libmicrohttpd 0.9.75 takes the listener out of its sets in two
 * threads at once, and ends the process where the second finds it gone. Here that is no error for anybody:
 * what was to go is gone. */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int r = (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
    return r < 0 && op == EPOLL_CTL_DEL && errno == ENOENT ? 0 : r;
}

static int start_daemon(struct http_server *s, int fd)
{
    const struct config *cfg = s->config;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_TURBO, 0, NULL,
        NULL, answer, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)(cfg->http_threads > 1 ? cfg->http_threads : 0),
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT, (unsigned)cfg->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)cfg->request_timeout_s, MHD_OPTION_URI_LOG_CALLBACK, begin_target, s,
        MHD_OPTION_NOTIFY_COMPLETED, finish, s, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, s,
        MHD_OPTION_END);
    return s->daemon ? 0 : log_error(errno ? -errno : -EIO, "can't start the HTTP server");
}

static void free_server(struct http_server *s)
{
    if (s->peers)
        peers_stop(s->peers);
    routes_free(s->routes);
    free(s);
}

static void look_for_limits(void *ctx, const struct route *route)
{
    bool *any = ctx;
    *any = *any || route->rate || route->idempotent;
}

static bool has_limits(const struct route_set *routes)
{
    bool any = false;
    routes_each(routes, look_for_limits, &any);
    return any;
}

static void look_for_models(void *ctx, const struct route *route)
{
    bool *any = ctx;
    *any = *any || route->kind == MODEL;
}

static bool waits_for_models(const struct route_set *routes)
{
    bool any = false;
    routes_each(routes, look_for_models, &any);
    return any;
}

int http_start(const struct http_options *options, struct http_server **ret)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->config = options->config;
    s->auth = options->auth;
    s->limits = options->limits;
    s->workers = options->workers;
    s->model_workers = options->model_workers;
    s->app = options->app;
    raise_descriptor_limit(s->config->max_connections);
    int r = routes_compile(options->tables, &s->routes), fd = -1;
    if (r < 0)
        (void)log_error(r, "the route table is inconsistent");
    if (r == 0 && !s->limits.count && has_limits(s->routes))
        r = log_error(-EINVAL, "the route table has limits that nobody keeps");
    s->keeps_targets = r == 0 && routes_have_tail(s->routes);
    if (r == 0 && !s->model_workers && waits_for_models(s->routes))
        r = log_error(-EINVAL, "the route table waits for models, and no thread does");
    if (r == 0)
        r = peers_start(s->config->request_timeout_s * 1000, &s->peers);
    if (r == 0)
        r = fd = listen_on(s->config);
    if (r >= 0)
        r = start_daemon(s, fd);
    if (r < 0) {
        free_server(s);
        return r;
    }
    *ret = s;
    return 0;
}

int http_port(const struct http_server *server)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static bool wait_for_exchanges(struct http_server *s, int64_t limit_ms)
{
    int64_t until = clock_monotonic_ms() + limit_ms;
    while (atomic_load(&s->exchanges) > 0 && clock_monotonic_ms() < until)
        (void)usleep(5000);
    return atomic_load(&s->exchanges) == 0;
}

void http_stop(struct http_server *s, int64_t limit_ms)
{
    int listener = MHD_quiesce_daemon(s->daemon);
    (void)wait_for_exchanges(s, limit_ms);
    atomic_store(&s->stopping, true);
    peers_shutdown_all(s->peers);
    /* MHD_stop_daemon aborts where a connection is suspended, so whoever holds one is waited for; each such
     * work has a time limit of its own */
    while (!wait_for_exchanges(s, STOP_REPORT_MS))
        log_event(LOG_WARN, "still waiting for requests in work",
                  LOG_N("requests", atomic_load(&s->exchanges)));
    MHD_stop_daemon(s->daemon);
    if (listener >= 0)
        (void)close(listener);
    free_server(s);
}
