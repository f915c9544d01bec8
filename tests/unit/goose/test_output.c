/* SPDX-License-Identifier: MIT */
#include "goose/output.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *text_of(const struct output *o)
{
    struct buf b = BUF_INIT(OUTPUT_TEXT_MAX);
    assert_int_equal(output_text(o, &b), 0);
    assert_true(b.len == 0 || utf8_valid(b.data, b.len));
    char *text = buf_take(&b, NULL);
    assert_non_null(text);
    return text;
}

static void little_is_kept_whole(void **state)
{
    struct output o;
    (void)state;
    output_init(&o);
    char *text = text_of(&o);
    assert_string_equal(text, "");
    free(text);
    output_add(&o, "one ", 4);
    output_add(&o, "", 0);
    output_add(&o, "zw\xc3\xb6lf", 6);
    text = text_of(&o);
    assert_string_equal(text, "one zw\xc3\xb6lf");
    assert_int_equal(o.total, 10);
    free(text);
    output_free(&o);
}

/* Adds `total` bytes in pieces and looks at beginning, end and the sum. */
static void check(size_t total, size_t piece)
{
    struct output o;
    output_init(&o);
    char *block = malloc(piece);
    for (size_t done = 0; done < total;) {
        size_t n = total - done < piece ? total - done : piece;
        for (size_t i = 0; i < n; i++)
            block[i] = (char)('a' + (done + i) % 26);
        output_add(&o, block, n);
        done += n;
    }
    assert_int_equal(o.total, total);
    char *text = text_of(&o), *note = strchr(text, '[');
    size_t len = strlen(text), head = note ? (size_t)(note - text) - 1 : len;
    assert_int_equal(text[0], 'a');
    assert_int_equal(text[len - 1], 'a' + (total - 1) % 26);
    assert_true(len <= OUTPUT_TEXT_MAX);
    if (total <= OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX) {
        assert_null(note);
        assert_int_equal(len, total);
    } else {
        const char *end = strchr(note, '\n');
        assert_int_equal(head, OUTPUT_HEAD_MAX);
        assert_int_equal(strlen(end + 1), OUTPUT_TAIL_MAX);
        assert_int_equal(strtoull(note + 1, NULL, 10), total - OUTPUT_HEAD_MAX - OUTPUT_TAIL_MAX);
    }
    free(text);
    free(block);
    output_free(&o);
}

static void of_much_the_beginning_and_the_end(void **state)
{
    static const size_t totals[] = {OUTPUT_HEAD_MAX, OUTPUT_HEAD_MAX + 1, OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX,
                                    OUTPUT_HEAD_MAX + OUTPUT_TAIL_MAX + 1, 5000000};
    static const size_t pieces[] = {1000, 16384, 3 * OUTPUT_TAIL_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++)
            check(totals[i], pieces[k]);
}

static void no_character_is_cut(void **state)
{
    (void)state;
    for (size_t before = 0; before < 4; before++) {
        struct output o;
        output_init(&o);
        output_add(&o, "xxxx", before);
        for (size_t i = 0; i < 600000; i++)
            output_add(&o, "\xe2\x82\xac", 3);
        free(text_of(&o)); /* which looks */
        output_free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_is_kept_whole),
        cmocka_unit_test(of_much_the_beginning_and_the_end),
        cmocka_unit_test(no_character_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
