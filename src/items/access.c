/* SPDX-License-Identifier: MIT */
/* The table itself. Columns stand in the order of the schema. Three shapes make up nearly all of it: what a
 * user only sees, what a user also writes, and what is set by the engine. Admins see every column that has a
 * row, and write all but the fixed ones. */
#include "items/access.h"

#include "auth/accounts.h"
#include "base/text.h"
#include "quota/quota.h"

#include <string.h>

#define READ ACTION_READ
#define READ_UPDATE (ACTION_READ | ACTION_UPDATE)
#define ALL (ACTION_READ | ACTION_CREATE | ACTION_UPDATE | ACTION_DELETE)

/* Who sets a column: nobody through here, the user, the user at creation only, admins only. */
#define SHOWN USER_SEES
#define OWN (USER_SEES | USER_CREATES | USER_UPDATES)
#define ONCE (USER_SEES | USER_CREATES)
#define ADMINS 0

#define UUID(name_, flags_, ...) \
    { \
        .name = name_, .type = COLUMN_UUID, .flags = (flags_), ##__VA_ARGS__ \
    }
#define TEXT(name_, flags_, most) \
    { \
        .name = name_, .type = COLUMN_TEXT, .flags = (flags_), .max = (most) \
    }
#define INT(name_, flags_, least, most) \
    { \
        .name = name_, .type = COLUMN_INT, .flags = (flags_), .min = (least), .max = (most) \
    }
#define REAL(name_, flags_, least, most, ...) \
    { \
        .name = name_, .type = COLUMN_REAL, .flags = (flags_), .min = (least), .max = (most), ##__VA_ARGS__ \
    }
#define BOOL(name_, flags_) \
    { \
        .name = name_, .type = COLUMN_BOOL, .flags = (flags_) \
    }
#define TIME(name_, flags_) \
    { \
        .name = name_, .type = COLUMN_TIME, .flags = (flags_) \
    }
#define CHOICE(name_, flags_, list, ...) \
    { \
        .name = name_, .type = COLUMN_CHOICE, .flags = (flags_), .choices = (list), ##__VA_ARGS__ \
    }
#define TAGS(name_, flags_) \
    { \
        .name = name_, .type = COLUMN_TAGS, .flags = (flags_) \
    }
#define JSON(name_, flags_) \
    { \
        .name = name_, .type = COLUMN_JSON, .flags = (flags_), .max = JSON_MAX \
    }
#define REFERS(collection) .refers = (collection)
#define COLUMNS_END \
    { \
        .name = NULL \
    }

#define ID UUID("id", SHOWN | FIXED)
#define USER_ID UUID("user_id", SHOWN | FIXED)
#define CREATED TIME("date_created", SHOWN | FIXED)
#define UPDATED TIME("date_updated", SHOWN | FIXED)

#define NAME_MAX_BYTES 255
#define LINE_MAX_BYTES 1024
#define URL_MAX_BYTES 2048
#define TEXT_MAX_BYTES (64 * 1024)
#define JSON_MAX (64 * 1024)
#define COUNT_MAX 9007199254740991.0 /* what a double, and so every client, holds exactly */
#define MONEY_MAX 1e12

/* ---- media and platforms */

