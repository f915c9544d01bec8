/* SPDX-License-Identifier: MIT */
/* AnythingLLM keeps the text of a document in a file and its pieces in a vector database. Here an answer
 * rests on the nodes of the user who asks; so a document becomes nodes (type "document", in parts of at most
 * DOCUMENT_PART bytes, without decay) of each account that is a member of its workspace. A node that was
 * deleted here is not made again. */
#include "import/job.h"

#include "base/text.h"
#include "base/uuid.h"
#include "import/document.h"
#include "import/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH 100
#define READERS_MAX 1000 /* accounts of one workspace */
#define TEXTS_MAX ((size_t)256 << 20)
#define KEPT_AS "document_nodes" /* "<document>:<account>" */

struct listed {
    int64_t old_id, workspace;
    char path[1025];
};

struct document_run {
    struct import_job *job;
    struct report_table *report;
    int dir;
    int64_t after, done;
    struct listed list[BATCH];
    size_t n, at;
    char readers[READERS_MAX][UUID_SIZE]; /* that don't have it yet */
    size_t n_readers, reader;
    struct document document;
    struct arena texts;
};

static int list_unit(struct db_conn *c, void *arg)
{
    struct document_run *d = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    d->n = 0;
    int r = db_query(c,
                     "SELECT w.id, CAST(m.old_id AS BIGINT), w.\"workspaceId\", w.docpath FROM import_rows m "
                     "JOIN workspace_documents w ON w.id = m.new_id WHERE m.source_id = ?1 "
                     "AND m.table_name = 'workspace_documents' AND w.id > ?2 ORDER BY w.id LIMIT ?3",
                     DB_ARGS(DB_INT(d->job->source_id), DB_INT(d->after), DB_INT(BATCH)), &rows);
    while (r >= 0 && d->n < BATCH && (r = db_next(rows)) > 0) {
        struct listed *l = &d->list[d->n++];
        l->old_id = db_int(rows, 1);
        l->workspace = db_int(rows, 2);
        (void)snprintf(l->path, sizeof l->path, "%s", db_text(rows, 3));
        d->after = db_int(rows, 0);
    }
    return r < 0 ? r : 0;
}

static void make_key(const struct document_run *d, const char *reader, char ret[OLD_ID_MAX])
{
    (void)snprintf(ret, OLD_ID_MAX, "%lld:%s", (long long)d->list[d->at].old_id, reader);
}

static int readers_unit(struct db_conn *c, void *arg)
{
    struct document_run *d = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    char key[OLD_ID_MAX];
    int64_t id;
    size_t all = 0;
    d->n_readers = 0;
    int r = db_query(c,
                     "SELECT DISTINCT a.id FROM workspace_users m JOIN directus_users a "
                     "ON a.anythingllm_user_id = m.user_id WHERE m.workspace_id = ?1 ORDER BY a.id LIMIT ?2",
                     DB_ARGS(DB_INT(d->list[d->at].workspace), DB_INT(READERS_MAX)), &rows);
    while (r >= 0 && all < READERS_MAX && (r = db_next(rows)) > 0) {
        const char *reader = db_text(rows, 0);
        all++;
        make_key(d, reader, key);
        int known = ids_known(c, d->job->source_id, KEPT_AS, key, &id);
        if (known < 0)
            return known;
        if (known == 0)
            (void)snprintf(d->readers[d->n_readers++], UUID_SIZE, "%s", reader);
    }
    return r < 0 ? r : all > 0;
}

