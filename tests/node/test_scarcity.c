/* SPDX-License-Identifier: Apache-2.0 */
/* What a node does when something runs out: memory, descriptors, IPv6, keys. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "node/server.h"
#include "tests/node/fixture.h"

/* ---- memory ------------------------------------------------------------- */

/* Whatever single allocation of a connect fails: it ends, with an error or
 * without, nobody else notices, and the next attempt succeeds. */
static void each_allocation(ht_encryption encryption)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", encryption, &log);
    ht_config cb = node_config("b", encryption, &log);
    ht_config cc = node_config("c", encryption, &log);
    ht_connect_opts once = {.once = true};
    struct echo echo = {0};
    unsigned failed = 0;
    ht_node *a, *b, *c;
    char buf[64];

    ca.redial_min_ms = ca.redial_max_ms = 1;
    a = node_start(&ca);
    b = node_start(&cb);
    c = node_start(&cc);
    echo_spawn(b, &echo);
    CHECK_OK(ht_client_connect(c, node_address(b, buf), NULL));
    for (long n = 1; n <= 40; n++) {
        ht_err err;

        hti_alloc_fail_after(n);
        err = ht_client_connect(a, node_address(b, buf), &once);
        hti_alloc_fail_after(0);
        failed += err != HT_OK;
        if (err != HT_OK) {
            CHECK_OK(ht_client_connect(a, node_address(b, buf), &once));
        }
        check_echo(c, "b@localhost", "unharmed", 8);
        (void)ht_disconnect(a, "b@localhost");
        WAIT_FOR(ready_peers(a) == 0 && ready_peers(b) == 1);
    }
    CHECK(failed > 0);
    ht_node_free(a);
    ht_node_free(b);
    ht_node_free(c);
    log_fini(&log);
}

static void test_no_memory_while_connecting(void **state)
{
    (void)state;
    each_allocation(HT_ENCRYPT_NONE);
    each_allocation(HT_ENCRYPT_COOKIE);
}

/* The dial itself: it says so at once instead of never. */
static void test_no_memory_to_dial(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_connect_opts once = {.once = true};
    struct hti_server *server;
    uint64_t began;
    ht_node *a;

    (void)state;
    ca.connect_timeout_ms = PATIENCE_MS * 3;
    a = node_start(&ca);
    server = hti_server_of(a);
    began = clock_ms();
    for (long n = 1; n <= 4; n++) {
        ht_err err;

        hti_alloc_fail_after(n);
        err = ht_client_connect(a, "127.0.0.1:1", &once);
        hti_alloc_fail_after(0);
        CHECK(err == HT_ENOMEM || err == HT_ENOCONN);
    }
    CHECK(clock_ms() - began < PATIENCE_MS);
    log_expect(&log, "HT-NODE-UNREACHABLE", "HT_ENOMEM");
    WAIT_FOR(atomic_load(&server->lodgers) == 0);
    ht_node_free(a);
    log_fini(&log);
}

/* ---- children, with limits of their own --------------------------------- */

/* Words between a test and its child, a byte each; 0: the other is gone. */
static char hear(int fd)
{
    char word = 0;

    (void)!read(fd, &word, 1);
    return word;
}

static void say(int fd, char word)
{
    (void)!write(fd, &word, 1);
}

static bool has_line(struct log *log, const char *a, const char *b)
{
    bool found = false;

    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->count && !found; i++) {
        found = strstr(log->lines[i], a) != NULL &&
                strstr(log->lines[i], b) != NULL;
    }
    pthread_mutex_unlock(&log->lock);
    return found;
}

/* No descriptor is free any more: those connected go on, and once there are
 * some again, so does accepting. */
static int descriptors_child(int in, int out)
{
    static struct log log = LOG_INIT;
    ht_config config = node_config("child", HT_ENCRYPT_COOKIE, &log);
    uint64_t until = clock_ms() + PATIENCE_MS;
    struct rlimit limit;
    struct echo echo = {0};
    ht_node *node = NULL;
    int port, fd;

    if (ht_node_start(&config, &node) != HT_OK) {
        return 2;
    }
    echo_spawn(node, &echo);
    port = ht_node_port(node);
    (void)!write(out, &port, sizeof(port));
    if (hear(in) != 'c') {
        return 3;
    }
    fd = dup(in);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)fd;
    close(fd);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return 4;
    }
    say(out, 'l');
    while (!has_line(&log, "HT-ACCEPT", "Too many open files")) {
        struct timespec pause = {.tv_nsec = 1000000};

        if (clock_ms() > until) {
            return 5;
        }
        nanosleep(&pause, NULL);
    }
    say(out, 'e');
    if (hear(in) != 'r') {
        return 6;
    }
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    setrlimit(RLIMIT_NOFILE, &limit);
    say(out, 'm');
    (void)hear(in);
    ht_node_free(node);
    log_fini(&log);
    return 0;
}

