/* SPDX-License-Identifier: MIT */
#include "schedule/duty.h"

int64_t duty_slot(const struct duty *d, int64_t now_ms)
{
    int64_t since = now_ms - d->after_ms, into = since % d->every_ms;
    if (into < 0) /* before the first one */
        into += d->every_ms;
    return now_ms - into;
}
