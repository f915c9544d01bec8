/* SPDX-License-Identifier: MIT */
#include "vault/audit.h"

#include "base/clock.h"
#include "base/uuid.h"

int audit_write(struct db_conn *c, const struct audit *a)
{
    char id[UUID_SIZE], now[ISO_TIME_LEN];
    uuid_make(id);
    clock_format_iso(clock_now_ms(), now);
    return db_exec(
        c,
        "INSERT INTO credential_audits (id, user_id, record_id, actor, action, outcome, ip, request_id, "
        "date_created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(a->owner), DB_TEXT(a->record_id), DB_TEXT(a->actor), DB_TEXT(a->action),
                DB_TEXT(a->outcome), DB_TEXT(a->ip), DB_TEXT(a->request_id), DB_TEXT(now)),
        NULL);
}
