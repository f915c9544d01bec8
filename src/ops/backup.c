/* SPDX-License-Identifier: MIT */
/* The archive is written beside its place under another name, made durable, and only then renamed. What a kill leaves
 * is `<archive>.tmp` and `<archive>.tmp-db`; the next backup of that name takes them over. */
#include "ops/backup.h"

#include "base/clock.h"
#include "db/snapshot.h"
#include "ops/digest.h"
#include "ops/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define CHUNK (256 * 1024)
#define PATH_SIZE 4096
#define COMPRESSION "3"

struct run {
    const struct backup_options *options;
    struct backup_summary *summary;
    struct ops_error *error;
    struct archive *archive;
    struct manifest manifest;
    int out;
    int64_t done, total; /* bytes read, and to be read */
    char tmp[PATH_SIZE]; /* the archive while it is written; "" for standard output */
    char db[PATH_SIZE + 16]; /* the database's copy, where it has a name */
    char *chunk;
};

static void tell(struct run *run)
{
    const struct backup_options *o = run->options;
    if (o->progress)
        o->progress(o->ctx, run->done, run->done > run->total ? run->done : run->total);
}

/* ---- members */

static int put_header(struct run *run, const char *name, int64_t size)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return ops_fail(run->error, -ENOMEM, "out of memory");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_size(entry, size);
    archive_entry_set_mtime(entry, clock_now_ms() / 1000, 0);
    int r = archive_write_header(run->archive, entry);
    archive_entry_free(entry);
    return r == ARCHIVE_OK ? 0 : ops_fail_archive(run->error, run->archive, "the backup can't be written");
}

static int put_data(struct run *run, const char *data, size_t len)
{
    ssize_t n = archive_write_data(run->archive, data, len);
    return n == (ssize_t)len ? 0 : ops_fail_archive(run->error, run->archive, "the backup can't be written");
}

