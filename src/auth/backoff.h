/* SPDX-License-Identifier: MIT */
/* Back-off after failures: the first few attempts for a key are free, then each further one must wait twice
 * as long as the one before, up to a limit; a quiet quarter of an hour forgets. Bounded memory: the oldest
 * keys make room. It takes the time from its caller. Thread-safe. */
#ifndef AUTH_BACKOFF_H
#define AUTH_BACKOFF_H

#include <stddef.h>
#include <stdint.h>

#define BACKOFF_FORGET_MS (15 * 60 * 1000)

struct backoff;

struct backoff_options {
    size_t max_keys;
    int free_attempts;
    int64_t first_wait_ms, longest_wait_ms;
};

struct backoff *backoff_new(const struct backoff_options *options);
void backoff_free(struct backoff *b);

/* Takes an attempt for a key (at most 256 bytes count), as if it had failed; so attempts made at once count
 * too. 0, or -EAGAIN with the milliseconds to wait: then nothing was taken. Without memory attempts pass. */
int backoff_take(struct backoff *b, const char *key, int64_t now_ms, int64_t *ret_wait_ms);

/* The attempt did not fail: takes one back. */
void backoff_return(struct backoff *b, const char *key);

/* Forgets a key. */
void backoff_clear(struct backoff *b, const char *key);

#endif
