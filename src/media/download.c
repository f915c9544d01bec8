/* SPDX-License-Identifier: MIT */
/* download_video. yt-dlp writes what the site has: one file, or picture and sound apart. A film of a kind
 * that is kept stays as it is; else FFmpeg puts it together from the files at hand, without encoding. What
 * the files are is told by their bytes. */
#include "media/params.h"
#include "media/operations.h"
#include "media/ytdlp.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "files/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB ((int64_t)1024 * 1024)
#define PAGES_BYTES (32 * MIB) /* beside the video: pages, scripts, playlists */
#define OTHERS 8               /* a part of the video's bytes that goes to headers and second tries: 1/8 */
#define FOLDER "download"
#define PARTS_MAX 2
#define PROGRESS "genie "

/* The protocols that yt-dlp itself speaks through a proxy. */
#define WEB "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"

struct download {
    struct media_run *run;
    int64_t max_bytes;
    int files;               /* that it has begun to write */
    bool too_large, is_live; /* why it took nothing */
};

/* ---- yt-dlp */

/* As good as wanted, with sound; picture and sound in one; a silent one; at last the smallest there is. */
static void add_format(struct media_args *args, int64_t height)
{
    char most[32] = "";
    if (height > 0)
        (void)snprintf(most, sizeof most, "[height<=?%lld]", (long long)height);
    media_arg(args, "--format");
    media_argf(args,
               "bv*" WEB "%s+ba" WEB "/b" WEB "%s/bv*" WEB "%s/"
               "wv*" WEB "+ba" WEB "/w" WEB "/wv*" WEB,
               most, most, most);
    media_add(args, "--format-sort", "res,ext:mp4:m4a");
}

static void add_options(const struct download *d, struct media_args *args, int64_t height)
{
    add_format(args, height);
    media_add(args, "--match-filters", "!is_live", "--max-filesize");
    media_argf(args, "%lld", (long long)d->max_bytes);
    media_add(args, "--newline", "--progress", "--progress-template",
              "download:" PROGRESS "%(progress.downloaded_bytes)s %(progress.total_bytes)s "
              "%(progress.total_bytes_estimate)s",
              "--abort-on-unavailable-fragments", "--no-mtime", "--fixup", "never", "--output", "video");
}

/* "genie 1024 26526 NA" */
static void on_progress(struct download *d, const char *numbers)
{
    double done = 0, total = 0, guess = 0;
    char whole[32] = "", about[32] = "";
    if (sscanf(numbers, "%20lf %31s %31s", &done, whole, about) < 2)
        return;
    total = strtod(whole, NULL);
    guess = strtod(about, NULL);
    total = total > 0 ? total : guess;
    double part = total > 0 ? done / total : 0;
    part = part > 1 ? 1 : part < 0 ? 0 : part;
    if (d->files > 1)
        media_progress(d->run, 75 + (int)(part * 15));
    else
        media_progress(d->run, 5 + (int)(part * 70));
}

static void on_line(void *ctx, const char *line)
{
    struct download *d = ctx;
    if (str_has_prefix(line, PROGRESS))
        on_progress(d, line + strlen(PROGRESS));
    else if (strstr(line, "Destination: "))
        d->files++;
    else if (strstr(line, "larger than max-filesize"))
        d->too_large = true;
    else if (strstr(line, "does not pass filter"))
        d->is_live = true;
}

static const char *too_large(const struct download *d)
{
    const char *sentence =
        arena_printf(d->run->arena, "The video has more than %lld MiB", (long long)(d->max_bytes / MIB));
    return sentence ? sentence : "The video is too large";
}

static int call_ytdlp(struct download *d, const char *url, int64_t height, const char *folder)
{
    struct media_args args;
    struct ytdlp_call call = {
        .args = &args,
        .url = url,
        .dir = folder,
        .max_traffic = d->max_bytes + d->max_bytes / OTHERS + PAGES_BYTES,
        .max_file = d->max_bytes + 1,
        .too_large = too_large(d),
        .line = on_line,
        .ctx = d,
    };
    ytdlp_begin(d->run, &args);
    add_options(d, &args, height);
    int r = ytdlp_run(d->run, &call);
    if (r == 0 && d->too_large)
        r = media_fail(d->run, -EFBIG, "%s", call.too_large);
    if (r == 0 && d->is_live)
        r = media_fail(d->run, -EINVAL,
                       "The video is being broadcast now: it can be taken once it has ended");
    return r;
}

