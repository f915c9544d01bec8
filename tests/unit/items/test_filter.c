/* SPDX-License-Identifier: MIT */
/* Filters against a slow evaluation of the same filter over the rows themselves, with SQL's third truth
 * value; random rows, random filters, a fixed seed. And what a query may not do. */
#include "rows.h"

#include "items/filter.h"

#define ROWS 60
#define FILTERS 1500

enum truth { NO, UNKNOWN, YES };

static uint64_t seed = 0x2545F4914F6CDD1Du;

static int below(int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int)(seed % (uint64_t)n);
}

static const char *const words[] = {"",     "a",   "b", "ab",  "A",    "Ab", "a'b",
                                    "100%", "x_y", "é", "Zoë", "null", "-1", "\\"};
static const char *const times[] = {"2025-01-01T00:00:00.000Z", "2025-06-01T12:30:00.500Z",
                                    "2026-01-01T00:00:00.000Z"};
static const char *const statuses[] = {"active", "churned", "win-back", "trial"};

static json_t *random_word(void)
{
    return json_string(words[below((int)ARRAY_LEN(words))]);
}

/* A value of a field of fan_profiles. */
static json_t *random_value(const char *field)
{
    if (strcmp(field, "status") == 0)
        return json_string(statuses[below(4)]);
    if (strcmp(field, "last_seen_at") == 0)
        return json_string(times[below(3)]);
    if (strcmp(field, "total_spend") == 0)
        return json_real(below(8) / 2.0);
    if (strcmp(field, "message_count") == 0)
        return json_integer(below(5));
    if (strcmp(field, "lifetime_days") == 0)
        return json_integer(below(3));
    return random_word();
}

static const struct {
    const char *name;
    bool nullable, ordered;
} fields[] = {
    {"display_name", true, true},  {"username", true, true},     {"status", false, false},
    {"last_seen_at", true, true},  {"total_spend", false, true}, {"message_count", false, true},
    {"lifetime_days", true, true}, {"notes", true, true},
};

static void make_rows(struct rows_world *w, enum person who, int n)
{
    struct items_error error;
    for (int i = 0; i < n; i++) {
        json_t *values = json_pack("{s:s}", "platform", "x");
        for (size_t f = 0; f < ARRAY_LEN(fields); f++)
            if (access_writes(access_column(access_collection("fan_profiles"), fields[f].name), ACTION_CREATE,
                              &w->people[who]))
                (void)json_object_set_new(values, fields[f].name,
                                          fields[f].nullable && below(4) == 0 ? json_null()
                                                                              : random_value(fields[f].name));
        if (create(w, who, "fan_profiles", values, NULL, &error) != 0)
            fail_msg("%s", error.sentence);
    }
}

/* ---- random filters */

static json_t *random_list(const char *field)
{
    json_t *list = json_array();
    for (int n = below(4); n > 0; n--)
        (void)json_array_append_new(list, random_value(field));
    return list;
}

static json_t *random_test(size_t f)
{
    static const char *const compares[] = {"_eq", "_neq", "_lt", "_lte", "_gt", "_gte"};
    bool text = f == 0 || f == 1 || f == 7;
    json_t *test = json_object();
    for (int n = 1 + below(2); n > 0; n--) {
        int kind = below(10);
        if (kind < 5)
            (void)json_object_set_new(test, compares[below(fields[f].ordered ? 6 : 2)],
                                      random_value(fields[f].name));
        else if (kind < 7)
            (void)json_object_set_new(test, below(2) ? "_in" : "_nin", random_list(fields[f].name));
        else if (kind < 9 || !text)
            (void)json_object_set_new(test, below(2) ? "_null" : "_nnull", json_boolean(below(2)));
        else
            (void)json_object_set_new(test, "_contains", random_word());
    }
    return test;
}

static json_t *random_filter(int depth)
{
    json_t *filter = json_object();
    for (int n = below(3); n > 0; n--) {
        size_t f = (size_t)below((int)ARRAY_LEN(fields));
        if (depth > 0 && below(3) == 0) {
            json_t *list = json_array();
            for (int k = below(3); k > 0; k--)
                (void)json_array_append_new(list, random_filter(depth - 1));
            (void)json_object_set_new(filter, below(2) ? "_and" : "_or", list);
        } else {
            (void)json_object_set_new(filter, fields[f].name, random_test(f));
        }
    }
    return filter;
}

/* ---- the slow evaluation */

static enum truth truth(bool yes)
{
    return yes ? YES : NO;
}

