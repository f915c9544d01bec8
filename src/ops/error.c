/* SPDX-License-Identifier: MIT */
#include "ops/error.h"

#include <archive.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ops_fail(struct ops_error *e, int r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return r;
}

static bool is_full(int r)
{
    return r == -ENOSPC || r == -EDQUOT || r == -EFBIG;
}

int ops_fail_errno(struct ops_error *e, int r, const char *what)
{
    return ops_fail(e, is_full(r) ? -ENOSPC : r, "%s: %s", what,
                    is_full(r) ? "the disk is full" : strerror(-r));
}

int ops_fail_archive(struct ops_error *e, struct archive *a, const char *what)
{
    int no = archive_errno(a);
    const char *said = archive_error_string(a);
    if (is_full(-no))
        return ops_fail_errno(e, -no, what);
    /* of its own numbers, most mean that it couldn't understand */
    return ops_fail(e, no == EIO || no == ENOMEM || no == EPIPE ? -no : -EBADMSG, "%s: %s", what,
                    said ? said : "it can't be read");
}

void ops_use_utf8(void)
{
    static locale_t utf8;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8)
        (void)uselocale(utf8);
}
