/* SPDX-License-Identifier: MIT */
/* The head of a request to our proxy (net/proxy.h): read strictly, since whoever sends it runs what strangers
 * have written, and what can be read in two ways is refused. Pure. */
#ifndef NET_PROXY_HEAD_H
#define NET_PROXY_HEAD_H

#include "base/buf.h"

#include <stdint.h>

#define PROXY_HEAD_MAX (16 * 1024)
#define PROXY_HOST_SIZE 256
#define PROXY_CREDENTIALS_SIZE 128

struct proxy_head {
    bool tunnel;                /* CONNECT; else a plain request to an http:// URL */
    char host[PROXY_HOST_SIZE]; /* in lower case, IPv6 without brackets */
    int port;
    int64_t body;                             /* bytes that follow a plain request */
    char credentials[PROXY_CREDENTIALS_SIZE]; /* what Proxy-Authorization says after "Basic "; "" = nothing */
    size_t method_len, path_at, path_len;     /* in the text, of a plain request */
};

/* Reads a whole head, its empty line included. 0; -EBADMSG it is malformed; -EOPNOTSUPP well-formed, but not
 * done here: another method, scheme or transfer coding. */
int proxy_head_parse(const char *text, size_t len, struct proxy_head *ret);

/* Appends what the server behind gets of a plain request: the path alone, the Host that is connected to,
 * nothing that was meant for the proxy, and that it shall close. The head must have been parsed from this
 * text. 0, -ENOBUFS or -ENOMEM. */
int proxy_head_rewrite(const char *text, size_t len, const struct proxy_head *head, struct buf *out);

#endif
