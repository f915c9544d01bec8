/* SPDX-License-Identifier: MIT */
/* The tag scanner: the same visible text and tags however a text is split; and the breaking of openers. */
#include "agent/tags.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define TEXT_MAX (4 * 1024 * 1024)

/* What came out of a scan, tags as "slug=json;". */
struct outcome {
    struct buf visible, tags;
    size_t malformed, n_tags;
};

static uint64_t random_state;

static size_t below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

static void see(void *ctx, const char *text, size_t len)
{
    assert_true(len > 0);
    assert_int_equal(buf_add(ctx, text, len), 0);
}

static void outcome_free(struct outcome *o)
{
    buf_free(&o->visible);
    buf_free(&o->tags);
}

static struct outcome outcome_of(struct tag_scanner *s, struct buf *visible)
{
    struct outcome o = {
        .visible = *visible, .tags = BUF_INIT(TEXT_MAX), .malformed = s->malformed, .n_tags = s->n_tags};
    for (size_t i = 0; i < s->n_tags; i++) {
        assert_int_equal(buf_addf(&o.tags, "%s=", s->tags[i].slug), 0);
        assert_int_equal(json_write(&o.tags, s->tags[i].input), 0);
        assert_int_equal(buf_adds(&o.tags, ";"), 0);
    }
    assert_non_null(buf_str(&o.visible));
    assert_non_null(buf_str(&o.tags));
    return o;
}

/* Scans in pieces that end at the given offsets. */
static struct outcome scan(const char *text, size_t len, const size_t *cuts, size_t n_cuts)
{
    struct buf visible = BUF_INIT(TEXT_MAX);
    struct tag_scanner s;
    size_t from = 0;
    tags_init(&s, see, &visible);
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t to = i < n_cuts ? cuts[i] : len;
        assert_int_equal(tags_feed(&s, text + from, to - from), 0);
        assert_true(s.held.len <= TAG_MAX_BYTES);
        from = to;
    }
    assert_int_equal(tags_finish(&s), 0);
    struct outcome o = outcome_of(&s, &visible);
    tags_free(&s);
    return o;
}

static void assert_same(struct outcome *a, struct outcome b)
{
    assert_string_equal(buf_str(&a->visible), buf_str(&b.visible));
    assert_string_equal(buf_str(&a->tags), buf_str(&b.tags));
    assert_int_equal(a->malformed, b.malformed);
    outcome_free(&b);
}

static void check_splits(const char *text, size_t len, struct outcome *whole)
{
    size_t *all = calloc(len + 1, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < len; i++)
        all[i] = i;
    assert_same(whole, scan(text, len, all, len));
    free(all);
    for (size_t i = 0; i <= len; i++) {
        assert_same(whole, scan(text, len, &i, 1));
        for (size_t k = i; len <= 48 && k <= len; k++)
            assert_same(whole, scan(text, len, (size_t[]){i, k}, 2));
    }
}

#define TAG(json) "[ACTION:go:" json "]"

