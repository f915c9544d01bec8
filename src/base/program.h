/* SPDX-License-Identifier: MIT */
/* Another program, run to its end for what it prints. By argument vector, never by a shell. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/buf.h"

/* Runs argv[0] (looked for in PATH) without input and appends what it prints on standard output; beyond out's
 * maximum it is read and dropped. Its exit status (128 + n where signal n ended it), or -ENOENT there is no
 * such program, -EACCES, -ETIMEDOUT after limit_ms (it and its children are killed), or another negative
 * errno. Blocks; thread-safe. */
int program_output(const char *const *argv, int limit_ms, struct buf *out);

#endif
