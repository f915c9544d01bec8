/* SPDX-License-Identifier: MIT */
/* One connection through the proxy (net/proxy.c), a state machine on the proxy's thread: a request's head is
 * read, its host looked up and checked, a checked address connected to, and then bytes are passed both ways.
 * Only for the proxy. */
#ifndef NET_PROXY_LINK_H
#define NET_PROXY_LINK_H

#include "net/proxy.h"
#include "net/proxy_head.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/queue.h>

#define LINK_WINDOW (64 * 1024)
#define PROXY_SECRET_SIZE 65

enum link_side { LINK_CLIENT, LINK_SERVER };

enum link_stage {
    LINK_READS,    /* the head */
    LINK_LOOKS_UP, /* the host */
    LINK_CONNECTS, /* to one of its addresses */
    LINK_PASSES,   /* bytes */
    LINK_ANSWERS,  /* why not, and then reads to the end, so that the answer isn't lost */
    LINK_OVER,
};

struct proxy_link;

struct link_end {
    struct proxy_link *link;
    enum link_side side;
    int fd;
    uint32_t watched; /* by the epoll; 0 = not at all */
    bool read_ended, write_ended;
};

/* What came from an end and goes to the other: filled when it is empty. */
struct link_flow {
    size_t len, at;
    char data[LINK_WINDOW];
};

struct proxy_link {
    struct proxy *proxy;
    enum link_stage stage;
    int64_t due_ms; /* when this stage, or the silence in it, has lasted too long */
    struct link_end end[2];
    struct link_flow flow[2]; /* by where it comes from */
    struct buf head_text;
    struct proxy_head head;
    int64_t body_left; /* that the client may still send; -1 = without end */
    struct resolve_lookup *lookup;
    struct resolve_answer answer;
    size_t tried; /* of the addresses */
    LIST_ENTRY(proxy_link) place;
};

LIST_HEAD(link_list, proxy_link);

struct proxy {
    struct proxy_options options;
    int epoll, listener, wake;
    bool listening; /* the epoll watches the listener */
    bool stopping;  /* under the lock */
    pthread_t thread;
    struct link_list links;
    int n_links;
    char expected[2 * PROXY_SECRET_SIZE]; /* base64 of "name:password" */
    char url[PROXY_URL_SIZE];
    pthread_mutex_t lock;
    struct proxy_report report; /* under the lock */
};

/* Takes over the client's socket, also when it fails: NULL without memory. */
struct proxy_link *link_open(struct proxy *proxy, int fd);

/* Something happened on an end. */
void link_event(struct link_end *end, uint32_t events);

/* To be called after each turn: goes on if its look-up has ended, or its time is over. */
void link_look(struct proxy_link *link, int64_t now_ms);

/* Has the epoll watch what the link waits for now. */
void link_watch(struct proxy_link *link);

void link_free(struct proxy_link *link);

#endif
