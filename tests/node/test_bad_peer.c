/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers and broken peers can do to a port, while an honest session
 * goes on working beside them. */
#include <sys/resource.h>

#include "tests/node/fixture.h"

/* A node that is attacked, and an honest peer of it. */
struct scene {
    struct log log;
    ht_node *node, *honest;
    struct echo echo;
};

static void
scene_start(struct scene *s, ht_encryption encryption, uint32_t handshake_ms)
{
    ht_config cn = node_config("node", encryption, &s->log);
    ht_config ch = node_config("honest", encryption, &s->log);
    char buf[64];

    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->log.lock, NULL);
    pthread_cond_init(&s->log.cond, NULL);
    cn.handshake_timeout_ms = handshake_ms;
    s->node = node_start(&cn);
    s->honest = node_start(&ch);
    echo_spawn(s->node, &s->echo);
    CHECK_OK(ht_client_connect(s->honest, node_address(s->node, buf), NULL));
}

static void scene_end(struct scene *s)
{
    check_echo(s->honest, "node@localhost", "still here", 10);
    assert_int_equal(ready_peers(s->node), 1);
    ht_node_free(s->honest);
    ht_node_free(s->node);
    log_fini(&s->log);
}

/* Send this to the port, and see the connection closed and why. */
static void attack(struct scene *s,
                   const void *data,
                   size_t len,
                   const char *id,
                   const char *why)
{
    int fd = raw_connect(ht_node_port(s->node));

    if (len > 0) {
        raw_send(fd, data, len);
    }
    raw_expect_end(fd);
    close(fd);
    log_expect(&s->log, id, why);
}

static void test_garbage(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 0);
    attack(&s, "GET / HTTP/1.1\r\n\r\n", 18, "HT-CONN-REFUSED",
           "neither TLS nor our protocol");
    attack(&s, "\0\0\0\0\0\0\0\3\xff\xff\xff", 11, "HT-NODE-REFUSED",
           "not a NetworkMessage");
    scene_end(&s);
}

/* A Name as a ractor node says it: without our fields. */
static void test_ractor_peer_is_refused(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 0);
    attack(&s,
           "\0\0\0\0\0\0\0\x0e"
           "\x0a\x0c\x0a\x0a\x0a\x03r@x\x1a\x03x:1",
           22, "HT-NODE-REFUSED", "is a plain ractor node");
    scene_end(&s);
}

/* Valid messages that nobody may begin with, and a name that is no text. */
static void test_wrong_state(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 0);
    /* ServerStatus; an empty ControlMessage. */
    attack(&s, "\0\0\0\0\0\0\0\6\x0a\4\x12\2\x08\1", 14, "HT-NODE-REFUSED",
           "HT_EPROTO");
    attack(&s, "\0\0\0\0\0\0\0\2\x1a\0", 10, "HT-NODE-REFUSED", "HT_EPROTO");
    attack(&s,
           "\0\0\0\0\0\0\0\x0e"
           "\x0a\x0c\x0a\x0a\x0a\x03r\xff@\x1a\x03x:1",
           22, "HT-NODE-REFUSED", "HT_EPROTO");
    scene_end(&s);
}

static void test_frame_over_the_limit(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 0);
    /* 1 TiB; and one byte more than a stranger may send. */
    attack(&s, "\0\0\1\0\0\0\0\0", 8, "HT-NODE-REFUSED", "HT_ETOOBIG");
    attack(&s, "\0\0\0\0\0\0\x10\1", 8, "HT-NODE-REFUSED", "4097");
    scene_end(&s);
}

static void test_half_a_frame(void **state)
{
    struct scene s;
    int fd;

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 0);
    fd = raw_connect(ht_node_port(s.node));
    raw_send(fd, "\0\0\0\0\0\0\0\x10half", 12);
    shutdown(fd, SHUT_WR);
    raw_expect_end(fd);
    close(fd);
    log_expect(&s.log, "HT-NODE-REFUSED", "");
    scene_end(&s);
}

static void test_silent_peer(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 100);
    attack(&s, "", 0, "HT-CONN-REFUSED", "peer sent nothing");
    attack(&s, "\0\0\0\0\0\0\0\x10half", 12, "HT-NODE-REFUSED", "HT_ETIMEDOUT");
    scene_end(&s);
}

static void test_silent_in_tls(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_COOKIE, 100);
    attack(&s, "", 0, "HT-CONN-REFUSED", "peer sent nothing");
    attack(&s, "\x16\3\1\2\0\1", 6, "HT-CONN-REFUSED",
           "TLS handshake took too long");
    /* A record that is no ClientHello. */
    attack(&s, "\x16\3\1\0\5zzzzz", 10, "HT-CONN-REFUSED", "HT_ETLS");
    scene_end(&s);
}

