/* SPDX-License-Identifier: MIT */
/* Questions against a real store: isolation, change, concurrency, size, and vectors from an embedder of the
 * test's own. */
#include "check.h"

#include "../db/store.h"
#include "base/text.h"
#include "base/uuid.h"
#include "retrieval/internal.h"
#include "retrieval/load.h"

#include <errno.h>
#include <stdatomic.h>

#define ANN "11111111-0000-4000-8000-000000000001"
#define BOB "22222222-0000-4000-8000-000000000002"

static int set_up(void **state)
{
    (void)store_set_up_migrated(state);
    struct store *s = *state;
    store_await_listening(s->db);
    assert_int_equal(store_exec(s->db, "INSERT INTO directus_users (id, email) VALUES ('" ANN
                                       "', 'ann@example.com'), "
                                       "('" BOB "', 'bob@example.com')"),
                     0);
    return 0;
}

/* --- rows ------------------------------------------------------------------------------------------- */

#define NEW "11111111-0000-4000-8000-00000000abcd"

/* The id of a node of the corpus: whose it is can be told from its beginning. */
static const char *node_id(const char *name, const char *user_id, int copy)
{
    static _Thread_local char ids[2][UUID_SIZE];
    static _Thread_local int turn;
    char *id = ids[turn++ % 2];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    (void)snprintf(id, UUID_SIZE, "%.8s-%04x-4000-8000-%012llx", user_id, (unsigned)copy & 0xffff,
                   (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
    return id;
}

#define UNIT_COPIES 20 /* what a unit has time for, also on a busy machine */

struct rows {
    const char *user_id;
    const json_t *corpus;
    int first, copies; /* of each node, with a number behind the id */
};

static int insert_rows(struct db_conn *c, void *arg)
{
    const struct rows *in = arg;
    const json_t *item;
    size_t i;
    char id[UUID_SIZE];
    for (int copy = in->first; copy < in->first + in->copies; copy++) {
        json_array_foreach (json_object_get(in->corpus, "nodes"), i, item) {
            char *tags = json_dumps(json_object_get(item, "tags"), JSON_COMPACT);
            int r =
                db_exec(c,
                        "INSERT INTO user_nodes (id, user_id, node_type, title, content, tags, weight) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        DB_ARGS(DB_TEXT(node_id(json_str(item, "id", ""), in->user_id, copy)),
                                DB_TEXT(in->user_id), DB_TEXT(json_str(item, "node_type", "")),
                                DB_TEXT(json_str(item, "title", "")), DB_TEXT(json_str(item, "content", "")),
                                DB_TEXT(tags), DB_REAL(json_num(item, "weight", 1))),
                        NULL);
            free(tags);
            if (r < 0)
                return r;
        }
        json_array_foreach (json_object_get(in->corpus, "edges"), i, item) {
            const char *from = json_string_value(json_array_get(item, 0)),
                       *to = json_string_value(json_array_get(item, 1));
            uuid_make(id);
            int r =
                db_exec(c,
                        "INSERT INTO user_node_edges (id, user_id, source, target, weight) "
                        "VALUES (?1, ?2, ?3, ?4, ?5)",
                        DB_ARGS(DB_TEXT(id), DB_TEXT(in->user_id), DB_TEXT(node_id(from, in->user_id, copy)),
                                DB_TEXT(node_id(to, in->user_id, copy)),
                                DB_REAL(json_number_value(json_array_get(item, 2)))),
                        NULL);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static void fill(struct db *db, const char *user_id, int copies)
{
    json_error_t error;
    json_t *corpus = json_load_file("tests/unit/retrieval/labelled.json", 0, &error);
    assert_non_null(corpus);
    for (int first = 0; first < copies; first += UNIT_COPIES) {
        int n = copies - first < UNIT_COPIES ? copies - first : UNIT_COPIES;
        struct rows rows = {user_id, corpus, first, n};
        assert_int_equal(db_write(db, insert_rows, &rows), 0);
    }
    json_decref(corpus);
}

static struct retrieval *open_retrieval(struct db *db)
{
    struct retrieval *r = NULL;
    struct config cfg = {.embedding_model = "unused"};
    assert_int_equal(retrieval_open(&cfg, db, NULL, &r), 0);
    return r;
}

/* Finds, and gives the ids and exact scores as one text. */
static const char *find(struct retrieval *r, const char *user_id, const char *question)
{
    static _Thread_local char out[8192];
    struct arena a;
    struct retrieval_result found;
    size_t at = 0;
    arena_init(&a, 4 << 20);
    assert_int_equal(retrieval_find(r, &a, user_id, question, 10, &found), 0);
    out[0] = '\0';
    for (size_t i = 0; i < found.n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s=%a ", found.passages[i].id,
                               found.passages[i].score);
    assert_true(at < sizeof out);
    arena_free(&a);
    return out;
}

static bool finds(struct retrieval *r, const char *user_id, const char *question, const char *id)
{
    return strstr(find(r, user_id, question), id) != NULL;
}

/* --- tests ------------------------------------------------------------------------------------------ */

static void passages_are_whole(void **state)
{
    struct store *s = *state;
    struct retrieval *r = open_retrieval(s->db);
    struct retrieval_result found;
    struct arena a;
    fill(s->db, ANN, 1);
    arena_init(&a, 1 << 20);
    assert_int_equal(retrieval_find(r, &a, ANN, "When should I post on Instagram?", 3, &found), 0);
    assert_int_equal(found.n, 3);
    assert_false(found.dense_failed);
    for (size_t i = 0; i < found.n; i++) {
        assert_non_null(found.passages[i].title);
        assert_true(strlen(found.passages[i].text) > 20);
        assert_string_equal(found.passages[i].kind, "platform");
        assert_true(found.passages[i].score > 0);
    }
    for (int i = 0; i < STAGE_COUNT; i++) {
        assert_true(found.stage_n[i] > 0);
        assert_true(found.stage_us[i] >= 0);
    }
    assert_int_equal(retrieval_find(r, &a, ANN, "x", 0, &found), -EINVAL);
    assert_int_equal(retrieval_find(r, &a, ANN, "x", 51, &found), -EINVAL);
    assert_int_equal(retrieval_find(r, &a, "", "x", 1, &found), -EINVAL);
    arena_free(&a);
    arena_init(&a, 64);
    assert_int_equal(retrieval_find(r, &a, ANN, "Instagram", 3, &found), -ENOMEM);
    arena_free(&a);
    retrieval_close(r);
}

static void a_user_without_nodes_is_told_nothing(void **state)
{
    struct store *s = *state;
    struct retrieval *r = open_retrieval(s->db);
    fill(s->db, ANN, 1);
    assert_string_equal(find(r, BOB, "When should I post on Instagram?"), "");
    if (store_is_postgres()) { /* where what is no id can't be compared with one */
        struct arena a;
        struct retrieval_result found;
        arena_init(&a, 1 << 20);
        assert_int_equal(retrieval_find(r, &a, "' OR 1=1 --", "Instagram", 3, &found), -EDOM);
        arena_free(&a);
    } else {
        assert_string_equal(find(r, "no-such-user", "Instagram"), "");
        assert_string_equal(find(r, "' OR 1=1 --", "Instagram"), "");
    }
    retrieval_close(r);
}

static void other_users_never_change_a_score(void **state)
{
    struct store *s = *state;
    static const char *const questions[] = {"When should I post on Instagram?",
                                            "What do my fans in Germany like?", "Recipe for the green glaze",
                                            "茶碗", "mug price shipping glaze"};
    char alone[ARRAY_LEN(questions)][8192];
    struct retrieval *r = open_retrieval(s->db);
    fill(s->db, ANN, 1);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        (void)snprintf(alone[i], sizeof alone[i], "%s", find(r, ANN, questions[i]));
        assert_true(strlen(alone[i]) > 20);
    }
    fill(s->db, BOB, 5);
    retrieval_forget(r, NULL);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        (void)find(r, BOB, questions[i]);
        const char *beside = find(r, ANN, questions[i]);
        assert_string_equal(beside, alone[i]); /* %a: bit for bit */
        assert_null(strstr(beside, "22222222-"));
        assert_null(strstr(find(r, BOB, questions[i]), "11111111-"));
    }
    retrieval_close(r);
}

static void a_change_shows_after_forgetting(void **state)
{
    struct store *s = *state;
    struct retrieval *r = open_retrieval(s->db);
    fill(s->db, ANN, 1);
    assert_false(finds(r, ANN, "zebra stripes", NEW));
    assert_int_equal(store_exec(s->db,
                                "INSERT INTO user_nodes (id, user_id, node_type, title, content) VALUES "
                                "('" NEW "', '" ANN "', 'content', 'Zebra', 'a vase with stripes')"),
                     0);
    retrieval_forget(r, BOB);
    assert_false(finds(r, ANN, "zebra stripes", NEW));
    retrieval_forget(r, ANN);
    assert_true(finds(r, ANN, "zebra stripes", NEW));
    assert_int_equal(store_exec(s->db, "UPDATE user_nodes SET status = 'decayed' WHERE id = '" NEW "'"), 0);
    retrieval_forget(r, ANN);
    assert_false(finds(r, ANN, "zebra stripes", NEW));
    retrieval_close(r);
}

static void another_process_is_noticed(void **state)
{
    struct store *s = *state;
    struct retrieval *r = open_retrieval(s->db);
    struct db *other = NULL;
    fill(s->db, ANN, 1);
    assert_false(finds(r, ANN, "zebra", NEW));
    struct db_options options = store_options(s);
    assert_int_equal(db_open(&options, &other), 0);
    assert_int_equal(store_exec(other,
                                "INSERT INTO user_nodes (id, user_id, node_type, title, content) VALUES "
                                "('" NEW "', '" ANN "', 'content', 'Zebra', 'a vase with stripes')"),
                     0);
    bool seen = false;
    for (int i = 0; i < 500 && !seen; i++) {
        usleep(10000);
        seen = finds(r, ANN, "zebra", NEW);
    }
    assert_true(seen);
    db_close(other);
    retrieval_close(r);
}

static void an_edge_to_a_decayed_node_leads_nowhere(void **state)
{
    char sql[256];
    struct store *s = *state;
    struct retrieval *r = open_retrieval(s->db);
    fill(s->db, ANN, 1);
    assert_true(finds(r, ANN, "What must I know before writing to Rosa?", node_id("commissions", ANN, 0)));
    (void)snprintf(sql, sizeof sql, "UPDATE user_nodes SET status = 'decayed' WHERE id = '%s'",
                   node_id("commissions", ANN, 0));
    assert_int_equal(store_exec(s->db, sql), 0);
    retrieval_forget(r, ANN);
    assert_false(finds(r, ANN, "What must I know before writing to Rosa?", node_id("commissions", ANN, 0)));
    retrieval_close(r);
}

static void ten_thousand_nodes_are_searched(void **state)
{
    struct store *s = *state;
    struct retrieval *r = open_retrieval(s->db);
    fill(s->db, ANN, 220); /* 10,120 nodes and 11,660 edges */
    struct arena a;
    struct retrieval_result found;
    arena_init(&a, 4 << 20);
    assert_int_equal(retrieval_find(r, &a, ANN, "When should I post on Instagram?", 50, &found), 0);
    assert_int_equal(found.n, 50);
    for (size_t i = 0; i < found.n; i++)
        assert_true(i == 0 || found.passages[i].score <= found.passages[i - 1].score);
    arena_free(&a);
    retrieval_close(r);
}

/* --- many threads ----------------------------------------------------------------------------------- */

struct crowd {
    struct retrieval *r;
    struct db *db;
    atomic_int wrong;
    const char *expected; /* of ANN, who doesn't change */
};

static void *ask_often(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 60; i++)
        if (strcmp(find(c->r, ANN, "Recipe for the green glaze"), c->expected) != 0)
            atomic_fetch_add(&c->wrong, 1);
    return NULL;
}

static void *ask_for_what_changes(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 60; i++)
        (void)find(c->r, BOB, "Recipe for the green glaze");
    return NULL;
}

