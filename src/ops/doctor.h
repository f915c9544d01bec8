/* SPDX-License-Identifier: MIT */
/* What an installation needs, looked at one by one. Each check is a row of a table; it finds something,
 * judges it, and says how to mend what isn't well. Checks run at the same time, each with a limit; they
 * change nothing, and never show a secret. */
#ifndef OPS_DOCTOR_H
#define OPS_DOCTOR_H

#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>

enum verdict { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct finding {
    enum verdict verdict;
    char found[400]; /* what is so */
    char mend[400];  /* how it becomes well; "" when it is */
};

struct diagnosis {
    const char *name;
    struct finding finding;
};

/* "ok", "warn" or "fail". */
const char *verdict_name(enum verdict v);

/* Most rows that doctor_run yields. */
#define DOCTOR_MOST 40

/* Runs every check. load: as config_load() left it, with its sentence where it failed (then only what needs
 * no settings is looked at). ret: DOCTOR_MOST; the number of rows filled, in the order of the table. Takes at
 * most half a minute. *ret_hung: a check didn't end, and its thread still uses `load`: leave by _exit. */
size_t doctor_run(const struct config_load *load, bool loaded, struct diagnosis *ret, bool *ret_hung);

#endif
