/* SPDX-License-Identifier: MIT */
/* Support for tests of media operations: makes small media with the real programs, runs an operation as the
 * worker does, and looks at what came out. Everything lies in a directory that the test removes. */
#ifndef TEST_MEDIA_H
#define TEST_MEDIA_H

#include "media/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct media {
    char dir[64]; /* of the test's own files */
    struct config cfg;
    struct media_tmp tmp;
    struct arena arena;
    json_t *params;
    struct media_run run;
    int percents;                         /* how often progress was told */
    int last;                             /* percent */
    void (*during)(void *m, int percent); /* called with it; may be NULL */
    int64_t limit_ms;                     /* in place of the operation's, unless 0 */
    char log[16384];
    const struct media_operation *op;
};

/* For cmocka: a struct media in *state, and its end. */
int media_setup(void **state);
int media_teardown(void **state);

/* The path of a test's own file; static, good for a few calls. */
const char *media_path(const struct media *m, const char *name);

/* Runs a program in the test's directory: "ffmpeg …" words separated by blanks; fails the test unless it ends
 * well. Its standard output, for the caller to free. */
char *media_tool_output(const struct media *m, const char *words);
void media_do(const struct media *m, const char *words);

/* Writes a file of the test's own. */
void media_write(const struct media *m, const char *name, const void *data, size_t len);

/* A film of 2 s with sound, and a picture, cut to a few pixels: `film.mp4` and `picture.png` 160 x 120. */
void media_make_film(const struct media *m, const char *name, const char *size, const char *seconds);
void media_make_picture(const struct media *m, const char *name, const char *size);

/* Runs an operation with params (JSON) on files of the test's own, ended by NULL. */
int media_operate(struct media *m, const char *op, const char *params, ...);

/* The first result. */
const struct media_output *media_result(const struct media *m);

/* A pixel of a file, 0xrrggbb. at_s: of a film, the time. */
unsigned media_pixel(const struct media *m, const char *path, int x, int y);

/* What ffprobe says of an entry ("stream=codec_name", of the first video stream). For the caller to free. */
char *media_probe(const struct media *m, const char *path, const char *entry);

/* How many files lie in the directory of the runs, apart from the run's own. */
int media_leftovers(const struct media *m);

#endif
