/* SPDX-License-Identifier: MIT */
/* A file whose last change is younger than SETTLED_MS is waited for: the clock of a file system ticks in
 * milliseconds, so two changes within one tick look like one. */
#include "import/snapshot.h"

#include "base/clock.h"
#include "base/keep.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define TAKE_MS 5000
#define SETTLED_MS 50
#define PAUSE_US 20000
#define COPY_BYTES (1024 * 1024)
#define DIR_PREFIX "import-"

/* Where SQLite puts its locks in a file. */
#define LOCK_BEGIN 0x40000000
#define LOCK_BYTES 512

/* The file, and what may stand beside it. */
static const char *const companions[] = {"", "-wal", "-journal"};
#define FILES ARRAY_LEN(companions)

struct mark {
    bool there;
    off_t size;
    ino_t inode;
    struct timespec changed;
};

struct snapshot {
    char *original, *dir, *path;
    int lock; /* on the directory, so that it counts as in use */
    struct mark marks[FILES];
};

static char *path_of(const char *stem, size_t i)
{
    char *path = NULL;
    return asprintf(&path, "%s%s", stem, companions[i]) < 0 ? NULL : path;
}

static int look(const char *original, struct mark marks[FILES])
{
    for (size_t i = 0; i < FILES; i++) {
        _cleanup_free_ char *path = path_of(original, i);
        struct stat st;
        marks[i] = (struct mark){0};
        if (!path)
            return -ENOMEM;
        if (stat(path, &st) < 0) {
            if (errno != ENOENT || i == 0)
                return -errno;
            continue;
        }
        if (!S_ISREG(st.st_mode))
            return -EINVAL;
        marks[i] = (struct mark){true, st.st_size, st.st_ino, st.st_mtim};
    }
    return 0;
}

static bool same(const struct mark a[FILES], const struct mark b[FILES])
{
    for (size_t i = 0; i < FILES; i++)
        if (a[i].there != b[i].there || a[i].size != b[i].size || a[i].inode != b[i].inode ||
            a[i].changed.tv_sec != b[i].changed.tv_sec || a[i].changed.tv_nsec != b[i].changed.tv_nsec)
            return false;
    return true;
}

static bool settled(const struct mark marks[FILES])
{
    int64_t now = clock_now_ms();
    for (size_t i = 0; i < FILES; i++) {
        int64_t changed = (int64_t)marks[i].changed.tv_sec * 1000 + marks[i].changed.tv_nsec / 1000000;
        if (marks[i].there && changed <= now && now - changed < SETTLED_MS)
            return false;
    }
    return true;
}

static int copy_bytes(int from, int to, char *buffer)
{
    for (;;) {
        ssize_t n = read(from, buffer, COPY_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = keep_write(to, buffer, (size_t)n);
        if (r < 0)
            return r;
    }
}

static int copy_file(const char *from, const char *to)
{
    _cleanup_free_ char *buffer = malloc(COPY_BYTES);
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!buffer || in < 0)
        return buffer ? -errno : -ENOMEM;
    _cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    return out < 0 ? -errno : copy_bytes(in, out, buffer);
}

static int copy_all(const struct snapshot *s)
{
    for (size_t i = 0; i < FILES; i++) {
        _cleanup_free_ char *from = path_of(s->original, i), *to = path_of(s->path, i);
        if (!from || !to)
            return -ENOMEM;
        if (!s->marks[i].there) {
            (void)unlink(to); /* of an earlier try */
            continue;
        }
        int r = copy_file(from, to);
        if (r < 0)
            return r == -ENOENT ? -EAGAIN : r; /* a companion went away */
    }
    return 0;
}

/* One try: 0, -EAGAIN when the files changed under it. */
static int copy_once(struct snapshot *s)
{
    struct mark after[FILES];
    int r = look(s->original, s->marks);
    if (r < 0)
        return r;
    if (!settled(s->marks))
        return -EAGAIN;
    r = copy_all(s);
    if (r == 0)
        r = look(s->original, after);
    return r == 0 && !same(s->marks, after) ? -EAGAIN : r;
}

static int copy_patiently(struct snapshot *s)
{
    int64_t until = clock_monotonic_ms() + TAKE_MS;
    int r;
    while ((r = copy_once(s)) == -EAGAIN && clock_monotonic_ms() < until)
        (void)usleep(PAUSE_US);
    return r == -EAGAIN ? -EBUSY : r;
}

/* --- the directory ---------------------------------------------------------------------------------- */

/* Only files lie in it, and only these. */
static void remove_dir(const char *dir)
{
    static const char *const names[] = {"copy.db", "fresh.db"};
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LEN(names) * ARRAY_LEN(ends); i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s%s", dir, names[i / ARRAY_LEN(ends)], ends[i % ARRAY_LEN(ends)]) < 0)
            continue;
        (void)unlink(path);
        free(path);
    }
    (void)rmdir(dir);
}

/* A descriptor with the lock, or negative errno. */
static int lock_dir(const char *dir, int how)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, how) == 0)
        return fd;
    int r = -errno;
    if (fd >= 0)
        close(fd);
    return r;
}

/* Removes what a process that was killed has left; one that lives holds the lock of its own. */
static void sweep(const char *parent)
{
    DIR *d = opendir(parent);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        _cleanup_free_ char *path = NULL;
        if (!str_has_prefix(entry->d_name, DIR_PREFIX))
            continue;
        if (asprintf(&path, "%s/%s", parent, entry->d_name) < 0) {
            path = NULL;
            continue;
        }
        _cleanup_close_ int unused = lock_dir(path, LOCK_EX | LOCK_NB);
        if (unused >= 0)
            remove_dir(path);
    }
    if (d)
        closedir(d);
}

/* The parent is locked until the new directory is. */
static int make_dir(struct snapshot *s, const char *parent)
{
    _cleanup_close_ int turn = lock_dir(parent, LOCK_EX);
    if (turn < 0)
        return turn;
    sweep(parent);
    char *made = NULL;
    if (asprintf(&made, "%s/" DIR_PREFIX "XXXXXX", parent) < 0)
        return -ENOMEM;
    if (!mkdtemp(made)) {
        int r = -errno;
        free(made);
        return r;
    }
    s->dir = made;
    s->lock = lock_dir(made, LOCK_EX | LOCK_NB);
    return s->lock < 0 ? s->lock : 0;
}

int snapshot_take(const char *path, const char *dir, struct snapshot **ret)
{
    _cleanup_(snapshot_freeP) struct snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->lock = -1;
    s->original = strdup(path);
    int r = s->original ? make_dir(s, dir) : -ENOMEM;
    if (r == 0 && asprintf(&s->path, "%s/copy.db", s->dir) < 0) {
        s->path = NULL;
        r = -ENOMEM;
    }
    if (r == 0)
        r = copy_patiently(s);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

void snapshot_hide(struct snapshot *s)
{
    if (s->dir)
        remove_dir(s->dir);
}

void snapshot_free(struct snapshot *s)
{
    snapshot_hide(s);
    if (s->lock >= 0)
        close(s->lock);
    free(s->original);
    free(s->dir);
    free(s->path);
    free(s);
}

const char *snapshot_path(const struct snapshot *s)
{
    return s->path;
}

const char *snapshot_dir(const struct snapshot *s)
{
    return s->dir;
}

bool snapshot_current(const struct snapshot *s)
{
    struct mark now[FILES];
    return look(s->original, now) == 0 && same(s->marks, now);
}

pid_t snapshot_holder(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BEGIN, .l_len = LOCK_BYTES};
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return errno == EPERM ? -EACCES : -errno;
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}
