/* SPDX-License-Identifier: MIT */
/* Idempotency keys through real servers on a real store. */
#include "limits/idempotency.h"

#include "place.h"

#define HOST "Host: test\r\n"

/* What the handler does, by the body's `do`. */
struct order_body {
    const char *act;
};

static const struct field order_fields[] = {
    FIELD_STR(order_body, act, "do", REQUIRED),
    FIELD_END,
};

static reply large(struct request *rq)
{
    char *text = arena_alloc(&rq->arena, 1100000);
    assert_non_null(text);
    memset(text, 'x', 1099999);
    return reply_json(rq, 200, "{s:s}", "text", text);
}

static reply quota(struct request *rq, const char *reason)
{
    return reply_json(rq, 403, "{s:b, s:s, s:s, s:s}", "ok", 0, "error", "tier_limit_reached", "code",
                      "tier_limit_reached", "reason", reason);
}

static void wait_until_opened(struct app *app)
{
    atomic_fetch_add(&app->waiting, 1);
    while (atomic_load(&app->shut))
        sleep_ms(1);
}

static reply order(struct request *rq)
{
    const struct order_body *in = rq->body;
    int n = atomic_fetch_add(&rq->app->served, 1) + 1;
    if (strcmp(in->act, "nothing") == 0)
        return reply_empty(rq, 204);
    if (strcmp(in->act, "fail") == 0)
        return reply_error(rq, ERR_INTERNAL, NULL);
    if (strcmp(in->act, "forbid") == 0)
        return reply_error(rq, ERR_FORBIDDEN, NULL);
    if (strcmp(in->act, "conflict") == 0)
        return reply_error(rq, ERR_CONFLICT, NULL);
    if (strcmp(in->act, "exhausted") == 0)
        return quota(rq, "limit_reached");
    if (strcmp(in->act, "unreadable") == 0)
        return quota(rq, "quota_check_failed");
    if (strcmp(in->act, "large") == 0)
        return large(rq);
    if (strcmp(in->act, "bytes") == 0)
        return reply_bytes(rq, 200, "image/png", "\x89PNG", 4);
    if (strcmp(in->act, "wait") == 0)
        wait_until_opened(rq->app);
    return reply_json(rq, 201, "{s:i, s:s}", "n", n, "é\n", "\"");
}

/* ---- a handler that settles in its own unit */

struct making {
    const struct idempotency_claim *claim;
    const json_t *answer;
};

static int make_unit(struct db_conn *c, void *arg)
{
    struct making *m = arg;
    int r = db_exec(c, "INSERT INTO made (what) VALUES ('x')", DB_NO_ARGS, NULL);
    return r < 0 ? r : idempotency_settle_unit(c, m->claim, 200, m->answer);
}

static reply make(struct request *rq)
{
    const struct order_body *in = rq->body;
    if (strcmp(in->act, "wait") == 0)
        wait_until_opened(rq->app);
    _cleanup_json_ json_t *answer = json_pack("{s:i}", "n", atomic_fetch_add(&rq->app->served, 1) + 1);
    int r = db_write(rq->app->db, make_unit, &(struct making){rq->claim, answer});
    if (r < 0)
        return reply_store_error(rq, r);
    if (strcmp(in->act, "hold") == 0)
        wait_until_opened(rq->app);
    if (strcmp(in->act, "fail") == 0) /* behind the effect */
        return reply_error(rq, ERR_INTERNAL, NULL);
    return reply_value(rq, 200, TAKE_PTR(answer));
}

#define ORDER BODY_MAX(order_body, order_fields, 10000)

