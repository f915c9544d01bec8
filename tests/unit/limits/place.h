/* SPDX-License-Identifier: MIT */
/* Servers on one store, with routes of the test's own. */
#ifndef TESTS_LIMITS_PLACE_H
#define TESTS_LIMITS_PLACE_H

#include "../db/store.h"
#include "../http/support.h"
#include "limits/limits.h"

#include "base/text.h"

#include <errno.h>

#define SERVERS_MOST 2

struct app {
    atomic_int served, waiting;
    atomic_bool shut; /* handlers that wait do so until it is opened */
    struct db *db;
};

struct identity {
    const char *id;
};

/* One server process: a handle of the store, limits and an HTTP server of its own. */
struct server {
    struct db *db;
    struct limits *limits;
    struct site site;
};

struct place {
    struct store *store;
    struct app app;
    struct server servers[SERVERS_MOST];
    int n;
};

static inline int place_lookup(void *ctx, const char *token, struct identity **ret, enum error_id *ret_error)
{
    static struct identity ann = {"ann"}, bob = {"bob"};
    (void)ctx;
    *ret_error = ERR_UNAUTHORIZED;
    *ret = str_equal(token, "ann") ? &ann : &bob;
    return str_equal(token, "ann") || str_equal(token, "bob") ? 0 : -EACCES;
}

static inline bool place_is_not(const struct identity *who)
{
    (void)who;
    return false;
}

static inline void place_describe(const struct identity *who, const char **ret_user, const char **ret_other)
{
    *ret_user = who->id;
    *ret_other = NULL;
}

static inline void place_unref(struct identity *who)
{
    (void)who;
}

/* A further server; secret: DIRECTUS_SECRET. */
static inline void place_add(struct place *p, const struct route *const *tables, const char *secret)
{
    struct server *s = &p->servers[p->n++];
    struct db_options options = store_options(p->store);
    site_init(&s->site);
    s->site.workers = 8;
    s->site.waiting = 200;
    s->site.config.directus_secret = secret;
    s->site.config.rbac_sync_webhook_secret = "service";
    s->site.auth =
        (struct http_auth){NULL, place_lookup, NULL, place_is_not, place_is_not, place_describe, place_unref};
    assert_int_equal(db_open(&options, &s->db), 0);
    assert_int_equal(limits_open(&s->site.config, s->db, &s->limits), 0);
    s->site.limits = limits_hooks(s->limits);
    site_start(&s->site, tables, &p->app);
}

static inline void place_stop(struct server *s)
{
    site_stop(&s->site, PATIENCE_MS);
    limits_close(s->limits);
    db_close(s->db);
}

static inline int place_open(void **state, const struct route *const *tables)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(store_set_up_migrated((void **)&p->store), 0);
    p->app.db = p->store->db;
    place_add(p, tables, "first-secret");
    *state = p;
    return 0;
}

static inline int place_close(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < p->n; i++)
        place_stop(&p->servers[i]);
    assert_int_equal(store_tear_down((void **)&p->store), 0);
    free(p);
    return 0;
}

static inline int place_port(const struct place *p, int i)
{
    return p->servers[i].site.port;
}

#define CROWD_MOST 64

/* Simultaneous requests. What they got is judged when all are back: an assertion that fails on a thread of
 * its own ends the program without a word. */
struct crowd {
    pthread_barrier_t start;
    const char *request;
    int ports[SERVERS_MOST], port_count, n;
    atomic_int next;
    struct answer answers[CROWD_MOST]; /* status 0: none */
};

static inline void *crowd_ask(void *arg)
{
    struct crowd *k = arg;
    struct client c;
    int me = atomic_fetch_add(&k->next, 1);
    client_open(&c, k->ports[me % k->port_count]);
    pthread_barrier_wait(&k->start);
    client_send(&c, k->request);
    if (!client_answer(&c, false, &k->answers[me]))
        k->answers[me] = (struct answer){0};
    client_close(&c);
    return NULL;
}

static inline void crowd_run(struct crowd *k, const char *request, int n)
{
    pthread_t threads[CROWD_MOST];
    k->request = request;
    k->n = n;
    pthread_barrier_init(&k->start, NULL, (unsigned)n);
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_ask, k), 0);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&k->start);
}

static inline int crowd_count(const struct crowd *k, int status)
{
    int n = 0;
    for (int i = 0; i < k->n; i++)
        n += k->answers[i].status == status;
    return n;
}

static inline void crowd_free(struct crowd *k)
{
    for (int i = 0; i < k->n; i++)
        if (k->answers[i].status)
            answer_free(&k->answers[i]);
}

static inline int64_t header_number(const struct answer *a, const char *name)
{
    char text[64];
    int64_t n = -1;
    const char *found = answer_header(a, name, text, sizeof text);
    if (!found || parse_int(found, 0, INT64_MAX, &n) < 0)
        fail_msg("%s is no number:\n%s", name, a->head);
    return n;
}

#endif