static const struct {
    const char *text, *visible, *tags;
    size_t malformed;
} cases[] = {
    {"", "", "", 0},
    {"no tag at all", "no tag at all", "", 0},
    {"a [link](https://example.com) and [1] and [[x]]", "a [link](https://example.com) and [1] and [[x]]", "",
     0},
    {"one " TAG("{\"a\":1}") " two", "one  two", "go={\"a\":1};", 0},
    {TAG("{}") TAG("{}"), "", "go={};go={};", 0},
    {TAG("{\"l\":[1,[2,[]],{\"m\":[{}]}]}"), "", "go={\"l\":[1,[2,[]],{\"m\":[{}]}]};", 0},
    {TAG("{\"a\":\"x]y}z[ [ACTION:no:{}]\"}"), "", "go={\"a\":\"x]y}z[ [ACTION:no:{}]\"};", 0},
    {TAG("{\"a\":\"\\\"]\\\\\"}") "!", "!", "go={\"a\":\"\\\"]\\\\\"};", 0},
    {TAG(" { \"a\" : true , \"b\" : null } "), "", "go={\"a\":true,\"b\":null};", 0},
    {TAG("{\"a\":-1.5e+3,\"b\":false}"), "", "go={\"a\":-1500.0,\"b\":false};", 0},
    {"[ACTION:a0-9-:{}]", "", "a0-9-={};", 0},
    {"\xc3\xa9[ACTION:go:{\"k\":\"\xe2\x82\xac\"}]\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80",
     "go={\"k\":\"\xe2\x82\xac\"};", 0},
    /* not tags */
    {"[action:go:{}]", "[action:go:{}]", "", 0},
    {"[ACTION go:{}]", "[ACTION go:{}]", "", 0},
    {"[ACTION::{}]", "[ACTION::{}]", "", 0},
    {"[ACTION:-go:{}]", "[ACTION:-go:{}]", "", 0},
    {"[ACTION:Go:{}]", "[ACTION:Go:{}]", "", 0},
    {"[ACTION:go]", "[ACTION:go]", "", 0},
    {"[ACTION", "[ACTION", "", 0},
    {"[ [[ACTION:", "[ [[ACTION:", "", 0},
    {"[ACTION:a23456789012345678901234567890123456789012345678901234567890abcde:{}]",
     "[ACTION:a23456789012345678901234567890123456789012345678901234567890abcde:{}]", "", 0},
    /* broken tags are text */
    {TAG("[]"), TAG("[]"), "", 1},
    {TAG("\"x\""), TAG("\"x\""), "", 1},
    {TAG("{"), TAG("{"), "", 1},
    {TAG("{a:1}"), TAG("{a:1}"), "", 1},
    {TAG("{\"a\":1,}"), TAG("{\"a\":1,}"), "", 1},
    {TAG("{\"a\":[1,]}"), TAG("{\"a\":[1,]}"), "", 1},
    {TAG("{\"a\" 1}"), TAG("{\"a\" 1}"), "", 1},
    {TAG("{\"a\":[1}]}"), TAG("{\"a\":[1}]}"), "", 1},
    {TAG("{\"a\":1,\"a\":2}"), TAG("{\"a\":1,\"a\":2}"), "", 1},
    {TAG("{\"a\":truth}"), TAG("{\"a\":truth}"), "", 1},
    {TAG("{\"a\":01}"), TAG("{\"a\":01}"), "", 1},
    {TAG("{\"a\":\"\\x\"}"), TAG("{\"a\":\"\\x\"}"), "", 1},
    {TAG("{\"a\":\"line\nbreak\"}"), TAG("{\"a\":\"line\nbreak\"}"), "", 1},
    {TAG("{}}"), TAG("{}}"), "", 1},
    {"[ACTION:go:{\"a\":\"never closed", "[ACTION:go:{\"a\":\"never closed", "", 1},
    {"[ACTION:go:{}", "[ACTION:go:{}", "", 1},
    {"[ACTION:go:", "[ACTION:go:", "", 1},
    /* a good tag after, or inside, a broken one */
    {"[[ACTION:go:{}]]", "[]", "go={};", 0},
    {"[ACTION:[ACTION:go:{}]", "[ACTION:", "go={};", 0},
    {"[ACTION:x:[ACTION:go:{}]", "[ACTION:x:", "go={};", 1},
    {"[ACTION:x:{[ACTION:go:{}]", "[ACTION:x:{", "go={};", 1},
    {"[ACTION:x:{\"a\":[ACTION:go:{}]}]", "[ACTION:x:{\"a\":}]", "go={};", 1},
    {"[ACTION:x:{\"a\":[[ACTION:go:{}]]}]", "[ACTION:x:{\"a\":[]}]", "go={};", 1},
    {"[ACTION:x:{\"a\":1} [ACTION:go:{}]", "[ACTION:x:{\"a\":1} ", "go={};", 1},
    {"[ACTION:x:{oops} then [ACTION:go:{}].", "[ACTION:x:{oops} then .", "go={};", 1},
    {"[ACTION:x:{\"a\":\"in quotes [ACTION:go:{}]", "[ACTION:x:{\"a\":\"in quotes [ACTION:go:{}]", "", 1},
    {"[ACTION:x:{\"a\":\"open\n[ACTION:go:{}]", "[ACTION:x:{\"a\":\"open\n", "go={};", 1},
};

