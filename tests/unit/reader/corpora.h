/* SPDX-License-Identifier: MIT */
/* A corpus from one file, for the tests of the formats. */
#ifndef TESTS_READER_CORPORA_H
#define TESTS_READER_CORPORA_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "reader/formats.h"

/* Every text in a corpus is what the store takes. */
static inline void assert_sound(const struct corpus *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct draft *d = &c->drafts[i];
        assert_true(strlen(d->title) > 0 && strlen(d->title) <= TITLE_MAX);
        assert_true(utf8_valid(d->title, strlen(d->title)));
        assert_true(strlen(d->content) > 0);
        assert_true(utf8_valid(d->content, strlen(d->content)));
        assert_null(strpbrk(d->title, "\n\r\t\001\033"));
        assert_null(strpbrk(d->content, "\r\001\033"));
        assert_int_equal(d->tags[0], '[');
        assert_int_equal(strlen(d->key), KEY_SIZE - 1);
    }
}

static inline void read_bytes(struct corpus *c, const char *name, const char *data, size_t len)
{
    corpus_init(c);
    assert_int_equal(format_read_file(c, name, 1, data, len), 0);
    assert_sound(c);
}

static inline void read_text(struct corpus *c, const char *name, const char *text)
{
    read_bytes(c, name, text, strlen(text));
}

/* The draft whose content begins so. */
static inline const struct draft *draft_of(const struct corpus *c, const char *content)
{
    for (size_t i = 0; i < c->n; i++)
        if (strncmp(c->drafts[i].content, content, strlen(content)) == 0)
            return &c->drafts[i];
    fail_msg("nothing begins with \"%s\"", content);
    return NULL;
}

/* Any text so many times. */
static inline char *repeat(const char *what, size_t times, size_t *ret_len)
{
    size_t n = strlen(what);
    char *all = malloc(n * times + 1);
    assert_non_null(all);
    for (size_t i = 0; i < times; i++)
        memcpy(all + i * n, what, n);
    all[n * times] = '\0';
    *ret_len = n * times;
    return all;
}

#endif
