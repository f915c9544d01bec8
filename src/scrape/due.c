/* SPDX-License-Identifier: MIT */
/* The periodic reading of profiles. A job's id holds its slot, so each profile has one a slot, and a run that
 * was cut short goes on with those that have none. */
#include "scrape/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define BATCH_MAX 64
#define JOB_ID_SIZE 96

struct due {
    char id[UUID_SIZE], user_id[UUID_SIZE];
};

static int find_due(struct db_conn *c, const char *suffix, int64_t batch, struct due *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int n = 0;
    int r = db_query(c,
                     "SELECT p.id, p.user_id FROM creator_profiles p WHERE p.is_active = TRUE AND NOT EXISTS "
                     "(SELECT 1 FROM queue_jobs q WHERE q.id = 'scrape-' || CAST(p.id AS TEXT) || ?1) ORDER "
                     "BY p.id LIMIT ?2",
                     DB_ARGS(DB_TEXT(suffix), DB_INT(batch)), &rows);
    while (r >= 0 && (r = db_next(rows)) > 0 && n < batch) {
        (void)snprintf(ret[n].id, UUID_SIZE, "%s", db_text(rows, 0));
        (void)snprintf(ret[n].user_id, UUID_SIZE, "%s", db_text(rows, 1));
        n++;
    }
    return r < 0 ? r : n;
}

static int enqueue(struct db_conn *c, struct queue *q, const struct due *profile, const char *suffix)
{
    char id[JOB_ID_SIZE];
    _cleanup_buf_ struct buf text = BUF_INIT(1024);
    (void)snprintf(id, sizeof id, "scrape-%.*s%s", UUID_LEN, profile->id, suffix);
    _cleanup_json_ json_t *data =
        json_pack("{s:s, s:s, s:s, s:s}", "jobId", id, "operation", scrape_profile_operation.name,
                  "creator_profile_id", profile->id, "user_id", profile->user_id);
    int r = data ? json_write(&text, data) : -ENOMEM;
    if (r < 0)
        return r;
    const struct queue_add add = {.id = id,
                                  .queue = QUEUE_SCRAPE,
                                  .operation = scrape_profile_operation.name,
                                  .user_id = profile->user_id,
                                  .data = buf_str(&text),
                                  .priority = QUEUE_PRIORITY_DEFAULT};
    return queue_add_in(q, c, &add);
}

int scrape_enqueue_due(struct db_conn *c, struct queue *q, const char *slot, int64_t batch)
{
    struct due due[BATCH_MAX];
    char suffix[ISO_TIME_LEN + 1];
    (void)snprintf(suffix, sizeof suffix, "-%.10sT%.2s", slot, slot + 11);
    int n = find_due(c, suffix, batch < BATCH_MAX ? batch : BATCH_MAX, due);
    for (int i = 0; i < n; i++) {
        int r = enqueue(c, q, &due[i], suffix);
        if (r < 0)
            return r;
    }
    return n < 0 ? n : n == (batch < BATCH_MAX ? batch : BATCH_MAX);
}
