/* SPDX-License-Identifier: MIT */
/* libarchive is held to one container (tar) and two compressions. Every header is judged before its data is
 * read: plain files with a name that member_name_valid takes, within the limits; the first one that isn't
 * ends it all. */
#include "ops/unpack.h"

#include "base/keep.h"
#include "ops/digest.h"
#include "ops/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (256 * 1024)
#define BLOCK (64 * 1024)

struct pass {
    struct unpack *unpack;
    struct archive *archive;
    int64_t bytes; /* of members so far */
    char *chunk;
    int half; /* 0 or 1: which of the two passes */
};

static void end_passP(struct pass *p)
{
    if (p->archive)
        (void)archive_read_free(p->archive);
    free(p->chunk);
}

static int bad(struct unpack *u, const char *why, const char *name)
{
    return ops_fail(u->error, -EBADMSG, "this is no sound backup: %s%s%s", why, name ? ": " : "",
                    name ? name : "");
}

static int fail_reading(struct pass *p)
{
    return ops_fail_archive(p->unpack->error, p->archive, "the backup can't be read");
}

static int open_pass(struct pass *p)
{
    struct unpack *u = p->unpack;
    struct archive *a = p->archive = archive_read_new();
    p->chunk = malloc(CHUNK);
    if (!a || !p->chunk)
        return ops_fail(u->error, -ENOMEM, "out of memory");
    if (lseek(u->fd, 0, SEEK_SET) < 0)
        return ops_fail_errno(u->error, -errno, "the backup can't be read");
    if (archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_open_fd(a, u->fd, BLOCK) != ARCHIVE_OK)
        return fail_reading(p);
    return 0;
}

static void tell(struct pass *p)
{
    struct unpack *u = p->unpack;
    if (u->progress)
        u->progress(u->ctx, archive_filter_bytes(p->archive, -1) + p->half * u->size, 2 * u->size);
}

static bool is_plain_file(struct archive_entry *entry)
{
    return archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) &&
           !archive_entry_symlink(entry) && archive_entry_size_is_set(entry) &&
           archive_entry_size(entry) >= 0;
}

/* The next member: 1 with its name and size, 0 at the end. */
static int next_member(struct pass *p, const char **ret_name, int64_t *ret_size)
{
    struct archive_entry *entry;
    int r = archive_read_next_header(p->archive, &entry);
    if (r == ARCHIVE_EOF)
        return 0;
    if (r != ARCHIVE_OK)
        return fail_reading(p);
    const char *name = archive_entry_pathname(entry);
    if (!name || (strcmp(name, MANIFEST_NAME) != 0 && !member_name_valid(name)))
        return bad(p->unpack, "it holds a name that no backup has", NULL);
    if (!is_plain_file(entry))
        return bad(p->unpack, "not everything in it is a plain file", name);
    *ret_name = name;
    *ret_size = archive_entry_size(entry);
    return 1;
}

/* Reads a member's data, exactly `size` bytes of it, to wherever take puts them. */
static int each_chunk(struct pass *p, int64_t size, int (*take)(void *ctx, const char *data, size_t len),
                      void *ctx)
{
    int64_t got = 0;
    for (;;) {
        ssize_t n = archive_read_data(p->archive, p->chunk, CHUNK);
        if (n < 0)
            return fail_reading(p);
        if (n == 0)
            return got == size ? 0 : bad(p->unpack, "it ends in the midst of a member", NULL);
        got += n;
        if (got > size)
            return bad(p->unpack, "a member is longer than it says", NULL);
        int r = take(ctx, p->chunk, (size_t)n);
        if (r < 0)
            return r;
        tell(p);
    }
}

static int take_digest(void *ctx, const char *data, size_t len)
{
    return EVP_DigestUpdate(ctx, data, len) == 1 ? 0 : -EIO;
}

static int take_text(void *ctx, const char *data, size_t len)
{
    return buf_add(ctx, data, len);
}

/* ---- the first pass */

static int judge_member(struct pass *p, const char *name, int64_t size, struct manifest *found)
{
    struct unpack *u = p->unpack;
    char sha[SHA256_HEX + 1] = "", kept[MEMBER_NAME_MAX + 1];
    _cleanup_digest_ EVP_MD_CTX *digest = digest_begin();
    if (!digest)
        return ops_fail(u->error, -ENOMEM, "out of memory");
    if (size > u->max_bytes - p->bytes)
        return ops_fail(u->error, -EFBIG,
                        "the backup holds more than %lld bytes: too much for the disk, or for --max-size",
                        (long long)u->max_bytes);
    (void)snprintf(kept, sizeof kept, "%s", name); /* goes with the entry */
    p->bytes += size;
    int r = each_chunk(p, size, take_digest, digest);
    if (r == 0 && (r = digest_end(digest, sha)) == 0)
        r = manifest_add(found, kept, size, sha);
    return r == -EEXIST || r == -ERANGE ? bad(u, "it holds a name twice, or too many", kept) : r;
}

