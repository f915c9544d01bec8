/* SPDX-License-Identifier: MIT */
#include "base/config.h"

#include "base/json.h"
#include "base/text.h"
#include "base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FILE_MAX (64 * 1024)
#define ARENA_MAX (1024 * 1024)
#define SECRET_BYTES 32

/* clang-format off */
#define INT(name, field, fallback, min, max, help) \
    {name, SETTING_INT, offsetof(struct config, field), fallback, min, max, NULL, false, help}
#define BOOL(name, field, fallback, help) \
    {name, SETTING_BOOL, offsetof(struct config, field), fallback, 0, 0, NULL, false, help}
#define TEXT(name, field, fallback, help) \
    {name, SETTING_TEXT, offsetof(struct config, field), fallback, 0, 4096, NULL, false, help}
#define SECRET(name, field, help) \
    {name, SETTING_TEXT, offsetof(struct config, field), NULL, 0, 4096, NULL, true, help}
#define CHOICE(name, field, fallback, choices, help) \
    {name, SETTING_CHOICE, offsetof(struct config, field), fallback, 0, 0, choices, false, help}
/* clang-format on */

const struct setting settings[] = {
    INT("SERVER_PORT", server_port, "3001", 0, 65535, "Port to listen on; 0 takes a free one"),
    TEXT("BIND_ADDRESS", bind_address, "127.0.0.1", "Address to listen on"),
    TEXT("GENIE_DATA_DIR", data_dir, "./data", "Directory of the database, files and generated secrets"),
    SECRET("DATABASE_URL", database_url,
           "Address of a PostgreSQL database (postgres://…), which then is the store. Unset: genie.db in the "
           "data"
           " directory"),
    INT("DATABASE_CONNECTIONS", database_connections, "40", 2, 500,
        "Most connections to that database, besides one that listens for changes: as many as WORKER_THREADS, "
        "and some for what isn't a request"),
    INT("POST_SCHEDULER_MS", post_scheduler_ms, "60000", 100, 3600000,
        "Milliseconds from one look for posts that are due to the next"),
    INT("LEADER_LEASE_S", leader_lease_s, "30", 3, 300,
        "Seconds after which another server takes over the periodic duties of one that died"),
    SECRET("REDIS_URL", redis_url,
           "Address of a Redis (redis://[user:password@]host[:port][/db]), which then holds the queues in "
           "BullMQ's "
           "layout. Unset: they are in the store"),
    TEXT(
        "DIRECTUS_URL", directus_url, NULL,
        "Address of a Directus, to which /api/directus is then passed on; DATABASE_URL must be its database. "
        "Unset: /api/directus is served from the store"),
    SECRET(
        "DIRECTUS_ADMIN_TOKEN", directus_admin_token,
        "Static token of an administrator there, with which avatars are given to that Directus. Unset: with "
        "DIRECTUS_URL avatars can't be uploaded"),
    INT("DIRECTUS_TIMEOUT_S", directus_timeout_s, "60", 1, 3600,
        "Seconds that Directus may be silent when it is its turn"),
    INT("DIRECTUS_REQUESTS", directus_requests, "256", 1, 100000,
        "Most requests that are with Directus at a time"),
    SECRET("DIRECTUS_SECRET", directus_secret,
           "Signs Directus tokens; several keys, newest first, comma separated. Generated when unset, but "
           "not with DATABASE_URL"),
    SECRET("JWT_SECRET", jwt_secret,
           "Signs AnythingLLM tokens; several keys, newest first, comma separated. Generated when unset, but "
           "not with DATABASE_URL"),
    SECRET("RBAC_SYNC_WEBHOOK_SECRET", rbac_sync_webhook_secret,
           "What other services send as X-RBAC-SYNC-SECRET where an endpoint takes it. Unset: no secret is "
           "right"),
    SECRET("CREDENTIALS_SERVICE_SECRET", credentials_service_secret,
           "What they must send in that header to /api/credentials instead. Unset: the same as elsewhere"),
    SECRET(
        "CREDENTIALS_ENC_KEY_B64", credentials_enc_key_b64,
        "Encrypts platform credentials: 32 bytes in base64. Generated when unset, but not with DATABASE_URL; "
        "without it /api/credentials refuses"),
    TEXT("CREDENTIALS_KEY_ID", credentials_key_id, "k1", "Name of that key in what it encrypts as v2"),
    SECRET("CREDENTIALS_OLD_KEYS", credentials_old_keys,
           "Further keys that decrypt, as keyId=base64, comma separated"),
    CHOICE("CREDENTIALS_FORMAT", credentials_format, "v1", "v1|v2",
           "How credentials are written; v2 names its key and is bound to its row. Both are read"),
    TEXT("TRUSTED_PROXIES", trusted_proxies, "127.0.0.1,::1",
         "Peers whose X-Forwarded-For is believed, comma separated; `none` for nobody"),
    TEXT("CORS_ORIGINS", cors_origins, "*", "Origins that may call from a browser, comma separated, or *"),
    SECRET("METRICS_TOKEN", metrics_token, "Bearer token for /metrics and /readyz from other machines"),
    INT("HTTP_THREADS", http_threads, "1", 1, 64, "Event threads that serve connections"),
    INT("WORKER_THREADS", worker_threads, "32", 1, 256,
        "Threads for handlers that wait for the store. Writes that wait at the same time share a commit"),
    INT("MODEL_THREADS", model_threads, "8", 1, 256,
        "Threads for handlers that wait for a model, and as many for the flows of answers"),
    INT("WORKER_CONCURRENCY_MEDIA", worker_concurrency_media, "1", 0, 64,
        "Jobs of the queue media-jobs that this process runs at a time; 0 = none"),
    INT("WORKER_CONCURRENCY_SCRAPE", worker_concurrency_scrape, "1", 0, 64, "The same for scrape-jobs"),
    INT("WORKER_CONCURRENCY_ONBOARDING", worker_concurrency_onboarding, "1", 0, 64,
        "The same for onboarding-jobs"),
    INT("MAX_CONNECTIONS", max_connections, "20000", 16, 1000000, "Most client connections open at a time"),
    INT("REQUEST_TIMEOUT_S", request_timeout_s, "30", 1, 600,
        "Seconds a request has to arrive whole, and a client may leave its answer untouched"),
    INT("MAX_UPLOAD_MB", max_upload_mb, "512", 1, 1048576, "Most MiB of a file that is sent to the server"),
    INT("MAX_STORAGE_MB_PER_USER", max_storage_mb_per_user, "10240", 0, 1073741824,
        "Most MiB that the files of one user may take together; 0: no limit"),
    TEXT("MEDIA_TMP_DIR", media_tmp_dir, NULL,
         "Directory for files that are arriving or in work. Unset: tmp in the data directory"),
    INT("MEDIA_THREADS", media_threads, "2", 1, 64, "Threads of each program that a media job runs"),
    CHOICE("LOG_LEVEL", log_level, "info", "debug|info|warn|error", "Least level that is logged"),
    CHOICE("LOG_FORMAT", log_format, "json", "json|text", "Form of a log line"),

    CHOICE("LLM_PROVIDER", llm_provider, NULL, "ollama|openai|anthropic|extractive",
           "Who answers. Unset: Ollama where OLLAMA_URL answers, else extractive"),
    TEXT("OLLAMA_URL", ollama_url, "http://127.0.0.1:11434", "Ollama's address"),
    TEXT("OLLAMA_MODEL", ollama_model, NULL, "Ollama's chat model; default qwen2.5:latest"),
    TEXT("ORCHESTRATOR_MODEL", orchestrator_model, NULL,
         "Model for answers in which flows are offered; default dolphin3:8b-llama3.1-q4_K_M on Ollama"),
    TEXT("WRITER_MODEL", writer_model, NULL,
         "Model for texts that flows generate; default dolphin-mistral:7b on Ollama"),
    TEXT("LLM_BASE_URL", llm_base_url, NULL,
         "Base address of an OpenAI-compatible server, up to and with /v1"),
    SECRET("LLM_API_KEY", llm_api_key, "Key of that server, if it wants one"),
    TEXT("LLM_MODEL", llm_model, NULL, "Model of that server"),
    CHOICE("LLM_FALLBACK", llm_fallback, NULL, "extractive", "What an outage of the model degrades to"),
    INT("LLM_WINDOW_TOKENS", llm_window_tokens, "8192", 512, 2000000,
        "Context window that prompts are built for"),
    INT("LLM_LOCAL_PARALLEL", llm_local_parallel, "2", 1, 10000, "Requests a local model serves at a time"),
    INT("LLM_LOCAL_QUEUE", llm_local_queue, "16", 0, 100000, "Requests that may wait for a local model"),
    INT("LLM_CONNECT_TIMEOUT_S", llm_connect_timeout_s, "5", 1, 60, "Seconds to connect to a model"),
    INT("LLM_FIRST_TOKEN_TIMEOUT_S", llm_first_token_timeout_s, "120", 1, 3600,
        "Seconds to a model's first token"),
    INT("LLM_TOKEN_TIMEOUT_S", llm_token_timeout_s, "60", 1, 3600, "Seconds between two tokens of a model"),
    SECRET("ANTHROPIC_API_KEY", anthropic_api_key,
           "Key for Anthropic, which then serves users with admin rights"),
    TEXT("ANTHROPIC_BASE_URL", anthropic_base_url, "https://api.anthropic.com", "Anthropic's address"),
    TEXT("ANTHROPIC_MODEL", anthropic_model, "claude-sonnet-4-5", "Anthropic's model"),
    CHOICE("EMBEDDING_PROVIDER", embedding_provider, NULL, "ollama|openai",
           "Who makes vectors for retrieval. Unset: tag overlap is used instead"),
    TEXT("EMBEDDING_MODEL", embedding_model, "nomic-embed-text", "Model that makes the vectors"),
    TEXT("DUCKDB_LIB", duckdb_lib, NULL,
         "libduckdb.so, through which the taxonomy's graph is read; `none` for not at all. Unset: the one "
         "beside "
         "the program, that of the set-up, or the system's; without any, the graph is read from the store"),

    INT("STREAM_GRACE_S", stream_grace_s, "15", 0, 600,
        "Seconds a chat goes on without its client, so that it may resume; 0 stops at once"),
    INT("STREAM_KEEP_S", stream_keep_s, "60", 1, 3600, "Seconds a finished answer can still be replayed"),
    INT("STREAM_HEARTBEAT_S", stream_heartbeat_s, "15", 1, 600,
        "Seconds of silence before a heartbeat comment"),
    INT("ACTION_STEP_TIMEOUT_S", action_step_timeout_s, "120", 1, 3600, "Seconds a step of a flow may take"),
    TEXT("TIERS_FILE", tiers_file, NULL,
         "File of the plans and their limits, read again on SIGHUP. Unset: config/tier_rate_limits.json in "
         "the "
         "working directory where there is one, else what is built in"),
    BOOL("SKILLS_PUBLIC_READ", skills_public_read, "false",
         "Lets everybody read the skills, without a token"),
    TEXT("STAGEHAND_URL", stagehand_url, NULL, "Address of a Stagehand server for browser steps"),
    TEXT("GOOSE_BIN", goose_bin, "goose",
         "The Goose CLI that /api/goose runs: a path, or a name that is looked for in PATH"),
    INT("GOOSE_MAX_RUNS", goose_max_runs, "1", 1, 32,
        "Runs of Goose at a time, on all servers of the store together"),
    TEXT("GOOSE_ENV", goose_env, "GOOSE_PROVIDER,GOOSE_MODEL,GOOSE_MODE,OLLAMA_HOST",
         "Variables of the server's environment that Goose gets, comma separated"),
    TEXT("YTDLP_BIN", ytdlp_bin, "yt-dlp",
         "The yt-dlp that download_video and ytdlp_info run: a path, or a name that is looked for in PATH"),
    TEXT("HTTP_REQUEST_HOSTS", http_request_hosts, NULL,
         "Hosts that the http_request step may call, comma separated, as host or host:port (without one: the "
         "scheme's own port alone); unset allows none"),
    BOOL("ALLOW_PRIVATE_URLS", allow_private_urls, "false",
         "Lets flows and media jobs reach private addresses; only for tests"),
    {.name = NULL},
};

