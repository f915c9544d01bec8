/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"
#include "keys.h"

#include "vault/credentials.h"

#define SECRET_TEXT "{\"password\":\"one\"}"

struct place {
    struct store *store;
    struct db *db;
    struct vault *vault;
    struct account anna, bert;
};

static void prepare(struct place *p, void **state)
{
    p->store = *state;
    p->db = p->store->db;
    p->vault = vault_with("k1", KEY, NULL, "v2");
    p->anna = person(p->db, "anna@example.com", "Creator");
    p->bert = person(p->db, "bert@example.com", "Creator");
}

static void leave(struct place *p)
{
    vault_close(p->vault);
}

static struct credentials_caller as(const struct place *p, const char *user_id)
{
    return (struct credentials_caller){.db = p->db,
                                       .vault = p->vault,
                                       .actor = user_id ? user_id : "service",
                                       .user_id = user_id,
                                       .any_record = !user_id,
                                       .may_reveal = true,
                                       .ip = "192.0.2.1",
                                       .request_id = "r-1"};
}

static int write_as(struct credentials_caller who, enum credentials_action action, const char *id,
                    const char *username, const char *text, struct credentials_record *record)
{
    struct credentials_input in = {
        .record_id = id, .platform = "x", .username = username, .plain = text, .len = strlen(text)};
    return credentials_write(&who, action, &in, record);
}

static int reveal_as(struct credentials_caller who, const char *id, const char *expected)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
    int r = credentials_reveal(&who, id, &plain);
    if (r == CREDENTIALS_OK)
        assert_string_equal(plain.data, expected);
    else
        assert_int_equal(plain.len, 0);
    return r;
}

static int64_t audits(struct db *db, const char *action, const char *outcome, const char *actor)
{
    char sql[512];
    (void)snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM credential_audits WHERE action = '%s' AND outcome = '%s' AND actor = '%s'",
        action, outcome, actor);
    return store_int(db, sql);
}

static void what_is_stored_is_revealed(void **state)
{
    struct place p;
    struct credentials_record made, again;
    prepare(&p, state);
    const char *anna = p.anna.user_id;
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, "anna", SECRET_TEXT, &made), 0);
    assert_false(made.existed);
    assert_int_equal(reveal_as(as(&p, anna), made.id, SECRET_TEXT), CREDENTIALS_OK);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, "anna", "{\"a\":2}", &again), 0);
    assert_true(again.existed);
    assert_string_equal(again.id, made.id);
    assert_int_equal(reveal_as(as(&p, NULL), made.id, "{\"a\":2}"), CREDENTIALS_OK);
    assert_int_equal(write_as(as(&p, NULL), CREDENTIALS_STORE, made.id, NULL, "{\"a\":3}", &again), 0);
    assert_int_equal(reveal_as(as(&p, anna), made.id, "{\"a\":3}"), CREDENTIALS_OK);
    assert_int_equal(audits(p.db, "create", "ok", anna), 2);
    assert_int_equal(audits(p.db, "store", "ok", "service"), 1);
    assert_int_equal(audits(p.db, "reveal", "ok", anna), 2);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM credential_audits WHERE ip = '192.0.2.1' AND "
                                     "request_id = 'r-1'"),
                     6);
    leave(&p);
}

static void ids_may_be_in_capitals(void **state)
{
    struct place p;
    struct credentials_record made;
    char id[UUID_SIZE];
    prepare(&p, state);
    assert_int_equal(write_as(as(&p, p.anna.user_id), CREDENTIALS_CREATE, NULL, NULL, SECRET_TEXT, &made), 0);
    for (size_t i = 0; i < sizeof id; i++)
        id[i] = (char)(made.id[i] >= 'a' ? made.id[i] - 32 : made.id[i]);
    assert_int_equal(reveal_as(as(&p, p.anna.user_id), id, SECRET_TEXT), CREDENTIALS_OK);
    leave(&p);
}

