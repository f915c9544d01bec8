/* SPDX-License-Identifier: MIT */
#include "ops/pack.h"

#include "base/clock.h"
#include "base/keep.h"
#include "ops/digest.h"
#include "ops/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define CHUNK (256 * 1024)

/* ---- members */

static int put_header(struct pack *p, const char *name, int64_t size)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return ops_fail(p->error, -ENOMEM, "out of memory");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_size(entry, size);
    archive_entry_set_mtime(entry, clock_now_ms() / 1000, 0);
    int r = archive_write_header(p->archive, entry);
    archive_entry_free(entry);
    return r == ARCHIVE_OK ? 0 : ops_fail_archive(p->error, p->archive, "the archive can't be written");
}

static int put_data(struct pack *p, const char *data, size_t len)
{
    ssize_t n = archive_write_data(p->archive, data, len);
    return n == (ssize_t)len ? 0 : ops_fail_archive(p->error, p->archive, "the archive can't be written");
}

int pack_data(struct pack *p, const char *name, const char *data, size_t len)
{
    int r = put_header(p, name, (int64_t)len);
    return r == 0 ? put_data(p, data, len) : r;
}

int pack_file(struct pack *p, const char *name, int fd, int64_t size, char *ret_sha)
{
    _cleanup_digest_ EVP_MD_CTX *digest = digest_begin();
    if (!digest)
        return ops_fail(p->error, -ENOMEM, "out of memory");
    int r = put_header(p, name, size);
    for (int64_t left = size; left > 0 && r == 0;) {
        ssize_t n = read(fd, p->chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (n < 0)
            return ops_fail_errno(p->error, -errno, name);
        if (n == 0)
            return ops_fail(p->error, -EIO, "%s became shorter while it was read", name);
        (void)EVP_DigestUpdate(digest, p->chunk, (size_t)n);
        r = put_data(p, p->chunk, (size_t)n);
        left -= n;
        if (p->read)
            p->read(p->ctx, n);
    }
    if (r == 0 && ret_sha && digest_end(digest, ret_sha) < 0)
        r = ops_fail(p->error, -EIO, "%s can't be digested", name);
    return r;
}

/* ---- its place */

static int refuse_existing(struct pack *p)
{
    struct stat st;
    const char *path = p->path;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : ops_fail_errno(p->error, -errno, path);
    if (!S_ISREG(st.st_mode))
        return ops_fail(p->error, -EEXIST, "%s is there already, and is no file", path);
    if (!p->force)
        return ops_fail(p->error, -EEXIST, "%s is there already; --force replaces it", path);
    return 0;
}

/* Another process may have put it in its place, and let go of the lock, between our opening and locking it.
 */
static bool is_still_there(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

static int open_output(struct pack *p)
{
    if (!p->path) {
        p->out = STDOUT_FILENO;
        return 0;
    }
    int r = refuse_existing(p);
    if (r < 0)
        return r;
    if (snprintf(p->tmp, sizeof p->tmp - 8, "%s.tmp", p->path) >= (int)sizeof p->tmp - 8)
        return ops_fail_errno(p->error, -ENAMETOOLONG, p->path);
    p->out = open(p->tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = p->out < 0 ? -errno : 0;
    if (r == 0 && (flock(p->out, LOCK_EX | LOCK_NB) < 0 || !is_still_there(p->out, p->tmp)))
        r = ops_fail(p->error, -EWOULDBLOCK, "another process is writing %s", p->tmp);
    else if (r == 0 && (fchmod(p->out, 0600) < 0 || ftruncate(p->out, 0) < 0))
        r = -errno;
    if (r == 0)
        return 0;
    if (r != -EWOULDBLOCK)
        (void)ops_fail_errno(p->error, r, p->tmp);
    p->tmp[0] = '\0'; /* not ours to remove */
    return r;
}

static int put_in_place(struct pack *p)
{
    const char *path = p->path;
    if (fsync(p->out) < 0)
        return ops_fail_errno(p->error, -errno, p->tmp);
    int r = refuse_existing(p); /* who came meanwhile was promised the same */
    if (r < 0)
        return r;
    if (rename(p->tmp, path) < 0)
        return ops_fail_errno(p->error, -errno, path);
    p->tmp[0] = '\0';
    r = keep_directory_of(path);
    return r < 0 ? ops_fail_errno(p->error, r, path) : 0;
}

/* ---- the archive */

/* An archive that is given up must get no end: closing it, which alone frees what libarchive holds, would
 * write one. */
static ssize_t write_out(struct archive *a, void *ctx, const void *data, size_t len)
{
    struct pack *p = ctx;
    if (p->given_up) {
        archive_set_error(a, ECANCELED, "given up");
        return -1;
    }
    ssize_t n;
    do
        n = write(p->out, data, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        archive_set_error(a, errno, "%s", strerror(errno));
    return n;
}

static int add_filter(struct pack *p)
{
    if (p->compression == PACK_GZIP)
        return archive_write_add_filter_gzip(p->archive);
    int r = archive_write_add_filter_zstd(p->archive);
    return r == ARCHIVE_OK ? archive_write_set_filter_option(p->archive, "zstd", "compression-level", "3")
                           : r;
}

int pack_open(struct pack *p)
{
    p->tmp[0] = '\0';
    p->out = -1;
    p->archive = NULL;
    p->chunk = malloc(CHUNK);
    int r = p->chunk ? open_output(p) : ops_fail(p->error, -ENOMEM, "out of memory");
    if (r < 0)
        return r;
    struct archive *a = p->archive = archive_write_new();
    if (!a)
        return ops_fail(p->error, -ENOMEM, "out of memory");
    if (add_filter(p) != ARCHIVE_OK || archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open(a, p, NULL, write_out, NULL) != ARCHIVE_OK)
        return ops_fail_archive(p->error, a, "the archive can't be begun");
    return 0;
}

int pack_publish(struct pack *p, int64_t *ret_size)
{
    if (archive_write_close(p->archive) != ARCHIVE_OK)
        return ops_fail_archive(p->error, p->archive, "the archive can't be written");
    *ret_size = archive_filter_bytes(p->archive, -1);
    return p->path ? put_in_place(p) : 0;
}

void pack_done(struct pack *p)
{
    if (p->archive) {
        p->given_up = true; /* unless it is closed already */
        (void)archive_write_free(p->archive);
    }
    if (p->tmp[0])
        (void)unlink(p->tmp);
    if (p->out > STDOUT_FILENO)
        (void)close(p->out);
    free(p->chunk);
}
