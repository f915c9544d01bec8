/* SPDX-License-Identifier: MIT */
/* Which flows are offered to whom, and that a change to them is seen. */
#include "flows.h"

#include "agent/catalog.h"

#include <unistd.h>

#define ASK "{'type':'memory_recall','config':{'query':'$input.q'}}"

static struct flow_catalog *open_catalog(struct world *w)
{
    struct flow_catalog *catalog = NULL;
    assert_int_equal(flow_catalog_open(w->db, &catalog), 0);
    return catalog;
}

/* The slugs offered to somebody, in a line. */
static void assert_offered(struct flow_catalog *catalog, const struct identity *who, const char *slugs)
{
    struct arena a;
    struct flow_offer *offers;
    size_t n;
    struct buf line = BUF_INIT(4096);
    arena_init(&a, 1024 * 1024);
    assert_int_equal(flow_catalog_offer(catalog, &a, who, &offers, &n), 0);
    for (size_t i = 0; i < n; i++) {
        assert_true(offers[i].name[0] != '\0');
        (void)buf_addf(&line, "%s ", offers[i].slug);
    }
    assert_string_equal(buf_str(&line), slugs);
    buf_free(&line);
    arena_free(&a);
}

static void a_user_is_offered_what_can_run(void **state)
{
    struct world *w = *state;
    world_exec(w, "DELETE FROM action_flows");
    add_flow(w, "b-reads", false, "[" ASK "]");
    add_flow(w, "a-writes", false,
             "[{'type':'directus_write','config':{'collection':'user_nodes','data':{}}}]");
    add_flow(w, "sends", false, "[{'type':'http_request','config':{'url':'x'}}]");
    add_flow(w, "may-send", true, "[{'type':'http_request','config':{'url':'x'}}]");
    add_flow(w, "absent", true, "[{'type':'directus_trigger','config':{'id':'x'}}]");
    add_flow(w, "broken", true, "[{'type':'nothing'}]");
    add_flow(w, "off", true, "[" ASK "]");
    world_exec(w, "UPDATE action_flows SET active = FALSE WHERE slug = 'off'");
    _cleanup_(flow_catalog_closeP) struct flow_catalog *catalog = open_catalog(w);
    assert_offered(catalog, &w->anna, "a-writes b-reads may-send ");
    w->bert.read_only = true;
    assert_offered(catalog, &w->bert, "b-reads may-send ");
}

static void a_fresh_installation_offers_what_works(void **state)
{
    struct world *w = *state;
    _cleanup_(flow_catalog_closeP) struct flow_catalog *catalog = open_catalog(w);
    assert_offered(catalog, &w->anna,
                   "media-process memory-recall message-generate post-create scout-analyze taxonomy-tag ");
    w->bert.read_only = true;
    assert_offered(catalog, &w->bert, "memory-recall message-generate scout-analyze taxonomy-tag ");
}

static void a_change_is_seen_once_it_is_told(void **state)
{
    struct world *w = *state;
    world_exec(w, "DELETE FROM action_flows");
    add_flow(w, "first", false, "[" ASK "]");
    _cleanup_(flow_catalog_closeP) struct flow_catalog *catalog = open_catalog(w);
    assert_offered(catalog, &w->anna, "first ");
    world_exec(w, "UPDATE action_flows SET slug = 'renamed'");
    flow_catalog_forget(catalog);
    assert_offered(catalog, &w->anna, "renamed ");
}

/* Nobody tells this process, but the store's version has moved. */
static void another_process_s_change_is_seen(void **state)
{
    struct world *w = *state;
    world_exec(w, "DELETE FROM action_flows");
    add_flow(w, "first", false, "[" ASK "]");
    _cleanup_(flow_catalog_closeP) struct flow_catalog *catalog = open_catalog(w);
    store_await_listening(w->db);
    assert_offered(catalog, &w->anna, "first ");
    int64_t version = db_data_version(w->db);
    store_exec_elsewhere(w->store, "UPDATE action_flows SET slug = 'foreign'");
    store_await_change(w->db, version);
    assert_offered(catalog, &w->anna, "foreign ");
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WORLD(a_user_is_offered_what_can_run),
        WORLD(a_fresh_installation_offers_what_works),
        WORLD(a_change_is_seen_once_it_is_told),
        WORLD(another_process_s_change_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
