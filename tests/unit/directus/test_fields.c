/* SPDX-License-Identifier: MIT */
#include "base/json.h"
#include "base/text.h"
#include "directus/fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SPECIAL_MAX 64 /* Directus's columns */
#define TEMPLATE_MAX 255

static struct directus_field field(struct arena *a, const char *collection, const char *column)
{
    struct directus_field f;
    const struct collection *c = access_collection(collection);
    assert_int_equal(directus_field_of(c, access_column(c, column), 7, a, &f), 0);
    assert_string_equal(f.collection, collection);
    assert_string_equal(f.field, column);
    assert_int_equal(f.sort, 7);
    return f;
}

static void types_have_their_looks(void **state)
{
    (void)state;
    static const struct {
        const char *collection, *column, *special, *interface;
        bool readonly, hidden, required;
    } cases[] = {
        {"user_nodes", "id", "uuid", "input", true, true, false},
        {"user_nodes", "user_id", "m2o", "select-dropdown-m2o", true, false, false},
        {"user_nodes", "title", NULL, "input", false, false, true},
        {"user_nodes", "content", NULL, "input-multiline", false, false, false},
        {"user_nodes", "tags", "cast-json", "tags", false, false, false},
        {"user_nodes", "date_created", "date-created", "datetime", true, false, false},
        {"user_nodes", "date_updated", "date-updated", "datetime", true, false, false},
        {"user_nodes", "status", NULL, "select-dropdown", false, false, false},
        {"creator_profiles", "is_active", "cast-boolean", "boolean", false, false, false},
        {"media_jobs", "params", "cast-json", "input-code", false, false, false},
        {"media_jobs", "input_file_id", "file", "file", false, false, false},
        {"media_jobs", "creator_profile_id", "m2o", "select-dropdown-m2o", false, false, false},
        {"directus_users", "subscription_tier", NULL, "select-dropdown", false, false, false},
        {"directus_users", "anythingllm_user_id", NULL, "input", true, false, false},
    };
    struct arena a;
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct directus_field f = field(&a, cases[i].collection, cases[i].column);
        if (!str_equal(f.special, cases[i].special) || !str_equal(f.interface, cases[i].interface) ||
            f.readonly != cases[i].readonly || f.hidden != cases[i].hidden || f.required != cases[i].required)
            fail_msg("%s.%s: %s, %s", f.collection, f.field, f.special ? f.special : "-", f.interface);
    }
    struct directus_field f = field(&a, "creator_profiles", "scrape_status");
    assert_string_equal(f.options, "{\"choices\":[{\"text\":\"idle\",\"value\":\"idle\"},"
                                   "{\"text\":\"scraping\",\"value\":\"scraping\"},"
                                   "{\"text\":\"success\",\"value\":\"success\"},"
                                   "{\"text\":\"error\",\"value\":\"error\"}]}");
    arena_free(&a);
}

static void every_column_fits(void **state)
{
    (void)state;
    for (const struct collection *c = access_table; c->name; c++)
        for (const struct column *col = c->columns; col->name; col++) {
            struct arena a;
            struct directus_field f;
            arena_init(&a, 1 << 16);
            assert_int_equal(directus_field_of(c, col, 1, &a, &f), 0);
            assert_true(!f.special || strlen(f.special) <= SPECIAL_MAX);
            assert_true(strlen(f.interface) <= SPECIAL_MAX);
            _cleanup_json_ json_t *options = f.options ? json_parse(f.options, strlen(f.options)) : NULL;
            assert_true(!f.options || json_is_object(options));
            arena_free(&a);
        }
}

/* Columns in a template "{{ a }}: {{ b.c }}" are the collection's. */
static void template_is_of(const struct collection *c, const char *template)
{
    for (const char *at = strstr(template, "{{ "); at; at = strstr(at + 1, "{{ ")) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 3, " ."), at + 3);
        if (!access_column(c, name))
            fail_msg("%s: there is no %s", c->name, name);
    }
}

static void collections_are_whole(void **state)
{
    (void)state;
    for (const struct directus_collection *d = directus_collections; d->name; d++) {
        const struct collection *c = access_collection(d->name);
        assert_non_null(c);
        assert_int_equal(d->theirs, str_has_prefix(d->name, "directus_"));
        assert_true(d->theirs || (d->icon && d->note && d->display && strlen(d->display) <= TEMPLATE_MAX));
        if (d->display)
            template_is_of(c, d->display);
    }
}

static void secrets_are_concealed(void **state)
{
    (void)state;
    for (const struct directus_concealed *d = directus_concealed; d->collection; d++) {
        struct directus_field f;
        const struct collection *c = access_collection(d->collection);
        directus_field_concealed(d, &f);
        assert_string_equal(f.special, "conceal");
        assert_true(f.hidden && f.readonly);
        assert_true(!c || !access_column(c, d->field));
    }
}

static void owners_and_references_are_relations(void **state)
{
    (void)state;
    const struct collection *c = access_collection("fan_memories");
    assert_string_equal(directus_related(c, access_column(c, "user_id")), "directus_users");
    assert_string_equal(directus_related(c, access_column(c, "fan_profile_id")), "fan_profiles");
    assert_null(directus_related(c, access_column(c, "content")));
    c = access_collection("directus_users");
    assert_null(directus_related(c, access_column(c, "id")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_their_looks),
        cmocka_unit_test(every_column_fits),
        cmocka_unit_test(collections_are_whole),
        cmocka_unit_test(secrets_are_concealed),
        cmocka_unit_test(owners_and_references_are_relations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
