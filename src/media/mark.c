/* SPDX-License-Identifier: MIT */
/* The invisible mark of a picture: ImageMagick decodes to raw pixels and encodes them again, mark_code.c
 * changes them. What was made is tried before it is given out: saved as JPEG of quality 80 and read; where
 * the message doesn't come back, the mark is made stronger. */
#include "media/operations.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "media/internal.h"
#include "media/mark_code.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIXELS_MAX ((int64_t)40 * 1000 * 1000)
#define BYTES_PER_PIXEL 4
#define QUALITY 95
#define SURVIVES 80

struct raw {
    struct mark_picture picture;
    size_t len;
};

static void raw_close(struct raw *raw)
{
    if (raw->picture.pixels)
        (void)munmap(raw->picture.pixels, raw->len);
}

/* The pixels of a raw file in memory; what is changed there is changed in the file. */
static int raw_open(struct media_run *run, const char *name, struct media_size size, struct raw *ret)
{
    char path[PATH_MAX];
    struct stat st;
    size_t len = (size_t)(size.width * size.height) * BYTES_PER_PIXEL;
    int r = media_work_path(run, name, path, sizeof path);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size != len)
        return media_fail(run, -EINVAL, "The picture is damaged: it has not all its pixels");
    void *pixels = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (pixels == MAP_FAILED)
        return media_fail(run, -ENOMEM, "There is not enough memory");
    *ret = (struct raw){{pixels, size.width, size.height}, len};
    return 0;
}

/* ImageMagick writes raw pixels of whatever the arguments say so far. */
static int write_raw(struct media_run *run, struct media_args *args, const char *name)
{
    char path[PATH_MAX];
    media_add(args, "-alpha", "set", "-depth", "8");
    media_argf(args, "rgba:%s", name);
    int r = media_work_path(run, name, path, sizeof path);
    if (r == 0)
        (void)unlink(path); /* of the try before */
    return r < 0 ? r : media_convert_run(run, args);
}

static int input_to_raw(struct media_run *run, const char *name)
{
    struct media_args args;
    media_convert(run, &args);
    media_picture(run, &args, 0);
    return write_raw(run, &args, name);
}

/* ---- reading */

static int extract_from(struct media_run *run, const char *name, struct media_size size, uint8_t *ret)
{
    _cleanup_(raw_close) struct raw raw = {.len = 0};
    int r = raw_open(run, name, size, &raw);
    return r < 0 ? r : mark_extract(&raw.picture, ret);
}

static int extract(struct media_run *run, struct media_size size)
{
    uint8_t message[MARK_MESSAGE_MAX];
    media_part(run, 5, 60);
    int r = input_to_raw(run, "pixels.raw");
    if (r == 0)
        r = extract_from(run, "pixels.raw", size, message);
    if (r < 0 && r != -ENOENT)
        return r;
    bool found = r > 0 && utf8_valid((const char *)message, (size_t)r);
    run->result = found ? json_pack("{s:b, s:s%}", "found", true, "payload", message, (size_t)r)
                        : json_pack("{s:b, s:n}", "found", false, "payload");
    return run->result ? 0 : media_fail(run, -ENOMEM, "There is not enough memory");
}

/* ---- hiding */

struct hiding {
    struct media_run *run;
    struct media_size size;
    const char *format, *name;
    const uint8_t *message;
    size_t len;
};

static int embed_in(const struct hiding *h, int strength)
{
    _cleanup_(raw_close) struct raw raw = {.len = 0};
    int r = input_to_raw(h->run, "pixels.raw");
    if (r == 0)
        r = raw_open(h->run, "pixels.raw", h->size, &raw);
    return r < 0 ? r : mark_embed(&raw.picture, h->message, h->len, strength);
}

