/* SPDX-License-Identifier: MIT */
#include "reader/archive.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "reader/formats.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AT_ONCE ((size_t)64 * 1024)

struct walk {
    struct archive *archive;
    const struct zip_limits *limits;
    int64_t size, unpacked, unpacked_max, entries;
    struct corpus *corpus;
    struct cancel limit; /* of all of it; its parent is the caller's cancel */
    struct buf data;     /* of the present file */
    const char *why;
};

static int refuse(struct walk *w, const char *why)
{
    w->why = why;
    return -EBADMSG;
}

static int refuse_read(struct walk *w)
{
    return archive_errno(w->archive) == ENOMEM ? -ENOMEM : refuse(w, "The archive is damaged or cut off");
}

static int count(struct walk *w, size_t len)
{
    w->unpacked += (int64_t)len;
    if (w->unpacked > w->unpacked_max)
        return refuse(w, "The archive is too large when it is unpacked");
    if (cancel_raised(w->limit.parent))
        return -ECANCELED;
    return cancel_raised(&w->limit) ? refuse(w, "The archive takes too long to be read") : 0;
}

/* The file's bytes, at most one more than a file may have. */
static int read_data(struct walk *w)
{
    buf_reset(&w->data);
    while (w->data.len <= FORMAT_FILE_MAX) {
        const void *piece;
        size_t len;
        la_int64_t offset;
        int got = archive_read_data_block(w->archive, &piece, &len, &offset);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK)
            return refuse_read(w);
        int r = count(w, len);
        if (r == 0 && len > w->data.max - w->data.len)
            len = w->data.max - w->data.len;
        if (r == 0)
            r = buf_add(&w->data, piece, len);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What file managers leave in archives, and hidden files. */
static bool is_litter(const char *name)
{
    const char *slash = strrchr(name, '/');
    return str_has_prefix(name, "__MACOSX/") || (slash ? slash[1] : name[0]) == '.';
}

static int visit(struct walk *w, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    char numbered[32];
    if (++w->entries > w->limits->entries)
        return refuse(w, "The archive has too many entries");
    if (archive_entry_filetype(entry) != S_IFREG)
        return 0;
    if (!name || !utf8_valid(name, strlen(name))) {
        (void)snprintf(numbered, sizeof numbered, "entry %lld", (long long)w->entries);
        name = numbered;
    }
    if (is_litter(name))
        return 0;
    const struct format *f = format_of(name);
    int r = f && f->read ? read_data(w) : count(w, 0);
    const char *data = w->data.data ? w->data.data : "";
    if (r == 0)
        r = format_read_file(w->corpus, name, (uint32_t)w->entries, data, w->data.len);
    return r < 0 ? r : count(w, 0); /* a reader that was stopped says nothing of it */
}

static int walk_entries(struct walk *w, archive_progress_fn progress, void *ctx)
{
    while (!corpus_is_full(w->corpus)) {
        struct archive_entry *entry;
        int got = archive_read_next_header(w->archive, &entry);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) /* a warning: the name isn't of this locale */
            return refuse_read(w);
        int r = visit(w, entry);
        if (r < 0)
            return r;
        int64_t at = archive_filter_bytes(w->archive, -1);
        if (progress && w->size > 0)
            progress(ctx, (int)(100 * (at < w->size ? at : w->size) / w->size));
    }
    corpus_remark(w->corpus, "the export", "it says more than is kept: the rest isn't read");
    return 0;
}

static int open_archive(struct walk *w, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    w->size = st.st_size;
    w->unpacked_max = st.st_size > w->limits->unpacked / w->limits->ratio ? w->limits->unpacked
                                                                          : st.st_size * w->limits->ratio;
    w->archive = archive_read_new();
    if (!w->archive || archive_read_support_format_zip_seekable(w->archive) != ARCHIVE_OK)
        return -ENOMEM;
    return archive_read_open_fd(w->archive, fd, READ_AT_ONCE) == ARCHIVE_OK ? 0 : refuse_read(w);
}

/* libarchive gives names in the thread's locale, and none where they can't be said in it. */
int archive_read_export(int fd, const struct zip_limits *limits, struct corpus *c, struct cancel *cancel,
                        archive_progress_fn progress, void *ctx, const char **ret_why)
{
    struct walk w = {.limits = limits,
                     .corpus = c,
                     .limit = {.deadline_ms = clock_monotonic_ms() + limits->time_ms, .parent = cancel},
                     .data = BUF_INIT(FORMAT_FILE_MAX + 1)};
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    c->cancel = &w.limit;
    int r = open_archive(&w, fd);
    if (r == 0)
        r = walk_entries(&w, progress, ctx);
    c->cancel = NULL;
    if (w.archive)
        (void)archive_read_free(w.archive);
    if (utf8) {
        (void)uselocale(before);
        freelocale(utf8);
    }
    buf_free(&w.data);
    if (r == -EBADMSG)
        *ret_why = w.why;
    return r;
}
