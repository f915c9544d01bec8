/* SPDX-License-Identifier: MIT */
/* Sentences of failure; private to src/ops. */
#ifndef OPS_ERROR_H
#define OPS_ERROR_H

#include "ops/backup.h"

struct archive;

/* Writes the sentence and returns r. */
int ops_fail(struct ops_error *e, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "<what>: <why>" for a system call's errno; a full disk is said plainly. Returns r (a negative errno). */
int ops_fail_errno(struct ops_error *e, int r, const char *what);

/* The same for a library call on an archive. */
int ops_fail_archive(struct ops_error *e, struct archive *a, const char *what);

/* Names of files in UTF-8, whatever the environment says, on the calling thread. */
void ops_use_utf8(void);

#endif
