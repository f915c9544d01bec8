/* SPDX-License-Identifier: MIT */
#include "reader/formats.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "reader/decode.h"

#include <errno.h>
#include <string.h>

#define ENDING_MAX 8
#define HTML_MAX ((size_t)8 << 20) /* its parser is the slowest, on pages that are made for it */
#define DECODED_MAX (3 * FORMAT_FILE_MAX)

static const struct format formats[] = {
    {"json|js|jsonl|ndjson", format_read_json, NODE_CONTENT, false},
    {"csv|tsv", format_read_csv, NODE_CONTENT, false},
    {"txt|text", format_read_plain, NODE_NOTE, true},
    {"md|markdown", format_read_markdown, NODE_NOTE, true},
    {"html|htm|xhtml", format_read_html, NODE_NOTE, true, HTML_MAX},
    {"zip|gz|tgz|tar|7z|rar|bz2|xz|zst", NULL, NODE_NOTE, false},
};

const struct format *format_of(const char *name)
{
    char ending[ENDING_MAX + 1];
    const char *dot = strrchr(name, '.');
    if (!dot || strchr(dot, '/') || strlen(dot + 1) > ENDING_MAX)
        return NULL;
    (void)snprintf(ending, sizeof ending, "%s", dot + 1);
    str_lower(ending);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (choices_have(formats[i].endings, ending, strlen(ending)))
            return &formats[i];
    return NULL;
}

/* The file's name without folders and ending, with blanks for dashes and underscores. */
static char *title_of(struct arena *a, const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    char *title = arena_strndup(a, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    for (char *p = title; p && *p; p++)
        if (*p == '_' || *p == '-')
            *p = ' ';
    return title;
}

static int leave_out(struct corpus *c, const char *name, const char *why)
{
    c->counts.files_left++;
    corpus_remark(c, name, why);
    return 0;
}

/* What is read of a file that is too long: whole lines, where there are any. */
static size_t cut_length(const char *data)
{
    const char *end = memrchr(data, '\n', FORMAT_FILE_MAX);
    return end ? (size_t)(end - data) + 1 : utf8_floor(data, FORMAT_FILE_MAX + 1, FORMAT_FILE_MAX);
}

int format_read_file(struct corpus *c, const char *name, uint32_t number, const char *data, size_t len)
{
    const struct format *f = format_of(name);
    bool cut = len > FORMAT_FILE_MAX;
    _cleanup_buf_ struct buf decoded = BUF_INIT(DECODED_MAX);
    const char *text, *why = NULL;
    c->counts.files++;
    if (!f) {
        c->counts.files_other++;
        return 0;
    }
    if (!f->read)
        return leave_out(c, name, "an archive within the archive isn't opened");
    if (f->whole_max > 0 && len > f->whole_max)
        return leave_out(c, name, "the file is too large");
    if (cut)
        len = cut_length(data);
    int r = text_decode(data, len, &decoded, &text, &len);
    if (r == -EBADMSG || r == -ENOBUFS)
        return leave_out(c, name, "the file holds no text");
    if (r < 0)
        return r;
    struct source source = {.name = name,
                            .title = title_of(&c->texts, name),
                            .kind = node_kind_of(name, strlen(name), f->kind),
                            .number = number,
                            .is_document = f->is_document};
    uint64_t before = c->counts.records;
    r = source.title ? f->read(c, &source, text, len, &why) : -ENOMEM;
    if (cut && r != -ENOMEM && !corpus_is_full(c)) {
        r = -EBADMSG; /* whatever it says of the end */
        why = "the file is too large: what stands behind its first 32 MiB isn't read";
    }
    if (r == -EBADMSG && c->counts.records == before)
        return leave_out(c, name, why);
    if (r == -EBADMSG)
        corpus_remark(c, name, why);
    c->counts.files_read += r == 0 || r == -EBADMSG;
    return r == -ENOMEM ? r : 0;
}