static void test_plaintext_to_tls_port(void **state)
{
    struct scene s;
    ht_config config;
    ht_node *other;
    char buf[64];

    (void)state;
    scene_start(&s, HT_ENCRYPT_COOKIE, 0);
    config = node_config("other", HT_ENCRYPT_NONE, &s.log);
    other = node_start(&config);
    CHECK(ht_client_connect(other, node_address(s.node, buf), NULL) != HT_OK);
    log_expect(&s.log, "HT-CONN-REFUSED", "plaintext on a port");
    ht_node_free(other);
    scene_end(&s);
}

static void test_tls_to_plaintext_port(void **state)
{
    struct scene s;
    ht_config config;
    ht_node *other;
    char buf[64];

    (void)state;
    scene_start(&s, HT_ENCRYPT_NONE, 0);
    config = node_config("other", HT_ENCRYPT_COOKIE, &s.log);
    other = node_start(&config);
    CHECK_ERR(ht_client_connect(other, node_address(s.node, buf), NULL),
              HT_ETLS);
    log_expect(&s.log, "HT-CONN-REFUSED", "TLS on a port");
    log_expect(&s.log, "HT-NODE-UNREACHABLE", "takes no TLS");
    ht_node_free(other);
    scene_end(&s);
}

struct answer {
    int listen_fd;
    const char *data;
    size_t len;
};

static void *answer_main(void *arg)
{
    struct answer *answer = arg;
    int fd = accept(answer->listen_fd, NULL, NULL);

    if (fd >= 0) {
        char buf[1024];

        (void)!read(fd, buf, sizeof(buf));
        (void)send(fd, answer->data, answer->len, MSG_NOSIGNAL);
        (void)!read(fd, buf, sizeof(buf));
        close(fd);
    }
    return NULL;
}

/* What we dial answers our ClientHello with something else. */
static void dial_impostor(ht_node *node, const char *data, size_t len)
{
    struct answer answer = {.data = data, .len = len};
    ht_connect_opts once = {.once = true};
    pthread_t thread;
    char address[64];
    int port;

    answer.listen_fd = raw_listen(&port);
    pthread_create(&thread, NULL, answer_main, &answer);
    snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    CHECK_ERR(ht_client_connect(node, address, &once), HT_ETLS);
    pthread_join(thread, NULL);
    close(answer.listen_fd);
}

static void test_dialled_port_is_not_tls(void **state)
{
    struct log log = LOG_INIT;
    ht_config config = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_node *a = node_start(&config);

    (void)state;
    dial_impostor(a, "\0\0\0\0\0\0\0\0", 8);
    log_expect(&log, "HT-NODE-UNREACHABLE", "plaintext, not TLS");
    dial_impostor(a, "220 smtp ready\r\n", 16);
    log_expect(&log, "HT-NODE-UNREACHABLE", "neither TLS nor our protocol");
    ht_node_free(a);
    log_fini(&log);
}

/* The oldest are closed, and the honest get in between them. */
/* Whether we may have so many descriptors: a user's soft limit is often 1024.
 */
static bool descriptors_allowed(rlim_t count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < count) {
        return false;
    }
    if (limit.rlim_cur < count) {
        limit.rlim_cur = count;
    }
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void test_thousand_strangers(void **state)
{
    enum { STRANGERS = 1000 };
    static int fds[STRANGERS];
    struct scene s;
    ht_config config;
    ht_strangers strangers;
    ht_node *late;
    unsigned open = 0;
    char buf[64];

    (void)state;
    if (!descriptors_allowed(2 * STRANGERS + 100)) {
        print_message("skipped: 2100 descriptors are needed; ulimit -Hn says "
                      "how many there are\n");
        skip();
    }
    scene_start(&s, HT_ENCRYPT_COOKIE, 0);
    for (unsigned i = 0; i < STRANGERS; i++) {
        fds[i] = raw_connect(ht_node_port(s.node));
        if (i % 100 == 50) {
            check_echo(s.honest, "node@localhost", "x", 1);
        }
    }
    config = node_config("late", HT_ENCRYPT_COOKIE, &s.log);
    late = node_start(&config);
    CHECK_OK(ht_client_connect(late, node_address(s.node, buf), NULL));
    check_echo(late, "node@localhost", "y", 1);
    /* All but the last few, which may wait until they are timed out. */
    for (unsigned i = 0; i < STRANGERS - 8; i++) {
        raw_expect_end(fds[i]);
    }
    for (unsigned i = STRANGERS - 8; i < STRANGERS; i++) {
        char byte;

        open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }
    CHECK(open <= 8);
    log_expect(&s.log, "HT-CONN-REFUSED", "too many wait");
    ht_node_strangers(s.node, &strangers);
    CHECK(strangers.evicted >= STRANGERS - 8 && strangers.waiting <= 8);
    for (unsigned i = 0; i < STRANGERS; i++) {
        close(fds[i]);
    }
    ht_node_free(late);
    WAIT_FOR(ready_peers(s.node) == 1);
    scene_end(&s);
}

