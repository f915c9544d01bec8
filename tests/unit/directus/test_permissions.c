/* SPDX-License-Identifier: MIT */
/* What Directus is told never permits more than the access table, and what the table has for Directus to say
 * is said: for every policy, collection and action. */
#include "base/json.h"
#include "base/text.h"
#include "directus/permissions.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const enum action actions[] = {ACTION_READ, ACTION_CREATE, ACTION_UPDATE, ACTION_DELETE};

struct world {
    struct arena arena;
};

static int set_up(void **state)
{
    static struct world w;
    arena_init(&w.arena, 1 << 20);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    arena_free(&((struct world *)*state)->arena);
    return 0;
}

/* The row, or fails; permitted = 0: there must be none. */
static struct directus_permission row(struct world *w, enum directus_policy policy, const char *collection,
                                      enum action action, int permitted)
{
    struct directus_permission p = {0};
    int r = directus_permission_of(policy, access_collection(collection), action, &w->arena, &p);
    if (r != permitted)
        fail_msg("%s, action %d: %d", collection, action, r);
    return p;
}

static bool lists(const char *fields, const char *name)
{
    const char *item;
    size_t len;
    while (fields && list_next(&fields, &item, &len))
        if (len == strlen(name) && strncmp(item, name, len) == 0)
            return true;
    return false;
}

/* Calls check for every row that is permitted; returns how many. */
static int each(struct world *w, void (*check)(enum directus_policy, const struct collection *, enum action,
                                               const struct directus_permission *))
{
    int n = 0;
    for (int policy = 0; policy < DIRECTUS_POLICIES; policy++)
        for (const struct collection *c = access_table; c->name; c++)
            for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
                struct directus_permission p = {0};
                int r = directus_permission_of((enum directus_policy)policy, c, actions[i], &w->arena, &p);
                assert_true(r >= 0);
                if (r > 0)
                    check((enum directus_policy)policy, c, actions[i], &p);
                n += r > 0;
            }
    return n;
}

static void is_within_the_table(enum directus_policy policy, const struct collection *c, enum action action,
                                const struct directus_permission *p)
{
    static const struct identity creator = {.tier = "studio"};
    assert_true(c->user_actions & action);
    assert_string_equal(p->policy, directus_policy_ids[policy]);
    assert_true(policy == POLICY_CREATOR || action == ACTION_READ);
    const char *left = p->fields, *too = directus_collection(c->name)->create_too, *item;
    size_t len;
    while (left && list_next(&left, &item, &len)) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)len, item);
        const struct column *column = access_column(c, name);
        if (action == ACTION_CREATE && (str_equal(name, c->owner) || (too && access_choice(too, name))))
            continue;
        assert_non_null(column);
        if (!(action == ACTION_READ ? access_reads(column, &creator)
                                    : access_writes(column, action, &creator)))
            fail_msg("%s.%s: action %d", c->name, name, action);
    }
}

static void permits_no_more_than_the_table(void **state)
{
    assert_true(each(*state, is_within_the_table) > 80);
}

static void names_the_owner(enum directus_policy policy, const struct collection *c, enum action action,
                            const struct directus_permission *p)
{
    (void)policy;
    if (!c->owner)
        return;
    char rule[128];
    bool creates = action == ACTION_CREATE;
    (void)snprintf(rule, sizeof rule, "\"%s\":{\"_eq\":\"$CURRENT_USER\"}", c->owner);
    if (creates && directus_collection(c->name)->theirs) /* Directus sets it */
        return;
    if (!strstr(creates ? p->validation : p->permissions, rule))
        fail_msg("%s, action %d: any row", c->name, action);
    assert_int_equal(creates, strstr(p->presets, "$CURRENT_USER") != NULL);
}

static void permits_own_rows_only(void **state)
{
    (void)each(*state, names_the_owner);
}

static void is_json(enum directus_policy policy, const struct collection *c, enum action action,
                    const struct directus_permission *p)
{
    (void)policy, (void)c, (void)action;
    const char *const texts[] = {p->permissions, p->validation, p->presets};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_json_ json_t *value = json_parse(texts[i], strlen(texts[i]));
        assert_true(json_is_object(value));
    }
}

static void is_made_of_json(void **state)
{
    (void)each(*state, is_json);
}

static void every_reading_is_there(void **state)
{
    for (const struct collection *c = access_table; c->name; c++)
        for (int policy = POLICY_CREATOR; policy <= POLICY_VIEWER; policy++) {
            int wanted = (c->user_actions & ACTION_READ) != 0;
            struct directus_permission p =
                row(*state, (enum directus_policy)policy, c->name, ACTION_READ, wanted);
            for (const struct column *col = c->columns; wanted && col->name; col++)
                assert_int_equal(lists(p.fields, col->name),
                                 (col->flags & USER_SEES) && !(col->flags & EXTENDED));
        }
}

