/* SPDX-License-Identifier: MIT */
#include "auth/rights.h"

#include "auth/network.h"

#include <errno.h>

/* Walks up the parents at most ROLE_MAX_DEPTH times, so a circle of roles ends. */
#define RIGHTS_SQL \
    "WITH RECURSIVE chain (id, depth) AS (" \
    "SELECT id, 0 FROM directus_roles WHERE id = ?2 UNION SELECT r.parent, c.depth + 1 FROM directus_roles " \
    "r JOIN chain c ON r.id = c.id" \
    " WHERE r.parent IS NOT NULL AND c.depth < ?3)" \
    " SELECT p.admin_access, p.app_access, p.ip_access FROM directus_access a" \
    " JOIN directus_policies p ON p.id = a.policy" \
    " WHERE a.\"user\" = ?1 OR a.role IN (SELECT id FROM chain)"

int rights_load(struct db_conn *c, const char *user_id, const char *role_id, const char *client_ip,
                struct rights *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    struct rights found = {0};
    int r =
        db_query(c, RIGHTS_SQL, DB_ARGS(DB_TEXT(user_id), DB_TEXT(role_id), DB_INT(ROLE_MAX_DEPTH)), &rows);
    while (r == 0 && (r = db_next(rows)) > 0) {
        const char *networks = db_text(rows, 2);
        bool bound = networks && networks[0];
        found.address_bound |= bound;
        if (!bound || network_list_has(networks, client_ip)) {
            found.admin |= db_int(rows, 0) != 0;
            found.app |= db_int(rows, 1) != 0;
        }
        r = 0;
    }
    if (r == 0)
        *ret = found;
    return r;
}

/* Two who take away the last two admins at a time must meet: each writes to the policies that make admins. */
static int meet_others(struct db_conn *c)
{
    return db_exec(c, "UPDATE directus_policies SET admin_access = TRUE WHERE admin_access = TRUE",
                   DB_NO_ARGS, NULL);
}

/* Another active user with admin rights from any address: 1 or 0. */
static int other_admin_exists(struct db_conn *c, const char *user_id)
{
    int64_t one;
    return db_query_int(
        c,
        "WITH RECURSIVE chain (role, ancestor, depth) AS ("
        "SELECT id, id, 0 FROM directus_roles UNION SELECT c.role, r.parent, c.depth + 1 FROM directus_roles "
        "r "
        "JOIN chain c ON r.id = c.ancestor WHERE r.parent IS NOT NULL AND c.depth < ?2)"
        " SELECT 1 FROM directus_users u JOIN directus_access a ON a.\"user\" = u.id OR a.role IN"
        " (SELECT ancestor FROM chain WHERE chain.role = u.role)"
        " JOIN directus_policies p ON p.id = a.policy"
        " WHERE u.id <> ?1 AND u.status = 'active' AND p.admin_access = TRUE AND coalesce(p.ip_access, '') = "
        "''"
        " LIMIT 1",
        DB_ARGS(DB_TEXT(user_id), DB_INT(ROLE_MAX_DEPTH)), &one);
}

int rights_leave_admin(struct db_conn *c, const char *user_id)
{
    int r = meet_others(c);
    if (r == 0)
        r = other_admin_exists(c, user_id);
    return r == 0 ? -EPERM : r < 0 ? r : 0;
}
