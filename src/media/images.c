/* SPDX-License-Identifier: MIT */
/* Converting, resizing and cropping pictures. Sizes are worked out here, not left to ImageMagick's geometry,
 * so that what comes out is what docs/media.md says. */
#include "media/operations.h"

#include "base/text.h"
#include "media/internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define QUALITY 90

/* Writes the picture under the operation's name and looks at it. */
static int finish(struct media_run *run, struct media_args *args, const char *word, const char *format,
                  int64_t quality)
{
    const char *name = arena_printf(run->arena, "%s.%s", word, media_image_extension(format));
    media_convert_output(args, format, quality, name);
    media_part(run, 5, 95);
    int r = media_convert_run(run, args);
    return r < 0 ? r : media_output_image(run, name, format, name);
}

int media_convert_image(struct media_run *run)
{
    const struct media_convert_params *p = run->params;
    struct media_args args;
    struct media_size size;
    int r = media_look_image(run, 0, &size);
    if (r < 0)
        return r;
    media_convert(run, &args);
    media_picture(run, &args, 0);
    return finish(run, &args, "converted", p->format, p->quality);
}

/* ---- resizing */

struct resizing {
    struct media_size whole; /* to which the picture is scaled */
    struct media_size part;  /* that is cut from its middle */
};

static int64_t scaled(int64_t side, double by)
{
    int64_t n = llround((double)side * by);
    return n < 1 ? 1 : n;
}

static struct resizing resize_inside(const struct media_resize_params *p, struct media_size is)
{
    double by = p->width > 0 ? (double)p->width / (double)is.width : INFINITY;
    double down = p->height > 0 ? (double)p->height / (double)is.height : INFINITY;
    by = down < by ? down : by;
    by = by > 1 && !p->enlarge ? 1 : by;
    struct media_size to = {scaled(is.width, by), scaled(is.height, by)};
    return (struct resizing){to, to};
}

/* A picture too small for the box fills one of the same shape. */
static struct resizing resize_cover(const struct media_resize_params *p, struct media_size is)
{
    double by = (double)p->width / (double)is.width, down = (double)p->height / (double)is.height;
    double less = 1;
    by = down > by ? down : by;
    if (by > 1 && !p->enlarge) {
        less = 1 / by;
        by = 1;
    }
    struct media_size whole = {scaled(is.width, by), scaled(is.height, by)};
    struct media_size part = {scaled(p->width, less), scaled(p->height, less)};
    part.width = part.width > whole.width ? whole.width : part.width;
    part.height = part.height > whole.height ? whole.height : part.height;
    return (struct resizing){whole, part};
}

static struct resizing resize_exact(const struct media_resize_params *p, struct media_size is)
{
    struct media_size to = {p->width, p->height};
    if (!p->enlarge) {
        to.width = to.width > is.width ? is.width : to.width;
        to.height = to.height > is.height ? is.height : to.height;
    }
    return (struct resizing){to, to};
}

int media_resize_image(struct media_run *run)
{
    const struct media_resize_params *p = run->params;
    struct media_args args;
    struct media_size size;
    int r = media_look_image(run, 0, &size);
    if (r < 0)
        return r;
    struct resizing to = str_equal(p->fit, "cover")   ? resize_cover(p, size)
                         : str_equal(p->fit, "exact") ? resize_exact(p, size)
                                                      : resize_inside(p, size);
    if (to.whole.width > SHRT_MAX || to.whole.height > SHRT_MAX)
        return media_fail(run, -EINVAL, "The picture would become larger than pictures may be");
    media_convert(run, &args);
    media_picture(run, &args, 0);
    media_arg(&args, "-resize");
    media_argf(&args, "%lldx%lld!", (long long)to.whole.width, (long long)to.whole.height);
    media_arg(&args, "-crop");
    media_argf(&args, "%lldx%lld+%lld+%lld", (long long)to.part.width, (long long)to.part.height,
               (long long)((to.whole.width - to.part.width) / 2),
               (long long)((to.whole.height - to.part.height) / 2));
    return finish(run, &args, "resized", media_image_format(run, 0), QUALITY);
}

/* ---- cropping */

/* Where the part begins on one axis: at the near side, the middle or the far one. */
static int64_t pull(int64_t room, bool near, bool far)
{
    return near ? 0 : far ? room : room / 2;
}

static void place_crop(const struct media_crop_params *p, struct media_size is, int64_t *ret_x,
                       int64_t *ret_y)
{
    const char *g = p->gravity ? p->gravity : "center";
    *ret_x = p->x >= 0 ? p->x : pull(is.width - p->width, strstr(g, "west"), strstr(g, "east"));
    *ret_y = p->y >= 0 ? p->y : pull(is.height - p->height, strstr(g, "north"), strstr(g, "south"));
}

int media_crop_image(struct media_run *run)
{
    const struct media_crop_params *p = run->params;
    struct media_args args;
    struct media_size size;
    int64_t x, y;
    int r = media_look_image(run, 0, &size);
    if (r < 0)
        return r;
    place_crop(p, size, &x, &y);
    if (x < 0 || y < 0 || x + p->width > size.width || y + p->height > size.height)
        return media_fail(run, -EINVAL,
                          "The part to keep doesn't lie within the picture, which has %lld x %lld pixels",
                          (long long)size.width, (long long)size.height);
    media_convert(run, &args);
    media_picture(run, &args, 0);
    media_arg(&args, "-crop");
    media_argf(&args, "%lldx%lld+%lld+%lld", (long long)p->width, (long long)p->height, (long long)x,
               (long long)y);
    return finish(run, &args, "cropped", media_image_format(run, 0), QUALITY);
}
