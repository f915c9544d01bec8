/* SPDX-License-Identifier: MIT */
#include "taxonomy/file.h"
#include "taxonomy/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

static int parse(const char *text, struct taxonomy_file *file, char *error)
{
    char *json = strdup(text);
    assert_non_null(json);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    int r = taxonomy_file_parse(json, strlen(json), file, error);
    free(json);
    return r;
}

static void a_file_is_read_in_normal_form(void **state)
{
    (void)state;
    struct taxonomy_file f;
    char error[TAXONOMY_ERROR_MAX] = "";
    assert_int_equal(
        parse("{'about':'x','dimensions':[{'name':'Setting','description':'Where'}],"
              "'nodes':[{'type':'tag','name':'Golden Hour','dimension':'Setting','aliases':['Sunset Light']},"
              "{'type':'category','name':'Outdoors'},{'type':'tag','name':'beach','description':null}],"
              "'edges':[{'type':'HAS_TAG','source':'outdoors','target':'tag:golden hour'},"
              "{'type':'CO_OCCURS','source':'Beach','target':'Golden Hour','weight':0.5}]}",
              &f, error),
        0);
    assert_int_equal(f.n_dimensions, 1);
    assert_int_equal(f.n_nodes, 3);
    assert_int_equal(f.n_edges, 2);
    assert_string_equal(f.dimensions[0].name, "setting");
    assert_string_equal(f.nodes[0].name, "golden-hour");
    assert_string_equal(f.nodes[0].dimension, "setting");
    assert_string_equal(f.nodes[0].aliases[0], "sunset-light");
    assert_null(f.nodes[2].description);
    assert_string_equal(f.edges[0].target.name, "golden-hour");
    assert_int_equal(f.edges[0].target.types, 1u << TAXONOMY_TAG);
    assert_true(f.edges[0].weight == 1.0 && f.edges[1].weight == 0.5);
    taxonomy_file_free(&f);
}

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } mistakes[] = {
        {"{\n  'nodes': [}", "line 2, column 13: unexpected token"},
        {"[]", "it must be an object with nodes and edges"},
        {"{}", "it holds neither nodes nor edges"},
        {"{'node':[]}", "node is unknown"},
        {"{'nodes':{}}", "nodes must be a list"},
        {"{'nodes':[1]}", "nodes[0] must be an object"},
        {"{'nodes':[{'type':'tag','name':'a'},{'name':'b'}]}", "nodes[1].type is missing"},
        {"{'nodes':[{'type':'tags','name':'a'}]}", "nodes[0].type must be one of super_concept, category"},
        {"{'nodes':[{'type':'tag'}]}", "nodes[0].name is missing"},
        {"{'nodes':[{'type':'tag','name':' '}]}", "nodes[0].name must not be blank"},
        {"{'nodes':[{'type':'tag','name':7}]}", "nodes[0].name must be a text"},
        {"{'nodes':[{'type':'tag','name':'a','wieght':1}]}", "nodes[0].wieght is unknown"},
        {"{'nodes':[{'type':'tag','name':'a','aliases':['b','']}]}", "nodes[0].aliases[1] must not be blank"},
        {"{'nodes':[{'type':'tag','name':'A b'},{'type':'site','name':'a'},{'type':'tag','name':'a  B'}]}",
         "nodes[2] is the same tag as nodes[0]: a-b"},
        {"{'dimensions':[{'name':'a'},{'name':'A'}]}",
         "dimensions[1] is the same dimension as dimensions[0]"},
        {"{'dimensions':[{'description':'a'}]}", "dimensions[0].name is missing"},
        {"{'edges':[{'type':'LIKES','source':'a','target':'b'}]}", "edges[0].type must be one of HAS_TAG"},
        {"{'edges':[{'type':'CO_OCCURS','source':'a'}]}", "edges[0].target is missing"},
        {"{'edges':[{'type':'CO_OCCURS','source':'a','target':'b','weight':1.5}]}",
         "edges[0].weight must be a number from 0 to 1"},
        {"{'edges':[{'type':'CO_OCCURS','source':'site:a','target':'b'}]}",
         "edges[0].source can't be a site"},
        {"{'edges':[{'type':'CO_OCCURS','source':'a','target':'A'}]}", "edges[0] leads from a to itself"},
        {"{'nodes':[{'type':'tag','name':'a','name':'b'}]}", "duplicate object key"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct taxonomy_file f;
        char error[TAXONOMY_ERROR_MAX] = "";
        assert_int_equal(parse(mistakes[i].text, &f, error), -EINVAL);
        if (!strstr(error, mistakes[i].error))
            fail_msg("%s: %s", mistakes[i].text, error);
    }
}

static void the_sample_has_what_it_promises(void **state)
{
    (void)state;
    struct taxonomy_file f;
    size_t tags = 0, of_type[TAXONOMY_TYPES] = {0}, of_relation[TAXONOMY_RELATIONS] = {0};
    assert_int_equal(taxonomy_sample(&f), 0);
    for (size_t i = 0; i < f.n_nodes; i++) {
        of_type[f.nodes[i].type]++;
        tags += f.nodes[i].type == TAXONOMY_TAG && f.nodes[i].dimension;
    }
    for (size_t i = 0; i < f.n_edges; i++)
        of_relation[f.edges[i].relation]++;
    assert_int_equal(f.n_dimensions, 6);
    assert_true(tags >= 150 && tags == of_type[TAXONOMY_TAG]);
    for (int i = 0; i < TAXONOMY_TYPES; i++)
        assert_true(of_type[i] > 0);
    for (int i = 0; i < TAXONOMY_RELATIONS; i++)
        assert_true(of_relation[i] > 0);
    taxonomy_file_free(&f);
}

static void a_path_is_named_in_the_sentence(void **state)
{
    (void)state;
    struct taxonomy_file f;
    char error[TAXONOMY_ERROR_MAX], path[] = "/tmp/genie-taxonomy-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{", 1), 1);
    close(fd);
    assert_int_equal(taxonomy_file_read(path, &f, error), -EINVAL);
    assert_non_null(strstr(error, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(taxonomy_file_read(path, &f, error), -ENOENT);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(taxonomy_file_read("/tmp", &f, error), -EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_in_normal_form),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(the_sample_has_what_it_promises),
        cmocka_unit_test(a_path_is_named_in_the_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
