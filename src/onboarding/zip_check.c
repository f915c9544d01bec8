/* SPDX-License-Identifier: MIT */
#include "onboarding/zip_check.h"

#include "base/clock.h"
#include "onboarding/zip_directory.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AT_ONCE ((size_t)64 * 1024)

struct checking {
    struct archive *archive;
    const struct zip_limits *limits;
    int64_t unpacked_max, deadline_ms;
    struct zip_facts facts;
    int64_t files;
    const char *why;
};

static int refuse(struct checking *k, const char *why)
{
    k->why = why;
    return -EBADMSG;
}

static int refuse_size(struct checking *k)
{
    return refuse(k, k->unpacked_max < k->limits->unpacked
                         ? "The archive is suspiciously small for what it holds"
                         : "The archive is too large when it is unpacked");
}

static int refuse_read(struct checking *k)
{
    if (archive_errno(k->archive) == ENOMEM)
        return -ENOMEM;
    return refuse(k, "The archive is damaged or cut off");
}

static int count(struct checking *k, int64_t bytes)
{
    k->facts.unpacked += bytes;
    if (k->facts.unpacked > k->unpacked_max)
        return refuse_size(k);
    if (clock_monotonic_ms() > k->deadline_ms)
        return refuse(k, "The archive takes too long to be checked");
    return 0;
}

/* Every byte is unpacked and counted, and its checksum compared. */
static int check_data(struct checking *k)
{
    for (;;) {
        const void *piece;
        size_t len;
        la_int64_t offset;
        int got = archive_read_data_block(k->archive, &piece, &len, &offset);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK)
            return refuse_read(k);
        int r = count(k, (int64_t)len);
        if (r < 0)
            return r;
    }
}

/* Again what the directory was asked: an extra field can put another name in the place of both headers'. */
static int check_entry(struct checking *k, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    mode_t type = archive_entry_filetype(entry);
    if (++k->facts.entries > k->limits->entries)
        return refuse(k, "The archive has too many entries");
    if (!name || !zip_name_is_safe(name, strlen(name)))
        return refuse(k, "The archive has an entry whose name leads out of it");
    if (archive_entry_is_encrypted(entry))
        return refuse(k, "The archive is encrypted");
    if ((type != S_IFREG && type != S_IFDIR) || archive_entry_hardlink(entry) || archive_entry_symlink(entry))
        return refuse(k, "The archive has links or special files");
    k->files += type == S_IFREG;
    int r = count(k, 0);
    return r < 0 ? r : check_data(k);
}

static int check_entries(struct checking *k)
{
    for (;;) {
        struct archive_entry *entry;
        int got = archive_read_next_header(k->archive, &entry);
        if (got == ARCHIVE_EOF)
            return k->files > 0 ? 0 : refuse(k, "The archive is empty");
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) /* a warning: the name isn't of this locale */
            return refuse_read(k);
        int r = check_entry(k, entry);
        if (r < 0)
            return r;
    }
}

static int open_archive(struct checking *k, int fd)
{
    k->archive = archive_read_new();
    if (!k->archive || archive_read_support_format_zip_seekable(k->archive) != ARCHIVE_OK)
        return -ENOMEM;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return archive_read_open_fd(k->archive, fd, READ_AT_ONCE) == ARCHIVE_OK ? 0 : refuse_read(k);
}

/* The most it may hold by either limit. */
static int64_t unpacked_max(const struct zip_limits *limits, int64_t size)
{
    return size > limits->unpacked / limits->ratio ? limits->unpacked : size * limits->ratio;
}

static int check_directory(struct checking *k, int fd, int64_t size, struct zip_directory *ret)
{
    int r = zip_directory_read(fd, size, k->limits->entries, ret, &k->why);
    return r == 0 && ret->declared > k->unpacked_max ? refuse_size(k) : r;
}

/* libarchive gives names in the thread's locale, and none where they can't be said in it. */
static int check_in_utf8(struct checking *k, int fd)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    int r = open_archive(k, fd);
    if (r == 0)
        r = check_entries(k);
    if (k->archive)
        (void)archive_read_free(k->archive);
    if (utf8) {
        (void)uselocale(before);
        freelocale(utf8);
    }
    return r;
}

int zip_check(int fd, int64_t size, const struct zip_limits *limits, struct zip_facts *ret,
              const char **ret_why)
{
    struct checking k = {.limits = limits,
                         .unpacked_max = unpacked_max(limits, size),
                         .deadline_ms = clock_monotonic_ms() + limits->time_ms};
    struct zip_directory directory;
    int r = check_directory(&k, fd, size, &directory);
    if (r == 0)
        r = check_in_utf8(&k, fd);
    if (r == 0 && k.facts.entries != directory.entries)
        r = refuse(&k, "The archive contradicts itself");
    if (r == -EBADMSG)
        *ret_why = k.why;
    if (r == 0)
        *ret = k.facts;
    return r;
}
