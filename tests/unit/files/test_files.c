/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"
#include "../support/temp_dir.h"

#include "files/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#define MIB (1024 * 1024)
#define AT_ONCE 8

struct place {
    struct store *store;
    struct files *files;
    struct account anna, bert;
    char dir[64];
};

static void prepare(struct place *p, void **state)
{
    *p = (struct place){.store = *state, .dir = "/tmp/genie-files-XXXXXX"};
    assert_non_null(mkdtemp(p->dir));
    const struct config cfg = {.data_dir = p->dir, .max_storage_mb_per_user = 2};
    assert_int_equal(files_open(&cfg, p->store->db, &p->files), 0);
    p->anna = person(p->store->db, "anna@example.com", "Creator");
    p->bert = person(p->store->db, "bert@example.com", "Creator");
}

static void leave(struct place *p)
{
    files_close(p->files);
    remove_dir(p->dir);
}

static int count(const struct place *p)
{
    int n = 0;
    for (unsigned i = 0; i < 256; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/files/%02x", p->dir, i);
        DIR *d = opendir(path);
        assert_non_null(d);
        for (const struct dirent *e = readdir(d); e; e = readdir(d))
            n += e->d_name[0] != '.';
        (void)closedir(d);
    }
    return n;
}

static const char *path_of(const struct place *p, const char *id)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/files/%.2s/%s", p->dir, id, id);
    return path;
}

static int put_with(struct place *p, const struct account *owner, const char *text, size_t size,
                    int (*also)(struct db_conn *c, const char *id, void *arg), char *ret_id)
{
    _cleanup_close_ int fd = open(p->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    struct file_new in = {.owner = owner->user_id, .name = "a.txt", .fd = fd, .also = also};
    assert_int_equal(file_look(fd, &in.kind), 0);
    return file_put(p->files, &in, ret_id);
}

static int put(struct place *p, const struct account *owner, const char *text, char *ret_id)
{
    return put_with(p, owner, text, strlen(text), NULL, ret_id);
}

/* ---- bytes first, the row with others */

struct adding {
    struct files *files;
    const char *id;
    struct file_new in;
    int r;
};

static int add_unit(struct db_conn *c, void *arg)
{
    const struct adding *a = arg;
    int r = file_add_in(a->files, c, a->id, &a->in);
    return r < 0 ? r : a->r;
}

static void bytes_may_come_first_and_their_row_with_others(void **state)
{
    struct place p;
    char id[UUID_SIZE];
    prepare(&p, state);
    _cleanup_close_ int fd = open(p.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "bytes", 5), 5);
    assert_int_equal(file_stage(p.files, fd, id), 0);
    assert_int_equal(count(&p), 1);
    assert_int_equal(file_open(p.files, p.anna.user_id, id, NULL, NULL), -ENOENT);

    struct adding a = {p.files, id, {.owner = p.anna.user_id, .name = "a.txt"}, -ECANCELED};
    assert_int_equal(file_look(fd, &a.in.kind), 0);
    assert_int_equal(db_write(p.store->db, add_unit, &a), -ECANCELED);
    assert_int_equal(file_open(p.files, p.anna.user_id, id, NULL, NULL), -ENOENT);
    a.r = 0;
    assert_int_equal(db_write(p.store->db, add_unit, &a), 0);
    _cleanup_close_ int kept = file_open(p.files, p.anna.user_id, id, NULL, NULL);
    assert_true(kept >= 0);

    assert_int_equal(file_room(p.files, p.anna.user_id, 2 * MIB - 5), 0);
    assert_int_equal(file_room(p.files, p.anna.user_id, 2 * MIB - 4), -EDQUOT);
    assert_int_equal(file_stage(p.files, fd, id), 0);
    a.in.kind.bytes = 2 * MIB;
    assert_int_equal(db_write(p.store->db, add_unit, &a), -EDQUOT);
    leave(&p);
}

static void what_is_put_is_there(void **state)
{
    struct place p;
    struct file_info info;
    struct arena a;
    char id[UUID_SIZE], text[16] = "";
    prepare(&p, state);
    arena_init(&a, 4096);
    assert_int_equal(put(&p, &p.anna, "hello", id), 0);
    _cleanup_close_ int fd = file_open(p.files, p.anna.user_id, id, &a, &info);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof text), 5);
    assert_string_equal(text, "hello");
    assert_string_equal(info.id, id);
    assert_string_equal(info.name, "a.txt");
    assert_string_equal(info.type, "text/plain");
    assert_int_equal(info.bytes, 5);
    _cleanup_close_ int any = file_open(p.files, NULL, id, NULL, NULL);
    assert_true(any >= 0);
    assert_int_equal(file_open(p.files, p.bert.user_id, id, NULL, NULL), -ENOENT);
    arena_free(&a);
    leave(&p);
}

static void no_other_name_leads_to_bytes(void **state)
{
    static const char *const names[] = {"",      ".",           "../genie.db",
                                        "..%2f", "/etc/passwd", "11111111-2222-4333-8444-55555555555/"};
    struct place p;
    char id[UUID_SIZE], other[UUID_SIZE];
    prepare(&p, state);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(file_open_bytes(p.files, names[i]), -ENOENT);
        assert_int_equal(file_open(p.files, NULL, names[i], NULL, NULL), -ENOENT);
    }
    /* nor does a link that somebody has put there */
    assert_int_equal(put(&p, &p.anna, "hello", id), 0);
    uuid_make(other);
    assert_int_equal(symlink("/etc/passwd", path_of(&p, other)), 0);
    assert_int_equal(file_open_bytes(p.files, other), -ELOOP);
    leave(&p);
}

