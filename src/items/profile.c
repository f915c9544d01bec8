/* SPDX-License-Identifier: MIT */
#include "items/profile.h"

#include <errno.h>
#include <string.h>

static const char *const members[] = {
    "id",          "email",    "first_name", "last_name",         "avatar", "title",
    "description", "location", "language",   "subscription_tier", "role",   "onboarding_state"};

bool profile_has(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (strcmp(members[i], name) == 0)
            return true;
    return strcmp(name, "tags") == 0;
}

#define PROFILE_SQL \
    "SELECT u.id, u.email, u.first_name, u.last_name, u.avatar, u.title, u.description, u.location, " \
    "u.language," \
    " u.subscription_tier, u.role, p.onboarding_state, u.tags" \
    " FROM directus_users u LEFT JOIN user_personas p ON p.user_id = u.id WHERE u.id = ?1"

struct profile_arg {
    const char *user_id;
    json_t *profile; /* out */
};

static int add_tags(json_t *profile, const char *text)
{
    json_t *tags = text ? json_parse(text, strlen(text)) : NULL;
    return json_object_set_new(profile, "tags", tags ? tags : json_null());
}

static int profile_unit(struct db_conn *c, void *arg)
{
    struct profile_arg *p = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, PROFILE_SQL, DB_ARGS(DB_TEXT(p->user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    _cleanup_json_ json_t *profile = json_object();
    int failed = profile ? 0 : -1;
    for (size_t i = 0; failed == 0 && i < ARRAY_LEN(members); i++) {
        const char *text = db_text(rows, (int)i);
        json_t *value = text ? json_string(text) : NULL;
        failed = json_object_set_new(profile, members[i], value ? value : json_null());
    }
    if (failed < 0 || add_tags(profile, db_text(rows, (int)ARRAY_LEN(members))) < 0)
        return -ENOMEM;
    p->profile = TAKE_PTR(profile);
    return 0;
}

int profile_read(struct db *db, const struct identity *who, json_t **ret)
{
    struct profile_arg p = {.user_id = who->user_id};
    int r = db_look(db, profile_unit, &p);
    if (r == 0)
        *ret = p.profile;
    return r;
}
