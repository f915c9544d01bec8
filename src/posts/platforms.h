/* SPDX-License-Identifier: MIT */
/* The platforms, and what each takes: one table for posts and for captions. Pure. */
#ifndef POSTS_PLATFORMS_H
#define POSTS_PLATFORMS_H

#include <stdbool.h>
#include <stddef.h>

/* Of any post's text, in characters. */
#define POST_TEXT_MAX 5000

enum platform_unit {
    IN_CHARACTERS, /* Unicode code points */
    IN_UTF16,      /* 16-bit units: most emoji are two */
    IN_BYTES,      /* of UTF-8 */
    IN_X_WEIGHTS,  /* a URL is 23, an emoji 2, a letter beyond Latin, Greek, Cyrillic and the like 2 */
};

struct platform {
    const char *name;
    size_t text_max; /* of a post's text, in units; at most POST_TEXT_MAX */
    enum platform_unit unit;
    const char *unit_name;  /* "characters" */
    size_t caption_max;     /* of a generated caption, in characters as well as in units */
    int tags_min, tags_max; /* hashtags of a generated caption; 0 and 0: as they come */
    const char *own_site;   /* of all links, only those to it stay in a generated caption; NULL: all do */
};

/* Ended by one without a name. */
extern const struct platform platforms[];

/* NULL if there is none. */
const struct platform *platform_find(const char *name);

/* The length of a text (well-formed UTF-8) as the platform counts. */
size_t platform_count(const struct platform *platform, const char *text, size_t len);

/* Whether the token that text begins with is a web address with its scheme. */
bool platform_is_url(const char *text, size_t len);

#endif
