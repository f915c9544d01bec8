/* SPDX-License-Identifier: MIT */
/* Who may do what: the table is held against the schema, against a second statement of the same rules below,
 * and against what the engine really lets through, for every collection, action and kind of caller. */
#include "rows.h"

/* The rules as the data model states them: what a user may do on own rows (or, shared, on all), and which
 * fields a user may write, at creation or later. */
static const struct {
    const char *collection, *actions, *writable;
} rules[] = {
    {"media_jobs", "rcd", "operation params input_file_id input_url creator_profile_id media_id status"},
    {"media_job_outputs", "r", ""},
    {"media_assets", "rud", "title tags"},
    {"platform_connections", "rcud", "platform platform_username"},
    {"creator_profiles", "rcud", "platform username is_active"},
    {"user_personas", "ru", "brand_colors voice summary"},
    {"user_nodes", "rcud", "node_type title content tags weight"},
    {"user_node_edges", "rcud", "source target weight"},
    {"scheduled_posts", "rcud", "platform content_text scheduled_time status media_id platform_meta"},
    {"fan_profiles", "rcud",
     "display_name username platform status subscribed_at last_seen_at total_spend currency tags "
     "message_count"
     " purchase_count tip_total ppv_total avg_order_value sentiment churn_risk lifetime_days notes "
     "preferences custom"},
    {"fan_platform_accounts", "rcud", "fan_profile_id platform platform_fan_id username"},
    {"fan_subscriptions", "rcud", "fan_profile_id platform plan status price currency started_at expires_at"},
    {"fan_subscription_events", "rc",
     "fan_profile_id subscription_id event_type amount currency occurred_at metadata"},
    {"fan_identity_links", "rcud", "fan_profile_id linked_fan_profile_id confidence reason"},
    {"fan_memories", "rcud", "fan_profile_id memory_type content"},
    {"hitl_action_queue", "ru", "status"},
    {"user_usage_counts", "r", ""},
    {"agent_audits", "r", ""},
    {"credential_audits", "r", ""},
    {"agent_skills", "r", ""},
    {"skill_edges", "r", ""},
    {"taxonomy_dimensions", "r", ""},
    {"taxonomy_nodes", "r", ""},
    {"taxonomy_edges", "r", ""},
    {"taxonomy_mapping", "r", ""},
    {"action_flows", "r", ""},
    {"system_config", "", ""},
    {"directus_files", "rcud", "title tags"},
    {"directus_users", "ru", "first_name last_name title description location language tags"},
};

static const char *const shared[] = {"agent_skills",   "skill_edges",    "taxonomy_dimensions",
                                     "taxonomy_nodes", "taxonomy_edges", "taxonomy_mapping",
                                     "action_flows",   "system_config"};

/* Whether a list of words has this one. */
static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static unsigned actions_of(const char *letters)
{
    return (strchr(letters, 'r') ? ACTION_READ : 0) | (strchr(letters, 'c') ? ACTION_CREATE : 0) |
           (strchr(letters, 'u') ? ACTION_UPDATE : 0) | (strchr(letters, 'd') ? ACTION_DELETE : 0);
}

static void table_says_what_the_rules_say(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct collection *c = access_table; c->name; c++)
        n++;
    assert_int_equal(n, ARRAY_LEN(rules));
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct collection *c = access_collection(rules[i].collection);
        if (!c || c->user_actions != actions_of(rules[i].actions))
            fail_msg("%s: other actions than %s", rules[i].collection, rules[i].actions);
        for (const struct column *col = c->columns; col->name; col++)
            if (((col->flags & (USER_CREATES | USER_UPDATES)) != 0) != has_word(rules[i].writable, col->name))
                fail_msg("%s.%s", c->name, col->name);
    }
}

static bool is_shared(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(shared); i++)
        if (strcmp(shared[i], name) == 0)
            return true;
    return false;
}

/* What is in the schema and not in the table must be one of these. */
static const char *const hidden[] = {
    "platform_connections.encrypted_credentials",
    "user_nodes.embedding",
    "directus_users.password",
    "directus_users.token",
    "directus_users.tfa_secret",
    "directus_users.provider",
    "directus_users.external_identifier",
    "directus_files.storage",
    "directus_files.filename_disk",
    "directus_files.modified_by",
    "directus_files.charset",
    "directus_files.location",
    "directus_files.metadata",
};

struct schema_arg {
    const struct collection *collection;
    int found;
};

