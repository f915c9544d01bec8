/* SPDX-License-Identifier: MIT */
#include "skills/folder.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#define SKILL_FILE_NAME "SKILL.md"

DEFINE_CLEANUP(FTS *, fts_close);

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_markdown(const char *name)
{
    size_t len = strlen(name);
    return len > 3 && str_equal_nocase(name + len - 3, ".md");
}

static bool holds_skill_file(const char *dir)
{
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", dir, SKILL_FILE_NAME);
    return n > 0 && (size_t)n < sizeof path && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int add(struct arena *a, struct folder *f, const char *path, int error)
{
    if (f->n == FOLDER_FILES_MAX)
        return -E2BIG;
    f->entries[f->n] = (struct folder_entry){arena_strdup(a, path), error};
    return f->entries[f->n++].path ? 0 : -ENOMEM;
}

static int add_skill_folder(struct arena *a, struct folder *f, const char *relative)
{
    const char *path = arena_printf(a, "%s%s%s", relative, *relative ? "/" : "", SKILL_FILE_NAME);
    return path ? add(a, f, path, 0) : -ENOMEM;
}

/* Why an entry can't be gone into: 0 where nothing is in the way, or it is nothing that would be a skill. */
static int fault_of(const FTSENT *e)
{
    switch (e->fts_info) {
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return e->fts_errno ? -e->fts_errno : -EIO;
    case FTS_F:
        return e->fts_level > FOLDER_DEPTH_MAX && is_markdown(e->fts_name) ? -EXDEV : 0;
    case FTS_D:
        return e->fts_level > FOLDER_DEPTH_MAX ? -EXDEV : 0;
    default:
        return 0;
    }
}

/* Hidden names are skipped; of a skill's own folder, everything but its SKILL.md. */
static int visit(struct arena *a, FTS *walk, FTSENT *e, size_t root_len, struct folder *f)
{
    const char *relative = e->fts_path + root_len;
    bool hidden = e->fts_level > 0 && e->fts_name[0] == '.';
    bool skill_folder = e->fts_info == FTS_D && holds_skill_file(e->fts_path);
    int fault = hidden ? 0 : fault_of(e);
    relative += *relative == '/';
    if (hidden || fault || skill_folder)
        (void)fts_set(walk, e, FTS_SKIP);
    if (hidden)
        return 0;
    if (fault)
        return add(a, f, relative, fault);
    if (skill_folder)
        return add_skill_folder(a, f, relative);
    return e->fts_info == FTS_F && is_markdown(e->fts_name) ? add(a, f, relative, 0) : 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct folder_entry *)a)->path, ((const struct folder_entry *)b)->path);
}

int folder_list(struct arena *a, const char *dir, struct folder *ret)
{
    char *copy = arena_strdup(a, dir);
    struct folder f = {.entries = arena_alloc(a, FOLDER_FILES_MAX * sizeof *f.entries)};
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!copy || !f.entries)
        return -ENOMEM;
    if (fd < 0)
        return -errno;
    size_t len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    _cleanup_(fts_closeP) FTS *walk =
        fts_open((char *const[]){copy, NULL}, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
    if (!walk)
        return -errno;
    int r = 0;
    errno = 0;
    for (FTSENT *e; r == 0 && (e = fts_read(walk));)
        r = visit(a, walk, e, len, &f);
    if (r == 0 && errno)
        r = -errno;
    if (r < 0)
        return r;
    qsort(f.entries, f.n, sizeof *f.entries, by_path);
    *ret = f;
    return 0;
}

/* Regular files alone: a pipe would be waited for. */
int folder_read(struct arena *a, const char *dir, const char *path, size_t max, char **ret, size_t *ret_len)
{
    struct stat st;
    const char *whole = arena_printf(a, "%s/%s", dir, path);
    if (!whole)
        return -ENOMEM;
    _cleanup_close_ int fd = open(whole, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > (off_t)max)
        return -EFBIG;
    char *text = arena_alloc(a, (size_t)st.st_size + 1);
    if (!text)
        return -ENOMEM;
    size_t len = 0;
    while (len < (size_t)st.st_size) {
        ssize_t n = read(fd, text + len, (size_t)st.st_size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret = text;
    *ret_len = len;
    return 0;
}
