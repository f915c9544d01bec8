/* SPDX-License-Identifier: MIT */
#include "corpora.h"

#include "base/cleanup.h"
#include "reader/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct zip_limits usual = ZIP_LIMITS_DEFAULT;

/* An archive of files, names and texts in turn, ended by NULL. */
static int make(const char *const *files)
{
    int fd = memfd_create("export", 0);
    struct archive *a = archive_write_new();
    assert_true(fd >= 0);
    assert_int_equal(archive_write_set_format_zip(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_fd(a, fd), ARCHIVE_OK);
    for (; files[0]; files += 2) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, files[0]);
        archive_entry_set_size(e, (la_int64_t)strlen(files[1]));
        archive_entry_set_mode(e, S_IFREG | 0644);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, files[1], strlen(files[1])), strlen(files[1]));
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
    return fd;
}

static int read_with(int fd, const struct zip_limits *limits, struct corpus *c, struct cancel *cancel)
{
    const char *why = NULL;
    corpus_init(c);
    int r = archive_read_export(fd, limits, c, cancel, NULL, NULL, &why);
    if (r == -EBADMSG)
        assert_non_null(why);
    return r;
}

static const char *const files[] = {"posts.json",
                                    "[{\"text\":\"one\"}]",
                                    "../../etc/x.md",
                                    "# H\ntwo",
                                    ".hidden.txt",
                                    "no",
                                    "__MACOSX/a.txt",
                                    "no",
                                    "d/inner.zip",
                                    "PK",
                                    "d/photo.jpg",
                                    "x",
                                    "d/broken.json",
                                    "{\"a\"",
                                    NULL};

static void test_all_that_can_be_read(void **state)
{
    struct corpus c;
    (void)state;
    _cleanup_close_ int fd = make(files);
    assert_int_equal(read_with(fd, &usual, &c, NULL), 0);
    assert_int_equal(c.n, 2);
    assert_sound(&c);
    assert_string_equal(draft_of(&c, "one")->content, "one");
    assert_string_equal(draft_of(&c, "two")->content, "two");
    assert_int_equal(c.counts.files, 5);
    assert_int_equal(c.counts.files_read, 2);
    assert_int_equal(c.counts.files_left, 2);
    assert_int_equal(c.counts.files_other, 1);
    corpus_free(&c);
}

static void test_the_same_each_time(void **state)
{
    struct corpus c, again;
    (void)state;
    _cleanup_close_ int fd = make(files);
    assert_int_equal(read_with(fd, &usual, &c, NULL), 0);
    assert_int_equal(read_with(fd, &usual, &again, NULL), 0);
    assert_int_equal(c.n, again.n);
    for (size_t i = 0; i < c.n; i++)
        assert_string_equal(c.drafts[i].key, again.drafts[i].key);
    corpus_free(&c);
    corpus_free(&again);
}

static void test_limits_hold_while_it_is_read(void **state)
{
    struct corpus c;
    size_t len;
    (void)state;
    _cleanup_free_ char *zeros = repeat("a ", 4 << 20, &len);
    const char *const bomb[] = {"zeros.txt", zeros, NULL};
    _cleanup_close_ int fd = make(bomb), small = make(files);
    assert_int_equal(read_with(fd, &usual, &c, NULL), -EBADMSG);
    corpus_free(&c);
    struct zip_limits few = usual;
    few.entries = 3;
    assert_int_equal(read_with(small, &few, &c, NULL), -EBADMSG);
    corpus_free(&c);
    few = usual;
    few.time_ms = -1;
    assert_int_equal(read_with(small, &few, &c, NULL), -EBADMSG);
    corpus_free(&c);
    struct cancel cancel = {.raised = true};
    assert_int_equal(read_with(small, &usual, &c, &cancel), -ECANCELED);
    corpus_free(&c);
}

static void test_a_file_that_was_damaged_since(void **state)
{
    struct corpus c;
    char bytes[40];
    (void)state;
    _cleanup_close_ int fd = make(files), none = memfd_create("none", 0);
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, 20), sizeof bytes);
    assert_int_equal(read_with(fd, &usual, &c, NULL), -EBADMSG);
    corpus_free(&c);
    assert_int_equal(read_with(none, &usual, &c, NULL), -EBADMSG);
    corpus_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_can_be_read),
        cmocka_unit_test(test_the_same_each_time),
        cmocka_unit_test(test_limits_hold_while_it_is_read),
        cmocka_unit_test(test_a_file_that_was_damaged_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
