/* SPDX-License-Identifier: MIT */
/* The order of it: nobody has the embedded store open; a private copy, brought to the newest schema; a fresh
 * store beside it, which knows the seeds; then one transaction on the target, in which all tables are locked
 * against other writers, looked at, emptied of seeds, filled, and counted. At its end the embedded store must
 * still be what was copied: what was written there meanwhile would be lost. */
#include "import/carry_job.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STORE_FILE "genie.db"
#define SECRETS_FILE "secrets.env"
#define SECRETS_MAX 65536
#define CATALOGUE_MAX ((size_t)16 << 20)

int carry_fail(struct carry *k, int r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!k->result->error[0])
        (void)vsnprintf(k->result->error, sizeof k->result->error, fmt, ap);
    va_end(ap);
    return r;
}

int carry_prepare(struct carry *k, sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
    (void)k;
    return sqlite3_prepare_v2(db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : -EIO;
}

/* ---- secrets */

static const struct setting *find_setting(const char *name)
{
    for (const struct setting *s = settings; s->name; s++)
        if (strcmp(s->name, name) == 0 && (s->type == SETTING_TEXT || s->type == SETTING_CHOICE))
            return s;
    return NULL;
}

/* A secret of the store that is another one now would make what it protects unreadable. */
static int check_secret(struct carry *k, const char *name, const char *value)
{
    const struct setting *s = find_setting(name);
    const char *now = s ? *(const char *const *)((const char *)k->options->config + s->offset) : NULL;
    size_t used = strlen(k->result->secrets);
    (void)snprintf(k->result->secrets + used, sizeof k->result->secrets - used, "%s%s", used ? "," : "",
                   name);
    if (s && (!now || !secret_equal(value, now)))
        return carry_fail(k, -EPERM,
                          "%s is not the one in %s/" SECRETS_FILE "; what it protects would be unreadable",
                          name, k->options->dir);
    return 0;
}

/* NAME=value, the value perhaps in quotes. */
static int check_line(struct carry *k, char *line)
{
    char *equals = strchr(line, '=');
    size_t len = strlen(line);
    if (line[0] == '#' || !equals)
        return 0;
    while (len > 0 && strchr("\r\n \t", line[len - 1]))
        line[--len] = '\0';
    char *value = equals + 1, quote = *value;
    *equals = '\0';
    if ((quote == '"' || quote == '\'') && line + len - 1 > value && line[len - 1] == quote) {
        line[len - 1] = '\0';
        value++;
    }
    return check_secret(k, line, value);
}

static int check_secrets(struct carry *k)
{
    _cleanup_free_ char *path = NULL, *line = NULL;
    size_t room = 0;
    int r = 0;
    if (asprintf(&path, "%s/" SECRETS_FILE, k->options->dir) < 0)
        return -ENOMEM;
    _cleanup_(fcloseP) FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? 0 : carry_fail(k, -errno, "%s can't be read: %s", path, strerror(errno));
    while (r == 0 && getline(&line, &room, file) >= 0)
        r = check_line(k, line);
    if (line)
        wipe(line, room);
    return r;
}

/* ---- the copy */

static int check_holder(struct carry *k)
{
    pid_t holder = snapshot_holder(k->store_path);
    if (holder == 0)
        return 0;
    if (holder > 0)
        return carry_fail(k, -EBUSY, "process %d has the store in %s open; stop it first", (int)holder,
                          k->options->dir);
    if (holder == -1)
        return carry_fail(k, -EBUSY, "another process has the store in %s open; stop it first",
                          k->options->dir);
    return carry_fail(k, holder, "%s can't be read: %s", k->store_path, strerror(-holder));
}

/* Opens, migrates and closes an embedded store, so that it lies there in the newest schema. */
static int migrate(struct carry *k, const char *path)
{
    _cleanup_(db_closeP) struct db *db = NULL;
    int r = db_open(&(struct db_options){.path = path, .readers = 1}, &db);
    if (r == 0)
        r = db_migrate(db, NULL);
    return r < 0 ? carry_fail(k, r, "the store in %s can't be used: %s", k->options->dir, strerror(-r)) : 0;
}

static int make_fresh(struct carry *k)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/fresh.db", snapshot_dir(k->copy)) < 0)
        return -ENOMEM;
    int r = migrate(k, path);
    if (r == 0 && sqlite3_open_v2(path, &k->fresh, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        r = -EIO;
    if (r == 0 && sqlite3_exec(k->fresh, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
        r = -EIO;
    return r;
}

static int check_is_store(struct carry *k)
{
    struct source *s = NULL;
    int r = source_open(snapshot_path(k->copy), &s);
    if (r == 0)
        r = source_has_table(s, "schema_version") > 0 && source_has_table(s, "directus_users") > 0 ? 0
                                                                                                   : -EINVAL;
    if (s)
        source_close(s);
    return r < 0 ? carry_fail(k, r, "%s is no store of this program", k->store_path) : 0;
}

static int take_copy(struct carry *k)
{
    (void)snprintf(k->store_path, sizeof k->store_path, "%s/" STORE_FILE, k->options->dir);
    int r = check_holder(k);
    if (r == 0)
        r = snapshot_take(k->store_path, k->options->config->data_dir, &k->copy);
    if (r < 0)
        return carry_fail(k, r, "%s can't be copied: %s", k->store_path,
                          r == -EBUSY ? "it is being written to" : strerror(-r));
    r = check_is_store(k);
    if (r == 0)
        r = migrate(k, snapshot_path(k->copy));
    if (r == 0)
        r = make_fresh(k);
    if (r == 0)
        r = source_open(snapshot_path(k->copy), &k->source);
    if (r < 0)
        return r;
    snapshot_hide(k->copy);
    k->from = source_trusted(k->source);
    r = catalogue_read(k->from, &k->arena, &k->catalogue);
    return r < 0 ? carry_fail(k, r, "the tables of %s can't be put in order: %s", k->store_path, strerror(-r))
                 : 0;
}

/* ---- the transaction */

/* Before anything is read, so that the transaction sees what the locks have waited for. */
static int lock_tables(struct db_conn *c, struct carry *k)
{
    _cleanup_buf_ struct buf sql = BUF_INIT(SECRETS_MAX);
    (void)buf_adds(&sql, "LOCK TABLE ");
    for (size_t i = 0, n = 0; i < k->catalogue.n; i++)
        if (!carry_skips(k, &k->catalogue.tables[i]))
            (void)buf_addf(&sql, "%s\"%s\"", n++ ? ", " : "", k->catalogue.tables[i].name);
    (void)buf_adds(&sql, " IN SHARE ROW EXCLUSIVE MODE");
    int r = sql.failed ? -ENOBUFS : db_exec(c, buf_str(&sql), DB_NO_ARGS, NULL);
    return r == -ETIMEDOUT ? carry_fail(k, r, "others are writing to the target; stop them first") : r;
}

static int drop_seeds(struct db_conn *c, struct carry *k)
{
    char sql[256];
    int r = 0;
    for (size_t i = k->catalogue.n; i-- > 0 && r == 0;) {
        const char *name = k->catalogue.tables[i].name;
        if (k->directus && str_has_prefix(name, "directus_"))
            continue;
        (void)snprintf(sql, sizeof sql, "DELETE FROM \"%s\"", name);
        r = db_exec(c, sql, DB_NO_ARGS, NULL);
    }
    return r;
}

static int fill(struct db_conn *c, struct carry *k)
{
    int r = 0;
    for (size_t i = 0; i < k->catalogue.n && r == 0; i++)
        if (!carry_skips(k, &k->catalogue.tables[i]))
            r = carry_insert(c, k, &k->catalogue.tables[i]);
    for (size_t i = 0; i < k->catalogue.n && r == 0; i++)
        if (!carry_skips(k, &k->catalogue.tables[i]))
            r = carry_set_late(c, k, &k->catalogue.tables[i]);
    return r;
}

/* The highest key that a table of the store has ever given. */
static int64_t highest(struct carry *k, const char *table, const char *column)
{
    char sql[512];
    int64_t found = 0, given = 0;
    (void)snprintf(sql, sizeof sql, "SELECT max(\"%s\") FROM \"%s\"", column, table);
    (void)source_int(k->source, sql, &found);
    (void)snprintf(sql, sizeof sql, "SELECT seq FROM sqlite_sequence WHERE name = '%s'", table);
    (void)source_int(k->source, sql, &given);
    return found > given ? found : given;
}

/* Rows with a key of their own don't move the sequence. */
static int set_sequences(struct db_conn *c, struct carry *k)
{
    for (size_t i = 0; i < k->catalogue.n; i++) {
        const struct catalogue_table *t = &k->catalogue.tables[i];
        for (size_t n = 0; n < t->n; n++) {
            int64_t top, set;
            char sql[512];
            if (carry_skips(k, t) || !t->columns[n].identity ||
                (top = highest(k, t->name, t->columns[n].name)) < 1)
                continue;
            (void)snprintf(sql, sizeof sql, "SELECT setval(pg_get_serial_sequence('\"%s\"', '%s'), ?1)",
                           t->name, t->columns[n].name);
            int r = db_query_int(c, sql, DB_ARGS(DB_INT(top)), &set);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int check_still_so(struct carry *k)
{
    int r = check_holder(k);
    if (r == 0 && !snapshot_current(k->copy))
        r = carry_fail(k, -EBUSY, "the store in %s was written to meanwhile; nothing was carried",
                       k->options->dir);
    return r;
}

/* May run again after it was undone. */
static int carry_unit(struct db_conn *c, void *arg)
{
    static int (*const steps[])(struct db_conn *, struct carry *) = {
        lock_tables, carry_read_types, carry_check_target, drop_seeds, fill, set_sequences};
    struct carry *k = arg;
    int r = 0;
    k->done = 0;
    k->result->error[0] = '\0';
    memset(&k->result->report, 0, sizeof k->result->report);
    json_decref(k->role_ids);
    k->role_ids = NULL;
    for (size_t i = 0; i < ARRAY_LEN(steps) && r == 0; i++)
        r = steps[i](c, k);
    return r == 0 ? check_still_so(k) : r;
}

static int see_directus(struct db_conn *c, void *arg)
{
    int64_t one;
    (void)arg;
    return db_query_int(c,
                        "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND "
                        "table_name = 'directus_collections'",
                        DB_NO_ARGS, &one);
}

static void count_rows(struct carry *k)
{
    for (size_t i = 0; i < k->catalogue.n; i++) {
        char sql[256];
        int64_t n = 0;
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", k->catalogue.tables[i].name);
        if (!carry_skips(k, &k->catalogue.tables[i]) && source_int(k->source, sql, &n) > 0)
            k->total += n;
    }
}

/* What stays behind on a Directus is said, not only left. */
static void report_skipped(struct carry *k)
{
    for (size_t i = 0; i < k->catalogue.n; i++) {
        const struct catalogue_table *t = &k->catalogue.tables[i];
        char sql[256];
        int64_t n = 0;
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", t->name);
        if (carry_skips(k, t) && source_int(k->source, sql, &n) > 0)
            report_table(&k->result->report, t->name)->counts[OUTCOME_LEFT] = n;
    }
}

static int carry_all(struct carry *k, struct db *target)
{
    int r = check_secrets(k);
    if (r == 0)
        r = take_copy(k);
    if (r < 0)
        return r;
    r = db_read(target, see_directus, NULL);
    if (r < 0)
        return r;
    k->directus = r > 0;
    count_rows(k);
    r = db_write_long(target, carry_unit, k);
    if (r == 0)
        report_skipped(k);
    return r;
}

int carry_embedded(struct db *target, const struct carry_options *options, struct carry_result *ret)
{
    struct carry *k = calloc(1, sizeof *k);
    memset(ret, 0, sizeof *ret);
    ret->dir = options->dir;
    if (!k)
        return -ENOMEM;
    k->options = options;
    k->result = ret;
    arena_init(&k->arena, CATALOGUE_MAX);
    int r = carry_all(k, target);
    if (r < 0)
        (void)carry_fail(k, r, "it failed: %s", strerror(-r));
    if (k->source)
        source_close(k->source);
    (void)sqlite3_close(k->fresh);
    if (k->copy)
        snapshot_free(k->copy);
    json_decref(k->role_ids);
    arena_free(&k->arena);
    free(k);
    return r;
}
