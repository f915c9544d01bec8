/* SPDX-License-Identifier: MIT */
/* What the tests in this folder share: cmocka's headers, numbers that are the same on every machine, corpora
 * in JSON. */
#ifndef TESTS_UNIT_RETRIEVAL_CHECK_H
#define TESTS_UNIT_RETRIEVAL_CHECK_H

#include "base/json.h"
#include "retrieval/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* xorshift64 */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 20) % limit;
}

/* Adds a node with a text and nothing else. */
static inline void add_text_node(struct index_builder *b, const char *id, const char *title,
                                 const char *content)
{
    struct node_row row = {
        .id = id, .kind = "content", .title = title, .content = content, .tags = "[]", .weight = 1};
    assert_int_equal(index_add_node(b, &row), 0);
}

static inline struct index *finish(struct index_builder *b)
{
    struct index *x = NULL;
    assert_int_equal(index_finish(b, &x), 0);
    index_builder_free(b);
    return x;
}

/* The nodes and edges of a file as an index; `id` names the member that identifies a node. */
static inline struct index *index_of_corpus(const json_t *corpus, const char *id)
{
    struct index_builder *b = index_begin(NULL, 0);
    const json_t *item;
    size_t i;
    assert_non_null(b);
    json_array_foreach (json_object_get(corpus, "nodes"), i, item) {
        char *tags = json_dumps(json_object_get(item, "tags"), JSON_COMPACT);
        struct node_row row = {
            .id = json_str(item, id, NULL),
            .kind = json_str(item, "node_type", NULL),
            .title = json_str(item, "title", NULL),
            .content = json_str(item, "content", NULL),
            .tags = tags,
            .weight = json_num(item, "weight", 1),
        };
        assert_int_equal(index_add_node(b, &row), 0);
        free(tags);
    }
    json_array_foreach (json_object_get(corpus, "edges"), i, item) {
        bool listed = json_is_array(item);
        const char *source =
            listed ? json_string_value(json_array_get(item, 0)) : json_str(item, "source", "");
        const char *target =
            listed ? json_string_value(json_array_get(item, 1)) : json_str(item, "target", "");
        double weight = listed ? json_number_value(json_array_get(item, 2)) : json_num(item, "weight", 0);
        assert_int_equal(index_add_edge(b, source, target, weight), 0);
    }
    return finish(b);
}

/* The place (from 1) of a node in a ranking, 0 if it isn't there. */
static inline size_t place_of(const struct index *x, const struct ranking *r, const char *id)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(x->nodes[r->item[i].node].id, id) == 0)
            return i + 1;
    return 0;
}

#endif
