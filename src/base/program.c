/* SPDX-License-Identifier: MIT */
/* The program leads a process group of its own, so that nothing it starts outlives its time limit. */
#include "base/program.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#define REAP_MS 5

extern char **environ;

static int start(const char *const *argv, int out_fd, pid_t *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes,
                                   POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawnp(ret, argv[0], &files, &attributes, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return -r;
}

/* Until the program closes its output: 0 or -ETIMEDOUT. */
static int collect(int fd, int64_t until_ms, struct buf *out)
{
    char chunk[4096];
    for (;;) {
        int64_t left = until_ms - clock_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? -errno : -ETIMEDOUT;
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        (void)buf_add(out, chunk, (size_t)n);
    }
}

/* It may have closed its output and go on. */
static int reap(pid_t pid, int64_t until_ms, int *ret_status)
{
    pid_t got;
    while ((got = waitpid(pid, ret_status, WNOHANG)) == 0) {
        if (clock_monotonic_ms() >= until_ms)
            return -ETIMEDOUT;
        (void)nanosleep(&(struct timespec){.tv_nsec = REAP_MS * 1000000L}, NULL);
    }
    return got == pid ? 0 : -errno;
}

int program_output(const char *const *argv, int limit_ms, struct buf *out)
{
    int ends[2], status = 0;
    pid_t pid;
    int64_t until = clock_monotonic_ms() + limit_ms;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_close_ int from = ends[0];
    int r = start(argv, ends[1], &pid);
    (void)close(ends[1]);
    if (r < 0)
        return r;
    r = collect(from, until, out);
    if (r == 0)
        r = reap(pid, until, &status);
    if (r < 0) {
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return r;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
