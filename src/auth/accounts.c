/* SPDX-License-Identifier: MIT */
/* Names that must be unique (user name, workspace slug) take the plain form where it is free and eight random
 * digits where it is not. Another may take a name between the look and the insert; the store then runs the
 * whole unit again, and the look finds it taken. */
#include "auth/accounts.h"

#include "auth/rights.h"
#include "base/clock.h"
#include "base/text.h"
#include "onboarding/state.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define SUFFIX_DIGITS 8
#define SUFFIX_TRIES 8
#define SLUG_MAX ACCOUNT_NAME_MAX
#define ADOPTEE_TEXTS_MAX (16 * 1024)

/* Nobody logs in with it: log-in goes by the Directus user. No hash function yields it. */
#define NO_PASSWORD "!"

int account_email(const char *given, char *ret)
{
    const char *at = strchr(given, '@');
    size_t len = strnlen(given, ACCOUNT_EMAIL_MAX + 1);
    if (!at || at == given || strchr(at + 1, '@') || len > ACCOUNT_EMAIL_MAX || !utf8_valid(given, len))
        return -EINVAL;
    const char *dot = strrchr(at, '.');
    if (!dot || dot == at + 1 || dot[1] == '\0')
        return -EINVAL;
    for (const char *s = given; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7F || strchr("<>()[],;:\\\"", *s))
            return -EINVAL;
    memcpy(ret, given, len + 1);
    str_lower(ret);
    return 0;
}

bool account_onboarding_valid(const char *state)
{
    enum onboarding_state found;
    return onboarding_state_find(state, &found) == 0;
}

void account_username(const char *email, char *ret)
{
    size_t n = 0;
    if (!isalpha((unsigned char)email[0]))
        ret[n++] = 'u';
    for (; *email && n < ACCOUNT_NAME_MAX; email++) {
        unsigned char ch = (unsigned char)tolower((unsigned char)*email);
        bool kept = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || (ch && strchr("_.@-", ch));
        ret[n++] = kept ? (char)ch : '-';
    }
    ret[n] = '\0';
}

/* Letters, digits and underscores of the user name, one dash for each run of the rest. */
static void make_slug(const char *username, char *ret)
{
    size_t n = 0;
    for (; *username && n < SLUG_MAX; username++) {
        if (isalnum((unsigned char)*username) || *username == '_')
            ret[n++] = *username;
        else if (n > 0 && ret[n - 1] != '-')
            ret[n++] = '-';
    }
    while (n > 0 && ret[n - 1] == '-')
        n--;
    ret[n] = '\0';
}

int account_unique_name(struct db_conn *c, const char *taken_sql, char *name, size_t max)
{
    size_t stem = strlen(name);
    if (stem > max - SUFFIX_DIGITS - 1)
        stem = utf8_floor(name, stem, max - SUFFIX_DIGITS - 1);
    for (int i = 0; i < SUFFIX_TRIES; i++) {
        int64_t one;
        int r = db_query_int(c, taken_sql, DB_ARGS(DB_TEXT(name)), &one);
        if (r <= 0)
            return r;
        name[stem] = '-';
        random_text("0123456789", name + stem + 1, SUFFIX_DIGITS);
    }
    return -EIO;
}

/* ---- making */

/* One account while it is being made. */
struct making {
    struct db_conn *c;
    const struct account_spec *spec;
    struct account *account;
    char role_id[UUID_SIZE];
    bool admin;
    char username[ACCOUNT_NAME_MAX + 1], slug[SLUG_MAX + 1];
    char now[ISO_TIME_LEN];
};

int account_email_taken(struct db_conn *c, const char *email)
{
    int64_t one;
    return db_query_int(c, "SELECT 1 FROM directus_users WHERE lower(email) = lower(?1)",
                        DB_ARGS(DB_TEXT(email)), &one);
}

static int check_email_free(struct making *m)
{
    int r = account_email_taken(m->c, m->spec->email);
    return r > 0 ? -EEXIST : r;
}

/* Of several roles with one name, the one with most policies: one without gives no rights. */
#define ROLE_BY_NAME \
    "SELECT r.id FROM directus_roles r WHERE r.name = ?1" \
    " ORDER BY (SELECT count(*) FROM directus_access a WHERE a.role = r.id) DESC, r.id LIMIT 1"

/* A Directus's administrators may have renamed their role. */
#define ROLE_OF_ADMINS \
    "SELECT a.role FROM directus_access a JOIN directus_policies p ON p.id = a.policy" \
    " WHERE p.admin_access = TRUE AND a.role IS NOT NULL AND 'Administrator' = ?1 ORDER BY a.role LIMIT 1"

