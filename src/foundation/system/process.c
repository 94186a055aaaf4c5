/* SPDX-License-Identifier: Apache-2.0 */
/* Invariant: until the leader is reaped its number, and so its group's, belongs to nobody else;
 * so its end is only looked at (WNOWAIT), and it is reaped after the last signal. */
#include "system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "system/env.h"
#include "system/file.h"

enum { TICK_MS = 20, FIRST_FD = 3, DESCRIPTORS_MAX = 65536, LAST_BYTES_MAX = 1 << 20 };

struct mt_process {
    pid_t pid;
    int output; /* we read; -1: nobody writes any more */
    void (*on_output)(void *context, struct mt_str piece);
    void *context;
    bool has_ended, is_reaped;
    struct mt_process_end end;
};

/* ------------------------------------------------------------------ in the child */

/* What stands between fork and exec; nothing here may allocate or lock. */
struct birth {
    const struct mt_process_opts *opts;
    const char *program; /* its path */
    pid_t parent;
    int input, output, report;
};

static bool set_signals(void)
{
    sigset_t none;

    for (int signal = 1; signal < NSIG; signal++) {
        const struct sigaction usual = {.sa_handler = SIG_DFL};
        (void)sigaction(signal, &usual, NULL); /* some cannot be set, and need not */
    }
    return sigemptyset(&none) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* Marked, not closed: the report has to live until the exec. */
static bool close_others(void)
{
    if (close_range(FIRST_FD, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return true;
    for (int fd = FIRST_FD; fd < DESCRIPTORS_MAX; fd++) /* a kernel before 5.11 */
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

static bool set_limit(int what, int64_t bytes)
{
    const struct rlimit limit = {(rlim_t)bytes, (rlim_t)bytes};

    return bytes == 0 || setrlimit((__rlimit_resource_t)what, &limit) == 0;
}

static bool prepare(const struct birth *birth)
{
    const struct rlimit no_core = {0, 0};

    return setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
           dup2(birth->input, STDIN_FILENO) >= 0 && dup2(birth->output, STDOUT_FILENO) >= 0 &&
           dup2(birth->output, STDERR_FILENO) >= 0 && close_others() &&
           chdir(birth->opts->folder) == 0 && set_signals() &&
           setrlimit(RLIMIT_CORE, &no_core) == 0 &&
           set_limit(RLIMIT_FSIZE, birth->opts->file_bytes_max) &&
           set_limit(RLIMIT_AS, birth->opts->memory_bytes_max);
}

static _Noreturn void be_born(const struct birth *birth)
{
    int failure;

    if (prepare(birth) && getppid() == birth->parent) /* else it died before the prctl */
        (void)execve(birth->program, (char *const *)(uintptr_t)birth->opts->argv,
                     (char *const *)(uintptr_t)birth->opts->environment);
    failure = errno;
    (void)!write(birth->report, &failure, sizeof failure);
    _exit(127);
}

/* ------------------------------------------------------------------ starting */

struct ends { /* of a pipe */
    int read, write;
};

static void ends_fini(struct ends *ends)
{
    mt_fd_closep(&ends->read);
    mt_fd_closep(&ends->write);
}

/* Above the standard three, which the child puts in place itself. */
static bool lift(int *fd)
{
    int lifted = *fd < FIRST_FD ? fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FD) : *fd;

    if (lifted != *fd)
        mt_fd_closep(fd);
    *fd = lifted;
    return lifted >= 0;
}

static mt_rc open_pipe(struct ends *out, struct mt_err *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "pipe");
    *out = (struct ends){fds[0], fds[1]};
    if (!lift(&out->read) || !lift(&out->write))
        return MT_FAIL_SYS(err, MT_E_IO, errno, "pipe");
    return MT_OK;
}

static struct mt_str path_of(const char *const *environment)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0)
            return mt_str_of(*environment + 5);
    }
    return (struct mt_str){0};
}

/* Found before the fork, where looking is allowed. */
static mt_rc find_program(const struct mt_process_opts *opts, char out[PATH_MAX],
                          struct mt_err *err)
{
    const char *name = opts->argv[0];
    struct mt_str path = path_of(opts->environment);
    bool is_path = strchr(name, '/') != NULL; /* relative ones begin in the child's folder */

    if (is_path && strlen(name) < PATH_MAX) {
        (void)snprintf(out, PATH_MAX, "%s", name);
        return MT_OK;
    }
    while (!is_path && path.len > 0) {
        struct mt_str folder = mt_str_take(&path, ':');
        int n = snprintf(out, PATH_MAX, "%.*s/%s", MT_STR_ARG(folder), name);
        bool is_whole = folder.len > 0 && folder.at[0] == '/' && n > 0 && n < PATH_MAX;
        if (is_whole && access(out, X_OK) == 0)
            return MT_OK;
    }
    return MT_FAIL(err, MT_E_NOTFOUND, "program '%s': not found in PATH", name);
}

/* No handler of ours may run in the child: all signals wait until it has set its own. */
static pid_t fork_quietly(const struct birth *birth)
{
    sigset_t all, old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0)
        be_born(birth);
    int keep = errno;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = keep;
    return pid;
}

