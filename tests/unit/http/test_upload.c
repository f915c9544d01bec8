/* SPDX-License-Identifier: MIT */
/* Files sent as forms, through the real server, to the disk; and JSON on the same route. */
#include "support.h"

#include "base/metrics.h"
#include "base/text.h"
#include "http/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HOST "Host: test\r\n"
#define FORM "Content-Type: multipart/form-data; boundary=XyZ\r\n"
#define FIELD(name, value) "--XyZ\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_OF(name) \
    "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" name "\"\r\n" \
    "Content-Type: image/png\r\n\r\n"
#define LAST "\r\n--XyZ--\r\n"
#define SMALL_FILE 1000

struct app {
    char directory[64];
    char kept[96];
    atomic_int handled;
    int keep_result;
};

static json_t *fields_of(const struct upload *u)
{
    json_t *list = json_array();
    for (size_t i = 0; i < u->n_fields; i++)
        (void)json_array_append_new(list, json_pack("[s,s]", u->fields[i].name, u->fields[i].value));
    return list;
}

/* The sum of its bytes, read as a handler would. */
static int64_t sum_of(int fd)
{
    unsigned char piece[4096];
    int64_t sum = 0;
    ssize_t n;
    for (off_t at = 0; fd >= 0 && (n = pread(fd, piece, sizeof piece, at)) > 0; at += n)
        for (ssize_t i = 0; i < n; i++)
            sum += piece[i];
    return sum;
}

static reply see(struct request *rq)
{
    const struct upload *u = rq->upload;
    struct app *app = rq->app;
    atomic_fetch_add(&app->handled, 1);
    if (!u)
        return reply_json(rq, 200, "{s:O?}", "json", rq->json);
    app->keep_result = u->fd >= 0 ? upload_keep(u, app->kept) : 0;
    return reply_json(rq, 200, "{s:o, s:b, s:I, s:I, s:I, s:s?, s:s?, s:s?}", "fields", fields_of(u), "file",
                      u->fd >= 0, "size", u->size, "sum", sum_of(u->fd), "before",
                      (json_int_t)u->fields_before, "part", u->part, "name", u->name, "type", u->type);
}

struct bound {
    const char *title;
};

static const struct field bound_fields[] = {FIELD_STR(bound, title, "title", REQUIRED), FIELD_END};

static reply either(struct request *rq)
{
    const struct bound *in = rq->body;
    return rq->upload ? see(rq) : reply_json(rq, 200, "{s:s}", "title", in->title);
}

static const struct route table[] = {
    {HTTP_POST, "/files", AUTH_NONE, READS, BLOCKING, see, UPLOAD(0), ""},
    {HTTP_POST, "/small", AUTH_NONE, READS, BLOCKING, see, UPLOAD(SMALL_FILE), ""},
    {HTTP_POST, "/any", AUTH_NONE, READS, BLOCKING, see, ANY_JSON_OR_UPLOAD(0), ""},
    {HTTP_PATCH, "/either", AUTH_NONE, READS, BLOCKING, either, BODY_OR_UPLOAD(bound, bound_fields, 0), ""},
    ROUTES_END,
};
static const struct route *const tables[] = {table, NULL};

struct place {
    struct site site;
    struct app app;
    char tmp[96];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->app.directory, "/tmp/genie-upload-XXXXXX");
    assert_non_null(mkdtemp(p->app.directory));
    (void)snprintf(p->app.kept, sizeof p->app.kept, "%s/kept", p->app.directory);
    (void)snprintf(p->tmp, sizeof p->tmp, "%s/tmp", p->app.directory);
    site_init(&p->site);
    p->site.config.data_dir = p->app.directory;
    site_start(&p->site, tables, &p->app);
    *state = p;
    return 0;
}

