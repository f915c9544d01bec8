/* SPDX-License-Identifier: MIT */
/* A post is a draft or waits in the queue; from there on it is the scheduler's, until it has failed and is
 * its owner's again. The time decides: a post that is given one is scheduled, one whose time is taken away is
 * a draft, unless the writing names a status itself. */
#include "posts/posts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "items/rules.h"
#include "posts/accepted.h"
#include "posts/platforms.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define SUBREDDIT_MAX 21

static bool is_one_of(const char *choices, const char *value)
{
    return value && access_choice(choices, value);
}

/* ---- states */

/* An admin may mend what the scheduler holds. */
static int check_state(const struct items_change *ch)
{
    bool gone = is_one_of("publishing|posted", items_before(ch, "status"));
    if (!gone || items_change_who(ch)->admin)
        return 0;
    return items_refuse(ch, -EALREADY, NULL, "A post that is being published, or is posted, can't be %s",
                        items_change_action(ch) == ACTION_DELETE ? "deleted" : "changed");
}

static void choose_status(struct items_change *ch)
{
    bool times = items_gives(ch, "scheduled_time") || items_change_action(ch) == ACTION_CREATE;
    if (times && !items_gives(ch, "status"))
        items_put(ch, "status", items_after(ch, "scheduled_time") ? "scheduled" : "draft");
    bool revived = str_equal(items_before(ch, "status"), "failed") &&
                   is_one_of("draft|scheduled", items_after(ch, "status"));
    if (revived && !items_gives(ch, "error_message"))
        items_put(ch, "error_message", NULL);
}

static bool is_scheduled(const struct items_change *ch)
{
    return str_equal(items_after(ch, "status"), "scheduled");
}

/* Whether this writing puts it into the queue. */
static bool joins_queue(const struct items_change *ch)
{
    return is_scheduled(ch) && !str_equal(items_before(ch, "status"), "scheduled");
}

static int check_time(const struct items_change *ch)
{
    const char *time = items_after(ch, "scheduled_time");
    int64_t at, now = clock_now_ms();
    if (!time)
        return is_scheduled(ch) ? items_refuse(ch, -EINVAL, "scheduled_time",
                                               "scheduled_time is needed for a post that is scheduled")
                                : 0;
    bool looks = is_one_of("draft|scheduled", items_after(ch, "status")) &&
                 (items_gives(ch, "scheduled_time") || joins_queue(ch));
    if (!looks)
        return 0;
    if (clock_parse_iso(time, &at) < 0 || at <= now)
        return items_refuse(ch, -EINVAL, "scheduled_time", "scheduled_time must lie in the future");
    if (at > now + POST_AHEAD_MAX_MS)
        return items_refuse(ch, -EINVAL, "scheduled_time", "scheduled_time must lie within a year");
    return 0;
}

/* ---- content */

static int check_text(const struct items_change *ch, const struct platform *platform)
{
    const char *text = items_after(ch, "content_text");
    size_t len = text ? strlen(text) : 0;
    if (utf8_count(text ? text : "", len) > POST_TEXT_MAX)
        return items_refuse(ch, -EINVAL, "content_text", "content_text is longer than %d characters",
                            POST_TEXT_MAX);
    if (len > 0 && platform_count(platform, text, len) > platform->text_max)
        return items_refuse(ch, -EINVAL, "content_text", "content_text is longer than %s takes: %zu %s",
                            platform->name, platform->text_max, platform->unit_name);
    return 0;
}

/* What a platform wants to know beside the text. */
struct meta_rule {
    const char *platform, *key;
    bool needed;
    size_t max; /* characters */
    bool (*valid)(const char *value);
};

static bool is_subreddit(const char *value)
{
    if (strncasecmp(value, "r/", 2) == 0)
        value += 2;
    size_t len = strlen(value);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)value[i]) && value[i] != '_')
            return false;
    return len >= 2 && len <= SUBREDDIT_MAX;
}

static const struct meta_rule meta_rules[] = {
    {"reddit", "subreddit", true, SUBREDDIT_MAX + 2, is_subreddit},
    {"reddit", "title", true, 300, NULL},
    {"youtube", "title", false, 100, NULL},
};

