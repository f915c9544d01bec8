/* SPDX-License-Identifier: MIT */
/* Everything is closed but the coders of six picture formats and of raw pixels: no MVG, MSL, SVG, text, URL,
 * PostScript, no lists of files, no other program. ImageMagick reads this before the system's policy: its
 * limits hold, while a coder that the system's opens by name is open again. No such coder is ever named:
 * every file is given with its own (convert.c). */
#include "media/policy.h"

#include "base/cleanup.h"
#include "base/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static const char policy[] = "<policymap>\n"
                             "  <policy domain=\"delegate\" rights=\"none\" pattern=\"*\"/>\n"
                             "  <policy domain=\"filter\" rights=\"none\" pattern=\"*\"/>\n"
                             "  <policy domain=\"path\" rights=\"none\" pattern=\"@*\"/>\n"
                             "  <policy domain=\"coder\" rights=\"none\" pattern=\"*\"/>\n"
                             "  <policy domain=\"coder\" rights=\"read | write\" "
                             "pattern=\"{PNG,JPEG,WEBP,GIF,AVIF,HEIC,RGB,RGBA}\"/>\n"
                             "  <policy domain=\"resource\" name=\"width\" value=\"16384\"/>\n"
                             "  <policy domain=\"resource\" name=\"height\" value=\"16384\"/>\n"
                             "  <policy domain=\"resource\" name=\"area\" value=\"128MP\"/>\n"
                             "  <policy domain=\"resource\" name=\"list-length\" value=\"64\"/>\n"
                             "  <policy domain=\"resource\" name=\"memory\" value=\"512MiB\"/>\n"
                             "  <policy domain=\"resource\" name=\"map\" value=\"1GiB\"/>\n"
                             "  <policy domain=\"resource\" name=\"disk\" value=\"2GiB\"/>\n"
                             "  <policy domain=\"resource\" name=\"time\" value=\"180\"/>\n"
                             "</policymap>\n";

int media_policy_write(const char *dir)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/policy.xml", dir) >= (int)sizeof path)
        return -ENAMETOOLONG;
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return -errno;
    return keep_write(fd, policy, strlen(policy));
}
