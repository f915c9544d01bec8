/* SPDX-License-Identifier: MIT */
/* Scheduled posts: what a post must be like, which of its states lead where, and the plan's queue. They are
 * rules of the collection (items/rules.h), so /api/posts, /api/directus/items and the steps of flows write
 * posts through the same function. The scheduler finds what is due by (status, scheduled_time). */
#ifndef POSTS_POSTS_H
#define POSTS_POSTS_H

#include "base/json.h"
#include "quota/quota.h"

#define POSTS "scheduled_posts"

/* How far ahead a post may be scheduled. */
#define POST_AHEAD_MAX_MS (INT64_C(366) * 24 * 60 * 60 * 1000)

/* Bytes of platform_meta as compact JSON. */
#define POST_META_MAX (16 * 1024)

/* Sets the rules, once at start; quota must outlive all writing. */
void posts_set_rules(struct quota *quota);

/* Inside a unit: replaces platform_meta, unless it has become longer than POST_META_MAX; then it stays as it
 * was. 0 or the store's error. */
int post_set_meta_in(struct db_conn *c, const char *post_id, const json_t *meta, const char *now);

#endif
