/* SPDX-License-Identifier: MIT */
/* Private to src/http. Requests whose headers can be read in two ways, or are too many: what libmicrohttpd
 * lets through and a proxy in front of us may have understood differently (request smuggling). */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "base/error.h"

#include <microhttpd.h>

#define FRAMING_HEADER_BYTES_MAX (16 * 1024) /* of all names and values */

/* ERR_NONE, or why the request is refused; its connection must then be closed. Event thread. */
enum error_id framing_check(struct MHD_Connection *connection);

/* Decodes %XX in a path, a name or a value in place, and returns its new length. "%00" stays as it is:
 * decoded it would end the text for us, but not for whoever looked at it before. */
size_t framing_unescape(char *text);

#endif
