/* SPDX-License-Identifier: MIT */
/* One list under one lock. Reading it anew happens with the lock held: whoever comes meanwhile would have to
 * read the same. */
#include "agent/catalog.h"

#include "agent/flow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define FLOWS_MOST 200
#define LIST_MAX_BYTES (4 * 1024 * 1024)

struct entry {
    struct flow_offer offer;
    struct flow flow; /* its steps are not kept */
};

struct flow_catalog {
    struct db *db;
    pthread_mutex_t lock;
    struct arena arena; /* of the entries */
    struct entry *entries;
    size_t n;
    bool loaded;
    int64_t version; /* of the store when they were read */
};

int flow_catalog_open(struct db *db, struct flow_catalog **ret)
{
    struct flow_catalog *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->db = db;
    arena_init(&c->arena, LIST_MAX_BYTES);
    pthread_mutex_init(&c->lock, NULL);
    *ret = c;
    return 0;
}

void flow_catalog_close(struct flow_catalog *c)
{
    arena_free(&c->arena);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void flow_catalog_forget(struct flow_catalog *c)
{
    pthread_mutex_lock(&c->lock);
    c->loaded = false;
    pthread_mutex_unlock(&c->lock);
}

/* A flow that can't be run at all is left out. */
static int add_entry(struct flow_catalog *c, struct db_rows *rows)
{
    char error[STEP_ERROR_MAX];
    struct flow flow = {.allow_side_effects = db_int(rows, 3)};
    if (flow_parse(db_text(rows, 4), &flow, error, sizeof error) < 0)
        return 0;
    struct flow_offer offer = {
        .slug = db_text_dup(rows, 0, &c->arena),
        .name = db_text_dup(rows, 1, &c->arena),
        .description = db_is_null(rows, 2) ? "" : db_text_dup(rows, 2, &c->arena),
        .input_hint = flow_input_hint(&flow, &c->arena),
    };
    flow_done(&flow);
    if (!offer.slug || !offer.name || !offer.description || !offer.input_hint)
        return -ENOMEM;
    if (!flow.unavailable)
        c->entries[c->n++] = (struct entry){offer, flow};
    return 0;
}

static int read_flows(struct db_conn *conn, void *arg)
{
    struct flow_catalog *c = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(
        conn,
        "SELECT slug, name, description, allow_side_effects, steps FROM action_flows WHERE active = TRUE "
        "ORDER BY slug LIMIT ?1",
        DB_ARGS(DB_INT(FLOWS_MOST)), &rows);
    while (r == 0 && (r = db_next(rows)) > 0)
        r = add_entry(c, rows);
    return r;
}

/* Reads the list if it isn't the present one. The version is taken first: a change in between is read once
 * more. */
static int refresh(struct flow_catalog *c)
{
    int64_t version = db_topic_version(c->db, DB_FLOWS);
    if (c->loaded && version == c->version)
        return 0;
    arena_free(&c->arena);
    c->n = 0;
    c->loaded = false;
    c->entries = arena_alloc(&c->arena, FLOWS_MOST * sizeof *c->entries);
    int r = c->entries ? db_read(c->db, read_flows, c) : -ENOMEM;
    c->loaded = r == 0;
    c->version = version;
    return r;
}

static int copy_offers(const struct flow_catalog *c, struct arena *a, const struct identity *who,
                       struct flow_offer *to, size_t *ret_n)
{
    size_t n = 0;
    for (const struct entry *e = c->entries; e < c->entries + c->n; e++) {
        if (flow_refusal(&e->flow, who))
            continue;
        const struct flow_offer *from = &e->offer;
        to[n] = (struct flow_offer){arena_strdup(a, from->slug), arena_strdup(a, from->name),
                                    arena_strdup(a, from->description), arena_strdup(a, from->input_hint)};
        if (!to[n].slug || !to[n].name || !to[n].description || !to[n].input_hint)
            return -ENOMEM;
        n++;
    }
    *ret_n = n;
    return 0;
}

int flow_catalog_offer(struct flow_catalog *c, struct arena *a, const struct identity *who,
                       struct flow_offer **ret, size_t *ret_n)
{
    struct flow_offer *offers = NULL;
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    int r = refresh(c);
    if (r == 0) {
        offers = arena_alloc(a, (c->n + 1) * sizeof *offers);
        r = offers ? copy_offers(c, a, who, offers, &n) : -ENOMEM;
    }
    pthread_mutex_unlock(&c->lock);
    if (r < 0)
        return r;
    *ret = offers;
    *ret_n = n;
    return 0;
}