static void *change_and_forget(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(
            store_exec(c->db, "UPDATE user_nodes SET weight = 1 - weight WHERE user_id = '" BOB "'"), 0);
        retrieval_forget(c->r, i % 3 ? BOB : NULL);
    }
    return NULL;
}

static void finding_and_forgetting_get_along(void **state)
{
    struct store *s = *state;
    struct crowd c = {.r = open_retrieval(s->db), .db = s->db};
    static void *(*const work[])(void *) = {ask_often, ask_often, ask_for_what_changes, ask_for_what_changes,
                                            change_and_forget};
    pthread_t t[ARRAY_LEN(work)];
    char expected[8192];
    fill(s->db, ANN, 2);
    fill(s->db, BOB, 2);
    (void)snprintf(expected, sizeof expected, "%s", find(c.r, ANN, "Recipe for the green glaze"));
    c.expected = expected;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, work[i], &c), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    assert_int_equal(c.wrong, 0);
    retrieval_close(c.r);
}

/* --- vectors ---------------------------------------------------------------------------------------- */

/* Makes vectors of which meaning is one of a few things that a text mentions. */
struct fake {
    atomic_int requests, texts, error;
    atomic_size_t dim;
};

static int fake_embed(void *ctx, const char *const *texts, size_t n, float **ret, size_t *ret_dim)
{
    static const char *const meanings[][3] = {{"parcel", "shipping", "mail it"},
                                              {"glaze", "celadon", "coating"},
                                              {"fan", "collector", "admirer"},
                                              {"video", "clip", "footage"}};
    struct fake *f = ctx;
    size_t dim = f->dim;
    atomic_fetch_add(&f->requests, 1);
    if (f->error)
        return f->error;
    float *out = calloc(n * dim, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        assert_true(utf8_valid(texts[i], strlen(texts[i])));
        out[i * dim + dim - 1] = 0.1f;
        for (size_t m = 0; m < ARRAY_LEN(meanings); m++)
            for (size_t w = 0; w < 3; w++)
                out[i * dim + m] += strcasestr(texts[i], meanings[m][w]) != NULL;
    }
    atomic_fetch_add(&f->texts, (int)n);
    *ret = out;
    *ret_dim = dim;
    return 0;
}

