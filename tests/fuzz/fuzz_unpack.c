/* SPDX-License-Identifier: MIT */
/* Any bytes as a backup's archive: it is refused, or what it holds is what its manifest says. */
#include "fuzz.h"

#include "ops/unpack.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct ops_error error = {0};
    struct manifest m = {0};
    if (fd < 0)
        fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    struct unpack u = {.fd = fd, .size = (int64_t)size, .max_bytes = MOST, .error = &error};
    int r = unpack_verify(&u, &m);
    if (r == 0 && m.bytes > MOST)
        abort();
    if (r < 0 && !error.text[0])
        abort();
    manifest_free(&m);
    return 0;
}