static int read_manifest(struct pass *p, int64_t size, struct manifest *ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(MANIFEST_MAX);
    if (size > (int64_t)MANIFEST_MAX)
        return bad(p->unpack, "its manifest is too large", NULL);
    int r = each_chunk(p, size, take_text, &text);
    if (r == 0)
        r = manifest_parse(text.data ? text.data : "", text.len, ret);
    return r == -EINVAL || r == -ERANGE ? bad(p->unpack, "its manifest can't be understood", NULL) : r;
}

static int compare(struct unpack *u, const struct manifest *said, const struct manifest *found)
{
    const struct member *a = said->members, *b = found->members;
    for (; a && b; a = member_next(a), b = member_next(b)) {
        if (strcmp(member_name(a), member_name(b)) != 0)
            return bad(u, "its manifest names other members", member_name(b));
        if (member_size(a) != member_size(b) || strcmp(member_sha(a), member_sha(b)) != 0)
            return bad(u, "a member isn't what its manifest says", member_name(b));
    }
    return a || b ? bad(u, "its manifest names more or fewer members than it holds", NULL) : 0;
}

static int judge_all(struct pass *p, struct manifest *found, struct manifest *ret)
{
    const char *name;
    int64_t size;
    int r;
    while ((r = next_member(p, &name, &size)) > 0 && strcmp(name, MANIFEST_NAME) != 0)
        if ((r = judge_member(p, name, size, found)) < 0)
            return r;
    if (r == 0)
        return bad(p->unpack, "it has no manifest", NULL);
    if (r > 0)
        r = read_manifest(p, size, ret);
    if (r == 0 && (r = next_member(p, &name, &size)) > 0)
        return bad(p->unpack, "something follows its manifest", NULL);
    return r == 0 ? compare(p->unpack, ret, found) : r;
}

int unpack_verify(struct unpack *u, struct manifest *ret)
{
    struct manifest found = {0}, said = {0};
    _cleanup_(end_passP) struct pass p = {.unpack = u};
    u->error->text[0] = '\0';
    int r = open_pass(&p);
    if (r == 0)
        r = judge_all(&p, &found, &said);
    manifest_free(&found);
    if (r < 0) {
        manifest_free(&said);
        return u->error->text[0] ? r : ops_fail_errno(u->error, r, "the backup can't be read");
    }
    *ret = said;
    return 0;
}

/* ---- the second pass */

struct target {
    int fd;
    EVP_MD_CTX *digest;
};

static int take_write(void *ctx, const char *data, size_t len)
{
    struct target *t = ctx;
    (void)EVP_DigestUpdate(t->digest, data, len);
    return keep_write(t->fd, data, len);
}

/* Makes the directories of a name, and opens the file in them. */
static int make_file(int dir_fd, const char *name, unsigned uid, unsigned gid)
{
    char part[MEMBER_NAME_MAX + 1];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        if (mkdirat(dir_fd, part, 0700) < 0) {
            if (errno != EEXIST)
                return -errno;
        } else if (geteuid() == 0 && fchownat(dir_fd, part, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) {
            return -errno;
        }
    }
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && geteuid() == 0 && fchown(fd, uid, gid) < 0) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    return fd < 0 ? -errno : fd;
}

static int write_member(struct pass *p, const struct member *m, int dir_fd, unsigned uid, unsigned gid)
{
    struct unpack *u = p->unpack;
    char sha[SHA256_HEX + 1] = "";
    _cleanup_digest_ EVP_MD_CTX *digest = digest_begin();
    if (!digest)
        return ops_fail(u->error, -ENOMEM, "out of memory");
    _cleanup_close_ int fd = make_file(dir_fd, member_name(m), uid, gid);
    if (fd < 0)
        return ops_fail_errno(u->error, fd, member_name(m));
    u->error->text[0] = '\0';
    int r = each_chunk(p, member_size(m), take_write, &(struct target){fd, digest});
    if (r < 0)
        return u->error->text[0] ? r : ops_fail_errno(u->error, r, member_name(m));
    r = digest_end(digest, sha);
    if (r < 0 || strcmp(sha, member_sha(m)) != 0)
        return bad(u, "it changed while it was read", member_name(m));
    return 0;
}

int unpack_into(struct unpack *u, const struct manifest *manifest, int dir_fd, unsigned uid, unsigned gid)
{
    _cleanup_(end_passP) struct pass p = {.unpack = u, .half = 1};
    const char *name;
    int64_t size;
    int r = open_pass(&p);
    for (const struct member *m = manifest->members; m && r == 0; m = member_next(m)) {
        r = next_member(&p, &name, &size);
        if (r >= 0 && (r == 0 || strcmp(name, member_name(m)) != 0 || size != member_size(m)))
            return bad(u, "it changed while it was read", member_name(m));
        if (r > 0)
            r = write_member(&p, m, dir_fd, uid, gid);
    }
    return r;
}
