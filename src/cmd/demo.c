/* SPDX-License-Identifier: MIT */
/* Everything is made in one unit, after the passwords were hashed, so a demo is there whole or not at all.
 * The first of the two accounts tells whether it is. */
#include "cmd/demo.h"

#include "api/assets.h"
#include "auth/accounts.h"
#include "auth/passwords.h"
#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <string.h>
#include <unistd.h>

#define CREATOR "creator@demo.local"
#define ADMIN "admin@demo.local"
#define PASSWORD_LEN 20
#define PASSWORD_CHARS "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
#define PASSWORD_FILE "demo-passwords.txt"

struct demo_user {
    const char *email, *name, *role, *tier;
    char password[PASSWORD_LEN + 1], hash[PASSWORD_HASH_SIZE];
    struct account account;
};

struct demo {
    const json_t *data;
    struct demo_user creator, admin;
};

static int make_user(struct db_conn *c, struct demo_user *u)
{
    struct account_spec spec = {.email = u->email,
                                .password_hash = u->hash,
                                .first_name = u->name,
                                .role = u->role,
                                .tier = u->tier,
                                .onboarding = "COMPLETE"};
    return account_create(c, &spec, &u->account);
}

static int add_node(struct db_conn *c, const char *user_id, const json_t *node, json_t *ids)
{
    char id[UUID_SIZE];
    uuid_make(id);
    _cleanup_free_ char *tags = json_dumps(json_object_get(node, "tags"), JSON_COMPACT);
    int r = db_exec(c,
                    "INSERT INTO user_nodes (id, user_id, node_type, title, content, tags, weight) "
                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    DB_ARGS(DB_TEXT(id), DB_TEXT(user_id), DB_TEXT(json_str(node, "node_type", "content")),
                            DB_TEXT(json_str(node, "title", "")), DB_TEXT(json_str(node, "content", "")),
                            DB_TEXT(tags ? tags : "[]"), DB_REAL(json_num(node, "weight", 0.5))),
                    NULL);
    if (r == 0 && json_object_set_new(ids, json_str(node, "key", ""), json_string(id)) < 0)
        r = -ENOMEM;
    return r;
}

static int add_edge(struct db_conn *c, const char *user_id, const json_t *edge, const json_t *ids)
{
    char id[UUID_SIZE];
    uuid_make(id);
    return db_exec(
        c, "INSERT INTO user_node_edges (id, user_id, source, target, weight) VALUES (?1, ?2, ?3, ?4, ?5)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(user_id), DB_TEXT(json_str(ids, json_str(edge, "source", ""), NULL)),
                DB_TEXT(json_str(ids, json_str(edge, "target", ""), NULL)),
                DB_REAL(json_num(edge, "weight", 0.5))),
        NULL);
}

static int add_fan(struct db_conn *c, const char *user_id, const json_t *fan)
{
    char id[UUID_SIZE];
    uuid_make(id);
    _cleanup_free_ char *tags = json_dumps(json_object_get(fan, "tags"), JSON_COMPACT);
    return db_exec(
        c,
        "INSERT INTO fan_profiles (id, user_id, display_name, username, platform, status, subscribed_at, "
        "last_seen_at, total_spend, currency, tags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        DB_ARGS(DB_TEXT(id), DB_TEXT(user_id), DB_TEXT(json_str(fan, "display_name", "")),
                DB_TEXT(json_str(fan, "username", NULL)), DB_TEXT(json_str(fan, "platform", "onlyfans")),
                DB_TEXT(json_str(fan, "status", "active")), DB_TEXT(json_str(fan, "subscribed_at", NULL)),
                DB_TEXT(json_str(fan, "last_seen_at", NULL)), DB_REAL(json_num(fan, "total_spend", 0)),
                DB_TEXT(json_str(fan, "currency", "USD")), DB_TEXT(tags ? tags : "[]")),
        NULL);
}

static int add_data(struct db_conn *c, const char *user_id, const json_t *data)
{
    _cleanup_json_ json_t *ids = json_object();
    const json_t *item;
    size_t i;
    int r = ids ? 0 : -ENOMEM;
    json_array_foreach (json_object_get(data, "nodes"), i, item)
        if (r == 0)
            r = add_node(c, user_id, item, ids);
    json_array_foreach (json_object_get(data, "edges"), i, item)
        if (r == 0)
            r = add_edge(c, user_id, item, ids);
    json_array_foreach (json_object_get(data, "fans"), i, item)
        if (r == 0)
            r = add_fan(c, user_id, item);
    return r;
}