static int schema_unit(struct db_conn *c, void *arg)
{
    struct schema_arg *s = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    const char *sql = store_is_postgres()
                          ? "SELECT column_name FROM information_schema.columns WHERE table_name = ?1"
                          : "SELECT name FROM pragma_table_info(?1)";
    int r = db_query(c, sql, DB_ARGS(DB_TEXT(s->collection->name)), &rows);
    while (r == 0 && (r = db_next(rows)) > 0) {
        char full[128];
        bool known = false;
        (void)snprintf(full, sizeof full, "%s.%s", s->collection->name, db_text(rows, 0));
        for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
            known |= strcmp(hidden[i], full) == 0;
        if (known && access_column(s->collection, db_text(rows, 0)))
            fail_msg("%s must not be in the table", full);
        if (!known && !access_column(s->collection, db_text(rows, 0)))
            fail_msg("%s is neither in the table nor hidden on purpose", full);
        s->found += !known;
        r = 0;
    }
    return r;
}

static void table_fits_the_schema(void **state)
{
    struct rows_world *w = *state;
    for (const struct collection *c = access_table; c->name; c++) {
        struct schema_arg s = {.collection = c};
        int listed = 0;
        assert_int_equal(db_read(w->db, schema_unit, &s), 0);
        for (const struct column *col = c->columns; col->name; col++) {
            listed++;
            assert_true(!col->refers || access_collection(col->refers));
            assert_true(col->type != COLUMN_CHOICE || col->choices);
        }
        assert_int_equal(s.found, listed);
        assert_int_equal(is_shared(c->name), c->owner == NULL);
    }
}

/* ---- the matrix */

enum relation { OWN_ROW, OTHERS_ROW };

/* The first column that this identity may change, or NULL. */
static const struct column *changeable(const struct collection *c, const struct identity *who)
{
    for (const struct column *col = c->columns; col->name; col++)
        if (access_writes(col, ACTION_UPDATE, who) && !col->refers && col->type != COLUMN_UUID)
            return col;
    return NULL;
}

static bool within_reach(const struct collection *c, enum person who, enum relation relation)
{
    return who == ADMIN || relation == OWN_ROW || !c->owner;
}

static int expected(const struct collection *c, enum person who, enum action action, enum relation relation)
{
    bool writes = action != ACTION_READ;
    unsigned allowed = who == ADMIN ? c->admin_actions : c->user_actions;
    if (who == VIEWER)
        allowed &= ACTION_READ;
    if (!(allowed & action) || (writes && ((c->elsewhere_actions & action) || c->ruled)))
        return -EACCES;
    return action == ACTION_CREATE || within_reach(c, who, relation) ? 0 : -ENOENT;
}

static int try_read(struct rows_world *w, const struct collection *c, enum person who, const char *id)
{
    struct items_error error;
    json_t *row = NULL;
    int r = items_read_one(w->db, &w->people[who], c->name, id, NULL, &row, &error);
    json_decref(row);
    return r;
}

static int try_create(struct rows_world *w, const struct collection *c, enum person who)
{
    struct items_error error;
    int r = create(w, who, c->name, creation(w, c, &w->people[who]), NULL, &error);
    if (r == -EEXIST && strcmp(c->name, "user_personas") == 0)
        return 0; /* everybody has the one persona there is room for */
    if (r == -EINVAL)
        fail_msg("%s: %s", c->name, error.sentence);
    return r;
}

static int try_update(struct rows_world *w, const struct collection *c, enum person who, const char *id)
{
    struct items_error error;
    const struct column *col = changeable(c, &w->people[who]);
    json_t *values = json_object();
    (void)json_object_set_new(values, col ? col->name : "id",
                              col ? good_value(w, col, "") : json_string("x"));
    return update(w, who, c->name, id, values, &error);
}

static int attempt(struct rows_world *w, const struct collection *c, enum person who, enum action action,
                   const char *id)
{
    struct items_error error;
    if (action == ACTION_READ)
        return try_read(w, c, who, id);
    if (action == ACTION_CREATE)
        return try_create(w, c, who);
    if (action == ACTION_UPDATE)
        return try_update(w, c, who, id);
    return items_delete(w->db, &w->people[who], c->name, &id, 1, &error);
}

static void matrix(void **state)
{
    struct rows_world *w = *state;
    static const enum action actions[] = {ACTION_READ, ACTION_CREATE, ACTION_UPDATE, ACTION_DELETE};
    static const char *const names[] = {"Anna", "Bert", "the viewer", "the admin"};
    int tried = 0;
    for (const struct collection *c = access_table; c->name; c++)
        for (int who = 0; who < PEOPLE; who++)
            for (size_t a = 0; a < ARRAY_LEN(actions); a++)
                for (enum relation relation = OWN_ROW; relation <= OTHERS_ROW; relation++) {
                    int owner = relation == OWN_ROW ? who : who == BERT ? ANNA : BERT;
                    const char *id = insert_row(w, c, w->people[owner].user_id);
                    int r = attempt(w, c, (enum person)who, actions[a], id);
                    if (r != expected(c, (enum person)who, actions[a], relation))
                        fail_msg("%s: %s, action %d, %s row: %d", c->name, names[who], actions[a],
                                 relation == OWN_ROW ? "own" : "another's", r);
                    tried++;
                }
    assert_int_equal(tried, (int)ARRAY_LEN(rules) * PEOPLE * 4 * 2);
}