static const struct route table[] = {
    {HTTP_POST, "/order", AUTH_USER_OR_SECRET, WRITES, BLOCKING, order, ORDER, "", .idempotent = true},
    {HTTP_POST, "/order/:id", AUTH_USER, WRITES, BLOCKING, order, ORDER, "", .idempotent = true},
    {HTTP_POST, "/make", AUTH_USER, WRITES, BLOCKING, make, ORDER, "", .idempotent = true},
    {HTTP_POST, "/public", AUTH_NONE, WRITES, BLOCKING, order, ORDER, "", .idempotent = true},
    {HTTP_POST, "/plain", AUTH_USER, WRITES, BLOCKING, order, ORDER, ""},
    ROUTES_END,
};
static const struct route *const tables[] = {table, NULL};

static int set_up(void **state)
{
    return place_open(state, tables);
}

struct told {
    int status;
    char body[400], code[64];
    bool replayed;
};

static struct told tell_at(int port, const char *path, const char *who, const char *key, const char *body)
{
    char request[2000], text[64];
    struct answer a;
    struct told t = {0};
    (void)snprintf(request, sizeof request,
                   "POST %s HTTP/1.1\r\n" HOST "%s\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", path, who,
                   key ? "Idempotency-Key: " : "", key ? key : "", key ? "\r\n" : "", strlen(body), body);
    ask(port, request, &a);
    t.status = a.status;
    (void)snprintf(t.body, sizeof t.body, "%s", a.body);
    _cleanup_json_ json_t *json = a.body[0] == '{' && a.len < 10000 ? answer_json(&a) : NULL;
    (void)snprintf(t.code, sizeof t.code, "%s", json_str(json, "code", ""));
    t.replayed = str_equal(answer_header(&a, "Idempotent-Replayed", text, sizeof text), "true");
    if (strcmp(t.code, "idempotency_in_progress") == 0)
        assert_int_equal(header_number(&a, "Retry-After"), 1);
    answer_free(&a);
    return t;
}

#define ANN "Authorization: Bearer ann"
#define BOB "Authorization: Bearer bob"
#define tell(p, path, who, key, body) tell_at(place_port(p, 0), path, who, key, body)

static void expect(struct told t, int status, const char *code, bool replayed)
{
    if (t.status != status || (code && strcmp(t.code, code) != 0) || t.replayed != replayed)
        fail_msg("%d %s %s instead of %d %s %s: %s", t.status, t.code, t.replayed ? "replayed" : "", status,
                 code ? code : "", replayed ? "replayed" : "", t.body);
}

#define served(p) atomic_load(&(p)->app.served)
#define GOOD "{\"do\":\"it\"}"

static void a_repeat_gets_the_same_answer(void **state)
{
    struct place *p = *state;
    struct told first = tell(p, "/order", ANN, "key-1", GOOD), again;
    expect(first, 201, NULL, false);
    for (int i = 0; i < 3; i++) {
        again = tell(p, "/order", ANN, "key-1", GOOD);
        expect(again, 201, NULL, true);
        assert_string_equal(again.body, first.body);
    }
    assert_int_equal(served(p), 1);
    expect(tell(p, "/order", ANN, "key-2", GOOD), 201, NULL, false);
    expect(tell(p, "/order", ANN, NULL, GOOD), 201, NULL, false);
    expect(tell(p, "/order", ANN, NULL, GOOD), 201, NULL, false);
    assert_int_equal(served(p), 4);
    expect(tell(p, "/order", ANN, "none", "{\"do\":\"nothing\"}"), 204, NULL, false);
    expect(tell(p, "/order", ANN, "none", "{\"do\":\"nothing\"}"), 204, NULL, true);
    assert_int_equal(served(p), 5);
}

