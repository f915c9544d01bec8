/* SPDX-License-Identifier: MIT */
/* A server on a loopback port for tests: each connection has a thread that runs the test's script in plain
 * blocking calls. Every wait of it ends after ten seconds. */
#ifndef TESTS_TCP_SERVER_H
#define TESTS_TCP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct tcp_server;

/* One connection, in its script. */
struct tcp_peer {
    struct tcp_server *server;
    int fd;
    char head[8192]; /* of the last request, a string */
    char *body;      /* of the last request, a string; owned */
    size_t len;      /* bytes read and not yet used */
    char in[8192];
};

typedef void (*tcp_script)(struct tcp_peer *peer, void *ctx);

struct tcp_server *tcp_server_start(tcp_script script, void *ctx);
void tcp_server_stop(struct tcp_server *s); /* cuts the connections and waits for their scripts */
int tcp_server_port(const struct tcp_server *s);
int tcp_server_connections(struct tcp_server *s); /* accepted so far */

/* Reads one HTTP request with a Content-Length; false when the client left. */
bool peer_read_request(struct tcp_peer *p);
bool peer_path_is(const struct tcp_peer *p, const char *path);

bool peer_send(struct tcp_peer *p, const char *data, size_t len); /* false when the client left */
bool peer_puts(struct tcp_peer *p, const char *text);

/* Sends zeros until the client leaves, or `most` bytes were sent. */
void peer_pour(struct tcp_peer *p, size_t most);

/* Waits until the client has closed the connection; false after ten seconds. */
bool peer_wait_closed(struct tcp_peer *p);

/* Sends without end until the client takes nothing for 400 ms (returns the bytes) or `most` bytes were sent.
 */
size_t peer_flood(struct tcp_peer *p, const char *piece, size_t most);

/* A flag that one thread waits for and another sets. */
struct gate {
    int fds[2];
};
void gate_open(struct gate *g);
void gate_set(struct gate *g);
bool gate_wait(struct gate *g); /* one gate_set each; false after ten seconds */
void gate_close(struct gate *g);

#endif
