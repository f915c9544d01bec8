/* SPDX-License-Identifier: MIT */
/* The HTTP server: libmicrohttpd's epoll threads, our dispatcher, and a worker pool for handlers that
 * wait. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/config.h"
#include "base/pool.h"
#include "http/limits.h"
#include "http/route.h"

struct http_server;

/* How a token becomes an identity; given by the layer that knows users. */
struct http_auth {
    void *ctx;
    /* Looks only at memory, on the event thread: 0 and *ret (a reference), -EAGAIN when the store must be
     * asked, or -EACCES with *ret_error. token may be NULL. */
    int (*lookup)(void *ctx, const char *token, struct identity **ret, enum error_id *ret_error);
    /* May wait for the store, on a worker: 0, or -EACCES with *ret_error (also ERR_STORE_UNAVAILABLE). */
    int (*resolve)(void *ctx, const char *token, const char *client_ip, struct identity **ret,
                   enum error_id *ret_error);
    bool (*is_admin)(const struct identity *who);
    bool (*is_read_only)(const struct identity *who);
    /* Ids for the log; *ret_impersonator may become NULL. */
    void (*describe)(const struct identity *who, const char **ret_user, const char **ret_impersonator);
    void (*unref)(struct identity *who);
};

struct http_options {
    const struct config *config;
    const struct route *const *tables; /* ended by NULL */
    struct http_auth auth;
    struct pool *workers;
    struct app *app;
    struct http_limits limits;  /* may be empty where no row needs it; else the start fails */
    struct pool *model_workers; /* for MODEL rows; NULL where there are none, else the start fails */
};

/* Listens and serves. 0, or negative errno with a log line. What options point to must outlive the server. */
int http_start(const struct http_options *options, struct http_server **ret);

/* The port that is listened on. */
int http_port(const struct http_server *server);

/* Stops accepting, answers what is in work for at most limit_ms, cuts what is still open then (streams among
 * them), and frees. Returns later only for handlers that are still at work on a worker. */
void http_stop(struct http_server *server, int64_t limit_ms);

#endif