static void each_text_gives_its_tags_for_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].text);
        struct outcome whole = scan(cases[i].text, len, NULL, 0);
        assert_string_equal(buf_str(&whole.visible), cases[i].visible);
        assert_string_equal(buf_str(&whole.tags), cases[i].tags);
        assert_int_equal(whole.malformed, cases[i].malformed);
        check_splits(cases[i].text, len, &whole);
        outcome_free(&whole);
    }
}

static const char *const fragments[] = {
    "[",
    "]",
    "{",
    "}",
    "[ACTION:",
    "[ACTION:go:",
    "[ACTION:go:{",
    "\"",
    "\\",
    ":",
    ",",
    "1",
    "-",
    "true",
    " ",
    "\n",
    "go",
    "\xc3\xa9",
    "\"k\":",
    "\"k\":[",
    "}]",
    "\"}]",
    "{\"a\":\"b\"}",
    TAG("{}"),
    TAG("{\"k\":[{}]}"),
    "[A",
};

static void made_up_texts_do_not_depend_on_the_split(void **state)
{
    (void)state;
    size_t tags = 0, malformed = 0;
    random_state = 88172645463325252u;
    for (int round = 0; round < 800; round++) {
        char text[256] = "";
        for (size_t n = 1 + below(12); n > 0; n--)
            strcat(text, fragments[below(ARRAY_LEN(fragments))]);
        struct outcome whole = scan(text, strlen(text), NULL, 0);
        check_splits(text, strlen(text), &whole);
        tags += whole.n_tags;
        malformed += whole.malformed;
        outcome_free(&whole);
    }
    assert_true(tags > 100 && malformed > 100);
}

static void text_goes_out_as_soon_as_it_can_be_no_tag(void **state)
{
    (void)state;
    static const struct {
        const char *piece, *visible;
    } steps[] = {
        {"Look: ", "Look: "},
        {"see [", "Look: see "},
        {"1]", "Look: see [1]"},
        {" [ACT", "Look: see [1] "},
        {"ORS]", "Look: see [1] [ACTORS]"},
        {"[ACTION:x:{\"a\":", "Look: see [1] [ACTORS]"},
        {"oh", "Look: see [1] [ACTORS][ACTION:x:{\"a\":oh"},
        {" [ACTION:x:{}", "Look: see [1] [ACTORS][ACTION:x:{\"a\":oh "},
        {"] done", "Look: see [1] [ACTORS][ACTION:x:{\"a\":oh  done"},
    };
    struct buf visible = BUF_INIT(TEXT_MAX);
    struct tag_scanner s;
    tags_init(&s, see, &visible);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_int_equal(tags_feed(&s, steps[i].piece, strlen(steps[i].piece)), 0);
        assert_string_equal(buf_str(&visible), steps[i].visible);
    }
    tags_free(&s);
    buf_free(&visible);
}

/* A tag of exactly `len` bytes, its string filled with `fill`. */
static char *long_tag(size_t len, const char *fill)
{
    static const char head[] = "[ACTION:go:{\"a\":\"", tail[] = "\"}]";
    char *text = calloc(1, len + 8);
    assert_non_null(text);
    strcpy(text, head);
    size_t at = strlen(head), step = strlen(fill);
    for (; at + step + strlen(tail) <= len; at += step)
        memcpy(text + at, fill, step);
    for (; at + strlen(tail) < len; at++)
        text[at] = 'x';
    strcpy(text + at, tail);
    assert_int_equal(strlen(text), len);
    return text;
}

