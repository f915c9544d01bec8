/* SPDX-License-Identifier: MIT */
/* Tells a Directus that manages the store of the product's collections, fields, relations and permissions.
 * Each thing is registered once (genie_registrations), so what an administrator has changed, removed or had
 * made before stays as it is. Directus reads it at its start. */
#ifndef DIRECTUS_REGISTRATION_H
#define DIRECTUS_REGISTRATION_H

#include "db/db.h"

/* What was added just now. */
struct directus_report {
    int collections, fields, relations, permissions;
};

/* Whether a Directus manages the database: 1, 0, or negative errno. Inside a unit. */
int directus_manages(struct db_conn *c);

/* The same as a unit of its own. Blocking. */
int directus_manages_store(struct db *db);

/* After db_migrate. 1: something was registered, Directus must be restarted; 0: nothing was left to do, or no
 * Directus manages the store; or the store's error. */
int directus_register(struct db *db, struct directus_report *ret);

#endif