static struct retrieval *open_with(struct db *db, struct fake *f, const char *model)
{
    struct retrieval *r = NULL;
    assert_int_equal(retrieval_open_with(db, &(struct vector_source){model, fake_embed, f}, &r), 0);
    return r;
}

static int64_t stored_vectors(struct db *db)
{
    return store_int(db, "SELECT count(embedding) FROM user_nodes");
}

/* Asks until every node has a vector. */
static void await_vectors(struct retrieval *r, struct db *db, int64_t wanted)
{
    for (int i = 0; i < 1000 && stored_vectors(db) < wanted; i++) {
        (void)find(r, ANN, "anything");
        usleep(10000);
    }
    assert_int_equal(stored_vectors(db), wanted);
}

/* Asks until a question that no word answers is answered by its meaning. */
static void await_meaning(struct retrieval *r)
{
    bool seen = false;
    for (int i = 0; i < 500 && !seen; i++) {
        seen = finds(r, ANN, "coating", node_id("glaze-celadon", ANN, 0));
        usleep(10000);
    }
    assert_true(seen);
}

static void nodes_get_vectors_in_the_background(void **state)
{
    struct store *s = *state;
    struct fake f = {.dim = 8};
    fill(s->db, ANN, 1);
    int64_t nodes = store_int(s->db, "SELECT count(*) FROM user_nodes");
    struct retrieval *r = open_with(s->db, &f, "fake/one");
    (void)find(r, ANN, "anything");
    await_vectors(r, s->db, nodes);
    await_meaning(r);
    retrieval_close(r);
    int embedded = f.texts;
    r = open_with(s->db, &f, "fake/one"); /* stored: only questions are embedded now */
    assert_true(finds(r, ANN, "coating", node_id("glaze-celadon", ANN, 0)));
    assert_int_equal(f.texts, embedded + 1);
    retrieval_close(r);
}