static void conditions_have_their_counterparts(void **state)
{
    (void)state;
    for (const struct collection *c = access_table; c->name; c++) {
        const struct directus_collection *look = directus_collection(c->name);
        assert_non_null(look);
        assert_int_equal(c->visible != NULL, look->visible != NULL);
        assert_int_equal(c->held != NULL, look->deletable != NULL);
        assert_true(!look->create_too || c->elsewhere);
    }
}

static void writing_elsewhere_is_not_permitted(void **state)
{
    for (size_t i = 1; i < ARRAY_LEN(actions); i++) {
        (void)row(*state, POLICY_CREATOR, "scheduled_posts", actions[i], 0);
        (void)row(*state, POLICY_VIEWER, "user_nodes", actions[i], 0);
        (void)row(*state, POLICY_CREATOR, "agent_audits", actions[i], 0);
    }
    (void)row(*state, POLICY_CREATOR, "directus_files", ACTION_CREATE, 1);
    struct directus_permission p = row(*state, POLICY_CREATOR, "directus_files", ACTION_UPDATE, 1);
    assert_true(lists(p.fields, "title") && lists(p.fields, "tags"));
    assert_false(lists(p.fields, "filename_disk") || lists(p.fields, "type") ||
                 lists(p.fields, "uploaded_by"));
}

static void values_are_bound(void **state)
{
    struct directus_permission p = row(*state, POLICY_CREATOR, "media_jobs", ACTION_CREATE, 1);
    assert_non_null(strstr(p.validation, "{\"status\":{\"_in\":[\"pending\"]}}"));
    assert_non_null(strstr(p.presets, "\"status\":\"pending\""));
    p = row(*state, POLICY_CREATOR, "media_jobs", ACTION_DELETE, 1);
    assert_non_null(strstr(p.permissions, "_nin"));
    assert_null(p.fields);
    p = row(*state, POLICY_CREATOR, "hitl_action_queue", ACTION_UPDATE, 1);
    assert_string_equal(p.fields, "status");
    assert_non_null(strstr(p.validation, "{\"status\":{\"_in\":[\"resolved\"]}}"));
    assert_string_equal(p.presets, "{\"resolved_at\":\"$NOW\"}");
    p = row(*state, POLICY_CREATOR, "action_flows", ACTION_READ, 1);
    assert_string_equal(p.permissions, "{\"_and\":[{\"active\":{\"_eq\":true}}]}");
    assert_false(lists(p.fields, "steps"));
}

static void extended_fields_go_by_the_tier(void **state)
{
    struct directus_permission p = row(*state, POLICY_EXTENDED, "fan_profiles", ACTION_READ, 1);
    assert_true(lists(p.fields, "notes"));
    assert_false(lists(p.fields, "display_name"));
    assert_non_null(strstr(p.permissions,
                           "{\"user_id\":{\"subscription_tier\":{\"_in\":[\"pro\",\"studio\",\"elite\"]}}}"));
    for (size_t i = 1; i < ARRAY_LEN(actions); i++)
        (void)row(*state, POLICY_EXTENDED, "fan_profiles", actions[i], 0);
    (void)row(*state, POLICY_EXTENDED, "user_nodes", ACTION_READ, 0);
    p = row(*state, POLICY_CREATOR, "fan_profiles", ACTION_UPDATE, 1);
    assert_false(lists(p.fields, "notes"));
}

/* The rule for tiers of these names only, whoever reads that much without a file. */
static void extended_tiers_can_be_others(void **state)
{
    struct world *w = *state;
    const char *rows;
    _cleanup_json_ json_t *usual = directus_extended_tiers(NULL),
                          *own = json_pack("[s, s]", "pro", "vip \"1\"");
    struct directus_permission p = row(w, POLICY_EXTENDED, "fan_profiles", ACTION_READ, 1);
    const struct collection *fans = access_collection("fan_profiles");
    assert_int_equal(directus_extended_rows(fans, usual, &w->arena, &rows), 1);
    assert_string_equal(rows, p.permissions);
    assert_int_equal(directus_extended_rows(fans, own, &w->arena, &rows), 1);
    assert_string_equal(rows, "{\"_and\":[{\"user_id\":{\"_eq\":\"$CURRENT_USER\"}},{\"user_id\":"
                              "{\"subscription_tier\":{\"_in\":[\"pro\",\"vip \\\"1\\\"\"]}}}]}");
    assert_int_equal(directus_extended_rows(access_collection("user_nodes"), own, &w->arena, &rows), 0);
}

static void no_memory_is_no_permission(void **state)
{
    (void)state;
    struct arena small;
    struct directus_permission p;
    arena_init(&small, 16);
    assert_int_equal(
        directus_permission_of(POLICY_CREATOR, access_collection("user_nodes"), ACTION_READ, &small, &p),
        -ENOMEM);
    arena_free(&small);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(permits_no_more_than_the_table),
        TEST(permits_own_rows_only),
        TEST(is_made_of_json),
        TEST(every_reading_is_there),
        TEST(conditions_have_their_counterparts),
        TEST(writing_elsewhere_is_not_permitted),
        TEST(values_are_bound),
        TEST(extended_fields_go_by_the_tier),
        TEST(extended_tiers_can_be_others),
        TEST(no_memory_is_no_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