/* 1 and the role's id, 0 none, or the store's error. */
static int look_for_role(struct making *m, const char *sql, const char *name)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(m->c, sql, DB_ARGS(DB_TEXT(name)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r > 0)
        (void)snprintf(m->role_id, sizeof m->role_id, "%s", db_text(rows, 0));
    return r;
}

static int find_role(struct making *m)
{
    const char *name = m->spec->role ? m->spec->role : "Creator";
    struct rights rights;
    int r = look_for_role(m, ROLE_BY_NAME, name);
    if (r == 0)
        r = look_for_role(m, ROLE_OF_ADMINS, name);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = rights_load(m->c, NULL, m->role_id, NULL, &rights);
    m->admin = r == 0 && rights.admin;
    return r;
}

static int add_native_user(struct making *m)
{
    account_username(m->spec->email, m->username);
    m->account->anythingllm_user_id = m->spec->anythingllm_user_id;
    if (m->spec->anythingllm_user_id)
        return 0;
    int r =
        account_unique_name(m->c, "SELECT 1 FROM users WHERE username = ?1", m->username, ACCOUNT_NAME_MAX);
    if (r < 0)
        return r;
    return db_insert(m->c,
                     "INSERT INTO users (username, password, role, \"createdAt\", \"lastUpdatedAt\")"
                     " VALUES (?1, ?2, ?3, ?4, ?4) RETURNING id",
                     DB_ARGS(DB_TEXT(m->username), DB_TEXT(NO_PASSWORD),
                             DB_TEXT(m->admin ? "admin" : "default"), DB_TEXT(m->now)),
                     &m->account->anythingllm_user_id);
}

static int add_directus_user(struct making *m)
{
    const struct account_spec *spec = m->spec;
    uuid_make(m->account->user_id);
    return db_exec(m->c,
                   "INSERT INTO directus_users (id, email, password, first_name, role, status, provider,"
                   " subscription_tier, subscription_start, subscription_period, anythingllm_user_id)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?9, 'default', ?6, ?7, 'monthly', ?8)",
                   DB_ARGS(DB_TEXT(m->account->user_id), DB_TEXT(spec->email), DB_TEXT(spec->password_hash),
                           DB_TEXT(spec->first_name), DB_TEXT(m->role_id),
                           DB_TEXT(spec->tier ? spec->tier : "starter"), DB_TEXT(m->now),
                           DB_INT(m->account->anythingllm_user_id),
                           DB_TEXT(spec->status ? spec->status : "active")),
                   NULL);
}

static int add_persona(struct making *m)
{
    char id[UUID_SIZE];
    uuid_make(id);
    const char *state = m->spec->onboarding ? m->spec->onboarding : "EXTENSION_INSTALL";
    return db_exec(m->c,
                   "INSERT INTO user_personas (id, user_id, onboarding_state, date_created, date_updated)"
                   " VALUES (?1, ?2, ?3, ?4, ?4)",
                   DB_ARGS(DB_TEXT(id), DB_TEXT(m->account->user_id), DB_TEXT(state), DB_TEXT(m->now)), NULL);
}

/* 1 where the AnythingLLM user has one already. */
static int find_workspace(struct making *m)
{
    return db_query_int(
        m->c, "SELECT min(workspace_id) FROM workspace_users WHERE user_id = ?1 HAVING count(*) > 0",
        DB_ARGS(DB_INT(m->account->anythingllm_user_id)), &m->account->workspace_id);
}

/* The workspace carries the installation's prompt as it is now; its owner may change it there. */
static int add_workspace(struct making *m)
{
    int found = m->spec->anythingllm_user_id ? find_workspace(m) : 0;
    if (found != 0)
        return found < 0 ? found : 0;
    char name[ACCOUNT_EMAIL_MAX + 32];
    const char *email = m->spec->email, *first = m->spec->first_name;
    int len = first ? (int)strnlen(first, ACCOUNT_EMAIL_MAX) : (int)strcspn(email, "@");
    (void)snprintf(name, sizeof name, "%.*s's workspace", len, first ? first : email);
    make_slug(m->username, m->slug);
    int r = account_unique_name(m->c, "SELECT 1 FROM workspaces WHERE slug = ?1", m->slug, SLUG_MAX);
    if (r < 0)
        return r;
    r = db_insert(m->c,
                  "INSERT INTO workspaces (name, slug, \"openAiPrompt\", \"chatMode\", \"createdAt\", "
                  "\"lastUpdatedAt\")"
                  " VALUES (?1, ?2, (SELECT value FROM system_config WHERE key = 'prime_directive'), "
                  "'automatic', ?3, ?3)"
                  " RETURNING id",
                  DB_ARGS(DB_TEXT(name), DB_TEXT(m->slug), DB_TEXT(m->now)), &m->account->workspace_id);
    if (r < 0)
        return r;
    return db_exec(
        m->c,
        "INSERT INTO workspace_users (user_id, workspace_id, \"createdAt\", \"lastUpdatedAt\")"
        " VALUES (?1, ?2, ?3, ?3)",
        DB_ARGS(DB_INT(m->account->anythingllm_user_id), DB_INT(m->account->workspace_id), DB_TEXT(m->now)),
        NULL);
}

