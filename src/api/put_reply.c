/* SPDX-License-Identifier: MIT */
#include "api/put_reply.h"

#include <errno.h>

reply reply_put_refused(struct request *rq, int r)
{
    if (r == -EDQUOT)
        return reply_field_error(rq, ERR_STORAGE_LIMIT, "file", NULL);
    if (r == -ENOSPC || r == -EFBIG)
        return reply_error(rq, ERR_STORAGE_FULL, NULL);
    if (r == -ENOENT) /* the user has just been removed */
        return reply_error(rq, ERR_UNAUTHORIZED, NULL);
    return reply_store_error(rq, r);
}
