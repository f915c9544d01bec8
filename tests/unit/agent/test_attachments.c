/* SPDX-License-Identifier: MIT */
/* Attachments of every kind, and malformed ones. */
#include "agent/attachments.h"

#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct parsed {
    struct arena arena;
    json_t *list;
    struct attachments found;
    const char *sentence;
    int r;
};

/* JSON in a C string is easier to read with single quotes. */
static void parse(struct parsed *p, const char *list)
{
    char *json = strdup(list);
    assert_non_null(json);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    arena_init(&p->arena, 1024 * 1024);
    p->list = json_parse(json, strlen(json));
    assert_non_null(p->list);
    p->found = (struct attachments){.n_texts = 99};
    p->r = attachments_parse(&p->arena, p->list, &p->found, &p->sentence);
    free(json);
}

static void done(struct parsed *p)
{
    json_decref(p->list);
    arena_free(&p->arena);
}

static void assert_refused(const char *list, int error)
{
    struct parsed p;
    parse(&p, list);
    if (p.r != error)
        fail_msg("%s: %d instead of %d", list, p.r, error);
    assert_non_null(p.sentence);
    assert_true(strlen(p.sentence) > 10);
    assert_int_equal(p.found.n_texts, 99); /* written only on success */
    done(&p);
}

static void assert_text(const char *list, const char *name, const char *text)
{
    struct parsed p;
    parse(&p, list);
    if (p.r != 0)
        fail_msg("%s: %d, %s", list, p.r, p.sentence);
    assert_int_equal(p.found.n_texts, 1);
    assert_int_equal(p.found.n_images, 0);
    assert_string_equal(p.found.texts[0].name, name);
    assert_string_equal(p.found.texts[0].text, text);
    done(&p);
}

static void none_is_fine(void **state)
{
    (void)state;
    struct attachments found = {.n_texts = 99};
    const char *sentence = NULL;
    struct arena a;
    arena_init(&a, 1024);
    assert_int_equal(attachments_parse(&a, NULL, &found, &sentence), 0);
    assert_int_equal(found.n_texts + found.n_images, 0);
    arena_free(&a);
}

static void texts_come_as_they_are_or_as_data_uris(void **state)
{
    (void)state;
    assert_text("[{'name':'a','mime':'text/plain','contentString':'Gr\\u00fc\\u00dfe'}]", "a", "Grüße");
    assert_text("[{'name':'a','mime':'text/plain','contentString':'data:text/plain;base64,R3LDvMOfZQ=='}]",
                "a", "Grüße");
    assert_text("[{'name':'a','mime':'text/markdown; charset=utf-8','contentString':'# x'}]", "a", "# x");
    assert_text("[{'name':'a','mime':'TEXT/CSV','contentString':'a,b'}]", "a", "a,b");
    assert_text("[{'name':'a','mime':'application/json','contentString':'{}'}]", "a", "{}");
    assert_text("[{'name':'a','mime':'text/plain','contentString':''}]", "a", "");
    assert_text("[{'name':'a','mime':'text/plain','contentString':'data:text/plain;base64,'}]", "a", "");
    assert_text("[{'mime':'text/plain','contentString':'x'}]", "attachment", "x");
}

static void a_text_that_speaks_of_data_is_no_data_uri(void **state)
{
    (void)state;
    assert_text("[{'name':'a','mime':'text/plain','contentString':'data: see a;base64,xx'}]", "a",
                "data: see a;base64,xx");
    assert_text("[{'name':'a','mime':'text/css','contentString':'data:x, and ;base64,xx'}]", "a",
                "data:x, and ;base64,xx");
}

static void a_name_stays_on_its_line(void **state)
{
    (void)state;
    assert_text("[{'name':'a\\n# b\\tc','mime':'text/plain','contentString':'x'}]", "a # b c", "x");
}

