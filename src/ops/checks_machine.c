/* SPDX-License-Identifier: MIT */
/* Settings, directories, and what the operating system allows. */
#include "ops/checks.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "net/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#define ENV_FILE "genie.env"
#define ENV_MAX (64 * 1024)
#define LEAST_SECRET 32
#define SPACE_FAIL (INT64_C(100) << 20)
#define SPACE_WARN (INT64_C(1) << 30)
#define MEMORY_FAIL (INT64_C(160) << 20) /* two password hashers of 64 MiB, and the server itself */
#define MEMORY_WARN (INT64_C(400) << 20)

/* ---- settings */

bool check_settings(const struct checkup *c, struct finding *f)
{
    if (c->loaded)
        return found(f, CHECK_OK, "every setting has a value that makes sense");
    (void)found(f, CHECK_FAIL, "%s", c->load->error[0] ? c->load->error : "out of memory");
    return mend(f, "correct it in the environment or in genie.env; genie config lists the settings");
}

static const struct setting *find_setting(const char *name, size_t len)
{
    for (const struct setting *s = settings; s->name; s++)
        if (strlen(s->name) == len && strncmp(s->name, name, len) == 0)
            return s;
    return NULL;
}

static ssize_t read_env_file(char *ret)
{
    _cleanup_(fcloseP) FILE *in = fopen(ENV_FILE, "re");
    if (!in)
        return -errno;
    size_t n = fread(ret, 1, ENV_MAX - 1, in);
    ret[n] = '\0';
    return (ssize_t)n;
}

/* Names before "=" that are no settings, into `unknown`; whether a secret is among the others. */
static bool read_names(char *text, char *unknown, size_t size)
{
    bool secret = false;
    size_t n = 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        line += strspn(line, " \t\r");
        if (str_has_prefix(line, "export "))
            line += strlen("export ");
        size_t len = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        if (len == 0 || line[len] != '=')
            continue;
        const struct setting *s = find_setting(line, len);
        secret |= s && s->secret && line[len + 1];
        if (!s && n + len + 3 < size)
            n += (size_t)snprintf(unknown + n, size - n, "%s%.*s", n ? ", " : "", (int)len, line);
    }
    return secret;
}

bool check_settings_file(const struct checkup *c, struct finding *f)
{
    (void)c;
    _cleanup_free_ char *text = malloc(ENV_MAX);
    char unknown[200] = "";
    struct stat st;
    ssize_t n = text ? read_env_file(text) : -ENOMEM;
    if (n == -ENOENT)
        return false;
    if (n < 0 || stat(ENV_FILE, &st) < 0)
        return found(f, CHECK_FAIL, "genie.env can't be read: %s", strerror(n < 0 ? (int)-n : errno));
    bool secret = read_names(text, unknown, sizeof unknown);
    wipe(text, (size_t)n);
    if (secret && (st.st_mode & (S_IRWXG | S_IRWXO))) {
        (void)found(f, CHECK_FAIL, "others on this machine may read genie.env, which holds secrets");
        return mend(f, "chmod 600 genie.env");
    }
    if (!unknown[0])
        return found(f, CHECK_OK, "genie.env holds only known names");
    (void)found(f, CHECK_WARN, "genie.env holds names that mean nothing here: %s", unknown);
    return mend(
        f,
        "look for the right spelling in genie config, or remove them (files named by <NAME>_FILE are taken "
        "from the environment alone)");
}

bool check_secrets(const struct checkup *c, struct finding *f)
{
    char path[4096];
    struct stat st;
    const struct {
        const char *name, *value;
    } secrets[] = {{"DIRECTUS_SECRET", c->cfg->directus_secret}, {"JWT_SECRET", c->cfg->jwt_secret}};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        if (secrets[i].value && strlen(secrets[i].value) < LEAST_SECRET) {
            (void)found(f, CHECK_WARN, "%s has fewer than %d characters", secrets[i].name, LEAST_SECRET);
            return mend(f, "make a longer one: openssl rand -hex 32 (every token in use ends with it)");
        }
    }
    (void)snprintf(path, sizeof path, "%s/secrets.env", c->cfg->data_dir);
    bool there = stat(path, &st) == 0;
    if (there && (st.st_mode & (S_IRWXG | S_IRWXO))) {
        (void)found(f, CHECK_FAIL, "others on this machine may read %s", path);
        return mend(f, "chmod 600 %s, and make new secrets if somebody may have seen them", path);
    }
    if (there && access(path, R_OK | W_OK) < 0) {
        (void)found(f, CHECK_FAIL, "%s can't be read and written: %s", path, strerror(errno));
        return mend(f, "give it to the user that runs genie");
    }
    if (c->cfg->database_url && (!secrets[0].value || !secrets[1].value) && (!there || st.st_size == 0)) {
        (void)found(f, CHECK_FAIL, "with DATABASE_URL, DIRECTUS_SECRET and JWT_SECRET must be given");
        return mend(f, "set both, the same for every server: openssl rand -hex 32");
    }
    return found(f, CHECK_OK,
                 there ? "kept in %s, for its owner alone" : "none made yet; %s comes at the first start",
                 path);
}

