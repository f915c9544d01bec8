/* SPDX-License-Identifier: MIT */
/* What an export says, as nodes to be: the formats' readers add records, which are cut into pieces, named and
 * keyed here. Within limits that hold for the whole export, so that it fits in memory and in the index that
 * answers are looked up in. What is left out is counted. The same archive always gives the same corpus, so a
 * reader that begins again finds its place by number. Not thread-safe. */
#ifndef READER_CORPUS_H
#define READER_CORPUS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "reader/record.h"
#include "retrieval/lexicon.h"

#define CORPUS_NODES_MAX 20000
#define CORPUS_TEXT_MAX ((size_t)12 << 20) /* bytes of all contents */
#define CORPUS_REMARKS_MAX 100
#define KEY_SIZE 65   /* SHA-256 in hexadecimal */
#define TITLE_MAX 240 /* bytes */

struct draft {
    enum node_kind kind;
    const char *title, *content, *tags; /* tags: a JSON array */
    char key[KEY_SIZE];                 /* of kind, title and content: the same thing has the same key */
    uint32_t source;                    /* number of the file */
    uint32_t part;                      /* of its record, from 0 */
    bool follows;                       /* in its file: sections of a document */
    uint32_t author, thread;            /* numbers in `names`, LEXICON_NONE where unknown */
    uint32_t first_tag, n_tags;         /* in corpus.tag_of */
};

/* What the owner is told of: a file that was left out, or cut short. */
struct remark {
    const char *name, *why;
};

struct corpus {
    struct arena texts;    /* of drafts; what is there already takes nothing of it */
    struct buf line, text; /* of the draft that is being made */
    struct draft *drafts;
    size_t n, cap;
    size_t bytes; /* of contents */
    struct lexicon keys, names, tags;
    uint32_t *tag_of; /* numbers in `tags` */
    size_t n_tag_of, tag_of_cap;
    struct remark remarks[CORPUS_REMARKS_MAX];
    size_t n_remarks;
    struct cancel *cancel; /* of who reads into it; may be NULL */
    unsigned looks;        /* of corpus_stops at it */
    bool stopped;          /* it was found raised */
    struct {
        uint64_t files, files_read;
        uint64_t files_left;  /* of a form that is read, but they couldn't be */
        uint64_t files_other; /* pictures and the like */
        uint64_t records, without_text, duplicates, left_out;
        uint64_t kinds[NODE_KINDS];
    } counts;
};

void corpus_init(struct corpus *c);
void corpus_free(struct corpus *c);

/* Adds what a record says: 0; also where it says nothing, is there already, or is one too many (counted).
 * -ENOMEM. */
int corpus_add(struct corpus *c, const struct source *source, const struct record *record);

/* Whether nothing more is taken. */
bool corpus_is_full(const struct corpus *c);

/* What the formats' readers ask between their steps: whether to end early, since nothing more is taken or the
 * cancel was raised. Cheap: it looks at the cancel every so often. */
bool corpus_stops(struct corpus *c);

/* Notes that a file was left out or read in part; further ones than CORPUS_REMARKS_MAX are only counted by
 * who calls. why: static text. */
void corpus_remark(struct corpus *c, const char *name, const char *why);

#endif
