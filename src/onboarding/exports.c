/* SPDX-License-Identifier: MIT */
#include "onboarding/exports.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/keep.h"
#include "base/log.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "onboarding"
#define SUFFIX ".zip"
#define HOST_SIZE 256
#define MARK ".deleted" /* in the directory of a user who is being deleted */

/* ---- places */

/* Makes a directory that survives a power cut, if it isn't there. */
static int make_directory(const char *path, const char *parent)
{
    if (mkdir(path, 0700) == 0)
        return keep_directory(parent);
    return errno == EEXIST ? 0 : -errno;
}

int export_place(const char *data_dir, const char *user_id, struct export_place *ret)
{
    char all[PATH_MAX], own[PATH_MAX], id[UUID_SIZE];
    uuid_make(id);
    (void)snprintf(ret->job_id, sizeof ret->job_id, EXPORT_JOB_PREFIX "%s", id);
    (void)snprintf(ret->file, sizeof ret->file, DIRECTORY "/%s/%s" SUFFIX, user_id, ret->job_id);
    int len = snprintf(ret->path, sizeof ret->path, "%s/%s", data_dir, ret->file);
    if (len >= (int)sizeof ret->path)
        return -ENAMETOOLONG;
    (void)snprintf(all, sizeof all, "%s/" DIRECTORY, data_dir);
    (void)snprintf(own, sizeof own, "%s/" DIRECTORY "/%s", data_dir, user_id);
    int r = make_directory(all, data_dir);
    return r < 0 ? r : make_directory(own, all);
}

/* ---- jobs */

char *export_job_data(const struct export_job *job)
{
    char host[HOST_SIZE] = "";
    const struct export_place *place = job->place;
    (void)gethostname(host, sizeof host - 1);
    _cleanup_json_ json_t *data =
        json_pack("{s:s, s:s, s:n, s:n, s:{s:s, s:s, s:s, s:I, s:I, s:I}, s:n, s:s}", "jobId", place->job_id,
                  "operation", EXPORT_OPERATION, "input_file_id", "input_url", "params", "file_path",
                  place->file, "server", host, "file_name", job->file_name, "bytes", (json_int_t)job->bytes,
                  "entries", (json_int_t)job->entries, "unpacked_bytes", (json_int_t)job->unpacked,
                  "creator_profile_id", "user_id", job->user_id);
    return data ? json_dumps(data, JSON_COMPACT) : NULL;
}

/* That unit changed the persona, so a write to it waits for its end, and is run again behind it. */
int export_is_enqueued(struct db_conn *c, const struct export_job *job)
{
    int64_t one;
    int r = db_exec(c, "UPDATE user_personas SET onboarding_state = onboarding_state WHERE user_id = ?1",
                    DB_ARGS(DB_TEXT(job->user_id)), NULL);
    if (r < 0)
        return r;
    return db_query_int(c, "SELECT 1 FROM queue_jobs WHERE id = ?1", DB_ARGS(DB_TEXT(job->place->job_id)),
                        &one);
}

/* ---- what a crash left */

struct sweep {
    struct db *db;
    int64_t before_ms;
    const char *user_id;
    char job_id[EXPORT_JOB_SIZE];
    size_t removed;
    int error; /* the first */
};

/* Whether the file belongs to an export, and to which: sets job_id. */
static bool is_export(struct sweep *s, const char *name)
{
    size_t prefix = strlen(EXPORT_JOB_PREFIX);
    if (strlen(name) != EXPORT_JOB_SIZE - 1 + strlen(SUFFIX) || !str_has_prefix(name, EXPORT_JOB_PREFIX) ||
        strcmp(name + EXPORT_JOB_SIZE - 1, SUFFIX) != 0)
        return false;
    (void)snprintf(s->job_id, sizeof s->job_id, "%s", name);
    return uuid_valid(s->job_id + prefix);
}

static bool is_old(const struct sweep *s, int directory, const char *name)
{
    struct stat st;
    return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           (int64_t)st.st_mtim.tv_sec * 1000 < s->before_ms;
}

/* 1 where the user is there and nobody needs the file any more. */
static int orphan_unit(struct db_conn *c, void *arg)
{
    const struct sweep *s = arg;
    int64_t one;
    return db_query_int(c,
                        "SELECT 1 FROM directus_users WHERE id = ?1 AND NOT EXISTS"
                        " (SELECT 1 FROM queue_jobs WHERE id = ?2 AND state <> 'completed')",
                        DB_ARGS(DB_TEXT(s->user_id), DB_TEXT(s->job_id)), &one);
}

