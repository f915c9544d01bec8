/* SPDX-License-Identifier: MIT */
/* The set in memory: what was written is seen, by this process and by another, and 64 readers never see half
 * of it. */
#include "../db/store.h"

#include "skills/import.h"
#include "base/uuid.h"
#include "skills/skills.h"

#include <pthread.h>
#include <stdatomic.h>

#define READERS 64
#define ROUNDS 10
#define PAUSE_US 1000 /* else 64 readers leave the writer no time */

static int set_up(void **state)
{
    log_configure(LOG_ERROR, false);
    return store_set_up_migrated(state);
}

/* A generation: that many skills, all of the same category. */
static int write_generation(struct db_conn *c, void *arg)
{
    int number = *(int *)arg, r = db_exec(c, "DELETE FROM agent_skills", DB_NO_ARGS, NULL);
    for (int i = 0; i < 5 + number && r == 0; i++) {
        char id[UUID_SIZE], name[16], category[16];
        uuid_make(id);
        (void)snprintf(name, sizeof name, "s%d", i);
        (void)snprintf(category, sizeof category, "g%d", number);
        r = db_exec(c, "INSERT INTO agent_skills (id, name, category) VALUES (?1, ?2, ?3)",
                    DB_ARGS(DB_TEXT(id), DB_TEXT(name), DB_TEXT(category)), NULL);
    }
    return r;
}

/* The generation of a set, or -1 when it is a mixture. */
static int generation_of(const struct skill_set *set)
{
    int number = set->n_skills > 0 ? atoi(set->skills[0].category + 1) : -1;
    if (set->n_skills != 5 + (uint32_t)number || set->n_categories != 1 ||
        graph_nodes(set->graph) != set->n_skills + 1)
        return -1;
    return number;
}

static int generation(struct skills *skills)
{
    struct skill_set *set = NULL;
    assert_int_equal(skills_take(skills, &set), 0);
    int number = generation_of(set);
    skill_set_unref(set);
    return number;
}

static void what_was_written_is_seen(void **state)
{
    struct store *s = *state;
    struct skills *skills = NULL;
    int number = 0;
    assert_int_equal(skills_open(s->db, &skills), 0);
    assert_int_equal(db_write(s->db, write_generation, &number), 0);
    assert_int_equal(generation(skills), 0);
    number = 1;
    assert_int_equal(db_write(s->db, write_generation, &number), 0);
    skills_forget(skills);
    assert_int_equal(generation(skills), 1);
    skills_close(skills);
}

static void another_process_is_seen(void **state)
{
    struct store *s = *state;
    struct store other = *s;
    struct skills *skills = NULL;
    int number = 2;
    assert_int_equal(skills_open(s->db, &skills), 0);
    assert_int_equal(db_write(s->db, write_generation, &number), 0);
    assert_int_equal(generation(skills), 2);
    store_open_at(&other);
    number = 3;
    assert_int_equal(db_write(other.db, write_generation, &number), 0);
    for (int64_t end = clock_monotonic_ms() + 30000; generation(skills) != 3;) {
        assert_true(clock_monotonic_ms() < end);
        (void)usleep(2000);
    }
    db_close(other.db);
    skills_close(skills);
}

struct readers {
    struct skills *skills;
    atomic_bool done;
    atomic_int wrong, reads;
};

static void *read_on(void *arg)
{
    struct readers *r = arg;
    int newest = 0;
    do {
        struct skill_set *set = NULL;
        int number = skills_take(r->skills, &set) == 0 ? generation_of(set) : -1;
        if (number < newest)
            atomic_fetch_add(&r->wrong, 1);
        newest = number;
        struct skill_scratch *scratch = set ? skill_scratch_take(set) : NULL;
        struct skill_activation found;
        if (scratch) {
            skill_activate(set, scratch, "s0 s1", 5, &found);
            skill_scratch_give(set, scratch);
        }
        skill_set_unref(set);
        atomic_fetch_add(&r->reads, 1);
        (void)usleep(PAUSE_US);
    } while (!atomic_load(&r->done));
    return NULL;
}

static void readers_never_see_half_of_it(void **state)
{
    struct store *s = *state;
    struct readers r = {0};
    pthread_t thread[READERS];
    int number = 0;
    assert_int_equal(skills_open(s->db, &r.skills), 0);
    assert_int_equal(db_write(s->db, write_generation, &number), 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_on, &r), 0);
    for (number = 1; number < ROUNDS; number++) {
        assert_int_equal(db_write(s->db, write_generation, &number), 0);
        skills_forget(r.skills);
        assert_int_equal(generation(r.skills), number); /* who asks after a write sees it */
    }
    atomic_store(&r.done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
    assert_true(atomic_load(&r.reads) >= READERS);
    skills_close(r.skills);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_seen),
        TEST(another_process_is_seen),
        TEST(readers_never_see_half_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