/* The pixels are put into the input, whose colour profile stays with them. */
static int save(const struct hiding *h)
{
    char path[PATH_MAX];
    struct media_args args;
    media_convert(h->run, &args);
    media_picture(h->run, &args, 0);
    media_add(&args, "-type", "TrueColorAlpha", "(", "-size");
    media_argf(&args, "%lldx%lld", (long long)h->size.width, (long long)h->size.height);
    media_add(&args, "-depth", "8", "rgba:pixels.raw", ")", "-compose", "Copy", "-composite",
              "-sampling-factor", "4:4:4");
    media_convert_output(&args, h->format, QUALITY, h->name);
    int r = media_work_path(h->run, h->name, path, sizeof path);
    if (r == 0)
        (void)unlink(path);
    return r < 0 ? r : media_convert_run(h->run, &args);
}

/* 1: it comes back from a JPEG; 0: it doesn't. */
static int survives(const struct hiding *h)
{
    uint8_t message[MARK_MESSAGE_MAX];
    struct media_args args;
    media_convert(h->run, &args);
    media_argf(&args, "%s:%s", h->format, h->name);
    media_convert_output(&args, "jpeg", SURVIVES, "check.jpg");
    int r = media_convert_run(h->run, &args);
    media_convert(h->run, &args);
    media_add(&args, "jpeg:check.jpg");
    if (r == 0)
        r = write_raw(h->run, &args, "check.raw");
    if (r == 0)
        r = extract_from(h->run, "check.raw", h->size, message);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    return (size_t)r == h->len && memcmp(message, h->message, h->len) == 0;
}

static int try_strength(const struct hiding *h, int strength)
{
    int r = embed_in(h, strength);
    if (r == -ENOSPC && !h->run->error[0])
        return media_fail(h->run, -EINVAL, "The picture is too small: it needs about 160 x 160 pixels");
    if (r == 0)
        r = save(h);
    return r < 0 ? r : survives(h);
}

/* A JPEG shows nothing of what is transparent, and little of what nearly is. */
static int fail_hiding(const struct hiding *h)
{
    _cleanup_(raw_close) struct raw raw = {.len = 0};
    int r = raw_open(h->run, "pixels.raw", h->size, &raw);
    if (r < 0)
        return r;
    if (mark_opaque_blocks(&raw.picture) < MARK_BLOCKS_MIN)
        return media_fail(
            h->run, -EINVAL,
            "Too much of the picture is transparent for a mark that survives JPEG: it needs about "
            "160 x 160 pixels that are opaque");
    return media_fail(
        h->run, -EINVAL,
        "The picture has no room for a mark that survives JPEG: too much of it is of one colour");
}

static int hide(const struct hiding *h, int strength)
{
    int r = 0;
    for (; strength <= MARK_STRENGTH_MAX && r == 0; strength++) {
        media_part(h->run, 5, 90);
        r = try_strength(h, strength);
        if (r == 0)
            media_log(h->run, "strength %d isn't enough for this picture", strength);
    }
    if (r <= 0)
        return r < 0 ? r : fail_hiding(h);
    h->run->result = json_pack("{s:i, s:i}", "strength", strength - 1, "bytes", (int)h->len);
    if (!h->run->result)
        return media_fail(h->run, -ENOMEM, "There is not enough memory");
    return media_output_image(h->run, h->name, h->format, h->name);
}

int media_apply_steganographic_watermark(struct media_run *run)
{
    const struct media_mark_params *p = run->params;
    struct hiding h = {.run = run, .format = media_image_format(run, 0)};
    int r = media_look_image(run, 0, &h.size);
    if (r < 0)
        return r;
    if (h.size.width * h.size.height > PIXELS_MAX)
        return media_fail(run, -EINVAL, "The picture has more than %d million pixels",
                          (int)(PIXELS_MAX / 1000000));
    if (p->extract)
        return extract(run, h.size);
    h.name = arena_printf(run->arena, "marked.%s", media_image_extension(h.format));
    h.message = (const uint8_t *)p->payload;
    h.len = strlen(p->payload);
    return hide(&h, (int)p->strength);
}
