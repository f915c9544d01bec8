/* SPDX-License-Identifier: MIT */
/* Texts of a foreign installation: whatever bytes they are, what comes out is text that both engines and
 * every reader take; and an answer or a document that is accepted has what is promised of it. */
#include "fuzz.h"

#include "base/text.h"
#include "import/document.h"
#include "import/mend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)64 << 20)
#define ANSWER_MAX 4096

static void require(bool held)
{
    if (!held)
        abort();
}

static void try_text(struct arena *a, const char *s, size_t len)
{
    bool mended = false, again = false;
    const char *text = mend_text(a, s, len, &mended);
    require(text && utf8_valid(text, strlen(text)) && strlen(text) >= len);
    require(mended || strlen(text) == len);
    require(strcmp(mend_text(a, text, strlen(text), &again), text) == 0 && !again);
}

static void try_answer(struct arena *a, const char *s)
{
    const char *out = NULL;
    bool mended = false, again = false;
    int r = mend_answer(a, s, ANSWER_MAX, &out, &mended);
    require(r <= 0);
    if (r < 0)
        return;
    json_t *answer = json_parse(out, strlen(out)), *sources = json_object_get(answer, "sources");
    require(json_is_string(json_object_get(answer, "text")) && strlen(out) <= ANSWER_MAX);
    require(!sources || json_is_array(sources));
    json_decref(answer);
    require(mend_answer(a, out, ANSWER_MAX, &out, &again) == 0 && !again);
}

static void try_document(struct arena *a, const char *s, size_t len)
{
    struct document d;
    if (document_parse(a, s, len, &d) < 0)
        return;
    require(d.len == strlen(d.text) && utf8_valid(d.text, d.len) && utf8_valid(d.title, strlen(d.title)));
    for (size_t at = 0, n; at < d.len; at += n) {
        n = document_part(d.text + at, d.len - at);
        require(n > 0 && n <= d.len - at);
    }
}

static void try_time(const char *s)
{
    int64_t ms;
    if (mend_time(s, 0, &ms) == 0)
        require(ms >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    char *text = calloc(1, size + 1);
    require(text);
    memcpy(text, data, size);
    arena_init(&a, ARENA_MAX);
    try_text(&a, (const char *)data, size);
    try_document(&a, (const char *)data, size);
    bool mended = false;
    char *good = mend_text(&a, text, strlen(text), &mended); /* as rows.c hands it on */
    require(good);
    try_answer(&a, good);
    try_time(good);
    arena_free(&a);
    free(text);
    return 0;
}
