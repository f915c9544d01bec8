/* SPDX-License-Identifier: MIT */
/* The options and data of a job that anybody may have written to Redis: whatever they say, the numbers stay
 * in their bounds. */
#include "fuzz.h"

#include "queue/bullmq_job.h"

#include <stdlib.h>

static void check_keep(const struct bull_keep *keep)
{
    if (keep->count < -1 || keep->age_s < -1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bull_opts opts;
    bull_opts_parse((const char *)data, size, &opts);
    if (opts.attempts < 1 || opts.attempts > BULL_ATTEMPTS_MOST || opts.keep_logs < 0 ||
        opts.keep_logs > BULL_LOGS_MOST || opts.traces < 0 || opts.traces > BULL_TRACES_MOST)
        abort();
    check_keep(&opts.completed);
    check_keep(&opts.failed);
    for (int made = 1; made <= opts.attempts; made += 1 + made / 2) {
        int64_t most = bull_backoff_ms(&opts, made, 0), least = bull_backoff_ms(&opts, made, 1);
        if (least < 0 || least > most || most > BULL_DELAY_MOST_MS)
            abort();
    }
    json_t *value = bull_data_parse((const char *)data, size);
    if (value && !json_is_object(value))
        abort();
    json_decref(value);
    return 0;
}
