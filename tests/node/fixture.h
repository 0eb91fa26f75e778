/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - nodes on loopback for the tests of node/: starting them, their
 * log lines, an echo actor, raw sockets, temporary files. */
#ifndef TESTS_NODE_FIXTURE_H
#define TESTS_NODE_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"

#define COOKIE                                                                 \
    "8f6d7e4fbb8f1b0ad8c1a3f3a2c54d8e6f1b2a3c4d5e6f708192a3b4c5d6e7f8"
#define OTHER_COOKIE                                                           \
    "1111222233334444555566667777888899990000aaaabbbbccccddddeeeeffff0"

/* How long anything may take before a test fails. */
#define PATIENCE_MS 20000

static inline uint64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* ---- log lines ---------------------------------------------------------- */

#define LOG_LINES_MAX 4096

struct log {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    size_t count;
    char *lines[LOG_LINES_MAX];
};

#define LOG_INIT                                                               \
    {                                                                          \
        .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER    \
    }

static inline void
log_line(ht_log_level level, const char *id, const char *text, void *arg)
{
    struct log *log = arg;
    char *line = NULL;

    (void)level;
    if (getenv("TEST_LOG") != NULL) {
        fprintf(stderr, "%s %s\n", id, text);
    }
    pthread_mutex_lock(&log->lock);
    if (log->count < LOG_LINES_MAX && asprintf(&line, "%s %s", id, text) > 0) {
        log->lines[log->count++] = line;
    }
    pthread_cond_broadcast(&log->cond);
    pthread_mutex_unlock(&log->lock);
}

/* Wait for a line that holds both texts. */
static inline void log_expect(struct log *log, const char *a, const char *b)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    size_t at = 0;
    bool found = false;

    pthread_mutex_lock(&log->lock);
    while (!found) {
        for (; at < log->count && !found; at++) {
            found = strstr(log->lines[at], a) != NULL &&
                    strstr(log->lines[at], b) != NULL;
        }
        if (!found) {
            struct timespec ts;

            if (clock_ms() > until) {
                for (at = 0; at < log->count; at++) {
                    print_error("  log: %s\n", log->lines[at]);
                }
                print_error("no line with \"%s\" and \"%s\"\n", a, b);
                pthread_mutex_unlock(&log->lock);
                fail();
                return;
            }
            clock_gettime(CLOCK_REALTIME, &ts);
            ts.tv_sec += 1;
            pthread_cond_timedwait(&log->cond, &log->lock, &ts);
        }
    }
    pthread_mutex_unlock(&log->lock);
}

static inline void log_fini(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->lines[i]);
    }
    log->count = 0;
}

/* ---- nodes -------------------------------------------------------------- */

static inline ht_config
node_config(const char *name, ht_encryption encryption, struct log *log)
{
    return (ht_config){
        .name = name,
        .hostname = "localhost",
        .port = HT_PORT_ANY,
        .cookie = COOKIE,
        .fast_kdf = true,
        .encryption = encryption,
        .threads = 2,
        .log = log_line,
        .log_arg = log,
        .log_level = HT_LOG_DEBUG,
    };
}

static inline ht_node *node_start(const ht_config *config)
{
    ht_node *node = NULL;
    ht_err err = ht_node_start(config, &node);

    if (err != HT_OK) {
        print_error("start: %s\n", ht_start_error());
    }
    CHECK_OK(err);
    return node;
}

static inline const char *node_address(ht_node *node, char buf[64])
{
    snprintf(buf, 64, "127.0.0.1:%d", ht_node_port(node));
    return buf;
}

