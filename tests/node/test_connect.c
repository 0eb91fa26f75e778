/* SPDX-License-Identifier: Apache-2.0 */
/* Two real nodes in one process, over loopback: they connect, call and cast, by
 * every encryption. */
#include "tests/node/certs.h"

static uint8_t big[1 << 20];

static void fill_big(void)
{
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 31 + i / 251);
    }
}

/* Start both, let a dial b, call in sizes that take every path of reading and
 * writing, end both. */
static void converse(const ht_config *ca,
                     const ht_config *cb,
                     const char *address,
                     const ht_connect_opts *opts)
{
    ht_node *a = node_start(ca);
    ht_node *b = node_start(cb);
    struct echo echo = {0};
    const size_t sizes[] = {0, 5, 4096, 4097, 16384, 65536, sizeof(big)};
    char buf[64];
    ht_ref ref;

    fill_big();
    ref = echo_spawn(b, &echo);
    (void)ref;
    CHECK_OK(ht_client_connect(
        a, address == NULL ? node_address(b, buf) : address, opts));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_echo(a, "b@localhost", big, sizes[i]);
    }
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_OK(ht_cast_name(a, "b@localhost", "echo", "Cast", big, 64));
    }
    WAIT_FOR(atomic_load(&echo.casts) == 1000);
    ht_node_free(a);
    ht_node_free(b);
    assert_int_equal(echo.terminated, 1);
}

static void two_nodes(ht_encryption encryption)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", encryption, &log);
    ht_config cb = node_config("b", encryption, &log);

    converse(&ca, &cb, NULL, NULL);
    log_fini(&log);
}

static void test_plain(void **state)
{
    (void)state;
    two_nodes(HT_ENCRYPT_NONE);
}

static void test_cookie(void **state)
{
    (void)state;
    two_nodes(HT_ENCRYPT_COOKIE);
}

/* The real key derivation, once. */
static void test_interactive_kdf(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    ht_node *a, *b;
    char buf[64];

    (void)state;
    ca.fast_kdf = cb.fast_kdf = false;
    a = node_start(&ca);
    b = node_start(&cb);
    CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
    ht_node_free(a);
    ht_node_free(b);
    log_fini(&log);
}

static void tls_nodes(const char *san_a, const char *san_b, ht_err want)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_TLS, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_TLS, &log);
    char *dir = temp_dir();
    struct ca authority;
    struct cert_files fa, fb;

    ca_init(&authority, "test authority");
    fa = make_files(dir, "a", &authority, san_a, 10);
    fb = make_files(dir, "b", &authority, san_b, 10);
    use_files(&ca, &fa);
    use_files(&cb, &fb);
    if (want == HT_OK) {
        converse(&ca, &cb, NULL, NULL);
    } else {
        ht_node *a = node_start(&ca);
        ht_node *b = node_start(&cb);
        char buf[64];

        CHECK_ERR(ht_client_connect(a, node_address(b, buf), NULL), want);
        ht_node_free(a);
        ht_node_free(b);
    }
    remove_files(&fa);
    remove_files(&fb);
    ca_fini(&authority);
    rmdir(dir);
    free(dir);
    log_fini(&log);
}

/* A certificate that names the node. */
static void test_tls_by_node_name(void **state)
{
    (void)state;
    tls_nodes("URI:hardtack:a@localhost", "URI:hardtack:b@localhost", HT_OK);
}

/* A certificate of the host speaks for none of its nodes: any service of the
 * host has one. */
static void test_tls_by_host(void **state)
{
    (void)state;
    tls_nodes("URI:hardtack:a@localhost", "DNS:localhost", HT_EAUTH);
}

/* The acceptor asks the same of who dials. */
static void test_tls_dialler_by_host(void **state)
{
    (void)state;
    tls_nodes("DNS:localhost", "URI:hardtack:b@localhost", HT_EAUTH);
}

/* One node cannot claim to be another: the certificate says which it is. */
static void test_tls_other_name(void **state)
{
    (void)state;
    tls_nodes("URI:hardtack:a@localhost",
              "URI:hardtack:c@localhost,DNS:localhost", HT_EAUTH);
}

