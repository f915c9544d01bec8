/* SPDX-License-Identifier: MIT */
/* The real yt-dlp against a server on loopback, which serves the test's own files. */
#include "media.h"

#include "../support/tcp_server.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "media/ytdlp.h"
#include "net/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_FILE "/etc/passwd"
#define TEXT_MOST 65536

static struct tcp_server *server;
static struct gate arrived;
static char folder[64];

/* ---- the site */

static const char *type_of(const char *path)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".mp4", "video/mp4"},
        {".html", "text/html"},
        {".m3u8", "application/vnd.apple.mpegurl"},
        {".mpd", "application/dash+xml"},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strstr(path, types[i].end))
            return types[i].type;
    return "application/octet-stream";
}

static void serve_file(struct tcp_peer *p, const char *name)
{
    char path[256], head[256];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        (void)peer_puts(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope");
        return;
    }
    _cleanup_free_ char *bytes = malloc((size_t)st.st_size + 1);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %lld\r\n\r\n",
                   type_of(name), (long long)st.st_size);
    (void)peer_puts(p, head);
    (void)peer_send(p, bytes, (size_t)st.st_size);
}

static void script(struct tcp_peer *p, void *ctx)
{
    char name[128];
    (void)ctx;
    while (peer_read_request(p)) {
        if (sscanf(p->head, "%*s /%100s", name) != 1)
            return;
        if (strstr(name, "stall")) {
            gate_set(&arrived);
            (void)peer_wait_closed(p);
            return;
        }
        if (strstr(name, "endless")) {
            (void)peer_puts(p, "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n");
            peer_pour(p, (size_t)64 * 1024 * 1024);
            return;
        }
        if (strstr(name, "to-file"))
            (void)peer_puts(p, "HTTP/1.1 302 Found\r\nLocation: file://" SECRET_FILE
                               "\r\nContent-Length: 0\r\n\r\n");
        else
            serve_file(p, name);
    }
}

static int set_up(void **state)
{
    int r = media_setup(state);
    struct media *m = *state;
    m->cfg.allow_private_urls = true;
    guard_allow_private(true);
    (void)snprintf(folder, sizeof folder, "%s", m->dir);
    gate_open(&arrived);
    server = tcp_server_start(script, NULL);
    return r;
}

static int tear_down(void **state)
{
    tcp_server_stop(server);
    gate_close(&arrived);
    return media_teardown(state);
}

static const char *url(const char *name)
{
    static char text[256];
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d/%s", tcp_server_port(server), name);
    return text;
}

/* more: further params, with a comma before them. */
static int run(struct media *m, const char *operation, const char *address, const char *more)
{
    char params[512];
    (void)snprintf(params, sizeof params, "{\"input_url\": \"%s\"%s}", address, more);
    int r = media_operate(m, operation, params, NULL);
    assert_null(strstr(m->log, "genie:")); /* the proxy's password */
    assert_null(strstr(m->run.error, "127.0.0.1"));
    return r;
}

static int download(struct media *m, const char *name, const char *more)
{
    return run(m, "download_video", url(name), more);
}

static void write_text(const struct media *m, const char *name, const char *text)
{
    media_write(m, name, text, strlen(text));
}

static void is_film(const struct media *m, const char *type, int width)
{
    const struct media_output *out = media_result(m);
    char words[PATH_MAX + 128];
    assert_int_equal(m->run.n_outputs, 1);
    assert_string_equal(out->kind, "video");
    assert_string_equal(out->type, type);
    assert_int_equal(out->width, width);
    assert_true(out->duration > 0.9 && out->bytes > 0);
    (void)snprintf(words, sizeof words,
                   "ffprobe -v error -select_streams a:0 -of default=nk=1:nw=1 -show_entries "
                   "stream=codec_name file:%s",
                   out->path);
    _cleanup_free_ char *sound = media_tool_output(m, words);
    assert_string_equal(sound, "aac\n");
}

/* ---- taking */

static void a_video_is_taken_as_it_is(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    assert_int_equal(download(m, "film.mp4", ""), 0);
    is_film(m, "video/mp4", 160);
    assert_string_equal(media_result(m)->file_name, "video.mp4");
    assert_true(m->percents > 1);
}

static void a_page_with_a_video_will_do(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    write_text(m, "page.html", "<html><title>A page</title><video src=\"/film.mp4\"></video></html>");
    assert_int_equal(download(m, "page.html", ""), 0);
    is_film(m, "video/mp4", 160);
}

