/* SPDX-License-Identifier: MIT */
/* The access table as rows for directus_permissions, so that a creator's token of Directus may do at Directus
 * what it may do here, where Directus can say it. What it can't say is left out, never widened:
 * docs/directus.md names it. Pure. */
#ifndef DIRECTUS_PERMISSIONS_H
#define DIRECTUS_PERMISSIONS_H

#include "base/arena.h"
#include "base/json.h"
#include "directus/collections.h"

enum directus_policy {
    POLICY_CREATOR,
    POLICY_VIEWER,
    POLICY_EXTENDED, /* what only some tiers read, beside one of the others */
    DIRECTUS_POLICIES
};

/* The ids that the second migration gives them. */
extern const char *const directus_policy_ids[DIRECTUS_POLICIES];

/* A row of directus_permissions; texts are constants or live in the arena. */
struct directus_permission {
    const char *policy, *collection, *action;
    const char *permissions, *validation, *presets; /* JSON */
    const char *fields;                             /* comma list; NULL where there are none to name */
};

/* 1 and the row; 0 where the policy permits nothing; or -ENOMEM. action is one of enum action. */
int directus_permission_of(enum directus_policy policy, const struct collection *collection,
                           enum action action, struct arena *a, struct directus_permission *ret);

/* The tiers that read the extended fields, by all names that the tiers file gives them (NULL: by those that
 * every file does): a list of texts, a new reference, or NULL without memory. */
json_t *directus_extended_tiers(const struct tiers *tiers);

/* The rows (`permissions`) that POLICY_EXTENDED permits to read where these are such tiers: 1 and JSON in the
 * arena; 0 where it permits none; or -ENOMEM. */
int directus_extended_rows(const struct collection *collection, const json_t *tiers, struct arena *a,
                           const char **ret);

/* "read", "create", "update" or "delete". */
const char *directus_action_name(enum action action);

#endif