static int fail(struct config_load *load, const char *name, const char *why)
{
    (void)snprintf(load->error, sizeof load->error, "%s %s", name, why);
    return -EINVAL;
}

static bool choice_has(const char *choices, const char *value)
{
    return choices_have(choices, value, strlen(value));
}

static int set_int(struct config_load *load, const struct setting *s, const char *value)
{
    int64_t *to = (int64_t *)((char *)&load->config + s->offset);
    if (parse_int(value, s->min, s->max, to) == 0)
        return 0;
    (void)snprintf(load->error, sizeof load->error, "%s must be a whole number from %lld to %lld", s->name,
                   (long long)s->min, (long long)s->max);
    return -EINVAL;
}

static int set_bool(struct config_load *load, const struct setting *s, const char *value)
{
    bool yes = choice_has("true|1|yes|on", value);
    if (!yes && !choice_has("false|0|no|off", value))
        return fail(load, s->name, "must be true or false");
    *(bool *)((char *)&load->config + s->offset) = yes;
    return 0;
}

static int set_text(struct config_load *load, const struct setting *s, const char *value)
{
    const char **to = (const char **)((char *)&load->config + s->offset);
    if (s->type == SETTING_CHOICE && !choice_has(s->choices, value)) {
        (void)snprintf(load->error, sizeof load->error, "%s must be one of %s", s->name, s->choices);
        return -EINVAL;
    }
    if (strlen(value) > (size_t)s->max && s->type == SETTING_TEXT)
        return fail(load, s->name, "is too long");
    if (!utf8_valid(value, strlen(value)))
        return fail(load, s->name, "is not valid UTF-8");
    *to = arena_strdup(&load->arena, value);
    return *to ? 0 : -ENOMEM;
}

