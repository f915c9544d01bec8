/* SPDX-License-Identifier: MIT */
#include "ops/removals.h"

#include "base/text.h"
#include "ops/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FOLDER "removals"
#define PATH_SIZE 4096

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

static int sync_folder(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
}

int removal_begin(const char *data_dir, const char *names, size_t len, struct removal *ret)
{
    char folder[PATH_SIZE - 64], id[UUID_SIZE];
    uuid_make(id);
    ret->fd = -1;
    if (snprintf(folder, sizeof folder, "%s/" FOLDER, data_dir) >= (int)sizeof folder)
        return -ENAMETOOLONG;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    (void)snprintf(ret->path, sizeof ret->path, "%s/%s", folder, id);
    _cleanup_close_ int fd = open(ret->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : write_all(fd, names, len);
    if (r == 0)
        r = sync_folder(folder);
    if (r < 0) {
        (void)unlink(ret->path);
        return r;
    }
    ret->fd = TAKE_FD(fd);
    return 0;
}

void removal_end(struct removal *r)
{
    closeP(&r->fd);
    r->fd = -1;
}

/* ---- finishing */

static int is_named(struct db_conn *c, void *arg)
{
    int64_t one;
    return db_query_int(c, "SELECT 1 FROM directus_files WHERE filename_disk = ?1 LIMIT 1",
                        DB_ARGS(DB_TEXT(arg)), &one);
}

static int remove_one(struct db *db, const char *data_dir, char *disk, size_t *removed)
{
    char name[PATH_SIZE], path[PATH_SIZE * 2];
    (void)snprintf(name, sizeof name, MEMBER_FILES "%s", disk);
    if (!member_name_valid(name))
        return 0;
    int r = db_read(db, is_named, disk);
    if (r != 0)
        return r < 0 ? r : 0;
    (void)snprintf(path, sizeof path, "%s/%s", data_dir, name);
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : -errno;
    ++*removed;
    return 0;
}

static int finish_list(struct db *db, const char *data_dir, const char *path, size_t *removed)
{
    char *line = NULL;
    size_t size = 0;
    int r = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    _cleanup_(fcloseP) FILE *list = fdopen(fd, "r");
    if (!list) {
        (void)close(fd);
        return -ENOMEM;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) /* its rows may still stay */
        return 0;
    while (r == 0 && getline(&line, &size, list) > 0) {
        line[strcspn(line, "\n")] = '\0';
        r = remove_one(db, data_dir, line, removed);
    }
    free(line);
    if (r == 0 && unlink(path) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int removals_finish(struct db *db, const char *data_dir, size_t *ret_removed)
{
    char folder[PATH_SIZE], path[PATH_SIZE + 256];
    size_t removed = 0;
    int r = 0;
    const struct dirent *entry;
    (void)snprintf(folder, sizeof folder, "%s/" FOLDER, data_dir);
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int one = uuid_valid(entry->d_name) ? finish_list(db, data_dir, path, &removed) : 0;
        r = r < 0 ? r : one;
    }
    if (dir)
        (void)closedir(dir);
    if (ret_removed)
        *ret_removed = removed;
    return r;
}
