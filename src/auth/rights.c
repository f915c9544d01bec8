/* SPDX-License-Identifier: MIT */
#include "auth/rights.h"

#include "auth/network.h"

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
