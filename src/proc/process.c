/* SPDX-License-Identifier: MIT */
/* fork and exec: between the two only what is safe in the child of a process with threads. What fails there
 * comes back as an errno through a pipe that exec closes. The end of the program is seen by its pidfd, beside
 * its output; a grandchild that holds the output open can't delay it, since the group is killed first. */
#include "proc/process.h"

#include "base/cleanup.h"
#include "base/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ENV_MOST 64
#define LOOK_MS 50    /* how often a cancel is looked for */
#define DRAIN_MS 1000 /* for what a dead group has left in the pipes */
#define PIECE (16 * 1024)
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define FIRST_INHERITED 3

/* What the child needs, made before the fork. */
struct launch {
    const struct process_spec *spec;
    const char *envp[ENV_MOST];
    char home[PATH_MAX], tmpdir[PATH_MAX], path[PATH_MAX];
    int in, out, err, report; /* the child's ends */
    pid_t parent;
};

struct running {
    const struct process_spec *spec;
    pid_t pid;
    int pidfd;
    int fd[2]; /* by enum process_stream; -1 = at its end */
    int64_t until_ms;
};

/* ---- before the fork */

static int add_variable(char *ret, size_t size, const char *name, const char *value)
{
    int n = snprintf(ret, size, "%s=%s", name, value);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int make_environment(struct launch *l)
{
    const char *dir = l->spec->dir ? l->spec->dir : "/", *path = getenv("PATH");
    size_t n = 0;
    if (add_variable(l->home, sizeof l->home, "HOME", dir) < 0 ||
        add_variable(l->tmpdir, sizeof l->tmpdir, "TMPDIR", dir) < 0 ||
        add_variable(l->path, sizeof l->path, "PATH", path && path[0] ? path : DEFAULT_PATH) < 0)
        return -ENAMETOOLONG;
    const char *own[] = {l->path, "LANG=C.UTF-8", l->home, l->tmpdir};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        l->envp[n++] = own[i];
    for (const char *const *e = l->spec->env; e && *e; e++) {
        if (n == ENV_MOST - 1)
            return -E2BIG;
        l->envp[n++] = *e;
    }
    l->envp[n] = NULL;
    return 0;
}

/* A file in memory: a program that doesn't read it can't make us wait. A descriptor, or negative errno. */
static int make_input(const struct process_spec *spec)
{
    _cleanup_close_ int fd =
        spec->input ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = spec->input ? keep_write(fd, spec->input, spec->input_len) : 0;
    if (r == 0 && spec->input && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    return r < 0 ? r : TAKE_FD(fd);
}

/* ---- in the child */

static int set_limit(int what, int64_t most)
{
    const struct rlimit limit = {(rlim_t)most, (rlim_t)most};
    return setrlimit((__rlimit_resource_t)what, &limit);
}

static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL); /* fails for a few that have no handler anyway */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Only returns when something failed, with errno; *report is where that can be told. */
static void become_program(const struct launch *l, int *report)
{
    const struct process_spec *spec = l->spec;
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return;
    if (getppid() != l->parent)
        _exit(127); /* it died before that was set */
    if (dup2(l->in, 0) < 0 || dup2(l->out, 1) < 0 || dup2(l->err, 2) < 0)
        return;
    if (dup2(l->report, FIRST_INHERITED) < 0)
        return;
    *report = FIRST_INHERITED; /* the only one that exec must still close */
    if (fcntl(*report, F_SETFD, FD_CLOEXEC) < 0 || close_range((unsigned)*report + 1, ~0U, 0) < 0)
        return;
    if (chdir(spec->dir ? spec->dir : "/") < 0)
        return;
    reset_signals();
    if (set_limit(RLIMIT_CORE, 0) < 0 || (spec->max_file > 0 && set_limit(RLIMIT_FSIZE, spec->max_file) < 0))
        return;
    /* last: what a sanitizer has mapped for this process is more than most programs may have */
    if (spec->max_memory > 0 && set_limit(RLIMIT_AS, spec->max_memory) < 0)
        return;
    (void)execvpe(spec->argv[0], (char *const *)(uintptr_t)spec->argv, (char *const *)(uintptr_t)l->envp);
}

static void child(const struct launch *l)
{
    int report = l->report;
    become_program(l, &report);
    int why = errno;
    ssize_t n = write(report, &why, sizeof why);
    (void)n; /* there is nobody else to tell */
    _exit(127);
}

/* ---- starting */

/* The child's errno, or 0 once exec has closed the pipe. */
static int read_report(int fd)
{
    int why = 0;
    ssize_t n;
    do
        n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == (ssize_t)sizeof why ? -why : 0;
}

static int reap(pid_t pid, int *ret_status)
{
    pid_t r;
    do
        r = waitpid(pid, ret_status, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* Forks; returns in the parent, when the program runs or could not be started. */
static int fork_child(struct launch *l, struct running *p)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    l->report = report[1];
    l->parent = getpid();
    p->pid = fork();
    int r = p->pid < 0 ? -errno : 0;
    if (p->pid == 0)
        child(l);
    (void)close(report[1]);
    if (r == 0)
        r = read_report(report[0]);
    (void)close(report[0]);
    if (r < 0 && p->pid > 0) {
        int status;
        (void)reap(p->pid, &status);
    }
    return r;
}

static void kill_group(const struct running *p)
{
    (void)kill(-p->pid, SIGKILL); /* the program leads it; a group without members is no error */
}

static int start(struct launch *l, struct running *p)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    _cleanup_close_ int in = make_input(l->spec);
    int r = in < 0 ? in : make_environment(l);
    if (r == 0 && (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0))
        r = -errno;
    l->in = in, l->out = out[1], l->err = err[1];
    if (r == 0)
        r = fork_child(l, p);
    closeP(&out[1]);
    closeP(&err[1]);
    p->fd[PROCESS_STDOUT] = out[0], p->fd[PROCESS_STDERR] = err[0];
    if (r == 0 && (p->pidfd = pidfd_open(p->pid, 0)) < 0) {
        int status;
        r = -errno;
        kill_group(p);
        (void)reap(p->pid, &status);
    }
    return r;
}

/* ---- running */

static void read_output(struct running *p, enum process_stream from)
{
    char piece[PIECE];
    ssize_t n = read(p->fd[from], piece, sizeof piece);
    if (n > 0 && p->spec->output)
        p->spec->output(p->spec->ctx, from, piece, (size_t)n);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
        (void)close(p->fd[from]);
        p->fd[from] = -1;
    }
}