static const struct column media_jobs[] = {
    ID,
    USER_ID,
    {.name = "operation", .type = COLUMN_TEXT, .flags = ONCE | NEEDED, .max = 64, .alias = "job_type"},
    CHOICE("status", ONCE, "pending|queued|processing|completed|failed", .user_choices = "pending|queued",
           .stored_as = "pending"),
    UUID("input_file_id", ONCE | NULLABLE, REFERS("directus_files")),
    TEXT("input_url", ONCE | NULLABLE | WEB_URL, URL_MAX_BYTES),
    INT("priority", SHOWN, 0, 2097151),
    UUID("creator_profile_id", ONCE | NULLABLE, REFERS("creator_profiles")),
    UUID("media_id", ONCE | NULLABLE, REFERS("media_assets")),
    UUID("scheduled_post_id", SHOWN | NULLABLE, REFERS("scheduled_posts")),
    TEXT("bull_job_id", SHOWN | NULLABLE | FIXED, NAME_MAX_BYTES),
    JSON("params", ONCE | NULLABLE),
    INT("progress", SHOWN, 0, 100),
    JSON("result", SHOWN | NULLABLE),
    TEXT("error_message", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    INT("retry_count", SHOWN, 0, COUNT_MAX),
    TIME("started_at", SHOWN | NULLABLE),
    TIME("completed_at", SHOWN | NULLABLE),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column media_job_outputs[] = {
    ID,
    USER_ID,
    UUID("media_job_id", SHOWN | NEEDED, REFERS("media_jobs")),
    UUID("file_id", SHOWN | NULLABLE, REFERS("directus_files")),
    TEXT("kind", SHOWN | NULLABLE, NAME_MAX_BYTES),
    INT("bytes", SHOWN | NULLABLE, 0, COUNT_MAX),
    INT("width", SHOWN | NULLABLE, 0, COUNT_MAX),
    INT("height", SHOWN | NULLABLE, 0, COUNT_MAX),
    REAL("duration", SHOWN | NULLABLE, 0, COUNT_MAX),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column media_assets[] = {
    ID,
    USER_ID,
    UUID("file_id", SHOWN | NULLABLE, REFERS("directus_files")),
    TEXT("media_type", SHOWN | NULLABLE, NAME_MAX_BYTES),
    TEXT("title", SHOWN | USER_UPDATES | NULLABLE, LINE_MAX_BYTES),
    TAGS("tags", SHOWN | USER_UPDATES | NULLABLE),
    UUID("source_job_id", SHOWN | NULLABLE, REFERS("media_jobs")),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column platform_connections[] = {
    ID,
    USER_ID,
    CHOICE("platform", OWN | NEEDED, PLATFORMS),
    TEXT("platform_username", OWN | NULLABLE, NAME_MAX_BYTES),
    TEXT("credentials_version", SHOWN | NULLABLE | FIXED, 16),
    TIME("credentials_updated_at", SHOWN | NULLABLE | FIXED),
    TEXT("status", SHOWN, 64),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column creator_profiles[] = {
    ID,
    USER_ID,
    CHOICE("platform", OWN | NEEDED, PLATFORMS),
    TEXT("username", OWN | NEEDED, NAME_MAX_BYTES),
    CHOICE("scrape_status", SHOWN, "idle|scraping|success|error"),
    TIME("last_scraped_at", SHOWN | NULLABLE),
    BOOL("is_active", OWN),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column scheduled_posts[] = {
    ID,
    USER_ID,
    CHOICE("platform", OWN | NEEDED, PLATFORMS),
    {.name = "content_text",
     .type = COLUMN_TEXT,
     .flags = OWN | NULLABLE,
     .max = TEXT_MAX_BYTES,
     .alias = "caption"},
    TIME("scheduled_time", OWN | NULLABLE),
    CHOICE("status", OWN, "draft|scheduled|publishing|posted|failed", .user_choices = "draft|scheduled"),
    UUID("media_id", OWN | NULLABLE, REFERS("media_assets")),
    JSON("platform_meta", OWN | NULLABLE),
    TIME("posted_at", SHOWN | NULLABLE),
    TEXT("error_message", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column hitl_action_queue[] = {
    ID,
    USER_ID,
    TEXT("action", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("message", SHOWN | NEEDED, TEXT_MAX_BYTES),
    JSON("context", SHOWN | NULLABLE),
    UUID("platform_connection_id", SHOWN | NULLABLE, REFERS("platform_connections")),
    UUID("scheduled_post_id", SHOWN | NULLABLE, REFERS("scheduled_posts")),
    CHOICE("status", SHOWN | USER_UPDATES, "pending|resolved", .user_choices = "resolved",
           .stamp_value = "resolved", .stamp = "resolved_at"),
    TIME("resolved_at", SHOWN | NULLABLE | FIXED),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

/* ---- persona, nodes */

static const struct column user_personas[] = {
    ID,
    USER_ID,
    CHOICE("onboarding_state", SHOWN, "EXTENSION_INSTALL|DATA_COLLECTION|PROCESSING|COMPLETE"),
    JSON("brand_colors", SHOWN | USER_UPDATES | NULLABLE),
    TEXT("voice", SHOWN | USER_UPDATES | NULLABLE, TEXT_MAX_BYTES),
    TEXT("summary", SHOWN | USER_UPDATES | NULLABLE, TEXT_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

/* The night's rule (retrieval/decay.h), the other way round; the days that it was out aren't taken off it. */
#define NOTE_COMES_BACK \
    "UPDATE user_nodes SET status = 'active', last_decayed_at = ?1 " \
    "WHERE id = ?2 AND status = 'decayed' AND weight >= 0.1"

static const struct column user_nodes[] = {
    ID,
    USER_ID,
    TEXT("node_type", OWN | NEEDED, 64),
    TEXT("title", OWN | NEEDED | EMBEDDED, LINE_MAX_BYTES),
    TEXT("content", OWN | EMBEDDED, TEXT_MAX_BYTES),
    TAGS("tags", OWN | EMBEDDED),
    REAL("weight", OWN, 0, 1, .then = NOTE_COMES_BACK,
         .then_why = "a decayed note that is given 0.1 or more is active again"),
    REAL("decay_rate", SHOWN, 0, 1),
    CHOICE("status", SHOWN, "active|decayed"),
    TIME("last_reinforced_at", SHOWN | NULLABLE),
    TIME("last_decayed_at", SHOWN | NULLABLE),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column user_node_edges[] = {
    ID,
    USER_ID,
    UUID("source", OWN | NEEDED, REFERS("user_nodes")),
    UUID("target", OWN | NEEDED, REFERS("user_nodes")),
    REAL("weight", OWN, 0, 1),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

/* ---- fans */

static const struct column fan_profiles[] = {
    ID,
    USER_ID,
    TEXT("display_name", OWN | NULLABLE, NAME_MAX_BYTES),
    TEXT("username", OWN | NULLABLE, NAME_MAX_BYTES),
    CHOICE("platform", OWN | NEEDED, PLATFORMS),
    CHOICE("status", OWN, "active|churned|win-back|trial"),
    TIME("subscribed_at", OWN | NULLABLE),
    TIME("last_seen_at", OWN | NULLABLE),
    REAL("total_spend", OWN, 0, MONEY_MAX),
    TEXT("currency", OWN, 8),
    TAGS("tags", OWN),
    INT("message_count", OWN | EXTENDED, 0, COUNT_MAX),
    INT("purchase_count", OWN | EXTENDED, 0, COUNT_MAX),
    REAL("tip_total", OWN | EXTENDED, 0, MONEY_MAX),
    REAL("ppv_total", OWN | EXTENDED, 0, MONEY_MAX),
    REAL("avg_order_value", OWN | EXTENDED | NULLABLE, 0, MONEY_MAX),
    TEXT("sentiment", OWN | EXTENDED | NULLABLE, 64),
    REAL("churn_risk", OWN | EXTENDED | NULLABLE, 0, 1),
    INT("lifetime_days", OWN | EXTENDED | NULLABLE, 0, COUNT_MAX),
    TEXT("notes", OWN | EXTENDED | NULLABLE, TEXT_MAX_BYTES),
    JSON("preferences", OWN | EXTENDED | NULLABLE),
    JSON("custom", OWN | EXTENDED | NULLABLE),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column fan_platform_accounts[] = {
    ID,
    USER_ID,
    UUID("fan_profile_id", OWN | NEEDED, REFERS("fan_profiles")),
    CHOICE("platform", OWN | NEEDED, PLATFORMS),
    TEXT("platform_fan_id", OWN | NEEDED, NAME_MAX_BYTES),
    TEXT("username", OWN | NULLABLE, NAME_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column fan_subscriptions[] = {
    ID,
    USER_ID,
    UUID("fan_profile_id", OWN | NEEDED, REFERS("fan_profiles")),
    CHOICE("platform", OWN | NEEDED, PLATFORMS),
    TEXT("plan", OWN | NULLABLE, NAME_MAX_BYTES),
    TEXT("status", OWN, 64),
    REAL("price", OWN | NULLABLE, 0, MONEY_MAX),
    TEXT("currency", OWN | NULLABLE, 8),
    TIME("started_at", OWN | NULLABLE),
    TIME("expires_at", OWN | NULLABLE),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column fan_subscription_events[] = {
    ID,
    USER_ID,
    UUID("fan_profile_id", ONCE | NEEDED, REFERS("fan_profiles")),
    UUID("subscription_id", ONCE | NULLABLE, REFERS("fan_subscriptions")),
    TEXT("event_type", ONCE | NEEDED, 64),
    REAL("amount", ONCE | NULLABLE, -MONEY_MAX, MONEY_MAX),
    TEXT("currency", ONCE | NULLABLE, 8),
    TIME("occurred_at", ONCE | NEEDED),
    JSON("metadata", ONCE | NULLABLE),
    CREATED,
    COLUMNS_END,
};

static const struct column fan_identity_links[] = {
    ID,
    USER_ID,
    UUID("fan_profile_id", OWN | NEEDED, REFERS("fan_profiles")),
    UUID("linked_fan_profile_id", OWN | NEEDED, REFERS("fan_profiles")),
    REAL("confidence", OWN, 0, 1),
    TEXT("reason", OWN | NULLABLE, LINE_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column fan_memories[] = {
    ID,
    USER_ID,
    UUID("fan_profile_id", OWN | NEEDED, REFERS("fan_profiles")),
    TEXT("memory_type", OWN | NULLABLE, 64),
    TEXT("content", OWN | NEEDED, TEXT_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

/* ---- counters and trails */

static const struct column user_usage_counts[] = {
    ID,
    USER_ID,
    TEXT("feature_key", SHOWN | NEEDED, 64),
    TIME("billing_cycle_start", SHOWN | NEEDED),
    INT("count", SHOWN, 0, COUNT_MAX),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column agent_audits[] = {
    ID,
    USER_ID,
    TEXT("slug", SHOWN, 64),
    CHOICE("status", SHOWN, "success|error|miss"),
    JSON("steps", SHOWN),
    INT("ms", SHOWN | NULLABLE, 0, COUNT_MAX),
    TEXT("error", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    TEXT("input_hash", SHOWN | NULLABLE, NAME_MAX_BYTES),
    CREATED,
    COLUMNS_END,
};

static const struct column credential_audits[] = {
    ID,
    USER_ID,
    UUID("record_id", SHOWN | NULLABLE),
    TEXT("actor", SHOWN, NAME_MAX_BYTES),
    TEXT("action", SHOWN, NAME_MAX_BYTES),
    TEXT("outcome", SHOWN, NAME_MAX_BYTES),
    TEXT("ip", SHOWN | NULLABLE, 64),
    TEXT("request_id", SHOWN | NULLABLE, NAME_MAX_BYTES),
    CREATED,
    COLUMNS_END,
};

/* ---- shared by all */

static const struct column agent_skills[] = {
    ID,
    TEXT("name", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("category", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("description", SHOWN, TEXT_MAX_BYTES),
    TAGS("tags", SHOWN),
    TEXT("content", SHOWN, TEXT_MAX_BYTES),
    REAL("activation_score", SHOWN, 0, COUNT_MAX),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column skill_edges[] = {
    ID,
    UUID("source", SHOWN | NEEDED, REFERS("agent_skills")),
    UUID("target", SHOWN | NEEDED, REFERS("agent_skills")),
    TEXT("relation", SHOWN, NAME_MAX_BYTES),
    REAL("weight", SHOWN, 0, 1),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column taxonomy_dimensions[] = {
    ID,
    TEXT("name", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("description", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column taxonomy_nodes[] = {
    ID,
    CHOICE("type", SHOWN | NEEDED, "super_concept|category|tag|site"),
    TEXT("name", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("description", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    UUID("dimension_id", SHOWN | NULLABLE, REFERS("taxonomy_dimensions")),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column taxonomy_edges[] = {
    ID,
    CHOICE("type", SHOWN | NEEDED, "HAS_TAG|HAS_CATEGORY|USES_TAG|CO_OCCURS|MAPS_TO_CONCEPT"),
    UUID("source", SHOWN | NEEDED, REFERS("taxonomy_nodes")),
    UUID("target", SHOWN | NEEDED, REFERS("taxonomy_nodes")),
    REAL("weight", SHOWN, 0, COUNT_MAX),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column taxonomy_mapping[] = {
    ID,
    TEXT("term", SHOWN | NEEDED, NAME_MAX_BYTES),
    UUID("node_id", SHOWN | NEEDED, REFERS("taxonomy_nodes")),
    REAL("weight", SHOWN, 0, COUNT_MAX),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column action_flows[] = {
    ID,
    TEXT("slug", SHOWN | NEEDED, 64),
    TEXT("name", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("description", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    BOOL("active", SHOWN),
    BOOL("allow_side_effects", SHOWN),
    JSON("steps", ADMINS), /* may hold keys of other services, in the headers of a request */
    CREATED,
    UPDATED,
    COLUMNS_END,
};

static const struct column system_config[] = {
    ID,
    TEXT("key", ADMINS | NEEDED, NAME_MAX_BYTES),
    TEXT("value", ADMINS | NULLABLE, TEXT_MAX_BYTES),
    CREATED,
    UPDATED,
    COLUMNS_END,
};

/* ---- Directus's own */

static const struct column directus_files[] = {
    ID,
    TEXT("filename_download", SHOWN | NEEDED, NAME_MAX_BYTES),
    TEXT("title", OWN | NULLABLE, NAME_MAX_BYTES),
    TEXT("type", SHOWN | NULLABLE | FIXED, NAME_MAX_BYTES),
    UUID("uploaded_by", SHOWN | NULLABLE | FIXED),
    TIME("created_on", SHOWN | FIXED),
    TIME("uploaded_on", SHOWN | NULLABLE | FIXED),
    TIME("modified_on", SHOWN | FIXED),
    INT("filesize", SHOWN | NULLABLE | FIXED, 0, COUNT_MAX),
    INT("width", SHOWN | NULLABLE | FIXED, 0, COUNT_MAX),
    INT("height", SHOWN | NULLABLE | FIXED, 0, COUNT_MAX),
    INT("duration", SHOWN | NULLABLE | FIXED, 0, COUNT_MAX),
    TEXT("description", SHOWN | NULLABLE, TEXT_MAX_BYTES),
    TAGS("tags", OWN | NULLABLE),
    COLUMNS_END,
};

static const struct column directus_users[] = {
    ID,
    TEXT("first_name", SHOWN | USER_UPDATES | NULLABLE, 50),
    TEXT("last_name", SHOWN | USER_UPDATES | NULLABLE, 50),
    TEXT("email", SHOWN | NULLABLE | FIXED, ACCOUNT_EMAIL_MAX),
    TEXT("location", SHOWN | USER_UPDATES | NULLABLE, NAME_MAX_BYTES),
    TEXT("title", SHOWN | USER_UPDATES | NULLABLE, 50),
    TEXT("description", SHOWN | USER_UPDATES | NULLABLE, TEXT_MAX_BYTES),
    TAGS("tags", SHOWN | USER_UPDATES | NULLABLE),
    UUID("avatar", SHOWN | NULLABLE, REFERS("directus_files")),
    TEXT("language", SHOWN | USER_UPDATES | NULLABLE, NAME_MAX_BYTES),
    CHOICE("status", ADMINS, "draft|invited|unverified|active|suspended|archived"),
    UUID("role", SHOWN | NULLABLE),
    TIME("last_access", ADMINS | NULLABLE | FIXED),
    CHOICE("subscription_tier", ADMINS | NULLABLE, "starter|creator|pro|studio|freemium|elite"),
    TIME("subscription_start", ADMINS | NULLABLE),
    CHOICE("subscription_period", ADMINS | NULLABLE, "monthly|yearly"),
    INT("anythingllm_user_id", ADMINS | NULLABLE | FIXED, 0, COUNT_MAX),
    COLUMNS_END,
};

#define POSTS_RULED "The rules of [posts](posts.md) hold, and the plan's queue"
#define FILES_ELSEWHERE "Files are uploaded and deleted through /files"

const struct collection access_table[] = {
    {.name = "media_jobs",
     .owner = "user_id",
     .columns = media_jobs,
     .user_actions = ACTION_READ | ACTION_CREATE | ACTION_DELETE,
     .admin_actions = ALL,
     .held = "status IN ('queued', 'processing')",
     .held_why = "A job that is queued or running can't be deleted"},
    {.name = "media_job_outputs",
     .owner = "user_id",
     .columns = media_job_outputs,
     .user_actions = READ,
     .admin_actions = ALL},
    {.name = "media_assets",
     .owner = "user_id",
     .columns = media_assets,
     .user_actions = READ_UPDATE | ACTION_DELETE,
     .admin_actions = ALL},
    {.name = "platform_connections",
     .owner = "user_id",
     .columns = platform_connections,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "creator_profiles",
     .owner = "user_id",
     .columns = creator_profiles,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "user_personas",
     .owner = "user_id",
     .columns = user_personas,
     .user_actions = READ_UPDATE,
     .admin_actions = ALL},
    {.name = "user_nodes",
     .owner = "user_id",
     .columns = user_nodes,
     .user_actions = ALL,
     .admin_actions = ALL,
     .stale = "embedding"},
    {.name = "user_node_edges",
     .owner = "user_id",
     .columns = user_node_edges,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "scheduled_posts",
     .owner = "user_id",
     .columns = scheduled_posts,
     .user_actions = ALL,
     .admin_actions = ALL,
     .ruled = POSTS_RULED},
    {.name = "fan_profiles",
     .owner = "user_id",
     .columns = fan_profiles,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "fan_platform_accounts",
     .owner = "user_id",
     .columns = fan_platform_accounts,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "fan_subscriptions",
     .owner = "user_id",
     .columns = fan_subscriptions,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "fan_identity_links",
     .owner = "user_id",
     .columns = fan_identity_links,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "fan_memories",
     .owner = "user_id",
     .columns = fan_memories,
     .user_actions = ALL,
     .admin_actions = ALL},
    {.name = "fan_subscription_events",
     .owner = "user_id",
     .columns = fan_subscription_events,
     .user_actions = ACTION_READ | ACTION_CREATE,
     .admin_actions = ACTION_READ | ACTION_CREATE | ACTION_DELETE},
    {.name = "hitl_action_queue",
     .owner = "user_id",
     .columns = hitl_action_queue,
     .user_actions = READ_UPDATE,
     .admin_actions = ALL},
    {.name = "user_usage_counts",
     .owner = "user_id",
     .columns = user_usage_counts,
     .user_actions = READ,
     .admin_actions = ALL},
    {.name = "agent_audits",
     .owner = "user_id",
     .columns = agent_audits,
     .user_actions = READ,
     .admin_actions = READ},
    {.name = "credential_audits",
     .owner = "user_id",
     .columns = credential_audits,
     .user_actions = READ,
     .admin_actions = READ},
    {.name = "agent_skills", .columns = agent_skills, .user_actions = READ, .admin_actions = ALL},
    {.name = "skill_edges", .columns = skill_edges, .user_actions = READ, .admin_actions = ALL},
    {.name = "taxonomy_dimensions",
     .columns = taxonomy_dimensions,
     .user_actions = READ,
     .admin_actions = ALL},
    {.name = "taxonomy_nodes", .columns = taxonomy_nodes, .user_actions = READ, .admin_actions = ALL},
    {.name = "taxonomy_edges", .columns = taxonomy_edges, .user_actions = READ, .admin_actions = ALL},
    {.name = "taxonomy_mapping", .columns = taxonomy_mapping, .user_actions = READ, .admin_actions = ALL},
    {.name = "action_flows",
     .visible = "active = TRUE",
     .columns = action_flows,
     .user_actions = READ,
     .admin_actions = ALL},
    {.name = "system_config", .columns = system_config, .user_actions = 0, .admin_actions = ALL},
    {.name = "directus_files",
     .owner = "uploaded_by",
     .columns = directus_files,
     .user_actions = ALL,
     .admin_actions = ALL,
     .elsewhere = FILES_ELSEWHERE,
     .elsewhere_actions = ACTION_CREATE | ACTION_DELETE},
    {.name = "directus_users",
     .owner = "id",
     .columns = directus_users,
     .user_actions = READ_UPDATE,
     .admin_actions = READ_UPDATE},
    {.name = NULL},
};

const struct collection *access_collection(const char *name)
{
    for (const struct collection *c = access_table; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

const struct column *access_column(const struct collection *collection, const char *name)
{
    for (const struct column *c = collection->columns; c->name; c++)
        if (strcmp(c->name, name) == 0 || str_equal(c->alias, name))
            return c;
    return NULL;
}

unsigned access_actions(const struct collection *collection, const struct identity *who)
{
    if (who->read_only)
        return collection->user_actions & ACTION_READ;
    return who->admin ? collection->admin_actions : collection->user_actions;
}

static struct quota *plans; /* NULL: no tiers are in force here */

void access_use_tiers(struct quota *quota)
{
    plans = quota;
}

bool access_tier_is_extended(enum tier tier)
{
    return tier == TIER_PRO || tier == TIER_STUDIO;
}

static bool name_is_extended(const char *name)
{
    _cleanup_(tiers_unrefP) struct tiers *tiers = plans ? quota_tiers(plans) : NULL;
    return access_tier_is_extended(tiers ? tiers_find(tiers, name) : tier_of(name));
}

bool access_reads(const struct column *column, const struct identity *who)
{
    if (who->admin)
        return true;
    return (column->flags & USER_SEES) && (!(column->flags & EXTENDED) || name_is_extended(who->tier));
}

bool access_writes(const struct column *column, enum action action, const struct identity *who)
{
    if ((column->flags & FIXED) || !access_reads(column, who))
        return false;
    return who->admin || (column->flags & (action == ACTION_CREATE ? USER_CREATES : USER_UPDATES));
}

bool access_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *at = choices; len > 0 && *at; at += *at == '|') {
        size_t item = strcspn(at, "|");
        if (item == len && strncmp(at, value, len) == 0)
            return true;
        at += item;
    }
    return false;
}
