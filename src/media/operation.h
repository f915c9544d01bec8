/* SPDX-License-Identifier: MIT */
/* The operations of media jobs: a table, and one way to run a row of it. An operation reads local files, runs
 * FFmpeg, ImageMagick, ExifTool or yt-dlp on them within limits, and leaves new files in a directory of its
 * own; its inputs stay as they are. docs/media.md tells what each does. */
#ifndef MEDIA_OPERATION_H
#define MEDIA_OPERATION_H

#include "base/arena.h"
#include "base/cancel.h"
#include "base/config.h"
#include "base/json.h"
#include "http/body.h"

#include <limits.h>

#define MEDIA_INPUTS_MAX 20
#define MEDIA_OUTPUTS_MAX 20
#define MEDIA_ERROR_MAX 256

struct media_input {
    char path[PATH_MAX]; /* absolute; read only */
    /* set by media_run_operation: */
    const char *type; /* media type by its bytes; static */
    int64_t bytes;
    int64_t width, height; /* where a picture's header tells; else 0 */
};

struct media_output {
    char path[PATH_MAX];   /* absolute, below the run's directory */
    const char *kind;      /* "image", "video" or "data"; static */
    const char *type;      /* media type; static or in the arena */
    const char *file_name; /* a name to offer, "watermarked.mp4"; static or in the arena */
    int64_t bytes;
    int64_t width, height; /* 0 = has none */
    double duration;       /* seconds; 0 = has none */
};

/* One run of an operation. The caller fills the first part (zeroing the rest) and owns all of it. */
struct media_run {
    struct arena *arena; /* of this run alone */
    const struct config *cfg;
    const char
        *dir; /* absolute, empty, private to the run; the caller makes it and removes it with all in it */
    const char *job_id, *user_id;
    struct media_input
        inputs[MEDIA_INPUTS_MAX]; /* the job's input_file_id where the operation has
                                     MEDIA_NEEDS_FILE, then media_params_files in their order */
    size_t n_inputs;
    const char *input_url;                    /* or NULL */
    const void *params;                       /* of media_params_bind */
    struct cancel *cancel;                    /* may be NULL */
    void (*progress)(void *ctx, int percent); /* 0 to 100, never less than before; may be NULL */
    void (*log)(void *ctx, const char *line); /* a line for the job's log, UTF-8; may be NULL */
    void *ctx;

    /* what came of it */
    struct media_output outputs[MEDIA_OUTPUTS_MAX];
    size_t n_outputs;
    json_t *result;              /* for media_jobs.result, or NULL; the caller's to release */
    char error[MEDIA_ERROR_MAX]; /* of a failure: a sentence for the user, without paths */
    bool may_pass;               /* of a failure: another try may succeed */

    /* private to src/media */
    int64_t until_ms;       /* clock_monotonic_ms() at which its time is over */
    char work[PATH_MAX];    /* where programs run */
    int percent;            /* told last */
    int part_from, part_to; /* percents that the program in work stands for */
};

enum media_needs {
    MEDIA_NEEDS_FILE = 1, /* the job's input_file_id */
    MEDIA_NEEDS_URL = 2,  /* the job's input_url, or the one in params */
};

enum media_accepts { MEDIA_IMAGES = 1, MEDIA_VIDEOS = 2 };

struct media_operation {
    const char *name;
    const char *summary;
    const struct field *params; /* descriptors of the params, as of a request's body */
    size_t params_size;
    unsigned needs;   /* of enum media_needs */
    unsigned accepts; /* of enum media_accepts: what the first input may be */
    size_t file_at;   /* offset in the params of a member that names one file, +1; 0 = none */
    size_t files_at;  /* the same for a list of files */
    int64_t limit_ms; /* of a whole run */
    /* What descriptors can't say of the params: 0, or -EINVAL with *ret. May be NULL. */
    int (*check)(const void *params, struct body_error *ret);
    int (*work)(struct media_run *run); /* by media_run_operation alone */
};

/* The table, ended by a row without a name. */
extern const struct media_operation media_operations[];

/* NULL: there is none of that name. */
const struct media_operation *media_operation_find(const char *name);

/* Binds params (NULL and null are an empty object; unknown members are ignored, as in bodies) into a struct
 * in the arena: 0, -EINVAL with *ret_error (the sentences of request bodies), or -ENOMEM. The struct borrows
 * texts and lists from `params`, which must outlive it. */
int media_params_bind(const struct media_operation *op, const json_t *params, struct arena *arena,
                      const void **ret, struct body_error *ret_error);

/* The ids of the files that bound params name, in order, into ret (room for MEDIA_INPUTS_MAX): how many. So
 * whoever enqueues can ask whose they are, and who runs can fetch them. */
size_t media_params_files(const struct media_operation *op, const void *params, const char **ret);

/* Runs it: 0 with outputs and result, or a negative errno with run->error and run->may_pass: -ECANCELED,
 * -ETIMEDOUT, -ENOENT (a program isn't installed, or an input is gone), -EINVAL (these inputs, or these
 * params with them), -ENOSPC, -EFBIG (the output) or another. Blocks for up to op->limit_ms; any thread,
 * several at a time. Nothing that it started runs when it returns. */
int media_run_operation(const struct media_operation *op, struct media_run *run);

/* The directory of a run, below MEDIA_TMP_DIR (or tmp in the data directory). Locked for as long as the
 * process lives that made it. */
struct media_tmp {
    char path[PATH_MAX];
    int lock; /* a descriptor */
};

/* Makes one, 0700 and empty: 0, or negative errno. */
int media_tmp_make(const struct config *cfg, struct media_tmp *ret);

/* Removes it with all in it. */
void media_tmp_remove(struct media_tmp *tmp);

/* Removes those of processes that died: to be called when a worker starts. How many, or negative errno. */
int media_tmp_sweep(const struct config *cfg);

#endif
