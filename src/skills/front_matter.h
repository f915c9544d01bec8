/* SPDX-License-Identifier: MIT */
/* YAML front matter as a small tree with line numbers. What of YAML can make a short text large or deep is
 * refused: anchors and aliases, nesting beyond FRONT_DEPTH_MAX, a second document. Explicit types are
 * ignored: every scalar is its text. */
#ifndef SKILLS_FRONT_MATTER_H
#define SKILLS_FRONT_MATTER_H

#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define FRONT_BYTES_MAX (64 * 1024)
#define FRONT_DEPTH_MAX 8
#define FRONT_NODES_MAX 4096

enum front_kind { FRONT_TEXT, FRONT_LIST, FRONT_MAP };

struct front_node {
    enum front_kind kind;
    int line;         /* from 1, in the file */
    const char *key;  /* of a member of a map, else NULL */
    const char *text; /* of a text; NULL for null, ~ and nothing */
    struct front_node *first, *last, *next;
};

/* What is wrong, and where. */
struct front_fault {
    int line;
    char why[200];
};

/* Reads YAML that begins in line `first_line` of its file; the tree is in the arena. 0 and *ret (NULL for an
 * empty document), -EBADMSG with *fault, or -ENOMEM. Pure. */
int front_read(struct arena *a, const char *yaml, size_t len, int first_line, struct front_node **ret,
               struct front_fault *fault);

/* The member of a map, or NULL. */
const struct front_node *front_member(const struct front_node *map, const char *key);

/* Says what is wrong, in printable characters whatever the file's are; a reason that is too long is cut. */
void front_fault_set(struct front_fault *fault, int line, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* The same, and returns -EBADMSG. */
int front_fail(struct front_fault *fault, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
