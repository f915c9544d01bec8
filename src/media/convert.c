/* SPDX-License-Identifier: MIT */
/* ImageMagick is always told which coder reads a file, by what the file's bytes say: it doesn't look itself,
 * and so doesn't come upon a language in a picture's clothes. */
#include "media/compact.h"
#include "media/internal.h"
#include "media/policy.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAILED "The picture is damaged: it can't be decoded"

static const struct {
    const char *type, *coder;
    bool turned; /* by the decoder, as the container says; EXIF is not asked too */
} coders[] = {
    {"image/jpeg", "jpeg", false}, {"image/png", "png", false},  {"image/webp", "webp", false},
    {"image/gif", "gif", false},   {"image/avif", "avif", true}, {"image/heic", "heic", true},
};

static const struct {
    const char *format, *type;
} formats[] = {{"jpeg", "image/jpeg"}, {"png", "image/png"}, {"webp", "image/webp"}, {"avif", "image/avif"}};

/* The row of coders; of a picture alone. */
static size_t coder_of(const struct media_run *run, size_t input)
{
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(coders) && !str_equal(coders[i].type, run->inputs[input].type))
        i++;
    return i;
}

void media_picture(struct media_run *run, struct media_args *args, size_t input)
{
    size_t coder = coder_of(run, input);
    media_argf(args, "%s:%s[0]", coders[coder].coder, media_input_name(run, input));
    if (!coders[coder].turned)
        media_arg(args, "-auto-orient");
    media_add(args, "-colorspace", "sRGB", "+repage");
}

void media_convert(struct media_run *run, struct media_args *args)
{
    *args = (struct media_args){.arena = run->arena};
    media_arg(args, "convert");
}

/* All that isn't the picture goes, but its colour profile: pictures tell where they were taken. */
void media_convert_output(struct media_args *args, const char *format, int64_t quality, const char *name)
{
    if (str_equal(format, "jpeg"))
        media_add(args, "-background", "white", "-alpha", "remove", "-alpha", "off", "-interlace", "JPEG");
    media_add(args, "+repage", "+profile", "!icc,*", "-set", "comment", "", "-quality");
    media_argf(args, "%lld", str_equal(format, "png") ? 92 : (long long)quality);
    media_argf(args, "%s:%s", format, name);
}

/* Of a JPEG that is cut off it says no more than a warning, and fills up with grey. */
static void notice_end(void *ctx, char *line)
{
    bool *cut_off = ctx;
    *cut_off |= strstr(line, "Premature end of JPEG file") != NULL;
}

int media_convert_run(struct media_run *run, const struct media_args *args)
{
    bool cut_off = false;
    struct media_tool tool = {.args = args, .failed = FAILED, .line = notice_end, .ctx = &cut_off};
    int r = media_tool(run, &tool);
    if (r == 0 && cut_off)
        return media_fail(run, -EINVAL, "The picture is incomplete: its end is missing");
    if (r == 0)
        media_progress(run, run->part_to);
    return r;
}

const char *media_image_format(const struct media_run *run, size_t input)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_equal(formats[i].type, run->inputs[input].type))
            return formats[i].format;
    return str_equal(run->inputs[input].type, "image/gif") ? "png" : "jpeg";
}

const char *media_image_extension(const char *format)
{
    return str_equal(format, "jpeg") ? "jpg" : format;
}

/* ---- looking */

static int check_size(struct media_run *run, size_t input, int64_t width, int64_t height)
{
    if (width < 1 || height < 1)
        return media_fail(run, -EINVAL, FAILED);
    if (width > MEDIA_IMAGE_SIDE_MAX || height > MEDIA_IMAGE_SIDE_MAX ||
        width * height > MEDIA_IMAGE_PIXELS_MAX)
        return media_fail(
            run, -EINVAL,
            "Picture %zu has %lld x %lld pixels: at most %d a side and %d million in all are worked on",
            input + 1, (long long)width, (long long)height, MEDIA_IMAGE_SIDE_MAX,
            (int)(MEDIA_IMAGE_PIXELS_MAX / 1000000));
    return 0;
}

