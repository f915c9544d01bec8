/* SPDX-License-Identifier: MIT */
/* Opened once and never closed: a C++ library with threads of its own does not like to be unloaded. */
#include "taxonomy/duck.h"

#include "base/log.h"
#include "base/text.h"
#include "taxonomy/duck_lib.h"

#include <errno.h>

#ifdef HAVE_DUCKDB

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIBRARY "libduckdb.so"
#define MEMORY_LIMIT "256MB"

static struct {
    pthread_mutex_t lock;
    atomic_bool open;
    void *inside; /* an address of it */
    int refused;  /* what the first look came to: it isn't repeated */
    struct duck_lib functions;
} library = {.lock = PTHREAD_MUTEX_INITIALIZER};

const struct duck_lib *duck_lib(void)
{
    return atomic_load_explicit(&library.open, memory_order_acquire) ? &library.functions : NULL;
}

bool duck_is_built_in(void)
{
    return true;
}

const char *duck_version(void)
{
    const struct duck_lib *lib = duck_lib();
    return lib ? lib->library_version() : NULL;
}

/* The folder of the program; "" where that can't be told. */
static void program_folder(char ret[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
    ret[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(ret, '/');
    if (slash)
        *slash = '\0';
}

static void *open_somewhere(const char *path)
{
    char folder[PATH_MAX], beside[PATH_MAX + sizeof LIBRARY];
    if (path)
        return dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    program_folder(folder);
    (void)snprintf(beside, sizeof beside, "%s/" LIBRARY, folder);
    const char *const places[] = {beside, DUCKDB_BUILD_LIB, LIBRARY};
    void *handle = NULL;
    for (size_t i = 0; i < ARRAY_LEN(places) && !handle; i++)
        handle = dlopen(places[i], RTLD_LAZY | RTLD_LOCAL);
    return handle;
}

static int find_functions(void *handle)
{
    static const char *const names[] = {
#define X(name) "duckdb_" #name,
        DUCK_FUNCTIONS(X)
#undef X
    };
    void *found[ARRAY_LEN(names)];
    _Static_assert(sizeof found == sizeof library.functions, "one pointer a function");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        found[i] = dlsym(handle, names[i]);
        if (!found[i]) {
            log_event(LOG_WARN, "this libduckdb lacks a function, so it isn't used",
                      LOG_S("function", names[i]));
            return -ELIBBAD;
        }
    }
    memcpy(&library.functions, found, sizeof found);
    library.inside = found[0];
    return 0;
}

static int load_first(const char *path)
{
    void *handle = str_equal(path, "none") ? NULL : open_somewhere(path);
    if (!handle) {
        if (path && !str_equal(path, "none"))
            log_event(LOG_WARN, "DUCKDB_LIB can't be opened: the taxonomy is read from the store",
                      LOG_S("path", path), LOG_S("error", dlerror()));
        return -ENOENT;
    }
    int r = find_functions(handle);
    if (r < 0)
        (void)dlclose(handle);
    return r;
}

int duck_load(const char *path)
{
    pthread_mutex_lock(&library.lock);
    int r = library.refused;
    if (r == 0 && !atomic_load_explicit(&library.open, memory_order_relaxed)) {
        r = library.refused = load_first(path);
        atomic_store_explicit(&library.open, r == 0, memory_order_release);
    }
    pthread_mutex_unlock(&library.lock);
    return r;
}

/* Code and constants are as the file is, and come back from it when they are touched; what the library may
 * have written stays. */
static int drop_pages(struct dl_phdr_info *object, size_t size, void *base)
{
    (void)size;
    if (object->dlpi_addr != (uintptr_t)base)
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t at = object->dlpi_addr + part->p_vaddr, ahead = at % (uintptr_t)sysconf(_SC_PAGESIZE);
        if (part->p_type == PT_LOAD && !(part->p_flags & PF_W))
            (void)madvise((void *)(at - ahead), part->p_filesz + ahead, MADV_DONTNEED);
    }
    return 1;
}

void duck_rest(void)
{
    Dl_info info;
    if (duck_lib() && dladdr(library.inside, &info))
        (void)dl_iterate_phdr(drop_pages, info.dli_fbase);
}

/* ---- a database */

static int configure(const struct duck_lib *lib, bool read_only, duckdb_config *config)
{
    const char *const options[][2] = {
        {"access_mode", read_only ? "READ_ONLY" : "AUTOMATIC"},
        {"threads", "1"},
        {"memory_limit", MEMORY_LIMIT},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
    };
    if (lib->create_config(config) != DuckDBSuccess)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (lib->set_config(*config, options[i][0], options[i][1]) != DuckDBSuccess)
            return -EIO;
    return 0;
}

int duck_open(const char *path, bool read_only, struct duck_db *ret)
{
    const struct duck_lib *lib = duck_lib();
    struct duck_db db = {0};
    duckdb_config config = NULL;
    char *why = NULL;
    int r = lib ? configure(lib, read_only, &config) : -ENOENT;
    if (r == 0 && lib->open_ext(path, &db.database, config, &why) != DuckDBSuccess)
        r = -EIO;
    if (r == 0 && lib->connect(db.database, &db.connection) != DuckDBSuccess)
        r = -EIO;
    if (r < 0)
        log_event(LOG_WARN, "DuckDB can't open its file", LOG_S("path", path), LOG_S("error", why));
    if (lib && why)
        lib->free(why);
    if (lib && config)
        lib->destroy_config(&config);
    if (r < 0)
        duck_close(&db);
    else
        *ret = db;
    return r;
}

void duck_close(struct duck_db *db)
{
    const struct duck_lib *lib = duck_lib();
    if (db->connection)
        lib->disconnect(&db->connection);
    if (db->database)
        lib->close(&db->database);
    *db = (struct duck_db){0};
}

#else

bool duck_is_built_in(void)
{
    return false;
}

const char *duck_version(void)
{
    return NULL;
}

int duck_load(const char *path)
{
    (void)path;
    return -ENOTSUP;
}

void duck_rest(void)
{
}

#endif
