/* SPDX-License-Identifier: MIT */
/* What comes out may be posted, whatever a model said. */
#include "agent/caption_text.h"
#include "base/grapheme.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, (size_t)64 * 1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static const char *finish(const char *platform, int sentences, const char *topic, const char *said)
{
    const struct caption_form form = {platform_find(platform), sentences, topic};
    const char *s = caption_finish(&arena, &form, said);
    assert_non_null(s);
    assert_true(utf8_valid(s, strlen(s)));
    return s;
}

static void frames_go(void **state)
{
    (void)state;
    static const struct {
        const char *said, *left;
    } cases[] = {
        {"Come and see.", "Come and see."},
        {"  \n Come and see. \n", "Come and see."},
        {"\"Come and see.\"", "Come and see."},
        {"\xE2\x80\x9C"
         "Come and see.\xE2\x80\x9D",
         "Come and see."},
        {"Here is your caption: Come and see.", "Come and see."},
        {"Here's a playful caption for fansly:\n\n\"Come and see.\"", "Come and see."},
        {"Sure! Here's a caption:\n\nCome and see.", "Come and see."},
        {"Sure thing!\n\n\"Come and see.\"", "Come and see."},
        {"**Caption:** Come and see.", "Come and see."},
        {"Caption: \"Come and see.\" #one #two", "Come and see. #one #two"},
        {"```\nCome and see.\n```", "Come and see."},
        {"Come and see.\n\nLet me know if you want another one!", "Come and see."},
        {"Come and see.\n\nNote: this one is short.", "Come and see."},
        {"\"Come\" she said, \"and see.\"", "\"Come\" she said, \"and see.\""},
        {"Sure you want this: then come.", "Sure you want this: then come."},
        {"Here is the thing: I love you.", "Here is the thing: I love you."},
        {"Come\x01 \t and\n\n\n\nsee.", "Come and\n\nsee."},
        {"", ""},
        {"  \n ", ""},
        {"\"\"", ""},
        {"Here is your caption:", "Here is your caption:"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(finish("fansly", 8, "t", cases[i].said), cases[i].left);
}

static void sentences_are_counted(void **state)
{
    (void)state;
    static const struct {
        int most;
        const char *said, *left;
    } cases[] = {
        {2, "One. Two! Three?", "One. Two!"},
        {1, "It costs 3.50 today. Come.", "It costs 3.50 today."},
        {2, "Hi! \xF0\x9F\x98\x98 Look... Now.", "Hi! \xF0\x9F\x98\x98 Look..."},
        {1, "See example.org/a.b now. Bye.", "See example.org/a.b now."},
        {2, "One line\nAnother line\nA third", "One line\nAnother line"},
        {1, "One. Two. #tag #other", "One. #tag #other"},
        {2, "\xE4\xB8\x80\xE3\x80\x82\xE4\xBA\x8C\xE3\x80\x82\xE4\xB8\x89\xE3\x80\x82",
         "\xE4\xB8\x80\xE3\x80\x82\xE4\xBA\x8C\xE3\x80\x82"},
        {1, "No end at all", "No end at all"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(finish("fansly", cases[i].most, "t", cases[i].said), cases[i].left);
}

static void links_stay_on_the_own_site(void **state)
{
    (void)state;
    static const struct {
        const char *said, *left;
    } cases[] = {
        {"See https://evil.example/x now", "See now"},
        {"See www.other.com, or not", "See, or not"},
        {"See other.com/me!", "See!"},
        {"See t.me/anna and bit.ly/x", "See and"},
        {"\xF0\x9F\x91\x89https://evil.example", "\xF0\x9F\x91\x89"},
        {"Go [here](https://evil.example/a?b=c) now", "Go here now"},
        {"(https://evil.example)", ""},
        {"HTTPS://EVIL.EXAMPLE stays away", "stays away"},
        {"See https://onlyfans.com/anna now", "See https://onlyfans.com/anna now"},
        {"See onlyfans.com/anna now", "See onlyfans.com/anna now"},
        {"See https://notonlyfans.com now", "See now"},
        {"See https://onlyfans.com.evil.example now", "See now"},
        {"See https://onlyfans.com@evil.example now", "See now"},
        {"See evil.()com now", "See now"},
        {"See evil.<>com now", "See now"},
        {"See evil.(other.[]com)com now", "See now"},
        {"I said no.So what", "I said no.So what"},
        {"It is 3.50 or 4/5, e.g. tonight...", "It is 3.50 or 4/5, e.g. tonight..."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(finish("onlyfans", 8, "t", cases[i].said), cases[i].left);
    assert_string_equal(finish("fansly", 8, "t", "See other.com/me!"), "See other.com/me!");
}

static int count_tags(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += *s == '#';
    return n;
}

static void instagram_has_three_to_five_hashtags(void **state)
{
    (void)state;
    assert_string_equal(finish("instagram", 4, "rooftop summer series", "Look up."),
                        "Look up.\n\n#rooftop #summer #series");
    assert_string_equal(finish("instagram", 4, "rooftop", "Look up. #Rooftop"),
                        "Look up.\n\n#Rooftop #Look #ContentCreator");
    assert_string_equal(finish("instagram", 4, "t", "Up. #a1 #b2 #c3 #d4 #e5 #f6 #A1"),
                        "Up.\n\n#a1 #b2 #c3 #d4 #e5");
    assert_string_equal(finish("instagram", 4, "t", "A #b #c #d #e #f #g day"), "A #b #c #d #e #f g day");
    static const char *const hard[] = {"\xF0\x9F\x98\x80", "#1 is here", "#", "#a", "the and for", "x"};
    for (size_t i = 0; i < ARRAY_LEN(hard); i++) {
        const char *s = finish("instagram", 4, "", hard[i]);
        if (count_tags(s) < 3 || count_tags(s) > 6) /* one '#' may be none of a hashtag */
            fail_msg("%s", s);
    }
}

static void it_fits(void **state)
{
    (void)state;
    assert_string_equal(finish("snapchat", 4, "t", "New set tonight. Come and see it now."),
                        "New set tonight.");
    assert_string_equal(finish("snapchat", 4, "t", "Every single evening, a surprise"),
                        "Every single evening, a\xE2\x80\xA6");
    assert_string_equal(finish("snapchat", 4, "t", "Short. #one #two #three #four #five"),
                        "Short. #one #two #three #four");
    assert_string_equal(finish("snapchat", 4, "t", "https://example.com/a/path/longer/than/all So be it"),
                        "So be it");
    assert_string_equal(finish("snapchat", 4, "t", "#averyveryveryverylonghashtagindeed yes"), "yes");
    const char *s = finish("snapchat", 4, "t", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(utf8_count(s, strlen(s)), 30);
    /* a character of three is whole or gone */
    char text[512] = "";
    for (int i = 0; i < 12; i++)
        strcat(text, "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7");
    s = finish("snapchat", 4, "t", text);
    size_t whole = strlen(s) - (strlen(s) % 18 ? 3 : 0); /* the ellipsis */
    assert_true(whole > 0 && whole % 18 == 0);
    assert_true(utf8_count(s, strlen(s)) <= 30);
}

/* Whatever is said, on whatever platform: within the length, and nothing cut in two. */
static void any_text_fits_everywhere(void **state)
{
    (void)state;
    static const char *const words[] = {"hello",
                                        "#tag",
                                        "https://example.com/some/path?x=1",
                                        "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA",
                                        "e\xCC\x81t\xC3\xA9",
                                        "yes.",
                                        "no!",
                                        "\n",
                                        "\n\n",
                                        "\"",
                                        "\xE6\xBC\xA2\xE5\xAD\x97",
                                        "www.other.com",
                                        "a,b;c",
                                        "(",
                                        "[x](http://y.zz)",
                                        "'",
                                        "#1",
                                        "Note:",
                                        "3.5"};
    unsigned seed = 7;
    for (int round = 0; round < 400; round++) {
        char text[4096] = "";
        for (int i = (int)(seed % 90); i >= 0; i--) {
            seed = seed * 1103515245u + 12345u;
            (void)strcat(text, words[(seed >> 16) % ARRAY_LEN(words)]);
            (void)strcat(text, (seed >> 24) % 4 ? " " : "");
        }
        for (const struct platform *p = platforms; p->name; p++) {
            const char *s = finish(p->name, 8, "a rooftop party", text);
            size_t len = strlen(s);
            if (utf8_count(s, len) > p->caption_max || platform_count(p, s, len) > p->caption_max)
                fail_msg("%s: %s", p->name, s);
            if (p->own_site && (strstr(s, "http") || strstr(s, "www.")))
                fail_msg("%s: %s", p->name, s);
        }
        arena_free(&arena);
        arena_init(&arena, (size_t)64 * 1024 * 1024);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sentences_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_stay_on_the_own_site, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instagram_has_three_to_five_hashtags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_text_fits_everywhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