/* ---- what it has left */

static bool is_leftover(const char *name)
{
    return strstr(name, ".part") || strstr(name, ".ytdl") || strstr(name, ".temp") || name[0] == '.';
}

/* The names of the files that are whole: how many, or negative errno with run->error. */
static int list_files(struct media_run *run, const char *folder, const char *names[PARTS_MAX])
{
    int n = 0, r = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    if (!dir)
        return media_fail(run, -errno, "What was taken can't be read: %s", strerror(errno));
    while (r == 0 && (entry = readdir(dir))) {
        if (is_leftover(entry->d_name))
            continue;
        if (n == PARTS_MAX)
            r = media_fail(run, -EINVAL, "The video comes in more than %d parts", PARTS_MAX);
        else if (!(names[n++] = arena_strdup(run->arena, entry->d_name)))
            r = media_fail(run, -ENOMEM, "There is not enough memory");
    }
    (void)closedir(dir);
    if (r == 0)
        qsort(names, (size_t)n, sizeof *names, str_order);
    return r < 0 ? r : n;
}

/* Makes a file an input of the run, under its name there. */
static int take_part(struct media_run *run, const char *folder, const char *name, int64_t *left)
{
    char from[PATH_MAX];
    struct stat st;
    struct file_kind kind;
    struct media_input *in = &run->inputs[run->n_inputs];
    if (snprintf(from, sizeof from, "%s/%s", folder, name) >= (int)sizeof from)
        return media_fail(run, -ENAMETOOLONG, "The directory's path is too long");
    _cleanup_close_ int fd = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return media_fail(run, -EINVAL, "What was taken is no file");
    int r = file_look(fd, &kind);
    if (r < 0)
        return media_fail(run, r, "What was taken can't be read: %s", strerror(-r));
    in->type = kind.type; /* its name depends on it */
    in->bytes = kind.bytes;
    *left -= kind.bytes;
    r = media_work_path(run, media_input_name(run, run->n_inputs), in->path, sizeof in->path);
    if (r == 0 && rename(from, in->path) < 0)
        r = media_fail(run, -errno, "What was taken can't be put in place: %s", strerror(errno));
    run->n_inputs += r == 0;
    return r;
}

static int take_parts(struct download *d, const char *folder)
{
    const char *names[PARTS_MAX];
    int64_t left = d->max_bytes;
    int n = list_files(d->run, folder, names), r = n < 0 ? n : 0;
    if (n == 0)
        return media_fail(d->run, -EINVAL, "There is no video at this address that can be taken");
    for (int i = 0; i < n && r == 0; i++)
        r = take_part(d->run, folder, names[i], &left);
    if (r == 0 && left < 0)
        r = media_fail(d->run, -EFBIG, "%s", too_large(d));
    return r;
}

/* ---- the result */

static const struct container {
    const char *type, *name;
} containers[] = {
    {"video/mp4", "video.mp4"},   {"video/quicktime", "video.mov"}, {"video/3gpp", "video.3gp"},
    {"video/3gpp2", "video.3g2"}, {"video/webm", "video.webm"},     {"video/x-matroska", "video.mkv"},
};

static const struct container *container_of(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(containers); i++)
        if (str_equal(containers[i].type, type))
            return &containers[i];
    return NULL;
}

