/* SPDX-License-Identifier: MIT */
/* Facts about the Goose CLI (github.com/block/goose, crates/goose-cli): `run --instructions -` reads standard
 * input, `run --recipe FILE` excludes it, `--name` names the session, GOOSE_PATH_ROOT (absolute) and before
 * it the XDG variables say where it keeps its state, GOOSE_DISABLE_KEYRING keeps it from asking for a
 * desktop's.
 *
 * A recipe is a template: {{…}}, {%…%} and {#…#} are replaced before it is parsed. Instructions are no
 * template, so their opening braces are written as JSON escapes, which only the parser sees. */
#include "goose/program.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/keep.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define RECIPE_FILE "recipe.json"
#define PASSED_MOST 40 /* process.h takes 64 in all */
#define NAME_MAX_BYTES 64

/* ---- finding it */

static const char *usable(struct arena *a, const char *path)
{
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real) || stat(real, &st) < 0 || !S_ISREG(st.st_mode) || access(real, X_OK) < 0)
        return NULL;
    return arena_strdup(a, real);
}

static const char *find(struct arena *a, const char *name)
{
    const char *path = getenv("PATH");
    const char *found = NULL;
    if (strchr(name, '/'))
        return usable(a, name);
    path = path && path[0] ? path : DEFAULT_PATH;
    while (*path && !found) {
        size_t len = strcspn(path, ":");
        const char *candidate = len ? arena_printf(a, "%.*s/%s", (int)len, path, name) : NULL;
        found = candidate ? usable(a, candidate) : NULL;
        path += len + (path[len] == ':');
    }
    return found;
}

static int make_dir(const char *path)
{
    return path && (mkdir(path, 0700) == 0 || errno == EEXIST) ? 0 : path ? -errno : -ENOMEM;
}

static const char *make_root(const struct config *cfg, struct arena *a, int *ret_r)
{
    static const char *const parts[] = {"", "/home", "/recipes"};
    char real[PATH_MAX];
    if (!realpath(cfg->data_dir, real)) {
        *ret_r = -errno;
        return NULL;
    }
    *ret_r = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts) && *ret_r == 0; i++)
        *ret_r = make_dir(arena_printf(a, "%s/goose%s", real, parts[i]));
    return *ret_r == 0 ? arena_printf(a, "%s/goose", real) : NULL;
}

/* ---- its environment */

