/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"
#include "keys.h"

#include "vault/rotate.h"

#define MANY 250 /* more than two batches */

struct place {
    struct store *store;
    struct db *db;
    struct account anna;
};

static void prepare(struct place *p, void **state)
{
    p->store = *state;
    p->db = p->store->db;
    p->anna = person(p->db, "anna@example.com", "Creator");
}

/* The id of the n-th record. */
static const char *record_id(int n, char *ret)
{
    (void)snprintf(ret, UUID_SIZE, "%08x-0000-4000-8000-000000000000", n + 1);
    return ret;
}

static void add_text(struct place *p, int n, const char *sealed)
{
    char id[UUID_SIZE];
    run_sql(
        p->db,
        "INSERT INTO platform_connections (id, user_id, platform, platform_username, encrypted_credentials, "
        "credentials_version) VALUES ('%s', '%s', 'x', 'u%d', '%s', 'v1')",
        record_id(n, id), p->anna.user_id, n, sealed);
}

/* Seals `{"n":N}` for the n-th record and adds it. */
static void add_sealed(struct place *p, const struct vault *v, int n)
{
    char id[UUID_SIZE], plain[32];
    _cleanup_buf_ struct buf sealed = BUF_INIT(1024);
    (void)snprintf(plain, sizeof plain, "{\"n\":%d}", n);
    assert_int_equal(vault_seal(v, record_id(n, id), plain, strlen(plain), &sealed), 0);
    add_text(p, n, sealed.data);
}

struct tally {
    int64_t current, stale, unreadable;
};

static void tell(void *ctx, const struct sealed_status *s)
{
    struct tally *t = ctx;
    t->unreadable += !s->readable;
    t->current += s->readable && s->label.current;
    t->stale += s->readable && !s->label.current;
}

static struct tally inspect(struct place *p, const struct vault *v)
{
    struct tally t = {0};
    assert_int_equal(vault_inspect(v, p->db, tell, &t), 0);
    return t;
}

static struct rotation rotate(struct place *p, const struct vault *v)
{
    struct rotation sum;
    assert_int_equal(vault_rotate(v, p->db, NULL, NULL, &sum), 0);
    return sum;
}

static void everything_becomes_current(void **state)
{
    struct place p;
    prepare(&p, state);
    _cleanup_(vault_closeP) struct vault *old = vault_with("old.1", OLD_KEY, NULL, "v1");
    _cleanup_(vault_closeP) struct vault *new = vault_with("k1", KEY, "old.1=" OLD_KEY, "v2");
    for (int n = 0; n < MANY; n++)
        add_sealed(&p, old, n);
    add_text(&p, MANY, BARE_V1_OLD);
    run_sql(p.db,
            "INSERT INTO platform_sessions (id, user_id, platform_connection_id, encrypted_cookies) VALUES "
            "('" RECORD "', '%s', '00000001-0000-4000-8000-000000000000', '%s')",
            p.anna.user_id, WRAP(BARE_V2_OLD));
    struct rotation sum = rotate(&p, new);
    assert_int_equal(sum.rows, MANY + 2);
    assert_int_equal(sum.rotated, MANY + 2);
    assert_int_equal(sum.failed + sum.current + sum.behind, 0);
    assert_int_equal(inspect(&p, new).current, MANY + 2);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM credential_audits WHERE action = 'rotate' AND "
                                     "outcome = 'ok'"),
                     MANY + 2);
    assert_int_equal(
        store_int(p.db, "SELECT count(*) FROM platform_connections WHERE credentials_version = 'v2'"),
        MANY + 1);
    sum = rotate(&p, new);
    assert_int_equal(sum.current, MANY + 2);
    assert_int_equal(sum.rotated, 0);
}

static void the_way_back_is_open(void **state)
{
    struct place p;
    prepare(&p, state);
    _cleanup_(vault_closeP) struct vault *v2 = vault_with("k1", KEY, NULL, "v2");
    _cleanup_(vault_closeP) struct vault *v1 = vault_with("k1", KEY, NULL, "v1");
    add_sealed(&p, v2, 0);
    assert_int_equal(rotate(&p, v1).rotated, 1);
    assert_int_equal(inspect(&p, v1).current, 1);
    assert_int_equal(
        store_int(p.db, "SELECT count(*) FROM platform_connections WHERE credentials_version = 'v1'"), 1);
}

static void what_cannot_be_opened_stays(void **state)
{
    struct place p;
    prepare(&p, state);
    _cleanup_(vault_closeP) struct vault *lost = vault_with("lost", THIRD_KEY, NULL, "v2");
    _cleanup_(vault_closeP) struct vault *old = vault_with("old.1", OLD_KEY, NULL, "v2");
    _cleanup_(vault_closeP) struct vault *new = vault_with("k1", KEY, "old.1=" OLD_KEY, "v2");
    add_sealed(&p, lost, 0);
    add_text(&p, 1, "plain text");
    add_sealed(&p, old, 2);
    run_sql(p.db, "INSERT INTO platform_connections (id, user_id, platform) VALUES ('%s', '%s', 'reddit')",
            OTHER_RECORD, p.anna.user_id);
    struct rotation sum = rotate(&p, new);
    assert_int_equal(sum.rows, 3);
    assert_int_equal(sum.failed, 2);
    assert_int_equal(sum.rotated, 1);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM credential_audits WHERE action = 'rotate' AND "
                                     "outcome = 'decrypt_failed'"),
                     2);
    assert_int_equal(
        store_int(p.db,
                  "SELECT count(*) FROM platform_connections WHERE encrypted_credentials = 'plain text'"),
        1);
    assert_int_equal(inspect(&p, lost).current, 1);
    assert_int_equal(inspect(&p, new).unreadable, 2);
}

