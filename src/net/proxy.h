/* SPDX-License-Identifier: MIT */
/* The way out for programs that look names up by themselves (yt-dlp): a proxy on a loopback port that lives
 * only as long as one run of the program does. It takes CONNECT and plain requests to http:// URLs; it looks
 * the host up, refuses it unless every address is public, and connects to the very addresses that were
 * checked. Who uses it must know a random password, since any user of the machine can reach a loopback port.
 *
 * A proxy has one thread. Its functions belong to the one who opened it. */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "base/cancel.h"
#include "base/cleanup.h"
#include "net/resolve.h"

#define PROXY_URL_SIZE 128

struct proxy_options {
    bool allow_private;   /* every address will do: ALLOW_PRIVATE_URLS */
    int64_t max_bytes;    /* of all that passes, both ways; must be given */
    int max_links;        /* connections at a time; 0 = 32 */
    int max_links_in_all; /* 0 = 20,000 */
    int64_t head_ms;      /* for a request's head to come; 0 = 10 s */
    int64_t idle_ms;      /* in which nothing passes; 0 = 60 s */
    struct cancel *ended; /* raised once max_bytes or max_links_in_all is reached; may be NULL */
    resolve_fn resolve;   /* NULL = the system's; may still be called after proxy_close */
    void *resolve_ctx;
};

struct proxy_report {
    int64_t bytes;     /* that have passed, both ways */
    int links;         /* that were opened */
    bool not_public;   /* a host was refused, since one of its addresses isn't public */
    bool bad_port;     /* a port was refused: 80, 443 and those from 1024 on are taken */
    bool unknown_host; /* a host had no address */
    bool unreachable;  /* a server could not be connected to */
    bool spent;        /* a limit of the whole was reached */
};

struct proxy;

/* 0, or a negative errno. */
int proxy_open(const struct proxy_options *options, struct proxy **ret);

/* What a program's http_proxy must be: "http://name:password@127.0.0.1:port". A secret: give it by the
 * environment, never by an argument. */
const char *proxy_url(const struct proxy *proxy);

/* Until now. */
void proxy_report(struct proxy *proxy, struct proxy_report *ret);

/* Cuts what is open and waits for the thread, which waits for nothing. NULL is let be. */
void proxy_close(struct proxy *proxy);
DEFINE_CLEANUP(struct proxy *, proxy_close);

#endif