static void a_tag_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    char *fits = long_tag(TAG_MAX_BYTES, "y"), *over = long_tag(TAG_MAX_BYTES + 1, "y");
    struct outcome o = scan(fits, TAG_MAX_BYTES, NULL, 0);
    assert_int_equal(o.n_tags, 1);
    assert_int_equal(o.visible.len, 0);
    outcome_free(&o);
    o = scan(over, TAG_MAX_BYTES + 1, NULL, 0);
    assert_int_equal(o.n_tags, 0);
    assert_int_equal(o.malformed, 1);
    assert_string_equal(buf_str(&o.visible), over);
    assert_same(&o, scan(over, TAG_MAX_BYTES + 1, (size_t[]){TAG_MAX_BYTES - 1, TAG_MAX_BYTES}, 2));
    outcome_free(&o);
    free(fits);
    free(over);
}

static void see_whole_characters(void *ctx, const char *text, size_t len)
{
    assert_true(utf8_valid(text, len));
    see(ctx, text, len);
}

static void an_overlong_tag_is_never_cut_inside_a_character(void **state)
{
    (void)state;
    static const char *const fills[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < ARRAY_LEN(fills); i++)
        for (size_t more = 1; more <= 5; more++) {
            struct buf visible = BUF_INIT(TEXT_MAX);
            struct tag_scanner s;
            char *text = long_tag(TAG_MAX_BYTES + more, fills[i]);
            tags_init(&s, see_whole_characters, &visible);
            assert_int_equal(tags_feed(&s, text, strlen(text)), 0);
            assert_int_equal(tags_finish(&s), 0);
            assert_string_equal(buf_str(&visible), text);
            tags_free(&s);
            buf_free(&visible);
            free(text);
        }
}

static void hostile_text_is_held_within_the_limit(void **state)
{
    (void)state;
    static const char *const units[] = {"[",
                                        "[ACTION:",
                                        "[ACTION:a:{",
                                        "[ACTION:a:{\"a\":[",
                                        "[ACTION:a:{\"[ACTION:b:{",
                                        "[ACTION:a:{\"k\":\"",
                                        "\\[ACTION:a:{}"};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct buf text = BUF_INIT(TEXT_MAX);
        while (text.len < 1024 * 1024)
            assert_int_equal(buf_adds(&text, units[i]), 0);
        size_t cuts[] = {100, 70000, 500000};
        struct outcome o = scan(text.data, text.len, cuts, 3);
        assert_string_equal(buf_str(&o.visible), text.data);
        outcome_free(&o);
        buf_free(&text);
    }
}

static void tags_beyond_those_remembered_are_dropped_but_not_shown(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(TEXT_MAX);
    for (int i = 0; i < TAG_MAX_RUN + TAG_MAX_KEPT + 10; i++)
        assert_int_equal(buf_addf(&text, "[ACTION:go:{\"i\":%d}]", i), 0);
    struct outcome o = scan(text.data, text.len, NULL, 0);
    assert_int_equal(o.n_tags, TAG_MAX_RUN + TAG_MAX_KEPT);
    assert_int_equal(o.visible.len, 0);
    outcome_free(&o);
    buf_free(&text);
}

static void nesting_beyond_the_json_limit_is_text(void **state)
{
    (void)state;
    for (int depth = JSON_MAX_DEPTH - 2; depth <= JSON_MAX_DEPTH + 1; depth++) {
        struct buf text = BUF_INIT(TEXT_MAX);
        (void)buf_adds(&text, "[ACTION:go:{\"a\":");
        for (int i = 1; i < depth; i++)
            (void)buf_adds(&text, "[");
        for (int i = 1; i < depth; i++)
            (void)buf_adds(&text, "]");
        (void)buf_adds(&text, "}]");
        struct outcome o = scan(text.data, text.len, NULL, 0);
        assert_int_equal(o.n_tags, depth <= JSON_MAX_DEPTH ? 1 : 0);
        assert_int_equal(o.malformed, depth <= JSON_MAX_DEPTH ? 0 : 1);
        outcome_free(&o);
        buf_free(&text);
    }
}

