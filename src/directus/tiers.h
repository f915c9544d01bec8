/* SPDX-License-Identifier: MIT */
/* The tiers file and a Directus that manages the store: Directus knows no aliases, so the permission to read
 * the extended fields names every tier that stands for Pro or Studio. */
#ifndef DIRECTUS_TIERS_H
#define DIRECTUS_TIERS_H

#include "db/db.h"
#include "quota/tiers.h"

enum directus_tiers {
    DIRECTUS_TIERS_SAME,    /* they are as they were registered last, or no Directus manages the store */
    DIRECTUS_TIERS_CHANGED, /* Directus must be restarted */
    DIRECTUS_TIERS_KEPT,    /* an administrator has changed or removed the permission, which stays so */
};

/* After directus_register: has the permission name the tiers of this file. 0, or the store's error (logged).
 * Blocking. */
int directus_register_tiers(struct db *db, const struct tiers *tiers, enum directus_tiers *ret);

#endif
