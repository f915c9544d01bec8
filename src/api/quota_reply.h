/* SPDX-License-Identifier: MIT */
/* The one refusal that all billed endpoints share. */
#ifndef API_QUOTA_REPLY_H
#define API_QUOTA_REPLY_H

#include "api/app.h"
#include "quota/quota.h"

/* 403 tier_limit_reached, with the reason, a sentence about the feature and, where they are known, limit,
 * used and resets_at. Under /api/directus in Directus's own shape. For an outcome that is not allowed. */
reply reply_quota_refused(struct request *rq, const struct quota_outcome *outcome);

#endif