/* ------------------------------------------------------------------------------------------- breaking */

static const struct {
    const char *text, *broken;
} breaks[] = {
    {"nothing [1] here [ACT] [ACTION]", NULL},
    {"", NULL},
    {"[", NULL},
    {"[ACTION:go:{}]", "[ ACTION:go:{}]"},
    {"[ ACTION:go:{}]", NULL},
    {"[action:go:{}]", "[ action:go:{}]"},
    {"[AcTiOn : go", "[ AcTiOn : go"},
    {"[\tACTION:", "[ \tACTION:"},
    {"[\nA C T I O N :", "[ \nA C T I O N :"},
    {"[\xe2\x80\x8b"
     "ACTION:",
     "[ \xe2\x80\x8b"
     "ACTION:"},                                                               /* zero-width space */
    {"[AC\xe2\x80\x8dTION\xef\xbb\xbf:", "[ AC\xe2\x80\x8dTION\xef\xbb\xbf:"}, /* joiner, byte order mark */
    {"[ACT\xc2\xadION:", "[ ACT\xc2\xadION:"},                                 /* soft hyphen */
    {"[ACTION\xf3\xa0\x81\x81:", "[ ACTION\xf3\xa0\x81\x81:"},                 /* a tag character */
    {"[\xc2\xa0"
     "ACTION:",
     "[ \xc2\xa0"
     "ACTION:"}, /* no-break space */
    {"[[ACTION:[ACTION:", "[[ ACTION:[ ACTION:"},
    {"\xc3\xa9[ACTION:x\xc3", "\xc3\xa9[ ACTION:x\xc3"},
};

static void an_opener_gets_a_space_and_nothing_else_changes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, TEXT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
        const char *want = breaks[i].broken ? breaks[i].broken : breaks[i].text;
        char *broken = tags_break(&a, breaks[i].text);
        assert_string_equal(broken, want);
        assert_int_equal(tags_present(breaks[i].text), breaks[i].broken != NULL);
        assert_false(tags_present(broken));
        assert_string_equal(tags_break(&a, broken), broken);
    }
    arena_free(&a);
}

static void no_tag_survives_breaking(void **state)
{
    (void)state;
    struct arena a;
    random_state = 1442695040888963407u;
    for (int round = 0; round < 2000; round++) {
        char text[256] = "";
        for (size_t n = 1 + below(12); n > 0; n--)
            strcat(text, fragments[below(ARRAY_LEN(fragments))]);
        arena_init(&a, TEXT_MAX);
        char *broken = tags_break(&a, text);
        struct outcome o = scan(broken, strlen(broken), NULL, 0);
        assert_int_equal(o.n_tags, 0);
        assert_int_equal(o.malformed, 0);
        outcome_free(&o);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_gives_its_tags_for_every_split),
        cmocka_unit_test(made_up_texts_do_not_depend_on_the_split),
        cmocka_unit_test(text_goes_out_as_soon_as_it_can_be_no_tag),
        cmocka_unit_test(a_tag_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(an_overlong_tag_is_never_cut_inside_a_character),
        cmocka_unit_test(hostile_text_is_held_within_the_limit),
        cmocka_unit_test(tags_beyond_those_remembered_are_dropped_but_not_shown),
        cmocka_unit_test(nesting_beyond_the_json_limit_is_text),
        cmocka_unit_test(an_opener_gets_a_space_and_nothing_else_changes),
        cmocka_unit_test(no_tag_survives_breaking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
