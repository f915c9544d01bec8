/* SPDX-License-Identifier: MIT */
/* What users may still do, and counting what they did. Counters stand in user_usage_counts, one row a user,
 * feature and billing cycle.
 *
 * Deciding and counting are one unit of work on the store, so of many simultaneous calls as many pass as
 * units are left. Whatever can't be read or written is a refusal (QUOTA_CHECK_FAILED): enforcement fails
 * closed. Plan and cycle are read in that unit, so a changed tier counts at once. Administrators count like
 * anybody.
 *
 * Three ways to count:
 *   - take: counted for good;
 *   - reserve, then settle: counted now, and kept or given back later, exactly once, to the cycle it was
 *     taken from. A reservation has the caller's own id. It ends by itself when it has a lease and nobody
 *     settled it in time; without one it lasts until it is settled;
 *   - level: nothing is counted; rows that exist are held against the limit.
 *
 * Functions that end in _in work inside a unit of the caller's, whose other effects then happen with them or
 * not at all. Whoever uses them calls quota_forget() when the unit is done, before anybody is told.
 *
 * All are thread-safe. */
#ifndef QUOTA_QUOTA_H
#define QUOTA_QUOTA_H

#include "db/db.h"
#include "quota/cycle.h"
#include "quota/tiers.h"

#define QUOTA_HOLD_ID_MAX 128

struct quota;

/* Loads the tiers (tiers_load). 0, or negative errno with a log line. */
int quota_open(const struct config *cfg, struct db *db, struct quota **ret);
void quota_close(struct quota *q);

/* Reads the tiers again; a bad file is refused, and the tiers in force stay. Logs what came of it. 0 or
 * negative errno. */
int quota_reload(struct quota *q);

/* The tiers in force; a reference. */
struct tiers *quota_tiers(struct quota *q);

/* Whether any tier in force counts the feature. */
bool quota_counts(struct quota *q, enum feature feature);

/* The feature behind a name (tiers_resolve): 0 or -ENOENT. */
int quota_resolve(struct quota *q, const char *name, enum feature *ret);

/* ---- deciding and counting */

enum quota_reason { QUOTA_ALLOWED, QUOTA_LIMIT_REACHED, QUOTA_NOT_IN_TIER, QUOTA_CHECK_FAILED };

/* limit_reached, not_in_tier or quota_check_failed; NULL for QUOTA_ALLOWED. */
const char *quota_reason_name(enum quota_reason reason);

struct quota_outcome {
    bool allowed;
    enum quota_reason reason;
    enum feature feature;
    char label[TIERS_NAME_MAX + 1]; /* of the feature, for a sentence; "" for FEATURE_FREE */
    int64_t limit;                  /* TIERS_UNLIMITED, or how many */
    int64_t used;                   /* what was asked for included, where it was allowed and counted */
    int64_t remaining;              /* TIERS_UNLIMITED, or >= 0 */
    int64_t resets_ms;              /* when the cycle ends; 0 for a level, or where it isn't known */
};

/* What was refused, for a person; of an outcome that isn't allowed. */
#define QUOTA_SENTENCE_SIZE 192
void quota_sentence(const struct quota_outcome *outcome, char ret[QUOTA_SENTENCE_SIZE]);

struct quota_ask {
    const char *user_id; /* in lower case */
    enum feature feature;
    int64_t amount; /* >= 1; refused whole where less is left */
    int64_t now_ms; /* 0 = the clock's */
};

/* What a user could do now, without counting: one more of what `operation` names. Of failures and of unknown
 * names it says QUOTA_CHECK_FAILED. Waits for the store. */
void quota_can_perform(struct quota *q, const char *user_id, const char *operation,
                       struct quota_outcome *ret);

/* Takes, in a unit of the caller's, who forgets the user behind it. 0 with *ret, allowed or not; -ENOENT
 * where there is no such user; -EINVAL for a level. */
int quota_take_in(struct quota *q, struct db_conn *c, const struct quota_ask *ask, struct quota_outcome *ret);

/* Whether ask->amount more rows may be added to what a level counts; the caller adds them in the same unit.
 * Results as above; -EINVAL for what isn't a level. */
int quota_level_in(struct quota *q, struct db_conn *c, const struct quota_ask *ask,
                   struct quota_outcome *ret);

/* The refusal for a unit of the caller's that failed. */
void quota_fail(struct quota *q, enum feature feature, struct quota_outcome *ret);

/* ---- reservations */

/* Takes and holds under an id of the caller's (at most QUOTA_HOLD_ID_MAX bytes, never used before: else
 * -EEXIST). lease_ms: how long the hold lasts at most, 0 = until it is settled. What isn't counted (free, or
 * not named by the tier) is allowed without a hold. Results of quota_take_in. */
int quota_reserve(struct quota *q, const struct quota_ask *ask, const char *hold_id, int64_t lease_ms,
                  struct quota_outcome *ret);
int quota_reserve_in(struct quota *q, struct db_conn *c, const struct quota_ask *ask, const char *hold_id,
                     int64_t lease_ms, struct quota_outcome *ret);

/* Ends a hold: `kept` units stay counted (at most what was held), the rest is given back. 1, or 0 where there
 * is no such hold, or it has ended before. INT64_MAX keeps all of it, 0 gives all of it back. */
int quota_settle(struct quota *q, const char *user_id, const char *hold_id, int64_t kept);
int quota_settle_in(struct db_conn *c, const char *hold_id, int64_t kept);

#define QUOTA_KEEP_ALL INT64_MAX
#define QUOTA_RETURN_ALL INT64_C(0)

/* ---- what a user sees */

struct quota_usage {
    enum tier tier;
    bool plan_known;     /* tier and cycle were read */
    bool counters_known; /* so were the counters; else they are 0 */
    struct cycle cycle;
    int64_t used[FEATURES]; /* of a level: 0 */
};

/* From memory alone, on any thread: 0, or -EAGAIN where the store must be asked. At most QUOTA_CACHE_MS old;
 * what this process has written it shows at once. */
#define QUOTA_CACHE_MS 1000
int quota_usage_cached(struct quota *q, const char *user_id, struct quota_usage *ret);

/* From the store; waits. Never fails: what can't be read is marked. */
void quota_usage_read(struct quota *q, const char *user_id, struct quota_usage *ret);

/* Drops what is remembered of a user's plan and counters; NULL = of everybody. */
void quota_forget(struct quota *q, const char *user_id);

/* ---- housekeeping */

/* Gives back the units of holds whose lease is over, a hundred at most, inside the caller's unit: 1 when
 * there may be more of them, 0 when not, or the store's error. What is remembered of their users' counters is
 * out of date for at most QUOTA_CACHE_MS. */
int quota_expire_in(struct db_conn *c, int64_t now_ms);

#endif
