/* SPDX-License-Identifier: MIT */
/* A line is built in one buffer and written with one write(2) of at most PIPE_BUF bytes, which a pipe takes
 * whole, so that lines of several threads and processes never mix. Long texts are cut, and fields that don't
 * fit are left out. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#define LINE_MAX_BYTES (PIPE_BUF - 2) /* and the end of a line */
#define MESSAGE_MAX 512               /* fits with every byte escaped */
#define VALUE_MAX 2048
#define STUCK_MS 1000 /* how long a full pipe is waited for before a line is given up */
#define REQUEST_ID_MAX 64

static enum log_level least_level = LOG_INFO;
static bool json_lines = true;
static _Thread_local char request_id[REQUEST_ID_MAX + 1];

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level least, bool as_json)
{
    least_level = least;
    json_lines = as_json;
}

void log_set_request(const char *id)
{
    size_t len = id ? strnlen(id, REQUEST_ID_MAX) : 0;
    memcpy(request_id, id ? id : "", len);
    request_id[len] = '\0';
}

/* Outside bytes may reach a log value (a path); what is not UTF-8 is shown as '?'. */
static void add_json_value(struct buf *b, const char *s, size_t max)
{
    size_t len = utf8_floor(s, strnlen(s, max + 1), max);
    if (utf8_valid(s, len)) {
        (void)json_write_str(b, s, len);
        return;
    }
    _cleanup_free_ char *clean = strndup(s, len);
    for (size_t i = 0; clean && i < len; i++)
        if ((unsigned char)clean[i] >= 0x80)
            clean[i] = '?';
    (void)json_write_str(b, clean ? clean : "", clean ? len : 0);
}

static void add_field(struct buf *b, const struct log_field *f)
{
    size_t before = b->len;
    (void)buf_addf(b, json_lines ? ",\"%s\":" : " %s=", f->name);
    if (f->is_number)
        (void)buf_addf(b, "%lld", (long long)f->number);
    else
        add_json_value(b, f->text, VALUE_MAX);
    if (b->failed) {
        b->len = before;
        b->failed = false;
    }
}

static void add_head(struct buf *b, enum log_level level, const char *message)
{
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    if (!json_lines) {
        int len = (int)strcspn(message, "\r\n");
        (void)buf_addf(b, "%s %-5s %.*s", now, level_names[level], len < MESSAGE_MAX ? len : MESSAGE_MAX,
                       message);
        return;
    }
    (void)buf_addf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", now, level_names[level]);
    add_json_value(b, message, MESSAGE_MAX);
}

/* Whether a write that failed is worth another try: standard error may be a non-blocking pipe of somebody
 * else. */
static bool may_go_on(void)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    return errno == EINTR || (errno == EAGAIN && poll(&room, 1, STUCK_MS) > 0);
}

/* A line that can't be written has nowhere left to be complained about. */
static void put(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);
        if (n < 0 && may_go_on())
            continue;
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if (level < least_level)
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(LINE_MAX_BYTES);
    add_head(&b, level, message);
    if (request_id[0])
        add_field(&b, &LOG_S("request_id", request_id));
    for (; fields->name; fields++)
        if (fields->text || fields->is_number)
            add_field(&b, fields);
    b.max += 2;
    (void)buf_adds(&b, json_lines ? "}\n" : "\n");
    put(b.data, b.len);
}

int log_error(int r, const char *what)
{
    log_event(LOG_ERROR, what, LOG_S("error", strerror(-r)));
    return r;
}
