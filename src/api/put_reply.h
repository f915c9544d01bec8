/* SPDX-License-Identifier: MIT */
/* The answer where a file could not be stored, in the shape that the path's clients expect. */
#ifndef API_PUT_REPLY_H
#define API_PUT_REPLY_H

#include "http/reply.h"

/* r: what file_put or file_look returned (< 0). */
reply reply_put_refused(struct request *rq, int r);

#endif