static void vectors_are_written_by_the_ids_of_their_nodes(void **state)
{
    struct store *s = *state;
    struct fake f = {.dim = 8};
    char sql[256];
    for (int i = 0; i < 8; i++) {
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO user_nodes (id, user_id, node_type, title, weight) VALUES "
                       "('00000000-0000-4000-8000-00000000000%d', '" ANN "', 'note', 'n', 0.%d)",
                       i, i + 1);
        assert_int_equal(store_exec(s->db, sql), 0);
    }
    store_note_writes(s->db, "user_nodes", "NEW.id");
    struct retrieval *r = open_with(s->db, &f, "fake/one");
    await_vectors(r, s->db, 8);
    retrieval_close(r);
    assert_int_equal(store_int(s->db, "SELECT count(*) FROM written"), 8);
    assert_int_equal(store_writes_out_of_order(s->db), 0);
}

static void an_edited_node_is_embedded_again(void **state)
{
    char sql[256];
    struct store *s = *state;
    struct fake f = {.dim = 8};
    fill(s->db, ANN, 1);
    int64_t nodes = store_int(s->db, "SELECT count(*) FROM user_nodes");
    struct retrieval *r = open_with(s->db, &f, "fake/one");
    await_vectors(r, s->db, nodes);
    assert_false(finds(r, ANN, "coating", node_id("kiln", ANN, 0)));
    (void)snprintf(sql, sizeof sql, "UPDATE user_nodes SET content = 'all about celadon' WHERE id = '%s'",
                   node_id("kiln", ANN, 0));
    assert_int_equal(store_exec(s->db, sql), 0);
    retrieval_forget(r, ANN);
    bool seen = false;
    for (int i = 0; i < 500 && !seen; i++) {
        seen = finds(r, ANN, "coating", node_id("kiln", ANN, 0));
        usleep(10000);
    }
    assert_true(seen);
    retrieval_close(r);
}

