/* SPDX-License-Identifier: MIT */
/* Every test runs in a fresh working directory with none of our settings in the environment. */
#include "../support/temp_dir.h"

#include "base/config.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char old_directory[4096], directory[64];

static void clear_environment(void)
{
    char file[80];
    for (const struct setting *s = settings; s->name; s++) {
        (void)snprintf(file, sizeof file, "%s_FILE", s->name);
        (void)unsetenv(s->name);
        (void)unsetenv(file);
    }
    (void)unsetenv("DIRECTUS_URL");
    (void)unsetenv("REDIS_URL");
}

static int set_up(void **state)
{
    (void)state;
    clear_environment();
    (void)snprintf(directory, sizeof directory, "%s", "/tmp/genie-config-XXXXXX");
    return getcwd(old_directory, sizeof old_directory) && mkdtemp(directory) && chdir(directory) == 0 ? 0
                                                                                                      : -1;
}

static int tear_down(void **state)
{
    (void)state;
    clear_environment();
    if (chdir(old_directory) != 0)
        return -1;
    remove_dir(directory);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static char *read_file(const char *path)
{
    char text[8192];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[len] = '\0';
    return strdup(text);
}

static void load(struct config_load *l)
{
    if (config_load(l, NULL) != 0)
        fail_msg("%s", l->error);
}

static void defaults_of_each_type(void **state)
{
    struct config_load l;
    (void)state;
    load(&l);
    assert_int_equal(l.config.server_port, 3001);
    assert_string_equal(l.config.bind_address, "127.0.0.1");
    assert_string_equal(l.config.log_level, "info");
    assert_false(l.config.allow_private_urls);
    assert_null(l.config.llm_provider);
    assert_null(l.config.directus_secret);
    config_free(&l);
}

static void every_default_passes_its_own_check(void **state)
{
    (void)state;
    for (const struct setting *s = settings; s->name; s++) {
        struct config_load l;
        if (!s->fallback)
            continue;
        assert_int_equal(setenv(s->name, s->fallback, 1), 0);
        load(&l);
        config_free(&l);
        (void)unsetenv(s->name);
    }
}

static void good_values_of_each_type(void **state)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};
    struct config_load l;
    (void)state;
    (void)setenv("SERVER_PORT", "65535", 1);
    (void)setenv("LOG_LEVEL", "debug", 1);
    (void)setenv("LLM_MODEL", "größer", 1);
    (void)setenv("JWT_SECRET", "k1,k2", 1);
    load(&l);
    assert_int_equal(l.config.server_port, 65535);
    assert_string_equal(l.config.log_level, "debug");
    assert_string_equal(l.config.llm_model, "größer");
    assert_string_equal(l.config.jwt_secret, "k1,k2");
    config_free(&l);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        (void)setenv("ALLOW_PRIVATE_URLS", yes[i], 1);
        load(&l);
        assert_true(l.config.allow_private_urls);
        config_free(&l);
        (void)setenv("ALLOW_PRIVATE_URLS", no[i], 1);
        load(&l);
        assert_false(l.config.allow_private_urls);
        config_free(&l);
    }
}

static void bad_values_are_refused_by_name(void **state)
{
    static char longer[5000];
    memset(longer, 'x', sizeof longer - 1);
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"SERVER_PORT", "65536"},    {"SERVER_PORT", "-1"},           {"SERVER_PORT", "80a"},
        {"SERVER_PORT", " 80"},      {"MAX_CONNECTIONS", "15"},       {"STREAM_KEEP_S", "0"},
        {"LOG_LEVEL", "loud"},       {"LOG_LEVEL", "debug|info"},     {"LOG_LEVEL", "INFO"},
        {"LOG_FORMAT", "json|"},     {"ALLOW_PRIVATE_URLS", "maybe"}, {"ALLOW_PRIVATE_URLS", "true|1"},
        {"LLM_PROVIDER", "openai "}, {"OLLAMA_URL", longer},          {"OLLAMA_URL", "http://\xFF/"},
        {"JWT_SECRET", "\xC3"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config_load l;
        (void)setenv(bad[i].name, bad[i].value, 1);
        assert_int_equal(config_load(&l, NULL), -EINVAL);
        if (!str_has_prefix(l.error, bad[i].name))
            fail_msg("%s=%.20s: %s", bad[i].name, bad[i].value, l.error);
        config_free(&l);
        (void)unsetenv(bad[i].name);
    }
}

