/* SPDX-License-Identifier: MIT */
/* Directory by directory: the names of old files are gathered, those that have a row are struck out in one
 * reading, and the others go. Bytes come before their row by the length of one unit, and by an hour's age
 * they have it or never will. */
#include "files/internal.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define SWEEP_EVERY_MS (60 * 60 * INT64_C(1000))
#define BATCH 512

struct batch {
    char ids[BATCH][UUID_SIZE];
    bool has_row[BATCH];
    size_t n;
};

static int strike_out_unit(struct db_conn *c, void *arg)
{
    struct batch *b = arg;
    int64_t one;
    for (size_t i = 0; i < b->n; i++) {
        int r =
            db_query_int(c, "SELECT 1 FROM directus_files WHERE id = ?1", DB_ARGS(DB_TEXT(b->ids[i])), &one);
        if (r < 0)
            return r;
        b->has_row[i] = r > 0;
    }
    return 0;
}

static int has_rows_unit(struct db_conn *c, void *arg)
{
    bool *any = arg;
    int64_t one;
    int r = db_query_int(c, "SELECT 1 FROM directus_files LIMIT 1", DB_NO_ARGS, &one);
    *any = r > 0;
    return r < 0 ? r : 0;
}

static bool is_old(int directory, const char *name, int64_t now_ms)
{
    struct stat st;
    return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           now_ms / 1000 - (int64_t)st.st_mtime > FILES_ORPHAN_AGE_S;
}

/* Fills the batch with what the directory still has; whatever isn't one of our names is left alone. */
static void gather(DIR *directory, int64_t now_ms, struct batch *b)
{
    const struct dirent *entry;
    b->n = 0;
    while (b->n < BATCH && (entry = readdir(directory)))
        if (uuid_valid(entry->d_name) && is_old(dirfd(directory), entry->d_name, now_ms))
            memcpy(b->ids[b->n++], entry->d_name, UUID_SIZE);
}

static void remove_orphans(int directory, const struct batch *b, struct files_swept *swept)
{
    for (size_t i = 0; i < b->n; i++) {
        swept->seen++;
        if (!b->has_row[i] && unlinkat(directory, b->ids[i], 0) == 0)
            swept->removed++;
    }
}

static int sweep_directory(struct files *files, const char *path, struct batch *b, int64_t now_ms,
                           struct files_swept *swept)
{
    DIR *directory = opendir(path);
    if (!directory)
        return -errno;
    int r = 0;
    do {
        gather(directory, now_ms, b);
        r = b->n > 0 ? db_read(files->db, strike_out_unit, b) : 0;
        if (r == 0)
            remove_orphans(dirfd(directory), b, swept);
    } while (r == 0 && b->n == BATCH);
    (void)closedir(directory);
    return r;
}

static bool is_ending(struct files *files)
{
    pthread_mutex_lock(&files->lock);
    bool ending = files->ending;
    pthread_mutex_unlock(&files->lock);
    return ending;
}

int files_sweep(struct files *files, int64_t now_ms, struct files_swept *ret)
{
    char path[PATH_MAX];
    bool any = false;
    *ret = (struct files_swept){0};
    int r = db_read(files->db, has_rows_unit, &any);
    if (r < 0)
        return r;
    if (!any) {
        log_event(LOG_DEBUG, "no file has a row, so nothing is swept");
        return 0;
    }
    _cleanup_free_ struct batch *b = malloc(sizeof *b);
    if (!b)
        return -ENOMEM;
    for (unsigned i = 0; i < FILES_FANOUT && r == 0 && !is_ending(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%02x", files->root, i);
        r = sweep_directory(files, path, b, now_ms, ret);
    }
    return r;
}

/* ---- its thread */

static void sweep_once(struct files *files)
{
    struct files_swept swept;
    int r = files_sweep(files, clock_now_ms(), &swept);
    if (r < 0)
        (void)log_error(r, "files could not be swept");
    if (swept.removed > 0)
        log_event(LOG_INFO, "files without a row were removed", LOG_N("files", swept.removed),
                  LOG_N("seen", swept.seen));
}

static void *sweep_thread(void *arg)
{
    struct files *files = arg;
    pthread_mutex_lock(&files->lock);
    while (!files->ending) {
        pthread_mutex_unlock(&files->lock);
        sweep_once(files);
        struct timespec next = clock_deadline(SWEEP_EVERY_MS);
        pthread_mutex_lock(&files->lock);
        while (!files->ending && pthread_cond_timedwait(&files->ended, &files->lock, &next) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&files->lock);
    return NULL;
}

int files_begin_sweeping(struct files *files)
{
    int r = pthread_create(&files->thread, NULL, sweep_thread, files);
    files->sweeping = r == 0;
    if (r == 0)
        (void)pthread_setname_np(files->thread, "genie-files");
    return -r;
}

void files_end_sweeping(struct files *files)
{
    if (!files->sweeping)
        return;
    pthread_mutex_lock(&files->lock);
    files->ending = true;
    pthread_cond_broadcast(&files->ended);
    pthread_mutex_unlock(&files->lock);
    (void)pthread_join(files->thread, NULL);
    files->sweeping = false;
}