static void another_model_or_length_begins_anew(void **state)
{
    struct store *s = *state;
    struct fake f = {.dim = 8};
    fill(s->db, ANN, 1);
    int64_t nodes = store_int(s->db, "SELECT count(*) FROM user_nodes");
    struct retrieval *r = open_with(s->db, &f, "fake/one");
    await_vectors(r, s->db, nodes);
    f.dim = 12; /* the model behind the name was changed */
    await_meaning(r);
    retrieval_close(r);
    int before = f.texts;
    r = open_with(s->db, &f, "fake/two");
    await_meaning(r);
    assert_true(f.texts >= before + (int)nodes);
    retrieval_close(r);
}

static void a_failing_embedder_is_left_alone_for_a_while(void **state)
{
    struct store *s = *state;
    struct fake f = {.dim = 8};
    struct arena a;
    struct retrieval_result found;
    fill(s->db, ANN, 1);
    struct retrieval *r = open_with(s->db, &f, "fake/one");
    await_vectors(r, s->db, store_int(s->db, "SELECT count(*) FROM user_nodes"));
    await_meaning(r);
    f.error = -ETIMEDOUT;
    f.requests = 0;
    arena_init(&a, 1 << 20);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(retrieval_find(r, &a, ANN, "When should I post on Instagram?", 5, &found), 0);
        assert_true(found.dense_failed);
        assert_true(found.n > 0);
        assert_true(found.stage_n[STAGE_DENSE] > 0); /* tags stood in */
    }
    assert_int_equal(f.requests, 1);
    arena_free(&a);
    retrieval_close(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(passages_are_whole),
        TEST(a_user_without_nodes_is_told_nothing),
        TEST(other_users_never_change_a_score),
        TEST(a_change_shows_after_forgetting),
        TEST(another_process_is_noticed),
        TEST(an_edge_to_a_decayed_node_leads_nowhere),
        TEST(ten_thousand_nodes_are_searched),
        TEST(finding_and_forgetting_get_along),
        TEST(nodes_get_vectors_in_the_background),
        TEST(vectors_are_written_by_the_ids_of_their_nodes),
        TEST(an_edited_node_is_embedded_again),
        TEST(another_model_or_length_begins_anew),
        TEST(a_failing_embedder_is_left_alone_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