static void a_key_belongs_to_one_request(void **state)
{
    struct place *p = *state;
    expect(tell(p, "/order", ANN, "k", GOOD), 201, NULL, false);
    expect(tell(p, "/order", ANN, "k", "{\"do\": \"it\"}"), 422, "idempotency_mismatch", false);
    expect(tell(p, "/order?x=1", ANN, "k", GOOD), 422, "idempotency_mismatch", false);
    assert_int_equal(served(p), 1);
    /* others' keys, and those of other routes, are other keys */
    expect(tell(p, "/order", BOB, "k", GOOD), 201, NULL, false);
    expect(tell(p, "/order", "X-RBAC-SYNC-SECRET: service", "k", GOOD), 201, NULL, false);
    expect(tell(p, "/order", "X-RBAC-SYNC-SECRET: service", "k", GOOD), 201, NULL, true);
    expect(tell(p, "/order/1", ANN, "k", GOOD), 201, NULL, false);
    expect(tell(p, "/order/2", ANN, "k", GOOD), 422, "idempotency_mismatch", false);
    expect(tell(p, "/public", "X-Forwarded-For: 1.2.3.4", "k", GOOD), 201, NULL, false);
    expect(tell(p, "/public", "X-Forwarded-For: 1.2.3.5", "k", GOOD), 201, NULL, false);
    expect(tell(p, "/public", "X-Forwarded-For: 1.2.3.4", "k", GOOD), 201, NULL, true);
    assert_int_equal(served(p), 6);
}

