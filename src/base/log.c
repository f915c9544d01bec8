/* SPDX-License-Identifier: MIT */
/* A line is built in a stack buffer and written with one write(2), so that lines of several threads and processes
 * never mix. A line too long for the buffer is cut at a field, never in the middle of one. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define LINE_MAX_BYTES 8192
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
static void add_json_value(struct buf *b, const char *s)
{
    size_t len = strnlen(s, LINE_MAX_BYTES / 2);
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
        add_json_value(b, f->text);
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
        (void)buf_addf(b, "%s %-5s %s", now, level_names[level], message);
        return;
    }
    (void)buf_addf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", now, level_names[level]);
    add_json_value(b, message);
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
    if (b.data && write(STDERR_FILENO, b.data, b.len) < 0)
        return; /* nowhere left to say it */
}

int log_error(int r, const char *what)
{
    log_event(LOG_ERROR, what, LOG_S("error", strerror(-r)));
    return r;
}
