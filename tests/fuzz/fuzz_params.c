/* SPDX-License-Identifier: MIT */
/* Query parameters of any bytes: name=value, one a line; and as a JSON body. */
#include "fuzz.h"

#include "items/params.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct items_params p = ITEMS_PARAMS_INIT;
    char *text = malloc(size + 1), *rest = text;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    while (rest) {
        char *line = strsep(&rest, "\n"), *equals = strchr(line, '=');
        if (equals)
            *equals = '\0';
        items_params_add(&p, line, equals ? equals + 1 : "");
    }
    if (items_params_ready(&p) == 0 && (p.query.offset < 0 || p.query.limit > 1000))
        abort();
    items_params_free(&p);
    struct items_params body = ITEMS_PARAMS_INIT;
    json_t *query = json_parse((const char *)data, size);
    items_params_add_json(&body, query);
    json_decref(query);
    (void)items_params_ready(&body);
    items_params_free(&body);
    free(text);
    return 0;
}