static void images_are_base64_data_uris(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[{'name':'a','mime':'image/png','contentString':'data:image/png;base64,iVBORw0K'},"
              "{'name':'b','mime':'IMAGE/JPEG','contentString':'data:image/jpeg;base64,/9j/4A=='},"
              "{'name':'c','mime':'image/webp','contentString':'data:image/webp;base64,UklGRg=='},"
              "{'name':'d','mime':'image/gif','contentString':'data:image/gif;base64,R0lG'}]");
    assert_int_equal(p.r, 0);
    assert_int_equal(p.found.n_texts, 0);
    assert_int_equal(p.found.n_images, 4);
    assert_string_equal(p.found.images[0].base64, "iVBORw0K");
    assert_string_equal(p.found.images[1].mime, "image/jpeg");
    assert_string_equal(p.found.images[1].base64, "/9j/4A==");
    done(&p);
}

static void malformed_ones_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "[null]",
        "['text']",
        "[[]]",
        "[{}]",
        "[{'name':'a','mime':'text/plain'}]",
        "[{'name':'a','contentString':'x'}]",
        "[{'name':'a','mime':5,'contentString':'x'}]",
        "[{'name':'a','mime':'text/plain','contentString':['x']}]",
        "[{'name':'a','mime':'text/plain','contentString':'data:text/plain;base64,ab?='}]",
        "[{'name':'a','mime':'text/plain','contentString':'data:text/plain;base64,abc'}]",
        "[{'name':'a','mime':'image/png','contentString':'iVBORw0K'}]",
        "[{'name':'a','mime':'image/png','contentString':'data:image/png;base64,'}]",
        "[{'name':'a','mime':'image/png','contentString':'data:image/png;base64,===='}]",
        "[{'name':'a','mime':'image/png','contentString':'data:image/png;base64,iV=ORw0K'}]",
        "[{'name':'a','mime':'image/png','contentString':'data:image/png;base64,iVBORw0'}]",
        "[{'name':'a','mime':'image/png','contentString':'data:image/png;base64,iVBO\\nRw0'}]",
        "[{'name':'a','mime':'image/png','contentString':'data:image/png,iVBORw0K'}]",
        "[{'name':'a','mime':'image/png','contentString':'https://example.com/a.png'}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        assert_refused(lists[i], -EINVAL);
}

static void kinds_that_nobody_reads_are_told_apart(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "[{'name':'a','mime':'application/pdf','contentString':'data:application/pdf;base64,JVBERi0='}]",
        "[{'name':'a','mime':'video/mp4','contentString':'x'}]",
        "[{'name':'a','mime':'image/svg+xml','contentString':'<svg/>'}]",
        "[{'name':'a','mime':'','contentString':'x'}]",
        "[{'name':'a','mime':'text/plain','contentString':'data:text/plain;base64,/w=='}]",
        "[{'name':'a','mime':'text/plain','contentString':'data:text/plain;base64,YQBi'}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        assert_refused(lists[i], -ENOTSUP);
}

static void there_are_limits(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(64 * 1024);
    for (int i = 0; i < ATTACHMENTS_MOST + 1; i++)
        (void)buf_addf(&b, "%s{'name':'a','mime':'text/plain','contentString':'x'}", i ? "," : "[");
    (void)buf_adds(&b, "]");
    assert_refused(buf_str(&b), -EINVAL);
    buf_reset(&b);
    (void)buf_addf(&b, "[{'name':'%0300d','mime':'text/plain','contentString':'x'}]", 0);
    assert_refused(buf_str(&b), -EINVAL);
    buf_free(&b);
}

static void too_little_memory_is_told(void **state)
{
    (void)state;
    static const char content[] = "data:text/plain;base64,R3LDvMOfZQ==";
    json_t *list =
        json_pack("[{s:s, s:s, s:s}]", "name", "a", "mime", "text/plain", "contentString", content);
    struct arena a;
    struct attachments found;
    const char *sentence;
    arena_init(&a, 0);
    assert_int_equal(attachments_parse(&a, list, &found, &sentence), -ENOMEM);
    arena_free(&a);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_fine),
        cmocka_unit_test(texts_come_as_they_are_or_as_data_uris),
        cmocka_unit_test(a_text_that_speaks_of_data_is_no_data_uri),
        cmocka_unit_test(a_name_stays_on_its_line),
        cmocka_unit_test(images_are_base64_data_uris),
        cmocka_unit_test(malformed_ones_are_refused_with_a_sentence),
        cmocka_unit_test(kinds_that_nobody_reads_are_told_apart),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(too_little_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
