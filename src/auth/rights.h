/* SPDX-License-Identifier: MIT */
/* Rights from the database, as Directus 11 grants them: by the policies of the user, of its role and of that
 * role's parents; a policy with `ip_access` counts only for the addresses it names. */
#ifndef AUTH_RIGHTS_H
#define AUTH_RIGHTS_H

#include "db/db.h"

/* Most steps from a role to its last parent; further ones give nothing. */
#define ROLE_MAX_DEPTH 16

/* What the policies of a user and of its roles give, seen from an address. */
struct rights {
    bool admin, app, address_bound;
};

/* role_id and client_ip may be NULL. Inside a unit. 0 or the store's error. */
int rights_load(struct db_conn *c, const char *user_id, const char *role_id, const char *client_ip,
                struct rights *ret);

/* To be called in the unit that takes an admin away, by whatever means: 0; -EPERM where no other active user
 * has admin rights from any address; or the store's error. */
int rights_leave_admin(struct db_conn *c, const char *user_id);

#endif