static void keys_that_are_none(void **state)
{
    struct place *p = *state;
    char key[140];
    memset(key, '~', sizeof key);
    key[128] = '\0';
    expect(tell(p, "/order", ANN, key, GOOD), 201, NULL, false);
    expect(tell(p, "/order", ANN, key, GOOD), 201, NULL, true);
    key[128] = '~';
    key[129] = '\0';
    const char *const wrong[] = {"", key, "a b", "\xC3\xA9", "a\tb"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect(tell(p, "/order", ANN, wrong[i], GOOD), 400, "invalid_idempotency_key", false);
    expect(tell(p, "/order", ANN, "\x7f", GOOD), 400, "bad_request", false); /* no header may hold it */
    expect(tell(p, "/order", ANN, "a\r\nIdempotency-Key: b", GOOD), 400, "bad_request", false);
    assert_int_equal(served(p), 1);
    /* a route that takes none doesn't look at it */
    expect(tell(p, "/plain", ANN, "", GOOD), 201, NULL, false);
    expect(tell(p, "/plain", ANN, "k", GOOD), 201, NULL, false);
    expect(tell(p, "/plain", ANN, "k", GOOD), 201, NULL, false);
}

static void only_answers_for_good_are_kept(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *body;
        int status;
        bool kept;
    } cases[] = {{"{\"do\":\"fail\"}", 500, false},
                 {"{\"do\":\"forbid\"}", 403, false},
                 {"{\"do\":\"conflict\"}", 409, false},
                 {"{\"do\":\"exhausted\"}", 403, true},
                 {"{\"do\":\"unreadable\"}", 403, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%zu", i);
        int before = served(p);
        expect(tell(p, "/order", ANN, key, cases[i].body), cases[i].status, NULL, false);
        expect(tell(p, "/order", ANN, key, cases[i].body), cases[i].status, NULL, cases[i].kept);
        assert_int_equal(served(p) - before, cases[i].kept ? 1 : 2);
        if (!cases[i].kept) /* free for another request */
            expect(tell(p, "/order", ANN, key, GOOD), 201, NULL, false);
    }
}

/* What is refused before the handler leaves no trace. */
static void refused_requests_claim_nothing(void **state)
{
    struct place *p = *state;
    expect(tell(p, "/order", ANN, "k", "{"), 400, "malformed_json", false);
    expect(tell(p, "/order", ANN, "k", "{}"), 400, "missing_field", false);
    expect(tell(p, "/order", "X-No: token", "k", GOOD), 401, "unauthorized", false);
    assert_int_equal(store_int(p->store->db, "SELECT count(*) FROM idempotency_keys"), 0);
    expect(tell(p, "/order", ANN, "k", GOOD), 201, NULL, false);
}

/* Done once and for all, even if the answer can't be shown again. */
static void an_answer_that_cannot_be_kept(void **state)
{
    struct place *p = *state;
    static const char *const bodies[] = {"{\"do\":\"large\"}", "{\"do\":\"bytes\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        const char *key = i ? "b" : "a";
        assert_int_equal(tell(p, "/order", ANN, key, bodies[i]).status, 200);
        expect(tell(p, "/order", ANN, key, bodies[i]), 409, "idempotency_not_kept", false);
        assert_int_equal(served(p), (int)i + 1);
    }
}

#define REQUEST(body, length) \
    "POST /order HTTP/1.1\r\n" HOST ANN "\r\nIdempotency-Key: k\r\nContent-Length: " length "\r\n\r\n" body

/* Two servers, 32 at once: one does it. */
static void one_of_many_at_once_does_it(void **state)
{
    struct place *p = *state;
    place_add(p, tables, "first-secret");
    struct crowd k = {.ports = {place_port(p, 0), place_port(p, 1)}, .port_count = 2};
    crowd_run(&k, REQUEST("{\"do\":\"it\"}", "11"), 32);
    assert_int_equal(served(p), 1);
    assert_int_equal(crowd_count(&k, 201) + crowd_count(&k, 409), 32);
    assert_true(crowd_count(&k, 201) >= 1);
    crowd_free(&k);
    expect(tell_at(place_port(p, 1), "/order", ANN, "k", GOOD), 201, NULL, true);
}

struct held {
    struct place *p;
    const char *path, *key, *body;
    struct told told;
};

#define WAIT "{\"do\":\"wait\"}"
#define HOLD "{\"do\":\"hold\"}"

static void *tell_waiting(void *arg)
{
    struct held *h = arg;
    h->told = tell(h->p, h->path, ANN, h->key, h->body ? h->body : WAIT);
    return NULL;
}

/* Begins a request whose handler waits; `n` handlers wait then. */
static pthread_t begin_waiting(struct held *h, int n)
{
    pthread_t t;
    atomic_store(&h->p->app.shut, true);
    assert_int_equal(pthread_create(&t, NULL, tell_waiting, h), 0);
    assert_true(await_count(&h->p->app.waiting, n));
    return t;
}

static void while_it_runs_others_are_told(void **state)
{
    struct place *p = *state;
    struct held h = {.p = p, .path = "/order", .key = "k"};
    pthread_t t = begin_waiting(&h, 1);
    expect(tell(p, "/order", ANN, "k", WAIT), 409, "idempotency_in_progress", false);
    expect(tell(p, "/order", ANN, "k", GOOD), 422, "idempotency_mismatch", false);
    expect(tell(p, "/order", ANN, "other", GOOD), 201, NULL, false);
    atomic_store(&p->app.shut, false);
    pthread_join(t, NULL);
    expect(h.told, 201, NULL, false);
    expect(tell(p, "/order", ANN, "k", WAIT), 201, NULL, true);
}

#define EXPIRE "UPDATE idempotency_keys SET expires_at = '2020-01-01T00:00:00.000Z'"

static void answers_are_kept_for_a_day(void **state)
{
    struct place *p = *state;
    expect(tell(p, "/order", ANN, "k", GOOD), 201, NULL, false);
    assert_int_equal(store_int(p->store->db, "SELECT count(*) FROM idempotency_keys WHERE state = 'done' AND "
                                             "expires_at > date_created"),
                     1);
    assert_int_equal(store_exec(p->store->db, EXPIRE), 0);
    expect(tell(p, "/order", ANN, "k", "{\"do\": \"another\"}"), 201, NULL, false);
    expect(tell(p, "/order", ANN, "k", "{\"do\": \"another\"}"), 201, NULL, true);
    assert_int_equal(served(p), 2);
}

/* A claim whose server died ends with its lease; who comes back late can't settle what another has claimed.
 */
static void a_lost_claim_settles_nothing(void **state)
{
    struct place *p = *state;
    struct held h = {.p = p, .path = "/order", .key = "k"};
    pthread_t t = begin_waiting(&h, 1);
    assert_int_equal(store_exec(p->store->db, EXPIRE), 0);
    struct held second = h;
    pthread_t t2 = begin_waiting(&second, 2);
    expect(tell(p, "/order", ANN, "k", WAIT), 409, "idempotency_in_progress", false);
    atomic_store(&p->app.shut, false);
    pthread_join(t, NULL);
    pthread_join(t2, NULL);
    expect(h.told, 201, NULL, false);
    expect(second.told, 201, NULL, false);
    struct told replay = tell(p, "/order", ANN, "k", WAIT);
    expect(replay, 201, NULL, true);
    assert_string_equal(replay.body, second.told.body);
}

#define MADE "SELECT count(*) FROM made"

static void the_effect_and_the_answer_are_one_unit(void **state)
{
    struct place *p = *state;
    assert_int_equal(store_exec(p->store->db, "CREATE TABLE made (what TEXT)"), 0);
    struct told first = tell(p, "/make", ANN, "k", GOOD), again = tell(p, "/make", ANN, "k", GOOD);
    expect(first, 200, NULL, false);
    expect(again, 200, NULL, true);
    assert_string_equal(first.body, again.body);
    expect(tell(p, "/make", ANN, NULL, GOOD), 200, NULL, false); /* without a key nothing is kept */
    assert_int_equal(store_int(p->store->db, MADE), 2);
    /* what was done stays done, whatever the handler says afterwards */
    expect(tell(p, "/make", ANN, "f", "{\"do\":\"fail\"}"), 500, NULL, false);
    expect(tell(p, "/make", ANN, "f", "{\"do\":\"fail\"}"), 200, NULL, true);
    assert_int_equal(store_int(p->store->db, MADE), 3);
}

/* The lease has ended and another works for the key: the late one's effect is undone. */
static void a_lost_claim_undoes_the_effect(void **state)
{
    struct place *p = *state;
    assert_int_equal(store_exec(p->store->db, "CREATE TABLE made (what TEXT)"), 0);
    struct held late = {.p = p, .path = "/make", .key = "k"};
    pthread_t t = begin_waiting(&late, 1);
    assert_int_equal(store_exec(p->store->db,
                                "UPDATE idempotency_keys SET claim = '11111111-1111-4111-8111-111111111111'"),
                     0);
    atomic_store(&p->app.shut, false);
    pthread_join(t, NULL);
    expect(late.told, 409, "idempotency_in_progress", false);
    assert_int_equal(store_int(p->store->db, MADE), 0);
}

/* Between its unit and its reply the answer may still change; if the reply never comes, the unit's counts. */
static void what_a_unit_kept_waits_for_the_reply(void **state)
{
    struct place *p = *state;
    assert_int_equal(store_exec(p->store->db, "CREATE TABLE made (what TEXT)"), 0);
    struct held h = {.p = p, .path = "/make", .key = "k", .body = HOLD};
    pthread_t t = begin_waiting(&h, 1);
    expect(tell(p, "/make", ANN, "k", HOLD), 409, "idempotency_in_progress", false);
    expect(tell(p, "/make", ANN, "k", GOOD), 422, "idempotency_mismatch", false);
    assert_int_equal(store_exec(p->store->db, "UPDATE idempotency_keys SET claimed_until = "
                                              "'2020-01-01T00:00:00.000Z'"),
                     0);
    struct told as_kept = tell(p, "/make", ANN, "k", HOLD);
    expect(as_kept, 200, NULL, true);
    atomic_store(&p->app.shut, false);
    pthread_join(t, NULL);
    assert_string_equal(h.told.body, as_kept.body);
    expect(tell(p, "/make", ANN, "k", HOLD), 200, NULL, true);
    assert_int_equal(store_int(p->store->db, MADE), 1);
}

static void without_the_store_nothing_runs(void **state)
{
    struct place *p = *state;
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE idempotency_keys RENAME TO gone"), 0);
    expect(tell(p, "/order", ANN, "k", GOOD), 503, "store_unavailable", false);
    assert_int_equal(served(p), 0);
    expect(tell(p, "/order", ANN, NULL, GOOD), 201, NULL, false);
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE gone RENAME TO idempotency_keys"), 0);
    expect(tell(p, "/order", ANN, "k", GOOD), 201, NULL, false);
}

/* The answer is the client's all the same; only its repetition has to wait. */
static void an_answer_that_cannot_be_settled(void **state)
{
    struct place *p = *state;
    struct held h = {.p = p, .path = "/order", .key = "k"};
    pthread_t t = begin_waiting(&h, 1);
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE idempotency_keys RENAME TO gone"), 0);
    atomic_store(&p->app.shut, false);
    pthread_join(t, NULL);
    expect(h.told, 201, NULL, false);
    assert_int_equal(store_exec(p->store->db, "ALTER TABLE gone RENAME TO idempotency_keys"), 0);
    expect(tell(p, "/order", ANN, "k", WAIT), 409, "idempotency_in_progress", false);
}

static void secrets_may_rotate(void **state)
{
    struct place *p = *state;
    expect(tell(p, "/order", ANN, "k", GOOD), 201, NULL, false);
    place_add(p, tables, "second-secret, first-secret");
    expect(tell_at(place_port(p, 1), "/order", ANN, "k", GOOD), 201, NULL, true);
}

/* The body may hold a password: what is kept of it can't be tried out without the server's secret. */
static void the_digest_is_kept_under_a_secret(void **state)
{
    struct place *p = *state;
    expect(tell(p, "/public", "X-Forwarded-For: 1.2.3.4", "k", GOOD), 201, NULL, false);
    place_add(p, tables, "third-secret");
    expect(tell_at(place_port(p, 1), "/public", "X-Forwarded-For: 1.2.3.4", "k", GOOD), 422,
           "idempotency_mismatch", false);
}

static reply never(struct request *rq)
{
    return reply_empty(rq, 500);
}

static void only_rows_that_wait_may_be_idempotent(void **state)
{
    static const struct route fast[] = {
        {HTTP_POST, "/", AUTH_NONE, WRITES, FAST, never, NO_BODY, "", .idempotent = true}, ROUTES_END};
    static const struct route get[] = {
        {HTTP_GET, "/", AUTH_NONE, READS, BLOCKING, never, NO_BODY, "", .idempotent = true}, ROUTES_END};
    const struct route *const wrong[2][2] = {{fast, NULL}, {get, NULL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct route_set *set = NULL;
        assert_int_equal(routes_compile(wrong[i], &set), -EINVAL);
    }
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_PLACE(a_repeat_gets_the_same_answer),
        AT_PLACE(a_key_belongs_to_one_request),
        AT_PLACE(keys_that_are_none),
        AT_PLACE(only_answers_for_good_are_kept),
        AT_PLACE(refused_requests_claim_nothing),
        AT_PLACE(an_answer_that_cannot_be_kept),
        AT_PLACE(one_of_many_at_once_does_it),
        AT_PLACE(while_it_runs_others_are_told),
        AT_PLACE(answers_are_kept_for_a_day),
        AT_PLACE(a_lost_claim_settles_nothing),
        AT_PLACE(the_effect_and_the_answer_are_one_unit),
        AT_PLACE(a_lost_claim_undoes_the_effect),
        AT_PLACE(what_a_unit_kept_waits_for_the_reply),
        AT_PLACE(without_the_store_nothing_runs),
        AT_PLACE(an_answer_that_cannot_be_settled),
        AT_PLACE(secrets_may_rotate),
        AT_PLACE(the_digest_is_kept_under_a_secret),
        cmocka_unit_test(only_rows_that_wait_may_be_idempotent),
    };
    log_configure(LOG_ERROR, true);
    return cmocka_run_group_tests_name("limits/idempotency", tests, NULL, NULL);
}