static int check_meta_rule(const struct items_change *ch, const struct meta_rule *rule, const json_t *meta)
{
    const json_t *value = json_object_get(meta, rule->key);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) || (text && str_is_blank(text)))
        return rule->needed ? items_refuse(ch, -EINVAL, "platform_meta", "platform_meta needs %s on %s",
                                           rule->key, rule->platform)
                            : 0;
    if (!text || utf8_count(text, strlen(text)) > rule->max || (rule->valid && !rule->valid(text)))
        return items_refuse(ch, -EINVAL, "platform_meta",
                            "platform_meta.%s must be a text that %s takes, of at most %zu characters",
                            rule->key, rule->platform, rule->max);
    return 0;
}

static int check_meta(const struct items_change *ch, const struct platform *platform)
{
    const char *text = items_after(ch, "platform_meta");
    if (text && strlen(text) > POST_META_MAX)
        return items_refuse(ch, -EINVAL, "platform_meta", "platform_meta is longer than %d bytes",
                            POST_META_MAX);
    _cleanup_json_ json_t *meta = text ? json_parse_own(text, strlen(text)) : NULL;
    if (text && !json_is_object(meta))
        return items_refuse(ch, -EINVAL, "platform_meta", "platform_meta must be an object");
    for (size_t i = 0; i < ARRAY_LEN(meta_rules); i++) {
        bool concerns = str_equal(meta_rules[i].platform, platform->name);
        int r = concerns ? check_meta_rule(ch, &meta_rules[i], meta) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* A title is a post of its own where the platform has them. */
static int check_substance(const struct items_change *ch, const struct platform *platform)
{
    const char *text = items_after(ch, "content_text");
    bool something = (text && !str_is_blank(text)) || items_after(ch, "media_id");
    if (!is_scheduled(ch) || something || str_equal(platform->name, "reddit"))
        return 0;
    return items_refuse(ch, -EINVAL, "content_text", "A scheduled post needs content_text or media_id");
}

static int check_content(const struct items_change *ch)
{
    const struct platform *platform = platform_find(items_after(ch, "platform"));
    if (!platform)
        return items_refuse(ch, -EINVAL, "platform", "platform is not known");
    int r = check_text(ch, platform);
    if (r == 0)
        r = check_meta(ch, platform);
    return r < 0 ? r : check_substance(ch, platform);
}

/* ---- the queue */

/* The row is written in the same unit, so of many at once as many join as there is room for. */
static int take_place(struct quota *quota, struct db_conn *c, const struct items_change *ch)
{
    struct quota_outcome outcome;
    const struct quota_ask ask = {
        .user_id = items_change_owner(ch), .feature = FEATURE_SCHEDULED_POSTS, .amount = 1};
    int r = quota_level_in(quota, c, &ask, &outcome);
    if (r < 0)
        quota_fail(quota, ask.feature, &outcome);
    return outcome.allowed ? 0 : items_refuse_quota(ch, &outcome);
}

static int join_queue(struct quota *quota, struct db_conn *c, const struct items_change *ch)
{
    const char *text = items_after(ch, "content_text");
    int r = take_place(quota, c, ch);
    return r == 0 && text ? accepted_reinforce(c, items_change_owner(ch), text) : r;
}

static int apply(void *ctx, struct db_conn *c, struct items_change *ch)
{
    int r = check_state(ch);
    if (r < 0 || items_change_action(ch) == ACTION_DELETE)
        return r;
    choose_status(ch);
    r = check_time(ch);
    if (r == 0)
        r = check_content(ch);
    return r == 0 && joins_queue(ch) ? join_queue(ctx, c, ch) : r;
}

int post_set_meta_in(struct db_conn *c, const char *post_id, const json_t *meta, const char *now)
{
    _cleanup_buf_ struct buf text = BUF_INIT(POST_META_MAX);
    int r = json_write(&text, meta);
    if (r < 0)
        return r == -ENOBUFS ? 0 : r;
    return db_exec(c, "UPDATE scheduled_posts SET platform_meta = ?1, date_updated = ?2 WHERE id = ?3",
                   DB_ARGS(DB_TEXT(buf_str(&text)), DB_TEXT(now), DB_TEXT(post_id)), NULL);
}

void posts_set_rules(struct quota *quota)
{
    items_set_rules(POSTS, apply, quota);
}