static enum truth not(enum truth t) { return (enum truth)(YES - t); }

static int compare(const json_t *a, const json_t *b)
{
    if (json_is_number(a)) {
        double x = json_number_value(a), y = json_number_value(b);
        return x < y ? -1 : x > y;
    }
    return strcmp(json_string_value(a), json_string_value(b));
}

static enum truth in_list(const json_t *value, const json_t *list)
{
    bool found = false;
    if (json_array_size(list) == 0)
        return NO;
    if (json_is_null(value))
        return UNKNOWN;
    for (size_t i = 0; i < json_array_size(list); i++)
        found |= compare(value, json_array_get(list, i)) == 0;
    return truth(found);
}

static enum truth test_one(const json_t *value, const char *op, const json_t *with)
{
    if (strcmp(op, "_null") == 0 || strcmp(op, "_nnull") == 0)
        return truth(json_is_null(value) == (json_is_true(with) == (op[2] == 'u')));
    if (strcmp(op, "_in") == 0)
        return in_list(value, with);
    if (strcmp(op, "_nin") == 0)
        return not(in_list(value, with));
    if (json_is_null(value))
        return strcmp(op, "_contains") == 0 && !json_string_length(with) ? NO : UNKNOWN;
    if (strcmp(op, "_contains") == 0)
        return truth(strstr(json_string_value(value), json_string_value(with)) != NULL);
    int c = compare(value, with);
    return truth(strcmp(op, "_eq") == 0    ? c == 0
                 : strcmp(op, "_neq") == 0 ? c != 0
                 : strcmp(op, "_lt") == 0  ? c < 0
                 : strcmp(op, "_lte") == 0 ? c <= 0
                 : strcmp(op, "_gt") == 0  ? c > 0
                                           : c >= 0);
}

static enum truth least(enum truth a, enum truth b)
{
    return a < b ? a : b;
}

static enum truth test_row(const json_t *row, const json_t *filter)
{
    const char *name, *op;
    json_t *value, *with;
    enum truth all = YES;
    json_object_foreach ((json_t *)filter, name, value) {
        if (name[0] == '_') {
            bool any = strcmp(name, "_or") == 0;
            enum truth group = json_array_size(value) == 0 || !any ? YES : NO;
            for (size_t i = 0; i < json_array_size(value); i++) {
                enum truth t = test_row(row, json_array_get(value, i));
                group = any ? (t > group ? t : group) : least(group, t);
            }
            all = least(all, group);
            continue;
        }
        json_object_foreach (value, op, with)
            all = least(all, test_one(json_object_get(row, name), op, with));
    }
    return all;
}

static int read_rows(struct rows_world *w, enum person who, const struct items_query *q, json_t **ret,
                     json_t **ret_meta, struct items_error *error)
{
    return items_read(w->db, &w->people[who], "fan_profiles", q, ret, ret_meta, error);
}

static void filters_agree_with_the_slow_way(void **state)
{
    struct rows_world *w = *state;
    struct items_query everything = {.limit = -1};
    struct items_error error;
    json_t *all, *found, *meta;
    int matches = 0;
    make_rows(w, BERT, ROWS);
    make_rows(w, ANNA, 10);
    assert_int_equal(read_rows(w, BERT, &everything, &all, NULL, &error), 0);
    assert_int_equal(json_array_size(all), ROWS);
    for (int n = 0; n < FILTERS; n++) {
        json_t *filter = random_filter(2), *expected = json_array();
        struct items_query q = {.filter = filter, .limit = -1, .total_count = true, .filter_count = true};
        for (size_t i = 0; i < ROWS; i++)
            if (test_row(json_array_get(all, i), filter) == YES)
                (void)json_array_append(expected, json_array_get(all, i));
        int r = read_rows(w, BERT, &q, &found, &meta, &error);
        if (r != 0 || !json_equal(found, expected)) {
            char *text = json_dumps(filter, 0);
            fail_msg("%s: %d %s, %zu rows instead of %zu", text, r, error.sentence, json_array_size(found),
                     json_array_size(expected));
        }
        assert_int_equal(json_int(meta, "total_count", -1), ROWS);
        assert_int_equal(json_int(meta, "filter_count", -1), (int64_t)json_array_size(expected));
        matches += json_array_size(expected) > 0 && json_array_size(expected) < ROWS;
        json_decref(filter);
        json_decref(expected);
        json_decref(found);
        json_decref(meta);
    }
    assert_true(matches > FILTERS / 10); /* the test would be blind if nearly all or no rows ever matched */
    json_decref(all);
}

