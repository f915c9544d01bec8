/* SPDX-License-Identifier: MIT */
/* A tiers file of any bytes. What is refused is refused with a sentence; what is taken can be asked anything,
 * and what is printed of it is taken again, and says the same. */
#include "fuzz.h"

#include "base/text.h"
#include "quota/tiers.h"

#include <stdlib.h>
#include <string.h>

#define PRINT_MAX ((size_t)1 << 20)

static void ask_everything(const struct tiers *tiers)
{
    for (int f = 0; f < FEATURES; f++) {
        enum feature found;
        const char *shown = tiers_shown_as(tiers, f);
        if (!tiers_label(tiers, f) || (shown == NULL) != features[f].level)
            abort();
        if (tiers_resolve(tiers, shown ? shown : features[f].key, &found) < 0 || found != (enum feature)f)
            abort();
        for (int t = 0; t < TIERS; t++)
            if (tiers_limit(tiers, t, f) < TIERS_UNLIMITED || tiers_limit(tiers, t, f) > TIERS_LIMIT_MAX)
                abort();
    }
    if (tiers_find(tiers, "freemium") >= TIERS || tiers_find(tiers, NULL) != TIER_STARTER)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[TIERS_ERROR_MAX] = "";
    struct tiers *tiers = NULL, *again = NULL;
    if (tiers_parse((const char *)data, size, &tiers, error) < 0) {
        if (!error[0] || tiers || !utf8_valid(error, strlen(error)))
            abort();
        return 0;
    }
    ask_everything(tiers);
    struct buf first = BUF_INIT(PRINT_MAX), second = BUF_INIT(PRINT_MAX);
    if (tiers_print(tiers, &first) < 0 || tiers_parse(first.data, first.len, &again, error) < 0)
        abort();
    if (tiers_print(again, &second) < 0 || strcmp(buf_str(&first), buf_str(&second)) != 0)
        abort();
    buf_free(&first);
    buf_free(&second);
    tiers_unref(tiers);
    tiers_unref(again);
    return 0;
}