/* An empty value means unset. */
static int set(struct config_load *load, const struct setting *s, const char *value)
{
    if (!value || value[0] == '\0')
        return 0;
    if (s->type == SETTING_INT)
        return set_int(load, s, value);
    return s->type == SETTING_BOOL ? set_bool(load, s, value) : set_text(load, s, value);
}

/* The whole of a small file in the arena, or NULL with errno. */
static char *read_file(struct arena *a, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *whole = fd >= 0 ? malloc(FILE_MAX) : NULL;
    if (!whole)
        return NULL;
    size_t len = 0;
    ssize_t n = 0;
    while (len < FILE_MAX && (n = read(fd, whole + len, FILE_MAX - len)) > 0)
        len += (size_t)n;
    char *text = len < FILE_MAX && n == 0 ? arena_strndup(a, whole, len) : NULL;
    if (!text && n >= 0)
        errno = len == FILE_MAX ? EFBIG : ENOMEM;
    wipe(whole, len);
    return text;
}

/* The first value of NAME that is not empty in the text of an env file (NAME=value lines, # comments,
 * optional quotes), copied; or NULL. */
static const char *find_line(struct arena *a, const char *text, const char *name)
{
    size_t name_len = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        line += strspn(line, " \t\r");
        if (strncmp(line, "export ", 7) == 0)
            line += 7;
        if (strncmp(line, name, name_len) != 0 || line[name_len] != '=')
            continue;
        const char *value = line + name_len + 1;
        size_t len = strcspn(value, "\r\n");
        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            len--;
        if (len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0]) {
            value++;
            len -= 2;
        }
        if (len > 0)
            return arena_strndup(a, value, len);
    }
    return NULL;
}