static void a_bad_secret_is_not_repeated_in_the_error(void **state)
{
    struct config_load l;
    (void)state;
    (void)setenv("JWT_SECRET", "hunter2\xFF", 1);
    assert_int_equal(config_load(&l, NULL), -EINVAL);
    assert_null(strstr(l.error, "hunter2"));
    config_free(&l);
}

static void the_order_of_sources(void **state)
{
    static const struct setting_override overrides[] = {{"OLLAMA_MODEL", "line"}, {NULL, NULL}};
    struct config_load l;
    (void)state;
    write_file("genie.env", "OLLAMA_MODEL=env-file\n");
    write_file("secret", "from-file\n");
    load(&l);
    assert_string_equal(l.config.ollama_model, "env-file");
    config_free(&l);
    (void)setenv("OLLAMA_MODEL_FILE", "secret", 1);
    load(&l);
    assert_string_equal(l.config.ollama_model, "from-file");
    config_free(&l);
    (void)setenv("OLLAMA_MODEL", "environment", 1);
    load(&l);
    assert_string_equal(l.config.ollama_model, "environment");
    config_free(&l);
    assert_int_equal(config_load(&l, overrides), 0);
    assert_string_equal(l.config.ollama_model, "line");
    config_free(&l);
    (void)setenv("OLLAMA_MODEL", "", 1); /* empty is unset */
    load(&l);
    assert_string_equal(l.config.ollama_model, "from-file");
    config_free(&l);
}

static void the_forms_of_an_env_file(void **state)
{
    struct config_load l;
    (void)state;
    write_file("genie.env", "# a comment\n"
                            "SERVER_PORT=\n"
                            "  export SERVER_PORT=4000\r\n"
                            "SERVER_PORT=5000\n"
                            "#LLM_MODEL=commented\n"
                            "XLLM_MODEL=other\n"
                            "LLM_MODEL=\"with = and # \"  \n"
                            "OLLAMA_MODEL='single'\n"
                            "CORS_ORIGINS=\"half\n"
                            "nonsense\n"
                            "WRITER_MODEL=last-without-end");
    load(&l);
    assert_int_equal(l.config.server_port, 4000); /* the first that says something */
    assert_string_equal(l.config.llm_model, "with = and # ");
    assert_string_equal(l.config.ollama_model, "single");
    assert_string_equal(l.config.cors_origins, "\"half");
    assert_string_equal(l.config.writer_model, "last-without-end");
    config_free(&l);
}

static void files_that_cannot_be_read_are_named(void **state)
{
    struct config_load l;
    (void)state;
    (void)setenv("LLM_API_KEY_FILE", "not-there", 1);
    assert_int_equal(config_load(&l, NULL), -EINVAL);
    assert_true(str_has_prefix(l.error, "LLM_API_KEY") && strstr(l.error, "not-there"));
    config_free(&l);
    (void)unsetenv("LLM_API_KEY_FILE");
    assert_int_equal(mkdir("genie.env", 0700), 0);
    assert_int_equal(config_load(&l, NULL), -EINVAL);
    assert_true(str_has_prefix(l.error, "genie.env"));
    config_free(&l);
    assert_int_equal(rmdir("genie.env"), 0);
    FILE *f = fopen("genie.env", "w");
    for (int i = 0; i < 70000; i++)
        (void)fputc('\n', f);
    (void)fclose(f);
    assert_int_equal(config_load(&l, NULL), -EINVAL);
    assert_true(str_has_prefix(l.error, "genie.env"));
    config_free(&l);
}