/* An address that fails again and again is shut out for a while; a session that
 * it has is not. */
static void test_guesser_is_barred(void **state)
{
    ht_strangers strangers;
    struct scene s;

    (void)state;
    scene_start(&s, HT_ENCRYPT_COOKIE, 0);
    for (unsigned i = 0; i < 40; i++) {
        ht_config config = node_config("guesser", HT_ENCRYPT_COOKIE, &s.log);
        ht_connect_opts once = {.once = true};
        ht_node *guesser;
        char buf[64];

        config.cookie = OTHER_COOKIE;
        guesser = node_start(&config);
        CHECK(ht_client_connect(guesser, node_address(s.node, buf), &once) !=
              HT_OK);
        ht_node_free(guesser);
    }
    log_expect(&s.log, "HT-ACCEPT-BARRED", "too often");
    ht_node_strangers(s.node, &strangers);
    CHECK(strangers.barred >= 1);
    scene_end(&s);
}

/* A peer that is alive in its kernel only: what we send it fills its socket and
 * our outbox, and then senders are refused; others do not notice.  When it
 * reads again, everything arrives. */
static void test_peer_that_stops_reading(void **state)
{
    static uint8_t chunk[16384];
    struct log log = LOG_INIT;
    ht_config cs = node_config("stuck", HT_ENCRYPT_NONE, &log);
    ht_config ca = node_config("a", HT_ENCRYPT_NONE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_NONE, &log);
    struct echo stuck_echo = {0}, echo = {0};
    unsigned long sent = 0;
    ht_node *stuck, *a, *b;
    ht_err err = HT_OK;
    char buf[64];

    (void)state;
    cs.single_threaded = true;
    cs.silence_ms = ca.silence_ms = cb.silence_ms = 60000;
    ca.outbox_bytes_max = 256 * 1024;
    stuck = node_start(&cs);
    a = node_start(&ca);
    b = node_start(&cb);
    echo_spawn(stuck, &stuck_echo);
    echo_spawn(b, &echo);
    CHECK_OK(ht_client_connect(stuck, node_address(a, buf), NULL));
    WAIT_FOR(ready_peers(a) == 1 || ht_node_poll(stuck, 0) != HT_OK);
    CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
    while (sent < 100000) {
        err = ht_cast_name(a, "stuck@localhost", "echo", "Cast", chunk,
                           sizeof(chunk));
        if (err != HT_OK) {
            break;
        }
        sent++;
    }
    CHECK_ERR(err, HT_EBUSY);
    check_echo(a, "b@localhost", "unimpressed", 11);
    while (atomic_load(&stuck_echo.casts) < sent) {
        CHECK_OK(ht_node_poll(stuck, 1000));
    }
    assert_int_equal(stuck_echo.bytes, sent * sizeof(chunk));
    ht_node_free(stuck);
    ht_node_free(a);
    ht_node_free(b);
    log_fini(&log);
}

/* The same while it is never read again: the node can still be freed. */
static void test_free_before_it_reads(void **state)
{
    static uint8_t chunk[200000];
    const ht_encryption ways[] = {HT_ENCRYPT_NONE, HT_ENCRYPT_COOKIE};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct log log = LOG_INIT;
        ht_config cs = node_config("stuck", ways[i], &log);
        ht_config ca = node_config("a", ways[i], &log);
        struct echo echo = {0};
        ht_node *stuck, *a;
        char buf[64];

        cs.single_threaded = true;
        stuck = node_start(&cs);
        a = node_start(&ca);
        echo_spawn(stuck, &echo);
        CHECK_OK(ht_client_connect(stuck, node_address(a, buf), NULL));
        WAIT_FOR(ready_peers(a) == 1 || ht_node_poll(stuck, 0) != HT_OK);
        while (ht_cast_name(a, "stuck@localhost", "echo", "Cast", chunk,
                            sizeof(chunk)) == HT_OK) {
        }
        ht_node_free(a);
        ht_node_free(stuck);
        log_fini(&log);
    }
}

CHECK_MAIN(cmocka_unit_test(test_garbage),
           cmocka_unit_test(test_ractor_peer_is_refused),
           cmocka_unit_test(test_wrong_state),
           cmocka_unit_test(test_frame_over_the_limit),
           cmocka_unit_test(test_half_a_frame),
           cmocka_unit_test(test_silent_peer),
           cmocka_unit_test(test_silent_in_tls),
           cmocka_unit_test(test_plaintext_to_tls_port),
           cmocka_unit_test(test_tls_to_plaintext_port),
           cmocka_unit_test(test_dialled_port_is_not_tls),
           cmocka_unit_test(test_thousand_strangers),
           cmocka_unit_test(test_guesser_is_barred),
           cmocka_unit_test(test_peer_that_stops_reading),
           cmocka_unit_test(test_free_before_it_reads))
