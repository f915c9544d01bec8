/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <errno.h>
#include <stdatomic.h>

static _Atomic int64_t values[METRIC_COUNT];

static const struct {
    const char *name, *labels, *type, *help;
} table[METRIC_COUNT] = {
#define X(id, name, labels, type, help) [id] = {name, labels, type, help},
    METRIC_TABLE(X)
#undef X
};

void metric_add(enum metric m, int64_t n)
{
    atomic_fetch_add_explicit(&values[m], n, memory_order_relaxed);
}

int64_t metric_get(enum metric m)
{
    return atomic_load_explicit(&values[m], memory_order_relaxed);
}

int metrics_write(struct buf *b)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        if (table[i].help[0])
            (void)buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
                           table[i].type);
        const char *open = table[i].labels[0] ? "{" : "", *close = table[i].labels[0] ? "}" : "";
        (void)buf_addf(b, "%s%s%s%s %lld\n", table[i].name, open, table[i].labels, close,
                       (long long)metric_get((enum metric)i));
    }
    return b->failed ? -ENOBUFS : 0;
}
