/* SPDX-License-Identifier: MIT */
/* What creating, changing and deleting do beyond rights: values, references, presets, special rules,
 * listeners. */
#include "rows.h"

#include "limits/limits.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define NODES "user_nodes"
#define WORLD_READERS 4 /* of the store that store_set_up() opens */

static json_t *node(const char *title)
{
    return json_pack("{s:s, s:s}", "node_type", "note", "title", title);
}

static const char *id_of(struct rows_world *w, const json_t *row)
{
    return arena_strdup(&w->arena, json_str(row, "id", ""));
}

static json_t *answer_of(const json_t *made)
{
    return json_pack("{s:O}", "data", made);
}

/* A claim that somebody else has taken over: nothing is created. */
static void a_lost_claim_creates_nothing(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    struct limits *limits;
    struct config cfg = {.directus_secret = "secret"};
    struct idempotent_request in = {"user x", "POST /x", "key", {0}};
    struct idempotency_found found = {0};
    _cleanup_json_ json_t *values = node("lost"), *row = NULL;
    assert_int_equal(limits_open(&cfg, w->db, &limits), 0);
    struct http_limits hooks = limits_hooks(limits);
    assert_int_equal(hooks.claim(hooks.ctx, &in, &w->arena, &found), 0);
    assert_int_equal(store_exec(w->db, "DELETE FROM idempotency_keys"), 0);
    assert_int_equal(
        items_create_once(w->db, &w->people[ANNA], NODES, values, found.claim, answer_of, &row, &error),
        -ECANCELED);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE title = 'lost'"), 0);
    limits_close(limits);
}

static void creation_sets_what_is_not_given(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row, *again;
    assert_int_equal(create(w, ANNA, NODES, node("one"), &row, &error), 0);
    assert_true(uuid_valid(json_str(row, "id", "")));
    assert_string_equal(json_str(row, "user_id", ""), w->people[ANNA].user_id);
    assert_string_equal(json_str(row, "status", ""), "active");
    assert_true(json_num(row, "weight", 0) == 1.0);
    assert_int_equal(strlen(json_str(row, "date_created", "")), 24);
    assert_string_equal(json_str(row, "date_created", "x"), json_str(row, "date_updated", "y"));
    assert_true(json_is_array(json_object_get(row, "tags")));
    assert_null(json_object_get(row, "embedding"));
    assert_int_equal(items_read_one(w->db, &w->people[ANNA], NODES, id_of(w, row), NULL, &again, &error), 0);
    assert_true(json_equal(row, again));
    json_decref(row);
    json_decref(again);
}

static void owner_may_be_repeated_and_not_chosen(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *mine = node("a"), *hers = node("b");
    (void)json_object_set_new(mine, "user_id", json_string(w->people[ANNA].user_id));
    (void)json_object_set_new(hers, "user_id", json_string(w->people[BERT].user_id));
    assert_int_equal(create(w, ANNA, NODES, mine, NULL, &error), 0);
    assert_int_equal(create(w, ANNA, NODES, hers, NULL, &error), -EACCES);
    assert_string_equal(error.field, "user_id");
    hers = node("c");
    (void)json_object_set_new(hers, "user_id", json_string(w->people[BERT].user_id));
    assert_int_equal(create(w, ADMIN, NODES, hers, NULL, &error), -EACCES);
}

