/* SPDX-License-Identifier: MIT */
/* Directus joins what several policies permit: fields are those of any of them, but each only in the rows of
 * its own rule. So the fields that only some tiers read are a policy of their own, whose rows are those of
 * users of such tiers. Writing can't be bound to a row's owner's tier; those fields aren't written there. */
#include "directus/permissions.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define FIELDS_MAX 4096
#define ME "$CURRENT_USER"

const char *const directus_policy_ids[DIRECTUS_POLICIES] = {
    [POLICY_CREATOR] = "7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8b02",
    [POLICY_VIEWER] = "7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8b03",
    [POLICY_EXTENDED] = "7b0c4a52-52d4-4f0e-9d5c-0f3c6f2b8b04",
};

/* Whose rights a policy states. */
static const struct identity holders[DIRECTUS_POLICIES] = {
    [POLICY_CREATOR] = {.tier = "starter"},
    [POLICY_VIEWER] = {.tier = "starter", .read_only = true},
    [POLICY_EXTENDED] = {.tier = "studio", .read_only = true},
};

const char *directus_action_name(enum action action)
{
    switch (action) {
    case ACTION_READ:
        return "read";
    case ACTION_CREATE:
        return "create";
    case ACTION_UPDATE:
        return "update";
    case ACTION_DELETE:
        return "delete";
    }
    return NULL;
}

/* What is being worked out. */
struct rule {
    enum directus_policy policy;
    enum action action;
    const struct collection *collection;
    const struct directus_collection *look;
    const struct identity *who;
    const json_t *tiers; /* of POLICY_EXTENDED: those that read more than others */
};

static bool is_permitted(const struct rule *rule)
{
    if (!(access_actions(rule->collection, rule->who) & rule->action))
        return false;
    if (rule->action == ACTION_READ)
        return true;
    bool elsewhere = (rule->collection->elsewhere_actions & rule->action) && !rule->look->create_too;
    return !elsewhere && !rule->collection->ruled; /* Directus knows nothing of rules */
}

/* ---- fields */

static bool field_permitted(const struct rule *rule, const struct column *column)
{
    const struct identity *basic = &holders[POLICY_CREATOR];
    if (rule->action != ACTION_READ)
        return access_writes(column, rule->action, rule->who);
    return access_reads(column, rule->who) &&
           (rule->policy != POLICY_EXTENDED || !access_reads(column, basic));
}

static void add_field(struct buf *out, const char *name, size_t len)
{
    if (out->len > 0)
        (void)buf_adds(out, ",");
    (void)buf_add(out, name, len);
}

static bool owner_is_preset(const struct rule *rule)
{
    return rule->action == ACTION_CREATE && rule->collection->owner && !rule->look->theirs;
}

/* The comma list; empty where the policy has no field here. */
static void list_fields(const struct rule *rule, struct buf *out)
{
    for (const struct column *c = rule->collection->columns; c->name; c++)
        if (field_permitted(rule, c))
            add_field(out, c->name, strlen(c->name));
    if (owner_is_preset(rule)) /* it may be repeated, not chosen */
        add_field(out, rule->collection->owner, strlen(rule->collection->owner));
    const char *too = rule->action == ACTION_CREATE ? rule->look->create_too : NULL;
    for (; too && *too; too += *too == '|') {
        size_t len = strcspn(too, "|");
        add_field(out, too, len);
        too += len;
    }
}

/* ---- rows */

static json_t *choice_list(const char *choices)
{
    json_t *list = json_array();
    for (const char *at = choices; *at; at += *at == '|') {
        size_t len = strcspn(at, "|");
        if (json_array_append_new(list, json_stringn(at, len)) < 0) {
            json_decref(list);
            return NULL;
        }
        at += len;
    }
    return list;
}

/* Names that a user's row may hold without a tiers file, too. */
static const char *usual_tiers(void)
{
    return access_column(access_collection("directus_users"), "subscription_tier")->choices;
}

static int add_usual_tiers(json_t *all, const struct tiers *tiers)
{
    _cleanup_json_ json_t *names = choice_list(usual_tiers());
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name) {
        const char *text = json_string_value(name);
        enum tier tier = tiers ? tiers_find(tiers, text) : tier_of(text);
        if (access_tier_is_extended(tier) && json_array_append(all, name) < 0)
            return -ENOMEM;
    }
    return names ? 0 : -ENOMEM;
}

static int add_aliases(json_t *all, const struct tiers *tiers)
{
    const char *name;
    enum tier tier;
    for (size_t i = 0; tiers && (name = tiers_alias(tiers, i, &tier)); i++)
        if (access_tier_is_extended(tier) && !access_choice(usual_tiers(), name) &&
            json_array_append_new(all, json_string(name)) < 0)
            return -ENOMEM;
    return 0;
}

