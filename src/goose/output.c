/* SPDX-License-Identifier: MIT */
/* The tail may grow to twice its size before its older half is dropped, so that dropping is rare. */
#include "goose/output.h"

#include "base/text.h"

void output_init(struct output *o)
{
    *o = (struct output){.head = BUF_INIT(OUTPUT_HEAD_MAX), .tail = BUF_INIT(2 * OUTPUT_TAIL_MAX)};
}

void output_free(struct output *o)
{
    buf_free(&o->head);
    buf_free(&o->tail);
}

static void add_tail(struct output *o, const char *s, size_t len)
{
    if (len > OUTPUT_TAIL_MAX) {
        s += len - OUTPUT_TAIL_MAX;
        len = OUTPUT_TAIL_MAX;
    }
    if (o->tail.len + len > 2 * OUTPUT_TAIL_MAX)
        buf_drop(&o->tail, o->tail.len - (OUTPUT_TAIL_MAX - len));
    (void)buf_add(&o->tail, s, len);
}

void output_add(struct output *o, const char *s, size_t len)
{
    size_t fits = 0;
    o->total += (int64_t)len;
    if (o->tail.len == 0) { /* the head ends with the first piece that it can't take whole */
        size_t room = OUTPUT_HEAD_MAX - o->head.len;
        fits = len <= room ? len : utf8_floor(s, len, room);
        if (fits > 0 && buf_add(&o->head, s, fits) < 0)
            fits = 0;
    }
    if (fits < len)
        add_tail(o, s + fits, len - fits);
}

/* Where the kept end begins: at most OUTPUT_TAIL_MAX before its end, and on a character's border. */
static size_t tail_start(const struct buf *tail)
{
    size_t at = tail->len > OUTPUT_TAIL_MAX ? tail->len - OUTPUT_TAIL_MAX : 0;
    while (at < tail->len && ((unsigned char)tail->data[at] & 0xC0) == 0x80)
        at++;
    return at;
}

int output_text(const struct output *o, struct buf *ret)
{
    size_t start = tail_start(&o->tail), end = o->tail.len - start;
    int64_t missing = o->total - (int64_t)(o->head.len + end);
    int r = o->head.len ? buf_add(ret, o->head.data, o->head.len) : 0;
    if (r == 0 && missing > 0)
        r = buf_addf(ret, "\n[%lld bytes left out]\n", (long long)missing);
    if (r == 0 && end > 0)
        r = buf_add(ret, o->tail.data + start, end);
    return r;
}