static void values_are_checked(void **state)
{
    struct rows_world *w = *state;
    static const struct {
        const char *collection, *values, *field;
    } cases[] = {
        {NODES, "{\"title\":\"x\"}", "node_type"},
        {NODES, "{\"node_type\":\"n\",\"title\":\" \"}", "title"},
        {NODES, "{\"node_type\":\"n\",\"title\":null}", "title"},
        {NODES, "{\"node_type\":\"n\",\"title\":7}", "title"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"weight\":1.01}", "weight"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"weight\":-0.01}", "weight"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"weight\":\"0.5\"}", "weight"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"tags\":\"a\"}", "tags"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"tags\":[1]}", "tags"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"tags\":[\"\"]}", "tags"},
        {NODES, "{\"node_type\":\"n\",\"title\":\"t\",\"tags\":null}", "tags"},
        {"creator_profiles", "{\"platform\":\"myspace\",\"username\":\"u\"}", "platform"},
        {"creator_profiles", "{\"platform\":\"x\",\"username\":\"u\",\"is_active\":1}", "is_active"},
        {"fan_profiles", "{\"platform\":\"x\",\"last_seen_at\":\"2026-02-30\"}", "last_seen_at"},
        {"fan_profiles", "{\"platform\":\"x\",\"message_count\":1.5}", "message_count"},
        {"fan_profiles", "{\"platform\":\"x\",\"message_count\":-1}", "message_count"},
        {"user_node_edges", "{\"source\":\"me\",\"target\":\"you\"}", "source"},
        {"media_jobs", "{\"operation\":\"trim\",\"job_type\":\"trim\"}", "operation"},
        {"media_jobs", "{\"operation\":\"trim\",\"status\":\"completed\"}", "status"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_error error;
        json_t *values = json_loads(cases[i].values, 0, NULL);
        assert_non_null(values);
        int r = create(w, BERT, cases[i].collection, values, NULL, &error);
        if (r != -EINVAL || strcmp(error.field, cases[i].field) != 0)
            fail_msg("%s: %d %s", cases[i].values, r, error.sentence);
        assert_true(str_has_prefix(error.sentence, cases[i].field));
    }
    struct items_error error;
    static const char *const shapes[] = {"1", "\"x\"", "[]", "[1]", "null", "[[]]"};
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        assert_int_equal(create(w, ANNA, NODES, json_loads(shapes[i], JSON_DECODE_ANY, NULL), NULL, &error),
                         -EINVAL);
}

static void times_and_ids_are_stored_in_one_form(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row;
    assert_int_equal(create(w, ANNA, "fan_profiles",
                            json_pack("{s:s, s:s, s:s}", "platform", "x", "last_seen_at",
                                      "2026-03-01T14:00:00+02:00", "subscribed_at", "2026-03-01"),
                            &row, &error),
                     0);
    assert_string_equal(json_str(row, "last_seen_at", ""), "2026-03-01T12:00:00.000Z");
    assert_string_equal(json_str(row, "subscribed_at", ""), "2026-03-01T00:00:00.000Z");
    char *upper = arena_strdup(&w->arena, json_str(row, "id", ""));
    for (char *s = upper; *s; s++)
        *s = (char)toupper((unsigned char)*s);
    assert_int_equal(update(w, ANNA, "fan_profiles", upper, json_pack("{s:n}", "subscribed_at"), &error), 0);
    assert_int_equal(items_own(w->db, &w->people[ANNA], "fan_profiles", upper), 0);
    json_decref(row);
}

static void several_rows_or_none(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *rows;
    assert_int_equal(create(w, ANNA, NODES, json_pack("[o, o]", node("a"), node("b")), &rows, &error), 0);
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(json_str(json_array_get(rows, 1), "title", ""), "b");
    assert_int_equal(create(w, ANNA, NODES, json_pack("[o, {}]", node("c")), NULL, &error), -EINVAL);
    const char *ids[] = {id_of(w, json_array_get(rows, 0)),
                         insert_row(w, access_collection(NODES), w->people[BERT].user_id)};
    json_t *change = json_pack("{s:s}", "title", "z");
    assert_int_equal(items_update(w->db, &w->people[ANNA], NODES, ids, 2, change, &error), -ENOENT);
    assert_int_equal(items_delete(w->db, &w->people[ANNA], NODES, ids, 2, &error), -ENOENT);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE title IN ('z', 'c')"), 0);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes"), 3);
    assert_int_equal(items_update(w->db, &w->people[ANNA], NODES, ids, 0, change, &error), -EINVAL);
    ids[1] = id_of(w, json_array_get(rows, 1));
    assert_int_equal(items_update(w->db, &w->people[ANNA], NODES, ids, 2, change, &error), 0);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE title = 'z'"), 2);
    assert_int_equal(items_delete(w->db, &w->people[ANNA], NODES, ids, 2, &error), 0);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes"), 1);
    json_decref(change);
    json_decref(rows);
}

