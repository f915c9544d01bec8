/* SPDX-License-Identifier: MIT */
#include "reader/store.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

static const char *const phase_names[READ_PHASES] = {
    [READ_READ] = "read",   [READ_NODES] = "nodes",     [READ_EDGES] = "edges",
    [READ_EMBED] = "embed", [READ_SUMMARY] = "summary", [READ_DONE] = "done",
};

const char *read_phase_name(enum read_phase phase)
{
    return phase_names[phase];
}

/* ---- beginning */

struct beginning {
    struct read_place *place;
    char **facts;
};

/* Who withdraws an export writes the persona too, so one of the two comes after the other. */
static int check_wanted(struct db_conn *c, const struct read_place *p)
{
    int64_t changed = 0;
    int r = db_exec(c,
                    "UPDATE user_personas SET onboarding_state = onboarding_state WHERE user_id = ?1"
                    " AND onboarding_state IN ('PROCESSING', 'COMPLETE')"
                    " AND NOT EXISTS (SELECT 1 FROM queue_jobs WHERE id = ?2 AND state = 'failed')",
                    DB_ARGS(DB_TEXT(p->user_id), DB_TEXT(p->job_id)), &changed);
    return r < 0 ? r : changed == 1 ? 0 : -ECANCELED;
}

static int find_phase(const char *name, enum read_phase *ret)
{
    for (size_t i = 0; i < READ_PHASES; i++)
        if (strcmp(phase_names[i], name) == 0) {
            *ret = (enum read_phase)i;
            return 0;
        }
    return -EIO;
}

