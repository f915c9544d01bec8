/* SPDX-License-Identifier: MIT */
/* What the two tools share. They use nothing of the server's own code: a fault there must not hide in the
 * measure. */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stdbool.h>
#include <stdint.h>

/* Prints a line to standard error and exits with 1. */
void tool_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Microseconds of CLOCK_MONOTONIC, the same in all processes of a machine. */
int64_t tool_now_us(void);

/* Makes the process die with its parent, at the latest after so many seconds, and raises its limit of open
 * files as far as it may; timers become as exact as the kernel can. */
void tool_prepare(unsigned seconds_most);

/* A whole number from min to max of an option, or the end of the program. */
int64_t tool_number(const char *name, const char *text, int64_t min, int64_t max);

/* Waits like epoll_wait, with microseconds; negative = no limit, and never long past it. */
struct epoll_event;
int tool_wait(int epoll, struct epoll_event *events, int most, int64_t wait_us);

#endif
