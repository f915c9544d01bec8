/* SPDX-License-Identifier: MIT */
/* Where the tiers come from. The built-in file is the one of the repository, so there is always one. */
#include "quota/tiers.h"

#include "quota/default_tiers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The whole of a file of at most TIERS_BYTES_MAX, owned by the caller; NULL with errno. */
static char *read_whole(const char *path, size_t *ret_len)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    _cleanup_free_ char *text = fd >= 0 ? malloc(TIERS_BYTES_MAX + 1) : NULL;
    size_t len = 0;
    ssize_t n = 0;
    if (!text)
        return NULL;
    while (len <= TIERS_BYTES_MAX && (n = read(fd, text + len, TIERS_BYTES_MAX + 1 - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        return NULL;
    *ret_len = len;
    return TAKE_PTR(text);
}

int tiers_load(const struct config *cfg, struct tiers **ret, char *ret_source, char *ret_error)
{
    char why[TIERS_ERROR_MAX];
    size_t len = default_tiers_len;
    const char *path = cfg->tiers_file ? cfg->tiers_file : TIERS_DEFAULT_PATH, *source = path;
    _cleanup_free_ char *text = read_whole(path, &len);
    if (!text && (cfg->tiers_file || errno != ENOENT)) {
        int r = errno > 0 ? -errno : -EIO;
        (void)snprintf(ret_error, TIERS_ERROR_MAX, "%.200s can't be read: %s", path, strerror(-r));
        return r;
    }
    if (!text)
        source = "the built-in tiers";
    int r = tiers_parse(text ? text : default_tiers, len, ret, why);
    if (r < 0)
        (void)snprintf(ret_error, TIERS_ERROR_MAX, "%.120s: %.190s", source, why);
    else if (ret_source)
        (void)snprintf(ret_source, TIERS_ERROR_MAX, "%.200s", source);
    return r;
}