static void anothers_record_is_none(void **state)
{
    struct place p;
    struct credentials_record made, record;
    prepare(&p, state);
    const char *bert = p.bert.user_id;
    assert_int_equal(write_as(as(&p, p.anna.user_id), CREDENTIALS_CREATE, NULL, NULL, SECRET_TEXT, &made), 0);
    assert_int_equal(reveal_as(as(&p, bert), made.id, NULL), CREDENTIALS_NOT_FOUND);
    assert_int_equal(reveal_as(as(&p, bert), RECORD, NULL), CREDENTIALS_NOT_FOUND);
    assert_int_equal(write_as(as(&p, bert), CREDENTIALS_STORE, made.id, NULL, "{\"b\":1}", &record),
                     CREDENTIALS_NOT_FOUND);
    assert_int_equal(write_as(as(&p, bert), CREDENTIALS_UPDATE, made.id, "b", "{\"b\":1}", &record),
                     CREDENTIALS_NOT_FOUND);
    assert_int_equal(write_as(as(&p, bert), CREDENTIALS_CREATE, NULL, NULL, "{\"b\":1}", &record), 0);
    assert_string_not_equal(record.id, made.id);
    assert_int_equal(reveal_as(as(&p, p.anna.user_id), made.id, SECRET_TEXT), CREDENTIALS_OK);
    assert_int_equal(audits(p.db, "reveal", "not_found", bert), 2);
    assert_int_equal(audits(p.db, "store", "not_found", bert), 1);
    leave(&p);
}

static void refusals_are_noted(void **state)
{
    struct place p;
    struct credentials_record made, record;
    prepare(&p, state);
    const char *anna = p.anna.user_id;
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, NULL, SECRET_TEXT, &made), 0);
    struct credentials_caller who = as(&p, anna);
    who.may_reveal = false;
    assert_int_equal(reveal_as(who, made.id, NULL), CREDENTIALS_FORBIDDEN);
    who = as(&p, anna);
    who.vault = NULL;
    assert_int_equal(reveal_as(who, made.id, NULL), CREDENTIALS_NO_KEY);
    assert_int_equal(write_as(who, CREDENTIALS_STORE, made.id, NULL, SECRET_TEXT, &record),
                     CREDENTIALS_NO_KEY);
    assert_int_equal(write_as(who, CREDENTIALS_CREATE, NULL, "new", SECRET_TEXT, &record),
                     CREDENTIALS_NO_KEY);
    assert_int_equal(credentials_refused(&who, CREDENTIALS_STORE, CREDENTIALS_READ_ONLY), 0);
    run_sql(p.db, "UPDATE platform_connections SET encrypted_credentials = NULL");
    assert_int_equal(reveal_as(as(&p, anna), made.id, NULL), CREDENTIALS_NONE_STORED);
    assert_int_equal(audits(p.db, "reveal", "forbidden", anna), 1);
    assert_int_equal(audits(p.db, "reveal", "no_key", anna), 1);
    assert_int_equal(audits(p.db, "store", "no_key", anna), 1);
    assert_int_equal(audits(p.db, "create", "no_key", anna), 1);
    assert_int_equal(audits(p.db, "store", "read_only", anna), 1);
    assert_int_equal(audits(p.db, "reveal", "none_stored", anna), 1);
    leave(&p);
}

static void what_does_not_open_is_one_error(void **state)
{
    struct place p;
    struct credentials_record one, two;
    prepare(&p, state);
    const char *anna = p.anna.user_id;
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, "one", SECRET_TEXT, &one), 0);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, "two", "not json", &two), 0);
    assert_int_equal(reveal_as(as(&p, anna), two.id, NULL), CREDENTIALS_DECRYPT_FAILED);
    run_sql(p.db,
            "UPDATE platform_connections SET encrypted_credentials = (SELECT encrypted_credentials FROM "
            "platform_connections WHERE platform_username = 'one') WHERE platform_username = 'two'");
    assert_int_equal(reveal_as(as(&p, anna), two.id, NULL), CREDENTIALS_DECRYPT_FAILED);
    run_sql(p.db,
            "UPDATE platform_connections SET encrypted_credentials = 'password' WHERE platform_username = "
            "'two'");
    assert_int_equal(reveal_as(as(&p, anna), two.id, NULL), CREDENTIALS_DECRYPT_FAILED);
    assert_int_equal(reveal_as(as(&p, anna), one.id, SECRET_TEXT), CREDENTIALS_OK);
    assert_int_equal(audits(p.db, "reveal", "decrypt_failed", anna), 3);
    leave(&p);
}

