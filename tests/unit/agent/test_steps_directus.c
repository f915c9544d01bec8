/* SPDX-License-Identifier: MIT */
/* Steps on collections act as the user: own rows and allowed fields only, whatever a config or an input
 * names. */
#include "flows.h"

#define NODE_A "00000000-0000-4000-8000-000000000001"
#define NODE_B "00000000-0000-4000-8000-000000000002"

static int set_up(void **state)
{
    (void)world_set_up(state);
    struct world *w = *state;
    world_exec(w, "INSERT INTO user_nodes (id, user_id, node_type, title, content) VALUES "
                  "('" NODE_A "', '" ANNA "', 'content', 'Rooftop', 'Anna on the roof'), "
                  "('" NODE_B "', '" BERT "', 'content', 'Cellar', 'Bert in the cellar')");
    return 0;
}

static enum action_status step(struct world *w, const char *type, const char *config, const char *input)
{
    static int count;
    char slug[32], steps[2048];
    (void)snprintf(slug, sizeof slug, "f%d", count++);
    (void)snprintf(steps, sizeof steps, "[{'type':'directus_%s','result_key':'r','config':%s}]", type,
                   config);
    add_flow(w, slug, true, steps);
    return run_flow(w, slug, input);
}

static void a_read_shows_own_rows_only(void **state)
{
    struct world *w = *state;
    assert_int_equal(step(w, "read", "{'collection':'user_nodes','fields':['id','title']}", "{}"),
                     ACTION_SUCCESS);
    assert_results(w, "{'r':[{'id':'" NODE_A "','title':'Rooftop'}]}");
    assert_int_equal(
        step(w, "read", "{'collection':'user_nodes','fields':'title','filter':{'title':{'_eq':'$input.t'}}}",
             "{'t':'Cellar'}"),
        ACTION_SUCCESS);
    assert_results(w, "{'r':[]}");
    assert_int_equal(
        step(w, "read", "{'collection':'user_nodes','filter':{'user_id':{'_eq':'" BERT "'}}}", "{}"),
        ACTION_SUCCESS);
    assert_results(w, "{'r':[]}");
    assert_int_equal(step(w, "search",
                          "{'collection':'user_nodes','query':'the','fields':['title'],'sort':'-title'}",
                          "{}"),
                     ACTION_SUCCESS);
    assert_results(w, "{'r':[{'title':'Rooftop'}]}");
}

static void a_row_of_somebody_else_is_not_there(void **state)
{
    struct world *w = *state;
    assert_int_equal(step(w, "read", "{'collection':'user_nodes','id':'$input.id','fields':['title']}",
                          "{'id':'" NODE_A "'}"),
                     ACTION_SUCCESS);
    assert_results(w, "{'r':{'title':'Rooftop'}}");
    assert_int_equal(step(w, "read", "{'collection':'user_nodes','id':'$input.id'}", "{'id':'" NODE_B "'}"),
                     ACTION_ERROR);
    assert_error(w, "no such row");
    assert_int_equal(
        step(w, "update", "{'collection':'user_nodes','id':'" NODE_B "','data':{'title':'Mine'}}", "{}"),
        ACTION_ERROR);
    assert_error(w, "no such row");
    assert_int_equal(
        step(w, "update",
             "{'collection':'user_nodes','id':['" NODE_A "','" NODE_B "'],'data':{'title':'Mine'}}", "{}"),
        ACTION_ERROR);
    assert_int_equal(step(w, "delete", "{'collection':'user_nodes','id':'" NODE_B "'}", "{}"), ACTION_ERROR);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE title IN ('Rooftop', 'Cellar')"),
                     2);
}

static void what_is_written_belongs_to_the_user(void **state)
{
    struct world *w = *state;
    assert_int_equal(step(w, "write",
                          "{'collection':'user_nodes','data':{'node_type':'note','title':'$input.t',"
                          "'content':'c','tags':['a']}}",
                          "{'t':'New'}"),
                     ACTION_SUCCESS);
    assert_string_equal(json_str(json_object_get(w->result.results, "r"), "user_id", ""), ANNA);
    assert_int_equal(
        store_int(w->db, "SELECT count(*) FROM user_nodes WHERE title = 'New' AND user_id = '" ANNA "'"), 1);
    assert_int_equal(
        step(w, "write",
             "{'collection':'user_nodes','data':{'node_type':'note','title':'Stolen','user_id':'" BERT "'}}",
             "{}"),
        ACTION_ERROR);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE user_id = '" BERT "'"), 1);
}

static void own_rows_change_and_go(void **state)
{
    struct world *w = *state;
    assert_int_equal(
        step(w, "update", "{'collection':'user_nodes','id':'" NODE_A "','data':{'title':'Roof'}}", "{}"),
        ACTION_SUCCESS);
    assert_results(w, "{'r':{'updated':1,'ids':['" NODE_A "']}}");
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE title = 'Roof'"), 1);
    assert_int_equal(step(w, "delete", "{'collection':'user_nodes','id':['" NODE_A "']}", "{}"),
                     ACTION_SUCCESS);
    assert_results(w, "{'r':{'deleted':1,'ids':['" NODE_A "']}}");
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes"), 1);
}

static void forbidden_collections_and_fields_stay_so(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *type, *config;
    } cases[] = {
        {"read", "{'collection':'directus_sessions'}"},
        {"read", "{'collection':'no_such_table'}"},
        {"read", "{'collection':'user_nodes; DROP TABLE user_nodes'}"},
        {"write", "{'collection':'agent_audits','data':{'slug':'x','status':'success'}}"},
        {"write", "{'collection':'action_flows','data':{'slug':'x','name':'x','steps':[]}}"},
        {"update", "{'collection':'user_nodes','id':'" NODE_A "','data':{'user_id':'" BERT "'}}"},
        {"update", "{'collection':'directus_users','id':'" ANNA "','data':{'subscription_tier':'studio'}}"},
        {"write",
         "{'collection':'scheduled_posts','data':{'platform':'x','content_text':'c','status':'draft'}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(step(w, cases[i].type, cases[i].config, "{}"), ACTION_ERROR);
        assert_true(w->result.error[0] != '\0');
    }
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM scheduled_posts"), 0);
}

static void limits_and_ids_are_checked(void **state)
{
    struct world *w = *state;
    assert_int_equal(step(w, "read", "{'collection':'user_nodes','limit':'$input.n'}", "{'n':201}"),
                     ACTION_ERROR);
    assert_error(w, "between 1 and 200");
    assert_int_equal(step(w, "read", "{'collection':'user_nodes','limit':'$input.n'}", "{'n':-1}"),
                     ACTION_ERROR);
    assert_int_equal(step(w, "update", "{'collection':'user_nodes','id':[],'data':{'title':'x'}}", "{}"),
                     ACTION_ERROR);
    assert_int_equal(step(w, "delete", "{'collection':'user_nodes','id':[3]}", "{}"), ACTION_ERROR);
    assert_error(w, "\"id\"");
    assert_int_equal(step(w, "read", "{'collection':'user_nodes','filter':{'title':{'_wat':1}}}", "{}"),
                     ACTION_ERROR);
    assert_true(w->result.error[0] != '\0');
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WORLD(a_read_shows_own_rows_only),
        WORLD(a_row_of_somebody_else_is_not_there),
        WORLD(what_is_written_belongs_to_the_user),
        WORLD(own_rows_change_and_go),
        WORLD(forbidden_collections_and_fields_stay_so),
        WORLD(limits_and_ids_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