static void sorting_and_pages(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    make_rows(w, BERT, ROWS);
    for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
        json_t *sort = json_pack("[s+]", "-", fields[f].name), *whole, *page;
        struct items_query q = {.sort = sort, .limit = -1};
        assert_int_equal(read_rows(w, BERT, &q, &whole, NULL, &error), 0);
        for (size_t i = 1; i < ROWS; i++) {
            const json_t *a = json_object_get(json_array_get(whole, i - 1), fields[f].name),
                         *b = json_object_get(json_array_get(whole, i), fields[f].name);
            if (!json_is_null(a) && !json_is_null(b))
                assert_true(compare(a, b) >= 0);
        }
        q.limit = 7;
        for (size_t i = 0; i < ROWS;
             i += 7) { /* pages neither overlap nor leave gaps, though many values are equal */
            q.offset = (int64_t)i;
            assert_int_equal(read_rows(w, BERT, &q, &page, NULL, &error), 0);
            for (size_t k = 0; k < json_array_size(page); k++)
                assert_true(json_equal(json_array_get(page, k), json_array_get(whole, i + k)));
            json_decref(page);
        }
        json_decref(whole);
        json_decref(sort);
    }
}

static void searching(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    static const struct {
        const char *search;
        int found;
    } cases[] = {{"ALPHA", 1}, {"alp", 1},  {"%", 1},     {"_", 1}, {"\\", 1},
                 {"'", 1},     {"beta", 2}, {"gamma", 0}, {" ", 4}};
    static const char *const names[] = {"Alpha", "100% Beta", "x_y beta", "it's \\"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(create(w, ANNA, "fan_profiles",
                                json_pack("{s:s, s:s}", "platform", "x", "display_name", names[i]), NULL,
                                &error),
                         0);
    (void)create(w, BERT, "fan_profiles", json_pack("{s:s, s:s}", "platform", "x", "display_name", "alpha"),
                 NULL, &error);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_query q = {.search = cases[i].search, .limit = -1};
        json_t *rows;
        assert_int_equal(read_rows(w, ANNA, &q, &rows, NULL, &error), 0);
        if ((int)json_array_size(rows) != cases[i].found)
            fail_msg("'%s' finds %zu", cases[i].search, json_array_size(rows));
        json_decref(rows);
    }
}

/* Runs a query given as JSON parts on behalf of Anna. */
static int ask(struct rows_world *w, enum person who, const char *collection, const char *filter,
               const char *sort, const char *asked, struct items_error *error)
{
    json_t *f = filter ? json_loads(filter, JSON_DECODE_ANY, NULL) : NULL, *rows = NULL;
    json_t *s = sort ? json_loads(sort, JSON_DECODE_ANY, NULL) : NULL;
    json_t *a = asked ? json_loads(asked, JSON_DECODE_ANY, NULL) : NULL;
    struct items_query q = {.filter = f, .sort = s, .fields = a, .limit = 10};
    assert_true((!filter || f) && (!sort || s) && (!asked || a));
    int r = items_read(w->db, &w->people[who], collection, &q, &rows, NULL, error);
    json_decref(f);
    json_decref(s);
    json_decref(a);
    json_decref(rows);
    return r;
}

/* A field that may not be read gives nothing away by any other door, and looks exactly like one that isn't
 * there. */
