/* SPDX-License-Identifier: MIT */
/* One run: its inputs are given names of ours in a working directory, as links, so that no name of a client's
 * is ever an argument, and no message of a program tells a path of the machine. What they are is told by
 * their bytes. */
#include "media/internal.h"

#include "base/cleanup.h"
#include "base/keep.h"
#include "base/text.h"
#include "files/files.h"
#include "media/policy.h"
#include "media/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 512
#define WORK "work"
#define SOURCE "source"

/* ---- telling */

int media_fail(struct media_run *run, int error, const char *fmt, ...)
{
    if (run->error[0])
        return error;
    va_list ap;
    va_start(ap, fmt);
    text_vprintf(run->error, sizeof run->error, fmt, ap);
    va_end(ap);
    run->may_pass = error == -ENOSPC || error == -ETIMEDOUT || error == -ENOMEM || error == -EAGAIN ||
                    error == -EMFILE || error == -ENFILE;
    return error;
}

void media_log(struct media_run *run, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;
    if (!run->log)
        return;
    va_start(ap, fmt);
    text_vprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    run->log(run->ctx, line);
}

void media_progress(struct media_run *run, int percent)
{
    if (percent <= run->percent || percent > 100)
        return;
    run->percent = percent;
    if (run->progress)
        run->progress(run->ctx, percent);
}

void media_part(struct media_run *run, int from, int to)
{
    run->part_from = from;
    run->part_to = to;
    media_progress(run, from);
}

/* ---- inputs */

static const struct {
    const char *type, *end; /* of its name: ExifTool looks at that too */
    enum media_accepts is;
} kinds[] = {
    {"image/jpeg", "jpg", MEDIA_IMAGES},  {"image/png", "png", MEDIA_IMAGES},
    {"image/webp", "webp", MEDIA_IMAGES}, {"image/gif", "gif", MEDIA_IMAGES},
    {"image/avif", "avif", MEDIA_IMAGES}, {"image/heic", "heic", MEDIA_IMAGES},
    {"video/mp4", "mp4", MEDIA_VIDEOS},   {"video/quicktime", "mov", MEDIA_VIDEOS},
    {"video/3gpp", "3gp", MEDIA_VIDEOS},  {"video/3gpp2", "3g2", MEDIA_VIDEOS},
    {"video/webm", "webm", MEDIA_VIDEOS}, {"video/x-matroska", "mkv", MEDIA_VIDEOS},
};

/* The row of kinds, or how many there are. */
static size_t kind_of(const struct media_run *run, size_t input)
{
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && !str_equal(kinds[i].type, run->inputs[input].type))
        i++;
    return i;
}

static bool is_kind(const struct media_run *run, size_t input, unsigned accepts)
{
    size_t i = kind_of(run, input);
    return i < ARRAY_LEN(kinds) && (kinds[i].is & accepts);
}

bool media_is_image(const struct media_run *run, size_t input)
{
    return is_kind(run, input, MEDIA_IMAGES);
}

bool media_is_film(const struct media_run *run, size_t input)
{
    return is_kind(run, input, MEDIA_VIDEOS);
}

const char *media_input_end(const struct media_run *run, size_t input)
{
    size_t i = kind_of(run, input);
    return i < ARRAY_LEN(kinds) ? kinds[i].end : "bin";
}

const char *media_input_name(struct media_run *run, size_t input)
{
    const char *name = arena_printf(run->arena, "input-%zu.%s", input, media_input_end(run, input));
    return name ? name : "";
}

int media_work_path(struct media_run *run, const char *name, char *to, size_t size)
{
    int n = snprintf(to, size, "%s/%s", run->work, name);
    return n < 0 || (size_t)n >= size ? media_fail(run, -ENAMETOOLONG, "The directory's path is too long")
                                      : 0;
}

