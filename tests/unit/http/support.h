/* SPDX-License-Identifier: MIT */
/* A real server on a free port of the loopback address, and clients that speak over raw sockets. Waits end
 * ten seconds after the last byte, or after a minute, and then fail the test. */
#ifndef TESTS_HTTP_SUPPORT_H
#define TESTS_HTTP_SUPPORT_H

#include "base/buf.h"
#include "base/config.h"
#include "base/json.h"
#include "http/server.h"

#include <stdatomic.h>

#define PATIENCE_MS 10000

struct site {
    struct config config; /* may be changed before site_start */
    int workers, waiting; /* threads of the pool, and works that may wait */
    struct http_auth auth;
    struct http_limits limits; /* none */
    struct pool *pool;
    struct http_server *server;
    int port;
};

/* Sensible settings; auth accepts nobody. */
void site_init(struct site *site);
void site_start(struct site *site, const struct route *const *tables, struct app *app);
void site_stop(struct site *site, int64_t limit_ms);

/* A connection; not shared by threads. */
struct client {
    int fd;
    struct buf in; /* read and not yet used */
};

struct answer {
    int status;
    char *head; /* with the status line, a string */
    char *body; /* without chunks, a string */
    size_t len; /* of the body */
};

void client_open(struct client *c, int port);
void client_close(struct client *c);
void client_send(struct client *c, const char *text);
void client_send_bytes(struct client *c, const void *data, size_t len);

/* The next whole answer; `to_head`: it has no body (HEAD). False when the connection ended before. */
bool client_answer(struct client *c, bool to_head, struct answer *ret);
void answer_free(struct answer *a);
const char *answer_header(const struct answer *a, const char *name, char *ret,
                          size_t size); /* NULL if absent */
json_t *answer_json(const struct answer *a);

/* One request on a connection of its own. */
void ask(int port, const char *request, struct answer *ret);

/* Waits until the other side has closed; what still arrives is kept in `in`. */
void client_await_end(struct client *c);

/* Reads until `in` holds the text; false when the connection ended before. */
bool client_await(struct client *c, const char *text);

/* Waits until *value is what is wanted. */
bool await_count(atomic_int *value, int wanted);
void sleep_ms(int ms);

#endif
