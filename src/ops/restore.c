/* SPDX-License-Identifier: MIT */
/* The new directory is `<target>.restoring-XXXXXX`. While it is unfinished it holds a marker, locked by who
 * builds it: what a kill left behind is told by a marker that nobody holds, and removed by the next restore.
 * A directory of that name without a marker is whole, and never removed: it is the old target, caught between
 * two renames. */
#include "ops/restore.h"

#include "base/clock.h"
#include "base/data_lock.h"
#include "base/keep.h"
#include "base/text.h"
#include "db/snapshot.h"
#include "ops/error.h"
#include "ops/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PATH_SIZE 4096
#define MARKER ".unfinished"
#define INFIX ".restoring-"

struct run {
    const struct restore_options *options;
    struct restore_summary *summary;
    struct ops_error *error;
    char target[PATH_SIZE], parent[PATH_SIZE], fresh[PATH_SIZE]; /* absolute; fresh: "" when there is none */
    bool exists, empty;                                          /* the target */
    int lock, marker, dir;
    unsigned uid, gid; /* whose the new files are */
    struct manifest manifest;
};

/* ---- the target */

/* Without links, so that the directory itself is replaced and not a link to it. */
static int find_target(struct run *run)
{
    char given[PATH_SIZE], real[PATH_MAX];
    (void)snprintf(given, sizeof given, "%s", run->options->data_dir);
    for (size_t len = strlen(given); len > 1 && given[len - 1] == '/';)
        given[--len] = '\0';
    run->exists = realpath(given, real) != NULL;
    if (!run->exists && errno != ENOENT)
        return ops_fail_errno(run->error, -errno, given);
    if (run->exists) {
        (void)snprintf(run->target, sizeof run->target, "%s", real);
        char *last = strrchr(real, '/');
        (void)snprintf(run->parent, sizeof run->parent, "%.*s", last == real ? 1 : (int)(last - real), real);
        return 0;
    }
    char *slash = strrchr(given, '/');
    const char *name = slash ? slash + 1 : given;
    if (slash)
        *slash = '\0';
    if (!realpath(!slash ? "." : given[0] ? given : "/", real))
        return ops_fail_errno(run->error, -errno, slash ? given : ".");
    (void)snprintf(run->parent, sizeof run->parent, "%s", real);
    int n = snprintf(run->target, sizeof run->target, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name);
    return n < (int)sizeof run->target - 64 ? 0 : ops_fail_errno(run->error, -ENAMETOOLONG, given);
}

/* Whether there is nothing in a directory but its lock. */
static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool empty = dir != NULL;
    while (dir && empty && (entry = readdir(dir)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, DATA_LOCK_FILE) == 0;
    if (dir)
        (void)closedir(dir);
    return empty;
}

static bool is_mount_point(const struct run *run)
{
    struct stat inside, above;
    return stat(run->target, &inside) == 0 && stat(run->parent, &above) == 0 &&
           (inside.st_dev != above.st_dev || inside.st_ino == above.st_ino);
}

static int take_target(struct run *run)
{
    struct stat st;
    int r = find_target(run);
    run->uid = geteuid();
    run->gid = getegid();
    if (r < 0 || !run->exists)
        return r;
    if (stat(run->target, &st) < 0 || !S_ISDIR(st.st_mode))
        return ops_fail(run->error, -ENOTDIR, "%s is no directory", run->target);
    run->uid = st.st_uid;
    run->gid = st.st_gid;
    run->empty = is_empty(run->target);
    if (!run->empty && !run->options->force)
        return ops_fail(run->error, -EEXIST,
                        "%s isn't empty; --force replaces it, and keeps what was there beside it",
                        run->target);
    if (is_mount_point(run))
        return ops_fail(
            run->error, -EXDEV,
            "%s is a mount point, which can't be replaced: restore into a directory in it, and let "
            "GENIE_DATA_DIR name that",
            run->target);
    r = data_lock(run->target, true, &run->lock);
    if (r == -EWOULDBLOCK)
        return ops_fail(run->error, -EBUSY, "a server or another command uses %s; stop it first",
                        run->target);
    return r < 0 ? ops_fail_errno(run->error, r, run->target) : 0;
}