/* Wait until is(arg) holds; for conditions that nothing can be told of. */
#define WAIT_FOR(condition)                                                    \
    do {                                                                       \
        uint64_t until_ = clock_ms() + PATIENCE_MS;                            \
        while (!(condition)) {                                                 \
            struct timespec pause_ = {.tv_nsec = 200000};                      \
            if (clock_ms() > until_) {                                         \
                print_error("never: %s\n", #condition);                        \
                fail();                                                        \
            }                                                                  \
            nanosleep(&pause_, NULL);                                          \
        }                                                                      \
    } while (0)

static inline void count_ready(const ht_peer_info *info, void *arg)
{
    if (strcmp(info->state, "ready") == 0) {
        (*(unsigned *)arg)++;
    }
}

static inline unsigned ready_peers(ht_node *node)
{
    unsigned count = 0;

    ht_peer_each(node, count_ready, &count);
    return count;
}

/* ---- an actor that answers ---------------------------------------------- */

struct echo {
    _Atomic unsigned long casts;
    _Atomic unsigned long bytes;
    _Atomic unsigned terminated;
};

static inline ht_err echo_init(ht_actor *self, void *arg)
{
    ht_set_state(self, arg);
    return HT_OK;
}

static inline ht_err
echo_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct echo *echo = ht_state(self);
    ht_bytes args = ht_msg_args(msg);

    if (call.id == 0) {
        atomic_fetch_add(&echo->casts, 1);
        atomic_fetch_add(&echo->bytes, args.len);
        return HT_OK;
    }
    if (strcmp(ht_msg_variant(msg), "Never") == 0) {
        return HT_OK; /* answered by nobody */
    }
    (void)ht_reply_ok(self, call, args.data, args.len);
    return HT_OK;
}

static inline void echo_terminate(ht_actor *self, const ht_exit *why)
{
    struct echo *echo = ht_state(self);

    (void)why;
    atomic_fetch_add(&echo->terminated, 1);
}

static const ht_behavior echo_behavior = {
    .init = echo_init,
    .handle = echo_handle,
    .terminate = echo_terminate,
};

static inline ht_ref echo_spawn(ht_node *node, struct echo *echo)
{
    ht_spawn_opts opts = {
        .name = "echo",
        .mailbox_messages_max = 1u << 20,
        .mailbox_bytes_max = 1u << 30,
    };
    ht_ref ref = {0};

    CHECK_OK(ht_spawn(node, &echo_behavior, echo, &opts, &ref));
    return ref;
}

static inline void
check_echo(ht_node *from, const char *node_name, const void *data, size_t len)
{
    ht_reply reply;
    ht_err err = ht_call_name_wait(from, node_name, "echo", "Echo", data, len,
                                   PATIENCE_MS, &reply);

    if (err != HT_OK) {
        print_error("echo from %s: %s (%s)\n",
                    node_name == NULL ? "here" : node_name, ht_errname(err),
                    reply.reason);
    }
    CHECK_OK(err);
    assert_int_equal(reply.len, len);
    if (len > 0) {
        assert_memory_equal(reply.data, data, len);
    }
    ht_reply_fini(&reply);
}

/* ---- raw sockets -------------------------------------------------------- */

static inline int raw_connect(int port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    return fd;
}

/* A listening socket of ours; *ret_port is its port. */
static inline int raw_listen(int *ret_port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static inline void raw_send(int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

/* Wait until the other side has closed; what it sent first is thrown away. */
static inline void raw_expect_end(int fd)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    char buf[4096];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        CHECK(clock_ms() < until);
        if (poll(&p, 1, 1000) <= 0) {
            continue;
        }
        n = read(fd, buf, sizeof(buf));
        if (n <= 0) {
            break;
        }
    }
}

/* ---- files -------------------------------------------------------------- */

static inline char *temp_dir(void)
{
    char path[] = "/tmp/hardtack-test-XXXXXX";

    CHECK(mkdtemp(path) != NULL);
    return strdup(path);
}

static inline char *temp_path(const char *dir, const char *name)
{
    char *path = NULL;

    CHECK(asprintf(&path, "%s/%s", dir, name) > 0);
    return path;
}

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    CHECK(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    CHECK(fchmod(fd, mode) == 0);
    close(fd);
}

#endif /* TESTS_NODE_FIXTURE_H */