static void pieces_of_a_stream_become_one_film_no_higher_than_wanted(void **state)
{
    struct media *m = *state;
    media_make_film(m, "low.mp4", "160x120", "2");
    media_make_film(m, "high.mp4", "320x240", "2");
    media_do(m, "ffmpeg -v error -i low.mp4 -c copy -f hls -hls_time 1 -hls_playlist_type vod low.m3u8");
    media_do(m, "ffmpeg -v error -i high.mp4 -c copy -f hls -hls_time 1 -hls_playlist_type vod high.m3u8");
    write_text(m, "all.m3u8",
               "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=160x120\nlow.m3u8\n"
               "#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=320x240\nhigh.m3u8\n");
    assert_int_equal(download(m, "all.m3u8", ", \"max_height\": 200"), 0);
    is_film(m, "video/mp4", 160);
}

static void picture_and_sound_apart_are_put_together(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "2");
    media_do(m, "ffmpeg -v error -i film.mp4 -c copy -f dash -seg_duration 1 film.mpd");
    assert_int_equal(download(m, "film.mpd", ""), 0);
    is_film(m, "video/mp4", 160);
}

/* ---- refusing */

static void private_addresses_are_refused_where_they_come_in(void **state)
{
    static const char *const addresses[] = {"http://127.0.0.1/v.mp4", "http://[::1]/v.mp4",
                                            "http://169.254.169.254/", "file:///etc/passwd", "x"};
    struct media *m = *state;
    guard_allow_private(false);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct body_error error;
        const void *bound;
        _cleanup_json_ json_t *params = json_pack("{s:s}", "input_url", addresses[i]);
        assert_int_equal(media_params_bind(media_operation_find(i % 2 ? "ytdlp_info" : "download_video"),
                                           params, &m->arena, &bound, &error),
                         -EINVAL);
        assert_int_equal(error.error, ERR_URL_REFUSED);
        assert_string_equal(error.field, "input_url");
    }
}

/* As for a name, of which only the resolver knows where it leads. */
static void private_addresses_are_refused_where_they_are_connected_to(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    m->cfg.allow_private_urls = false;
    assert_int_equal(download(m, "film.mp4", ""), -EACCES);
    assert_string_equal(m->run.error, "The address is not a public one, or leads to one that isn't");
    assert_int_equal(tcp_server_connections(server), 0);
}

/* What a page names goes through the proxy as well, which refuses this port. */
static void what_a_page_leads_to_is_checked_too(void **state)
{
    struct media *m = *state;
    write_text(m, "page.html", "<html><video src=\"http://127.0.0.1:81/v.mp4\"></video></html>");
    write_text(m, "list.m3u8",
               "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:22/a.ts\n#EXT-X-ENDLIST\n");
    assert_int_equal(download(m, "page.html", ""), -EACCES);
    assert_non_null(strstr(m->run.error, "not one of the web"));
    assert_int_equal(download(m, "list.m3u8", ""), -EACCES);
    assert_non_null(strstr(m->run.error, "not one of the web"));
}

static void no_file_of_the_server_is_read(void **state)
{
    static const char *const lists[] = {
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" SECRET_FILE "\n#EXT-X-ENDLIST\n",
        /* a method that yt-dlp would leave to FFmpeg */
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"file://" SECRET_FILE
        "\"\n#EXTINF:1,\nfile://" SECRET_FILE "\n#EXT-X-ENDLIST\n",
    };
    struct media *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        write_text(m, "list.m3u8", lists[i]);
        assert_true(download(m, "list.m3u8", "") < 0);
        assert_int_equal(m->run.n_outputs, 0);
        assert_null(strstr(m->log, "root:"));
    }
    assert_non_null(strstr(m->run.error, "no form that can be taken"));
    assert_int_equal(download(m, "to-file.mp4", ""), -EACCES);
    assert_null(strstr(m->log, "root:"));
}

static void what_is_no_video_is_refused(void **state)
{
    struct media *m = *state;
    write_text(m, "text.mp4", "This is a text, whatever its name and type may be.\n");
    write_text(m, "page.html", "<html><title>Nothing here</title><p>Nothing.</p></html>");
    assert_int_equal(download(m, "text.mp4", ""), -EINVAL);
    assert_non_null(strstr(m->run.error, "is no video"));
    assert_int_equal(download(m, "page.html", ""), -EINVAL);
    assert_string_equal(m->run.error, "There is no video at this address that can be taken");
    assert_int_equal(download(m, "missing.html", ""), -EINVAL);
    assert_non_null(strstr(m->run.error, "status 404"));
}