static int entries(const char *directory)
{
    DIR *d = opendir(directory);
    int n = 0;
    for (const struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        (void)closedir(d);
    return n;
}

/* Open files of uploads, with or without a name. */
static int open_uploads(const struct place *p)
{
    int n = 0;
    for (int fd = 0; fd < 200; fd++) {
        char self[32], target[200];
        (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(self, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        n += str_has_prefix(target, p->tmp);
    }
    return n;
}

/* Whatever happened, nothing is left. */
static int tear_down(void **state)
{
    struct place *p = *state;
    site_stop(&p->site, PATIENCE_MS);
    assert_int_equal(open_uploads(p), 0);
    assert_int_equal(entries(p->tmp), 0);
    (void)unlink(p->app.kept);
    (void)rmdir(p->tmp);
    assert_int_equal(rmdir(p->app.directory), 0);
    free(p);
    return 0;
}

static void send_form(struct client *c, const char *method, const char *path, const char *before, size_t file,
                      const char *after)
{
    _cleanup_free_ char *content = malloc(file + 1);
    char head[400];
    memset(content, 'x', file);
    (void)snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n" HOST FORM "Content-Length: %zu\r\n\r\n", method,
                   path, strlen(before) + file + strlen(after));
    client_send(c, head);
    client_send(c, before);
    client_send_bytes(c, content, file);
    client_send(c, after);
}

/* The answer's JSON; status is checked. */
static json_t *post(struct place *p, const char *path, int status, const char *before, size_t file,
                    const char *after)
{
    struct client c;
    struct answer a;
    client_open(&c, p->site.port);
    send_form(&c, "POST", path, before, file, after);
    assert_true(client_answer(&c, false, &a));
    if (a.status != status)
        fail_msg("%d instead of %d: %s", a.status, status, a.body);
    json_t *body = answer_json(&a);
    answer_free(&a);
    client_close(&c);
    return body;
}

static void refused(struct place *p, const char *path, int status, const char *code, const char *before,
                    size_t file, const char *after)
{
    _cleanup_json_ json_t *body = post(p, path, status, before, file, after);
    assert_string_equal(json_str(body, "code", ""), code);
}

static void a_file_and_fields(void **state)
{
    struct place *p = *state;
    size_t size = (size_t)1024 * 1024 + 7;
    _cleanup_json_ json_t *b =
        post(p, "/files", 200, FIELD("title", "A caf\xc3\xa9") FIELD("folder", "") FILE_OF("d/c.png"), size,
             "\r\n" FIELD("title", "later") "--XyZ--");
    _cleanup_json_ json_t *wanted =
        json_pack("[[s,s],[s,s],[s,s]]", "title", "A caf\xc3\xa9", "folder", "", "title", "later");
    assert_true(json_equal(json_object_get(b, "fields"), wanted));
    assert_int_equal(json_int(b, "size", 0), size);
    assert_int_equal(json_int(b, "sum", 0), size * 'x');
    assert_int_equal(json_int(b, "before", 0), 2);
    assert_string_equal(json_str(b, "part", ""), "file");
    assert_string_equal(json_str(b, "name", ""), "c.png");
    assert_string_equal(json_str(b, "type", ""), "image/png");
    struct stat st;
    assert_int_equal(p->app.keep_result, 0);
    assert_int_equal(stat(p->app.kept, &st), 0);
    assert_int_equal(st.st_size, size);
    assert_int_equal(st.st_mode & 07777, 0600);
    _cleanup_json_ json_t *again = post(p, "/files", 200, FILE_OF("x"), 10, LAST);
    assert_non_null(again);
    assert_int_equal(p->app.keep_result, -EEXIST); /* never over another one */
}

static void small_and_absent_files(void **state)
{
    struct place *p = *state;
    _cleanup_json_ json_t *empty = post(p, "/files", 200, FILE_OF("empty"), 0, LAST);
    assert_true(json_bool(empty, "file", false) && json_int(empty, "size", -1) == 0);
    _cleanup_json_ json_t *none = post(p, "/files", 200, FIELD("a", "1") "--XyZ--", 0, "");
    assert_false(json_bool(none, "file", true));
    _cleanup_json_ json_t *not_chosen = post(p, "/files", 200, FILE_OF(""), 0, LAST);
    assert_false(json_bool(not_chosen, "file", true));
    _cleanup_json_ json_t *just = post(p, "/small", 200, FILE_OF("x"), SMALL_FILE, LAST);
    assert_int_equal(json_int(just, "size", 0), SMALL_FILE);
}

static void json_or_a_form(void **state)
{
    struct place *p = *state;
    struct client c;
    struct answer a;
    client_open(&c, p->site.port);
    client_send(&c, "POST /any HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n[1,2]");
    assert_true(client_answer(&c, false, &a));
    assert_string_equal(a.body, "{\"json\":[1,2]}");
    answer_free(&a);
    client_send(&c, "PATCH /either HTTP/1.1\r\n" HOST "Content-Length: 13\r\n\r\n{\"title\":\"t\"}");
    assert_true(client_answer(&c, false, &a));
    assert_string_equal(a.body, "{\"title\":\"t\"}");
    answer_free(&a);
    client_send(&c, "PATCH /either HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 400);
    answer_free(&a);
    send_form(&c, "PATCH", "/either", FILE_OF("x"), 5, LAST);
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    client_send(&c, "POST /files HTTP/1.1\r\n" HOST
                    "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 415);
    answer_free(&a);
    client_send(&c, "POST /any HTTP/1.1\r\n" HOST "Content-Type: image/png\r\nContent-Length: 2\r\n\r\n{}");
    assert_true(client_answer(&c, false, &a));
    assert_int_equal(a.status, 415);
    answer_free(&a);
    client_close(&c);
}

static void forms_that_are_refused(void **state)
{
    struct place *p = *state;
    refused(p, "/files", 400, "malformed_upload", "{\"not\":\"a form\"}", 0, "");
    refused(p, "/files", 400, "malformed_upload", FILE_OF("x"), 100, "");
    refused(p, "/files", 400, "malformed_upload", FILE_OF("x"), 200000, "\r\n--XyZ");
    refused(p, "/files", 400, "malformed_upload", FILE_OF("x"), 100, "\r\n" FILE_OF("y") LAST);
    refused(p, "/files", 400, "malformed_upload", FILE_OF(""), 100, LAST);
    refused(p, "/files", 400, "invalid_field", FIELD("a", "\xff") "--XyZ--", 0, "");
    refused(p, "/small", 413, "body_too_large", FILE_OF("x"), SMALL_FILE + 1, LAST);
    refused(p, "/files", 413, "body_too_large", FILE_OF("x"), (size_t)2 * 1024 * 1024 + 1, LAST);
    refused(p, "/files", 413, "body_too_large", FILE_OF("x"), (size_t)4 * 1024 * 1024,
            LAST); /* by its length */
    refused(p, "/files", 413, "body_too_large", "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n",
            UPLOAD_FIELD_MAX + 1, LAST);
    _cleanup_buf_ struct buf many = BUF_INIT(1024 * 1024);
    for (int i = 0; i <= UPLOAD_FIELDS_MAX; i++)
        (void)buf_adds(&many, FIELD("a", "1"));
    refused(p, "/files", 400, "malformed_upload", many.data, 0, "--XyZ--");
    struct answer a;
    ask(p->site.port,
        "POST /files HTTP/1.1\r\n" HOST "Content-Type: multipart/form-data\r\nContent-Length: 2\r\n\r\nxx",
        &a);
    assert_int_equal(a.status, 400);
    answer_free(&a);
    assert_int_equal(atomic_load(&p->app.handled), 0);
}

/* A disk without room, as a limit on the size of files plays it. */
static void a_full_disk(void **state)
{
    struct place *p = *state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)100 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    refused(p, "/files", 503, "storage_full", FILE_OF("x"), (size_t)1024 * 1024, LAST);
    refused(p, "/files", 503, "storage_full", FILE_OF("x"), (size_t)110 * 1024,
            LAST); /* with the last write */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    _cleanup_json_ json_t *b = post(p, "/files", 200, FILE_OF("x"), (size_t)1024 * 1024, LAST);
    assert_int_equal(json_int(b, "size", 0), 1024 * 1024);
}

static void a_directory_that_is_not_there(void **state)
{
    struct place *p = *state;
    site_stop(&p->site, PATIENCE_MS);
    p->site.config.media_tmp_dir = "/nonexistent/tmp";
    site_start(&p->site, tables, &p->app);
    refused(p, "/files", 500, "internal_error", FILE_OF("x"), 100, LAST);
}

static void clients_that_leave(void **state)
{
    struct place *p = *state;
    for (size_t sent = 0; sent <= (size_t)400 * 1024; sent += (size_t)50 * 1024) {
        struct client c;
        _cleanup_free_ char *content = calloc(1, sent + 1);
        client_open(&c, p->site.port);
        client_send(&c, "POST /files HTTP/1.1\r\n" HOST FORM "Content-Length: 1000000\r\n\r\n" FILE_OF("x"));
        client_send_bytes(&c, content, sent);
        client_close(&c);
    }
    refused(p, "/small", 400, "malformed_upload", "", 0, ""); /* accepted after all of them */
    for (int i = 0; metric_get(METRIC_HTTP_CONNECTIONS) > 0 && i < 2000; i++)
        sleep_ms(5);
    assert_int_equal(open_uploads(p), 0);
    assert_int_equal(atomic_load(&p->app.handled), 0);
}

int main(void)
{
#define AT_A_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        AT_A_SITE(a_file_and_fields),  AT_A_SITE(small_and_absent_files),
        AT_A_SITE(json_or_a_form),     AT_A_SITE(forms_that_are_refused),
        AT_A_SITE(a_full_disk),        AT_A_SITE(a_directory_that_is_not_there),
        AT_A_SITE(clients_that_leave),
    };
    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