/* One column at a time, by a creator on a row of her own. */
static void every_column_is_guarded(void **state)
{
    struct rows_world *w = *state;
    for (const struct collection *c = access_table; c->name; c++) {
        if ((c->elsewhere_actions & ACTION_UPDATE) || c->ruled || !(c->user_actions & ACTION_UPDATE))
            continue;
        const char *id = insert_row(w, c, w->people[BERT].user_id);
        for (const struct column *col = c->columns; col->name; col++) {
            struct items_error error;
            json_t *values = json_object();
            (void)json_object_set_new(values, col->name, good_value(w, col, w->people[BERT].user_id));
            int r = update(w, BERT, c->name, id, values, &error);
            if ((r == 0) != ((col->flags & USER_UPDATES) != 0))
                fail_msg("%s.%s: %d (%s)", c->name, col->name, r, error.sentence);
            if (r < 0)
                assert_int_equal(r, -EACCES);
        }
    }
}

/* Counters, states, trails, secrets, and what says whose a row is: no user writes them, in any collection. */
static void nobody_writes_these(void **state)
{
    struct rows_world *w = *state;
    static const char *const names[] = {
        "id",
        "user_id",
        "date_created",
        "date_updated",
        "bull_job_id",
        "priority",
        "progress",
        "result",
        "retry_count",
        "error_message",
        "started_at",
        "completed_at",
        "scheduled_post_id",
        "encrypted_credentials",
        "credentials_version",
        "credentials_updated_at",
        "scrape_status",
        "last_scraped_at",
        "onboarding_state",
        "count",
        "feature_key",
        "billing_cycle_start",
        "decay_rate",
        "last_reinforced_at",
        "last_decayed_at",
        "embedding",
        "resolved_at",
        "password",
        "token",
        "tfa_secret",
        "provider",
        "email",
        "role",
        "subscription_tier",
        "subscription_start",
        "anythingllm_user_id",
        "last_access",
        "avatar",
        "outcome",
        "actor",
        "steps",
        "slug",
        "uploaded_by",
        "filename_disk",
        "filesize",
        "type",
        "allow_side_effects",
        "active",
        "activation_score",
        "key",
        "value",
    };
    for (const struct collection *c = access_table; c->name; c++)
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            struct items_error error;
            const struct column *col = access_column(c, names[i]);
            if (strcmp(c->name, "fan_subscriptions") == 0 && strcmp(names[i], "started_at") == 0)
                continue; /* there it is the fan's own date */
            if (c->user_actions & ACTION_UPDATE) {
                const char *id = insert_row(w, c, w->people[ANNA].user_id);
                assert_int_equal(update(w, ANNA, c->name, id, json_pack("{s:s}", names[i], "x"), &error),
                                 -EACCES);
            }
            if (c->user_actions & ACTION_CREATE) {
                json_t *values = creation(w, c, &w->people[ANNA]);
                (void)json_object_set_new(values, names[i], json_string("x"));
                assert_int_equal(create(w, ANNA, c->name, values, NULL, &error), -EACCES);
            }
            if (col)
                assert_false(access_writes(col, ACTION_CREATE, &w->people[ANNA]) ||
                             access_writes(col, ACTION_UPDATE, &w->people[ANNA]));
        }
}

static void unknown_collections(void **state)
{
    struct rows_world *w = *state;
    static const char *const names[] = {"",
                                        "nope",
                                        "users",
                                        "api_keys",
                                        "invites",
                                        "directus_sessions",
                                        "queue_jobs",
                                        "impersonations",
                                        "platform_sessions",
                                        "taxonomy_tag_sets",
                                        "directus_policies",
                                        "sqlite_master",
                                        "user_nodes; DROP TABLE users",
                                        "USER_NODES"};
    struct items_query q = {.limit = 1};
    struct items_error error;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (int who = 0; who < PEOPLE; who++) {
            json_t *rows = NULL;
            assert_int_equal(items_read(w->db, &w->people[who], names[i], &q, &rows, NULL, &error), -EACCES);
            assert_null(rows);
        }
}

int main(void)
{
    log_configure(LOG_ERROR + 1, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_says_what_the_rules_say),
        WORLD_TEST(table_fits_the_schema),
        WORLD_TEST(matrix),
        WORLD_TEST(every_column_is_guarded),
        WORLD_TEST(nobody_writes_these),
        WORLD_TEST(unknown_collections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
