/* SPDX-License-Identifier: MIT */
/* Any text, whole and cut at places that the input itself chooses: the same visible text and tags, never more
 * held than a tag may be long; and what tags_break gives holds no tag. */
#include "fuzz.h"

#include "agent/tags.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1024 * 1024)

struct outcome {
    struct buf visible, tags;
    size_t malformed, n_tags;
};

static void require(bool held)
{
    if (!held)
        abort();
}

static void see(void *ctx, const char *text, size_t len)
{
    require(len > 0 && buf_add(ctx, text, len) == 0);
}

/* In pieces whose lengths are the bytes of `cuts`, used round and round; NULL: whole. */
static struct outcome scan(const char *text, size_t len, const uint8_t *cuts, size_t n_cuts)
{
    struct outcome o = {.visible = BUF_INIT(TEXT_MAX), .tags = BUF_INIT(TEXT_MAX)};
    struct tag_scanner s;
    tags_init(&s, see, &o.visible);
    for (size_t at = 0, k = 0; at < len; k++) {
        size_t piece = cuts ? (size_t)(cuts[k % n_cuts] % 9 + (k % n_cuts == 0)) : len;
        piece = piece < len - at ? piece : len - at;
        require(tags_feed(&s, text + at, piece) == 0 && s.held.len <= TAG_MAX_BYTES);
        at += piece;
    }
    require(tags_finish(&s) == 0);
    for (size_t i = 0; i < s.n_tags; i++)
        require(buf_adds(&o.tags, s.tags[i].slug) == 0 && json_write(&o.tags, s.tags[i].input) == 0);
    o.malformed = s.malformed;
    o.n_tags = s.n_tags;
    tags_free(&s);
    return o;
}

static bool same(struct outcome *a, struct outcome *b)
{
    return a->malformed == b->malformed && a->n_tags == b->n_tags &&
           strcmp(buf_str(&a->tags), buf_str(&b->tags)) == 0 && a->visible.len == b->visible.len &&
           (a->visible.len == 0 || memcmp(a->visible.data, b->visible.data, a->visible.len) == 0);
}

static void release(struct outcome *o)
{
    buf_free(&o->visible);
    buf_free(&o->tags);
}

static void check_broken(const char *text)
{
    struct arena a;
    arena_init(&a, 4 * TEXT_MAX);
    const char *broken = tags_break(&a, text);
    require(broken && !tags_present(broken) && strlen(broken) >= strlen(text));
    struct outcome o = scan(broken, strlen(broken), NULL, 0);
    require(o.n_tags == 0 && o.malformed == 0);
    release(&o);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > TEXT_MAX / 4)
        return 0;
    char *text = calloc(1, size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    struct outcome whole = scan((const char *)data, size, NULL, 0),
                   cut = scan((const char *)data, size, data, size);
    require(same(&whole, &cut) && whole.visible.len <= size);
    check_broken(text);
    release(&whole);
    release(&cut);
    free(text);
    return 0;
}
