/* SPDX-License-Identifier: Apache-2.0 */
/* What ht_node_start() refuses, and what it says. */
#include "tests/node/fixture.h"

static struct log log_ = LOG_INIT;

static ht_config good(void)
{
    return node_config("a", HT_ENCRYPT_COOKIE, &log_);
}

/* The start fails with err, the words hold text, and nothing is left. */
static void refused(const ht_config *config, ht_err err, const char *text)
{
    ht_node *node = NULL;
    ht_err got = ht_node_start(config, &node);

    if (got != err || strstr(ht_start_error(), text) == NULL) {
        print_error("%s: \"%s\", expected %s: \"%s\"\n", ht_errname(got),
                    ht_start_error(), ht_errname(err), text);
        fail();
    }
    CHECK(node == NULL);
    log_expect(&log_, "HT-NODE-START", text);
    log_fini(&log_);
}

static void test_names(void **state)
{
    ht_config c = good();
    char longer[300];

    (void)state;
    c.name = NULL;
    refused(&c, HT_ECONFIG, "name is missing");
    c.name = "";
    refused(&c, HT_ECONFIG, "name must be UTF-8 without spaces");
    c.name = "a@b";
    refused(&c, HT_ECONFIG, "name must be UTF-8 without spaces");
    c.name = "a\xff";
    refused(&c, HT_ECONFIG, "name must be UTF-8");
    c.name = "a";
    c.hostname = "ho st";
    refused(&c, HT_ECONFIG, "hostname must be UTF-8");
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    c.hostname = longer;
    refused(&c, HT_ECONFIG, "longer than 255 bytes");
}

static void test_ranges(void **state)
{
    ht_config c = good();

    (void)state;
    c.frame_bytes_max = 100;
    refused(&c, HT_ECONFIG, "frame_bytes_max is 100");
    c = good();
    c.redial_min_ms = 10;
    c.redial_max_ms = 9;
    refused(&c, HT_ECONFIG, "redial_min_ms is above");
    c = good();
    c.heartbeat_ms = 6000;
    refused(&c, HT_ECONFIG, "heartbeat_ms must be below silence_ms");
    c = good();
    c.threads = 1000;
    refused(&c, HT_ECONFIG, "threads is 1000");
    c = good();
    c.encryption = (ht_encryption)77;
    refused(&c, HT_ECONFIG, "encryption is not one");
    c = good();
    c.port = 70000;
    refused(&c, HT_ECONFIG, "port 70000");
}

static void test_listeners(void **state)
{
    ht_listener_config l = {.address = "not-an-ip", .port = 1};
    ht_config c = good();

    (void)state;
    c.listeners = &l;
    c.listeners_count = 1;
    refused(&c, HT_ECONFIG, "expected an IP address or unix:/path");
    l = (ht_listener_config){.address = "unix:relative"};
    refused(&c, HT_ECONFIG, "absolute path");
    l = (ht_listener_config){.address = "127.0.0.1", .port = 1, .admin = true};
    refused(&c, HT_ECONFIG, "admin is for unix:");
    l = (ht_listener_config){.address = "127.0.0.1"};
    refused(&c, HT_ECONFIG, "port 0 of a listener");
    l = (ht_listener_config){.port = HT_PORT_ANY,
                             .encryption = HT_ENCRYPT_BIT(HT_ENCRYPT_TLS)};
    refused(&c, HT_ECONFIG, "tls_cert_file is not set");
    l = (ht_listener_config){.port = HT_PORT_ANY, .encryption = 1u << 9};
    refused(&c, HT_ECONFIG, "unknown bit");
    l = (ht_listener_config){.address = "unix:/no/such/directory/socket"};
    refused(&c, HT_ENOENT, "unix:/no/such/directory/socket");
    /* Nobody has this address (RFC 5737). */
    l = (ht_listener_config){.address = "192.0.2.1", .port = HT_PORT_ANY};
    refused(&c, HT_EINVAL, "192.0.2.1");
}

