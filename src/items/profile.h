/* SPDX-License-Identifier: MIT */
/* A user's own profile: what /users/me and the profile endpoint show. It is more than the items engine shows
 * of directus_users (tier, onboarding state), and of oneself only; changes go through items_update. Blocking.
 */
#ifndef ITEMS_PROFILE_H
#define ITEMS_PROFILE_H

#include "auth/identity.h"
#include "base/json.h"

/* Whether it has a member of that name. */
bool profile_has(const char *name);

/* {id, email, first_name, last_name, avatar, title, description, location, language, tags, subscription_tier,
 * onboarding_state, role} (role: its id) in *ret, a new reference. 0, -ENOENT, or the store's error. */
int profile_read(struct db *db, const struct identity *who, json_t **ret);

#endif
