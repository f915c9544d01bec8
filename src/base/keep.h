/* SPDX-License-Identifier: MIT */
/* Files that last: bytes written whole, and a lasting name given to what has been written under no name, or
 * under a passing one, durably or not at all. */
#ifndef BASE_KEEP_H
#define BASE_KEEP_H

#include <stddef.h>

/* Puts the file that fd has open (readable, a regular file) at `path`, which must not exist: its bytes and
 * the directory's entry are flushed to the disk, and only the owner can read it. Where the file can't be
 * given a second name (it was unlinked, or lies on another file system) it is copied. Blocking. 0, -EEXIST,
 * -ENOSPC or another negative errno; then nothing is there. fd stays the caller's. */
int keep_file(int fd, const char *path);

/* Writes all of it, in as many calls as that takes: 0 or negative errno; then some of it may be written. */
int keep_write(int fd, const char *data, size_t len);

/* Flushes a directory's entries to the disk: 0 or negative errno. */
int keep_directory(const char *path);

/* The same for the directory that holds the path. */
int keep_directory_of(const char *path);

/* Removes a directory with all in it, as far as that can be done; links are removed, not followed. */
void keep_remove_tree(const char *path);

#endif