static void test_peers(void **state)
{
    ht_peer_config p = {.address = "localhost"};
    ht_config c = good();

    (void)state;
    c.peers_list = &p;
    c.peers_list_count = 1;
    refused(&c, HT_ECONFIG, "peer localhost: expected host:port");
    p.address = "host:99999";
    refused(&c, HT_ECONFIG, "port is not a number");
    p.address = "::1:80";
    refused(&c, HT_ECONFIG, "[v6]:port");
    p.address = NULL;
    refused(&c, HT_ECONFIG, "a peer has no address");
    p.address = "host:1";
    p.encryption = HT_ENCRYPT_TLS;
    refused(&c, HT_ECONFIG, "tls_cert_file is not set");
}

static void test_port_in_use(void **state)
{
    ht_config c = good();
    int port, fd = raw_listen(&port);

    (void)state;
    c.port = port;
    refused(&c, HT_EADDRINUSE, "Address already in use");
    close(fd);
}

static void test_cookies(void **state)
{
    ht_config c = good();

    (void)state;
    c.cookie = "monster";
    refused(&c, HT_ECONFIG, "weak");
    c.cookie = "";
    refused(&c, HT_ECONFIG, "cookie is empty");
    c.cookie = COOKIE;
    c.cookie_env = "HOME";
    refused(&c, HT_ECONFIG, "only one of");
    c.cookie = NULL;
    c.cookie_env = "HARDTACK_TEST_NOT_SET";
    refused(&c, HT_ECONFIG, "HARDTACK_TEST_NOT_SET is not set");
    c.cookie_env = NULL;
    refused(&c, HT_ECONFIG, "no cookie");
    c.ractor_cookie = "x";
    c.ractor_cookie_file = "y";
    refused(&c, HT_ECONFIG, "only one of ractor_cookie");
}

static void test_weak_cookie_allowed(void **state)
{
    ht_config c = good();

    (void)state;
    c.cookie = "monster";
    c.weak_cookie = true;
    ht_node_free(node_start(&c));
    log_fini(&log_);
}

static void test_cookie_files(void **state)
{
    ht_config c = good();
    char *dir = temp_dir();
    char *path = temp_path(dir, "cookie");

    (void)state;
    c.cookie = NULL;
    c.cookie_file = path;
    refused(&c, HT_ENOENT, path);
    write_file(path, COOKIE "\n", 0644);
    refused(&c, HT_EACCES, "can be read or written by others (mode 0644)");
    write_file(path, COOKIE "\n", 0620);
    refused(&c, HT_EACCES, "(mode 0620)");
    write_file(path, "# nothing\n\n  \n", 0600);
    refused(&c, HT_ECONFIG, "holds no cookie");
    write_file(path, "short\n", 0600);
    refused(&c, HT_ECONFIG, "cookie 1 is weak");
    write_file(path, COOKIE "\nshort\n", 0600);
    refused(&c, HT_ECONFIG, "cookie 2 is weak");
    write_file(path, "1\n2\n3\n4\n5\n6\n7\n8\n9\n", 0600);
    refused(&c, HT_ECONFIG, "more than 8 cookies");
    unlink(path);
    CHECK(mkfifo(path, 0600) == 0);
    refused(&c, HT_EACCES, "not a regular file");
    unlink(path);
    write_file(path, "  # a comment\n\n\t" COOKIE " \r\n", 0400);
    ht_node_free(node_start(&c));
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
    log_fini(&log_);
}

static void test_tls_files(void **state)
{
    ht_config c = good();
    char *dir = temp_dir();
    char *path = temp_path(dir, "x.pem");

    (void)state;
    c.tls_cert_file = path;
    refused(&c, HT_ECONFIG, "go together");
    c.tls_key_file = c.tls_ca_file = path;
    refused(&c, HT_ENOENT, "tls_cert_file");
    write_file(path, "not a certificate\n", 0600);
    refused(&c, HT_ETLS, "tls_cert_file");
    unlink(path);
    rmdir(dir);
    free(path);
    free(dir);
}