int account_create(struct db_conn *c, const struct account_spec *spec, struct account *ret)
{
    static int (*const steps[])(struct making *) = {check_email_free,  find_role,   add_native_user,
                                                    add_directus_user, add_persona, add_workspace};
    struct account account = {0};
    struct making m = {.c = c, .spec = spec, .account = &account};
    clock_format_iso(clock_now_ms(), m.now);
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps) && r >= 0; i++)
        r = steps[i](&m);
    if (r < 0)
        return r;
    *ret = account;
    return 0;
}

/* ---- adopting */

/* What there is of an account, as far as adopting must know. */
struct adoptee {
    struct account_spec spec;
    char role_id[UUID_SIZE];
    bool has_persona, has_workspace;
};

#define HAS_PERSONA "EXISTS (SELECT 1 FROM user_personas p WHERE p.user_id = u.id)"
#define HAS_WORKSPACE "EXISTS (SELECT 1 FROM workspace_users w WHERE w.user_id = u.anythingllm_user_id)"

static int read_adoptee(struct db_conn *c, const char *user_id, struct arena *a, struct adoptee *ret,
                        struct account *account)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT u.email, u.first_name, u.role, u.anythingllm_user_id, " HAS_PERSONA
                     ", " HAS_WORKSPACE " FROM directus_users u WHERE u.id = ?1",
                     DB_ARGS(DB_TEXT(user_id)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    ret->spec.email = db_text_dup(rows, 0, a);
    ret->spec.first_name = db_text_dup(rows, 1, a);
    (void)snprintf(ret->role_id, sizeof ret->role_id, "%s", db_text(rows, 2) ? db_text(rows, 2) : "");
    account->anythingllm_user_id = db_int(rows, 3);
    ret->has_persona = db_int(rows, 4) != 0;
    ret->has_workspace = db_int(rows, 5) != 0;
    return 0;
}

/* Ties the new AnythingLLM user to its Directus user, whose first billing cycle begins now. */
static int tie_native_user(struct making *m)
{
    return db_exec(
        m->c,
        "UPDATE directus_users SET anythingllm_user_id = ?2,"
        " subscription_start = coalesce(subscription_start, ?3) WHERE id = ?1",
        DB_ARGS(DB_TEXT(m->account->user_id), DB_INT(m->account->anythingllm_user_id), DB_TEXT(m->now)),
        NULL);
}

static int add_missing(struct making *m, const struct adoptee *who, unsigned *ret_made)
{
    int r = 0;
    *ret_made = (m->account->anythingllm_user_id ? 0 : ACCOUNT_NATIVE_USER) |
                (who->has_persona ? 0 : ACCOUNT_PERSONA) | (who->has_workspace ? 0 : ACCOUNT_WORKSPACE);
    if (*ret_made & ACCOUNT_NATIVE_USER)
        r = add_native_user(m);
    if (r >= 0 && *ret_made & ACCOUNT_NATIVE_USER)
        r = tie_native_user(m);
    if (r >= 0 && *ret_made & ACCOUNT_PERSONA)
        r = add_persona(m);
    account_username(m->spec->email, m->username); /* which the workspace is named by */
    if (r >= 0 && *ret_made & ACCOUNT_WORKSPACE)
        r = add_workspace(m);
    return r;
}

static int adopt(struct db_conn *c, struct adoptee *who, struct account *account, unsigned *ret_made)
{
    struct making m = {.c = c, .spec = &who->spec, .account = account};
    struct rights rights;
    if (!who->spec.email) /* Directus allows it */
        who->spec.email = account->user_id;
    clock_format_iso(clock_now_ms(), m.now);
    int r = rights_load(c, account->user_id, who->role_id[0] ? who->role_id : NULL, NULL, &rights);
    m.admin = r == 0 && rights.admin;
    return r < 0 ? r : add_missing(&m, who, ret_made);
}

