/* SPDX-License-Identifier: MIT */
/* A service for flows to call: answers by the test's function, and remembers what it was asked. */
#ifndef TESTS_UNIT_AGENT_FAKE_SERVER_H
#define TESTS_UNIT_AGENT_FAKE_SERVER_H

#include <stdbool.h>

struct fake_server;
struct tcp_peer;

struct fake_request {
    void *ctx; /* the test's */
    const char *path, *body;
    struct tcp_peer *peer;
};

/* Called on a thread of the connection. */
typedef void (*fake_answer)(struct fake_request *rq);

struct fake_server *fake_start(fake_answer answer, void *ctx);
void fake_stop(struct fake_server *f);
int fake_port(const struct fake_server *f);

/* headers: whole lines that end in CR LF. */
void fake_reply(struct fake_request *rq, int status, const char *headers, const char *body);
void fake_json(struct fake_request *rq, int status, const char *body);

/* Says nothing until the client leaves. */
void fake_stall(struct fake_request *rq);

/* "METHOD /path" lines of all requests so far; freed by the caller. */
char *fake_seen(struct fake_server *f);

/* Whether a request so far (its head or body) holds the text. */
bool fake_was_sent(struct fake_server *f, const char *text);

void fake_forget(struct fake_server *f);

#endif
