/* SPDX-License-Identifier: MIT */
/* From where an account has logged in lately. Failures of strangers make an account wait; whoever comes from
 * such a place is counted apart, so that nobody can lock an account's owner out by guessing at it. Bounded
 * memory: a few places an account, the account that was used longest ago makes room. Thread-safe. */
#ifndef AUTH_FAMILIAR_H
#define AUTH_FAMILIAR_H

#include <stdbool.h>
#include <stddef.h>

#define FAMILIAR_PLACES 4
#define FAMILIAR_PLACE_MAX 45 /* bytes of an address */

struct familiar;

struct familiar *familiar_new(size_t max_accounts);
void familiar_free(struct familiar *f);

bool familiar_has(struct familiar *f, const char *account, const char *place);

/* Without memory, and for a place that is too long, it simply isn't kept. */
void familiar_add(struct familiar *f, const char *account, const char *place);

#endif
