/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define LOOK_AGAIN_MS 20
#define ARGUMENTS_MAX 40

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

bool demo_interrupted(void)
{
    return interrupted != 0;
}

double demo_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void demo_heading(const char *text)
{
    printf("\n%s\n", text);
    (void)fflush(stdout);
}

bool demo_check(struct demo *demo, bool ok, const char *format, ...)
{
    va_list args;

    fputs(ok ? "  ok      " : "  FAILED  ", stdout);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    putchar('\n');
    (void)fflush(stdout);
    demo->passed += ok;
    demo->failed += !ok;
    return ok;
}

static void pause_a_little(void)
{
    const struct timespec t = {0, LOOK_AGAIN_MS * 1000000L};

    (void)nanosleep(&t, NULL);
}

bool demo_wait(struct demo *demo,
               bool (*fn)(struct demo *demo, void *arg),
               void *arg)
{
    double end = demo_now_ms() + DEMO_WAIT_MS;

    for (;;) {
        if (fn(demo, arg)) {
            return true;
        }
        if (demo_interrupted() || demo_now_ms() > end) {
            return false;
        }
        pause_a_little();
    }
}

/* ---- the directory ------------------------------------------------------- */

int demo_find_plugin(struct demo *demo, const char *plugin)
{
    static const char *const places[] = {
        "../examples/calculator/calculator_plugin.so",
        "../lib/hardtack/calculator_plugin.so",
        "../lib/x86_64-linux-gnu/hardtack/calculator_plugin.so",
    };
    char base[sizeof(demo->program)];
    char *slash;

    if (plugin != NULL) {
        if (access(plugin, R_OK) != 0) {
            return cli_fail("cannot read the plugin %s: %s", plugin,
                            strerror(errno));
        }
        snprintf(demo->plugin, sizeof(demo->plugin), "%s", plugin);
        return EXIT_OK;
    }
    memcpy(base, demo->program, sizeof(base));
    slash = strrchr(base, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(demo->plugin, sizeof(demo->plugin), "%s/%s", base, places[i]);
        if (access(demo->plugin, R_OK) == 0) {
            return EXIT_OK;
        }
    }
    return cli_fail("the demo's actors, calculator_plugin.so, are not found "
                    "beside %s; --plugin PATH names them",
                    demo->program);
}

int demo_init(struct demo *demo)
{
    struct sigaction action = {.sa_handler = on_signal};
    ssize_t n;

    memset(demo, 0, sizeof(*demo));
    n = readlink("/proc/self/exe", demo->program, sizeof(demo->program) - 1);
    if (n <= 0) {
        return cli_fail("cannot tell where this program is: %s",
                        strerror(errno));
    }
    demo->program[n] = '\0';
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    /* Short, since a Unix socket's path holds 107 characters. */
    snprintf(demo->directory, sizeof(demo->directory),
             "/tmp/hardtack-demo-XXXXXX");
    if (mkdtemp(demo->directory) == NULL) {
        int saved = errno;
        demo->directory[0] = '\0';
        return cli_fail("cannot make a directory in /tmp: %s", strerror(saved));
    }
    return EXIT_OK;
}

static int remove_entry(const char *path,
                        const struct stat *status,
                        int type,
                        struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

void demo_fini(struct demo *demo)
{
    for (size_t i = 0; i < DEMO_NODES; i++) {
        if (demo->nodes[i].connected) {
            client_close(&demo->nodes[i].client);
            demo->nodes[i].connected = false;
        }
        if (demo->nodes[i].pid > 0) {
            (void)demo_kill(demo, i);
        }
    }
    if (demo->directory[0] != '\0') {
        (void)nftw(demo->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
}

/* Its end: what went wrong is there, and a node that dials in vain writes much.
 */
void demo_show_log(const struct demo *demo, size_t i)
{
    enum { LINES_MAX = 20 };
    char path[160];
    char line[1024];
    size_t skip = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.log", demo->directory,
             demo->nodes[i].name);
    file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        skip++;
    }
    skip = skip > LINES_MAX ? skip - LINES_MAX : 0;
    rewind(file);
    fprintf(stderr, "---- log of %s%s\n", demo->nodes[i].name,
            skip > 0 ? ", the end of it" : "");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (skip > 0) {
            skip--;
        } else {
            fputs(line, stderr);
        }
    }
    (void)fclose(file);
}

/* ---- processes ----------------------------------------------------------- */

/* In the child, between fork and exec: nothing that could wait for a lock. */
static void become(const char *program,
                   char *const *arguments,
                   const char *log,
                   int keep_fd,
                   pid_t parent)
{
    int fd;
    int flags;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127);
    }
    if (log != NULL) {
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0) {
            (void)dup2(fd, STDERR_FILENO);
        }
    }
    if (keep_fd >= 0) {
        flags = fcntl(keep_fd, F_GETFD);
        (void)fcntl(keep_fd, F_SETFD, flags & ~FD_CLOEXEC);
    }
    execv(program, arguments);
    _exit(127);
}

static pid_t spawn(struct demo *demo,
                   const char *const *arguments,
                   const char *log,
                   int keep_fd)
{
    const char *argv[ARGUMENTS_MAX + 2] = {"hardtack"};
    pid_t parent = getpid();
    pid_t pid;
    size_t n = 0;

    while (n < ARGUMENTS_MAX && arguments[n] != NULL) {
        argv[n + 1] = arguments[n];
        n++;
    }
    argv[n + 1] = NULL;
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        /* execv() does not write to them; its type says otherwise. */
        become(demo->program, (char *const *)(uintptr_t)argv, log, keep_fd,
               parent);
    }
    if (pid < 0) {
        (void)cli_fail("cannot start a process: %s", strerror(errno));
    }
    return pid;
}