static int put_content(struct run *run, const char *name, int fd, int64_t size, char *ret_sha)
{
    _cleanup_digest_ EVP_MD_CTX *digest = digest_begin();
    if (!digest)
        return ops_fail(run->error, -ENOMEM, "out of memory");
    int r = put_header(run, name, size);
    for (int64_t left = size; left > 0 && r == 0;) {
        ssize_t n = read(fd, run->chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (n < 0)
            return ops_fail_errno(run->error, -errno, name);
        if (n == 0)
            return ops_fail(run->error, -EIO, "%s became shorter while it was read", name);
        (void)EVP_DigestUpdate(digest, run->chunk, (size_t)n);
        r = put_data(run, run->chunk, (size_t)n);
        left -= n;
        run->done += n;
        tell(run);
    }
    if (r == 0 && digest_end(digest, ret_sha) < 0)
        r = ops_fail(run->error, -EIO, "%s can't be digested", name);
    return r;
}

/* One regular file, from its beginning, as long as it is now. */
static int put_file(struct run *run, const char *name, int fd)
{
    struct stat st;
    char sha[SHA256_HEX + 1] = "";
    if (fstat(fd, &st) < 0)
        return ops_fail_errno(run->error, -errno, name);
    if (!member_name_valid(name))
        return ops_fail(run->error, -EINVAL,
                        "%s has a name that a backup can't hold (parts of at most %d bytes in UTF-8, no control "
                        "characters, none that begins with a dot)",
                        name, MEMBER_NAME_MAX);
    int r = put_content(run, name, fd, st.st_size, sha);
    if (r < 0)
        return r;
    r = manifest_add(&run->manifest, name, st.st_size, sha);
    return r < 0 ? ops_fail(run->error, r, "%s: too many files, or out of memory", name) : 0;
}

/* ---- stored files */

typedef int (*visit_fn)(struct run *run, const char *path, const char *name, const struct stat *st);

static int visit_entry(struct run *run, const FTSENT *at, size_t root, visit_fn visit)
{
    char name[PATH_SIZE];
    switch (at->fts_info) {
    case FTS_F:
        if (at->fts_name[0] == '.') /* what is still being written */
            return 0;
        (void)snprintf(name, sizeof name, MEMBER_FILES "%s", at->fts_path + root + 1);
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

/* Calls visit for every stored file. No directory of them is no error. */
static int each_file(struct run *run, visit_fn visit)
{
    char path[PATH_SIZE];
    char *const roots[] = {path, NULL};
    int r = 0;
    (void)snprintf(path, sizeof path, "%s/files", run->options->data_dir);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    if (!walk)
        return ops_fail_errno(run->error, -errno, path);
    FTSENT *at;
    run->summary->skipped = 0;
    errno = 0;
    while (r == 0 && (at = fts_read(walk))) {
        if (at->fts_level > 0 && at->fts_info == FTS_D && at->fts_name[0] == '.')
            (void)fts_set(walk, at, FTS_SKIP);
        r = visit_entry(run, at, strlen(path), visit);
        errno = 0;
    }
    if (r == 0 && errno != 0)
        r = ops_fail_errno(run->error, -errno, path);
    (void)fts_close(walk);
    return r;
}

static int count_file(struct run *run, const char *path, const char *name, const struct stat *st)
{
    (void)path, (void)name;
    run->total += st->st_size;
    return 0;
}

static int keep_file(struct run *run, const char *path, const char *name, const struct stat *st)
{
    (void)st;
    if (manifest_find(&run->manifest, name))
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

/* An empty file of ours alone, for the copy. It lies where the archive will: to fill the data directory's disk would
 * stop the server. */
static int make_copy_file(struct run *run)
{
    const char *dir = getenv("TMPDIR");
    bool named = run->tmp[0];
    if (named)
        (void)snprintf(run->db, sizeof run->db, "%s-db", run->tmp);
    else
        (void)snprintf(run->db, sizeof run->db, "%s/genie-backup-XXXXXX", dir && dir[0] ? dir : "/var/tmp");
    if (named)
        (void)unlink(run->db);
    int fd = named ? open(run->db, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : mkostemp(run->db, O_CLOEXEC);
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
    int r = put_header(run, MANIFEST_NAME, (int64_t)text.len);
    return r == 0 ? put_data(run, text.data, text.len) : r;
}

/* ---- the archive */

static int open_archive(struct run *run)
{
    struct archive *a = run->archive = archive_write_new();
    if (!a)
        return ops_fail(run->error, -ENOMEM, "out of memory");
    if (archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
        archive_write_set_filter_option(a, "zstd", "compression-level", COMPRESSION) != ARCHIVE_OK ||
        archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open_fd(a, run->out) != ARCHIVE_OK)
        return ops_fail_archive(run->error, a, "the backup can't be begun");
    return 0;
}

static int write_members(struct run *run)
{
    int r = open_archive(run);
    if (r == 0)
        r = each_file(run, keep_file);
    if (r == 0 && !run->options->files_only)
        r = put_database(run);
    if (r == 0)
        r = each_file(run, keep_file);
    if (r == 0)
        r = put_secrets(run);
    if (r == 0)
        r = put_manifest(run);
    if (r == 0 && archive_write_close(run->archive) != ARCHIVE_OK)
        r = ops_fail_archive(run->error, run->archive, "the backup can't be written");
    run->summary->size = r == 0 ? archive_filter_bytes(run->archive, -1) : 0;
    return r;
}

/* ---- its place */

static int refuse_existing(struct run *run)
{
    struct stat st;
    const char *path = run->options->path;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : ops_fail_errno(run->error, -errno, path);
    if (!S_ISREG(st.st_mode))
        return ops_fail(run->error, -EEXIST, "%s is there already, and is no file", path);
    if (!run->options->force)
        return ops_fail(run->error, -EEXIST, "%s is there already; --force replaces it", path);
    return 0;
}

static int open_output(struct run *run)
{
    if (!run->options->path) {
        run->out = STDOUT_FILENO;
        return 0;
    }
    int r = refuse_existing(run);
    if (r < 0)
        return r;
    if (snprintf(run->tmp, sizeof run->tmp - 8, "%s.tmp", run->options->path) >= (int)sizeof run->tmp - 8)
        return ops_fail_errno(run->error, -ENAMETOOLONG, run->options->path);
    run->out = open(run->tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = run->out < 0 ? -errno : 0;
    if (r == 0 && flock(run->out, LOCK_EX | LOCK_NB) < 0)
        r = ops_fail(run->error, -EWOULDBLOCK, "another backup is writing %s", run->tmp);
    else if (r == 0 && (fchmod(run->out, 0600) < 0 || ftruncate(run->out, 0) < 0))
        r = -errno;
    if (r == 0)
        return 0;
    if (r != -EWOULDBLOCK)
        (void)ops_fail_errno(run->error, r, run->tmp);
    run->tmp[0] = '\0'; /* not ours to remove */
    return r;
}

static int sync_parent(const char *path)
{
    char dir[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    (void)snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
}

static int publish(struct run *run)
{
    const char *path = run->options->path;
    if (!path)
        return 0;
    if (fsync(run->out) < 0)
        return ops_fail_errno(run->error, -errno, run->tmp);
    int r = refuse_existing(run); /* who came meanwhile was promised the same */
    if (r < 0)
        return r;
    if (rename(run->tmp, path) < 0)
        return ops_fail_errno(run->error, -errno, path);
    run->tmp[0] = '\0';
    r = sync_parent(path);
    return r < 0 ? ops_fail_errno(run->error, r, path) : 0;
}

static int prepare(struct run *run)
{
    struct stat st;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/" MEMBER_DATABASE, run->options->data_dir);
    if (!run->options->files_only && stat(path, &st) == 0)
        run->total += st.st_size;
    run->chunk = malloc(CHUNK);
    if (!run->chunk)
        return ops_fail(run->error, -ENOMEM, "out of memory");
    return each_file(run, count_file);
}

static void clean_up(struct run *run)
{
    if (run->archive) {
        (void)archive_write_fail(run->archive); /* unless closed: an end must not be made up */
        (void)archive_write_free(run->archive);
    }
    if (run->tmp[0])
        (void)unlink(run->tmp);
    if (run->db[0])
        (void)unlink(run->db);
    if (run->out > STDOUT_FILENO)
        (void)close(run->out);
    manifest_free(&run->manifest);
    free(run->chunk);
}

int backup_write(const struct backup_options *options, struct backup_summary *ret, struct ops_error *ret_error)
{
    struct backup_summary summary = {0};
    struct run run = {.options = options, .summary = &summary, .error = ret_error, .out = -1};
    ops_use_utf8();
    int r = prepare(&run);
    if (r == 0)
        r = open_output(&run);
    if (r == 0)
        r = write_members(&run);
    if (r == 0)
        r = publish(&run);
    summary.bytes = run.manifest.bytes;
    summary.schema = run.manifest.schema;
    clean_up(&run);
    if (r == 0)
        *ret = summary;
    return r;
}
