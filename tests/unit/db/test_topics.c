/* SPDX-License-Identifier: MIT */
#include "db/topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define A "0f0e0d0c-0b0a-4908-8706-050403020100"
#define B "ffffffff-ffff-4fff-8fff-ffffffffffff"
#define BIT(topic) (1U << (topic))

static void topics_by_table(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        unsigned topics;
    } cases[] = {
        {"INSERT INTO user_nodes (id) VALUES (?1)", BIT(DB_NODES)},
        {"  update  user_node_edges SET weight = 1", BIT(DB_NODES)},
        {"DELETE FROM user_nodes WHERE id = ?1", BIT(DB_NODES)},
        {"UPDATE action_flows SET active = FALSE", BIT(DB_FLOWS)},
        {"DELETE FROM agent_skills WHERE id = ?1", BIT(DB_SKILLS)},
        {"INSERT INTO skill_edges (id) VALUES (?1)", BIT(DB_SKILLS)},
        {"UPDATE directus_users SET last_access = ?2", BIT(DB_IDENTITIES)},
        {"DELETE FROM directus_users WHERE id = ?1", TOPICS_ALL}, /* with nodes, by foreign keys */
        {"DELETE FROM directus_sessions WHERE token = ?1", BIT(DB_IDENTITIES)},
        {"INSERT INTO \"users\" (username) VALUES (?1)", BIT(DB_IDENTITIES)},
        {"INSERT INTO users(username) VALUES (?1)", BIT(DB_IDENTITIES)},
        {"INSERT INTO workspace_chats (prompt) VALUES (?1)", 0},
        {"UPDATE leader_leases SET holder = NULL", 0},
        {"UPDATE user_nodes_old SET x = 1", 0},
        {"UPDATE users_archive SET x = 1", 0},
        {"WITH x AS (SELECT 1) DELETE FROM user_nodes", TOPICS_ALL},
        {"UPDATE public.user_nodes SET x = 1", TOPICS_ALL},
        {"MERGE INTO user_nodes", TOPICS_ALL},
        {"TRUNCATE user_nodes", TOPICS_ALL},
        {"", TOPICS_ALL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (topics_of(cases[i].sql) != cases[i].topics)
            fail_msg("%s: %x", cases[i].sql, topics_of(cases[i].sql));
}

static void assert_same(const struct change *a, const struct change *b)
{
    assert_string_equal(a->node, b->node);
    assert_string_equal(a->user_id, b->user_id);
    assert_int_equal(a->topics, b->topics);
}

static void what_is_told_is_understood(void **state)
{
    (void)state;
    static const struct change changes[] = {
        {A, 0, ""}, {A, TOPICS_ALL, ""}, {A, BIT(DB_NODES), B}, {A, TOPICS_ALL, B}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[CHANGE_TEXT_SIZE];
        struct change read;
        change_write(&changes[i], text);
        change_read(text, &read);
        assert_same(&read, &changes[i]);
    }
}

static void what_is_not_understood_changes_everything(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       A,        A " ",       A " x",          A " 64",         A " 9999",
        A " -1 ", "x 1 " A, A " 1 x",    A " 1 " B "x",   A " 1 " B " " B, "1 2 3",
        A A A A,  "\xff",   A " 1 " A A, A " 1 \n" B "\n"};
    static const struct change everything = {"", TOPICS_ALL, ""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct change read;
        change_read(texts[i], &read);
        assert_same(&read, &everything);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_by_table),
        cmocka_unit_test(what_is_told_is_understood),
        cmocka_unit_test(what_is_not_understood_changes_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