static void hidden_fields_stay_hidden(void **state)
{
    struct rows_world *w = *state;
    static const struct {
        const char *collection, *field;
    } cases[] = {
        {"platform_connections", "encrypted_credentials"},
        {"user_nodes", "embedding"},
        {"directus_users", "password"},
        {"directus_users", "token"},
        {"directus_users", "tfa_secret"},
        {"directus_users", "subscription_tier"},
        {"directus_users", "anythingllm_user_id"},
        {"directus_users", "status"},
        {"fan_profiles", "notes"},
        {"fan_profiles", "churn_risk"},
        {"fan_profiles", "no_such_field"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_error by_filter, by_sort, by_fields;
        char filter[128], list[128];
        (void)snprintf(filter, sizeof filter, "{\"%s\":{\"_nnull\":true}}", cases[i].field);
        (void)snprintf(list, sizeof list, "[\"%s\"]", cases[i].field);
        assert_int_equal(ask(w, ANNA, cases[i].collection, filter, NULL, NULL, &by_filter), -EACCES);
        assert_int_equal(ask(w, ANNA, cases[i].collection, NULL, list, NULL, &by_sort), -EACCES);
        assert_int_equal(ask(w, ANNA, cases[i].collection, NULL, NULL, list, &by_fields), -EACCES);
        assert_string_equal(by_filter.sentence, by_sort.sentence);
        assert_string_equal(by_filter.sentence, by_fields.sentence);
        (void)snprintf(filter, sizeof filter, "{\"_or\":[{\"_and\":[{\"%s\":{\"_eq\":\"x\"}}]}]}",
                       cases[i].field);
        assert_int_equal(ask(w, ANNA, cases[i].collection, filter, NULL, NULL, &by_filter), -EACCES);
    }
    run_sql(w->db,
            "INSERT INTO fan_profiles (id, user_id, platform, notes, display_name) VALUES ('%s', '%s', 'x', "
            "'needle', 'n')",
            "11111111-2222-4333-8444-555555555555", w->people[ANNA].user_id);
    struct items_query q = {.search = "needle", .limit = 10};
    struct items_error error;
    json_t *rows;
    assert_int_equal(read_rows(w, ANNA, &q, &rows, NULL, &error), 0);
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    assert_int_equal(read_rows(w, ADMIN, &q, &rows, NULL, &error), 0);
    assert_int_equal(json_array_size(rows), 1);
    json_decref(rows);
}

static void wrong_queries(void **state)
{
    struct rows_world *w = *state;
    static const struct {
        const char *filter, *sort, *fields;
    } cases[] = {
        {"[]", NULL, NULL},
        {"\"x\"", NULL, NULL},
        {"{\"username\":{\"_like\":\"x\"}}", NULL, NULL},
        {"{\"username\":{\"_eq\":1}}", NULL, NULL},
        {"{\"username\":{\"_eq\":{\"_eq\":1}}}", NULL, NULL},
        {"{\"username\":{\"_contains\":1}}", NULL, NULL},
        {"{\"username\":{\"_null\":7}}", NULL, NULL},
        {"{\"username\":{\"_in\":{}}}", NULL, NULL},
        {"{\"username\":{\"_in\":[{}]}}", NULL, NULL},
        {"{\"username\":{\"length\":{\"_eq\":1}}}", NULL, NULL},
        {"{\"user_id\":{\"email\":{\"_eq\":\"x\"}}}", NULL, NULL},
        {"{\"user_id.email\":{\"_eq\":\"x\"}}", NULL, NULL},
        {"{\"user_id\":{\"_eq\":\"me\"}}", NULL, NULL},
        {"{\"user_id\":{\"_lt\":\"$CURRENT_USER\"}}", NULL, NULL},
        {"{\"total_spend\":{\"_gt\":\"many\"}}", NULL, NULL},
        {"{\"total_spend\":{\"_contains\":\"1\"}}", NULL, NULL},
        {"{\"last_seen_at\":{\"_gt\":\"yesterday\"}}", NULL, NULL},
        {"{\"last_seen_at\":{\"_gt\":\"$NOW(-1 day)\"}}", NULL, NULL},
        {"{\"status\":{\"_eq\":\"dead\"}}", NULL, NULL},
        {"{\"tags\":{\"_eq\":\"x\"}}", NULL, NULL},
        {"{\"_and\":{}}", NULL, NULL},
        {"{\"_or\":[1]}", NULL, NULL},
        {NULL, "{}", NULL},
        {NULL, "[1]", NULL},
        {NULL, "[\"tags\"]", NULL},
        {NULL, "[\"id\",\"id\",\"id\",\"id\",\"id\",\"id\",\"id\",\"id\",\"id\"]", NULL},
        {NULL, "[\"user_id.email\"]", NULL},
        {NULL, NULL, "{}"},
        {NULL, NULL, "[7]"},
        {NULL, NULL, "[\"user_id.*\"]"},
        {NULL, NULL, "[\"*.*\"]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct items_error error;
        if (ask(w, ANNA, "fan_profiles", cases[i].filter, cases[i].sort, cases[i].fields, &error) != -EINVAL)
            fail_msg("%s %s %s", cases[i].filter, cases[i].sort, cases[i].fields);
        assert_true(error.sentence[0]);
    }
}

static char *nested(int depth)
{
    struct buf b = BUF_INIT(65536);
    for (int i = 0; i < depth; i++)
        (void)buf_adds(&b, i % 2 ? "{\"_or\":[" : "{\"_and\":[");
    for (int i = 0; i < depth; i++)
        (void)buf_adds(&b, "]}");
    return buf_take(&b, NULL);
}

static char *wide(const char *open, const char *item, const char *close, int n)
{
    struct buf b = BUF_INIT(65536);
    (void)buf_adds(&b, open);
    for (int i = 0; i < n; i++)
        (void)buf_addf(&b, "%s%s", i ? "," : "", item);
    (void)buf_adds(&b, close);
    return buf_take(&b, NULL);
}

static void limits(void **state)
{
    struct rows_world *w = *state;
    static const struct {
        const char *open, *item, *close;
        int fits;
    } cases[] = {
        {"{\"_or\":[", "{\"username\":{\"_eq\":\"a\"}}", "]}", FILTER_MAX_CONDITIONS},
        {"{\"username\":{\"_in\":[", "\"a\"", "]}}", FILTER_MAX_LIST},
        {"{\"_or\":[", "{\"username\":{\"_contains\":\"a\"}}", "]}", FILTER_MAX_CONTAINS},
    };
    struct items_error error;
    char *fits = nested(FILTER_MAX_DEPTH - 1), *deep = nested(FILTER_MAX_DEPTH + 1);
    assert_int_equal(ask(w, ANNA, "fan_profiles", fits, NULL, NULL, &error), 0);
    assert_int_equal(ask(w, ANNA, "fan_profiles", deep, NULL, NULL, &error), -EINVAL);
    free(fits);
    free(deep);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fits = wide(cases[i].open, cases[i].item, cases[i].close, cases[i].fits);
        char *large = wide(cases[i].open, cases[i].item, cases[i].close, 2 * cases[i].fits + 1);
        assert_int_equal(ask(w, ANNA, "fan_profiles", fits, NULL, NULL, &error), 0);
        assert_int_equal(ask(w, ANNA, "fan_profiles", large, NULL, NULL, &error), -EINVAL);
        free(fits);
        free(large);
    }
    struct items_query q = {.limit = 1001};
    json_t *rows;
    assert_int_equal(read_rows(w, ANNA, &q, &rows, NULL, &error), -EINVAL);
    q = (struct items_query){.limit = 1, .offset = -1};
    assert_int_equal(read_rows(w, ANNA, &q, &rows, NULL, &error), -EINVAL);
}

static void variables_and_texts_from_urls(void **state)
{
    struct rows_world *w = *state;
    struct items_error error;
    static const struct {
        const char *filter;
        int found;
    } cases[] = {
        {"{\"user_id\":{\"_eq\":\"$CURRENT_USER\"}}", 1},
        {"{\"last_seen_at\":{\"_lt\":\"$NOW\"}}", 1},
        {"{\"last_seen_at\":{\"_gt\":\"$NOW\"}}", 0},
        {"{\"total_spend\":{\"_eq\":\"1.5\"}}", 1},
        {"{\"total_spend\":{\"_gte\":\"2\"}}", 0},
        {"{\"username\":\"anna\"}", 1},
        {"{\"username\":{\"_in\":\"x, anna\"}}", 1},
        {"{\"notes\":{\"_null\":\"true\"}}", 1},
        {"{\"notes\":{\"_null\":\"\"}}", 1},
        {"{\"notes\":{\"_null\":\"false\"}}", 0},
        {"{\"notes\":null}", 1},
        {"{\"notes\":{\"_neq\":null}}", 0},
        {"{\"last_seen_at\":{\"_eq\":\"2025-01-01T02:00:00+02:00\"}}", 1},
    };
    assert_int_equal(create(w, BERT, "fan_profiles",
                            json_pack("{s:s, s:s, s:f, s:s}", "platform", "x", "username", "anna",
                                      "total_spend", 1.5, "last_seen_at", "2025-01-01"),
                            NULL, &error),
                     0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *filter = json_loads(cases[i].filter, 0, NULL), *rows;
        struct items_query q = {.filter = filter, .limit = 10};
        if (read_rows(w, BERT, &q, &rows, NULL, &error) != 0)
            fail_msg("%s: %s", cases[i].filter, error.sentence);
        if ((int)json_array_size(rows) != cases[i].found)
            fail_msg("%s", cases[i].filter);
        json_decref(rows);
        json_decref(filter);
    }
}

int main(void)
{
    log_configure(LOG_ERROR + 1, false);
    const struct CMUnitTest tests[] = {
        WORLD_TEST(filters_agree_with_the_slow_way), WORLD_TEST(sorting_and_pages), WORLD_TEST(searching),
        WORLD_TEST(hidden_fields_stay_hidden),       WORLD_TEST(wrong_queries),     WORLD_TEST(limits),
        WORLD_TEST(variables_and_texts_from_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