int account_adopt(struct db_conn *c, const char *user_id, const char *onboarding, struct account *ret,
                  unsigned *ret_made)
{
    struct adoptee who = {.spec.onboarding = onboarding};
    struct account account = {0};
    struct arena texts;
    unsigned made = 0;
    arena_init(&texts, ADOPTEE_TEXTS_MAX);
    int r = read_adoptee(c, user_id, &texts, &who, &account);
    (void)snprintf(account.user_id, sizeof account.user_id, "%s", user_id);
    if (r == 0)
        r = adopt(c, &who, &account, &made);
    arena_free(&texts);
    if (r < 0)
        return r;
    *ret = account;
    *ret_made = made;
    return 0;
}

int account_each_unadopted(struct db_conn *c, int (*visit)(void *ctx, const char *user_id, const char *email),
                           void *ctx)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c,
                     "SELECT u.id, u.email FROM directus_users u WHERE u.status = 'active' AND"
                     " (u.anythingllm_user_id IS NULL OR NOT " HAS_PERSONA " OR NOT " HAS_WORKSPACE
                     ") ORDER BY u.email, u.id",
                     DB_NO_ARGS, &rows);
    while (r >= 0 && (r = db_next(rows)) > 0)
        r = visit(ctx, db_text(rows, 0), db_text(rows, 1));
    return r;
}

/* ---- finding */

#define INFO_COLUMNS \
    "SELECT u.id, u.email, u.first_name, u.role, r.name, u.subscription_tier, u.status, p.onboarding_state," \
    " (SELECT min(w.slug) FROM workspace_users wu JOIN workspaces w ON w.id = wu.workspace_id" \
    "  WHERE wu.user_id = u.anythingllm_user_id), u.last_access, u.anythingllm_user_id" \
    " FROM directus_users u LEFT JOIN directus_roles r ON r.id = u.role" \
    " LEFT JOIN user_personas p ON p.user_id = u.id "

#define LIST_ROW_MAX (16 * 1024)

static void read_info(struct db_rows *rows, struct arena *a, struct account_info *ret)
{
    const char **texts[] = {&ret->user_id,   &ret->email,      &ret->first_name, &ret->role_id,
                            &ret->role,      &ret->tier,       &ret->status,     &ret->onboarding,
                            &ret->workspace, &ret->last_access};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = db_text_dup(rows, (int)i, a);
    ret->anythingllm_user_id = db_int(rows, (int)ARRAY_LEN(texts));
}

int account_find(struct db_conn *c, const char *email, struct arena *a, struct account_info *ret)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, INFO_COLUMNS "WHERE lower(u.email) = lower(?1)", DB_ARGS(DB_TEXT(email)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    read_info(rows, a, ret);
    return 0;
}

int account_each(struct db_conn *c, void (*visit)(void *ctx, const struct account_info *account), void *ctx)
{
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r = db_query(c, INFO_COLUMNS "ORDER BY u.email, u.id", DB_NO_ARGS, &rows);
    while (r == 0 && (r = db_next(rows)) > 0) {
        struct arena a;
        struct account_info info = {0};
        arena_init(&a, LIST_ROW_MAX);
        read_info(rows, &a, &info);
        visit(ctx, &info);
        arena_free(&a);
        r = 0;
    }
    return r;
}

/* ---- changing */

static int end_sessions(struct db_conn *c, const char *user_id)
{
    return db_exec(c, "DELETE FROM directus_sessions WHERE \"user\" = ?1", DB_ARGS(DB_TEXT(user_id)), NULL);
}

int account_set_password(struct db_conn *c, const char *user_id, const char *hash)
{
    int64_t changed;
    int r = db_exec(c, "UPDATE directus_users SET password = ?2 WHERE id = ?1",
                    DB_ARGS(DB_TEXT(user_id), DB_TEXT(hash)), &changed);
    if (r == 0 && changed == 0)
        return -ENOENT;
    return r < 0 ? r : end_sessions(c, user_id);
}

int account_set_suspended(struct db_conn *c, const char *user_id, bool suspended)
{
    int64_t changed;
    int r = db_exec(c, "UPDATE directus_users SET status = ?2 WHERE id = ?1",
                    DB_ARGS(DB_TEXT(user_id), DB_TEXT(suspended ? "suspended" : "active")), &changed);
    if (r == 0 && changed == 0)
        return -ENOENT;
    if (r == 0)
        r = db_exec(c,
                    "UPDATE users SET suspended = ?2 WHERE id ="
                    " (SELECT anythingllm_user_id FROM directus_users WHERE id = ?1)",
                    DB_ARGS(DB_TEXT(user_id), DB_INT(suspended)), NULL);
    return r < 0 || !suspended ? r : end_sessions(c, user_id);
}
