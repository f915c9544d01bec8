/* SPDX-License-Identifier: MIT */
/* What one file of an export says of one thing: a post, a message, a fan, a section of a page. The formats'
 * readers make records, the corpus makes nodes of them. */
#ifndef READER_RECORD_H
#define READER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAG_MAX 64  /* bytes of a tag; a longer one is none */
#define TAGS_MAX 16 /* of a record */

enum node_kind { NODE_CONTENT, NODE_FAN_MEMORY, NODE_PERSONA, NODE_NOTE, NODE_KINDS };

/* As user_nodes.node_type has it. */
const char *node_kind_name(enum node_kind kind);

/* Of what kind the things are that a file, folder or key of this name holds, by the words in it; `otherwise`
 * where it says nothing. Pure. */
enum node_kind node_kind_of(const char *name, size_t len, enum node_kind otherwise);

/* A file of an export. Texts are well-formed UTF-8. */
struct source {
    const char *name;  /* in the archive, without control characters */
    const char *title; /* of the file's name, without folders and ending */
    enum node_kind kind;
    uint32_t number;  /* of the file */
    bool is_document; /* its records follow from one another, as sections do */
};

struct record {
    enum node_kind kind;
    const char *title, *author, *thread, *date; /* NULL or "" where unknown */
    const char *text;                           /* `text_len` bytes */
    size_t text_len;
    char (*tags)[TAG_MAX + 1];
    size_t n_tags;
};

#endif