/* A socket that was left behind is replaced; one that is alive, and what is no
 * socket, are not. */
static void test_unix_path(void **state)
{
    char *dir = temp_dir();
    char *path = temp_path(dir, "socket");
    char address[256];
    ht_listener_config l = {.address = address, .unix_mode = 0640};
    ht_config c = good();
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;
    ht_node *node;
    int fd;

    (void)state;
    snprintf(address, sizeof(address), "unix:%s", path);
    c.port = 0;
    c.listeners = &l;
    c.listeners_count = 1;
    write_file(path, "precious", 0600);
    refused(&c, HT_EADDRINUSE, "is not a socket");
    unlink(path);

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    CHECK(bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
    CHECK(listen(fd, 1) == 0);
    refused(&c, HT_EADDRINUSE, "Address already in use");
    close(fd); /* nobody answers now, and the path is still there */

    node = node_start(&c);
    CHECK(stat(path, &st) == 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(ht_node_port(node), 0);
    ht_node_free(node);
    CHECK(stat(path, &st) < 0);
    rmdir(dir);
    free(path);
    free(dir);
    log_fini(&log_);
}

/* Struct sizes of older and newer programs. */
static void test_struct_size(void **state)
{
    struct {
        ht_config config;
        char tail[16];
    } newer = {.config = good()};

    (void)state;
    newer.config.size = sizeof(newer);
    ht_node_free(node_start(&newer.config));
    newer.tail[8] = 1;
    refused(&newer.config, HT_EINVAL, "newer library");
    CHECK_ERR(ht_node_start(NULL, NULL), HT_EINVAL);
    ht_node_free(NULL);
}

/* Nothing to listen to, nobody to dial, no cookie: actors only. */
static void test_local_node(void **state)
{
    ht_config c = {.name = "alone", .log = log_line, .log_arg = &log_};
    struct echo echo = {0};
    ht_node *node;

    (void)state;
    node = node_start(&c);
    echo_spawn(node, &echo);
    check_echo(node, NULL, "me", 2);
    assert_int_equal(ht_node_port(node), 0);
    CHECK(strncmp(ht_node_name(node), "alone@", 6) == 0);
    ht_node_free(node);
    assert_int_equal(echo.terminated, 1);
    log_fini(&log_);
}

/* IPv4 and IPv6 meet at the same default listener. */
static void test_dual_stack(void **state)
{
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6,
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    ht_config c = good();
    ht_node *node;
    int fd, v6;

    (void)state;
    node = node_start(&c);
    fd = raw_connect(ht_node_port(node));
    close(fd);
    v6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    in6.sin6_port = htons((uint16_t)ht_node_port(node));
    if (v6 >= 0 && connect(v6, (struct sockaddr *)&in6, sizeof(in6)) < 0) {
        CHECK(errno == EADDRNOTAVAIL || errno == ENETUNREACH);
        print_message("no IPv6 here\n");
    }
    if (v6 >= 0) {
        close(v6);
    }
    ht_node_free(node);
    log_fini(&log_);
}

CHECK_MAIN(cmocka_unit_test(test_names),
           cmocka_unit_test(test_ranges),
           cmocka_unit_test(test_listeners),
           cmocka_unit_test(test_peers),
           cmocka_unit_test(test_port_in_use),
           cmocka_unit_test(test_cookies),
           cmocka_unit_test(test_weak_cookie_allowed),
           cmocka_unit_test(test_cookie_files),
           cmocka_unit_test(test_tls_files),
           cmocka_unit_test(test_unix_path),
           cmocka_unit_test(test_struct_size),
           cmocka_unit_test(test_local_node),
           cmocka_unit_test(test_dual_stack))
