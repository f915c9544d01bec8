/* SPDX-License-Identifier: MIT */
/* Any bytes as a form, its first line as the Content-Type: however they are cut into pieces, the same events
 * come, in order, and the same verdict. File names come out clean. */
#include "fuzz.h"

#include "base/text.h"
#include "http/multipart.h"
#include "http/upload.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX ((size_t)4 * 1024 * 1024)

static void require(bool held)
{
    if (!held)
        abort();
}

struct record {
    struct buf events;
    bool inside;
};

static void check_name(const char *sent)
{
    char name[UPLOAD_NAME_MAX + 1];
    upload_clean_name(sent, name);
    require(name[0] && strlen(name) <= UPLOAD_NAME_MAX && utf8_valid(name, strlen(name)));
    require(!strpbrk(name, "/\\\r\n") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
}

static int on_begin(void *ctx, const struct multipart_part *part)
{
    struct record *r = ctx;
    require(!r->inside && part->name);
    r->inside = true;
    if (part->filename)
        check_name(part->filename);
    return buf_addf(&r->events, "[%s|%s|%s]", part->name, part->filename ? part->filename : "-",
                    part->type ? part->type : "-") < 0
               ? -1
               : 0;
}

static int on_data(void *ctx, const char *data, size_t len)
{
    struct record *r = ctx;
    require(r->inside && len > 0);
    return buf_add(&r->events, data, len) < 0 ? -1 : 0;
}

static int on_end(void *ctx)
{
    struct record *r = ctx;
    require(r->inside);
    r->inside = false;
    return buf_adds(&r->events, "!") < 0 ? -1 : 0;
}

static const struct multipart_events events = {on_begin, on_data, on_end};

/* Reads it all in pieces of `step` bytes. */
static int read_in(const char *type, const char *data, size_t size, size_t step, struct record *r)
{
    struct multipart m;
    *r = (struct record){.events = BUF_INIT(EVENTS_MAX)};
    int verdict = multipart_init(&m, type, &events, r);
    for (size_t at = 0; verdict == 0 && at < size; at += step)
        verdict = multipart_push(&m, data + at, size - at < step ? size - at : step);
    if (verdict == 0)
        verdict = multipart_end(&m);
    require(verdict != 0 || !r->inside);
    multipart_free(&m);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    if (!line_end || size > (size_t)64 * 1024)
        return 0;
    struct record whole, cut;
    char *type = calloc(1, (size_t)(line_end - data) + 1);
    const char *body = (const char *)line_end + 1;
    size_t len = size - (size_t)(line_end + 1 - data);
    require(type != NULL);
    memcpy(type, data, (size_t)(line_end - data));
    int verdict = read_in(type, body, len, len ? len : 1, &whole);
    for (size_t step = 1; step <= 7; step += 3) {
        require(read_in(type, body, len, step, &cut) == verdict);
        require(verdict != 0 || (cut.events.len == whole.events.len &&
                                 memcmp(buf_str(&cut.events), buf_str(&whole.events), cut.events.len) == 0));
        buf_free(&cut.events);
    }
    buf_free(&whole.events);
    free(type);
    return 0;
}