/* Reap pid within limit_ms; -1: it did not end. */
static int wait_for(pid_t pid, double limit_ms)
{
    double end = demo_now_ms() + limit_ms;
    int status = 0;

    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);

        if (got == pid) {
            return status;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (demo_now_ms() > end) {
            return -1;
        }
        pause_a_little();
    }
}

int demo_run(struct demo *demo, const char *const *arguments)
{
    pid_t pid = spawn(demo, arguments, NULL, -1);
    int status;

    if (pid < 0) {
        return EXIT_FAILED;
    }
    status = wait_for(pid, DEMO_WAIT_MS);
    return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* The line that --ready-fd brings; false at its end or after too long. */
static bool read_ready(int fd, int *ret_port)
{
    double end = demo_now_ms() + DEMO_WAIT_MS;
    char line[512];
    size_t len = 0;
    const char *port;

    while (len + 1 < sizeof(line)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        double left = end - demo_now_ms();
        ssize_t n;

        if (demo_interrupted() || left <= 0 ||
            poll(&poll_fd, 1, (int)left) <= 0) {
            return false;
        }
        n = read(fd, line + len, sizeof(line) - 1 - len);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        line[len] = '\0';
        if (strchr(line, '\n') != NULL) {
            break;
        }
    }
    port = strstr(line, " port=");
    if (port == NULL) {
        return false;
    }
    *ret_port = (int)strtol(port + 6, NULL, 10);
    return true;
}

static int open_client(struct demo_node *node)
{
    struct client_opts opts = {.node = node->socket, .timeout_ms = 5000};
    int code = client_open(&opts, &node->client);

    node->connected = code == EXIT_OK;
    return code;
}

int demo_start(struct demo *demo, size_t i, int port, unsigned connect)
{
    struct demo_node *node = &demo->nodes[i];
    char port_text[16] = "any";
    char ready_text[16];
    char log[160];
    char cookie[160];
    char path[120];
    char directory[sizeof(demo->directory)];
    char peers[DEMO_NODES][64];
    const char *argv[ARGUMENTS_MAX];
    size_t n = 0;
    int fds[2];
    bool ready;

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return cli_fail("cannot make a pipe: %s", strerror(errno));
    }
    if (port != 0) {
        snprintf(port_text, sizeof(port_text), "%d", port);
    }
    snprintf(ready_text, sizeof(ready_text), "%d", fds[1]);
    memcpy(directory, demo->directory, sizeof(directory));
    snprintf(log, sizeof(log), "%s/%s.log", directory, node->name);
    snprintf(cookie, sizeof(cookie), "%s/cookie", directory);
    snprintf(path, sizeof(path), "%s/%s.sock", directory, node->name);
    snprintf(node->socket, sizeof(node->socket), "unix:%s", path);
    argv[n++] = "start";
    argv[n++] = "--no-config";
    argv[n++] = "--name";
    argv[n++] = node->name;
    argv[n++] = "--hostname";
    argv[n++] = "demo";
    argv[n++] = "--port";
    argv[n++] = port_text;
    argv[n++] = "--cookie-file";
    argv[n++] = cookie;
    argv[n++] = "--socket";
    argv[n++] = path;
    argv[n++] = "--redial-max";
    argv[n++] = "500ms";
    if (demo->plugin[0] != '\0') {
        argv[n++] = "--load";
        argv[n++] = demo->plugin;
    }
    argv[n++] = "--ready-fd";
    argv[n++] = ready_text;
    for (size_t m = 0; node->more != NULL && node->more[m] != NULL; m++) {
        argv[n++] = node->more[m];
    }
    for (size_t p = 0; p < DEMO_NODES; p++) {
        if ((connect & (1u << p)) != 0) {
            snprintf(peers[p], sizeof(peers[p]), "127.0.0.1:%d",
                     demo->nodes[p].port);
            argv[n++] = "--connect";
            argv[n++] = peers[p];
        }
    }
    argv[n] = NULL;
    node->pid = spawn(demo, argv, log, fds[1]);
    (void)close(fds[1]);
    ready = node->pid > 0 && read_ready(fds[0], &node->port);
    (void)close(fds[0]);
    if (!ready) {
        demo_show_log(demo, i);
        return cli_fail("%s did not become ready", node->name);
    }
    return open_client(node);
}

int demo_kill(struct demo *demo, size_t i)
{
    struct demo_node *node = &demo->nodes[i];
    int status;

    if (node->connected) {
        client_close(&node->client);
        node->connected = false;
    }
    (void)kill(node->pid, SIGKILL);
    do {
        status = waitpid(node->pid, NULL, 0);
    } while (status < 0 && errno == EINTR);
    node->pid = 0;
    return status > 0 ? EXIT_OK : EXIT_FAILED;
}

int demo_stop(struct demo *demo, size_t i)
{
    struct demo_node *node = &demo->nodes[i];
    int status;

    if (node->connected) {
        client_close(&node->client);
        node->connected = false;
    }
    (void)kill(node->pid, SIGTERM);
    status = wait_for(node->pid, DEMO_WAIT_MS);
    if (status < 0) {
        return EXIT_FAILED; /* demo_fini() kills it */
    }
    node->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        demo_show_log(demo, i);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