/* The first line of the file that NAME_FILE names; *ret_r is negative where it can't be read. */
static const char *from_secret_file(struct config_load *load, const char *name, int *ret_r)
{
    char file_name[64];
    (void)snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *path = getenv(file_name);
    if (!path || path[0] == '\0')
        return NULL;
    char *text = read_file(&load->arena, path);
    if (!text) {
        const char *why = strerror(errno);
        *ret_r = fail(load, name, arena_printf(&load->arena, "can't be read from %s: %s", path, why));
        return NULL;
    }
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

static const char *from_overrides(const struct setting_override *overrides, const char *name)
{
    for (; overrides && overrides->name; overrides++)
        if (strcmp(overrides->name, name) == 0)
            return overrides->value;
    return NULL;
}

static int load_one(struct config_load *load, const struct setting *s,
                    const struct setting_override *overrides, const char *env_file)
{
    int r = 0;
    const char *value = from_overrides(overrides, s->name);
    if (!value)
        value = getenv(s->name);
    if (!value || !value[0])
        value = from_secret_file(load, s->name, &r);
    if (r < 0)
        return r;
    if ((!value || !value[0]) && env_file)
        value = find_line(&load->arena, env_file, s->name);
    return set(load, s, value && value[0] ? value : s->fallback);
}

static int check_database_url(struct config_load *load)
{
    const char *url = load->config.database_url;
    if (!url && load->config.directus_url)
        return fail(load, "DIRECTUS_URL", "is set, so DATABASE_URL must name the database of that Directus");
    if (!url || str_has_prefix(url, "postgres://") || str_has_prefix(url, "postgresql://"))
        return 0;
    return fail(load, "DATABASE_URL", "must begin with postgres://");
}

static int check_redis_url(struct config_load *load)
{
    const char *url = load->config.redis_url;
    if (!url || str_has_prefix(url, "redis://"))
        return 0;
    if (str_has_prefix(url, "rediss://"))
        return fail(load, "REDIS_URL",
                    "asks for TLS (rediss://), which the Redis client of Debian 12 hasn't; put a TLS tunnel "
                    "between and name its near end as redis://");
    return fail(load, "REDIS_URL", "must begin with redis://");
}

int config_load(struct config_load *load, const struct setting_override *overrides)
{
    *load = (struct config_load){0};
    arena_init(&load->arena, ARENA_MAX);
    const char *env_file = read_file(&load->arena, "genie.env");
    if (!env_file && errno != ENOENT)
        return fail(load, "genie.env", arena_printf(&load->arena, "can't be read: %s", strerror(errno)));
    int r = 0;
    for (const struct setting *s = settings; s->name && r == 0; s++)
        r = load_one(load, s, overrides, env_file);
    if (r == 0)
        r = check_database_url(load);
    return r == 0 ? check_redis_url(load) : r;
}

/* after_text: the file's last line has no end. */
static int append_secret(int fd, bool after_text, const char *name, const char *value)
{
    _cleanup_buf_ struct buf line = BUF_INIT(8192);
    int r = buf_addf(&line, "%s%s=%s\n", after_text ? "\n" : "", name, value);
    ssize_t n = r == 0 ? write(fd, line.data, line.len) : -1;
    if (r == 0 && n != (ssize_t)line.len)
        r = n < 0 ? -errno : -ENOSPC;
    if (line.data)
        wipe(line.data, line.len);
    return r;
}

static char *make_hex(struct arena *a)
{
    uint8_t bytes[SECRET_BYTES];
    char *hex = arena_alloc(a, 2 * sizeof bytes + 1);
    random_bytes(bytes, sizeof bytes);
    if (hex)
        hex_encode(bytes, sizeof bytes, hex);
    wipe(bytes, sizeof bytes);
    return hex;
}

static char *make_base64(struct arena *a)
{
    uint8_t bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof bytes);
    char *base64 = base64_encode(a, bytes, sizeof bytes);
    wipe(bytes, sizeof bytes);
    return base64;
}