/* The report ends without a word when the exec closed it. */
static int read_report(int fd)
{
    int failure = 0;
    ssize_t n;

    do
        n = read(fd, &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof failure ? failure : 0;
}

static mt_rc spawn(struct mt_process *process, const struct mt_process_opts *opts,
                   struct mt_err *err)
{
    char program[PATH_MAX];
    MT_CLEANUP(ends_fini) struct ends output = {-1, -1};
    MT_CLEANUP(ends_fini) struct ends report = {-1, -1};
    MT_CLEANUP(mt_fd_closep) int input = open("/dev/null", O_RDONLY | O_CLOEXEC);

    MT_TRY(find_program(opts, program, err));
    MT_TRY(open_pipe(&output, err));
    MT_TRY(open_pipe(&report, err));
    if (input < 0 || !lift(&input) || fcntl(output.read, F_SETFL, O_NONBLOCK) != 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "program '%s'", opts->argv[0]);
    const struct birth birth = {opts, program, getpid(), input, output.write, report.write};
    process->pid = fork_quietly(&birth);
    if (process->pid < 0)
        return MT_FAIL_SYS(err, MT_E_IO, errno, "program '%s'", opts->argv[0]);
    mt_fd_closep(&report.write);
    int failure = read_report(report.read);
    if (failure != 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(failure), failure, "program '%s'",
                           opts->argv[0]);
    process->output = output.read;
    output.read = -1;
    return MT_OK;
}

mt_rc mt_process_start(const struct mt_process_opts *opts, struct mt_process **out,
                       struct mt_err *err)
{
    MT_CLEANUP(mt_process_freep) struct mt_process *process = mt_alloc(1, sizeof *process);

    MT_ASSERT(opts->argv[0] != NULL && opts->environment != NULL);
    if (process == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "program '%s'", opts->argv[0]);
    process->output = -1;
    process->on_output = opts->on_output;
    process->context = opts->context;
    MT_TRY(spawn(process, opts, err));
    *out = MT_MOVE(process);
    return MT_OK;
}

/* ------------------------------------------------------------------ while it runs */

/* @return may more come at once? */
static bool take_piece(struct mt_process *process)
{
    char piece[16 * 1024];
    ssize_t n = process->output < 0 ? 0 : read(process->output, piece, sizeof piece);

    if (n > 0 && process->on_output != NULL)
        process->on_output(process->context, (struct mt_str){piece, (size_t)n});
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        mt_fd_closep(&process->output);
    return n > 0 || (n < 0 && errno == EINTR);
}

/* It may have closed its output and go on: then this only waits. */
static void wait_for_output(struct mt_process *process, int timeout_ms)
{
    struct pollfd watch = {.fd = process->output, .events = POLLIN};

    if (poll(&watch, 1, timeout_ms) > 0)
        (void)take_piece(process);
}

static bool look_whether_ended(struct mt_process *process)
{
    siginfo_t info = {0};

    if (!process->has_ended) {
        int rc = waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT);
        process->has_ended = rc == 0 ? info.si_pid == process->pid : errno == ECHILD;
    }
    return process->has_ended;
}

bool mt_process_wait(struct mt_process *process, int64_t timeout_ms)
{
    int64_t until_ns = mt_env_now_mono_ns(mt_env_real()) + timeout_ms * 1000000;

    while (!look_whether_ended(process)) {
        int64_t left_ms = (until_ns - mt_env_now_mono_ns(mt_env_real())) / 1000000;

        if (left_ms <= 0)
            return false;
        wait_for_output(process, left_ms < TICK_MS ? (int)left_ms : TICK_MS);
    }
    return true;
}

void mt_process_signal(struct mt_process *process, int signal)
{
    if (process->pid > 0 && !process->is_reaped)
        (void)kill(-process->pid, signal);
}

/* ------------------------------------------------------------------ its end */

static int64_t ms_of(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000 + time->tv_usec / 1000;
}

/* Blocks until it has ended. */
static void reap(struct mt_process *process)
{
    struct rusage used = {0};
    int status = 0;
    pid_t got;

    do
        got = wait4(process->pid, &status, 0, &used);
    while (got < 0 && errno == EINTR);
    process->is_reaped = true;
    process->end = (struct mt_process_end){
        .exit_status = got > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signal = got > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .cpu_ms = ms_of(&used.ru_utime) + ms_of(&used.ru_stime),
    };
}

struct mt_process_end mt_process_reap(struct mt_process *process)
{
    MT_ASSERT(process->has_ended);
    if (process->is_reaped)
        return process->end;
    mt_process_signal(process, SIGKILL);
    /* Bounded: one that left the group may write on for ever. */
    for (size_t i = 0; i < LAST_BYTES_MAX / 4096 && take_piece(process); i++)
        ;
    mt_fd_closep(&process->output);
    reap(process);
    return process->end;
}

void mt_process_free(struct mt_process *process)
{
    if (process == NULL)
        return;
    mt_process_signal(process, SIGKILL);
    mt_fd_closep(&process->output);
    if (process->pid > 0 && !process->is_reaped)
        reap(process);
    mt_free(process);
}

void mt_process_freep(struct mt_process **process)
{
    mt_process_free(*process);
    *process = NULL;
}
