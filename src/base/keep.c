/* SPDX-License-Identifier: MIT */
#include "base/keep.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_AT_ONCE ((size_t)64 * 1024)

int keep_write(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int copy_to(int from, int to)
{
    _cleanup_free_ char *piece = malloc(COPY_AT_ONCE);
    if (!piece)
        return -ENOMEM;
    for (off_t at = 0;;) {
        ssize_t n = pread(from, piece, COPY_AT_ONCE, at);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = keep_write(to, piece, (size_t)n);
        if (r < 0)
            return r;
        at += n;
    }
}

static int keep_copy(int from, const char *path)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = copy_to(from, fd);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(path);
    return r;
}

static int keep_itself(int fd, const char *path)
{
    char self[32];
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_nlink > 0) /* it has a name already, and who owns that one could go on writing */
        return -EXDEV;
    if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
        return -errno;
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int keep_directory(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int keep_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *directory =
        slash && slash > path ? strndup(path, (size_t)(slash - path)) : strdup(slash ? "/" : ".");
    return directory ? keep_directory(directory) : -ENOMEM;
}

int keep_file(int fd, const char *path)
{
    int r = keep_itself(fd, path);
    if (r < 0 && r != -EEXIST && r != -ENOSPC)
        r = keep_copy(fd, path);
    if (r < 0)
        return r;
    r = keep_directory_of(path);
    if (r < 0)
        (void)unlink(path);
    return r;
}

void keep_remove_tree(const char *path)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *at;
    while (walk && (at = fts_read(walk)))
        if (at->fts_info != FTS_D)
            (void)(at->fts_info == FTS_DP ? rmdir(at->fts_accpath) : unlink(at->fts_accpath));
    if (walk)
        (void)fts_close(walk);
}