static int fail_unit(struct db_conn *c, const char *id, void *arg)
{
    (void)c, (void)id, (void)arg;
    return -ECANCELED;
}

static void a_unit_that_fails_leaves_nothing(void **state)
{
    struct place p;
    char id[UUID_SIZE];
    struct account nobody = {.user_id = "11111111-2222-4333-8444-555555555555"};
    prepare(&p, state);
    assert_int_equal(put_with(&p, &p.anna, "hello", 5, fail_unit, id), -ECANCELED);
    assert_int_equal(put(&p, &nobody, "hello", id), -ENOENT);
    assert_int_equal(put_with(&p, &p.anna, "", 2 * MIB + 1, NULL, id), -EDQUOT);
    assert_int_equal(count(&p), 0);
    leave(&p);
}

struct sender {
    struct place *p;
    pthread_t thread;
    int r;
};

static void *send_half(void *arg)
{
    struct sender *s = arg;
    char id[UUID_SIZE];
    s->r = put_with(s->p, &s->p->anna, "x", MIB / 2, NULL, id);
    return NULL;
}

static void of_many_at_once_only_those_are_stored_that_fit(void **state)
{
    struct place p;
    struct sender senders[AT_ONCE];
    int stored = 0;
    char id[UUID_SIZE];
    prepare(&p, state);
    for (int i = 0; i < AT_ONCE; i++) {
        senders[i].p = &p;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_half, &senders[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        assert_true(senders[i].r == 0 || senders[i].r == -EDQUOT);
        stored += senders[i].r == 0;
    }
    assert_int_equal(stored, 4);
    assert_int_equal(count(&p), 4);
    assert_int_equal(put(&p, &p.bert, "others have their own", id), 0);
    leave(&p);
}

static void age(const struct place *p, const char *id, int64_t seconds)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - (time_t)seconds}};
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path_of(p, id), times, 0), 0);
}

static void orphan(const struct place *p, char *ret_id, int64_t seconds)
{
    uuid_make(ret_id);
    _cleanup_close_ int fd = open(path_of(p, ret_id), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    age(p, ret_id, seconds);
}

static void the_sweep_takes_old_bytes_without_a_row(void **state)
{
    struct place p;
    struct files_swept swept;
    char kept[UUID_SIZE], old[UUID_SIZE], young[UUID_SIZE], foreign[PATH_MAX];
    prepare(&p, state);
    orphan(&p, old, FILES_ORPHAN_AGE_S + 60);
    orphan(&p, young, FILES_ORPHAN_AGE_S - 60);
    /* in an empty table every file is an orphan: that is rather another database */
    assert_int_equal(files_sweep(p.files, clock_now_ms(), &swept), 0);
    assert_int_equal(swept.removed, 0);
    assert_int_equal(put(&p, &p.anna, "kept", kept), 0);
    age(&p, kept, 10 * FILES_ORPHAN_AGE_S);
    (void)snprintf(foreign, sizeof foreign, "%s/files/00/readme", p.dir);
    _cleanup_close_ int fd = open(foreign, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(files_sweep(p.files, clock_now_ms() + 1, &swept), 0);
    assert_int_equal(swept.seen, 2);
    assert_int_equal(swept.removed, 1);
    assert_int_equal(access(path_of(&p, old), F_OK), -1);
    assert_int_equal(access(path_of(&p, young), F_OK), 0);
    assert_int_equal(access(path_of(&p, kept), F_OK), 0);
    assert_int_equal(access(foreign, F_OK), 0);
    leave(&p);
}

static void the_sweep_goes_through_more_than_one_batch(void **state)
{
    struct place p;
    struct files_swept swept;
    char kept[UUID_SIZE], id[UUID_SIZE];
    prepare(&p, state);
    assert_int_equal(put(&p, &p.anna, "kept", kept), 0);
    age(&p, kept, 2 * FILES_ORPHAN_AGE_S);
    for (int i = 0; i < 1200; i++) {
        char path[PATH_MAX];
        uuid_make(id);
        memcpy(id, "ab", 2);
        (void)snprintf(path, sizeof path, "%s", path_of(&p, id));
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        age(&p, id, 2 * FILES_ORPHAN_AGE_S);
    }
    assert_int_equal(files_sweep(p.files, clock_now_ms(), &swept), 0);
    assert_int_equal(swept.removed, 1200);
    assert_int_equal(count(&p), 1);
    leave(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, people_set_up, store_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_may_come_first_and_their_row_with_others),
        TEST(what_is_put_is_there),
        TEST(no_other_name_leads_to_bytes),
        TEST(a_unit_that_fails_leaves_nothing),
        TEST(of_many_at_once_only_those_are_stored_that_fit),
        TEST(the_sweep_takes_old_bytes_without_a_row),
        TEST(the_sweep_goes_through_more_than_one_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
