/* SPDX-License-Identifier: MIT */
/* Who uses a data directory. Every process that works in one (a server, a worker, the commands) holds its
 * lock shared; who puts another directory in its place holds it alone. The lock is on the file `.lock` in it,
 * and goes with the process, however that ends. */
#ifndef BASE_DATA_LOCK_H
#define BASE_DATA_LOCK_H

#include <stdbool.h>

#define DATA_LOCK_FILE ".lock"

/* Takes the lock without waiting. *ret_fd: keep it open for as long; closing lets go. 0; -EWOULDBLOCK another
 * process stands in the way; or negative errno (-ENOENT: there is no such directory). */
int data_lock(const char *dir, bool alone, int *ret_fd);

#endif