/* How FFmpeg reads a part that isn't a film of ours: pieces of a stream, or sound. NULL: not at all. */
static const char *demuxer_of(const struct media_input *in)
{
    uint8_t head[2 * 188 + 1] = {0};
    _cleanup_close_ int fd = open(in->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (str_equal(in->type, "audio/mp4"))
        return "mov";
    if (n == (ssize_t)sizeof head && head[0] == 0x47 && head[188] == 0x47 && head[2 * 188] == 0x47)
        return "mpegts";
    if (n > 2 && head[0] == 0xff && (head[1] & 0xf6) == 0xf0)
        return "aac";
    return str_equal(in->type, "audio/mpeg") ? "mp3" : NULL;
}

static int add_source(struct media_run *run, struct media_args *args, size_t i)
{
    const char *demuxer = container_of(run->inputs[i].type) ? NULL : demuxer_of(&run->inputs[i]);
    if (container_of(run->inputs[i].type))
        return media_ffmpeg_input(run, args, i);
    if (!demuxer)
        return media_fail(run, -EINVAL,
                          "What is at this address is no video (MP4, QuickTime, 3GP, WebM, Matroska, "
                          "MPEG-TS), but %s",
                          run->inputs[i].type);
    media_add(args, "-f", demuxer, "-format_whitelist", demuxer, "-protocol_whitelist", "file,pipe",
              "-codec_whitelist", media_decoders, "-i");
    media_argf(args, "file:%s", media_input_name(run, i));
    return 0;
}

/* What can hold the parts as they are. */
static const struct container *target_of(const struct media_run *run)
{
    bool all_webm = true, any_matroska = false;
    for (size_t i = 0; i < run->n_inputs; i++) {
        bool webm = str_equal(run->inputs[i].type, "video/webm");
        all_webm = all_webm && webm;
        any_matroska = any_matroska || webm || str_equal(run->inputs[i].type, "video/x-matroska");
    }
    return container_of(all_webm ? "video/webm" : any_matroska ? "video/x-matroska" : "video/mp4");
}

static int put_together(struct media_run *run)
{
    struct media_args args;
    const struct container *to = target_of(run);
    int r = 0;
    media_ffmpeg(run, &args);
    for (size_t i = 0; i < run->n_inputs && r == 0; i++)
        r = add_source(run, &args, i);
    for (size_t i = 0; i < run->n_inputs; i++) {
        media_arg(&args, "-map");
        media_argf(&args, "%zu:v:0?", i);
        media_arg(&args, "-map");
        media_argf(&args, "%zu:a:0?", i);
    }
    media_add(&args, "-c", "copy", "-map_metadata", "-1", "-movflags", "+faststart");
    media_argf(&args, "file:%s", to->name);
    if (r == 0)
        r = media_ffmpeg_run(run, &args, 0);
    return r < 0 ? r : media_output_film(run, to->name, to->type, to->name);
}

static int keep_as_it_is(struct media_run *run)
{
    struct media_film film;
    struct media_output *out;
    const struct container *kind = container_of(run->inputs[0].type);
    int r = media_look_film(run, 0, &film);
    if (r == 0)
        r = media_output_add(run, media_input_name(run, 0), kind->name, &out);
    if (r < 0)
        return r;
    out->kind = "video";
    out->type = kind->type;
    out->width = film.width;
    out->height = film.height;
    out->duration = film.duration;
    return 0;
}

int media_download_video(struct media_run *run)
{
    char folder[PATH_MAX];
    int r;
    const struct media_download_params *p = run->params;
    const char *url = ytdlp_url(run, p->input_url, &r);
    int64_t most = run->cfg->max_upload_mb, mb = p->max_mb > 0 && p->max_mb < most ? p->max_mb : most;
    struct download d = {.run = run, .max_bytes = mb * MIB};
    if (!url)
        return r;
    r = media_work_path(run, FOLDER, folder, sizeof folder);
    if (r == 0 && mkdir(folder, 0700) < 0)
        r = media_fail(run, -errno, "No directory can be made to work in: %s", strerror(errno));
    if (r == 0)
        r = call_ytdlp(&d, url, p->max_height, folder);
    if (r == 0)
        r = take_parts(&d, folder);
    if (r < 0)
        return r;
    media_part(run, 90, 99);
    return run->n_inputs == 1 && container_of(run->inputs[0].type) ? keep_as_it_is(run) : put_together(run);
}
