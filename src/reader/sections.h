/* SPDX-License-Identifier: MIT */
/* Documents as records: one a heading, named by the document and it. For Markdown, HTML and plain text. */
#ifndef READER_SECTIONS_H
#define READER_SECTIONS_H

#include "base/buf.h"
#include "reader/corpus.h"

#define SECTION_TEXT_MAX ((size_t)256 * 1024) /* bytes; longer ones become several records */
#define HEADING_MAX 160

struct sections {
    struct corpus *corpus;
    const struct source *source;
    char title[HEADING_MAX + 1];   /* of the document; the file's where it has none */
    char heading[HEADING_MAX + 1]; /* of the present section */
    struct buf text;
    int error;                        /* the first */
    char tags[TAGS_MAX][TAG_MAX + 1]; /* of the whole document */
    size_t n_tags;
};

void sections_begin(struct sections *s, struct corpus *c, const struct source *source);

/* Appends to the present section. Texts are well-formed UTF-8. */
void sections_text(struct sections *s, const char *text, size_t len);

/* The document's title, unless it has one. */
void sections_title(struct sections *s, const char *title, size_t len);

/* Ends the present section and begins the next; the first one of level 1 may be the document's title. */
void sections_heading(struct sections *s, int level, const char *heading, size_t len);

/* Ends the last one: 0 or -ENOMEM. */
int sections_end(struct sections *s);

#endif
