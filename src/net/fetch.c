/* SPDX-License-Identifier: MIT */
/* One curl transfer in a multi handle of its own, so that the wait can be cut into slices in which the cancel
 * flag is looked at. The guard sits where curl opens the socket: it sees the very address that will be
 * connected to. */
#include "net/fetch.h"

#include "base/clock.h"
#include "base/text.h"
#include "net/guard.h"
#include "net/headers.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define SLICE_MS 50
#define DEFAULT_CONNECT_MS 5000
#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_MAX_BODY (1024 * 1024)
#define METHOD_MAX 16

struct transfer {
    const struct fetch_request *request;
    struct fetch_response *response;
    CURL *easy;
    struct curl_slist *headers;
    curl_mime *form;
    curl_off_t form_at; /* of the file: what was read */
    bool guarded;       /* the guard refused an address */
    bool too_large;
    size_t sunk;   /* bytes that the sink has taken */
    int sink_said; /* what it ended the transfer with */
    CURLcode result;
};

void fetch_response_free(struct fetch_response *response)
{
    buf_free(&response->body);
}

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool sink(struct transfer *t, const char *data, size_t len)
{
    t->too_large = len > t->response->body.max - t->sunk;
    t->sink_said = t->too_large ? 0 : t->request->sink(t->request->sink_ctx, data, len);
    t->sunk += t->too_large ? 0 : len;
    return !t->too_large && t->sink_said == 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    if (t->request->sink)
        return sink(t, data, size * n) ? size * n : CURL_WRITEFUNC_ERROR;
    if (buf_add(&t->response->body, data, size * n) == 0)
        return size * n;
    t->too_large = true;
    return CURL_WRITEFUNC_ERROR;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    (void)purpose;
    if (t->request->public_only && !guard_address_is_public(&address->addr)) {
        t->guarded = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    return true;
}

static bool form_is_well_formed(const struct fetch_request *request)
{
    const struct fetch_form *form = request->form;
    return str_equal(request->method, "POST") && !request->body && form->bytes >= 0 && is_plain(form->name) &&
           is_plain(form->type);
}

/* A line break in a method or a header would be a second request. */
static bool is_well_formed(const struct fetch_request *request)
{
    const char *method = request->method;
    if (method &&
        (!method[0] || strlen(method) > METHOD_MAX || !str_only(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")))
        return false;
    for (const char *const *h = request->headers; h && *h; h++)
        if (strpbrk(*h, "\r\n"))
            return false;
    if (request->form && !form_is_well_formed(request))
        return false;
    return guard_parse_url(request->url, NULL) == 0;
}

static int set_headers(struct transfer *t)
{
    int r = headers_add(&t->headers, "Expect:");
    for (const char *const *h = t->request->headers; r == 0 && h && *h; h++)
        r = headers_add(&t->headers, *h);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return r;
}

/* ---- a form */

static size_t read_file(char *to, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const struct fetch_form *form = t->request->form;
    int64_t left = form->bytes - t->form_at;
    size_t most = size * n < (uint64_t)left ? size * n : (size_t)left;
    ssize_t got;
    do
        got = pread(form->fd, to, most, t->form_at);
    while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && most > 0))
        return CURL_READFUNC_ABORT;
    t->form_at += got;
    return (size_t)got;
}

static int seek_file(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    if (origin != SEEK_SET || offset < 0 || offset > t->request->form->bytes)
        return CURL_SEEKFUNC_FAIL;
    t->form_at = offset;
    return CURL_SEEKFUNC_OK;
}

static int add_fields(struct transfer *t)
{
    for (const struct fetch_field *f = t->request->form->fields; f && f->name; f++) {
        curl_mimepart *part = curl_mime_addpart(t->form);
        if (!part || curl_mime_name(part, f->name) != CURLE_OK ||
            curl_mime_data(part, f->value, CURL_ZERO_TERMINATED) != CURLE_OK)
            return -ENOMEM;
    }
    return 0;
}

static int set_form(struct transfer *t)
{
    const struct fetch_form *form = t->request->form;
    t->form = form ? curl_mime_init(t->easy) : NULL;
    if (!t->form)
        return form ? -ENOMEM : 0;
    int r = add_fields(t);
    curl_mimepart *part = r == 0 ? curl_mime_addpart(t->form) : NULL;
    if (!part || curl_mime_name(part, "file") != CURLE_OK ||
        curl_mime_filename(part, form->name) != CURLE_OK || curl_mime_type(part, form->type) != CURLE_OK ||
        curl_mime_data_cb(part, form->bytes, read_file, seek_file, NULL, t) != CURLE_OK)
        return -ENOMEM;
    (void)curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, t->form);
    return 0;
}

static void set_method(struct transfer *t)
{
    const struct fetch_request *request = t->request;
    const char *method = request->method ? request->method : "GET";
    if (request->form)
        return;
    bool sends = request->body ||
                 (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 && strcmp(method, "DELETE") != 0);
    if (sends) {
        (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    if (strcmp(method, "HEAD") == 0)
        (void)curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, sends ? "POST" : "GET") != 0)
        (void)curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_limits(struct transfer *t)
{
    const struct fetch_request *request = t->request;
    int64_t connect_ms = request->connect_timeout_ms ? request->connect_timeout_ms : DEFAULT_CONNECT_MS;
    int64_t timeout_ms = request->timeout_ms ? request->timeout_ms : DEFAULT_TIMEOUT_MS;
    (void)curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    (void)curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    (void)curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)(request->idle_ms / 1000));
    (void)curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, request->max_redirects > 0 ? 1L : 0L);
    (void)curl_easy_setopt(t->easy, CURLOPT_MAXREDIRS, (long)request->max_redirects);
    (void)curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(t->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(t->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L); /* a cancel doesn't wait for the resolver */
    (void)curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
}

