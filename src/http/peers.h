/* SPDX-License-Identifier: MIT */
/* Private to src/http. The open client connections and the thread that minds them:
 *   - a connection must deliver its next whole request within REQUEST_TIMEOUT_S (libmicrohttpd's own
 *     timer is reset by any byte, so a byte a second would hold a connection for ever); a body gets more
 *     time in proportion to what has come;
 *   - a connection whose answer is a stream, or whose request goes on to somebody else while it arrives, is
 *     watched for the client's departure, which libmicrohttpd does not notice while the connection is
 *     suspended. */
#ifndef HTTP_PEERS_H
#define HTTP_PEERS_H

#include <stdbool.h>
#include <stdint.h>

struct peers;
struct peer;
struct sleeper;

int peers_start(int64_t request_timeout_ms, struct peers **ret);
void peers_stop(struct peers *peers);

/* A connection was opened; NULL without memory. It waits for a request from now on. */
struct peer *peer_add(struct peers *peers, int fd);
void peer_remove(struct peer *peer);

/* A request's target as sent. Where it is wanted (keep), a copy stays until the answer is over; nothing
 * without memory. Event thread, as are the two that ask. */
void peer_take_target(struct peer *peer, const char *target, bool keep);

/* The copy; NULL where none is kept. */
const char *peer_target(const struct peer *peer);

/* Whether it holds a %00, at which libmicrohttpd ends what it decodes. */
bool peer_target_is_cut(const struct peer *peer);

/* `received` bytes of a body have arrived; moves the deadline. */
void peer_progress(struct peer *peer, int64_t received);

/* The client is not to blame for what takes time now: its time stands still, and runs on. */
void peer_pause(struct peer *peer);
void peer_go_on(struct peer *peer);

/* The request is whole: no deadline. */
void peer_serving(struct peer *peer);

/* The answer is over: the next request is awaited. */
void peer_waiting(struct peer *peer);

/* Sees to it that the client's leaving is noticed: calls sleeper_gone(sleeper) (NULL: nobody is told), and
 * shows it to libmicrohttpd. Holds a reference until peer_unwatch. One at a time. */
void peer_watch(struct peer *peer, struct sleeper *sleeper);
void peer_unwatch(struct peer *peer);

/* Shuts every connection's socket down and ends its stream (the owner then notices). */
void peers_shutdown_all(struct peers *peers);

/* Open connections. */
int peers_count(struct peers *peers);

#endif
