/* SPDX-License-Identifier: MIT */
/* A taxonomy's file of any bytes. What is refused is refused with a sentence; what is taken is in normal
 * form, and can be looked through. */
#include "fuzz.h"

#include "base/text.h"
#include "taxonomy/file.h"

#include <stdlib.h>
#include <string.h>

static void must_be_normal(const char *name)
{
    char again[TAXONOMY_NAME_MAX + 1];
    size_t len = strlen(name);
    if (taxonomy_normalise(name, len, again) != (int)len || strcmp(name, again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[TAXONOMY_ERROR_MAX] = "";
    struct taxonomy_file f;
    if (taxonomy_file_parse((const char *)data, size, &f, error) < 0) {
        if (!error[0] || !utf8_valid(error, strlen(error)))
            abort();
        return 0;
    }
    for (size_t i = 0; i < f.n_nodes; i++) {
        must_be_normal(f.nodes[i].name);
        for (size_t k = 0; k < f.nodes[i].n_aliases; k++)
            must_be_normal(f.nodes[i].aliases[k]);
    }
    for (size_t i = 0; i < f.n_edges; i++) {
        must_be_normal(f.edges[i].source.name);
        if (!(f.edges[i].weight >= 0 && f.edges[i].weight <= 1) || !f.edges[i].target.types)
            abort();
    }
    taxonomy_file_free(&f);
    return 0;
}
