/* SPDX-License-Identifier: MIT */
/* A directory is locked by who made it, which the kernel undoes when he dies: so the sweep knows whose are
 * left over, also where several processes share the place. It may come between making and locking; then the
 * new directory is gone, and another is made. */
#include "media/operation.h"

#include "base/cleanup.h"
#include "base/keep.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define PREFIX "media-"
#define TRIES 8

static int tmp_root(const struct config *cfg, char *to, size_t size)
{
    int n = cfg->media_tmp_dir ? snprintf(to, size, "%s", cfg->media_tmp_dir)
                               : snprintf(to, size, "%s/tmp", cfg->data_dir);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Absolute, since programs have another working directory. */
static int make_root(const struct config *cfg, char *to)
{
    char path[PATH_MAX];
    int r = tmp_root(cfg, path, sizeof path);
    if (r < 0)
        return r;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    return realpath(path, to) ? 0 : -errno;
}

/* A descriptor that holds the lock; -EWOULDBLOCK: another has it. */
static int lock_directory(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static bool is_still_there(const char *path, int fd)
{
    struct stat there, ours;
    return lstat(path, &there) == 0 && fstat(fd, &ours) == 0 && there.st_ino == ours.st_ino &&
           there.st_dev == ours.st_dev;
}

int media_tmp_make(const struct config *cfg, struct media_tmp *ret)
{
    char root[PATH_MAX];
    int r = make_root(cfg, root);
    for (int i = 0; i < TRIES && r == 0; i++) {
        if (snprintf(ret->path, sizeof ret->path, "%s/" PREFIX "XXXXXX", root) >= (int)sizeof ret->path)
            return -ENAMETOOLONG;
        if (!mkdtemp(ret->path))
            return -errno;
        ret->lock = lock_directory(ret->path);
        if (ret->lock >= 0 && is_still_there(ret->path, ret->lock))
            return 0;
        closeP(&ret->lock);
    }
    return r < 0 ? r : -EBUSY;
}

void media_tmp_remove(struct media_tmp *tmp)
{
    keep_remove_tree(tmp->path);
    closeP(&tmp->lock);
    tmp->lock = -1;
}

int media_tmp_sweep(const struct config *cfg)
{
    char root[PATH_MAX], path[PATH_MAX];
    int removed = 0, r = tmp_root(cfg, root, sizeof root);
    DIR *dir = r == 0 ? opendir(root) : NULL;
    const struct dirent *entry;
    if (!dir)
        return r < 0 ? r : errno == ENOENT ? 0 : -errno;
    while ((entry = readdir(dir))) {
        if (!str_has_prefix(entry->d_name, PREFIX) ||
            snprintf(path, sizeof path, "%s/%s", root, entry->d_name) >= (int)sizeof path)
            continue;
        _cleanup_close_ int lock = lock_directory(path);
        if (lock < 0)
            continue;
        keep_remove_tree(path);
        removed++;
    }
    (void)closedir(dir);
    return removed;
}
