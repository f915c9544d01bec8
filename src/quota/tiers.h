/* SPDX-License-Identifier: MIT */
/* What each plan allows: the tiers file as an immutable, reference-counted snapshot. The features, the tiers
 * and the operations are fixed here, since the rest of the program knows them by name; the file gives them
 * limits, names for people, aliases, and says which operation counts as which feature. Thread-safe. */
#ifndef QUOTA_TIERS_H
#define QUOTA_TIERS_H

#include "base/buf.h"
#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

#define TIERS_BYTES_MAX (64 * 1024)
#define TIERS_ERROR_MAX 320
#define TIERS_NAME_MAX 64 /* bytes of a name or label in the file */
#define TIERS_LIMIT_MAX 1000000000
#define TIERS_UNLIMITED (-1)
#define TIERS_DEFAULT_PATH "config/tier_rate_limits.json"

enum feature {
    FEATURE_CAPTIONS,
    FEATURE_TAXONOMY,
    FEATURE_MEDIA,
    FEATURE_SCHEDULED_POSTS, /* a level: how many there are, not how many there were */
    FEATURE_CHAT,            /* counted only in tiers that name it */
    FEATURES,
    FEATURE_FREE = FEATURES, /* of an operation that counts as nothing */
};

struct feature_info {
    const char *key; /* in the file and in user_usage_counts */
    bool level;
    bool optional; /* a tier that doesn't name it doesn't count it */
};

extern const struct feature_info features[FEATURES];

enum tier { TIER_STARTER, TIER_CREATOR, TIER_PRO, TIER_STUDIO, TIERS };

const char *tier_name(enum tier tier);

/* The tier of a stored name where no file is read: its own, or an alias that every file has. NULL and unknown
 * names are the starter. */
enum tier tier_of(const char *stored);

struct tiers;

/* Reads the text of a tiers file. 0 and a reference, -EINVAL with a sentence that names the place in
 * ret_error (which holds TIERS_ERROR_MAX), or -ENOMEM with one. */
int tiers_parse(const char *text, size_t len, struct tiers **ret, char *ret_error);

/* Finds and reads the file: TIERS_FILE where that is set (then it must be there), else TIERS_DEFAULT_PATH in
 * the working directory, else the one that is built in. ret_source (of TIERS_ERROR_MAX bytes, may be NULL)
 * says which. 0, or negative errno with a sentence that names the file. */
int tiers_load(const struct config *cfg, struct tiers **ret, char *ret_source, char *ret_error);

struct tiers *tiers_ref(struct tiers *tiers);
void tiers_unref(struct tiers *tiers);
DEFINE_CLEANUP(struct tiers *, tiers_unref);

/* The tier of a subscription_tier as it is stored: aliases count, NULL and unknown names are the starter. */
enum tier tiers_find(const struct tiers *tiers, const char *stored);

/* The tier behind a name that somebody gives: its own or an alias. 0, or -ENOENT. */
int tiers_named(const struct tiers *tiers, const char *name, enum tier *ret);

/* The aliases, one after the other from i = 0, each with its tier; NULL after the last. */
const char *tiers_alias(const struct tiers *tiers, size_t i, enum tier *ret);

/* TIERS_UNLIMITED, 0 = not in the tier, or how many. Unlimited for a feature that the tier doesn't count. */
int64_t tiers_limit(const struct tiers *tiers, enum tier tier, enum feature feature);

/* Whether uses are counted there; and whether any tier counts them. */
bool tiers_counts(const struct tiers *tiers, enum tier tier, enum feature feature);
bool tiers_count_anywhere(const struct tiers *tiers, enum feature feature);

/* What /api/usage calls a counter (NULL for a level), and what sentences call it. They live as long as the
 * snapshot. */
const char *tiers_shown_as(const struct tiers *tiers, enum feature feature);
const char *tiers_label(const struct tiers *tiers, enum feature feature);

/* The feature behind a name: a feature's key, what it is shown as, or an operation of a job. 0, or -ENOENT.
 * FEATURE_FREE for an operation that costs nothing. */
int tiers_resolve(const struct tiers *tiers, const char *name, enum feature *ret);

/* Appends the snapshot in the form of the file. 0, -ENOBUFS or -ENOMEM. */
int tiers_print(const struct tiers *tiers, struct buf *out);

#endif