/* Every reference of every collection, given somebody else's row, at creation and at change. */
static void references_must_be_own(void **state)
{
    struct rows_world *w = *state;
    int tried = 0;
    for (const struct collection *c = access_table; c->name; c++)
        for (const struct column *col = c->columns; col->name; col++) {
            struct items_error error;
            if (!col->refers || c->elsewhere || c->ruled || !(col->flags & (USER_CREATES | USER_UPDATES)))
                continue;
            const char *theirs = insert_row(w, access_collection(col->refers), w->people[BERT].user_id);
            if ((c->user_actions & ACTION_CREATE) && (col->flags & USER_CREATES)) {
                json_t *values = creation(w, c, &w->people[ANNA]);
                (void)json_object_set_new(values, col->name, json_string(theirs));
                assert_int_equal(create(w, ANNA, c->name, values, NULL, &error), -ENOENT);
                assert_string_equal(error.field, col->name);
                tried++;
            }
            if ((c->user_actions & ACTION_UPDATE) && (col->flags & USER_UPDATES)) {
                const char *mine = insert_row(w, c, w->people[ANNA].user_id);
                assert_int_equal(
                    update(w, ANNA, c->name, mine, json_pack("{s:s}", col->name, theirs), &error), -ENOENT);
                /* nor may an admin tie one user's row to another's */
                assert_int_equal(
                    update(w, ADMIN, c->name, mine, json_pack("{s:s}", col->name, theirs), &error), -ENOENT);
                tried++;
            }
        }
    assert_true(tried >= 15);
}

static void jobs_begin_pending(void **state)
{
    struct rows_world *w = *state;
    static const char *const given[] = {NULL, "queued", "pending"};
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        struct items_error error;
        json_t *row, *values = json_pack("{s:s, s:s*}", "job_type", "trim", "status", given[i]);
        assert_int_equal(create(w, ANNA, "media_jobs", values, &row, &error), 0);
        assert_string_equal(json_str(row, "status", ""), "pending");
        assert_string_equal(json_str(row, "operation", ""), "trim");
        json_decref(row);
    }
}

static void jobs_take_public_urls_alone(void **state)
{
    static const struct {
        const char *url, *sentence;
    } refused[] = {
        {"file:///etc/passwd", "input_url must be a http or https address"},
        {"/etc/passwd", "input_url must be a http or https address"},
        {"http://127.0.0.1:3001/", "input_url leads to an address that is not public"},
        {"http://[::1]/", "input_url leads to an address that is not public"},
        {"http://169.254.169.254/latest/", "input_url leads to an address that is not public"},
        {"http://2130706433/", "input_url leads to an address that is not public"},
    };
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        _cleanup_json_ json_t *values =
            json_pack("{s:s, s:s}", "operation", "download_video", "input_url", refused[i].url);
        assert_int_equal(items_create(w->db, &w->people[ANNA], "media_jobs", values, &row, &error), -EINVAL);
        assert_string_equal(error.field, "input_url");
        assert_string_equal(error.sentence, refused[i].sentence);
    }
    json_t *values =
        json_pack("{s:s, s:s}", "operation", "download_video", "input_url", "https://example.com/v");
    assert_int_equal(create(w, ANNA, "media_jobs", values, &row, &error), 0);
    json_decref(row);
}

