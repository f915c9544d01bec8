/* SPDX-License-Identifier: MIT */
/* A progress bar on standard error, for work that takes long; nothing where that is no terminal. One thread.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    int64_t total, done;
    int shown; /* permille on the screen; -1 = nothing yet */
    bool terminal;
};

/* label must outlive the bar; total 0 = not known yet. */
void progress_begin(struct progress *p, int64_t total, const char *label);

/* Moves it to `done`; total may have changed. Draws only what looks different. */
void progress_step(struct progress *p, int64_t done, int64_t total);

/* Removes it, so that the next line begins at the margin. */
void progress_end(struct progress *p);

#endif
