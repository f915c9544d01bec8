/* SPDX-License-Identifier: MIT */
/* The JSON goes through a file without a name first: its length must be known before an archive takes it, and
 * half of one must not reach standard output. */
#include "ops/export.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "items/dump.h"
#include "ops/error.h"
#include "ops/manifest.h"
#include "ops/native.h"
#include "ops/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define WHERE_MAX 128

struct run {
    const struct export_options *options;
    struct export_summary *summary;
    struct ops_error *error;
    FILE *out;
};

struct page {
    const struct dump *dump;
    const json_t *after;
    json_t *rows;
    int n;
};

static int page_unit(struct db_conn *c, void *arg)
{
    struct page *p = arg;
    p->n = dump_page(c, p->dump, p->after, p->rows);
    return p->n < 0 ? p->n : 0;
}

typedef int (*row_fn)(struct run *run, const json_t *row, size_t i, void *ctx);

/* Calls visit for every row of a dump, a page at a time. */
static int each_row(struct run *run, const struct dump *dump, row_fn visit, void *ctx)
{
    _cleanup_json_ json_t *last = NULL;
    struct page p = {.dump = dump, .n = DUMP_PAGE};
    for (size_t seen = 0; p.n == DUMP_PAGE;) {
        _cleanup_json_ json_t *rows = p.rows = json_array();
        json_t *row = NULL;
        size_t i;
        int r = rows ? db_read(run->options->db, page_unit, &p) : -ENOMEM;
        if (r < 0)
            return ops_fail(run->error, r, "the store failed at %s: %s", dump->table, strerror(-r));
        json_array_foreach (rows, i, row)
            if ((r = visit(run, row, seen++, ctx)) < 0)
                return r;
        json_decref(last);
        last = json_incref(
            json_object_get(json_array_get(rows, json_array_size(rows) - 1), dump->columns[0].name));
        p.after = last;
    }
    return 0;
}

/* ---- the JSON */

static int put(struct run *run, const char *text)
{
    return fputs(text, run->out) >= 0 ? 0 : ops_fail_errno(run->error, -errno, "the export can't be written");
}

static int print_row(struct run *run, const json_t *row, size_t i, void *ctx)
{
    (void)ctx;
    run->summary->rows++;
    if (put(run, i ? ",\n    " : "\n    ") < 0)
        return -EIO;
    return json_dumpf(row, run->out, JSON_COMPACT) == 0
               ? 0
               : ops_fail_errno(run->error, errno ? -errno : -ENOMEM, "the export can't be written");
}

static int print_rows(struct run *run, const struct dump *dump, const char *name, bool first)
{
    char head[WHERE_MAX];
    (void)snprintf(head, sizeof head, "%s\n   \"%s\": [", first ? "" : ",", name);
    int r = put(run, head);
    if (r == 0)
        r = each_row(run, dump, print_row, NULL);
    return r == 0 ? put(run, "]") : r;
}

static int print_collections(struct run *run)
{
    char where[WHERE_MAX];
    bool first = true;
    int r = put(run, " \"collections\": {");
    for (const struct collection *c = access_table; c->name && r == 0; c++) {
        if (!c->owner)
            continue;
        (void)snprintf(where, sizeof where, "\"%s\" = ?1", c->owner);
        r = print_rows(run, &(struct dump){c->name, c->columns, where, DB_TEXT(run->options->user_id)},
                       c->name, first);
        first = false;
    }
    return r == 0 ? put(run, "\n },\n") : r;
}

static int print_native(struct run *run)
{
    bool first = true;
    int r = put(run, " \"anythingllm\": {");
    for (const struct native_table *t = native_tables; t->name && r == 0; t++) {
        r = print_rows(run, &(struct dump){t->name, t->columns, t->where, DB_INT(run->options->native_id)},
                       t->name, first);
        first = false;
    }
    return r == 0 ? put(run, "\n },\n") : r;
}

static struct dump files_of(const struct run *run)
{
    return (struct dump){"directus_files", stored_file_columns, "uploaded_by = ?1",
                         DB_TEXT(run->options->user_id)};
}