static void jobs_in_work_stay(void **state)
{
    struct rows_world *w = *state;
    static const struct {
        const char *status;
        int expected;
    } cases[] = {
        {"queued", -EACCES}, {"processing", -EACCES}, {"pending", 0}, {"completed", 0}, {"failed", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int who = ANNA; who <= ADMIN; who += ADMIN) {
            struct items_error error;
            const char *id = insert_row(w, access_collection("media_jobs"), w->people[ANNA].user_id);
            run_sql(w->db, "UPDATE media_jobs SET status = '%s' WHERE id = '%s'", cases[i].status, id);
            assert_int_equal(items_delete(w->db, &w->people[who], "media_jobs", &id, 1, &error),
                             cases[i].expected);
            if (cases[i].expected < 0)
                assert_true(strstr(error.sentence, "queued or running") != NULL);
        }
}

static void resolving_is_stamped(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    const char *id = insert_row(w, access_collection("hitl_action_queue"), w->people[ANNA].user_id);
    run_sql(w->db, "UPDATE hitl_action_queue SET status = 'pending'");
    assert_int_equal(
        update(w, ANNA, "hitl_action_queue", id, json_pack("{s:s}", "status", "pending"), &error), -EINVAL);
    assert_int_equal(
        update(w, ANNA, "hitl_action_queue", id, json_pack("{s:s}", "status", "resolved"), &error), 0);
    assert_int_equal(
        store_int(w->db, "SELECT count(*) FROM hitl_action_queue WHERE status = 'resolved' AND resolved_at"
                         " IS NOT NULL"),
        1);
}

static void a_changed_node_loses_its_vector(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    const char *id = insert_row(w, access_collection(NODES), w->people[ANNA].user_id);
    run_sql(w->db, "UPDATE user_nodes SET embedding = %s, date_updated = '2001-01-01T00:00:00.000Z'",
            store_is_postgres() ? "'\\x00000000'" : "x'00000000'");
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:f}", "weight", 0.25), &error), 0);
    assert_int_equal(store_int(w->db,
                               "SELECT count(*) FROM user_nodes WHERE embedding IS NOT NULL AND weight = 0.25"
                               " AND date_updated > '2020-01-01'"),
                     1);
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:s}", "content", "new"), &error), 0);
    assert_int_equal(store_int(w->db, "SELECT count(*) FROM user_nodes WHERE embedding IS NULL"), 1);
}

/* What a night does to it then, test_decay.c says. */
static void a_decayed_node_that_is_given_weight_comes_back(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    const char *id = insert_row(w, access_collection(NODES), w->people[ANNA].user_id);
    const char *active = "SELECT count(*) FROM user_nodes WHERE status = 'active'";
    const char *since = "SELECT count(*) FROM user_nodes WHERE last_decayed_at = '2026-01-01T02:00:00.000Z'";
    run_sql(w->db, "UPDATE user_nodes SET weight = 0.04, status = 'decayed',"
                   " last_decayed_at = '2026-01-01T02:00:00.000Z'");
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:s}", "content", "new"), &error), 0);
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:f}", "weight", 0.0999), &error), 0);
    assert_int_equal(store_int(w->db, active), 0);
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:f}", "weight", 0.1), &error), 0);
    assert_int_equal(store_int(w->db, active), 1);
    assert_int_equal(store_int(w->db, since), 0);
    run_sql(w->db, "UPDATE user_nodes SET last_decayed_at = '2026-01-01T02:00:00.000Z'");
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:f}", "weight", 0.9), &error), 0);
    assert_int_equal(update(w, ANNA, NODES, id, json_pack("{s:f}", "weight", 0.01), &error), 0);
    assert_int_equal(store_int(w->db, active), 1); /* until the night */
    assert_int_equal(store_int(w->db, since), 1);  /* it was never out, and ages as it does */
}

