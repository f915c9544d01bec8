/* SPDX-License-Identifier: MIT */
/* A progress bar on standard error, where that is a terminal; elsewhere nothing. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>

/* Draws how far `what` is; total 0: only what is done is known. At most ten times a second. */
void progress_show(const char *what, int64_t done, int64_t total);

/* Takes the bar away. */
void progress_end(void);

#endif