static int no_ipv6_child(int in, int out)
{
    static struct log log = LOG_INIT;
    /* socket(AF_INET6, ...) fails as where the kernel has none. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {
        .len = sizeof(code) / sizeof(code[0]),
        .filter = code,
    };
    ht_config config = node_config("child", HT_ENCRYPT_COOKIE, &log);
    struct echo echo = {0};
    ht_node *node = NULL;
    int port = 0;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        (void)!write(out, &port, sizeof(port));
        return 77; /* no filters here */
    }
    if (ht_node_start(&config, &node) != HT_OK) {
        return 2;
    }
    echo_spawn(node, &echo);
    port = ht_node_port(node);
    (void)!write(out, &port, sizeof(port));
    (void)hear(in);
    if (!has_line(&log, "HT-LISTEN", "0.0.0.0:")) {
        return 3;
    }
    ht_node_free(node);
    log_fini(&log);
    return 0;
}

struct child {
    pid_t pid;
    int to, from, port;
};

static void child_start(struct child *child, int (*run)(int in, int out))
{
    int down[2], up[2];

    CHECK(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
    child->pid = fork();
    CHECK(child->pid >= 0);
    if (child->pid == 0) {
        close(down[1]);
        close(up[0]);
        _exit(run(down[0], up[1]));
    }
    close(down[0]);
    close(up[1]);
    child->to = down[1];
    child->from = up[0];
    CHECK(read(child->from, &child->port, sizeof(child->port)) ==
          (ssize_t)sizeof(child->port));
}

static int child_end(struct child *child)
{
    int status = 0;

    close(child->to);
    CHECK(waitpid(child->pid, &status, 0) == child->pid);
    close(child->from);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_no_descriptors(void **state)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("honest", HT_ENCRYPT_COOKIE, &log);
    struct child child;
    char address[64];
    ht_node *honest, *late;
    int stranger;

    (void)state;
    child_start(&child, descriptors_child);
    snprintf(address, sizeof(address), "127.0.0.1:%d", child.port);
    honest = node_start(&config);
    CHECK_OK(ht_client_connect(honest, address, NULL));
    say(child.to, 'c');
    assert_int_equal(hear(child.from), 'l');
    stranger = raw_connect(child.port);
    assert_int_equal(hear(child.from), 'e');
    check_echo(honest, "child@localhost", "connected before", 16);
    say(child.to, 'r');
    assert_int_equal(hear(child.from), 'm');
    config.name = "late";
    late = node_start(&config);
    CHECK_OK(ht_client_connect(late, address, NULL));
    check_echo(late, "child@localhost", "connected after", 15);
    ht_node_free(late);
    ht_node_free(honest);
    close(stranger);
    assert_int_equal(child_end(&child), 0);
    log_fini(&log);
}

/* Whatever it is that one descriptor too few is missing for: the error says
 * which limit it was. */
static void test_start_without_descriptors(void **state)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("a", HT_ENCRYPT_COOKIE, &log);
    struct rlimit before, few;
    ht_node *node = NULL;
    ht_err err = HT_EIO;
    int first = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    CHECK(first >= 0);
    close(first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    for (unsigned more = 3; err != HT_OK; more++) {
        few.rlim_cur = (rlim_t)first + more;
        CHECK(few.rlim_cur < before.rlim_cur);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        err = ht_node_start(&config, &node);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (err != HT_OK &&
            strstr(ht_start_error(), "Too many open files") == NULL) {
            fail_msg("%u more: %s: %s", more, ht_errname(err),
                     ht_start_error());
        }
    }
    ht_node_free(node);
    log_fini(&log);
}

static void test_no_ipv6(void **state)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("a", HT_ENCRYPT_COOKIE, &log);
    struct child child;
    char address[64];
    ht_node *a;

    (void)state;
    child_start(&child, no_ipv6_child);
    if (child.port == 0) {
        assert_int_equal(child_end(&child), 77);
        skip();
    }
    snprintf(address, sizeof(address), "127.0.0.1:%d", child.port);
    a = node_start(&config);
    CHECK_OK(ht_client_connect(a, address, NULL));
    check_echo(a, "child@localhost", "four", 4);
    ht_node_free(a);
    assert_int_equal(child_end(&child), 0);
    log_fini(&log);
}

/* ---- keys --------------------------------------------------------------- */

/* A link whose keys are changed all the time carries everything, both ways. */
static void test_rekeyed_link(void **state)
{
    static uint8_t chunk[100000];
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    struct echo echo = {0};
    ht_node *a, *b;
    char buf[64];

    (void)state;
    for (size_t i = 0; i < sizeof(chunk); i++) {
        chunk[i] = (uint8_t)(i * 13);
    }
    a = node_start(&ca);
    b = node_start(&cb);
    hti_server_of(a)->rekey_bytes = 10000;
    hti_server_of(b)->rekey_bytes = 7000;
    echo_spawn(b, &echo);
    CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
    for (unsigned i = 0; i < 30; i++) {
        check_echo(a, "b@localhost", chunk, i % 3 == 0 ? sizeof(chunk) : 500);
    }
    ht_node_free(a);
    ht_node_free(b);
    log_fini(&log);
}

CHECK_MAIN(cmocka_unit_test(test_no_descriptors),
           cmocka_unit_test(test_start_without_descriptors),
           cmocka_unit_test(test_no_ipv6),
           cmocka_unit_test(test_no_memory_while_connecting),
           cmocka_unit_test(test_no_memory_to_dial),
           cmocka_unit_test(test_rekeyed_link))