static void tiers_open_fields(void **state)
{
    struct rows_world *w = *state;
    static const struct {
        const char *tier;
        bool open;
    } cases[] = {{"starter", false}, {"creator", false},  {"pro", true},   {"studio", true},
                 {"elite", true},    {"freemium", false}, {"gold", false}, {NULL, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_error error;
        json_t *row;
        w->people[ANNA].tier = cases[i].tier;
        int r = create(w, ANNA, "fan_profiles", json_pack("{s:s, s:s}", "platform", "x", "notes", "n"), NULL,
                       &error);
        assert_int_equal(r, cases[i].open ? 0 : -EACCES);
        assert_int_equal(create(w, ANNA, "fan_profiles", json_pack("{s:s}", "platform", "x"), &row, &error),
                         0);
        assert_int_equal(json_object_get(row, "churn_risk") != NULL, cases[i].open);
        assert_non_null(json_object_get(row, "total_spend"));
        json_decref(row);
    }
}

static void other_ways_are_named(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    const char *id = insert_row(w, access_collection("directus_files"), w->people[ANNA].user_id);
    assert_int_equal(create(w, ANNA, "directus_files", json_pack("{s:s}", "title", "x"), NULL, &error),
                     -EACCES);
    assert_true(strstr(error.sentence, "/files") != NULL);
    assert_int_equal(update(w, ANNA, "directus_files", id, json_pack("{s:s}", "title", "x"), &error), 0);
    assert_int_equal(update(w, BERT, "directus_files", id, json_pack("{s:s}", "title", "x"), &error),
                     -ENOENT);
    assert_int_equal(items_delete(w->db, &w->people[ANNA], "directus_files", &id, 1, &error), -EACCES);
}

/* A program that never set them must not write past them. */
static void without_its_rules_a_collection_is_closed(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    const char *id = insert_row(w, access_collection("scheduled_posts"), w->people[ANNA].user_id);
    assert_int_equal(create(w, ANNA, "scheduled_posts", json_pack("{s:s}", "platform", "x"), NULL, &error),
                     -EACCES);
    assert_int_equal(update(w, ADMIN, "scheduled_posts", id, json_pack("{s:s}", "status", "draft"), &error),
                     -EACCES);
    assert_int_equal(items_delete(w->db, &w->people[ANNA], "scheduled_posts", &id, 1, &error), -EACCES);
}

static void unique_rules_are_told(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    for (int i = 0; i < 2; i++)
        assert_int_equal(create(w, ANNA, "platform_connections",
                                json_pack("{s:s, s:s}", "platform", "x", "platform_username", "anna"), NULL,
                                &error),
                         i == 0 ? 0 : -EEXIST);
    const char *a = insert_row(w, access_collection(NODES), w->people[ANNA].user_id);
    assert_int_equal(
        create(w, ANNA, "user_node_edges", json_pack("{s:s, s:s}", "source", a, "target", a), NULL, &error),
        -EINVAL); /* an edge to itself */
    assert_true(error.sentence[0]);
}

/* They may hold keys of other services. */
static void steps_of_flows_are_for_admins(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row;
    const char *id = insert_row(w, access_collection("action_flows"), "");
    assert_int_equal(items_read_one(w->db, &w->people[ANNA], "action_flows", id, NULL, &row, &error), 0);
    assert_non_null(json_object_get(row, "slug"));
    assert_null(json_object_get(row, "steps"));
    json_decref(row);
    assert_int_equal(items_read_one(w->db, &w->people[ADMIN], "action_flows", id, NULL, &row, &error), 0);
    assert_non_null(json_object_get(row, "steps"));
    json_decref(row);
}

static void inactive_flows_are_for_admins(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row;
    const char *id = insert_row(w, access_collection("action_flows"), "");
    assert_int_equal(items_read_one(w->db, &w->people[ANNA], "action_flows", id, NULL, &row, &error), 0);
    json_decref(row);
    run_sql(w->db, "UPDATE action_flows SET active = FALSE");
    assert_int_equal(items_read_one(w->db, &w->people[ANNA], "action_flows", id, NULL, &row, &error),
                     -ENOENT);
    assert_int_equal(items_read_one(w->db, &w->people[ADMIN], "action_flows", id, NULL, &row, &error), 0);
    json_decref(row);
}

static void ids_that_are_none(void **state)
{
    struct rows_world *w = *state;
    static const char *const ids[] = {"", "1", "x' OR 1=1 --", "11111111-2222-4333-8444-555555555555"};
    struct items_error error;
    json_t *row = NULL;
    (void)insert_row(w, access_collection(NODES), w->people[ANNA].user_id);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_int_equal(items_read_one(w->db, &w->people[ANNA], NODES, ids[i], NULL, &row, &error), -ENOENT);
        assert_int_equal(update(w, ANNA, NODES, ids[i], json_pack("{s:s}", "title", "x"), &error), -ENOENT);
        assert_int_equal(items_delete(w->db, &w->people[ANNA], NODES, &ids[i], 1, &error), -ENOENT);
        assert_int_equal(items_own(w->db, &w->people[ANNA], NODES, ids[i]), -ENOENT);
    }
    assert_int_equal(items_own(w->db, &w->people[ANNA], "no_such_thing", ids[3]), -ENOENT);
}

