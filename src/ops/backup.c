/* SPDX-License-Identifier: MIT */
/* The archive is written beside its place under another name, made durable, and only then renamed. What a
 * kill leaves is `<archive>.tmp` and `<archive>.tmp-db`; the next backup of that name takes them over. */
#include "ops/backup.h"

#include "base/clock.h"
#include "db/snapshot.h"
#include "ops/error.h"
#include "ops/manifest.h"
#include "ops/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define PATH_SIZE PACK_PATH_SIZE

struct run {
    const struct backup_options *options;
    struct backup_summary *summary;
    struct ops_error *error;
    struct pack pack;
    struct manifest manifest;
    int64_t done, total;     /* bytes read, and to be read */
    char db[PATH_SIZE + 16]; /* the database's copy, where it has a name */
};

static void tell(struct run *run)
{
    const struct backup_options *o = run->options;
    if (o->progress)
        o->progress(o->ctx, run->done, run->done > run->total ? run->done : run->total);
}

static void tell_read(void *ctx, int64_t bytes)
{
    struct run *run = ctx;
    run->done += bytes;
    tell(run);
}

/* One regular file, from its beginning, as long as it is now. */
static int put_file(struct run *run, const char *name, int fd)
{
    struct stat st;
    char sha[SHA256_HEX + 1] = "";
    if (fstat(fd, &st) < 0)
        return ops_fail_errno(run->error, -errno, name);
    if (!member_name_valid(name))
        return ops_fail(
            run->error, -EINVAL,
            "%s has a name that a backup can't hold (parts of at most %d bytes in UTF-8, no control "
            "characters, none that begins with a dot)",
            name, MEMBER_NAME_MAX);
    int r = pack_file(&run->pack, name, fd, st.st_size, sha);
    if (r < 0)
        return r;
    r = manifest_add(&run->manifest, name, st.st_size, sha);
    return r < 0 ? ops_fail(run->error, r, "%s: too many files, or out of memory", name) : 0;
}

/* ---- stored files */

typedef int (*visit_fn)(struct run *run, const char *path, const char *name, const struct stat *st);

static int visit_entry(struct run *run, const FTSENT *at, const char *folder, size_t root, visit_fn visit)
{
    char name[PATH_SIZE * 2];
    switch (at->fts_info) {
    case FTS_F:
        if (at->fts_name[0] == '.') /* what is still being written */
            return 0;
        (void)snprintf(name, sizeof name, "%s%s", folder, at->fts_path + root);
        return visit(run, at->fts_path, name, at->fts_statp);
    case FTS_D:
    case FTS_DP:
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        /* gone since its directory was read */
        return at->fts_errno == ENOENT ? 0 : ops_fail_errno(run->error, -at->fts_errno, at->fts_path);
    default:
        run->summary->skipped++;
        return 0;
    }
}

/* Calls visit for every file below one folder (its name ends in a slash), which needn't be there. */
static int each_file_of(struct run *run, const char *folder, visit_fn visit)
{
    char path[PATH_SIZE];
    char *const roots[] = {path, NULL};
    int r = 0;
    (void)snprintf(path, sizeof path, "%s/%s", run->options->data_dir, folder);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    if (!walk)
        return ops_fail_errno(run->error, -errno, path);
    FTSENT *at;
    errno = 0;
    while (r == 0 && (at = fts_read(walk))) {
        if (at->fts_level > 0 && at->fts_info == FTS_D && at->fts_name[0] == '.')
            (void)fts_set(walk, at, FTS_SKIP);
        r = visit_entry(run, at, folder, strlen(path), visit);
        errno = 0;
    }
    if (r == 0 && errno != 0)
        r = ops_fail_errno(run->error, -errno, path);
    (void)fts_close(walk);
    return r;
}

/* Calls visit for every stored file, and every export that waits for its job. */
static int each_file(struct run *run, visit_fn visit)
{
    run->summary->skipped = 0;
    int r = each_file_of(run, MEMBER_FILES, visit);
    return r == 0 ? each_file_of(run, MEMBER_EXPORTS, visit) : r;
}

static int count_file(struct run *run, const char *path, const char *name, const struct stat *st)
{
    (void)path, (void)name;
    run->total += st->st_size;
    return 0;
}

/* Somebody may keep backups below files/. */
static bool is_archive_itself(const struct run *run, const struct stat *st)
{
    struct stat ours;
    return fstat(run->pack.out, &ours) == 0 && ours.st_ino == st->st_ino && ours.st_dev == st->st_dev;
}

static int keep_file(struct run *run, const char *path, const char *name, const struct stat *st)
{
    if (manifest_find(&run->manifest, name) || is_archive_itself(run, st))
        return 0;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) /* removed by its owner meanwhile */
        return errno == ENOENT ? 0 : ops_fail_errno(run->error, -errno, path);
    run->summary->files++;
    return put_file(run, name, fd);
}