/* Passes on what has come within wait_ms; whether the program has ended. */
static bool wait_once(struct running *p, int64_t wait_ms)
{
    struct pollfd fds[3] = {{.fd = p->fd[PROCESS_STDOUT], .events = POLLIN},
                            {.fd = p->fd[PROCESS_STDERR], .events = POLLIN},
                            {.fd = p->pidfd, .events = POLLIN}};
    if (poll(fds, ARRAY_LEN(fds), (int)wait_ms) <= 0)
        return false;
    for (int i = 0; i < 2; i++)
        if (fds[i].revents)
            read_output(p, (enum process_stream)i);
    return fds[2].revents != 0;
}

/* What the pipes still hold; nobody writes to them any more, unless he left the group. */
static void drain(struct running *p)
{
    int64_t until_ms = clock_monotonic_ms() + DRAIN_MS;
    int pidfd = p->pidfd;
    p->pidfd = -1;
    while ((p->fd[PROCESS_STDOUT] >= 0 || p->fd[PROCESS_STDERR] >= 0) && clock_monotonic_ms() < until_ms)
        (void)wait_once(p, LOOK_MS);
    p->pidfd = pidfd;
}

/* Until it ends or has to. */
static enum process_how watch(struct running *p)
{
    for (;;) {
        int64_t left = p->until_ms - clock_monotonic_ms();
        if (cancel_raised(p->spec->cancel))
            return PROCESS_CANCELLED;
        if (left <= 0)
            return PROCESS_TIMED_OUT;
        if (wait_once(p, left < LOOK_MS ? left : LOOK_MS))
            return PROCESS_EXITED;
    }
}

static void finish(struct running *p, enum process_how how, struct process_end *ret)
{
    int status = 0;
    kill_group(p); /* before the leader is reaped, so that the number is still its group's */
    int r = reap(p->pid, &status);
    drain(p);
    *ret = (struct process_end){.how = how};
    if (r == 0 && how == PROCESS_EXITED) {
        ret->how = WIFSIGNALED(status) ? PROCESS_KILLED : PROCESS_EXITED;
        ret->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    }
}

int process_run(const struct process_spec *spec, struct process_end *ret)
{
    struct launch l = {.spec = spec};
    struct running p = {.spec = spec, .pidfd = -1, .fd = {-1, -1}};
    p.until_ms = clock_monotonic_ms() + spec->limit_ms;
    int r = start(&l, &p);
    if (r == 0)
        finish(&p, watch(&p), ret);
    closeP(&p.pidfd);
    closeP(&p.fd[0]);
    closeP(&p.fd[1]);
    return r;
}