/* What is own is own for an admin too: ids in bodies name the caller's rows. */
static void owning(void **state)
{
    struct rows_world *w = *state;
    const char *file = insert_row(w, access_collection("directus_files"), w->people[ANNA].user_id);
    assert_int_equal(items_own(w->db, &w->people[ANNA], "directus_files", file), 0);
    assert_int_equal(items_own(w->db, &w->people[BERT], "directus_files", file), -ENOENT);
    assert_int_equal(items_own(w->db, &w->people[ADMIN], "directus_files", file), -ENOENT);
}

static char told[1024];

static void listen(void *ctx, const char *collection, const char *user_id)
{
    const struct rows_world *w = *(struct rows_world **)ctx;
    size_t len = strlen(told);
    const char *who = "all";
    for (int i = 0; w && user_id && i < PEOPLE; i++)
        if (strcmp(w->people[i].user_id, user_id) == 0)
            who = w->people[i].email;
    (void)snprintf(told + len, sizeof told - len, "%s:%.4s ", collection, who);
}

static struct rows_world *listened;

static void listeners_are_told_after_success(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row;
    listened = w;
    told[0] = '\0';
    assert_int_equal(create(w, ANNA, NODES, node("a"), &row, &error), 0);
    const char *id = id_of(w, row),
               *of_bert = insert_row(w, access_collection(NODES), w->people[BERT].user_id);
    json_decref(row);
    assert_int_equal(create(w, ANNA, NODES, json_object(), NULL, &error), -EINVAL);
    assert_int_equal(update(w, BERT, NODES, id, json_pack("{s:s}", "title", "x"), &error), -ENOENT);
    assert_int_equal(update(w, ADMIN, NODES, id, json_pack("{s:s}", "title", "x"), &error), 0);
    const char *both[] = {id, of_bert};
    assert_int_equal(items_delete(w->db, &w->people[ADMIN], NODES, both, 2, &error), 0);
    assert_int_equal(create(w, ADMIN, "taxonomy_dimensions", json_pack("{s:s}", "name", "n"), NULL, &error),
                     0);
    assert_int_equal(
        update(w, ANNA, "directus_users", w->people[ANNA].user_id, json_pack("{s:s}", "title", "t"), &error),
        0);
    char expected[sizeof told]; /* several rows are written in the order of their ids */
    (void)snprintf(
        expected, sizeof expected,
        "user_nodes:anna user_nodes:anna user_nodes:%s taxonomy_dimensions:all directus_users:anna ",
        strcmp(id, of_bert) < 0 ? "anna user_nodes:bert" : "bert user_nodes:anna");
    assert_string_equal(told, expected);
    listened = NULL;
}

static void users_change_only_themselves(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    json_t *row;
    const char *anna = w->people[ANNA].user_id, *bert = w->people[BERT].user_id;
    assert_int_equal(update(w, ANNA, "directus_users", anna,
                            json_pack("{s:s, s:[s]}", "first_name", "Anna", "tags", "a"), &error),
                     0);
    assert_int_equal(update(w, ANNA, "directus_users", bert, json_pack("{s:s}", "first_name", "X"), &error),
                     -ENOENT);
    assert_int_equal(items_read_one(w->db, &w->people[ANNA], "directus_users", bert, NULL, &row, &error),
                     -ENOENT);
    assert_int_equal(
        update(w, ADMIN, "directus_users", bert, json_pack("{s:s}", "subscription_tier", "studio"), &error),
        0);
    assert_int_equal(update(w, ADMIN, "directus_users", bert, json_pack("{s:s}", "password", "x"), &error),
                     -EACCES);
    assert_int_equal(
        store_int(w->db, "SELECT count(*) FROM directus_users WHERE subscription_tier = 'studio'"), 1);
}

/* ---- many searches at once */

/* Holds every connection that reads, so that searches begun stay begun. */
struct hold {
    struct db *db;
    pthread_t thread;
    atomic_int *held;
    atomic_bool *let_go;
};

static int hold_unit(struct db_conn *c, void *arg)
{
    const struct hold *h = arg;
    (void)c;
    atomic_fetch_add(h->held, 1);
    while (!atomic_load(h->let_go))
        usleep(1000);
    return 0;
}

