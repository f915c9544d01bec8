/* SPDX-License-Identifier: MIT */
/* The connections. The lock guards the list of idle ones and what is known of Redis' health; it is never held
 * over a call that can wait. */
#include "redis/redis.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#define IDLE_MOST 16
#define PAUSE_FIRST_MS 50
#define PAUSE_MOST_MS 1000
#define ADDRESS_MAX 8192

struct redis_conn {
    redisContext *ctx;                                                        /* NULL once lost */
    int fd;                                                                   /* the context's */
    redisReplyObjectFunctions fn;                                             /* hiredis's, but for arrays */
    __typeof__(((redisReplyObjectFunctions *)NULL)->createArray) createArray; /* hiredis's own */
    size_t items; /* of the answer that is being read */
};

struct redis {
    struct arena arena;
    struct redis_address address;
    pthread_mutex_t lock;
    struct redis_conn *idle[IDLE_MOST];
    int n_idle;
    bool down;
    bool refused;     /* it didn't let us in; said once */
    int64_t pause_ms; /* after the next failure */
    int64_t retry_ms; /* monotonic; nobody connects before */
};

int redis_open(const struct redis_address *address, struct redis **ret)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    arena_init(&r->arena, ADDRESS_MAX);
    r->address = (struct redis_address){.host = arena_strdup(&r->arena, address->host),
                                        .port = arena_strdup(&r->arena, address->port),
                                        .user = arena_strdup(&r->arena, address->user),
                                        .password = arena_strdup(&r->arena, address->password),
                                        .db = address->db};
    bool copied = r->address.host && r->address.port && (r->address.user || !address->user) &&
                  (r->address.password || !address->password);
    if (!copied || pthread_mutex_init(&r->lock, NULL) != 0) {
        arena_wipe(&r->arena);
        free(r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

static void drop_idle(struct redis *r)
{
    struct redis_conn *idle[IDLE_MOST];
    pthread_mutex_lock(&r->lock);
    int n = r->n_idle;
    memcpy(idle, r->idle, sizeof idle);
    r->n_idle = 0;
    pthread_mutex_unlock(&r->lock);
    while (n > 0)
        redis_disconnect(idle[--n]);
}

void redis_close(struct redis *r)
{
    if (!r)
        return;
    drop_idle(r);
    pthread_mutex_destroy(&r->lock);
    arena_wipe(&r->arena);
    free(r);
}

/* --- commands ------------------------------------------------------------------------------------------ */

void redis_arg_bytes(struct redis_args *args, const char *p, size_t len)
{
    if (args->n == REDIS_ARGS_MOST) {
        args->failed = true;
        return;
    }
    args->at[args->n] = p;
    args->len[args->n++] = len;
}

void redis_arg(struct redis_args *args, const char *s)
{
    redis_arg_bytes(args, s ? s : "", s ? strlen(s) : 0);
}

void redis_arg_int(struct redis_args *args, int64_t n)
{
    if (args->n == REDIS_ARGS_MOST) {
        args->failed = true;
        return;
    }
    char *text = args->numbers[args->n];
    (void)snprintf(text, sizeof args->numbers[0], "%lld", (long long)n);
    redis_arg_bytes(args, text, strlen(text));
}

static const struct refusal {
    const char *begins;
    int r;
} refusals[] = {
    {"LOADING", -EAGAIN},     {"BUSY ", -EAGAIN},
    {"READONLY", -EAGAIN},    {"MASTERDOWN", -EAGAIN},
    {"OOM ", -EAGAIN},        {"MISCONF", -EAGAIN},
    {"NOREPLICAS", -EAGAIN},  {"TRYAGAIN", -EAGAIN},
    {"CLUSTERDOWN", -EAGAIN}, {"NOAUTH", -EACCES},
    {"UNBLOCKED", -EAGAIN},   {"ERR max number of clients", -EAGAIN},
    {"WRONGPASS", -EACCES},   {"NOPERM", -EACCES},
    {"ERR AUTH", -EACCES},    {"ERR invalid password", -EACCES},
    {"DENIED", -EACCES},      {"NOSCRIPT", -ENOENT},
};

/* Redis' own sentence names commands and keys; of a command that it doesn't know it also repeats what was
 * sent with it, which may be a password. */
static void log_refusal(const char *text)
{
    char shown[160];
    const char *repeats = strstr(text, ", with args");
    size_t len = repeats ? (size_t)(repeats - text) : strlen(text);
    (void)snprintf(shown, sizeof shown, "%.*s", (int)(len < sizeof shown ? len : sizeof shown - 1), text);
    log_event(LOG_ERROR, "redis refused a command", LOG_S("answer", shown));
}

/* Redis before 7 puts words of its own before an error inside a script. */
static const char *inner_refusal(const char *text)
{
    const char *at = str_has_prefix(text, "ERR Error running script") ? strstr(text, ": -") : NULL;
    return at ? at + 3 : text;
}

static int refused(const char *text)
{
    const char *inner = inner_refusal(text);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (str_has_prefix(inner, refusals[i].begins))
            return refusals[i].r;
    log_refusal(text);
    return -EPROTO;
}

static void lose(struct redis_conn *c)
{
    redisFree(c->ctx);
    c->ctx = NULL;
    c->fd = -1;
}

/* Until the socket can be read from or written to: 0, -ETIMEDOUT or negative errno. */
static int await_socket(int fd, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        int n = poll(&p, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

static int send_command(struct redis_conn *c, const struct redis_args *args, int64_t deadline_ms)
{
    int done = 0;
    if (redisAppendCommandArgv(c->ctx, args->n, (const char **)(uintptr_t)args->at, args->len) != REDIS_OK)
        return -EIO;
    for (;;) {
        if (redisBufferWrite(c->ctx, &done) != REDIS_OK)
            return -EIO;
        if (done)
            return 0;
        int r = await_socket(c->fd, POLLOUT, deadline_ms);
        if (r < 0)
            return r;
    }
}

static int read_reply(struct redis_conn *c, redisReply **ret)
{
    void *reply = NULL;
    if (redisGetReplyFromReader(c->ctx, &reply) != REDIS_OK)
        return c->items > REDIS_ITEMS_MOST ? -EMSGSIZE : -EIO;
    *ret = reply;
    if (!reply)
        return 0;
    /* Nothing comes that wasn't asked for: the next command would take it for its own answer. */
    return c->ctx->reader->pos == c->ctx->reader->len ? 1 : -EIO;
}

/* The deadline is that of the whole answer, however slowly its bytes come. */
static int receive_reply(struct redis_conn *c, int64_t deadline_ms, redisReply **ret)
{
    size_t received = 0;
    c->items = 0;
    for (;;) {
        int r = read_reply(c, ret);
        if (r != 0)
            return r < 0 ? r : 0;
        if (received > REDIS_REPLY_MOST)
            return -EMSGSIZE;
        r = await_socket(c->fd, POLLIN, deadline_ms);
        if (r < 0)
            return r;
        size_t had = c->ctx->reader->len;
        if (redisBufferRead(c->ctx) != REDIS_OK)
            return -EIO;
        received += c->ctx->reader->len - had;
    }
}

static int call_until(struct redis_conn *c, int64_t deadline_ms, const struct redis_args *args,
                      redisReply **ret)
{
    if (!c->ctx)
        return -EIO;
    if (args->failed)
        return -E2BIG;
    _cleanup_reply_ redisReply *reply = NULL;
    int r = send_command(c, args, deadline_ms);
    if (r == 0)
        r = receive_reply(c, deadline_ms, &reply);
    if (r < 0) {
        lose(c);
        return r == -ETIMEDOUT || r == -EMSGSIZE ? r : -EIO;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        r = refused(reply->str);
        /* A replica that was the master: the name may lead elsewhere by now. */
        if (str_has_prefix(inner_refusal(reply->str), "READONLY"))
            lose(c);
        return r;
    }
    if (ret)
        *ret = TAKE_PTR(reply);
    return 0;
}

int redis_conn_call(struct redis_conn *c, int limit_ms, const struct redis_args *args, redisReply **ret)
{
    return call_until(c, clock_monotonic_ms() + limit_ms, args, ret);
}

bool redis_conn_lost(const struct redis_conn *c)
{
    return !c->ctx;
}

void redis_disconnect(struct redis_conn *c)
{
    if (c->ctx)
        lose(c);
    free(c);
}

/* --- connecting ---------------------------------------------------------------------------------------- */

static int wait_connected(int fd, int64_t deadline_ms)
{
    int error = 0;
    socklen_t len = sizeof error;
    int r = await_socket(fd, POLLOUT, deadline_ms);
    if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return r < 0 ? r : -error;
}

static int connect_to(const struct addrinfo *to, int64_t deadline_ms)
{
    _cleanup_close_ int fd =
        socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (fd < 0)
        return -errno;
    int r = connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? -errno : 0;
    if (r == -EINPROGRESS)
        r = wait_connected(fd, deadline_ms);
    return r < 0 ? r : TAKE_FD(fd);
}

/* A connected socket, or negative errno. The names are asked of the system's resolver, which has limits of
 * its own. */
static int connect_socket(const struct redis_address *address, int64_t deadline_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(address->host, address->port, &hints, &list) != 0)
        return -EHOSTUNREACH;
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *to = list; to && fd < 0; to = to->ai_next)
        fd = connect_to(to, deadline_ms);
    freeaddrinfo(list);
    return fd;
}

static int introduce(struct redis_conn *c, const struct redis_address *address, int64_t deadline_ms)
{
    int r = 0;
    if (address->password) {
        struct redis_args auth = {0};
        redis_arg(&auth, "AUTH");
        if (address->user)
            redis_arg(&auth, address->user);
        redis_arg(&auth, address->password);
        r = call_until(c, deadline_ms, &auth, NULL);
    }
    struct redis_args select = {0};
    redis_arg(&select, "SELECT");
    redis_arg_int(&select, address->db);
    return r < 0 ? r : call_until(c, deadline_ms, &select, NULL);
}

/* hiredis asks for the room of an array as soon as it has read how many items it is to have. */
#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

static void *make_array(const redisReadTask *task, array_size n)
{
    struct redis_conn *c = task->privdata;
    c->items += (size_t)n;
    return c->items <= REDIS_ITEMS_MOST ? c->createArray(task, n) : NULL;
}

int redis_adopt(int fd, struct redis_conn **ret)
{
    int flags = fcntl(fd, F_GETFL);
    bool set = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
    struct redis_conn *c = set ? calloc(1, sizeof *c) : NULL;
    redisContext *ctx = c ? redisConnectFd(fd) : NULL;
    if (!ctx) {
        (void)close(fd);
        free(c);
        return -ENOMEM;
    }
    ctx->flags &= ~REDIS_BLOCK; /* it waits for the socket nowhere: we do */
    *c = (struct redis_conn){.ctx = ctx, .fd = fd, .fn = *ctx->reader->fn};
    c->createArray = c->fn.createArray;
    c->fn.createArray = make_array;
    ctx->reader->fn = &c->fn;
    ctx->reader->privdata = c;
    *ret = c;
    return 0;
}

static int make_conn(const struct redis_address *address, int64_t deadline_ms, struct redis_conn **ret)
{
    struct redis_conn *c = NULL;
    int fd = connect_socket(address, deadline_ms);
    if (fd < 0)
        return -ECONNREFUSED;
    int r = redis_adopt(fd, &c);
    if (r < 0)
        return r;
    r = redisEnableKeepAlive(c->ctx) == REDIS_OK ? introduce(c, address, deadline_ms) : -EIO;
    if (r < 0) {
        redis_disconnect(c);
        return r == -EIO || r == -ETIMEDOUT || r == -EMSGSIZE ? -ECONNREFUSED : r;
    }
    *ret = c;
    return 0;
}

/* Writes down how an attempt ended, and says aloud what has changed. */
static void note(struct redis *r, int result)
{
    bool failed = result < 0;
    pthread_mutex_lock(&r->lock);
    bool went_down = failed && !r->down, came_back = result == 0 && r->down;
    bool say_refused = result == -EACCES && !r->refused;
    r->down = failed;
    r->refused = result == -EACCES;
    if (failed) {
        r->pause_ms = r->pause_ms ? r->pause_ms * 2 : PAUSE_FIRST_MS;
        if (r->pause_ms > PAUSE_MOST_MS)
            r->pause_ms = PAUSE_MOST_MS;
        r->retry_ms = clock_monotonic_ms() + r->pause_ms;
    } else {
        r->pause_ms = 0;
    }
    pthread_mutex_unlock(&r->lock);
    if (say_refused)
        log_event(LOG_ERROR, "redis doesn't let us in: user or password is wrong, or lacks rights");
    else if (went_down)
        log_event(LOG_WARN, "redis can't be reached");
    if (came_back)
        log_event(LOG_INFO, "redis can be reached again");
}

static int connect_until(struct redis *r, int64_t deadline_ms, struct redis_conn **ret)
{
    pthread_mutex_lock(&r->lock);
    bool pausing = r->down && clock_monotonic_ms() < r->retry_ms;
    if (r->down && !pausing)
        r->retry_ms = clock_monotonic_ms() + REDIS_CONNECT_MS; /* one caller at a time tries */
    pthread_mutex_unlock(&r->lock);
    if (pausing)
        return -ECONNREFUSED;
    int64_t most_ms = clock_monotonic_ms() + REDIS_CONNECT_MS;
    int result = make_conn(&r->address, deadline_ms < most_ms ? deadline_ms : most_ms, ret);
    note(r, result == -ENOMEM ? -ECONNREFUSED : result);
    return result;
}

int redis_connect(struct redis *r, struct redis_conn **ret)
{
    return connect_until(r, INT64_MAX, ret);
}

bool redis_is_up(struct redis *r)
{
    pthread_mutex_lock(&r->lock);
    bool up = !r->down;
    pthread_mutex_unlock(&r->lock);
    return up;
}

/* --- lending ------------------------------------------------------------------------------------------- */

/* Redis says nothing unasked: one that can be read from was closed. */
static bool still_open(const struct redis_conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

static struct redis_conn *take_idle(struct redis *r)
{
    pthread_mutex_lock(&r->lock);
    struct redis_conn *c = r->n_idle > 0 ? r->idle[--r->n_idle] : NULL;
    pthread_mutex_unlock(&r->lock);
    return c;
}

static int borrow(struct redis *r, int64_t deadline_ms, struct redis_conn **ret)
{
    struct redis_conn *c;
    while ((c = take_idle(r))) {
        if (still_open(c)) {
            *ret = c;
            return 0;
        }
        redis_disconnect(c);
    }
    return connect_until(r, deadline_ms, ret);
}

static void give_back(struct redis *r, struct redis_conn *c)
{
    if (!redis_conn_lost(c)) {
        pthread_mutex_lock(&r->lock);
        if (r->n_idle < IDLE_MOST) {
            r->idle[r->n_idle++] = c;
            c = NULL;
        }
        pthread_mutex_unlock(&r->lock);
    }
    if (c)
        redis_disconnect(c);
}

int redis_call(struct redis *r, int limit_ms, const struct redis_args *args, redisReply **ret)
{
    struct redis_conn *c;
    int64_t deadline_ms = clock_monotonic_ms() + limit_ms;
    int result = borrow(r, deadline_ms, &c);
    if (result < 0)
        return result;
    result = call_until(c, deadline_ms, args, ret);
    give_back(r, c);
    /* One that was lent before an outage of others' may be the first to know that it is over. */
    if (result == 0 && !redis_is_up(r))
        note(r, 0);
    if (result == -EIO || result == -ETIMEDOUT) {
        note(r, result);
        drop_idle(r); /* they lead to the same that failed */
    }
    return result;
}