static int print_export(struct run *run)
{
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    _cleanup_json_ json_t *email = json_string(run->options->email);
    struct dump files = files_of(run);
    if (!email || fprintf(run->out, "{\n \"exported\": \"%s\",\n \"email\": ", now) < 0 ||
        json_dumpf(email, run->out, JSON_ENCODE_ANY) < 0 || put(run, ",\n") < 0)
        return ops_fail(run->error, -EIO, "the export can't be written");
    int r = print_collections(run);
    if (r == 0)
        r = print_native(run);
    size_t rows = run->summary->rows;
    if (r == 0)
        r = put(run, " \"stored\": {");
    if (r == 0)
        r = print_rows(run, &files, "files", true);
    run->summary->rows = rows; /* the same rows as above, by another name */
    if (r == 0)
        r = put(run, "\n }\n}\n");
    return r == 0 && fflush(run->out) != 0 ? ops_fail_errno(run->error, -errno, "the export can't be written")
                                           : r;
}

/* ---- where it goes */

static int open_nameless(struct run *run)
{
    char path[PACK_PATH_SIZE];
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/genie-export-XXXXXX", dir && dir[0] ? dir : "/var/tmp");
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return ops_fail_errno(run->error, -errno, path);
    (void)unlink(path);
    run->out = fdopen(fd, "w+");
    if (!run->out)
        return ops_fail_errno(run->error, -errno, path);
    (void)TAKE_FD(fd);
    return 0;
}

static int copy_to_stdout(struct run *run)
{
    char chunk[8192];
    size_t n;
    rewind(run->out);
    while ((n = fread(chunk, 1, sizeof chunk, run->out)) > 0)
        if (fwrite(chunk, 1, n, stdout) != n)
            return ops_fail_errno(run->error, -errno, "the export can't be written");
    return fflush(stdout) == 0 ? 0 : ops_fail_errno(run->error, -errno, "the export can't be written");
}

static int pack_stored(struct run *run, const json_t *row, size_t i, void *ctx)
{
    (void)i;
    struct stat st;
    char name[sizeof MEMBER_FILES + UUID_SIZE];
    const char *id = json_str(row, "id", "");
    (void)snprintf(name, sizeof name, MEMBER_FILES "%s", id);
    _cleanup_close_ int fd = file_open_bytes(run->options->files, id);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        run->summary->absent++;
        return 0;
    }
    run->summary->files++;
    return pack_file(ctx, name, fd, st.st_size, NULL);
}

static int pack_members(struct run *run, struct pack *pack)
{
    struct stat st;
    int fd = fileno(run->out);
    struct dump files = files_of(run);
    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return ops_fail_errno(run->error, -errno, "the export can't be written");
    int r = pack_file(pack, "export.json", fd, st.st_size, NULL);
    return r == 0 ? each_row(run, &files, pack_stored, pack) : r;
}

static int pack_export(struct run *run)
{
    int64_t size;
    struct pack pack = {.path = run->options->path,
                        .force = run->options->force,
                        .compression = PACK_GZIP,
                        .error = run->error};
    int r = pack_open(&pack);
    if (r == 0)
        r = print_export(run);
    if (r == 0)
        r = pack_members(run, &pack);
    if (r == 0)
        r = pack_publish(&pack, &size);
    pack_done(&pack);
    return r;
}

static int print_alone(struct run *run)
{
    int r = print_export(run);
    return r == 0 ? copy_to_stdout(run) : r;
}

int export_user(const struct export_options *options, struct export_summary *ret, struct ops_error *ret_error)
{
    struct export_summary summary = {0};
    struct run run = {.options = options, .summary = &summary, .error = ret_error};
    ops_use_utf8();
    int r = open_nameless(&run);
    if (r == 0)
        r = options->path ? pack_export(&run) : print_alone(&run);
    if (run.out)
        (void)fclose(run.out);
    if (r == 0)
        *ret = summary;
    return r;
}
