/* SPDX-License-Identifier: MIT */
/* Runs a program and waits for its end: by argument vector, never by a shell; with a clean environment, a
 * session and process group of its own, and limits. Nothing is inherited but what is named here: all other
 * descriptors are closed, and signals are as new. Whatever is left of the group when the program has ended,
 * or its time is over, is killed, and so it is when this process dies. */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include "base/cancel.h"

#include <stddef.h>
#include <stdint.h>

enum process_stream { PROCESS_STDOUT, PROCESS_STDERR };

/* A piece of output, as it comes, on the thread that called process_run. It must not wait for long: the
 * program stands still meanwhile. */
typedef void (*process_output_fn)(void *ctx, enum process_stream from, const char *data, size_t len);

struct process_spec {
    const char *const *argv; /* ended by NULL; argv[0] is looked for in PATH unless it has a slash. No
                                secrets: everybody on the machine can read it */
    const char *const *env;  /* "NAME=value", ended by NULL; may be NULL. Beside it: our PATH, LANG=C.UTF-8,
                                and  HOME and TMPDIR, which are `dir` */
    const char *dir;         /* working directory; NULL = / */
    const void *input;       /* what it reads on its standard input; NULL = nothing */
    size_t input_len;
    int64_t limit_ms;         /* from its start to its end; must be given */
    int64_t max_memory;       /* bytes of address space; 0 = as for us */
    int64_t max_file;         /* bytes of a file that it writes; 0 = as for us */
    struct cancel *cancel;    /* ends it; may be NULL */
    process_output_fn output; /* NULL = thrown away */
    void *ctx;
};

enum process_how {
    PROCESS_EXITED,    /* by itself: `code` is its exit status */
    PROCESS_KILLED,    /* by a signal that wasn't ours: `code` is its number */
    PROCESS_TIMED_OUT, /* limit_ms was over */
    PROCESS_CANCELLED,
};

struct process_end {
    enum process_how how;
    int code;
};

/* 0 when it was started, whatever its end; else nothing ran: -ENOENT no such program (or directory), -EACCES,
 * -E2BIG, -ENOMEM or another negative errno. Blocks; any thread, several at a time. */
int process_run(const struct process_spec *spec, struct process_end *ret);

#endif
