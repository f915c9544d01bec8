/* SPDX-License-Identifier: MIT */
/* Layout: local headers with their data, the central directory (one header an entry), the end record. ZIP64
 * is refused: nothing within our limits needs it, and it offers a second directory. */
#include "onboarding/zip_directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL ((size_t)16 * 1024) /* where the end record is looked for, as libarchive does */
#define END_SIZE 22
#define LOCATOR_SIZE 20 /* of ZIP64, before the end record */
#define CENTRAL_SIZE 46
#define LOCAL_SIZE 30
#define NAME_MOST 1024
#define ZIP64 UINT32_MAX
#define HOST_UNIX 3
#define HOST_DARWIN 19
#define ENCRYPTED ((1U << 0) | (1U << 6) | (1U << 13))
#define STORED 0
#define DEFLATED 8

struct reading {
    int fd;
    int64_t size;
    const char *why;
    int64_t directory, end; /* offsets: of the first central header, of the end record */
    int64_t declared, packed;
};

struct entry {
    unsigned host, flags, method, name_len;
    uint32_t packed, unpacked, attributes, local;
    char name[NAME_MOST];
};

static unsigned u16(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static int refuse(struct reading *z, const char *why)
{
    z->why = why;
    return -EBADMSG;
}

static int read_at(struct reading *z, void *to, size_t len, int64_t at)
{
    char *p = to;
    if (at < 0 || at > z->size - (int64_t)len)
        return refuse(z, "The archive is damaged or cut off");
    while (len > 0) {
        ssize_t n = pread(z->fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

bool zip_name_is_safe(const char *name, size_t len)
{
    if (len == 0 || name[0] == '/' || (len > 1 && name[1] == ':'))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7F || name[i] == '\\')
            return false;
    for (size_t at = 0; at <= len;) {
        const char *slash = at < len ? memchr(name + at, '/', len - at) : NULL;
        size_t end = slash ? (size_t)(slash - name) : len;
        if (end - at == 2 && name[at] == '.' && name[at + 1] == '.')
            return false;
        at = end + 1;
    }
    return true;
}

/* ---- the end record */

static int read_end(struct reading *z, const unsigned char *end, int64_t *ret_entries)
{
    unsigned char locator[LOCATOR_SIZE];
    *ret_entries = u16(end + 10);
    z->directory = u32(end + 16);
    if (z->end >= LOCATOR_SIZE) {
        int r = read_at(z, locator, sizeof locator, z->end - LOCATOR_SIZE);
        if (r < 0)
            return r;
        if (memcmp(locator, "PK\6\7", 4) == 0)
            return refuse(z, "The archive is in the ZIP64 form, which isn't taken");
    }
    if (u16(end + 4) != 0 || u16(end + 6) != 0 || u16(end + 8) != u16(end + 10))
        return refuse(z, "The archive is a part of several");
    if (z->directory + (int64_t)u32(end + 12) != z->end)
        return refuse(z, "The archive is damaged or cut off");
    return 0;
}

static int find_end(struct reading *z, int64_t *ret_entries)
{
    unsigned char tail[TAIL], first[4];
    if (z->size < END_SIZE)
        return refuse(z, "The file is not a ZIP archive");
    size_t len = z->size < (int64_t)sizeof tail ? (size_t)z->size : sizeof tail;
    int r = read_at(z, first, sizeof first, 0);
    if (r == 0)
        r = read_at(z, tail, len, z->size - (int64_t)len);
    if (r < 0)
        return r;
    if (memcmp(first, "PK\5\6", 4) == 0)
        return refuse(z, "The archive is empty");
    if (memcmp(first, "PK\3\4", 4) != 0)
        return refuse(z, "The file is not a ZIP archive");
    size_t i = len - END_SIZE;
    while (i > 0 && memcmp(tail + i, "PK\5\6", 4) != 0)
        i--;
    if (i == 0 || i + END_SIZE + u16(tail + i + 20) != len)
        return refuse(z, "The archive is damaged or cut off");
    z->end = z->size - (int64_t)len + (int64_t)i;
    return read_end(z, tail + i, ret_entries);
}

/* ---- entries */

static int read_central(struct reading *z, int64_t *at, struct entry *e)
{
    unsigned char h[CENTRAL_SIZE];
    int r = *at + CENTRAL_SIZE <= z->end ? read_at(z, h, sizeof h, *at) : refuse(z, NULL);
    if (r < 0 || memcmp(h, "PK\1\2", 4) != 0)
        return r < 0 && r != -EBADMSG ? r : refuse(z, "The archive is damaged or cut off");
    e->host = h[5];
    e->flags = u16(h + 8);
    e->method = u16(h + 10);
    e->packed = u32(h + 20);
    e->unpacked = u32(h + 24);
    e->name_len = u16(h + 28);
    e->attributes = u32(h + 38);
    e->local = u32(h + 42);
    if (u16(h + 34) != 0)
        return refuse(z, "The archive is a part of several");
    if (e->name_len > NAME_MOST)
        return refuse(z, "The archive has an entry with a too long name");
    r = read_at(z, e->name, e->name_len, *at + CENTRAL_SIZE);
    *at += CENTRAL_SIZE + e->name_len + u16(h + 30) + u16(h + 32);
    return r;
}

static bool is_special(const struct entry *e)
{
    unsigned type = (e->attributes >> 16) & S_IFMT;
    return (e->host == HOST_UNIX || e->host == HOST_DARWIN) && type != 0 && type != S_IFREG &&
           type != S_IFDIR;
}

static int check_entry(struct reading *z, const struct entry *e)
{
    if (e->flags & ENCRYPTED)
        return refuse(z, "The archive is encrypted");
    if (e->method != STORED && e->method != DEFLATED)
        return refuse(z, "The archive is compressed by a method that isn't taken (only deflate is)");
    if (e->packed == ZIP64 || e->unpacked == ZIP64 || e->local == ZIP64)
        return refuse(z, "The archive is in the ZIP64 form, which isn't taken");
    if (is_special(e))
        return refuse(z, "The archive has links or special files");
    if (!zip_name_is_safe(e->name, e->name_len))
        return refuse(z, "The archive has an entry whose name leads out of it");
    return 0;
}

/* What unpacks it goes by the local header, so it must say the same. */
static int check_local(struct reading *z, const struct entry *e)
{
    unsigned char h[LOCAL_SIZE];
    char name[NAME_MOST];
    int r = read_at(z, h, sizeof h, e->local);
    if (r < 0)
        return r;
    int64_t data = (int64_t)e->local + LOCAL_SIZE + u16(h + 26) + u16(h + 28);
    if (memcmp(h, "PK\3\4", 4) != 0 || data + e->packed > z->directory)
        return refuse(z, "The archive is damaged or cut off");
    if (u16(h + 26) != e->name_len || u16(h + 8) != e->method || (u16(h + 6) & ENCRYPTED))
        return refuse(z, "The archive contradicts itself");
    r = read_at(z, name, e->name_len, (int64_t)e->local + LOCAL_SIZE);
    if (r == 0 && memcmp(name, e->name, e->name_len) != 0)
        return refuse(z, "The archive contradicts itself");
    return r;
}

static int read_entry(struct reading *z, int64_t *at)
{
    struct entry e;
    int r = read_central(z, at, &e);
    if (r == 0)
        r = check_entry(z, &e);
    if (r == 0)
        r = check_local(z, &e);
    z->declared += e.unpacked;
    z->packed += e.packed;
    return r;
}

int zip_directory_read(int fd, int64_t size, int64_t entries_max, struct zip_directory *ret,
                       const char **ret_why)
{
    struct reading z = {.fd = fd, .size = size};
    int64_t entries = 0;
    int r = find_end(&z, &entries);
    if (r == 0 && entries > entries_max)
        r = refuse(&z, "The archive has too many entries");
    if (r == 0 && entries == 0)
        r = refuse(&z, "The archive is empty");
    int64_t at = z.directory;
    for (int64_t i = 0; i < entries && r == 0; i++)
        r = read_entry(&z, &at);
    if (r == 0 && at != z.end)
        r = refuse(&z, "The archive is damaged or cut off");
    if (r == 0 && z.packed > size)
        r = refuse(&z, "The archive has entries that overlap");
    if (r == -EBADMSG)
        *ret_why = z.why;
    if (r == 0)
        *ret = (struct zip_directory){.entries = entries, .declared = z.declared};
    return r;
}