json_t *directus_extended_tiers(const struct tiers *tiers)
{
    json_t *all = json_array();
    int r = all ? add_usual_tiers(all, tiers) : -ENOMEM;
    if (r == 0)
        r = add_aliases(all, tiers);
    if (r < 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* Rules that must all hold. One that is lost for want of memory would permit more, so it fails them all. */
struct rules {
    json_t *all;
    bool failed;
};

static struct rules rules_begin(void)
{
    json_t *all = json_array();
    return (struct rules){all, !all};
}

static void add_rule(struct rules *rules, json_t *rule)
{
    rules->failed |= !rule || json_array_append_new(rules->all, rule) < 0;
}

/* {} where there is none, else {"_and": […]}; frees them. */
static int rules_text(struct rules *rules, struct arena *a, const char **ret)
{
    json_t *filter = json_array_size(rules->all) > 0 ? json_pack("{s:O}", "_and", rules->all) : json_object();
    *ret = filter && !rules->failed ? json_text(a, filter) : NULL;
    json_decref(filter);
    json_decref(rules->all);
    return *ret ? 0 : -ENOMEM;
}

static json_t *filter_of(const char *text)
{
    return json_parse_own(text, strlen(text));
}

static int permitted_rows(const struct rule *rule, struct arena *a, const char **ret)
{
    const struct collection *c = rule->collection;
    struct rules rules = rules_begin();
    if (c->owner && rule->action != ACTION_CREATE)
        add_rule(&rules, json_pack("{s:{s:s}}", c->owner, "_eq", ME));
    if (rule->policy == POLICY_EXTENDED)
        add_rule(&rules, json_pack("{s:{s:{s:O}}}", c->owner, "subscription_tier", "_in", rule->tiers));
    if (c->visible)
        add_rule(&rules, rule->look->visible ? filter_of(rule->look->visible) : NULL);
    if (c->held && rule->action == ACTION_DELETE)
        add_rule(&rules, rule->look->deletable ? filter_of(rule->look->deletable) : NULL);
    return rules_text(&rules, a, ret);
}

/* ---- values */

static bool is_written(const struct rule *rule)
{
    return rule->action == ACTION_CREATE || rule->action == ACTION_UPDATE;
}

/* The values of a column that users may write here only in part: what they become. */
static const char *written_as(const struct rule *rule, const struct column *column)
{
    if (!column->user_choices || !field_permitted(rule, column))
        return NULL;
    return column->stored_as ? column->stored_as : column->user_choices;
}

static int written_values(const struct rule *rule, struct arena *a, const char **ret)
{
    struct rules rules = rules_begin();
    if (owner_is_preset(rule))
        add_rule(&rules, json_pack("{s:{s:s}}", rule->collection->owner, "_eq", ME));
    for (const struct column *c = rule->collection->columns; c->name && is_written(rule); c++) {
        const char *values = written_as(rule, c);
        if (values)
            add_rule(&rules, json_pack("{s:{s:o}}", c->name, "_in", choice_list(values)));
    }
    return rules_text(&rules, a, ret);
}

/* Values that a row gets if the user says nothing. */
static int preset_values(const struct rule *rule, struct arena *a, const char **ret)
{
    _cleanup_json_ json_t *presets = json_object();
    int r = 0;
    if (owner_is_preset(rule))
        r |= json_object_set_new(presets, rule->collection->owner, json_string(ME));
    for (const struct column *c = rule->collection->columns; c->name && is_written(rule); c++) {
        if (rule->action == ACTION_CREATE && c->stored_as && field_permitted(rule, c))
            r |= json_object_set_new(presets, c->name, json_string(c->stored_as));
        if (rule->action == ACTION_UPDATE && c->stamp && field_permitted(rule, c))
            r |= json_object_set_new(presets, c->stamp, json_string("$NOW"));
    }
    *ret = r == 0 && presets ? json_text(a, presets) : NULL;
    return *ret ? 0 : -ENOMEM;
}

/* ---- the row */

static int fill(const struct rule *rule, struct arena *a, struct directus_permission *ret)
{
    int r = permitted_rows(rule, a, &ret->permissions);
    if (r == 0)
        r = written_values(rule, a, &ret->validation);
    if (r == 0)
        r = preset_values(rule, a, &ret->presets);
    return r < 0 ? r : 1;
}

static int permission_of(const struct rule *rule, struct arena *a, struct directus_permission *ret)
{
    _cleanup_buf_ struct buf fields = BUF_INIT(FIELDS_MAX);
    bool deletes = rule->action == ACTION_DELETE;
    if (!rule->look || !is_permitted(rule))
        return 0;
    list_fields(rule, &fields);
    if (fields.failed)
        return -ENOMEM;
    if (fields.len == 0 && !deletes)
        return 0;
    *ret = (struct directus_permission){
        .policy = directus_policy_ids[rule->policy],
        .collection = rule->collection->name,
        .action = directus_action_name(rule->action),
        .fields = deletes ? NULL : arena_strdup(a, buf_str(&fields)),
    };
    if (!deletes && !ret->fields)
        return -ENOMEM;
    return fill(rule, a, ret);
}

static struct rule rule_of(enum directus_policy policy, const struct collection *collection,
                           enum action action, const json_t *tiers)
{
    return (struct rule){.policy = policy,
                         .action = action,
                         .collection = collection,
                         .look = directus_collection(collection->name),
                         .who = &holders[policy],
                         .tiers = tiers};
}

int directus_extended_rows(const struct collection *collection, const json_t *tiers, struct arena *a,
                           const char **ret)
{
    const struct rule rule = rule_of(POLICY_EXTENDED, collection, ACTION_READ, tiers);
    struct directus_permission p;
    int r = permission_of(&rule, a, &p);
    if (r > 0)
        *ret = p.permissions;
    return r;
}

int directus_permission_of(enum directus_policy policy, const struct collection *collection,
                           enum action action, struct arena *a, struct directus_permission *ret)
{
    _cleanup_json_ json_t *tiers = directus_extended_tiers(NULL);
    const struct rule rule = rule_of(policy, collection, action, tiers);
    return tiers ? permission_of(&rule, a, ret) : -ENOMEM;
}
