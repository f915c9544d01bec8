/* SPDX-License-Identifier: MIT */
/* Private to src/onboarding. The directory of a ZIP archive, read before anybody unpacks it: libarchive keeps
 * every entry of a directory in memory, however many there are, and hands out names that are converted and
 * cut at a NUL. What passes here is exactly what libarchive finds, within the limits. Pure but for reading
 * fd. */
#ifndef ONBOARDING_ZIP_DIRECTORY_H
#define ONBOARDING_ZIP_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip_directory {
    int64_t entries;
    int64_t declared; /* bytes when unpacked, as the archive claims */
};

/* Whether a name leads to nowhere but below where it is unpacked: no absolute path, `..`, backslash, drive,
 * NUL or control character. */
bool zip_name_is_safe(const char *name, size_t len);

/* 0; -EBADMSG with a sentence in *ret_why, or the errno of reading. */
int zip_directory_read(int fd, int64_t size, int64_t entries_max, struct zip_directory *ret,
                       const char **ret_why);

#endif
