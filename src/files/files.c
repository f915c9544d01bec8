/* SPDX-License-Identifier: MIT */
#include "files/internal.h"

#include "base/keep.h"
#include "base/log.h"
#include "base/text.h"
#include "files/image_size.h"
#include "files/sniff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define MIB ((int64_t)1024 * 1024)

/* ---- the directories */

static int make_directory(const char *path)
{
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* All of them at once, and flushed: a file that is kept later has every entry above it on the disk. */
static int make_directories(const struct files *files)
{
    char path[PATH_MAX];
    int r = make_directory(files->root);
    for (unsigned i = 0; i < FILES_FANOUT && r == 0; i++) {
        if (snprintf(path, sizeof path, "%s/%02x", files->root, i) >= (int)sizeof path)
            return -ENAMETOOLONG;
        r = make_directory(path);
    }
    return r < 0 ? r : keep_directory(files->root);
}

int files_open(const struct config *cfg, struct db *db, struct files **ret)
{
    struct files *files = calloc(1, sizeof *files);
    if (!files)
        return -ENOMEM;
    files->db = db;
    files->most_bytes = cfg->max_storage_mb_per_user * MIB;
    pthread_mutex_init(&files->lock, NULL);
    cond_init(&files->ended);
    int r = asprintf(&files->root, "%s/files", cfg->data_dir) < 0 ? -ENOMEM : make_directories(files);
    if (r == 0)
        r = keep_directory(cfg->data_dir);
    if (r < 0) {
        (void)log_error(r, "can't make the directory for files");
        files_close(files);
        return r;
    }
    *ret = files;
    return 0;
}

void files_close(struct files *files)
{
    if (!files)
        return;
    files_end_sweeping(files);
    pthread_cond_destroy(&files->ended);
    pthread_mutex_destroy(&files->lock);
    free(files->root);
    free(files);
}

void files_closeP(struct files **files)
{
    files_close(*files);
}

int files_path(const struct files *files, const char *id, char *to, size_t size)
{
    char lower[UUID_SIZE];
    if (!uuid_valid(id))
        return -ENOENT;
    memcpy(lower, id, UUID_SIZE);
    str_lower(lower);
    return snprintf(to, size, "%s/%.2s/%s", files->root, lower, lower) < (int)size ? 0 : -ENAMETOOLONG;
}

/* ---- looking */

static ssize_t read_beginning(int fd, uint8_t *to, size_t most)
{
    size_t len = 0;
    while (len < most) {
        ssize_t n = pread(fd, to + len, most - len, (off_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

int file_look(int fd, struct file_kind *ret)
{
    struct stat st;
    _cleanup_free_ uint8_t *data = malloc(IMAGE_SIZE_BYTES);
    if (!data)
        return -ENOMEM;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    ssize_t len = read_beginning(fd, data, IMAGE_SIZE_BYTES);
    if (len < 0)
        return (int)len;
    struct file_kind kind = {.bytes = st.st_size};
    kind.type = sniff_type(data, (size_t)len, len == st.st_size);
    (void)image_size(kind.type, data, (size_t)len, &kind.width, &kind.height);
    *ret = kind;
    return 0;
}

/* ---- storing */

/* A write to the owner's row, so that two files that come at once are counted one behind the other. */
static int lock_owner(struct db_conn *c, const char *owner)
{
    int64_t changed = 0;
    int r = db_exec(c, "UPDATE directus_users SET status = status WHERE id = ?1", DB_ARGS(DB_TEXT(owner)),
                    &changed);
    return r < 0 ? r : changed == 1 ? 0 : -ENOENT;
}

static int check_room(const struct files *files, struct db_conn *c, const char *owner, int64_t bytes)
{
    int64_t used = 0;
    if (files->most_bytes == 0)
        return 0;
    int r = db_query_int(
        c, "SELECT CAST(coalesce(sum(filesize), 0) AS BIGINT) FROM directus_files WHERE uploaded_by = ?1",
        DB_ARGS(DB_TEXT(owner)), &used);
    if (r < 0)
        return r;
    return bytes > files->most_bytes - used ? -EDQUOT : 0;
}

struct room {
    const struct files *files;
    const char *owner;
    int64_t bytes;
};

static int room_unit(struct db_conn *c, void *arg)
{
    const struct room *room = arg;
    return check_room(room->files, c, room->owner, room->bytes);
}

int file_room(struct files *files, const char *owner, int64_t bytes)
{
    return db_read(files->db, room_unit, &(struct room){files, owner, bytes});
}

int file_add_in(struct files *files, struct db_conn *c, const char *id, const struct file_new *in)
{
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    int r = lock_owner(c, in->owner);
    if (r == 0)
        r = check_room(files, c, in->owner, in->kind.bytes);
    if (r == 0)
        r = db_exec(
            c,
            "INSERT INTO directus_files (id, storage, filename_disk, filename_download, title, type,"
            " uploaded_by, created_on, uploaded_on, modified_by, modified_on, filesize, width, height,"
            " description, tags)"
            " VALUES (?1, 'local', ?12, ?2, ?3, ?4, ?5, ?6, ?6, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            DB_ARGS(DB_TEXT(id), DB_TEXT(in->name), DB_TEXT(in->title), DB_TEXT(in->kind.type),
                    DB_TEXT(in->owner), DB_TEXT(now), DB_INT(in->kind.bytes),
                    in->kind.width ? DB_INT(in->kind.width) : DB_NULL,
                    in->kind.height ? DB_INT(in->kind.height) : DB_NULL, DB_TEXT(in->description),
                    DB_TEXT(in->tags), DB_TEXT(id)),
            NULL);
    return r == 0 && in->also ? in->also(c, id, in->arg) : r;
}

/* The sweep goes by the time of the last write, and what a job made may have lain about. */
static int touch(int fd)
{
    return futimens(fd, NULL) < 0 ? -errno : 0;
}

int file_stage(struct files *files, int fd, char *ret_id)
{
    char path[PATH_MAX], id[UUID_SIZE];
    uuid_make(id);
    int r = files_path(files, id, path, sizeof path);
    if (r == 0)
        r = touch(fd);
    if (r == 0)
        r = keep_file(fd, path);
    if (r == 0)
        memcpy(ret_id, id, sizeof id);
    return r;
}

struct putting {
    struct files *files;
    const struct file_new *in;
    const char *id;
};

static int put_unit(struct db_conn *c, void *arg)
{
    const struct putting *p = arg;
    return file_add_in(p->files, c, p->id, p->in);
}

int file_put(struct files *files, const struct file_new *in, char *ret_id)
{
    char id[UUID_SIZE];
    int r = file_stage(files, in->fd, id);
    if (r < 0)
        return r;
    r = db_write(files->db, put_unit, &(struct putting){files, in, id});
    /* whether a unit that ended in -EIO was done may be unknown (db/db.h): its bytes are left to the sweep */
    if (r < 0 && r != -EIO)
        (void)file_forget(files, id);
    if (r < 0)
        return r;
    memcpy(ret_id, id, sizeof id);
    return 0;
}

/* ---- reading */

int file_open_bytes(struct files *files, const char *id)
{
    char path[PATH_MAX];
    int r = files_path(files, id, path, sizeof path);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

struct finding {
    const char *owner, *id;
    struct arena *arena;
    struct file_info *info;
};

static int find_unit(struct db_conn *c, void *arg)
{
    struct finding *f = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r =
        db_query(c,
                 "SELECT id, filename_download, type, filesize, uploaded_on, uploaded_by FROM directus_files"
                 " WHERE id = ?1",
                 DB_ARGS(DB_TEXT(f->id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    if (f->owner && !str_equal_nocase(db_text(rows, 5), f->owner))
        return -ENOENT;
    if (!f->info)
        return 0;
    (void)snprintf(f->info->id, UUID_SIZE, "%s", db_text(rows, 0));
    f->info->name = db_text_dup(rows, 1, f->arena);
    f->info->type = db_text_dup(rows, 2, f->arena);
    f->info->bytes = db_int(rows, 3);
    f->info->uploaded_on = db_text_dup(rows, 4, f->arena);
    return f->info->name ? 0 : -ENOMEM;
}

int file_open(struct files *files, const char *owner, const char *id, struct arena *a, struct file_info *ret)
{
    char lower[UUID_SIZE];
    if (!uuid_valid(id))
        return -ENOENT;
    memcpy(lower, id, UUID_SIZE);
    str_lower(lower);
    int r = db_read(files->db, find_unit, &(struct finding){owner, lower, a, ret});
    if (r < 0)
        return r;
    r = file_open_bytes(files, lower);
    if (r == -ENOENT) {
        log_event(LOG_ERROR, "the bytes of a file are missing", LOG_S("file", lower));
        return -EIO;
    }
    return r;
}

bool file_forget(struct files *files, const char *id)
{
    char path[PATH_MAX];
    if (files_path(files, id, path, sizeof path) < 0)
        return false;
    if (unlink(path) == 0)
        return true;
    if (errno != ENOENT)
        log_event(LOG_WARN, "a file is left to the sweep", LOG_S("file", id),
                  LOG_S("error", strerror(errno)));
    return false;
}