static int add_node(struct db_conn *c, struct document_run *d, const char *title, const char *text,
                    size_t len)
{
    char id[UUID_SIZE];
    _cleanup_free_ char *part = strndup(text, len);
    uuid_make(id);
    if (!part)
        return -ENOMEM;
    return db_exec(
        c,
        "INSERT INTO user_nodes (id, user_id, node_type, title, content, tags, weight, decay_rate) "
        "VALUES (?1, ?2, 'document', ?3, ?4, '[\"document\"]', 0.5, 0)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(d->readers[d->reader]), DB_TEXT(title), DB_TEXT(part)), NULL);
}

static int nodes_unit(struct db_conn *c, void *arg)
{
    struct document_run *d = arg;
    const struct document *doc = &d->document;
    char key[OLD_ID_MAX], title[256];
    size_t parts = 0, part = 0;
    for (size_t at = 0; at < doc->len; at += document_part(doc->text + at, doc->len - at))
        parts++;
    for (size_t at = 0, len; at < doc->len; at += len) {
        len = document_part(doc->text + at, doc->len - at);
        if (parts > 1)
            (void)snprintf(title, sizeof title, "%s (%zu/%zu)", doc->title, ++part, parts);
        int r = add_node(c, d, parts > 1 ? title : doc->title, doc->text + at, len);
        if (r < 0)
            return r;
    }
    make_key(d, d->readers[d->reader], key);
    return ids_keep(c, d->job->source_id, KEPT_AS, key, 0);
}

/* ---- files */

static int read_whole(int fd, char *to, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = read(fd, to + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        got += (size_t)n;
    }
    return 0;
}

/* 0, or -ENOENT, -EINVAL, -E2BIG as the reasons below. */
static int read_document(struct document_run *d)
{
    struct stat st;
    _cleanup_close_ int fd = document_open(d->dir, d->list[d->at].path);
    if (fd < 0)
        return fd == -ENOMEM ? fd : -ENOENT;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -ENOENT;
    if (st.st_size > (off_t)DOCUMENT_FILE_MAX)
        return -E2BIG;
    char *data = arena_alloc(&d->texts, (size_t)st.st_size + 1);
    int r = data ? read_whole(fd, data, (size_t)st.st_size) : -ENOMEM;
    return r < 0 ? r : document_parse(&d->texts, data, (size_t)st.st_size, &d->document);
}

static int leave(struct document_run *d, const char *why)
{
    report_count(d->report, OUTCOME_LEFT);
    report_why(d->report, true, why, d->list[d->at].old_id);
    return 0;
}

static int import_one(struct document_run *d)
{
    int r = db_read(d->job->db, readers_unit, d);
    if (r == 0)
        return leave(d, "no account here is a member of its workspace");
    if (r > 0 && d->n_readers == 0) {
        report_count(d->report, OUTCOME_THERE);
        return 0;
    }
    if (r > 0)
        r = read_document(d);
    if (r == -ENOENT)
        return leave(d, "its file is not in the folder");
    if (r == -EINVAL)
        return leave(d, "its file holds no text");
    if (r == -E2BIG)
        return leave(d, "its file is too large");
    for (d->reader = 0; d->reader < d->n_readers && r >= 0; d->reader++)
        r = db_write(d->job->db, nodes_unit, d);
    if (r >= 0)
        report_count(d->report, OUTCOME_ADDED);
    return r < 0 ? r : 0;
}

static int import_all(struct document_run *d)
{
    for (;;) {
        int r = db_read(d->job->db, list_unit, d);
        if (r < 0 || d->n == 0)
            return r;
        for (d->at = 0; d->at < d->n && r == 0; d->at++) {
            r = import_one(d);
            arena_free(&d->texts);
            job_progress(d->job, "documents", ++d->done, 0);
        }
        if (r < 0)
            return r;
    }
}

/* The storage folder or its folder `documents`. */
static int open_folder(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int inner = openat(dir, "documents", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (inner >= 0) {
        close(dir);
        return inner;
    }
    return dir;
}

int import_documents(struct import_job *job)
{
    const char *folder = job->options->documents;
    if (!folder)
        return 0;
    _cleanup_close_ int dir = open_folder(folder);
    if (dir < 0)
        return job_fail(job, dir, "%s can't be opened: %s", folder, strerror(-dir));
    struct document_run *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->job = job;
    d->dir = dir;
    d->report = report_table(&job->result->report, "documents");
    arena_init(&d->texts, TEXTS_MAX);
    int r = import_all(d);
    arena_free(&d->texts);
    free(d);
    return r < 0 ? job_fail(job, r, "the documents can't be brought in: %s", strerror(-r)) : 0;
}
