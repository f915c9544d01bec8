/* SPDX-License-Identifier: MIT */
#include "onboarding/zip_check.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "onboarding/zip_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZIP_MAX ((size_t)64 * 1024 * 1024)
#define TEXT "some text"
#define TEXT_CRC 0x4fbabdbau /* checked by the first test, through libarchive */

static const struct zip_limits usual = ZIP_LIMITS_DEFAULT;

/* ---- archives by hand: stored entries that hold TEXT */

struct made {
    struct buf local, central, all;
    unsigned entries;
};

struct spec {
    const char *name;
    size_t len; /* 0: strlen(name) */
    unsigned flags, method, host, mode;
    const char *local_name; /* NULL: the same */
    unsigned local_flags;
    uint32_t crc; /* 0: the right one */
    uint32_t unpacked;
};

static void put(struct buf *b, uint64_t n, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        char c = (char)(n >> (8 * i));
        assert_int_equal(buf_add(b, &c, 1), 0);
    }
}

static void add(struct made *m, const struct spec *s)
{
    size_t len = s->len ? s->len : strlen(s->name);
    uint32_t crc = s->crc ? s->crc : TEXT_CRC, size = sizeof TEXT - 1;
    uint32_t unpacked = s->unpacked ? s->unpacked : size;
    const char *local_name = s->local_name ? s->local_name : s->name;
    uint64_t at = m->local.len;
    const uint64_t local[][2] = {{0x04034b50, 4}, {20, 2},   {s->flags | s->local_flags, 2},
                                 {s->method, 2},  {0, 2},    {33, 2},
                                 {crc, 4},        {size, 4}, {unpacked, 4},
                                 {len, 2},        {0, 2}};
    const uint64_t central[][2] = {{0x02014b50, 4},
                                   {20, 1},
                                   {s->host, 1},
                                   {20, 2},
                                   {s->flags, 2},
                                   {s->method, 2},
                                   {0, 2},
                                   {33, 2},
                                   {crc, 4},
                                   {size, 4},
                                   {unpacked, 4},
                                   {len, 2},
                                   {0, 2},
                                   {0, 2},
                                   {0, 2},
                                   {0, 2},
                                   {(uint64_t)s->mode << 16, 4},
                                   {at, 4}};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        put(&m->local, local[i][0], (int)local[i][1]);
    assert_int_equal(buf_add(&m->local, local_name, len), 0);
    assert_int_equal(buf_adds(&m->local, TEXT), 0);
    for (size_t i = 0; i < sizeof central / sizeof *central; i++)
        put(&m->central, central[i][0], (int)central[i][1]);
    assert_int_equal(buf_add(&m->central, s->name, len), 0);
    m->entries++;
}

static void finish(struct made *m, unsigned claimed)
{
    const uint64_t end[][2] = {{0x06054b50, 4},   {0, 2},       {0, 2},
                               {claimed, 2},      {claimed, 2}, {m->central.len, 4},
                               {m->local.len, 4}, {0, 2}};
    assert_int_equal(buf_add(&m->all, m->local.data, m->local.len), 0);
    assert_int_equal(buf_add(&m->all, m->central.data, m->central.len), 0);
    for (size_t i = 0; i < sizeof end / sizeof *end; i++)
        put(&m->all, end[i][0], (int)end[i][1]);
}

#define MADE_INIT \
    { \
        BUF_INIT(ZIP_MAX), BUF_INIT(ZIP_MAX), BUF_INIT(ZIP_MAX), 0 \
    }

static void made_free(struct made *m)
{
    buf_free(&m->local);
    buf_free(&m->central);
    buf_free(&m->all);
}

/* ---- judging */