struct seen {
    char text[128];
    size_t len;
};

static void keep_text(void *ctx, enum process_stream from, const char *data, size_t len)
{
    struct seen *s = ctx;
    (void)from;
    size_t room = sizeof s->text - 1 - s->len;
    len = len < room ? len : room;
    memcpy(s->text + s->len, data, len);
    s->len += len;
    s->text[s->len] = '\0';
}

/* Without decoding. "width height orientation", of which the last may be missing. */
static int identify(struct media_run *run, const char *picture, struct media_size *ret, char *ret_orientation)
{
    struct seen seen = {.len = 0};
    struct media_args args = {.arena = run->arena};
    struct media_tool tool = {.args = &args, .out = keep_text, .ctx = &seen, .failed = FAILED};
    long long width = 0, height = 0;
    char orientation[32] = "";
    media_add(&args, "identify", "-ping", "-format", "%w %h %[orientation]\n", picture);
    int r = media_tool(run, &tool);
    if (r < 0)
        return r;
    if (sscanf(seen.text, "%9lld %9lld %31s", &width, &height, orientation) < 2)
        return media_fail(run, -EINVAL, FAILED);
    *ret = (struct media_size){width, height};
    (void)snprintf(ret_orientation, sizeof orientation, "%s", orientation);
    return 0;
}

/* The header's own numbers are looked at before any decoder sees the file. */
static int look_at_header(struct media_run *run, size_t input)
{
    const struct media_input *in = &run->inputs[input];
    return in->width > 0 ? check_size(run, input, in->width, in->height) : 0;
}

int media_look_image(struct media_run *run, size_t input, struct media_size *ret)
{
    struct media_size size;
    char orientation[32];
    if (!media_is_image(run, input))
        return media_fail(run, -EINVAL, "File %zu is no picture (JPEG, PNG, WebP, GIF, AVIF, HEIC), but %s",
                          input + 1, run->inputs[input].type);
    size_t coder = coder_of(run, input);
    const char *picture =
        arena_printf(run->arena, "%s:%s[0]", coders[coder].coder, media_input_name(run, input));
    int r = look_at_header(run, input);
    if (r == 0)
        r = identify(run, picture, &size, orientation);
    if (r == 0)
        r = check_size(run, input, size.width, size.height);
    if (r < 0)
        return r;
    bool turned = !coders[coder].turned &&
                  choices_have("LeftTop|RightTop|RightBottom|LeftBottom", orientation, strlen(orientation));
    *ret = turned ? (struct media_size){size.height, size.width} : size;
    return 0;
}

int media_clean(struct media_run *run, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    int r = media_work_path(run, name, path, sizeof path);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return media_fail(run, -EINVAL, FAILED);
    uint8_t *data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return media_fail(run, -ENOMEM, "There is not enough memory");
    size_t len = media_compact(data, (size_t)st.st_size);
    (void)munmap(data, (size_t)st.st_size);
    return len > 0 && ftruncate(fd, (off_t)len) == 0 ? 0 : media_fail(run, -EINVAL, FAILED);
}

int media_output_image(struct media_run *run, const char *name, const char *format, const char *file_name)
{
    char orientation[32];
    struct media_size size;
    const char *picture = arena_printf(run->arena, "%s:%s[0]", format, name);
    const char *type = arena_printf(run->arena, "image/%s", format);
    if (!picture || !type)
        return media_fail(run, -ENOMEM, "There is not enough memory");
    /* other formats have no place for the texts that ImageMagick hands on */
    int r = str_equal(format, "png") ? media_clean(run, name) : 0;
    if (r == 0)
        r = identify(run, picture, &size, orientation);
    if (r < 0)
        return r;
    struct media_output *out;
    r = media_output_add(run, name, file_name, &out);
    if (r < 0)
        return r;
    out->kind = "image";
    out->type = type;
    out->width = size.width;
    out->height = size.height;
    return 0;
}