/* ---- database and secrets */

static void tell_pages(void *ctx, int64_t done, int64_t total)
{
    (void)done, (void)total;
    tell(ctx);
}

/* An empty file of ours alone, for the copy. It lies where the archive will: to fill the data directory's
 * disk would stop the server. */
static int make_copy_file(struct run *run)
{
    const char *dir = getenv("TMPDIR");
    bool named = run->pack.tmp[0];
    if (named)
        (void)snprintf(run->db, sizeof run->db, "%s-db", run->pack.tmp);
    else
        (void)snprintf(run->db, sizeof run->db, "%s/genie-backup-XXXXXX", dir && dir[0] ? dir : "/var/tmp");
    if (named)
        (void)unlink(run->db);
    int fd =
        named ? open(run->db, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : mkostemp(run->db, O_CLOEXEC);
    if (fd < 0) {
        int r = ops_fail_errno(run->error, -errno, run->db);
        run->db[0] = '\0';
        return r;
    }
    (void)close(fd);
    return 0;
}

static int copy_database(struct run *run)
{
    char path[PATH_SIZE];
    struct db_why why = {0};
    (void)snprintf(path, sizeof path, "%s/" MEMBER_DATABASE, run->options->data_dir);
    int r = db_snapshot(path, run->db, tell_pages, run, &why);
    if (r == -ENOENT)
        return ops_fail(run->error, r, "there is no database in %s", run->options->data_dir);
    if (r < 0)
        return ops_fail(run->error, r, "the database can't be copied: %s", why.text);
    r = db_snapshot_check(run->db, &run->manifest.schema, &why);
    return r < 0 ? ops_fail(run->error, r, "the database is damaged: %s", why.text) : 0;
}

static int put_database(struct run *run)
{
    int r = make_copy_file(run);
    if (r == 0)
        r = copy_database(run);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(run->db, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ops_fail_errno(run->error, -errno, run->db);
    (void)unlink(run->db); /* a kill from here on leaves nothing of it */
    run->db[0] = '\0';
    return put_file(run, MEMBER_DATABASE, fd);
}

static int put_secrets(struct run *run)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/" MEMBER_SECRETS, run->options->data_dir);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : ops_fail_errno(run->error, -errno, path);
    if (flock(fd, LOCK_SH) < 0) /* who writes it holds it for the length of a write */
        return ops_fail_errno(run->error, -errno, path);
    run->summary->secrets = true;
    return put_file(run, MEMBER_SECRETS, fd);
}

static int put_manifest(struct run *run)
{
    _cleanup_buf_ struct buf text = BUF_INIT(MANIFEST_MAX);
    (void)snprintf(run->manifest.program, sizeof run->manifest.program, "%s", GENIE_VERSION);
    clock_format_iso(clock_now_ms(), run->manifest.created);
    if (manifest_write(&run->manifest, &text) < 0)
        return ops_fail(run->error, -ENOMEM, "the manifest is too large, or out of memory");
    return pack_data(&run->pack, MANIFEST_NAME, text.data, text.len);
}

static int write_members(struct run *run)
{
    int r = each_file(run, keep_file);
    if (r == 0 && !run->options->files_only)
        r = put_database(run);
    if (r == 0)
        r = each_file(run, keep_file);
    if (r == 0)
        r = put_secrets(run);
    return r == 0 ? put_manifest(run) : r;
}

/* What there is to read, for who watches. */
static int prepare(struct run *run)
{
    struct stat st;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/" MEMBER_DATABASE, run->options->data_dir);
    if (!run->options->files_only && stat(path, &st) == 0)
        run->total += st.st_size;
    return each_file(run, count_file);
}

int backup_write(const struct backup_options *options, struct backup_summary *ret,
                 struct ops_error *ret_error)
{
    struct backup_summary summary = {0};
    struct run run = {.options = options, .summary = &summary, .error = ret_error};
    run.pack = (struct pack){
        .path = options->path, .force = options->force, .error = ret_error, .read = tell_read, .ctx = &run};
    ops_use_utf8();
    int r = pack_open(&run.pack);
    if (r == 0)
        r = prepare(&run);
    if (r == 0)
        r = write_members(&run);
    if (r == 0)
        r = pack_publish(&run.pack, &summary.size);
    summary.bytes = run.manifest.bytes;
    summary.schema = run.manifest.schema;
    pack_done(&run.pack);
    if (run.db[0])
        (void)unlink(run.db);
    manifest_free(&run.manifest);
    if (r == 0)
        *ret = summary;
    return r;
}
