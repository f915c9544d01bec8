/* SPDX-License-Identifier: MIT */
/* A document as AnythingLLM's collector keeps it: a JSON file with "pageContent", "title" and more. */
#ifndef IMPORT_DOCUMENT_H
#define IMPORT_DOCUMENT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

#define DOCUMENT_FILE_MAX ((size_t)32 << 20)
#define DOCUMENT_TEXT_MAX ((size_t)8 << 20)
#define DOCUMENT_PART ((size_t)24 << 10) /* bytes of text in one node */

struct document {
    const char *title, *text;
    size_t len;
};

/* Reads a document from the text of its file; texts in the arena. 0, -EINVAL no document, -E2BIG too much
 * text, -ENOMEM. */
int document_parse(struct arena *a, const char *data, size_t len, struct document *ret);

/* The next part of a document's text: its length, at least 1 where text is left. Parts end with a paragraph,
 * a line or a word where they can, and never within a character. */
size_t document_part(const char *text, size_t len);

/* Opens the file that a docpath ("folder/file.json") names below the directory, following no link and
 * nothing that leads out of it: a descriptor or negative errno. */
int document_open(int dir, const char *docpath);

#endif