static void a_text_of_any_size_is_only_unreadable(void **state)
{
    struct place p;
    prepare(&p, state);
    _cleanup_(vault_closeP) struct vault *v = vault_with("k1", KEY, NULL, "v2");
    for (int n = 0; n < 5; n++)
        add_text(&p, n, "x");
    for (int i = 0; i < 20; i++)
        run_sql(p.db, "UPDATE platform_connections SET encrypted_credentials = encrypted_credentials || "
                      "encrypted_credentials");
    assert_int_equal(rotate(&p, v).failed, 5);
    assert_int_equal(inspect(&p, v).unreadable, 5);
}

/* ---- others write meanwhile */

struct meddler {
    struct place *place;
    const struct vault *other;
    int once;
};

/* Between two batches another server, whose current key is another one, stores anew for the last record. */
static void meddle(void *ctx, int64_t done, int64_t of)
{
    struct meddler *m = ctx;
    char id[UUID_SIZE];
    _cleanup_buf_ struct buf sealed = BUF_INIT(1024);
    if (m->once++ > 0)
        return;
    assert_int_equal(done, 100);
    assert_int_equal(of, MANY);
    assert_int_equal(vault_seal(m->other, record_id(MANY - 1, id), "{\"new\":1}", 9, &sealed), 0);
    run_sql(m->place->db, "UPDATE platform_connections SET encrypted_credentials = '%s' WHERE id = '%s'",
            sealed.data, id);
}

static void what_others_store_is_kept(void **state)
{
    struct place p;
    struct rotation sum;
    prepare(&p, state);
    _cleanup_(vault_closeP) struct vault *old = vault_with("old.1", OLD_KEY, "k1=" KEY, "v1");
    _cleanup_(vault_closeP) struct vault *new = vault_with("k1", KEY, "old.1=" OLD_KEY, "v2");
    for (int n = 0; n < MANY; n++)
        add_sealed(&p, old, n);
    struct meddler m = {.place = &p, .other = old};
    assert_int_equal(vault_rotate(new, p.db, meddle, &m, &sum), 0);
    assert_int_equal(sum.rotated, MANY);
    assert_int_equal(inspect(&p, new).current, MANY);
    assert_int_equal(inspect(&p, old).unreadable, 0); /* it knows the new key too */
}

/* A row changes between its reading and its writing: a trigger that writes first stands for another server.
 */
static void a_lost_race_is_seen(void **state)
{
    struct place p;
    prepare(&p, state);
    if (store_is_postgres())
        skip();
    _cleanup_(vault_closeP) struct vault *old = vault_with("old.1", OLD_KEY, NULL, "v1");
    _cleanup_(vault_closeP) struct vault *new = vault_with("k1", KEY, "old.1=" OLD_KEY, "v2");
    add_sealed(&p, old, 0);
    add_sealed(&p, old, 1);
    run_sql(p.db,
            "CREATE TRIGGER other AFTER UPDATE ON platform_connections WHEN new.platform_username = 'u0' "
            "BEGIN UPDATE platform_connections SET encrypted_credentials = '%s' WHERE "
            "platform_username = 'u1' AND encrypted_credentials NOT LIKE '%%a0a1a2%%'; END",
            BARE_V1);
    struct rotation sum = rotate(&p, new);
    assert_int_equal(sum.behind, 0);
    assert_int_equal(sum.current, 1); /* it took another pass, in which the first was current */
    assert_int_equal(sum.rotated, 2);
    assert_int_equal(inspect(&p, new).current, 2);
}

static void without_its_trail_nothing_is_rotated(void **state)
{
    struct place p;
    struct rotation sum;
    prepare(&p, state);
    _cleanup_(vault_closeP) struct vault *old = vault_with("old.1", OLD_KEY, NULL, "v1");
    _cleanup_(vault_closeP) struct vault *new = vault_with("k1", KEY, "old.1=" OLD_KEY, "v2");
    add_sealed(&p, old, 0);
    run_sql(p.db, "DROP TABLE credential_audits");
    assert_true(vault_rotate(new, p.db, NULL, NULL, &sum) < 0);
    assert_int_equal(inspect(&p, old).current, 1);
}

#define ON_STORE(test) cmocka_unit_test_setup_teardown(test, people_set_up, store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STORE(everything_becomes_current),
        ON_STORE(the_way_back_is_open),
        ON_STORE(what_cannot_be_opened_stays),
        ON_STORE(a_text_of_any_size_is_only_unreadable),
        ON_STORE(what_others_store_is_kept),
        ON_STORE(a_lost_race_is_seen),
        ON_STORE(without_its_trail_nothing_is_rotated),
    };
    return cmocka_run_group_tests_name("vault/rotate", tests, NULL, NULL);
}