static int sweep_file(struct sweep *s, int directory, const char *name)
{
    if (!is_export(s, name) || !is_old(s, directory, name))
        return 0;
    int r = db_read(s->db, orphan_unit, s);
    if (r <= 0)
        return r;
    if (unlinkat(directory, name, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    s->removed++;
    return 0;
}

static void closedirP(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}

/* Calls visit for each name in a directory. */
static void each_name(struct sweep *s, int parent, const char *path,
                      int (*visit)(struct sweep *s, int directory, const char *name))
{
    int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(closedirP) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    if (!dir) {
        if (errno != ENOENT && s->error == 0)
            s->error = -errno;
        closeP(&fd);
        return;
    }
    while ((e = readdir(dir))) {
        int r = e->d_name[0] != '.' ? visit(s, fd, e->d_name) : 0;
        if (r < 0 && s->error == 0)
            s->error = r;
    }
}

/* ---- of a user who is deleted */

static int is_known_unit(struct db_conn *c, void *arg)
{
    int64_t one;
    return db_query_int(c, "SELECT 1 FROM directus_users WHERE id = ?1", DB_ARGS(DB_TEXT(arg)), &one);
}

/* 1 where a deletion began here and was done. */
static int was_deleted(const struct sweep *s, int directory)
{
    char mark[UUID_SIZE + sizeof MARK];
    (void)snprintf(mark, sizeof mark, "%.*s/" MARK, UUID_LEN, s->user_id);
    if (faccessat(directory, mark, F_OK, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    int r = db_read(s->db, is_known_unit, (void *)(uintptr_t)s->user_id);
    return r < 0 ? r : r == 0;
}

static int remove_file(struct sweep *s, int directory, const char *name)
{
    if (unlinkat(directory, name, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    s->removed++;
    return 0;
}

/* The mark goes last. */
static int remove_user(struct sweep *s, int directory, const char *name)
{
    char mark[UUID_SIZE + sizeof MARK];
    (void)snprintf(mark, sizeof mark, "%.*s/" MARK, UUID_LEN, name);
    each_name(s, directory, name, remove_file);
    if (s->error < 0)
        return s->error;
    (void)unlinkat(directory, mark, 0);
    return unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int exports_mark(const char *data_dir, const char *user_id)
{
    char own[PATH_MAX], mark[PATH_MAX];
    int len = snprintf(own, sizeof own, "%s/" DIRECTORY "/%s", data_dir, user_id);
    if (len >= (int)sizeof own || snprintf(mark, sizeof mark, "%s/" MARK, own) >= (int)sizeof mark)
        return -ENAMETOOLONG;
    _cleanup_close_ int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    return keep_directory(own);
}

int exports_forget(const char *data_dir, const char *user_id, size_t *ret_removed)
{
    struct sweep s = {.user_id = user_id};
    char all[PATH_MAX];
    if (snprintf(all, sizeof all, "%s/" DIRECTORY, data_dir) >= (int)sizeof all)
        return -ENAMETOOLONG;
    _cleanup_close_ int fd = open(all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd >= 0 ? remove_user(&s, fd, user_id) : errno == ENOENT ? 0 : -errno;
    if (ret_removed)
        *ret_removed = s.removed;
    return r < 0 ? log_error(r, "exports of a deleted user are left to the sweep") : 0;
}

static int sweep_user(struct sweep *s, int directory, const char *name)
{
    if (!uuid_valid(name))
        return 0;
    s->user_id = name;
    int gone = was_deleted(s, directory);
    if (gone != 0)
        return gone < 0 ? gone : remove_user(s, directory, name);
    each_name(s, directory, name, sweep_file);
    return 0;
}

int exports_sweep(struct db *db, const char *data_dir, int64_t older_ms, size_t *ret_removed)
{
    struct sweep s = {.db = db, .before_ms = clock_now_ms() - older_ms};
    char all[PATH_MAX];
    if (snprintf(all, sizeof all, "%s/" DIRECTORY, data_dir) >= (int)sizeof all)
        return -ENAMETOOLONG;
    each_name(&s, AT_FDCWD, all, sweep_user);
    if (ret_removed)
        *ret_removed = s.removed;
    return s.error;
}
