/* SPDX-License-Identifier: MIT */
/* The command line: a table of subcommands, each in a file of its own. `--data DIR`, `--json` and `--help`
 * are taken out of the arguments before a subcommand sees them, so they may stand anywhere. Exit codes: 0
 * done, 1 failed, 2 usage. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/config.h"
#include "db/db.h"
#include "directus/registration.h"

#include <stdbool.h>

enum { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

#define CMD_MAX_OVERRIDES 8

struct cmd_env {
    struct config_load load;                                  /* settings, loaded by cmd_config() */
    struct setting_override overrides[CMD_MAX_OVERRIDES + 1]; /* --data, --port …, before cmd_config() */
    bool json;                                                /* --json was given */
    struct directus_report registered;                        /* by cmd_open_store() */
    int data_lock; /* held from cmd_config() to the end; -1 before */
};

struct cmd {
    const char *name;
    int (*run)(struct cmd_env *env, int argc, char **argv); /* argv[0] is the subcommand's name */
    const char *usage;                                      /* the lines under "usage:" */
    const char *summary;                                    /* one line for the list */
};

/* The whole program: parses the common options, finds the subcommand, runs it; returns the exit code. */
int cmd_main(int argc, char **argv);

/* Adds a setting that the command line gives. */
void cmd_override(struct cmd_env *env, const char *name, const char *value);

/* Loads settings and secrets and takes the data directory into use (base/data_lock.h), prints the sentence
 * where it fails. 0 or -1. */
int cmd_config(struct cmd_env *env);

/* What the store is called in a sentence: a URL may hold a password. */
const char *cmd_store_name(const struct cmd_env *env);

/* cmd_config, then opens the store, brings its schema up to date, and registers the collections with a
 * Directus that manages it. 0 or -1, with a sentence printed. */
int cmd_open_store(struct cmd_env *env, struct db **ret);

/* Prints "genie: <sentence>" to standard error and returns CMD_FAILED / CMD_USAGE. */
int cmd_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cmd_usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define CMD_IMPORT_USAGE \
    "genie import anythingllm FILE [--documents DIR] [--accounts] [--admins] [--owner EMAIL] [--json]\n" \
    "       genie import embedded DIR [--json]"

int cmd_serve(struct cmd_env *env, int argc, char **argv);
int cmd_worker(struct cmd_env *env, int argc, char **argv);
int cmd_queue(struct cmd_env *env, int argc, char **argv);
int cmd_migrate(struct cmd_env *env, int argc, char **argv);
int cmd_credentials(struct cmd_env *env, int argc, char **argv);
int cmd_invite(struct cmd_env *env, int argc, char **argv);
int cmd_user(struct cmd_env *env, int argc, char **argv);
int cmd_backup(struct cmd_env *env, int argc, char **argv);
int cmd_restore(struct cmd_env *env, int argc, char **argv);
int cmd_doctor(struct cmd_env *env, int argc, char **argv);
int cmd_import(struct cmd_env *env, int argc, char **argv);
int cmd_settings(struct cmd_env *env, int argc, char **argv);
int cmd_openapi(struct cmd_env *env, int argc, char **argv);
int cmd_version(struct cmd_env *env, int argc, char **argv);

#endif
