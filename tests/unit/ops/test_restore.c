/* SPDX-License-Identifier: MIT */
/* Archives that no backup of ours is: each must be refused before anything is in place. */
#include "tree.h"

#include "base/data_lock.h"
#include "db/snapshot.h"
#include "ops/digest.h"
#include "ops/manifest.h"
#include "ops/restore.h"

#include <archive.h>
#include <archive_entry.h>

struct part {
    const char *name;
    const char *data;
    int type;         /* AE_IFREG where 0 */
    const char *link; /* of a link; hard where the type is 0 */
};

static struct archive *begin_archive(const struct tree *t, const char *name)
{
    char path[TREE_PATH];
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_add_filter_zstd(a), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, tree_path(t, name, path)), ARCHIVE_OK);
    return a;
}

static void add(struct archive *a, const struct part *p)
{
    struct archive_entry *e = archive_entry_new();
    size_t len = p->data ? strlen(p->data) : 0;
    archive_entry_set_pathname(e, p->name);
    archive_entry_set_filetype(e, p->type ? (unsigned)p->type : AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (int64_t)len);
    if (p->link && p->type == AE_IFLNK)
        archive_entry_set_symlink(e, p->link);
    else if (p->link)
        archive_entry_set_hardlink(e, p->link);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    if (len)
        assert_int_equal(archive_write_data(a, p->data, len), len);
    archive_entry_free(e);
}

/* The manifest that these parts should have. */
static char *manifest_of(const struct part *parts, size_t n)
{
    struct manifest m = {.program = "0", .created = "x"};
    struct buf text = BUF_INIT(65536);
    for (size_t i = 0; i < n; i++) {
        char sha[SHA256_HEX + 1];
        EVP_MD_CTX *d = digest_begin();
        assert_int_equal(EVP_DigestUpdate(d, parts[i].data, strlen(parts[i].data)), 1);
        assert_int_equal(digest_end(d, sha), 0);
        EVP_MD_CTX_free(d);
        assert_int_equal(manifest_add(&m, parts[i].name, (int64_t)strlen(parts[i].data), sha), 0);
    }
    assert_int_equal(manifest_write(&m, &text), 0);
    manifest_free(&m);
    return buf_take(&text, NULL);
}