/* The secrets that an installation of its own makes for itself. */
static const struct own_secret {
    const char *name;
    size_t offset;
    char *(*make)(struct arena *a);
    bool optional; /* where several servers must agree: can be left out */
} own_secrets[] = {
    {"DIRECTUS_SECRET", offsetof(struct config, directus_secret), make_hex, false},
    {"JWT_SECRET", offsetof(struct config, jwt_secret), make_hex, false},
    {"CREDENTIALS_ENC_KEY_B64", offsetof(struct config, credentials_enc_key_b64), make_base64, true},
};

/* Takes one secret from the file, or makes it and appends it. */
static int fill_secret(struct config_load *load, int fd, bool *open_line, const char *text,
                       const struct own_secret *s)
{
    const char **field = (const char **)((char *)&load->config + s->offset);
    if (!*field)
        *field = find_line(&load->arena, text, s->name);
    if (*field || (load->config.database_url && s->optional))
        return 0;
    if (load->config.database_url)
        return fail(load, s->name, "must be given when DATABASE_URL is set, the same to every server");
    *field = s->make(&load->arena);
    int r = *field ? append_secret(fd, *open_line, s->name, *field) : -ENOMEM;
    *open_line = false;
    return r;
}

static int close_to_others(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    return st.st_mode & (S_IRWXG | S_IRWXO) ? fchmod(fd, S_IRUSR | S_IWUSR) : 0;
}