static void *hold_one(void *arg)
{
    struct hold *h = arg;
    assert_int_equal(db_read(h->db, hold_unit, h), 0);
    return NULL;
}

struct searcher {
    struct rows_world *world;
    pthread_t thread;
    const struct items_query query;
    int result;
    atomic_int *done;
};

static void *search_one(void *arg)
{
    struct searcher *s = arg;
    struct items_error error;
    json_t *rows = NULL;
    s->result = items_read(s->world->db, &s->world->people[ANNA], NODES, &s->query, &rows, NULL, &error);
    json_decref(rows);
    atomic_fetch_add(s->done, 1);
    return NULL;
}

/* How many of the searches that begin together are refused. */
static int refused_of(struct rows_world *w, struct searcher *searchers, size_t n, bool wait_for_one)
{
    atomic_bool let_go = false;
    atomic_int held = 0, done = 0;
    struct hold holds[WORLD_READERS];
    int refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
        holds[i] = (struct hold){.db = w->db, .held = &held, .let_go = &let_go};
        assert_int_equal(pthread_create(&holds[i].thread, NULL, hold_one, &holds[i]), 0);
    }
    while (atomic_load(&held) < WORLD_READERS)
        usleep(1000);
    for (size_t i = 0; i < n; i++) {
        searchers[i].done = &done;
        assert_int_equal(pthread_create(&searchers[i].thread, NULL, search_one, &searchers[i]), 0);
    }
    while (wait_for_one && atomic_load(&done) == 0)
        usleep(1000);
    atomic_store(&let_go, true);
    for (size_t i = 0; i < n; i++) {
        pthread_join(searchers[i].thread, NULL);
        refused += searchers[i].result == -EBUSY;
        assert_true(searchers[i].result == 0 || searchers[i].result == -EBUSY);
    }
    for (size_t i = 0; i < ARRAY_LEN(holds); i++)
        pthread_join(holds[i].thread, NULL);
    return refused;
}

static void one_user_does_not_hold_every_connection(void **state)
{
    struct rows_world *w = *state;
    _cleanup_json_ json_t *filter = json_loads("{\"title\":{\"_contains\":\"x\"}}", 0, NULL);
    struct searcher s[ITEMS_SCANS_EACH + 1] = {
        {.world = w, .query = {.search = "x", .limit = 1}},
        {.world = w, .query = {.filter = filter, .limit = 1}},
        {.world = w, .query = {.search = "y", .limit = 1}},
        {.world = w, .query = {.search = "z", .limit = 1}},
    };
    assert_int_equal(refused_of(w, s, ITEMS_SCANS_EACH + 1, true), 1);
    assert_int_equal(refused_of(w, s, ITEMS_SCANS_EACH, false), 0);
}

int main(void)
{
    log_configure(LOG_ERROR + 1, false);
    items_on_change(listen, &listened);
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_lost_claim_creates_nothing),
        WORLD_TEST(creation_sets_what_is_not_given),
        WORLD_TEST(owner_may_be_repeated_and_not_chosen),
        WORLD_TEST(values_are_checked),
        WORLD_TEST(times_and_ids_are_stored_in_one_form),
        WORLD_TEST(several_rows_or_none),
        WORLD_TEST(references_must_be_own),
        WORLD_TEST(jobs_begin_pending),
        WORLD_TEST(jobs_take_public_urls_alone),
        WORLD_TEST(jobs_in_work_stay),
        WORLD_TEST(resolving_is_stamped),
        WORLD_TEST(a_decayed_node_that_is_given_weight_comes_back),
        WORLD_TEST(a_changed_node_loses_its_vector),
        WORLD_TEST(tiers_open_fields),
        WORLD_TEST(other_ways_are_named),
        WORLD_TEST(without_its_rules_a_collection_is_closed),
        WORLD_TEST(unique_rules_are_told),
        WORLD_TEST(inactive_flows_are_for_admins),
        WORLD_TEST(steps_of_flows_are_for_admins),
        WORLD_TEST(ids_that_are_none),
        WORLD_TEST(owning),
        WORLD_TEST(listeners_are_told_after_success),
        WORLD_TEST(users_change_only_themselves),
        WORLD_TEST(one_user_does_not_hold_every_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