/* Secrets from files for every setting that may come so: no limit is met on the way. */
static void every_setting_may_come_from_a_file(void **state)
{
    struct config_load l;
    (void)state;
    for (const struct setting *s = settings; s->name; s++) {
        char name[80], file[80];
        (void)snprintf(name, sizeof name, "%s_FILE", s->name);
        (void)snprintf(file, sizeof file, "%s.txt", s->name);
        const char *value = s->fallback ? s->fallback : s->choices ? "extractive" : "some-value";
        if (str_equal(s->name, "EMBEDDING_PROVIDER"))
            value = "ollama";
        if (str_equal(s->name, "DATABASE_URL"))
            value = "postgres://somewhere/some-value";
        if (str_equal(s->name, "REDIS_URL"))
            value = "redis://somewhere/1";
        write_file(file, value);
        (void)setenv(name, file, 1);
    }
    load(&l);
    assert_int_equal(l.config.server_port, 3001);
    assert_string_equal(l.config.jwt_secret, "some-value");
    assert_string_equal(l.config.llm_provider, "extractive");
    config_free(&l);
}

static void a_redis_is_named_without_tls(void **state)
{
    static const char *const bad[] = {"rediss://:hunter2@h", "http://hunter2@h", "hunter2"};
    (void)state;
    struct config_load l;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)setenv("REDIS_URL", bad[i], 1);
        assert_int_equal(config_load(&l, NULL), -EINVAL);
        assert_true(str_has_prefix(l.error, "REDIS_URL"));
        assert_null(strstr(l.error, "hunter2"));
        config_free(&l);
    }
    (void)setenv("REDIS_URL", "redis://:secret@h/1", 1);
    load(&l);
    assert_string_equal(l.config.redis_url, "redis://:secret@h/1");
    config_free(&l);
    (void)unsetenv("REDIS_URL");
}

static void a_directus_needs_its_database(void **state)
{
    struct config_load l;
    (void)state;
    (void)setenv("DIRECTUS_URL", "http://127.0.0.1:8055", 1);
    assert_int_equal(config_load(&l, NULL), -EINVAL);
    assert_true(str_has_prefix(l.error, "DIRECTUS_URL"));
    assert_non_null(strstr(l.error, "DATABASE_URL"));
    config_free(&l);
    (void)setenv("DATABASE_URL", "postgres://x/y", 1);
    load(&l);
    assert_string_equal(l.config.directus_url, "http://127.0.0.1:8055");
    config_free(&l);
    (void)unsetenv("DATABASE_URL");
    (void)unsetenv("DIRECTUS_URL");
}

static void make_secrets(struct config_load *l)
{
    load(l);
    if (config_secrets(l) != 0)
        fail_msg("%s", l->error);
}

static void a_database_wants_a_url_and_given_secrets(void **state)
{
    struct config_load l;
    (void)state;
    (void)setenv("GENIE_DATA_DIR", "kept", 1);
    (void)setenv("DATABASE_URL", "mysql://root:hunter2@there/db", 1);
    assert_int_equal(config_load(&l, NULL), -EINVAL);
    assert_string_equal(l.error, "DATABASE_URL must begin with postgres://");
    config_free(&l);
    (void)setenv("DATABASE_URL", "postgres://root:hunter2@there/db", 1);
    (void)setenv("DIRECTUS_SECRET", "one", 1);
    load(&l);
    assert_true(config_secrets(&l) < 0);
    assert_true(str_has_prefix(l.error, "JWT_SECRET must be given when DATABASE_URL is set"));
    config_free(&l);
    (void)setenv("JWT_SECRET", "two", 1);
    make_secrets(&l);
    config_free(&l);
    char *kept = read_file("kept/secrets.env");
    assert_string_equal(kept, "");
    free(kept);
}

