/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "retrieval/gate.h"

#include <math.h>

static double entropy(const char *text)
{
    struct terms *t = terms_new();
    assert_non_null(t);
    double h = gate_entropy(t, text, strlen(text));
    terms_free(t);
    return h;
}

static double of_node(const char *title, const char *content)
{
    struct terms *t = terms_new();
    assert_non_null(t);
    double h = gate_node_entropy(t, title, content, strlen(content));
    terms_free(t);
    return h;
}

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void entropies_are_as_by_hand(void **state)
{
    (void)state;
    NEAR(entropy(""), 0);
    NEAR(entropy("aaaa"), 0);
    NEAR(entropy("abab"), 0.5 * 1 / 5.5);
    NEAR(entropy("abcd"), 0.5 * 2 / 5.5);
    /* 7 characters, 2 a, 2 b, 3 blanks; tokens a a b b have 1 bit of 2 */
    NEAR(entropy("a a b b"),
         0.5 * (2 * -2.0 / 7 * log2(2.0 / 7) - 3.0 / 7 * log2(3.0 / 7)) / 5.5 + 0.5 * 0.5);
    NEAR(entropy("x x x x"), 0.5 * (-4.0 / 7 * log2(4.0 / 7) - 3.0 / 7 * log2(3.0 / 7)) / 5.5);
    /* each character counts once, whatever its bytes; 茶 碗 are three tokens, all different */
    NEAR(entropy("茶碗"), 0.5 * 1 / 5.5 + 0.5);
    NEAR(entropy("\xFF\xFE"), 0.5 * 1 / 5.5);
}

static void the_character_part_has_a_ceiling(void **state)
{
    (void)state;
    char text[4096];
    size_t at = 0;
    for (unsigned c = 0x4E00; c < 0x4E00 + 300; c++) {
        text[at++] = (char)(0xE0 | c >> 12);
        text[at++] = (char)(0x80 | (c >> 6 & 63));
        text[at++] = (char)(0x80 | (c & 63));
    }
    text[at] = '\0';
    NEAR(entropy(text), 1.0);
}

static void sentences_pass_and_noise_does_not(void **state)
{
    (void)state;
    assert_true(entropy("Lena in Berlin likes slow evening stretches.") >= GATE_KEEP);
    assert_true(entropy("test test test test test") <= GATE_DROP);
    assert_true(of_node("junk", "aaaaaaaaaaaaaaaaaaaa") <= GATE_DROP);
    assert_true(of_node("Favourite colour", "Blue") >= GATE_KEEP);
    assert_true(of_node("Lives in Lisbon", "") >= GATE_KEEP);
    NEAR(of_node("Some title or other", "ok ok ok"), entropy("ok ok ok"));
    NEAR(of_node("", ""), 0);
}

static void between_the_borders_activation_decides(void **state)
{
    (void)state;
    assert_true(gate_passes(0.65, 9, 10));
    assert_false(gate_passes(0.35, 0, 10));
    assert_true(gate_passes(0.36, 4, 10));
    assert_false(gate_passes(0.64, 5, 10));
    assert_true(gate_passes(0.5, 1, 3));
    assert_false(gate_passes(0.5, 2, 3));
    assert_true(gate_passes(0.5, 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entropies_are_as_by_hand),
        cmocka_unit_test(the_character_part_has_a_ceiling),
        cmocka_unit_test(sentences_pass_and_noise_does_not),
        cmocka_unit_test(between_the_borders_activation_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