/* ---- directories of ours beside it */

/* Removes what a killed restore began: its marker is there, and nobody holds it. */
static void remove_unfinished(const struct run *run, const char *name)
{
    char path[PATH_SIZE + 256], marker[PATH_SIZE + 272];
    (void)snprintf(path, sizeof path, "%s/%s", run->parent, name);
    (void)snprintf(marker, sizeof marker, "%s/" MARKER, path);
    _cleanup_close_ int fd = open(marker, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        keep_remove_tree(path);
}

static void remove_leftovers(const struct run *run)
{
    char prefix[PATH_SIZE];
    const struct dirent *entry;
    DIR *dir = opendir(run->parent);
    (void)snprintf(prefix, sizeof prefix, "%s" INFIX, strrchr(run->target, '/') + 1);
    while (dir && (entry = readdir(dir)))
        if (str_has_prefix(entry->d_name, prefix))
            remove_unfinished(run, entry->d_name);
    if (dir)
        (void)closedir(dir);
}

static int make_fresh(struct run *run)
{
    if (snprintf(run->fresh, sizeof run->fresh, "%s" INFIX "XXXXXX", run->target) >= (int)sizeof run->fresh)
        return ops_fail_errno(run->error, -ENAMETOOLONG, run->target);
    if (!mkdtemp(run->fresh)) {
        int r = -errno;
        run->fresh[0] = '\0';
        return ops_fail_errno(run->error, r, run->parent);
    }
    run->dir = open(run->fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->dir >= 0)
        run->marker = openat(run->dir, MARKER, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (run->marker < 0 || flock(run->marker, LOCK_EX | LOCK_NB) < 0 ||
        (geteuid() == 0 && fchown(run->dir, run->uid, run->gid) < 0))
        return ops_fail_errno(run->error, -errno, run->fresh);
    return 0;
}

/* ---- reading */

static int open_archive(struct run *run, struct unpack *u)
{
    struct stat st;
    struct statvfs fs;
    const struct restore_options *o = run->options;
    u->fd = open(o->path, O_RDONLY | O_CLOEXEC);
    if (u->fd < 0 || fstat(u->fd, &st) < 0)
        return ops_fail_errno(run->error, -errno, o->path);
    if (!S_ISREG(st.st_mode))
        return ops_fail(run->error, -EINVAL, "%s is no file", o->path);
    if (statvfs(run->parent, &fs) < 0)
        return ops_fail_errno(run->error, -errno, run->parent);
    int64_t free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    u->max_bytes = o->max_size && o->max_size < free_bytes ? o->max_size : free_bytes;
    u->size = st.st_size;
    return 0;
}

static int check_version(struct run *run, int64_t schema)
{
    if (schema <= db_schema_newest())
        return 0;
    return ops_fail(
        run->error, -ENOTSUP,
        "the backup was made by a newer version of this program (schema %lld, this one knows %lld); "
        "please update the program",
        (long long)schema, (long long)db_schema_newest());
}

static int check_database(struct run *run)
{
    char path[PATH_SIZE + 16];
    struct db_why why = {0};
    int64_t schema = 0;
    if (!run->manifest.schema)
        return 0;
    (void)snprintf(path, sizeof path, "%s/" MEMBER_DATABASE, run->fresh);
    int r = db_snapshot_check(path, &schema, &why);
    if (r < 0)
        return ops_fail(run->error, r, "the database in the backup is damaged: %s", why.text);
    if (schema != run->manifest.schema)
        return ops_fail(run->error, -EBADMSG,
                        "the database in the backup isn't the one its manifest speaks of");
    return check_version(run, schema);
}

static int unpack(struct run *run, struct unpack *u)
{
    int r = open_archive(run, u);
    if (r == 0)
        r = unpack_verify(u, &run->manifest);
    if (r == 0)
        r = check_version(run, run->manifest.schema);
    if (r < 0)
        return r;
    remove_leftovers(run);
    r = make_fresh(run);
    if (r == 0)
        r = unpack_into(u, &run->manifest, run->dir, run->uid, run->gid);
    return r == 0 ? check_database(run) : r;
}

/* ---- putting in place */

static void name_kept(struct run *run)
{
    char now[ISO_TIME_LEN], stamp[ISO_TIME_LEN];
    size_t n = 0;
    clock_format_iso(clock_now_ms(), now);
    for (const char *s = now; *s; s++)
        if (*s != '-' && *s != ':' && *s != '.')
            stamp[n++] = *s;
    stamp[n] = '\0';
    (void)snprintf(run->summary->kept, sizeof run->summary->kept, "%s.before-%s", run->target, stamp);
}

/* Where the file system can't exchange two names, there is a moment without a target. */
static int replace_in_two_steps(struct run *run)
{
    if (rename(run->target, run->summary->kept) < 0)
        return -errno;
    if (rename(run->fresh, run->target) == 0)
        return 0;
    int r = -errno;
    (void)rename(run->summary->kept, run->target);
    return r;
}

/* Where the file system knows no such flag, a rename still replaces nothing but an empty directory. */
static int put_new(struct run *run)
{
    if (renameat2(AT_FDCWD, run->fresh, AT_FDCWD, run->target, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    return rename(run->fresh, run->target) < 0 ? -errno : 0;
}

static int replace(struct run *run)
{
    name_kept(run);
    if (renameat2(AT_FDCWD, run->fresh, AT_FDCWD, run->target, RENAME_EXCHANGE) < 0)
        return errno == EINVAL || errno == ENOSYS ? replace_in_two_steps(run) : -errno;
    if (rename(run->fresh, run->summary->kept) < 0) /* whole, under the name it has now */
        (void)snprintf(run->summary->kept, sizeof run->summary->kept, "%s", run->fresh);
    return 0;
}

/* There was nothing but the lock; what somebody put there meanwhile stays, and is named. */
static void drop_empty(struct run *run)
{
    char lock[sizeof run->summary->kept + 16];
    (void)snprintf(lock, sizeof lock, "%s/" DATA_LOCK_FILE, run->summary->kept);
    (void)unlink(lock);
    if (rmdir(run->summary->kept) == 0)
        run->summary->kept[0] = '\0';
}

static int put_in_place(struct run *run)
{
    int r = syncfs(run->dir) < 0 ? -errno : 0;
    if (r == 0 && (unlinkat(run->dir, MARKER, 0) < 0 || fsync(run->dir) < 0))
        r = -errno;
    if (r == 0)
        r = run->exists ? replace(run) : put_new(run);
    if (r < 0)
        return ops_fail_errno(run->error, r, run->target);
    run->fresh[0] = '\0'; /* no longer ours to remove */
    if (run->empty) {
        drop_empty(run);
    }
    r = keep_directory(run->parent);
    return r < 0 ? ops_fail_errno(run->error, r, run->parent) : 0;
}

static void summarize(struct run *run)
{
    struct restore_summary *s = run->summary;
    s->members = run->manifest.n;
    s->bytes = run->manifest.bytes;
    s->schema = run->manifest.schema;
    (void)snprintf(s->created, sizeof s->created, "%s", run->manifest.created);
    (void)snprintf(s->program, sizeof s->program, "%s", run->manifest.program);
}

int restore_run(const struct restore_options *options, struct restore_summary *ret,
                struct ops_error *ret_error)
{
    struct restore_summary summary = {0};
    struct run run = {
        .options = options, .summary = &summary, .error = ret_error, .lock = -1, .marker = -1, .dir = -1};
    struct unpack u = {.fd = -1, .error = ret_error, .progress = options->progress, .ctx = options->ctx};
    ops_use_utf8();
    int r = take_target(&run);
    if (r == 0)
        r = unpack(&run, &u);
    if (r == 0)
        r = put_in_place(&run);
    if (r < 0 && run.fresh[0])
        keep_remove_tree(run.fresh);
    if (r == 0) {
        summarize(&run);
        *ret = summary;
    }
    manifest_free(&run.manifest);
    closeP(&u.fd);
    closeP(&run.dir);
    closeP(&run.marker);
    closeP(&run.lock);
    return r;
}