int config_secrets(struct config_load *load)
{
    struct config *cfg = &load->config;
    if (mkdir(cfg->data_dir, 0700) < 0 && errno != EEXIST)
        return fail(load, cfg->data_dir, arena_printf(&load->arena, "can't be created: %s", strerror(errno)));
    const char *path = arena_printf(&load->arena, "%s/secrets.env", cfg->data_dir);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* a copy or an editor may have left it open to others */
    if (fd < 0 || flock(fd, LOCK_EX) < 0 || close_to_others(fd) < 0)
        return fail(load, path, arena_printf(&load->arena, "can't be opened: %s", strerror(errno)));
    const char *text = read_file(&load->arena, path);
    bool open_line = text && text[0] && text[strlen(text) - 1] != '\n';
    int r = text ? 0 : -errno;
    for (size_t i = 0; i < ARRAY_LEN(own_secrets) && r == 0; i++)
        r = fill_secret(load, fd, &open_line, text, &own_secrets[i]);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r < 0 && !load->error[0])
        (void)fail(load, path, arena_printf(&load->arena, "can't be written: %s", strerror(-r)));
    return r;
}

void config_free(struct config_load *load)
{
    arena_wipe(&load->arena);
}

/* The present value as text; secrets only as set or unset. */
static const char *show(const struct config *cfg, const struct setting *s, char *number, size_t size)
{
    const char *field = (const char *)cfg + s->offset;
    if (s->type == SETTING_BOOL)
        return *(const bool *)field ? "true" : "false";
    if (s->type == SETTING_INT) {
        (void)snprintf(number, size, "%lld", (long long)*(const int64_t *)field);
        return number;
    }
    const char *text = *(const char *const *)field;
    if (s->secret)
        return text ? "(set)" : "(unset)";
    return text ? text : "";
}

int config_print(const struct config *cfg, bool as_json, struct buf *out)
{
    char number[32];
    if (!as_json) {
        for (const struct setting *s = settings; s->name; s++)
            (void)buf_addf(out, "%-26s %s\n", s->name, show(cfg, s, number, sizeof number));
        return out->failed ? -ENOBUFS : 0;
    }
    _cleanup_json_ json_t *rows = json_array();
    for (const struct setting *s = settings; s->name; s++)
        if (json_array_append_new(rows, json_pack("{s:s, s:s, s:s}", "name", s->name, "value",
                                                  show(cfg, s, number, sizeof number), "help", s->help)) < 0)
            return -ENOMEM;
    return json_write(out, rows) == 0 ? buf_adds(out, "\n") : -ENOBUFS;
}

int config_print_docs(struct buf *out)
{
    static const char head[] =
        "# Settings\n\nPrinted by `genie config --docs`; the table in `src/base/config.c` is the source. "
        "A setting is taken from the command line, the environment, `<NAME>_FILE`, `genie.env` in the "
        "working directory, or its default, in this order.\n\n"
        "| setting | default | meaning |\n|---|---|---|\n";
    (void)buf_adds(out, head);
    for (const struct setting *s = settings; s->name; s++) {
        const char *fallback = s->secret ? "(secret)" : s->fallback ? s->fallback : "";
        (void)buf_addf(out, "| `%s` | %s | %s |\n", s->name, fallback, s->help);
    }
    return out->failed ? -ENOBUFS : 0;
}

bool config_list_has(const char *list, const char *item)
{
    const char *at;
    size_t len;
    while (list && list_next(&list, &at, &len))
        if (strlen(item) == len && strncasecmp(at, item, len) == 0)
            return true;
    return false;
}
