/* SPDX-License-Identifier: MIT */
/* One set in a slot. It bears what it was read under: the store's version for these tables, and how often
 * this process had written. A reader whose set is the present one takes no other lock than the slot's; the
 * first that finds it outdated reads a new one, and those who find it outdated as well wait for that. */
#include "skills/skills.h"

#include "base/log.h"

#include <errno.h>

struct skills {
    struct db *db;
    struct slot slot;
    pthread_mutex_t reading; /* held by who reads the store */
    atomic_uint_least64_t generation;
};

int skills_open(struct db *db, struct skills **ret)
{
    struct skills *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->db = db;
    s->slot = (struct slot)SLOT_INIT;
    pthread_mutex_init(&s->reading, NULL);
    atomic_init(&s->generation, 0);
    *ret = s;
    return 0;
}

void skills_close(struct skills *s)
{
    if (!s)
        return;
    slot_put(&s->slot, NULL);
    pthread_mutex_destroy(&s->reading);
    free(s);
}

void skills_forget(struct skills *s)
{
    atomic_fetch_add(&s->generation, 1);
}

/* ---- reading the store */

struct load {
    struct skill_set_builder *builder;
    bool full;
};

static int add_skill(struct load *l, struct db_rows *rows)
{
    struct skill_row row = {.id = db_text(rows, 0),
                            .name = db_text(rows, 1),
                            .category = db_text(rows, 2),
                            .description = db_text(rows, 3),
                            .tags = db_text(rows, 4),
                            .content = db_text(rows, 5),
                            .date_updated = db_text(rows, 6),
                            .activation_score = db_real(rows, 7)};
    return skill_set_add(l->builder, &row);
}

static int add_edge(struct load *l, struct db_rows *rows)
{
    struct skill_edge_row row = {db_text(rows, 0), db_text(rows, 1), db_text(rows, 2), db_real(rows, 3)};
    return skill_set_add_edge(l->builder, &row);
}

static int add_rows(struct load *l, struct db_conn *c, const char *sql,
                    int (*add)(struct load *, struct db_rows *))
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, sql, DB_NO_ARGS, &rows);
    while (r >= 0 && (r = db_next(rows)) > 0) {
        r = add(l, rows);
        if (r == -ENOBUFS) {
            l->full = true;
            return 0;
        }
    }
    return r;
}

static int load_rows(struct db_conn *c, void *arg)
{
    struct load *l = arg;
    int r = add_rows(l, c,
                     "SELECT id, name, category, description, tags, content, date_updated, activation_score "
                     "FROM agent_skills ORDER BY id",
                     add_skill);
    if (r == 0)
        r = add_rows(l, c, "SELECT source, target, relation, weight FROM skill_edges ORDER BY id", add_edge);
    return r;
}

int skills_load(struct db *db, struct skill_set **ret)
{
    struct load l = {.builder = skill_set_begin()};
    int r = l.builder ? db_read(db, load_rows, &l) : -ENOMEM;
    if (r == 0)
        r = skill_set_finish(l.builder, ret);
    if (r == 0 && l.full)
        log_event(LOG_WARN, "there are more skills or relations than are read",
                  LOG_N("skills", (*ret)->n_skills));
    skill_set_builder_free(l.builder);
    return r;
}

/* ---- the present set */

static bool is_present(const struct skill_set *set, int64_t version, uint64_t generation)
{
    return set && set->version == version && set->generation == generation;
}

/* What the set is stamped with was there before it was read: a change in between is read once more. */
static int renew(struct skills *s, struct skill_set **ret)
{
    uint64_t generation = atomic_load(&s->generation);
    int64_t version = db_topic_version(s->db, DB_SKILLS);
    struct skill_set *set = (struct skill_set *)slot_take(&s->slot);
    if (is_present(set, version, generation)) {
        *ret = set;
        return 0;
    }
    skill_set_unref(set);
    int r = skills_load(s->db, &set);
    if (r < 0)
        return r;
    set->version = version;
    set->generation = generation;
    shared_ref(&set->shared);
    slot_put(&s->slot, &set->shared);
    *ret = set;
    return 0;
}

int skills_take(struct skills *s, struct skill_set **ret)
{
    uint64_t generation = atomic_load(&s->generation);
    int64_t version = db_topic_version(s->db, DB_SKILLS);
    struct skill_set *set = (struct skill_set *)slot_take(&s->slot);
    if (is_present(set, version, generation)) {
        *ret = set;
        return 0;
    }
    skill_set_unref(set);
    pthread_mutex_lock(&s->reading);
    int r = renew(s, ret);
    pthread_mutex_unlock(&s->reading);
    return r;
}
