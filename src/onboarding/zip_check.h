/* SPDX-License-Identifier: MIT */
/* Whether a ZIP archive from a stranger may be unpacked: sound, within the limits when really unpacked (what
 * its headers claim proves nothing), with plain files and directories alone, none of which leads out.
 * Nothing is written. It takes as long as unpacking does, up to a limit: workers only. */
#ifndef ONBOARDING_ZIP_CHECK_H
#define ONBOARDING_ZIP_CHECK_H

#include <stdint.h>

struct zip_limits {
    int64_t entries;  /* files and directories */
    int64_t unpacked; /* bytes in all */
    int64_t ratio;    /* unpacked bytes for one of the archive's */
    int64_t time_ms;
};

#define ZIP_LIMITS_DEFAULT \
    { \
        10000, INT64_C(4) * 1024 * 1024 * 1024, 100, 60 * 1000 \
    }

struct zip_facts {
    int64_t entries, unpacked;
};

/* fd: a regular file of `size` bytes; its position is changed. 0; -EBADMSG with a sentence for its sender in
 * *ret_why; -ENOMEM, or the errno of reading. */
int zip_check(int fd, int64_t size, const struct zip_limits *limits, struct zip_facts *ret,
              const char **ret_why);

#endif