static int load_place(struct db_conn *c, struct beginning *b)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, "SELECT phase, position, facts FROM export_reads WHERE user_id = ?1",
                     DB_ARGS(DB_TEXT(b->place->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    b->place->position = db_int(rows, 1);
    if (!db_is_null(rows, 2) && !(*b->facts = strdup(db_text(rows, 2))))
        return -ENOMEM;
    return find_phase(db_text(rows, 0), &b->place->phase);
}

/* One export of a user is read at a time; a later one takes the place of what an earlier one left. */
static int begin_unit(struct db_conn *c, void *arg)
{
    struct beginning *b = arg;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    free(*b->facts);
    *b->facts = NULL;
    db_concerns(c, b->place->user_id);
    int r = check_wanted(c, b->place);
    if (r == 0)
        r = db_exec(c,
                    "INSERT INTO export_reads (user_id, job_id, phase, date_created, date_updated)"
                    " VALUES (?1, ?2, 'read', ?3, ?3) ON CONFLICT (user_id) DO UPDATE SET job_id = ?2,"
                    " phase = 'read', position = 0, facts = NULL, date_created = ?3, date_updated = ?3"
                    " WHERE export_reads.job_id <> ?2",
                    DB_ARGS(DB_TEXT(b->place->user_id), DB_TEXT(b->place->job_id), DB_TEXT(now)), NULL);
    return r < 0 ? r : load_place(c, b);
}

int read_begin(struct db *db, struct read_place *place, char **ret_facts)
{
    struct beginning b = {place, ret_facts};
    *ret_facts = NULL;
    int r = db_write(db, begin_unit, &b);
    return r < 0 ? r : 0;
}

/* ---- going on */

struct step {
    const struct read_place *from;
    enum read_phase phase;
    int64_t position;
    const char *facts, *summary;
    const struct corpus *corpus;
    const struct corpus_edge *edges;
    int64_t made; /* out */
};

static int move_place(struct db_conn *c, const struct step *s)
{
    char now[ISO_TIME_LEN];
    int64_t changed = 0;
    const struct read_place *p = s->from;
    clock_format_iso(clock_now_ms(), now);
    db_concerns(c, p->user_id);
    int r = db_exec(c,
                    "UPDATE export_reads SET phase = ?3, position = ?4, facts = coalesce(?5, facts),"
                    " date_updated = ?6 WHERE user_id = ?1 AND job_id = ?2 AND phase = ?7 AND position = ?8",
                    DB_ARGS(DB_TEXT(p->user_id), DB_TEXT(p->job_id), DB_TEXT(phase_names[s->phase]),
                            DB_INT(s->position), DB_TEXT(s->facts), DB_TEXT(now),
                            DB_TEXT(phase_names[p->phase]), DB_INT(p->position)),
                    &changed);
    return r < 0 ? r : changed == 1 ? 0 : -ECANCELED;
}

static int advance_unit(struct db_conn *c, void *arg)
{
    return move_place(c, arg);
}

static int run_step(struct db *db, struct read_place *place, struct step *s, db_fn unit)
{
    s->from = place;
    int r = db_write_in_turn(db, place->user_id, unit, s); /* edges keep the nodes that they join */
    if (r < 0)
        return r;
    place->phase = s->phase;
    place->position = s->position;
    return 0;
}

int read_advance(struct db *db, struct read_place *place, enum read_phase phase, int64_t position,
                 const char *facts)
{
    struct step s = {.phase = phase, .position = position, .facts = facts};
    return run_step(db, place, &s, advance_unit);
}

/* ---- nodes */

/* What bears on its owner counts more than what is merely there. */
static const double weights[NODE_KINDS] = {
    [NODE_CONTENT] = 0.7, [NODE_FAN_MEMORY] = 0.7, [NODE_PERSONA] = 0.9, [NODE_NOTE] = 0.8};

static int add_node(struct db_conn *c, struct step *s, const struct draft *d, const char *now)
{
    char id[UUID_SIZE];
    int64_t changed = 0;
    uuid_make(id);
    int r =
        db_exec(c,
                "INSERT INTO user_nodes (id, user_id, node_type, title, content, tags, weight, import_key,"
                " date_created, date_updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)"
                " ON CONFLICT (user_id, import_key) WHERE import_key IS NOT NULL DO NOTHING",
                DB_ARGS(DB_TEXT(id), DB_TEXT(s->from->user_id), DB_TEXT(node_kind_name(d->kind)),
                        DB_TEXT(d->title), DB_TEXT(d->content), DB_TEXT(d->tags), DB_REAL(weights[d->kind]),
                        DB_TEXT(d->key), DB_TEXT(now)),
                &changed);
    s->made += changed;
    return r;
}

/* ---- edges */

/* Between what its owner has not deleted meanwhile. */
static int add_edge(struct db_conn *c, struct step *s, const struct corpus_edge *e, const char *now)
{
    char id[UUID_SIZE];
    int64_t changed = 0;
    const struct draft *from = &s->corpus->drafts[e->from], *to = &s->corpus->drafts[e->to];
    uuid_make(id);
    int r = db_exec(c,
                    "INSERT INTO user_node_edges (id, user_id, source, target, weight, date_created,"
                    " date_updated) SELECT ?1, a.user_id, a.id, b.id, ?5, ?6, ?6 FROM user_nodes a"
                    " JOIN user_nodes b ON b.user_id = a.user_id WHERE a.user_id = ?2 AND a.import_key = ?3"
                    " AND b.import_key = ?4 AND a.id <> b.id ON CONFLICT DO NOTHING",
                    DB_ARGS(DB_TEXT(id), DB_TEXT(s->from->user_id), DB_TEXT(from->key), DB_TEXT(to->key),
                            DB_REAL(e->weight), DB_TEXT(now)),
                    &changed);
    s->made += changed;
    return r;
}

/* ---- a batch of either */

static int batch_unit(struct db_conn *c, void *arg)
{
    struct step *s = arg;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    s->made = 0;
    int r = move_place(c, s);
    for (int64_t i = s->from->position; r == 0 && i < s->position; i++)
        r = s->phase == READ_EDGES ? add_edge(c, s, &s->edges[i], now)
                                   : add_node(c, s, &s->corpus->drafts[i], now);
    return r;
}

static int64_t behind_batch(int64_t from, size_t n)
{
    return from + READ_BATCH < (int64_t)n ? from + READ_BATCH : (int64_t)n;
}

int read_write_nodes(struct db *db, struct read_place *place, const struct corpus *c, int64_t *ret_made)
{
    struct step s = {.phase = READ_NODES, .position = behind_batch(place->position, c->n), .corpus = c};
    int r = run_step(db, place, &s, batch_unit);
    *ret_made = s.made;
    return r;
}

int read_write_edges(struct db *db, struct read_place *place, const struct corpus *c,
                     const struct corpus_edge *edges, size_t n, int64_t *ret_made)
{
    struct step s = {
        .phase = READ_EDGES, .position = behind_batch(place->position, n), .corpus = c, .edges = edges};
    int r = run_step(db, place, &s, batch_unit);
    *ret_made = s.made;
    return r;
}

/* ---- the end */

/* The persona comes first, as for all who write both. */
static int summary_unit(struct db_conn *c, void *arg)
{
    const struct step *s = arg;
    char now[ISO_TIME_LEN];
    clock_format_iso(clock_now_ms(), now);
    int r = db_exec(c,
                    "UPDATE user_personas SET summary = ?2, date_updated = ?3 WHERE user_id = ?1"
                    " AND (summary IS NULL OR summary = '' OR summary LIKE '" SUMMARY_MARK "%')",
                    DB_ARGS(DB_TEXT(s->from->user_id), DB_TEXT(s->summary), DB_TEXT(now)), NULL);
    return r < 0 ? r : move_place(c, s);
}

int read_write_summary(struct db *db, struct read_place *place, const char *summary)
{
    struct step s = {.phase = READ_DONE, .summary = summary};
    return run_step(db, place, &s, summary_unit);
}

int read_end(struct db_conn *c, const char *user_id, const char *job_id)
{
    return db_exec(c, "DELETE FROM export_reads WHERE user_id = ?1 AND job_id = ?2",
                   DB_ARGS(DB_TEXT(user_id), DB_TEXT(job_id)), NULL);
}