static int make_demo(struct db_conn *c, void *arg)
{
    struct demo *d = arg;
    int r = make_user(c, &d->creator);
    if (r == 0)
        r = make_user(c, &d->admin);
    return r == 0 ? add_data(c, d->creator.account.user_id, d->data) : r;
}

static int find_demo(struct db_conn *c, void *arg)
{
    struct arena *a = arg;
    struct account_info info;
    return account_find(c, CREATOR, a, &info);
}

static int make_passwords(struct demo *d)
{
    _cleanup_(passwords_closeP) struct passwords *hashers = NULL;
    struct demo_user *users[] = {&d->creator, &d->admin};
    int r = passwords_open((int)ARRAY_LEN(users), &hashers);
    for (size_t i = 0; i < ARRAY_LEN(users) && r == 0; i++) {
        random_text(PASSWORD_CHARS, users[i]->password, PASSWORD_LEN);
        r = password_hash(hashers, users[i]->password, users[i]->hash);
    }
    return r;
}

/* Written before the accounts exist: a demo without known passwords would be of no use. */
static int keep_passwords(const char *dir, const struct demo *d)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, PASSWORD_FILE) < 0)
        return -ENOMEM;
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) < 0)
        return -errno;
    if (dprintf(fd, "%s %s\n%s %s\n", CREATOR, d->creator.password, ADMIN, d->admin.password) < 0 ||
        fsync(fd) < 0)
        return -errno;
    printf("Demo users, also in %s:\n  %s  %s\n  %s    %s\n", path, CREATOR, d->creator.password, ADMIN,
           d->admin.password);
    return 0;
}

static int make_once(const struct config *cfg, struct db *db)
{
    struct demo d = {
        .creator = {.email = CREATOR, .name = "Robin", .role = "Creator", .tier = "pro"},
        .admin = {.email = ADMIN, .name = "Admin", .role = "Administrator", .tier = "studio"},
    };
    _cleanup_json_ json_t *data = json_parse(demo_data, demo_data_len);
    d.data = data;
    int r = data ? make_passwords(&d) : -EINVAL;
    if (r == 0)
        r = keep_passwords(cfg->data_dir, &d);
    if (r == 0)
        r = db_write(db, make_demo, &d);
    wipe(&d, sizeof d);
    return r;
}

/* Servers that start at once on one directory take turns: else the second one's passwords would replace, in
 * the file, those of the accounts that the first one makes. Held until the descriptor is closed. */
static int take_turn(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    int r = -errno;
    if (fd >= 0)
        close(fd);
    return r;
}

static int make_unless_there(const struct config *cfg, struct db *db)
{
    struct arena a;
    _cleanup_close_ int turn = take_turn(cfg->data_dir);
    if (turn < 0)
        return turn;
    arena_init(&a, 64 * 1024);
    int r = db_read(db, find_demo, &a);
    arena_free(&a);
    return r == -ENOENT ? make_once(cfg, db) : r;
}

int demo_prepare(const struct config *cfg, struct db *db)
{
    if (!str_has_prefix(cfg->bind_address, "127.") && !str_equal(cfg->bind_address, "::1")) {
        (void)cmd_fail("--demo makes known users, so it wants BIND_ADDRESS to be loopback, not %s",
                       cfg->bind_address);
        return -EPERM;
    }
    int r = make_unless_there(cfg, db);
    if (r < 0)
        (void)cmd_fail("the demo data could not be made: %s", strerror(-r));
    return r;
}

static void print_question(const char *base, const char *question)
{
    printf(
        "  curl -N -H \"Authorization: Bearer $TOKEN\" -d '{\"message\":\"%s\"}' %s/api/genie/stream-chat\n",
        question, base);
}

void demo_print_tour(const struct config *cfg, int port)
{
    char base[96];
    bool v6 = strchr(cfg->bind_address, ':') != NULL;
    (void)snprintf(base, sizeof base, "http://%s%s%s:%d", v6 ? "[" : "", cfg->bind_address, v6 ? "]" : "",
                   port);
    printf("\nGenieHelper serves on %s (its endpoints: /api/docs). In a second terminal:\n\n", base);
    printf("  TOKEN=$(build/genie user token --data %s --email %s)\n", cfg->data_dir, CREATOR);
    print_question(base, "What do my fans in Berlin like?");
    print_question(base, "Recall your memory of the launch plan");
    printf("  curl -H \"Authorization: Bearer $TOKEN\" %s/api/genie/history\n\n", base);
    printf("README.md goes on with a picture through the job queue.\n\n");
    (void)fflush(stdout);
}