/* What it is, and its name in the working directory. */
static int take_input(struct media_run *run, size_t i)
{
    char to[PATH_MAX];
    struct media_input *in = &run->inputs[i];
    struct file_kind kind;
    _cleanup_close_ int fd = open(in->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return media_fail(run, -errno, "An input file can't be opened: %s", strerror(errno));
    int r = file_look(fd, &kind);
    if (r < 0)
        return media_fail(run, r, "An input file can't be read: %s", strerror(-r));
    in->type = kind.type;
    in->bytes = kind.bytes;
    in->width = kind.width;
    in->height = kind.height;
    r = media_work_path(run, media_input_name(run, i), to, sizeof to);
    if (r == 0 && symlink(in->path, to) < 0)
        r = media_fail(run, -errno, "An input file can't be put in place: %s", strerror(errno));
    return r;
}

static int make_work(struct media_run *run)
{
    int n = snprintf(run->work, sizeof run->work, "%s/" WORK, run->dir);
    if (n < 0 || (size_t)n >= sizeof run->work)
        return media_fail(run, -ENAMETOOLONG, "The directory's path is too long");
    if (mkdir(run->work, 0700) < 0)
        return media_fail(run, -errno, "No directory can be made to work in: %s", strerror(errno));
    int r = media_policy_write(run->work);
    for (size_t i = 0; i < run->n_inputs && r == 0; i++)
        r = take_input(run, i);
    return r == 0 || run->error[0]
               ? r
               : media_fail(run, r, "Nothing can be written into the working directory: %s", strerror(-r));
}

/* The first input, where the job names it by a URL. */
static int fetch_source(const struct media_operation *op, struct media_run *run)
{
    struct media_input *in = &run->inputs[0];
    struct cancel stop = {.parent = run->cancel, .deadline_ms = run->until_ms};
    struct media_source source = {.cfg = run->cfg, .url = run->input_url, .path = in->path, .cancel = &stop};
    if (!(op->needs & MEDIA_NEEDS_FILE) || !run->input_url || (run->n_inputs > 0 && in->path[0]))
        return 0;
    if (snprintf(in->path, sizeof in->path, "%s/" SOURCE, run->dir) >= (int)sizeof in->path)
        return media_fail(run, -ENAMETOOLONG, "The directory's path is too long");
    int r = media_source_fetch(&source);
    if (r == -ECANCELED && !cancel_raised(run->cancel))
        return media_fail(run, -ETIMEDOUT, "It took longer than a job may");
    if (r < 0) {
        (void)media_fail(run, r, "%s", source.error);
        run->may_pass = source.may_pass;
        return r;
    }
    run->n_inputs = run->n_inputs ? run->n_inputs : 1;
    return 0;
}

static int check_inputs(const struct media_operation *op, struct media_run *run)
{
    if ((op->needs & MEDIA_NEEDS_FILE) && run->n_inputs == 0)
        return media_fail(run, -EINVAL, "The job names no input_file_id");
    if (run->n_inputs == 0)
        return 0;
    bool fits = is_kind(run, 0, op->accepts);
    const char *wanted = op->accepts == MEDIA_IMAGES   ? "pictures (JPEG, PNG, WebP, GIF, AVIF, HEIC)"
                         : op->accepts == MEDIA_VIDEOS ? "videos (MP4, QuickTime, 3GP, WebM, Matroska)"
                                                       : "pictures and videos";
    return fits ? 0
                : media_fail(run, -EINVAL, "%s works on %s, and the file is %s", op->name, wanted,
                             run->inputs[0].type);
}

/* ---- outputs */

int media_output_add(struct media_run *run, const char *name, const char *file_name,
                     struct media_output **ret)
{
    struct stat st;
    if (run->n_outputs == MEDIA_OUTPUTS_MAX)
        return media_fail(run, -E2BIG, "It has more than %d results", MEDIA_OUTPUTS_MAX);
    struct media_output *out = &run->outputs[run->n_outputs];
    *out = (struct media_output){.file_name = file_name};
    int r = media_work_path(run, name, out->path, sizeof out->path);
    if (r < 0)
        return r;
    if (stat(out->path, &st) < 0 || st.st_size == 0)
        return media_fail(run, -EINVAL, "The program ended well, but wrote nothing");
    out->bytes = st.st_size;
    run->n_outputs++;
    *ret = out;
    return 0;
}

/* ---- the whole */

static void forget_results(struct media_run *run)
{
    run->n_outputs = 0;
    json_decref(run->result);
    run->result = NULL;
}

int media_run_operation(const struct media_operation *op, struct media_run *run)
{
    run->error[0] = '\0';
    run->may_pass = false;
    run->result = NULL;
    run->n_outputs = 0;
    run->percent = -1;
    run->until_ms = clock_monotonic_ms() + op->limit_ms;
    media_part(run, 0, 99);
    int r = fetch_source(op, run);
    if (r == 0)
        r = make_work(run);
    if (r == 0)
        r = check_inputs(op, run);
    if (r == 0)
        r = op->work(run);
    if (r == 0)
        media_progress(run, 100);
    if (r < 0) {
        (void)media_fail(run, r, "It failed: %s", strerror(-r));
        forget_results(run);
    }
    return r;
}