static void secrets_are_made_once_and_kept_private(void **state)
{
    struct config_load first, second;
    struct stat st;
    (void)state;
    (void)setenv("GENIE_DATA_DIR", "kept", 1);
    make_secrets(&first);
    assert_int_equal(strlen(first.config.directus_secret), 64);
    assert_string_not_equal(first.config.directus_secret, first.config.jwt_secret);
    assert_int_equal(strlen(first.config.credentials_enc_key_b64), 44); /* 32 bytes */
    assert_int_equal(stat("kept", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat("kept/secrets.env", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    make_secrets(&second);
    assert_string_equal(second.config.directus_secret, first.config.directus_secret);
    assert_string_equal(second.config.jwt_secret, first.config.jwt_secret);
    assert_string_equal(second.config.credentials_enc_key_b64, first.config.credentials_enc_key_b64);
    config_free(&first);
    config_free(&second);
}

static void given_secrets_are_not_written_down(void **state)
{
    struct config_load l;
    (void)state;
    (void)setenv("JWT_SECRET", "given-by-hand", 1);
    make_secrets(&l);
    assert_string_equal(l.config.jwt_secret, "given-by-hand");
    _cleanup_free_ char *text = read_file("data/secrets.env");
    assert_null(strstr(text, "JWT_SECRET"));
    assert_non_null(strstr(text, "DIRECTUS_SECRET="));
    config_free(&l);
}

static void a_secrets_file_that_others_can_read_is_closed(void **state)
{
    (void)state;
    struct config_load l;
    struct stat st;
    make_secrets(&l);
    config_free(&l);
    assert_int_equal(chmod("data/secrets.env", 0644), 0);
    make_secrets(&l);
    config_free(&l);
    assert_int_equal(stat("data/secrets.env", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Somebody edited the file: an empty value, and a last line without an end. */
static void an_edited_secrets_file_is_completed_once(void **state)
{
    struct config_load first, second;
    (void)state;
    assert_int_equal(mkdir("data", 0700), 0);
    write_file("data/secrets.env", "JWT_SECRET=\nOTHER=x");
    make_secrets(&first);
    _cleanup_free_ char *once = read_file("data/secrets.env");
    make_secrets(&second);
    _cleanup_free_ char *twice = read_file("data/secrets.env");
    assert_string_equal(once, twice);
    assert_non_null(strstr(once, "OTHER=x\n"));
    assert_string_equal(first.config.jwt_secret, second.config.jwt_secret);
    assert_string_equal(first.config.directus_secret, second.config.directus_secret);
    config_free(&first);
    config_free(&second);
}

static void a_data_directory_that_cannot_be_made_is_named(void **state)
{
    struct config_load l;
    (void)state;
    write_file("in-the-way", "");
    (void)setenv("GENIE_DATA_DIR", "in-the-way/data", 1);
    load(&l);
    assert_true(config_secrets(&l) < 0);
    assert_true(str_has_prefix(l.error, "in-the-way/data"));
    config_free(&l);
}

/* The child's answer: its two secrets through a pipe. */
static void child(int go, int out)
{
    struct config_load l;
    char c;
    if (read(go, &c, 1) < 0 || config_load(&l, NULL) != 0 || config_secrets(&l) != 0)
        _exit(1);
    if (dprintf(out, "%s %s\n", l.config.directus_secret, l.config.jwt_secret) < 0)
        _exit(1);
    config_free(&l);
    _exit(0);
}

static void processes_that_start_at_once_share_the_secrets(void **state)
{
    enum { PROCESSES = 6 };
    int go[2], out[2], status;
    char lines[PROCESSES][200];
    (void)state;
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(go[1]);
            child(go[0], out[1]);
        }
    }
    (void)close(out[1]);
    (void)close(go[0]);
    (void)close(go[1]); /* lets them go */
    FILE *f = fdopen(out[0], "r");
    assert_non_null(f);
    for (int i = 0; i < PROCESSES; i++) {
        assert_non_null(fgets(lines[i], sizeof lines[i], f));
        assert_int_equal(strlen(lines[i]), 130);
        assert_string_equal(lines[i], lines[0]);
    }
    (void)fclose(f);
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    _cleanup_free_ char *text = read_file("data/secrets.env");
    assert_int_equal(strlen(text),
                     strlen("DIRECTUS_SECRET=\nJWT_SECRET=\nCREDENTIALS_ENC_KEY_B64=\n") + 2 * 64 + 44);
}

static void printing_shows_all_but_secrets(void **state)
{
    struct config_load l;
    _cleanup_buf_ struct buf text = BUF_INIT(65536), json = BUF_INIT(65536), small = BUF_INIT(50);
    size_t count = 0;
    (void)state;
    (void)setenv("JWT_SECRET", "hunter2", 1);
    (void)setenv("LLM_MODEL", "say \"hi\"", 1);
    load(&l);
    assert_int_equal(config_print(&l.config, false, &text), 0);
    assert_int_equal(config_print(&l.config, true, &json), 0);
    assert_null(strstr(buf_str(&text), "hunter2"));
    assert_null(strstr(buf_str(&json), "hunter2"));
    assert_non_null(strstr(buf_str(&text), "JWT_SECRET                 (set)\n"));
    assert_non_null(strstr(buf_str(&text), "DIRECTUS_SECRET            (unset)\n"));
    assert_non_null(strstr(buf_str(&text), "SERVER_PORT                3001\n"));
    _cleanup_json_ json_t *rows = json_parse(json.data, json.len);
    while (settings[count].name)
        count++;
    assert_int_equal(json_array_size(rows), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(rows, i);
        assert_string_equal(json_str(row, "name", ""), settings[i].name);
        if (str_equal(settings[i].name, "LLM_MODEL"))
            assert_string_equal(json_str(row, "value", ""), "say \"hi\"");
    }
    assert_int_equal(config_print(&l.config, false, &small), -ENOBUFS);
    config_free(&l);
}

static void the_docs_name_every_setting_once(void **state)
{
    _cleanup_buf_ struct buf docs = BUF_INIT(65536);
    (void)state;
    assert_int_equal(config_print_docs(&docs), 0);
    for (const struct setting *s = settings; s->name; s++) {
        char cell[80];
        (void)snprintf(cell, sizeof cell, "\n| `%s` | ", s->name);
        const char *at = strstr(buf_str(&docs), cell);
        assert_non_null(at);
        assert_null(strstr(at + 1, cell));
        assert_non_null(strstr(at, s->help));
        assert_true(s->help[0] && s->help[strlen(s->help) - 1] != '.');
    }
}

static void lists_of_items(void **state)
{
    (void)state;
    assert_true(config_list_has("a, B ,c", "b"));
    assert_true(config_list_has("a", "A"));
    assert_false(config_list_has("abc", "ab"));
    assert_false(config_list_has("a,b", ""));
    assert_false(config_list_has("", "a"));
    assert_false(config_list_has(NULL, "a"));
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(defaults_of_each_type),
        IN_DIRECTORY(every_default_passes_its_own_check),
        IN_DIRECTORY(good_values_of_each_type),
        IN_DIRECTORY(bad_values_are_refused_by_name),
        IN_DIRECTORY(a_bad_secret_is_not_repeated_in_the_error),
        IN_DIRECTORY(the_order_of_sources),
        IN_DIRECTORY(the_forms_of_an_env_file),
        IN_DIRECTORY(files_that_cannot_be_read_are_named),
        IN_DIRECTORY(every_setting_may_come_from_a_file),
        IN_DIRECTORY(a_redis_is_named_without_tls),
        IN_DIRECTORY(a_directus_needs_its_database),
        IN_DIRECTORY(a_database_wants_a_url_and_given_secrets),
        IN_DIRECTORY(secrets_are_made_once_and_kept_private),
        IN_DIRECTORY(given_secrets_are_not_written_down),
        IN_DIRECTORY(an_edited_secrets_file_is_completed_once),
        IN_DIRECTORY(a_secrets_file_that_others_can_read_is_closed),
        IN_DIRECTORY(a_data_directory_that_cannot_be_made_is_named),
        IN_DIRECTORY(processes_that_start_at_once_share_the_secrets),
        IN_DIRECTORY(printing_shows_all_but_secrets),
        IN_DIRECTORY(the_docs_name_every_setting_once),
        IN_DIRECTORY(lists_of_items),
    };
    return cmocka_run_group_tests_name("base/config", tests, NULL, NULL);
}