static void what_is_too_large_is_refused(void **state)
{
    struct media *m = *state;
    _cleanup_free_ char *large = calloc(1, (size_t)3 * 1024 * 1024);
    media_write(m, "large.mp4", large, (size_t)3 * 1024 * 1024);
    assert_int_equal(download(m, "large.mp4", ", \"max_mb\": 1"), -EFBIG);
    assert_string_equal(m->run.error, "The video has more than 1 MiB");
    assert_int_equal(download(m, "endless.mp4", ", \"max_mb\": 1"), -EFBIG);
    assert_string_equal(m->run.error, "The video has more than 1 MiB");
}

static void a_missing_program_is_named(void **state)
{
    struct media *m = *state;
    m->cfg.ytdlp_bin = "no-such-program";
    assert_int_equal(download(m, "film.mp4", ""), -ENOENT);
    m->cfg.ytdlp_bin = "/nonexistent/yt-dlp";
    assert_int_equal(download(m, "film.mp4", ""), -ENOENT);
    assert_null(strstr(m->run.error, "/nonexistent"));
    assert_false(m->run.may_pass);
}

static void *raise_when_stalled(void *cancel)
{
    (void)gate_wait(&arrived);
    cancel_raise(cancel);
    return NULL;
}

static void a_cancel_ends_it(void **state)
{
    struct media *m = *state;
    struct cancel cancel = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_when_stalled, &cancel), 0);
    m->run.cancel = &cancel;
    assert_int_equal(download(m, "stall.mp4", ""), -ECANCELED);
    (void)pthread_join(thread, NULL);
    m->run.cancel = NULL;
}

/* ---- how it is called */

static void read_text(const struct media *m, const char *name, char text[TEXT_MOST])
{
    _cleanup_close_ int fd = open(media_path(m, name), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, TEXT_MOST - 1);
    assert_true(n > 0);
    text[n] = '\0';
}

static void the_password_is_in_the_environment_alone(void **state)
{
    struct media *m = *state;
    char text[TEXT_MOST], program[PATH_MAX], password[256];
    (void)snprintf(text, sizeof text,
                   "#!/bin/sh\nprintf '%%s\\n' \"$@\" >%s\nenv >%s\necho \"ERROR: at $https_proxy, "
                   "login\" >&2\nexit 1\n",
                   media_path(m, "arguments"), media_path(m, "environment"));
    write_text(m, "yt-dlp", text);
    (void)snprintf(program, sizeof program, "%s", media_path(m, "yt-dlp"));
    assert_int_equal(chmod(program, 0700), 0);
    m->cfg.ytdlp_bin = program;
    assert_int_equal(download(m, "--exec=touch", ""), -EACCES);
    assert_non_null(strstr(m->run.error, "logged in"));
    read_text(m, "environment", text);
    const char *proxy = strstr(text, "http_proxy=http://genie:");
    assert_non_null(proxy);
    assert_int_equal(sscanf(proxy, "http_proxy=http://genie:%200[^@]", password), 1);
    assert_int_equal(strlen(password), 64);
    assert_null(strstr(m->log, password));
    assert_non_null(strstr(m->log, "****@127.0.0.1"));
    read_text(m, "arguments", text);
    assert_null(strstr(text, password));
    assert_non_null(strstr(text, "--ignore-config\n"));
    const char *end = strstr(text, "\n--\nhttp://127.0.0.1:");
    assert_non_null(end);
    assert_null(strchr(end + strlen("\n--\n"), '\n')[1] ? "more follows the URL" : NULL);
}

/* Of the Python that runs it, though the library is installed on the machine. */
static void websockets_are_not_there(void **state)
{
    struct media *m = *state;
    char text[TEXT_MOST], program[PATH_MAX];
    (void)snprintf(text, sizeof text,
                   "#!/usr/bin/python3\nimport sys\ntry:\n    import websockets\n"
                   "except ImportError as why:\n    open('%s', 'w').write(str(why))\nsys.exit(1)\n",
                   media_path(m, "why"));
    write_text(m, "yt-dlp", text);
    (void)snprintf(program, sizeof program, "%s", media_path(m, "yt-dlp"));
    assert_int_equal(chmod(program, 0700), 0);
    m->cfg.ytdlp_bin = program;
    assert_int_equal(download(m, "film.mp4", ""), -EINVAL);
    read_text(m, "why", text);
    assert_string_equal(text, "not to be used here");
}