/* A certificate of somebody else's authority, and one that has expired. */
static void test_tls_untrusted(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_TLS, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_TLS, &log);
    ht_config cc = node_config("c", HT_ENCRYPT_TLS, &log);
    char *dir = temp_dir();
    struct ca good, rogue;
    struct cert_files fa, fb, fc;
    ht_node *a, *b, *c;
    char buf[64];

    (void)state;
    ca_init(&good, "good authority");
    ca_init(&rogue, "rogue authority");
    fa = make_files(dir, "a", &good, "URI:hardtack:a@localhost", 10);
    fb = make_files(dir, "b", &rogue, "URI:hardtack:b@localhost", 10);
    fc = make_files(dir, "c", &good, "URI:hardtack:c@localhost", -1);
    use_files(&ca, &fa);
    use_files(&cb, &fb);
    use_files(&cc, &fc);
    a = node_start(&ca);
    b = node_start(&cb);
    c = node_start(&cc);
    CHECK_ERR(ht_client_connect(a, node_address(b, buf), NULL), HT_ETLS);
    CHECK_ERR(ht_client_connect(a, node_address(c, buf), NULL), HT_ETLS);
    log_expect(&log, "HT-NODE-UNREACHABLE", "expired");
    ht_node_free(a);
    ht_node_free(b);
    ht_node_free(c);
    remove_files(&fa);
    remove_files(&fb);
    remove_files(&fc);
    ca_fini(&good);
    ca_fini(&rogue);
    rmdir(dir);
    free(dir);
    log_fini(&log);
}

/* Cookie, certificates and plaintext on one port, each as its dialler says. */
static void test_one_port_for_all(void **state)
{
    const ht_encryption ways[] = {HT_ENCRYPT_COOKIE, HT_ENCRYPT_TLS,
                                  HT_ENCRYPT_NONE};
    struct log log = LOG_INIT;
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    ht_listener_config listener = {
        .port = HT_PORT_ANY,
        .encryption = HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE) |
                      HT_ENCRYPT_BIT(HT_ENCRYPT_TLS) |
                      HT_ENCRYPT_BIT(HT_ENCRYPT_NONE),
    };
    char *dir = temp_dir();
    struct ca authority;
    struct cert_files files;
    struct echo echo = {0};
    char buf[64];
    ht_node *b;

    (void)state;
    ca_init(&authority, "test authority");
    files = make_files(dir, "all", &authority,
                       "URI:hardtack:a@localhost,URI:hardtack:b@localhost", 10);
    use_files(&cb, &files);
    cb.port = 0;
    cb.listeners = &listener;
    cb.listeners_count = 1;
    b = node_start(&cb);
    echo_spawn(b, &echo);
    for (size_t i = 0; i < 3; i++) {
        ht_config ca = node_config("a", ways[i], &log);
        ht_node *a;

        use_files(&ca, &files);
        a = node_start(&ca);
        CHECK_OK(ht_client_connect(a, node_address(b, buf), NULL));
        check_echo(a, "b@localhost", "x", 1);
        ht_node_free(a);
    }
    ht_node_free(b);
    remove_files(&files);
    ca_fini(&authority);
    rmdir(dir);
    free(dir);
    log_fini(&log);
}

static void over_unix(bool admin, ht_encryption encryption)
{
    struct log log = LOG_INIT;
    char *dir = temp_dir();
    char *path = temp_path(dir, "socket");
    char address[256];
    ht_listener_config listener = {.address = address, .admin = admin};
    ht_config ca = node_config("a", encryption, &log);
    ht_config cb = node_config("b", encryption, &log);
    struct stat st;

    snprintf(address, sizeof(address), "unix:%s", path);
    cb.port = ca.port = 0;
    cb.listeners = &listener;
    cb.listeners_count = 1;
    if (admin) {
        ca.cookie = NULL;
        ca.hidden = true;
        cb.cookie = NULL;
    }
    converse(&ca, &cb, address, NULL);
    CHECK(stat(path, &st) < 0); /* it went with its node */
    rmdir(dir);
    free(path);
    free(dir);
    log_fini(&log);
}

static void test_unix(void **state)
{
    (void)state;
    over_unix(false, HT_ENCRYPT_NONE);
    over_unix(false, HT_ENCRYPT_COOKIE);
}

/* No cookie anywhere: the kernel vouches. */
static void test_unix_admin(void **state)
{
    (void)state;
    over_unix(true, HT_ENCRYPT_COOKIE);
}