static bool may_pass(const char *name)
{
    static const char *const own[] = {"PATH", "HOME", "TMPDIR", "LANG", "GOOSE_PATH_ROOT"};
    if (!str_only(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcmp(own[i], name) == 0)
            return false;
    for (const struct setting *s = settings; s->name; s++)
        if (s->secret && strcmp(s->name, name) == 0)
            return strcmp(name, "ANTHROPIC_API_KEY") == 0; /* Goose knows it by this name, too */
    return true;
}

const char *program_bad_variable(const struct config *cfg, struct arena *a)
{
    const char *list = cfg->goose_env, *item;
    size_t len, n = 0;
    while (list && list_next(&list, &item, &len)) {
        const char *name = arena_strndup(a, item, len);
        if (!name || len > NAME_MAX_BYTES || ++n > PASSED_MOST || !may_pass(name))
            return name ? name : "";
    }
    return NULL;
}

static const char *const *make_env(const struct config *cfg, const char *root, struct arena *a)
{
    const char **env = arena_alloc(a, (PASSED_MOST + 6) * sizeof *env);
    const char *list = cfg->goose_env, *item;
    size_t len, n = 0;
    if (!env)
        return NULL;
    env[n++] = arena_printf(a, "GOOSE_PATH_ROOT=%s/home", root);
    env[n++] = arena_printf(a, "XDG_CONFIG_HOME=%s/home/config", root);
    env[n++] = arena_printf(a, "XDG_DATA_HOME=%s/home/data", root);
    env[n++] = arena_printf(a, "XDG_STATE_HOME=%s/home/state", root);
    env[n++] = "GOOSE_DISABLE_KEYRING=1";
    for (size_t i = 0; i < n; i++)
        if (!env[i])
            return NULL;
    while (n < PASSED_MOST + 5 && list && list_next(&list, &item, &len)) {
        const char *name = arena_strndup(a, item, len), *value = name ? getenv(name) : NULL;
        const char *line = value ? arena_printf(a, "%s=%s", name, value) : NULL;
        if (line)
            env[n++] = line;
    }
    return env;
}

int program_find(const struct config *cfg, struct arena *a, struct program *ret)
{
    int r;
    struct program p = {.path = find(a, cfg->goose_bin)};
    if (!p.path)
        return -ENOENT;
    p.root = make_root(cfg, a, &r);
    if (!p.root)
        return r < 0 ? r : -ENOMEM;
    p.env = make_env(cfg, p.root, a);
    if (!p.env)
        return -ENOMEM;
    *ret = p;
    return 0;
}

/* ---- a run's directory */

const char *program_dir(const struct program *p, struct arena *a, const char *run_id)
{
    const char *dir = arena_printf(a, "%s/%s", p->root, run_id);
    int r = make_dir(dir);
    errno = -r;
    return r == 0 ? dir : NULL;
}

void program_tidy(const char *dir, struct arena *a)
{
    const char *recipe = arena_printf(a, "%s/" RECIPE_FILE, dir);
    if (recipe)
        (void)unlink(recipe);
    (void)rmdir(dir); /* fails where Goose has left something, which is the admin's to look at */
}

static int read_recipe(const char *path, json_t **ret)
{
    _cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    _cleanup_free_ char *text = malloc(RECIPE_MAX + 1);
    size_t len = 0;
    ssize_t n = 0;
    if (!path || !text)
        return -ENOMEM;
    if (fd < 0)
        return -errno;
    while (len <= RECIPE_MAX && (n = read(fd, text + len, RECIPE_MAX + 1 - len)) > 0)
        len += (size_t)n;
    if (n < 0 || len > RECIPE_MAX)
        return n < 0 ? -errno : -EINVAL;
    *ret = json_parse(text, len);
    return json_is_object(*ret) ? 0 : -EINVAL;
}

/* The recipe's text with its prompt behind the rest. */
static int put_together(const json_t *recipe, const char *prompt, struct buf *ret)
{
    _cleanup_buf_ struct buf quoted = BUF_INIT(2 * RECIPE_MAX);
    int r = json_write_str(&quoted, prompt, strlen(prompt));
    if (r == 0)
        r = json_write(ret, recipe);
    if (r < 0)
        return r;
    ret->len--; /* the closing brace */
    (void)buf_adds(ret, json_object_size(recipe) > 0 ? ",\"prompt\":" : "\"prompt\":");
    for (size_t i = 0; i < quoted.len; i++)
        (void)buf_adds(ret, quoted.data[i] == '{' ? "\\u007b" : (const char[]){quoted.data[i], '\0'});
    (void)buf_adds(ret, "}\n");
    return ret->failed ? -ENOBUFS : 0;
}

static int write_whole(const char *path, const struct buf *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : keep_write(fd, text->data, text->len);
}

const char *program_recipe(const struct program *p, struct arena *a, const char *dir, const char *name,
                           const char *instructions, int *ret_r)
{
    _cleanup_json_ json_t *recipe = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(8 * RECIPE_MAX);
    const char *path = arena_printf(a, "%s/" RECIPE_FILE, dir);
    int r = read_recipe(arena_printf(a, "%s/recipes/%s.json", p->root, name), &recipe);
    if (r == 0 && json_object_del(recipe, "prompt") < 0)
        r = 0; /* it had none */
    if (r == 0)
        r = path ? put_together(recipe, instructions, &text) : -ENOMEM;
    if (r == 0)
        r = write_whole(path, &text);
    *ret_r = r;
    return r == 0 ? path : NULL;
}