static bool is_loopback(const char *address)
{
    return str_has_prefix(address, "127.") || strcmp(address, "::1") == 0 ||
           strcmp(address, "localhost") == 0;
}

bool check_exposure(const struct checkup *c, struct finding *f)
{
    const char *address = c->cfg->bind_address, *proxies = c->cfg->trusted_proxies, *item;
    size_t len;
    bool named = false;
    if (is_loopback(address))
        return found(f, CHECK_OK, "only this machine reaches %s", address);
    while (proxies && list_next(&proxies, &item, &len))
        named |= !(len == 4 && strncmp(item, "none", 4) == 0) && strncmp(item, "127.", 4) != 0 &&
                 !(len == 3 && strncmp(item, "::1", 3) == 0);
    if (named)
        return found(f, CHECK_OK, "%s, with proxies named in TRUSTED_PROXIES", address);
    (void)found(f, CHECK_WARN,
                "BIND_ADDRESS %s lets other machines in without encryption, and no proxy is named", address);
    return mend(
        f, "set BIND_ADDRESS=127.0.0.1 behind a proxy with TLS on this machine, or name the proxy of another "
           "one in TRUSTED_PROXIES");
}

/* ---- directories */

bool check_data(const struct checkup *c, struct finding *f)
{
    const char *dir = c->cfg->data_dir;
    struct stat st;
    if (stat(dir, &st) < 0 && errno == ENOENT)
        return found(f, CHECK_OK, "%s isn't there yet; it comes at the first start", dir);
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
        (void)found(f, CHECK_FAIL, "%s is no directory that can be used", dir);
        return mend(f, "set GENIE_DATA_DIR, or make the directory");
    }
    if (access(dir, R_OK | W_OK | X_OK) < 0) {
        (void)found(f, CHECK_FAIL, "%s can't be written: %s", dir, strerror(errno));
        return mend(f, "give it to the user that runs genie, or mount it writable");
    }
    if (geteuid() != 0 && st.st_uid != geteuid()) {
        (void)found(f, CHECK_WARN, "%s belongs to another user", dir);
        return mend(f, "chown -R it to the user that runs genie");
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        (void)found(f, CHECK_WARN, "others on this machine may look into %s", dir);
        return mend(f, "chmod 700 %s", dir);
    }
    return found(f, CHECK_OK, "%s can be written, by its owner alone", dir);
}

bool check_space(const struct checkup *c, struct finding *f)
{
    struct statvfs fs;
    if (statvfs(c->cfg->data_dir, &fs) < 0)
        return errno == ENOENT
                   ? false
                   : found(f, CHECK_FAIL, "%s can't be looked at: %s", c->cfg->data_dir, strerror(errno));
    int64_t bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    (void)found(f,
                bytes < SPACE_FAIL   ? CHECK_FAIL
                : bytes < SPACE_WARN ? CHECK_WARN
                                     : CHECK_OK,
                "%.1f GiB free where the data are", (double)bytes / (double)(1 << 30));
    if (fs.f_files > 0 && fs.f_favail < 1000)
        (void)found(f, CHECK_FAIL, "the file system has room for fewer than 1000 more files");
    return f->verdict == CHECK_OK ? true : mend(f, "make room: writes are refused when the disk is full");
}

/* ---- limits */

bool check_open_files(const struct checkup *c, struct finding *f)
{
    struct rlimit limit;
    unsigned long long want = (unsigned long long)c->cfg->max_connections * 2 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return found(f, CHECK_WARN, "the limit can't be read: %s", strerror(errno));
    if (limit.rlim_max >= want)
        return found(f, CHECK_OK, "MAX_CONNECTIONS needs %llu, and may have them", want);
    (void)found(f, CHECK_WARN, "MAX_CONNECTIONS needs %llu open files, the limit is %llu", want,
                (unsigned long long)limit.rlim_max);
    return mend(f, "raise it (ulimit -Hn, LimitNOFILE= in a systemd unit), or lower MAX_CONNECTIONS");
}

/* A number of KiB after "name" in /proc/meminfo, in bytes; -1 if there is none. */
static int64_t available_memory(void)
{
    char line[128];
    long long kib = -1;
    _cleanup_(fcloseP) FILE *in = fopen("/proc/meminfo", "re");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1)
            break;
    return kib < 0 ? -1 : (int64_t)kib * 1024;
}