static void write_archive(const struct tree *t, const struct part *parts, size_t n, const char *manifest)
{
    struct archive *a = begin_archive(t, "b");
    for (size_t i = 0; i < n; i++)
        add(a, &parts[i]);
    if (manifest)
        add(a, &(struct part){.name = MANIFEST_NAME, .data = manifest});
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

static int restore(const struct tree *t, bool force, int64_t max_size, struct ops_error *error)
{
    char data[TREE_PATH], path[TREE_PATH];
    struct restore_summary summary;
    return restore_run(&(struct restore_options){.path = tree_path(t, "b", path),
                                                 .data_dir = tree_path(t, "data", data),
                                                 .force = force,
                                                 .max_size = max_size},
                       &summary, error);
}

static const struct part good[] = {{.name = "files/a", .data = "hello"},
                                   {.name = "files/b/c", .data = "world"}};

static void write_good(const struct tree *t)
{
    _cleanup_free_ char *manifest = manifest_of(good, ARRAY_LEN(good));
    write_archive(t, good, ARRAY_LEN(good), manifest);
}

static void a_sound_one_is_taken(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    write_good(t);
    assert_int_equal(restore(t, false, 0, &error), 0);
    _cleanup_free_ char *a = tree_read(t, "data/files/a", NULL);
    assert_string_equal(a, "hello");
}

/* The archive is refused, and there is neither a target nor anything beside it. */
static void refused(const struct tree *t, int expected, const char *what)
{
    struct ops_error error = {0};
    int r = restore(t, false, 0, &error);
    if (r != expected || !error.text[0])
        fail_msg("%s: %d (%s), not %d", what, r, error.text, expected);
    assert_int_equal(tree_count(t), 1);
}

static void hostile_members(void **state)
{
    const struct tree *t = *state;
    static const struct part bad[] = {
        {.name = "../evil", .data = "x"},
        {.name = "/tmp/evil", .data = "x"},
        {.name = "files/../../evil", .data = "x"},
        {.name = "files/.bashrc", .data = "x"},
        {.name = "evil", .data = "x"},
        {.name = "genie.db-wal", .data = "x"},
        {.name = "files/link", .type = AE_IFLNK, .link = "/etc/passwd"},
        {.name = "files/hard", .link = "files/a"},
        {.name = "files/pipe", .type = AE_IFIFO},
        {.name = "files/device", .type = AE_IFCHR},
        {.name = "files/dir", .type = AE_IFDIR},
    };
    _cleanup_free_ char *manifest = manifest_of(good, 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct part parts[] = {good[0], bad[i]};
        write_archive(t, parts, 2, manifest);
        refused(t, -EBADMSG, bad[i].name);
    }
}

static void manifests_that_do_not_fit(void **state)
{
    const struct tree *t = *state;
    const struct part twice[] = {good[0], good[0]}, swapped[] = {good[1], good[0]},
                      changed[] = {{.name = "files/a", .data = "hellO"}, good[1]},
                      longer[] = {{.name = "files/a", .data = "hello!"}, good[1]};
    _cleanup_free_ char *both = manifest_of(good, 2), *one = manifest_of(good, 1);
    write_archive(t, good, 2, NULL);
    refused(t, -EBADMSG, "no manifest");
    write_archive(t, good, 2, "genie-backup 1\n");
    refused(t, -EBADMSG, "half a manifest");
    write_archive(t, good, 1, both);
    refused(t, -EBADMSG, "a member is missing");
    write_archive(t, good, 2, one);
    refused(t, -EBADMSG, "a member too many");
    write_archive(t, twice, 2, one);
    refused(t, -EBADMSG, "a name twice");
    write_archive(t, swapped, 2, both);
    refused(t, -EBADMSG, "another order");
    write_archive(t, changed, 2, both);
    refused(t, -EBADMSG, "another content");
    write_archive(t, longer, 2, both);
    refused(t, -EBADMSG, "another size");
    struct archive *a = begin_archive(t, "b");
    add(a, &good[0]);
    add(a, &(struct part){.name = MANIFEST_NAME, .data = one});
    add(a, &good[1]);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
    refused(t, -EBADMSG, "something after the manifest");
}

static void what_is_no_archive(void **state)
{
    const struct tree *t = *state;
    tree_write(t, "b", "", 0);
    refused(t, -EBADMSG, "nothing");
    tree_write(t, "b", "this is a text of somebody's", 28);
    refused(t, -EBADMSG, "a text");
}

/* A flipped bit is refused, or (where nothing depends on it) changes nothing. */
static void flipped_bits_and_cuts(void **state)
{
    const struct tree *t = *state;
    size_t len;
    int taken = 0;
    write_good(t);
    char *whole = tree_read(t, "b", &len), path[TREE_PATH];
    for (size_t i = 0; i < len; i++) {
        struct ops_error error = {0};
        whole[i] ^= 0x10;
        tree_write(t, "b", whole, len);
        whole[i] ^= 0x10;
        if (restore(t, false, 0, &error) == 0) {
            _cleanup_free_ char *a = tree_read(t, "data/files/a", NULL),
                                *c = tree_read(t, "data/files/b/c", NULL);
            assert_string_equal(a, "hello");
            assert_string_equal(c, "world");
            tree_remove(tree_path(t, "data", path));
            taken++;
        }
        assert_int_equal(tree_count(t), 1);
    }
    assert_true(taken < (int)len / 4);
    for (size_t cut = 0; cut < len; cut += 7) {
        tree_write(t, "b", whole, cut);
        struct ops_error error = {0};
        if (cut + 16 < len) /* what follows the data is only zeros */
            assert_true(restore(t, false, 0, &error) < 0);
        assert_int_equal(tree_count(t), 1);
    }
    free(whole);
}

/* Ten million zeros in a few hundred bytes. */
static void bombs(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    size_t len = 10000000;
    char *zeros = malloc(len + 1);
    assert_non_null(zeros);
    memset(zeros, '0', len);
    zeros[len] = '\0';
    const struct part bomb[] = {{.name = "files/a", .data = zeros}};
    _cleanup_free_ char *manifest = manifest_of(bomb, 1);
    write_archive(t, bomb, 1, manifest);
    assert_int_equal(restore(t, false, 5000000, &error), -EFBIG);
    assert_int_equal(tree_count(t), 1);
    assert_int_equal(restore(t, false, 10000000, &error), 0);
    free(zeros);
}

static void a_newer_schema_is_refused(void **state)
{
    const struct tree *t = *state;
    char text[512];
    (void)snprintf(text, sizeof text,
                   "genie-backup 1\nprogram 9\nschema %lld\ncreated x\nmember "
                   "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 genie.db\nend 1 1\n",
                   (long long)db_schema_newest() + 1);
    write_archive(t, &(struct part){.name = "genie.db", .data = "x"}, 1, text);
    refused(t, -ENOTSUP, "a newer schema");
}

static void a_database_that_is_none(void **state)
{
    const struct tree *t = *state;
    write_archive(t, &(struct part){.name = "genie.db", .data = "x"}, 1,
                  "genie-backup 1\nprogram 9\nschema 1\ncreated x\nmember "
                  "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 genie.db\nend 1 1\n");
    refused(t, -EBADMSG, "a database that is none");
}

static void a_target_in_use_stays(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    char path[TREE_PATH];
    int lock, other;
    write_good(t);
    tree_mkdir(t, "data");
    tree_write(t, "data/precious", "x", 1);
    assert_int_equal(restore(t, false, 0, &error), -EEXIST);
    assert_int_equal(data_lock(tree_path(t, "data", path), false, &lock), 0);
    assert_int_equal(data_lock(path, false, &other), 0); /* many may share it */
    assert_int_equal(restore(t, true, 0, &error), -EBUSY);
    assert_true(tree_has(t, "data/precious"));
    (void)close(lock);
    assert_int_equal(restore(t, true, 0, &error), -EBUSY);
    (void)close(other);
    assert_int_equal(restore(t, true, 0, &error), 0);
    assert_false(tree_has(t, "data/precious"));
    assert_true(tree_has(t, "data/files/a"));
    assert_int_equal(tree_count(t), 3); /* the archive, the target, and what was there before */
}

static void an_empty_target_is_taken(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    write_good(t);
    tree_mkdir(t, "data");
    tree_write(t, "data/.lock", "", 0);
    assert_int_equal(restore(t, false, 0, &error), 0);
    assert_int_equal(tree_count(t), 2);
}

/* What a killed restore left goes; a whole directory of that name stays. */
static void leftovers(void **state)
{
    const struct tree *t = *state;
    struct ops_error error = {0};
    write_good(t);
    tree_mkdir(t, "data.restoring-aaaaaa");
    tree_write(t, "data.restoring-aaaaaa/.unfinished", "", 0);
    tree_mkdir(t, "data.restoring-aaaaaa/files");
    tree_write(t, "data.restoring-aaaaaa/files/half", "x", 1);
    tree_mkdir(t, "data.restoring-bbbbbb");
    tree_write(t, "data.restoring-bbbbbb/genie.db", "x", 1);
    assert_int_equal(restore(t, false, 0, &error), 0);
    assert_false(tree_has(t, "data.restoring-aaaaaa"));
    assert_true(tree_has(t, "data.restoring-bbbbbb/genie.db"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_set_up, tree_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_one_is_taken),
        TEST(hostile_members),
        TEST(manifests_that_do_not_fit),
        TEST(what_is_no_archive),
        TEST(flipped_bits_and_cuts),
        TEST(bombs),
        TEST(a_newer_schema_is_refused),
        TEST(a_database_that_is_none),
        TEST(a_target_in_use_stays),
        TEST(an_empty_target_is_taken),
        TEST(leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
