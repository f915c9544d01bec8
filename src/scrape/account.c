/* SPDX-License-Identifier: MIT */
/* Signing in: with the credentials of the user's connection to the platform, which are read once (with an
 * audit row), sent to the browser service, and wiped. What asks for more is a person's. */
#include "scrape/internal.h"

#include "base/text.h"
#include "vault/credentials.h"

#include <errno.h>
#include <string.h>

#define ACTOR "scrape-jobs"
#define CHALLENGE_MAX 200 /* bytes that its owner is shown */

static const char state_properties[] =
    "{\"signed_in\":{\"type\":\"boolean\",\"description\":\"whether an account is signed in\"},"
    "\"challenge\":{\"type\":\"string\",\"description\":\"what the page asks for beyond a name and a "
    "password, such as a code or a captcha; empty if nothing\"}}";

struct connection {
    const char *user_id, *platform, *username; /* username may be NULL */
    char id[UUID_SIZE];
    char name[256];
};

/* The connection of that username before any other. */
static int find_unit(struct db_conn *c, void *arg)
{
    struct connection *in = arg;
    _cleanup_(db_rows_freeP) struct db_rows *rows = NULL;
    int r =
        db_query(c,
                 "SELECT id, platform_username FROM platform_connections WHERE user_id = ?1 AND platform = "
                 "?2 AND encrypted_credentials IS NOT NULL ORDER BY CASE WHEN platform_username = ?3 THEN 0 "
                 "ELSE 1 END, date_created, id LIMIT 1",
                 DB_ARGS(DB_TEXT(in->user_id), DB_TEXT(in->platform), DB_TEXT(in->username)), &rows);
    if (r == 0)
        r = db_next(rows);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    (void)snprintf(in->id, sizeof in->id, "%s", db_text(rows, 0));
    (void)snprintf(in->name, sizeof in->name, "%s", db_text(rows, 1) ? db_text(rows, 1) : "");
    return 0;
}

/* *ret: {"username", "password"}, a new reference; NULL where the vault has none that can be opened. 0, or
 * the store's error. */
static int read_credentials(const struct run *run, const struct connection *where, json_t **ret)
{
    _cleanup_buf_ struct buf plain = BUF_INIT_SECRET(VAULT_PLAIN_MAX);
    const struct credentials_caller who = {.db = run->scrape->db,
                                           .vault = run->scrape->vault,
                                           .actor = ACTOR,
                                           .user_id = run->user_id,
                                           .may_reveal = true};
    int r = credentials_reveal(&who, where->id, &plain);
    if (r != CREDENTIALS_OK)
        return r < 0 ? r : 0;
    _cleanup_json_ json_t *value = json_parse(plain.data, plain.len);
    const char *name = json_str(value, "username", json_str(value, "email", where->name));
    const char *password = json_str(value, "password", NULL);
    *ret = password ? json_pack("{s:s, s:s}", "username", name, "password", password) : NULL;
    return password && !*ret ? -ENOMEM : 0;
}

/* The job goes on once its owner has done what the message says. */
static bool wait_for_person(struct run *run, const char *platform, const char *action, const char *message)
{
    const struct hitl what = {.job_id = run->work->job.id,
                              .user_id = run->user_id,
                              .action = action,
                              .message = message,
                              .platform = platform};
    int r = hitl_add(run->scrape->db, &what);
    if (r < 0)
        return run_store_failed(run, r);
    queue_log(run->work, "waits for its owner: %s", message);
    run->work->verdict = WORK_LATER;
    run->work->delay_ms = SCRAPE_LOOK_AGAIN_MS;
    return false;
}

static bool look(struct run *run, bool *ret_in, const char **ret_challenge)
{
    _cleanup_json_ json_t *state = NULL;
    if (!page_read(run, "Whether somebody is signed in here, and whether the page asks for something more",
                   state_properties, &state))
        return false;
    *ret_in = json_bool(state, "signed_in", false);
    const char *challenge = json_str(state, "challenge", "");
    *ret_challenge =
        arena_strndup(run->work->arena, challenge, utf8_floor(challenge, strlen(challenge), CHALLENGE_MAX));
    return *ret_challenge ? true : run_retry(run, "Out of memory");
}

static bool ask_person(struct run *run, const struct site *site, const char *challenge)
{
    const char *message = arena_printf(run->work->arena, "Logging in to %s needs you: %s", site->platform,
                                       challenge[0] ? challenge : "name or password was not accepted");
    return wait_for_person(run, site->platform, "login_challenge",
                           message ? message : "Logging in needs you");
}

/* false with a verdict, unless the form was sent. */
static bool send_credentials(struct run *run, const struct site *site, const char *username)
{
    struct connection where = {.user_id = run->user_id, .platform = site->platform, .username = username};
    json_t *variables = NULL;
    int r = db_look(run->scrape->db, find_unit, &where);
    if (r == 0)
        r = read_credentials(run, &where, &variables);
    if (r < 0 && r != -ENOENT)
        return run_store_failed(run, r);
    if (!variables)
        return wait_for_person(run, site->platform, "connect_account",
                               "Save the name and the password of this account, then resolve this");
    return page_act(run, "Sign in with the name %username% and the password %password%", variables);
}

static bool sign_in(struct run *run, const struct site *site, const char *username)
{
    bool in = false;
    const char *challenge = "";
    if (!look(run, &in, &challenge))
        return false;
    if (in)
        return true;
    if (challenge[0])
        return ask_person(run, site, challenge);
    if (!send_credentials(run, site, username) || !look(run, &in, &challenge))
        return false;
    return in ? true : ask_person(run, site, challenge);
}

bool account_open(struct run *run, const struct site *site, const char *username)
{
    int r = browser_start(&run->browser, NULL, NULL, run->session);
    if (r < 0)
        return run_browser_failed(run, r);
    return page_open(run, site->home) && sign_in(run, site, username);
}
