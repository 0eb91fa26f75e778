/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway over TLS. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/gateway/web.h"
#include "tests/node/certs.h"

static struct gate gate;
static char *dir;
static struct ca ca;
static struct cert_files files;

static int setup(void **state)
{
    ht_gateway_config config = {.queued_bytes_max = 16 * 1024 * 1024,
                                .handshake_timeout_ms = 2000};

    (void)state;
    dir = temp_dir();
    ca_init(&ca, "authority");
    files = make_files(dir, "web", &ca, "DNS:localhost", 30);
    config.certificate = files.cert;
    config.private_key = files.key;
    gate_start(&gate, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gate_stop(&gate);
    remove_files(&files);
    ca_fini(&ca);
    rmdir(dir);
    free(dir);
    return 0;
}

struct secure {
    int fd;
    SSL_CTX *context;
    SSL *tls;
};

static int secure_open(struct secure *s, int version)
{
    struct web w;
    int rc;

    web_open(&w, gate.port);
    s->fd = w.fd;
    s->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(s->context, files.ca, NULL);
    SSL_CTX_set_verify(s->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_proto_version(s->context, version);
    s->tls = SSL_new(s->context);
    SSL_set1_host(s->tls, "localhost");
    SSL_set_fd(s->tls, s->fd);
    rc = SSL_connect(s->tls);
    ERR_clear_error();
    return rc;
}

static void secure_close(struct secure *s)
{
    SSL_free(s->tls);
    SSL_CTX_free(s->context);
    close(s->fd);
}

static void secure_say(struct secure *s, const char *text)
{
    assert_int_equal(SSL_write(s->tls, text, (int)strlen(text)), strlen(text));
}

/* Reads until the text has come. */
static void secure_expect(struct secure *s, const char *text)
{
    static char buf[65536];
    int len = 0;

    do {
        int n = SSL_read(s->tls, buf + len, (int)sizeof(buf) - 1 - len);

        if (n <= 0) {
            print_error("no %s in %.*s\n", text, len, buf);
            fail();
        }
        len += n;
        buf[len] = '\0';
    } while (memmem(buf, (size_t)len, text, strlen(text)) == NULL);
}

static void test_requests_over_tls(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct secure s;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(secure_open(&s, versions[i]), 1);
        for (int n = 0; n < 3; n++) {
            secure_say(&s, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            secure_expect(&s, "\r\n\r\nok\n");
        }
        secure_say(&s, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\n\r\n");
        secure_expect(&s, "\r\n\r\nok\n");
        /* A close that nobody between us could have made. */
        assert_int_equal(SSL_read(s.tls, (char[1]){0}, 1), 0);
        assert_int_equal(SSL_get_error(s.tls, 0), SSL_ERROR_ZERO_RETURN);
        secure_close(&s);
    }
}

static void test_old_tls_is_refused(void **state)
{
    struct secure s;

    (void)state;
    assert_true(secure_open(&s, TLS1_1_VERSION) != 1);
    secure_close(&s);
}

static void test_who_speaks_plainly_is_refused(void **state)
{
    struct web w;

    (void)state;
    web_open(&w, gate.port);
    web_say(&w, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (recv(w.fd, (char[64]){0}, 64, 0) > 0) {
        /* an alert, perhaps */
    }
    web_close(&w);
}

#define UPGRADE                                                                \
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"            \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                     \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* Sent faster than it is read: what OpenSSL would not take goes out later, all
 * of it and once. */
static void test_much_over_tls(void **state)
{
    enum { MESSAGES = 300, BYTES = 20000 };
    static char text[BYTES], head[512];
    static const char hello[] = "\x81\x90\0\0\0\0{\"type\":\"hello\"}";
    unsigned char start[4];
    char name[64], *at;
    struct secure s;
    size_t total = 0;
    int n;

    (void)state;
    assert_int_equal(secure_open(&s, TLS1_3_VERSION), 1);
    secure_say(&s, UPGRADE);
    secure_expect(&s, "\r\n\r\n");
    assert_int_equal(SSL_write(s.tls, hello, sizeof(hello) - 1),
                     sizeof(hello) - 1);
    n = SSL_read(s.tls, head, sizeof(head) - 1);
    assert_true(n > 0);
    head[n] = '\0';
    at = strstr(head + 4, "client-");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "%63[^\"]", name), 1);
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < MESSAGES; i++) {
        ht_err err;

        do {
            err = ht_cast_name(gate.node, NULL, name, "", text, sizeof(text));
        } while (err == HT_EBUSY);
        CHECK_OK(err);
    }
    for (int i = 0; i < MESSAGES; i++) {
        size_t len, got = 0;
        static char body[65536];

        assert_int_equal(SSL_read(s.tls, start, 4), 4);
        assert_int_equal(start[0], 0x81);
        assert_int_equal(start[1], 126);
        len = (size_t)start[2] << 8 | start[3];
        while (got < len) {
            n = SSL_read(s.tls, body + got, (int)(len - got));
            assert_true(n > 0);
            got += (size_t)n;
        }
        assert_int_equal(body[0], '{');
        assert_int_equal(body[len - 1], '}');
        total += len;
    }
    assert_true(total > (size_t)MESSAGES * BYTES);
    secure_close(&s);
}

/* New connections get the new certificate, the others go on. */
static void test_certificate_is_reloaded(void **state)
{
    struct cert_files again;
    struct secure s, t;
    X509 *before, *after;

    (void)state;
    assert_int_equal(secure_open(&s, TLS1_3_VERSION), 1);
    again = make_files(dir, "web", &ca, "DNS:localhost", 60);
    CHECK_OK(ht_gateway_reload(gate.gateway));
    assert_int_equal(secure_open(&t, TLS1_3_VERSION), 1);
    before = SSL_get1_peer_certificate(s.tls);
    after = SSL_get1_peer_certificate(t.tls);
    assert_int_not_equal(X509_cmp(before, after), 0);
    X509_free(before);
    X509_free(after);
    secure_say(&s, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    secure_expect(&s, "ok\n");
    secure_close(&s);
    secure_close(&t);
    /* One that cannot be read changes nothing. */
    assert_int_equal(truncate(files.cert, 0), 0);
    CHECK_ERR(ht_gateway_reload(gate.gateway), HT_ETLS);
    assert_int_equal(secure_open(&t, TLS1_3_VERSION), 1);
    secure_close(&t);
    free(again.cert);
    free(again.key);
    free(again.ca);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_requests_over_tls),
           T(test_old_tls_is_refused),
           T(test_who_speaks_plainly_is_refused),
           T(test_much_over_tls),
           T(test_certificate_is_reloaded))