static void usernames_keep_apart(void **state)
{
    struct place p;
    struct credentials_record one, none, record;
    prepare(&p, state);
    const char *anna = p.anna.user_id;
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, "one", SECRET_TEXT, &one), 0);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, NULL, SECRET_TEXT, &none), 0);
    assert_string_not_equal(one.id, none.id);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_UPDATE, none.id, "one", "{\"n\":1}", &record),
                     CREDENTIALS_CONFLICT);
    assert_int_equal(reveal_as(as(&p, anna), none.id, SECRET_TEXT), CREDENTIALS_OK);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_UPDATE, none.id, "two", "{\"n\":1}", &record), 0);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_UPDATE, none.id, "two", "{\"n\":2}", &record), 0);
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_UPDATE, none.id, NULL, "{\"n\":3}", &record), 0);
    assert_int_equal(
        store_int(p.db, "SELECT count(*) FROM platform_connections WHERE platform_username = 'two'"), 1);
    assert_int_equal(audits(p.db, "update", "conflict", anna), 1);
    leave(&p);
}

/* ---- two at once */

#define CROWD 8

struct creator {
    const struct place *place;
    struct credentials_record record;
    int r;
};

static void *create_in_thread(void *arg)
{
    struct creator *c = arg;
    c->r = write_as(as(c->place, c->place->anna.user_id), CREDENTIALS_CREATE, NULL, NULL, SECRET_TEXT,
                    &c->record);
    return NULL;
}

static void many_at_once_make_one(void **state)
{
    struct place p;
    struct creator crowd[CROWD];
    pthread_t threads[CROWD];
    int made = 0;
    prepare(&p, state);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct creator){.place = &p};
        assert_int_equal(pthread_create(&threads[i], NULL, create_in_thread, &crowd[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowd[i].r, CREDENTIALS_OK);
        assert_string_equal(crowd[i].record.id, crowd[0].record.id);
        made += !crowd[i].record.existed;
    }
    assert_int_equal(made, 1);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM platform_connections"), 1);
    assert_int_equal(reveal_as(as(&p, p.anna.user_id), crowd[0].record.id, SECRET_TEXT), CREDENTIALS_OK);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM credential_audits"), CROWD + 1);
    leave(&p);
}

static void without_its_trail_nothing_happens(void **state)
{
    struct place p;
    struct credentials_record made, record;
    prepare(&p, state);
    const char *anna = p.anna.user_id;
    assert_int_equal(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, NULL, SECRET_TEXT, &made), 0);
    run_sql(p.db, "DROP TABLE credential_audits");
    assert_true(reveal_as(as(&p, anna), made.id, NULL) < 0);
    assert_true(write_as(as(&p, anna), CREDENTIALS_STORE, made.id, NULL, "{\"a\":2}", &record) < 0);
    assert_true(write_as(as(&p, anna), CREDENTIALS_CREATE, NULL, "more", "{\"a\":2}", &record) < 0);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM platform_connections"), 1);
    leave(&p);
}

#define ON_STORE(test) cmocka_unit_test_setup_teardown(test, people_set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STORE(what_is_stored_is_revealed),      ON_STORE(ids_may_be_in_capitals),
        ON_STORE(anothers_record_is_none),         ON_STORE(refusals_are_noted),
        ON_STORE(what_does_not_open_is_one_error), ON_STORE(usernames_keep_apart),
        ON_STORE(many_at_once_make_one),           ON_STORE(without_its_trail_nothing_happens),
    };
    return cmocka_run_group_tests_name("vault/credentials", tests, NULL, NULL);
}
