/* SPDX-License-Identifier: MIT */
/* A bar on the terminal for work that takes long. On anything else than a terminal nothing is written, so
 * logs and pipes stay clean. Drawn on standard error, at most ten times a second, and gone at the end. Not
 * thread-safe. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* a word or two before the bar */
    bool shown;       /* standard error is a terminal */
    bool drawn;
    int64_t drawn_ms;
};

void progress_begin(struct progress *p, const char *what);

/* How far it is: done of total, in any unit; total 0 is nothing yet. The first argument is the struct
 * progress, so that the function fits as a callback. */
void progress_show(void *p, int64_t done, int64_t total);

/* Wipes the bar off. May be called more than once. */
void progress_end(struct progress *p);

/* A number of bytes for people: "17 B", "3.4 GiB". ret holds 32. */
void progress_bytes(int64_t bytes, char *ret);

#endif