/* By name, through the resolver. */
static void test_host_name(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    ht_node *a = node_start(&ca);
    ht_node *b = node_start(&cb);
    char address[64];

    (void)state;
    snprintf(address, sizeof(address), "localhost:%d", ht_node_port(b));
    CHECK_OK(ht_client_connect(a, address, NULL));
    CHECK_ERR(ht_client_connect(a, "no-such-host.invalid:1", NULL),
              HT_ERESOLVE);
    ht_node_free(a);
    ht_node_free(b);
    log_fini(&log);
}

static void test_wrong_cookie(void **state)
{
    const ht_encryption ways[] = {HT_ENCRYPT_COOKIE, HT_ENCRYPT_NONE};
    struct log log = LOG_INIT;
    char buf[64];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        ht_config ca = node_config("a", ways[i], &log);
        ht_config cb = node_config("b", ways[i], &log);
        ht_node *a, *b;

        cb.cookie = OTHER_COOKIE;
        a = node_start(&ca);
        b = node_start(&cb);
        CHECK_ERR(ht_client_connect(a, node_address(b, buf), NULL), HT_EAUTH);
        ht_node_free(a);
        ht_node_free(b);
    }
    log_expect(&log, "HT-NODE-UNREACHABLE", "peer does not know our cookie");
    log_expect(&log, "HT-CONN-REFUSED",
               "peer has a cookie that we do not know");
    log_fini(&log);
}

/* Nobody listens; the own address; somebody else's name. */
static void test_wrong_address(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    ht_connect_opts opts = {.name = "c@localhost"};
    ht_node *a = node_start(&ca);
    ht_node *b = node_start(&cb);
    char buf[64];
    int port, fd;

    (void)state;
    fd = raw_listen(&port);
    close(fd);
    snprintf(buf, sizeof(buf), "127.0.0.1:%d", port);
    CHECK_ERR(ht_client_connect(a, buf, NULL), HT_ENOCONN);
    CHECK_ERR(ht_client_connect(a, node_address(a, buf), NULL), HT_ESELF);
    CHECK_ERR(ht_client_connect(a, node_address(b, buf), &opts), HT_ENAME);
    CHECK_ERR(ht_client_connect(a, "nonsense", NULL), HT_EINVAL);
    CHECK_ERR(ht_client_connect(a, "[::1", NULL), HT_EINVAL);
    CHECK_ERR(ht_client_connect(a, "unix:relative", NULL), HT_EINVAL);
    assert_int_equal(ready_peers(a), 0);
    ht_node_free(a);
    ht_node_free(b);
    log_fini(&log);
}

/* A seed is dialled again and again until it is there. */
static void test_seed_that_comes_later(void **state)
{
    struct log log = LOG_INIT;
    ht_config ca = node_config("a", HT_ENCRYPT_COOKIE, &log);
    ht_config cb = node_config("b", HT_ENCRYPT_COOKIE, &log);
    ht_peer_config seed;
    ht_node *a, *b;
    char buf[64];
    int port, fd;

    (void)state;
    fd = raw_listen(&port);
    snprintf(buf, sizeof(buf), "127.0.0.1:%d", port);
    close(fd);
    memset(&seed, 0, sizeof(seed));
    seed.address = buf;
    ca.peers_list = &seed;
    ca.peers_list_count = 1;
    ca.redial_min_ms = 1;
    ca.redial_max_ms = 5;
    a = node_start(&ca);
    log_expect(&log, "HT-NODE-UNREACHABLE", "refused");
    cb.port = port;
    b = node_start(&cb);
    WAIT_FOR(ready_peers(a) == 1);
    ht_node_free(b);
    WAIT_FOR(ready_peers(a) == 0);
    b = node_start(&cb);
    WAIT_FOR(ready_peers(a) == 1);
    ht_node_free(a);
    ht_node_free(b);
    log_fini(&log);
}

CHECK_MAIN(cmocka_unit_test(test_plain),
           cmocka_unit_test(test_cookie),
           cmocka_unit_test(test_interactive_kdf),
           cmocka_unit_test(test_tls_by_node_name),
           cmocka_unit_test(test_tls_by_host),
           cmocka_unit_test(test_tls_dialler_by_host),
           cmocka_unit_test(test_tls_other_name),
           cmocka_unit_test(test_tls_untrusted),
           cmocka_unit_test(test_one_port_for_all),
           cmocka_unit_test(test_unix),
           cmocka_unit_test(test_unix_admin),
           cmocka_unit_test(test_host_name),
           cmocka_unit_test(test_wrong_cookie),
           cmocka_unit_test(test_wrong_address),
           cmocka_unit_test(test_seed_that_comes_later))
