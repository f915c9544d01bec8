/* SPDX-License-Identifier: MIT */
/* The forms that files of an export are read in. A reader adds records to the corpus; what it can't read it
 * says in *ret_why, and what it read until then stays. All are pure, take any bytes, need time and memory in
 * proportion to them, and stop when corpus_stops says so: then what they return says nothing. */
#ifndef READER_FORMATS_H
#define READER_FORMATS_H

#include "reader/corpus.h"

#define FORMAT_FILE_MAX ((size_t)32 << 20) /* bytes of a file that are read */

/* text: well-formed UTF-8. 0, -EBADMSG with *ret_why (static text: what is wrong with the file), or
 * -ENOMEM. */
typedef int (*format_read_fn)(struct corpus *c, const struct source *source, const char *text, size_t len,
                              const char **ret_why);

int format_read_json(struct corpus *c, const struct source *source, const char *text, size_t len,
                     const char **ret_why);
int format_read_csv(struct corpus *c, const struct source *source, const char *text, size_t len,
                    const char **ret_why);
int format_read_plain(struct corpus *c, const struct source *source, const char *text, size_t len,
                      const char **ret_why);
int format_read_markdown(struct corpus *c, const struct source *source, const char *text, size_t len,
                         const char **ret_why);
int format_read_html(struct corpus *c, const struct source *source, const char *text, size_t len,
                     const char **ret_why);

struct format {
    const char *endings; /* "json|js": of files, in lower case */
    format_read_fn read; /* NULL: another archive */
    enum node_kind kind; /* of what names say nothing of */
    bool is_document;
    size_t whole_max; /* a longer file is left out; 0: it is read as far as FORMAT_FILE_MAX */
};

/* By the name's ending, in either case; NULL where it is none that is read. */
const struct format *format_of(const char *name);

/* Reads a file's bytes by its name: 0, also where it isn't read or is broken (remarked and counted), or
 * -ENOMEM. Of a file that is longer than FORMAT_FILE_MAX one byte more is enough. number: of the file in its
 * archive. */
int format_read_file(struct corpus *c, const char *name, uint32_t number, const char *data, size_t len);

#endif