static int judge(const void *data, size_t len, const struct zip_limits *limits, struct zip_facts *facts,
                 const char **why)
{
    _cleanup_close_ int fd = memfd_create("zip", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    *why = NULL;
    return zip_check(fd, (int64_t)len, limits, facts, why);
}

static void assert_refused(const void *data, size_t len, const struct zip_limits *limits,
                           const char *sentence)
{
    struct zip_facts facts;
    const char *why;
    assert_int_equal(judge(data, len, limits, &facts, &why), -EBADMSG);
    if (!strstr(why, sentence))
        fail_msg("'%s' is not about '%s'", why, sentence);
}

static void assert_one_refused(const struct spec *s, const char *sentence)
{
    struct made m = MADE_INIT;
    add(&m, s);
    finish(&m, 1);
    assert_refused(m.all.data, m.all.len, &usual, sentence);
    made_free(&m);
}

static void plain_files_pass(void **state)
{
    (void)state;
    static const char *const names[] = {"a.txt", "b/c.json", "\xc3\xbc.csv", "..a",
                                        "a..",   "b/.../x",  "./d",          "caf\xe9"};
    struct made m = MADE_INIT;
    struct zip_facts facts;
    const char *why;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add(&m, &(struct spec){.name = names[i], .host = 3, .mode = S_IFREG | 0644});
    add(&m, &(struct spec){.name = "\xc3\xa4.csv", .flags = 1U << 11}); /* said to be UTF-8 */
    finish(&m, m.entries);
    int r = judge(m.all.data, m.all.len, &usual, &facts, &why);
    if (r < 0)
        fail_msg("%d: %s", r, why);
    assert_int_equal(facts.entries, m.entries);
    assert_int_equal(facts.unpacked, m.entries * (sizeof TEXT - 1));
    made_free(&m);
}

static void names_that_lead_out(void **state)
{
    (void)state;
    static const char *const names[] = {"../x", "/x",    "a/../../x", "..",   "a/..",  "..\\x",  "a\\b",
                                        "C:x",  "C:\\x", "\\\\h\\s",  "a\nb", "a\x7f", "a/../b", "\x01"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_one_refused(&(struct spec){.name = names[i]}, "leads out");
    assert_one_refused(&(struct spec){.name = "a\0/../x", .len = 7}, "leads out");
    assert_false(zip_name_is_safe("", 0));
}

static void links_and_special_files(void **state)
{
    (void)state;
    static const unsigned types[] = {S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_one_refused(&(struct spec){.name = "x", .host = 3, .mode = types[i] | 0777}, "links");
        assert_one_refused(&(struct spec){.name = "x", .host = 19, .mode = types[i] | 0777}, "links");
    }
}

static void what_cant_be_trusted(void **state)
{
    (void)state;
    assert_one_refused(&(struct spec){.name = "x", .flags = 1}, "encrypted");
    assert_one_refused(&(struct spec){.name = "x", .flags = 1U << 6}, "encrypted");
    assert_one_refused(&(struct spec){.name = "x", .local_flags = 1}, "contradicts");
    assert_one_refused(&(struct spec){.name = "x", .local_name = "y"}, "contradicts");
    assert_one_refused(&(struct spec){.name = "x", .method = 14}, "method");
    assert_one_refused(&(struct spec){.name = "x", .crc = 1}, "damaged");
    assert_one_refused(&(struct spec){.name = "x", .unpacked = UINT32_MAX}, "ZIP64");
    assert_one_refused(&(struct spec){.name = "x", .unpacked = 500000}, "suspiciously small");
}

/* Neither the count of the end record nor the directory itself can hide entries. */
static void counts_that_lie(void **state)
{
    (void)state;
    struct made m = MADE_INIT;
    for (int i = 0; i < 3; i++)
        add(&m, &(struct spec){.name = (const char *[]){"a", "b", "c"}[i]});
    finish(&m, 2);
    assert_refused(m.all.data, m.all.len, &usual, "damaged");
    buf_reset(&m.all);
    finish(&m, 4);
    assert_refused(m.all.data, m.all.len, &usual, "damaged");
    made_free(&m);
}

static void too_many_entries(void **state)
{
    (void)state;
    struct made m = MADE_INIT;
    struct zip_facts facts;
    const char *why;
    char name[16];
    for (int i = 0; i < usual.entries; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        add(&m, &(struct spec){.name = name});
    }
    finish(&m, m.entries);
    assert_int_equal(judge(m.all.data, m.all.len, &usual, &facts, &why), 0);
    buf_reset(&m.all);
    add(&m, &(struct spec){.name = "one more"});
    finish(&m, m.entries);
    assert_refused(m.all.data, m.all.len, &usual, "too many");
    made_free(&m);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct made m = MADE_INIT;
    struct zip_facts facts;
    const char *why;
    add(&m, &(struct spec){.name = "a"});
    add(&m, &(struct spec){.name = "b"});
    finish(&m, 2);
    for (size_t len = 0; len < m.all.len; len++)
        assert_int_equal(judge(m.all.data, len, &usual, &facts, &why), -EBADMSG);
    assert_int_equal(judge(m.all.data, m.all.len, &usual, &facts, &why), 0);
    assert_refused("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, &usual, "empty");
    assert_refused("not an archive at all, though long enough", 40, &usual, "not a ZIP");
    made_free(&m);
}

/* ---- archives by libarchive: deflated zeros */

static size_t deflate_zeros(void *to, size_t size, size_t files, size_t bytes)
{
    static const char zeros[64 * 1024];
    size_t used = 0;
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_zip(a), ARCHIVE_OK);
    assert_int_equal(archive_write_set_options(a, "zip:!zip64"), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(a, to, size, &used), ARCHIVE_OK);
    for (size_t i = 0; i < files; i++) {
        struct archive_entry *e = archive_entry_new();
        char name[32];
        (void)snprintf(name, sizeof name, "f%zu", i);
        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, S_IFREG);
        archive_entry_set_size(e, (la_int64_t)bytes);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        for (size_t done = 0; done < bytes;) {
            size_t n = bytes - done < sizeof zeros ? bytes - done : sizeof zeros;
            assert_int_equal(archive_write_data(a, zeros, n), n);
            done += n;
        }
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    return used;
}

/* Makes every header claim `bytes` when unpacked; the data stays. */
static void lie_about_sizes(char *zip, size_t len, uint32_t bytes)
{
    for (size_t i = 0; i + 46 < len; i++)
        if (memcmp(zip + i, "PK\1\2", 4) == 0)
            memcpy(zip + i + 24, &bytes, 4);
}

static void bombs(void **state)
{
    (void)state;
    _cleanup_free_ char *zip = malloc(ZIP_MAX);
    assert_non_null(zip);
    size_t len = deflate_zeros(zip, ZIP_MAX, 3, (size_t)4 * 1024 * 1024);
    assert_refused(zip, len, &usual, "suspiciously small");
    lie_about_sizes(zip, len, 10);
    struct zip_facts facts;
    const char *why;
    assert_int_equal(judge(zip, len, &usual, &facts, &why), -EBADMSG); /* whatever it claims */
    struct zip_limits generous = {10, (int64_t)8 * 1024 * 1024, 1000000, 60000};
    len = deflate_zeros(zip, ZIP_MAX, 3, (size_t)4 * 1024 * 1024);
    assert_refused(zip, len, &generous, "too large");
    generous.unpacked *= 2;
    assert_int_equal(judge(zip, len, &generous, &facts, &why), 0);
    assert_int_equal(facts.unpacked, 3 * 4 * 1024 * 1024);
}

static void a_check_has_an_end(void **state)
{
    (void)state;
    _cleanup_free_ char *zip = malloc(ZIP_MAX);
    struct zip_limits hasty = {10, INT64_C(1) << 40, 1000000, -1};
    assert_non_null(zip);
    assert_refused(zip, deflate_zeros(zip, ZIP_MAX, 1, 1024), &hasty, "too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_files_pass),        cmocka_unit_test(names_that_lead_out),
        cmocka_unit_test(links_and_special_files), cmocka_unit_test(what_cant_be_trusted),
        cmocka_unit_test(counts_that_lie),         cmocka_unit_test(too_many_entries),
        cmocka_unit_test(every_cut_is_noticed),    cmocka_unit_test(bombs),
        cmocka_unit_test(a_check_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
