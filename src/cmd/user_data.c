/* SPDX-License-Identifier: MIT */
/* genie user export and genie user delete: all that is stored of a person, given out or removed. */
#include "cmd/user.h"

#include "base/json.h"
#include "base/text.h"
#include "directus/registration.h"
#include "files/files.h"
#include "ops/erase.h"
#include "ops/export.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

/* Opens the store of bytes; *ret_managed: what isn't there may be in the storage of a Directus. */
static int open_files(struct user_run *run, struct files **ret, bool *ret_managed)
{
    int r = directus_manages_store(run->db);
    if (r < 0)
        return user_fail_store(r);
    *ret_managed = r > 0;
    r = files_open(&run->env->load.config, run->db, ret);
    return r < 0 ? cmd_fail("the directory of files can't be opened: %s", strerror(-r)) : CMD_OK;
}

int user_export(struct user_run *run)
{
    _cleanup_(files_closeP) struct files *files = NULL;
    bool managed = false;
    struct user_found f;
    struct export_summary summary;
    struct ops_error error = {0};
    int r = user_find(run, &f);
    if (r == CMD_OK)
        r = open_files(run, &files, &managed);
    if (r != CMD_OK)
        return r;
    const struct export_options options = {
        .db = run->db,
        .email = run->email,
        .user_id = f.info.user_id,
        .native_id = f.info.anythingllm_user_id,
        .files = files,
        .path = run->options.output,
        .force = run->options.force,
    };
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write */
    if (export_user(&options, &summary, &error) < 0)
        return cmd_fail("%s", error.text);
    if (!options.path)
        return CMD_OK;
    if (summary.absent)
        (void)fprintf(stderr, "genie: warning: %zu files have a row, but %s\n", summary.absent,
                      !managed ? "aren't in the data directory"
                               : "are in Directus's storage, not in the export");
    if (!run->env->json) {
        printf("%s: %zu rows and %zu files of %s.\n", options.path, summary.rows, summary.files, run->email);
        return CMD_OK;
    }
    _cleanup_json_ json_t *out =
        json_pack("{s:s, s:I, s:I, s:I}", "file", options.path, "rows", (json_int_t)summary.rows, "files",
                  (json_int_t)summary.files, "absent", (json_int_t)summary.absent);
    return out && json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' ? CMD_OK : CMD_FAILED;
}

static void print_counts(FILE *out, const char *head, const char *email, const struct erase_summary *s)
{
    (void)fprintf(out,
                  "%s %s: %" PRId64 " chats, %" PRId64 " threads, %" PRId64 " workspaces, %" PRId64
                  " rows in collections, %" PRId64 " files",
                  head, email, s->chats, s->threads, s->workspaces, s->rows, s->files);
}

/* CMD_OK where the operator agrees. */
static int confirm(struct user_run *run, const struct erase_options *options)
{
    struct erase_summary s;
    char line[16] = "";
    if (run->options.yes)
        return CMD_OK;
    if (!isatty(STDIN_FILENO))
        return cmd_usage_error("user delete asks before it deletes; without a terminal say --yes");
    int r = erase_count(options, &s);
    if (r < 0)
        return user_fail_store(r);
    print_counts(stderr, "This deletes, for good,", run->email, &s);
    (void)fputs(". Audits stay.\nType yes to go on: ", stderr);
    (void)fflush(stderr);
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "yes\n") != 0)
        return cmd_fail("nothing was deleted");
    return CMD_OK;
}

static void note_kept(void *ctx, const char *name)
{
    (void)json_array_append_new(ctx, json_string(name));
}

static void warn_of_kept(const json_t *kept)
{
    size_t i;
    const json_t *name;
    if (json_array_size(kept) > 0)
        (void)fputs("genie: warning: these files stay in Directus's storage, to be removed there:\n", stderr);
    json_array_foreach (kept, i, name)
        (void)fprintf(stderr, "%s\n", json_string_value(name));
}

static void warn_of_jobs(const struct erase_summary *s)
{
    if (s->jobs_left > 0)
        (void)fprintf(
            stderr,
            "genie: warning: Redis could not be told of %zu jobs: what it holds of them goes with its "
            "time, at the latest after 30 days\n",
            s->jobs_left);
}

static int print_erased(const struct user_run *run, const struct erase_summary *s, json_t *kept)
{
    warn_of_kept(kept);
    warn_of_jobs(s);
    if (!run->env->json) {
        print_counts(stdout, "Deleted", run->email, s);
        printf(" (%zu of them in the data directory), %zu exports. Every session has ended.\n", s->removed,
               s->exports);
        return CMD_OK;
    }
    _cleanup_json_ json_t *out =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "email", run->email, "chats",
                  (json_int_t)s->chats, "threads", (json_int_t)s->threads, "workspaces",
                  (json_int_t)s->workspaces, "rows", (json_int_t)s->rows, "files", (json_int_t)s->files,
                  "removed", (json_int_t)s->removed, "exports", (json_int_t)s->exports, "kept", kept);
    return out && json_dumpf(out, stdout, JSON_COMPACT) == 0 && putchar('\n') == '\n' ? CMD_OK : CMD_FAILED;
}

int user_delete(struct user_run *run)
{
    struct user_found f;
    _cleanup_(files_closeP) struct files *files = NULL;
    _cleanup_(queue_closeP) struct queue *queue = NULL;
    bool managed = false;
    _cleanup_json_ json_t *kept = json_array();
    struct erase_summary summary;
    struct ops_error error = {0};
    int r = user_find(run, &f);
    if (r == CMD_OK)
        r = open_files(run, &files, &managed);
    if (r != CMD_OK)
        return r;
    const struct config *cfg = &run->env->load.config;
    r = queue_open(cfg, run->db, &queue);
    if (r < 0)
        return cmd_fail("the queues can't be opened: %s", strerror(-r));
    const struct erase_options options = {
        .db = run->db,
        .postgres = cfg->database_url != NULL,
        .user_id = f.info.user_id,
        .native_id = f.info.anythingllm_user_id,
        .admin = f.rights.admin,
        .data_dir = cfg->data_dir,
        .files = files,
        .queue = queue,
        .kept = managed ? note_kept : NULL,
        .ctx = kept,
    };
    r = confirm(run, &options);
    if (r != CMD_OK)
        return r;
    if (erase_user(&options, &summary, &error) < 0)
        return cmd_fail("%s", error.text);
    return print_erased(run, &summary, kept);
}
