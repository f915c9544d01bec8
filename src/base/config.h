/* SPDX-License-Identifier: MIT */
/* Settings. One table (config.c) is the source of parsing, of `genie config`, and of docs/settings.md. A
 * setting is looked for in this order: command line, environment, `<NAME>_FILE` (a file that holds the
 * value), genie.env in the working directory, secrets.env in the data directory, default. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
    int64_t server_port;
    const char *bind_address;
    const char *data_dir;
    const char *database_url;
    int64_t database_connections;
    int64_t post_scheduler_ms;
    int64_t leader_lease_s;
    const char *redis_url;
    const char *directus_url;
    const char *directus_admin_token;
    int64_t directus_timeout_s;
    int64_t directus_requests;
    const char *directus_secret;
    const char *jwt_secret;
    const char *rbac_sync_webhook_secret;
    const char *credentials_service_secret;
    const char *credentials_enc_key_b64;
    const char *credentials_key_id;
    const char *credentials_old_keys;
    const char *credentials_format;
    const char *trusted_proxies;
    const char *cors_origins;
    const char *metrics_token;
    int64_t http_threads;
    int64_t worker_threads;
    int64_t model_threads;
    int64_t worker_concurrency_media;
    int64_t worker_concurrency_scrape;
    int64_t worker_concurrency_onboarding;
    int64_t max_connections;
    int64_t request_timeout_s;
    int64_t max_upload_mb;
    int64_t max_storage_mb_per_user;
    const char *media_tmp_dir;
    int64_t media_threads;
    const char *log_level;
    const char *log_format;

    const char *llm_provider;
    const char *ollama_url;
    const char *ollama_model;
    const char *orchestrator_model;
    const char *writer_model;
    const char *llm_base_url;
    const char *llm_api_key;
    const char *llm_model;
    const char *llm_fallback;
    int64_t llm_window_tokens;
    int64_t llm_local_parallel;
    int64_t llm_local_queue;
    int64_t llm_connect_timeout_s;
    int64_t llm_first_token_timeout_s;
    int64_t llm_token_timeout_s;
    const char *anthropic_api_key;
    const char *anthropic_base_url;
    const char *anthropic_model;
    const char *embedding_provider;
    const char *embedding_model;
    const char *duckdb_lib;

    int64_t stream_grace_s;
    int64_t stream_keep_s;
    int64_t stream_heartbeat_s;
    int64_t action_step_timeout_s;
    const char *tiers_file;
    const char *stagehand_url;
    const char *goose_bin;
    int64_t goose_max_runs;
    const char *goose_env;
    const char *ytdlp_bin;
    const char *http_request_hosts;
    bool skills_public_read;
    bool allow_private_urls;
};

enum setting_type { SETTING_INT, SETTING_BOOL, SETTING_TEXT, SETTING_CHOICE };

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;        /* of the member in struct config */
    const char *fallback; /* as text; NULL = unset */
    int64_t min, max;     /* of an integer; most bytes of a text */
    const char *choices;  /* "a|b|c", of a choice */
    bool secret;          /* never printed */
    const char *help;
};

/* The table, ended by a row without a name. */
extern const struct setting settings[];

/* A setting given on the command line. */
struct setting_override {
    const char *name, *value;
};

/* A loaded configuration; texts live in its arena. */
struct config_load {
    struct config config;
    struct arena arena;
    char error[512]; /* the sentence that names what is wrong */
};

/* Fills load->config; secrets may still be unset (config_secrets). overrides end with a NULL name; may be
 * NULL. 0, or -EINVAL with load->error. The caller frees with config_free() either way. */
int config_load(struct config_load *load, const struct setting_override *overrides);

/* Makes the secrets that are unset and keeps them in <data dir>/secrets.env (0600), creating the data
 * directory. With DATABASE_URL set none is made, since several servers must agree on them; one that is
 * missing is an error, except CREDENTIALS_ENC_KEY_B64, without which credentials are refused. Safe when two
 * processes start at once. 0, or negative errno with load->error. */
int config_secrets(struct config_load *load);

/* Wipes and frees. */
void config_free(struct config_load *load);

/* Appends the table with present values (secrets only as set or unset), as text lines or as a JSON array. */
int config_print(const struct config *cfg, bool as_json, struct buf *out);

/* Appends docs/settings.md. */
int config_print_docs(struct buf *out);

/* Whether item is in a comma list (exact, ASCII case ignored). A NULL list holds nothing. */
bool config_list_has(const char *list, const char *item);

#endif
