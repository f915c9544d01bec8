/* SPDX-License-Identifier: MIT */
/* The caller waits on its own stack for a job that a pool of two threads does. The pool always runs what it
 * accepted, and each job is a bounded computation, so the wait ends by itself. */
#include "auth/passwords.h"

#include "base/pool.h"
#include "base/text.h"
#include "base/uuid.h"

#include <argon2.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#define COST_PASSES 3
#define COST_KIB 65536
#define COST_LANES 4
#define SALT_BYTES 16
#define HASH_BYTES 32
#define LOWER_PRIORITY 10

/* Costs what a real one costs, and no password is known that fits it. */
static const char nobodys_hash[] = "$argon2id$v=19$m=65536,t=3,p=4$Z2VuaWUtbm9ib2R5LTAwMA"
                                   "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct passwords {
    struct pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    int in_work, most; /* waiting or running */
};

struct job {
    struct passwords *owner;
    const char *password, *verify_against; /* NULL: hash it */
    char *ret_hash;
    int result;
    bool done;
};

int passwords_open(int waiting, struct passwords **ret)
{
    struct passwords *p = calloc(1, sizeof *p);
    int r = p ? pool_start("passwords", PASSWORD_HASHERS, PASSWORD_HASHERS + waiting, &p->pool) : -ENOMEM;
    if (r < 0) {
        free(p);
        return r;
    }
    p->most = PASSWORD_HASHERS + waiting;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->finished, NULL);
    *ret = p;
    return 0;
}

void passwords_close(struct passwords *p)
{
    pool_stop(p->pool);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static int make_hash(const char *password, char *ret)
{
    uint8_t salt[SALT_BYTES];
    random_bytes(salt, sizeof salt);
    int r = argon2id_hash_encoded(COST_PASSES, COST_KIB, COST_LANES, password, strlen(password), salt,
                                  sizeof salt, HASH_BYTES, ret, PASSWORD_HASH_SIZE);
    return r == ARGON2_OK ? 0 : -ENOMEM;
}

static int check_hash(const char *hash, const char *password)
{
    static const struct {
        const char *prefix;
        argon2_type type;
    } forms[] = {{"$argon2id$", Argon2_id}, {"$argon2i$", Argon2_i}, {"$argon2d$", Argon2_d}};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (str_has_prefix(hash, forms[i].prefix)) {
            int r = argon2_verify(hash, password, strlen(password), forms[i].type);
            return r == ARGON2_OK ? 0 : r == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EACCES;
        }
    /* not at once: that would tell that there is such an account */
    (void)argon2_verify(nobodys_hash, password, strlen(password), Argon2_id);
    return -EACCES;
}

static void work(void *arg)
{
    struct job *job = arg;
    struct passwords *p = job->owner;
    /* of this thread and those that argon2 starts from it; the rest of the server goes first */
    (void)setpriority(PRIO_PROCESS, 0, LOWER_PRIORITY);
    job->result = job->verify_against ? check_hash(job->verify_against, job->password)
                                      : make_hash(job->password, job->ret_hash);
    pthread_mutex_lock(&p->lock);
    job->done = true;
    p->in_work--;
    pthread_cond_broadcast(&p->finished);
    pthread_mutex_unlock(&p->lock);
}

static int run(struct passwords *p, struct job *job)
{
    job->owner = p;
    pthread_mutex_lock(&p->lock);
    bool taken = p->in_work < p->most && pool_submit(p->pool, work, job) == 0;
    p->in_work += taken;
    while (taken && !job->done)
        pthread_cond_wait(&p->finished, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return taken ? job->result : -EBUSY;
}

int password_hash(struct passwords *p, const char *password, char *ret)
{
    if (!password[0] || strlen(password) > PASSWORD_MAX_BYTES)
        return -EINVAL;
    return run(p, &(struct job){.password = password, .ret_hash = ret});
}

int password_verify(struct passwords *p, const char *hash, const char *password)
{
    if (strlen(password) > PASSWORD_MAX_BYTES)
        return -EACCES;
    int r = run(p, &(struct job){.password = password, .verify_against = hash ? hash : nobodys_hash});
    return r == 0 && !hash ? -EACCES : r;
}