/* What the control group leaves; INT64_MAX where there is no limit. */
static int64_t allowed_memory(void)
{
    long long most, used;
    _cleanup_(fcloseP) FILE *max = fopen("/sys/fs/cgroup/memory.max", "re");
    _cleanup_(fcloseP) FILE *now = fopen("/sys/fs/cgroup/memory.current", "re");
    if (!max || !now || fscanf(max, "%lld", &most) != 1 || fscanf(now, "%lld", &used) != 1)
        return INT64_MAX;
    return most > used ? most - used : 0;
}

bool check_memory(const struct checkup *c, struct finding *f)
{
    (void)c;
    int64_t here = available_memory(), allowed = allowed_memory(), bytes = here < allowed ? here : allowed;
    if (here < 0)
        return found(f, CHECK_WARN, "what is available can't be read from /proc/meminfo");
    (void)found(f,
                bytes < MEMORY_FAIL   ? CHECK_FAIL
                : bytes < MEMORY_WARN ? CHECK_WARN
                                      : CHECK_OK,
                "%lld MiB available; two log-ins at a time need 128 for their password hashes",
                (long long)(bytes >> 20));
    return f->verdict == CHECK_OK ? true : mend(f, "free some, or raise the limit of the container or unit");
}

bool check_time(const struct checkup *c, struct finding *f)
{
    (void)c;
    struct timex now = {0};
    int state = adjtimex(&now);
    if (state >= 0 && !(now.status & STA_UNSYNC))
        return found(f, CHECK_OK, "the clock is kept in time");
    if (state < 0)
        return found(f, CHECK_WARN, "whether the clock is kept in time can't be told: %s", strerror(errno));
    (void)found(f, CHECK_WARN, "nothing keeps the clock in time, which tokens and schedules go by");
    return mend(f, "run systemd-timesyncd, chrony or another NTP client (on the host, for containers)");
}

/* ---- the port */

/* 0 if it could be listened on now, or negative errno. */
static int try_port(const struct config *cfg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST}, *at = NULL;
    char port[16];
    int yes = 1, r = 0;
    (void)snprintf(port, sizeof port, "%lld", (long long)cfg->server_port);
    if (getaddrinfo(cfg->bind_address, port, &hints, &at) != 0)
        return -EINVAL;
    _cleanup_close_ int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) < 0)
        r = -errno;
    freeaddrinfo(at);
    return r;
}

static bool our_server_answers(const struct config *cfg)
{
    char url[160];
    const char *address = cfg->bind_address;
    bool any = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    bool six = !any && strchr(address, ':');
    (void)snprintf(url, sizeof url, "http://%s%s%s:%lld/healthz", six ? "[" : "", any ? "127.0.0.1" : address,
                   six ? "]" : "", (long long)cfg->server_port);
    struct fetch_response response = {0};
    int r = fetch(&(struct fetch_request){.url = url, .timeout_ms = CHECK_ANSWER_MS}, &response);
    bool answers = r == 0 && response.status == 200;
    fetch_response_free(&response);
    return answers;
}

bool check_port(const struct checkup *c, struct finding *f)
{
    const struct config *cfg = c->cfg;
    long long port = (long long)cfg->server_port;
    if (port == 0)
        return found(f, CHECK_OK, "SERVER_PORT is 0: any free one is taken");
    int r = try_port(cfg);
    if (r == 0)
        return found(f, CHECK_OK, "%s:%lld is free", cfg->bind_address, port);
    if (r == -EADDRINUSE && our_server_answers(cfg))
        return found(f, CHECK_OK, "a server answers on %s:%lld", cfg->bind_address, port);
    if (r == -EADDRINUSE) {
        (void)found(f, CHECK_FAIL, "another program has %s:%lld", cfg->bind_address, port);
        return mend(f, "find it with ss -ltnp and stop it, or set SERVER_PORT");
    }
    if (r == -EINVAL || r == -EADDRNOTAVAIL) {
        (void)found(f, CHECK_FAIL, "BIND_ADDRESS %s is no address of this machine", cfg->bind_address);
        return mend(f, "set BIND_ADDRESS=127.0.0.1, or an address that ip addr shows");
    }
    (void)found(f, CHECK_FAIL, "%s:%lld can't be listened on: %s", cfg->bind_address, port, strerror(-r));
    return mend(f, r == -EACCES
                       ? "ports below 1024 are for root: set a higher SERVER_PORT, with a proxy before it"
                       : "set SERVER_PORT or BIND_ADDRESS");
}