static void errors_have_their_sentence(void **state)
{
    static const struct {
        const char *line, *words;
        int error;
    } cases[] = {
        {"ERROR: Unsupported URL: http://x/", "no video at this address", -EINVAL},
        {"ERROR: [youtube] x: Private video. Sign in if you've been granted access", "logged in", -EACCES},
        {"ERROR: [x] 1: This video is DRM protected", "protected", -EINVAL},
        {"ERROR: [generic] HTTP Error 404: Not Found", "404", -EINVAL},
        {"ERROR: [generic] HTTP Error 503: Busy", "fault of its own", -EAGAIN},
        {"ERROR: The read operation timed out", "in time", -ETIMEDOUT},
        {"ERROR: something else", "too old", -EINVAL},
        {"", "too old", -EINVAL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int error = 0;
        assert_non_null(strstr(ytdlp_sentence(cases[i].line, &error), cases[i].words));
        assert_int_equal(error, cases[i].error);
    }
}

/* ---- ytdlp_info */

static void a_page_is_described(void **state)
{
    struct media *m = *state;
    media_make_film(m, "film.mp4", "160x120", "1");
    write_text(m, "page.html",
               "<html><title>A \\\"page\\\" &amp; more</title><video src=\"/film.mp4\"></video></html>");
    assert_int_equal(run(m, "ytdlp_info", url("page.html"), ""), 0);
    assert_int_equal(m->run.n_outputs, 0);
    assert_non_null(strstr(json_str(m->run.result, "title", ""), "& more"));
    assert_string_equal(json_str(m->run.result, "webpage_url", ""), url("page.html"));
    assert_null(json_object_get(m->run.result, "formats"));
    assert_null(json_object_get(m->run.result, "url"));
}

/* ---- inputs of other operations */

static void an_input_may_be_named_by_its_url(void **state)
{
    struct media *m = *state;
    char address[256];
    media_make_picture(m, "picture.png", "64x48");
    (void)snprintf(address, sizeof address, "%s", url("picture.png"));
    m->input_url = address;
    assert_int_equal(media_operate(m, "convert_image", "{\"format\": \"jpeg\"}", NULL), 0);
    assert_string_equal(media_result(m)->type, "image/jpeg");
    assert_int_equal(media_result(m)->width, 64);
    (void)snprintf(address, sizeof address, "%s", url("missing.png"));
    assert_int_equal(media_operate(m, "convert_image", "{\"format\": \"jpeg\"}", NULL), -EINVAL);
    assert_non_null(strstr(m->run.error, "answered 404"));
}

static void an_input_that_is_not_public_is_not_fetched(void **state)
{
    struct media *m = *state;
    char address[256];
    media_make_picture(m, "picture.png", "64x48");
    (void)snprintf(address, sizeof address, "%s", url("picture.png"));
    m->input_url = address;
    m->cfg.allow_private_urls = false; /* the guard at the entry lets it through */
    assert_int_equal(media_operate(m, "convert_image", "{\"format\": \"jpeg\"}", NULL), -EACCES);
    m->input_url = "file:///etc/passwd";
    assert_int_equal(media_operate(m, "convert_image", "{\"format\": \"jpeg\"}", NULL), -EINVAL);
    assert_int_equal(tcp_server_connections(server), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_video_is_taken_as_it_is),
        TEST(a_page_with_a_video_will_do),
        TEST(pieces_of_a_stream_become_one_film_no_higher_than_wanted),
        TEST(picture_and_sound_apart_are_put_together),
        TEST(private_addresses_are_refused_where_they_come_in),
        TEST(private_addresses_are_refused_where_they_are_connected_to),
        TEST(what_a_page_leads_to_is_checked_too),
        TEST(no_file_of_the_server_is_read),
        TEST(what_is_no_video_is_refused),
        TEST(what_is_too_large_is_refused),
        TEST(a_missing_program_is_named),
        TEST(a_cancel_ends_it),
        TEST(the_password_is_in_the_environment_alone),
        TEST(websockets_are_not_there),
        TEST(errors_have_their_sentence),
        TEST(a_page_is_described),
        TEST(an_input_may_be_named_by_its_url),
        TEST(an_input_that_is_not_public_is_not_fetched),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
