/* SPDX-License-Identifier: MIT */
/* Any bytes as an uploaded archive: the verdict is the same each time, a refusal has a sentence, and what
 * passes is within the limits. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "onboarding/zip_check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct zip_limits limits = {8, 1024 * 1024, 100, 10 * 1000};
    struct zip_facts facts = {-1, -1}, again = {-1, -1};
    const char *why = NULL, *why_again = NULL;
    _cleanup_close_ int fd = memfd_create("zip", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    int r = zip_check(fd, (int64_t)size, &limits, &facts, &why);
    require(zip_check(fd, (int64_t)size, &limits, &again, &why_again) == r);
    require(r == 0 || r == -EBADMSG);
    require(why == why_again && (r == 0) == !why);
    require(facts.entries == again.entries && facts.unpacked == again.unpacked);
    if (r == 0)
        require(facts.entries >= 1 && facts.entries <= limits.entries && facts.unpacked >= 0 &&
                facts.unpacked <= limits.unpacked && facts.unpacked <= limits.ratio * (int64_t)size);
    return 0;
}