/* Runs the transfer to its end: CURLE_OK and its like in *ret_result, or a negative errno. */
static int run(CURLM *multi, struct cancel *cancel, CURLcode *ret_result)
{
    int running = 1;
    while (running) {
        if (cancel_raised(cancel))
            return -ECANCELED;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return -EIO;
        if (running && curl_multi_poll(multi, NULL, 0, SLICE_MS, NULL) != CURLM_OK)
            return -EIO;
    }
    int left;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    *ret_result = message ? message->data.result : CURLE_FAILED_INIT;
    return 0;
}

static int transfer_run(struct transfer *t, CURLcode *ret_result)
{
    CURLM *multi = curl_multi_init();
    if (!multi)
        return -ENOMEM;
    int r = curl_multi_add_handle(multi, t->easy) == CURLM_OK ? 0 : -ENOMEM;
    if (r == 0)
        r = run(multi, t->request->cancel, ret_result);
    (void)curl_multi_remove_handle(multi, t->easy);
    (void)curl_multi_cleanup(multi);
    return r;
}

/* curl says the same of a redirect to another scheme and of an answer that isn't HTTP. */
static bool was_redirected(const struct transfer *t)
{
    long status = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return status / 100 == 3;
}

static int errno_of(const struct transfer *t, CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
        return t->guarded ? -EACCES : -ECONNREFUSED;
    case CURLE_UNSUPPORTED_PROTOCOL:
        return was_redirected(t) ? -EACCES : -EIO;
    case CURLE_URL_MALFORMAT:
        return -EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_WRITE_ERROR:
        return t->too_large ? -EMSGSIZE : t->sink_said < 0 ? t->sink_said : -EIO;
    default:
        return -EIO;
    }
}

static const char *sentence_of_failure(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "The host is not known";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return "The server's certificate was not accepted";
    case CURLE_TOO_MANY_REDIRECTS:
        return "The server redirects too often";
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return "The connection broke off";
    default:
        return "The request failed";
    }
}

static const char *sentence_of(int r, CURLcode result)
{
    static const struct {
        int r;
        const char *sentence;
    } sentences[] = {
        {-ECANCELED, "The request was cancelled"},
        {-ETIMEDOUT, "The server did not answer in time"},
        {-EACCES, "The address is not a public one"},
        {-EMSGSIZE, "The answer is too large"},
        {-EINVAL, "The URL, method or a header is malformed"},
        {-ECONNREFUSED, "The server could not be reached"},
        {-ENOMEM, "Out of memory"},
    };
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
        if (sentences[i].r == r)
            return sentences[i].sentence;
    return sentence_of_failure(result);
}

static void read_head(struct transfer *t)
{
    long status = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    t->response->status = (int)status;
    (void)snprintf(t->response->content_type, sizeof t->response->content_type, "%s", type ? type : "");
}

static int perform(struct transfer *t)
{
    t->easy = curl_easy_init();
    if (!t->easy)
        return -ENOMEM;
    (void)curl_easy_setopt(t->easy, CURLOPT_URL, t->request->url);
    set_limits(t);
    set_method(t);
    int r = set_headers(t);
    if (r == 0)
        r = set_form(t);
    if (r < 0)
        return r;
    r = transfer_run(t, &t->result);
    if (r == 0)
        r = errno_of(t, t->result);
    if (r == 0)
        read_head(t);
    return r;
}

int fetch(const struct fetch_request *request, struct fetch_response *response)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_curl);
    *response =
        (struct fetch_response){.body = BUF_INIT(request->max_body ? request->max_body : DEFAULT_MAX_BODY)};
    struct transfer t = {.request = request, .response = response};
    int r = is_well_formed(request) ? perform(&t) : -EINVAL;
    curl_easy_cleanup(t.easy);
    curl_mime_free(t.form);
    headers_free(t.headers);
    if (r < 0)
        (void)snprintf(response->error, sizeof response->error, "%s", sentence_of(r, t.result));
    return r;
}
