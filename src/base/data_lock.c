/* SPDX-License-Identifier: MIT */
/* The directory may be replaced between opening the file and locking it: then the lock is on a file that
 * nobody looks at any more, and the new directory's is taken instead. */
#include "base/data_lock.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define TRIES 16

static bool is_still_there(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* An operator's root must not leave a file that the server's user can't open. */
static void give_to_owner(int fd, const char *dir)
{
    struct stat st;
    if (geteuid() == 0 && stat(dir, &st) == 0)
        (void)!fchown(fd, st.st_uid, st.st_gid);
}

int data_lock(const char *dir, bool alone, int *ret_fd)
{
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/" DATA_LOCK_FILE, dir) >= (int)sizeof path)
        return -ENAMETOOLONG;
    for (int i = 0; i < TRIES; i++) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -errno;
        give_to_owner(fd, dir);
        if (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
            return -errno;
        if (is_still_there(fd, path)) {
            *ret_fd = TAKE_FD(fd);
            return 0;
        }
    }
    return -EWOULDBLOCK;
}
