/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over bytes, without sockets: two ends and the sinks between them. */
#include "node/tls.h"

#include <openssl/ssl.h>

#include "tests/node/certs.h"

#define SINK_BYTES (256 * 1024)

struct end {
    struct hti_tls *tls;
    struct hti_keyring *keys;
    struct hti_tls_conn *conn;
    struct hti_sink sink;
    int state; /* of the handshake: 0, 1, or an ht_err */
};

static struct hti_keyring *keyring(const char *first, const char *second)
{
    ht_bytes cookies[2] = {{first, first == NULL ? 0 : strlen(first)},
                           {second, second == NULL ? 0 : strlen(second)}};
    struct hti_keyring *keys = NULL;

    CHECK_OK(hti_keyring_new(cookies,
                             second != NULL  ? 2u
                             : first != NULL ? 1u
                                             : 0u,
                             NULL, 0, "test", HTI_KDF_FAST, &keys));
    return keys;
}

static void end_init(struct end *end,
                     bool initiator,
                     unsigned encryption,
                     struct hti_keyring *keys,
                     const struct cert_files *files)
{
    struct hti_tls_files tls_files = {0};
    struct hti_tls_params params = {
        .keys = keys,
        .initiator = initiator,
        .encryption = encryption,
        .host = "localhost",
        .sink = &end->sink,
    };
    const char *text = NULL;
    char why[256];

    memset(end, 0, sizeof(*end));
    if (files != NULL) {
        tls_files = (struct hti_tls_files){files->cert, files->key, files->ca};
    }
    CHECK_OK(hti_tls_new(&tls_files, &end->tls, why, sizeof(why)));
    end->keys = keys;
    end->sink.buf = malloc(SINK_BYTES);
    end->sink.cap = SINK_BYTES;
    params.tls = end->tls;
    CHECK_OK(hti_tls_conn_new(&params, &end->conn, &text));
}

static void end_fini(struct end *end)
{
    hti_tls_conn_free(end->conn);
    hti_tls_unref(end->tls);
    hti_keyring_unref(end->keys);
    free(end->sink.buf);
}

static void step(struct end *end, struct end *from)
{
    hti_tls_feed(end->conn, from->sink.buf, from->sink.len);
    if (end->state == 0) {
        end->state = hti_tls_handshake(end->conn);
    }
    from->sink.len = 0;
    assert_false(end->state == 1 && hti_tls_is_fed(end->conn));
}

static void handshake(struct end *a, struct end *b)
{
    for (unsigned i = 0; i < 6; i++) {
        step(a, b);
        step(b, a);
    }
}

#define COOKIE_BIT HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE)
#define TLS_BIT    HT_ENCRYPT_BIT(HT_ENCRYPT_TLS)

static void test_cookie(void **state)
{
    struct end a, b;
    uint8_t in[32];

    (void)state;
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    end_init(&b, false, COOKIE_BIT, keyring(OTHER_COOKIE, COOKIE), NULL);
    handshake(&a, &b);
    assert_int_equal(a.state, 1);
    assert_int_equal(b.state, 1);
    assert_int_equal(hti_tls_mode(a.conn), HTI_MODE_COOKIE);
    assert_int_equal(hti_tls_mode(b.conn), HTI_MODE_COOKIE);
    assert_memory_equal(hti_tls_exporter(a.conn), hti_tls_exporter(b.conn),
                        HTI_EXPORTER_BYTES);
    assert_memory_equal(hti_tls_key(a.conn)->id, hti_tls_key(b.conn)->id,
                        HTI_KEY_ID_BYTES);
    assert_false(hti_tls_cert_matches(a.conn, "a@localhost", true));

    assert_int_equal(hti_tls_write(a.conn, "hello", 5), 5);
    hti_tls_feed(b.conn, a.sink.buf, a.sink.len);
    assert_int_equal(hti_tls_read(b.conn, in, sizeof(in)), 5);
    assert_memory_equal(in, "hello", 5);
    assert_int_equal(hti_tls_read(b.conn, in, sizeof(in)), 0);
    a.sink.len = 0;
    hti_tls_bye(a.conn);
    hti_tls_feed(b.conn, a.sink.buf, a.sink.len);
    assert_int_equal(hti_tls_read(b.conn, in, sizeof(in)), HT_ECLOSED);
    end_fini(&a);
    end_fini(&b);
}

/* A flipped bit anywhere in a record ends the connection. */
static void test_altered_record(void **state)
{
    struct end a, b;
    uint8_t in[32];

    (void)state;
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    end_init(&b, false, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    handshake(&a, &b);
    assert_int_equal(hti_tls_write(a.conn, "hello", 5), 5);
    a.sink.buf[a.sink.len - 1] ^= 1;
    hti_tls_feed(b.conn, a.sink.buf, a.sink.len);
    assert_int_equal(hti_tls_read(b.conn, in, sizeof(in)), HT_ETLS);
    end_fini(&a);
    end_fini(&b);
}

static void refused(struct end *a,
                    struct end *b,
                    ht_err a_err,
                    const char *a_why,
                    ht_err b_err,
                    const char *b_why)
{
    handshake(a, b);
    assert_int_equal(a->state, a_err);
    assert_int_equal(b->state, b_err);
    assert_string_equal(hti_tls_why(a->conn), a_why);
    assert_string_equal(hti_tls_why(b->conn), b_why);
    end_fini(a);
    end_fini(b);
}

static void test_unknown_cookie(void **state)
{
    struct end a, b;

    (void)state;
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    end_init(&b, false, COOKIE_BIT, keyring(OTHER_COOKIE, NULL), NULL);
    refused(&a, &b, HT_EAUTH, "peer does not know our cookie", HT_EAUTH,
            "peer has a cookie that we do not know");
}

/* The binder is the proof: it is the last thing in a ClientHello. */
static void test_wrong_binder(void **state)
{
    struct end a, b;

    (void)state;
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    end_init(&b, false, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    a.state = hti_tls_handshake(a.conn);
    a.sink.buf[a.sink.len - 1] ^= 1;
    refused(&a, &b, HT_EAUTH, "wrong cookie", HT_EAUTH, "wrong cookie");
}

/* A server with a certificate, even one of a good authority, is not the
 * cluster: who dialled with the cookie does not take it. */
static void test_certificate_instead_of_cookie(void **state)
{
    char *dir = temp_dir();
    struct cert_files files;
    struct ca ca;
    struct end a, b;

    (void)state;
    ca_init(&ca, "authority");
    files = make_files(dir, "n", &ca, "DNS:localhost", 10);
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), &files);
    end_init(&b, false, TLS_BIT, keyring(COOKIE, NULL), &files);
    handshake(&a, &b);
    assert_int_equal(a.state, HT_EAUTH);
    assert_string_equal(hti_tls_why(a.conn),
                        "peer does not know our cookie, or wants certificates");
    CHECK(b.state < 0);
    end_fini(&a);
    end_fini(&b);
    remove_files(&files);
    ca_fini(&ca);
    rmdir(dir);
    free(dir);
}

/* Whether the acceptor takes the initiator's certificate for name. */
static void
names_of(bool hardtack, const char *san, const char *name, bool want)
{
    char *dir = temp_dir();
    struct cert_files files;
    struct ca ca;
    struct end a, b;

    ca_init(&ca, "authority");
    files = make_files(dir, "n", &ca, san, 10);
    end_init(&a, true, TLS_BIT, keyring(NULL, NULL), &files);
    end_init(&b, false, TLS_BIT, keyring(NULL, NULL), &files);
    handshake(&a, &b);
    assert_int_equal(a.state, 1);
    assert_int_equal(b.state, 1);
    assert_int_equal(hti_tls_mode(b.conn), HTI_MODE_TLS);
    assert_int_equal(hti_tls_cert_matches(b.conn, name, hardtack), want);
    end_fini(&a);
    end_fini(&b);
    remove_files(&files);
    ca_fini(&ca);
    rmdir(dir);
    free(dir);
}

/* A Hardtack node is named by its URI, and by nothing else. */
static void test_certificate_names(void **state)
{
    (void)state;
    names_of(true, "URI:hardtack:a@host", "a@host", true);
    names_of(true, "URI:hardtack:a@host", "b@host", false);
    names_of(true, "URI:hardtack:a@host", "a@host2", false);
    names_of(true, "URI:hardtack:a@host", "A@host", false);
    names_of(true, "URI:hardtack:a@host,URI:hardtack:b@host", "b@host", true);
    names_of(true, "URI:hardtack:a@host,DNS:host", "b@host", false);
    names_of(true, "URI:https://host/", "a@host", false);
    names_of(true, "DNS:host", "a@host", false);
    names_of(true, "DNS:localhost", "a@localhost", false);
    names_of(true, "IP:10.1.2.3", "a@10.1.2.3", false);
    /* Its clients, and nothing that only looks like one. */
    names_of(true, "URI:hardtack:a@host", "a+0123456789abcdef@host", true);
    names_of(true, "URI:hardtack:a@host", "b+0123456789abcdef@host", false);
    names_of(true, "URI:hardtack:a@host", "a+0123456789abcdef@host2", false);
    names_of(true, "URI:hardtack:a@host", "a+0123456789abcde@host", false);
    names_of(true, "URI:hardtack:a@host", "a+0123456789abcdeg@host", false);
    names_of(true, "URI:hardtack:a@host", "a-0123456789abcdef@host", false);
    names_of(true, "URI:hardtack:aa@host", "a+0123456789abcdef@host", false);
    names_of(true, "URI:hardtack:a@host", "+0123456789abcdef@host", false);
}

/* Of a ractor node that dialled us: its host, or its name if it has one. */
static void test_certificate_of_ractor_names(void **state)
{
    (void)state;
    names_of(false, "DNS:host", "anything@host", true);
    names_of(false, "DNS:HOST", "anything@host", true);
    names_of(false, "DNS:host", "anything@other", false);
    names_of(false, "DNS:host", "anything", false);
    names_of(false, "DNS:*.example.org", "a@one.example.org", true);
    names_of(false, "DNS:*.example.org", "a@one.two.example.org", false);
    names_of(false, "IP:10.1.2.3", "a@10.1.2.3", true);
    names_of(false, "URI:hardtack:a@host", "a@host", true);
    names_of(false, "URI:hardtack:a@host,DNS:host", "b@host", false);
}

/* What was dialled: server_name, or without one the host; a certificate's host
 * does not count because the peer claims to be there. */
static void
dialled(const char *san, const char *server_name, const char *name, bool want)
{
    char *dir = temp_dir();
    struct cert_files files;
    struct hti_tls_params params;
    const char *text = NULL;
    struct ca ca;
    struct end a, b;

    ca_init(&ca, "authority");
    files = make_files(dir, "n", &ca, san, 10);
    end_init(&a, true, TLS_BIT, keyring(NULL, NULL), &files);
    end_init(&b, false, TLS_BIT, keyring(NULL, NULL), &files);
    hti_tls_conn_free(a.conn);
    params = (struct hti_tls_params){
        .tls = a.tls,
        .keys = a.keys,
        .initiator = true,
        .encryption = TLS_BIT,
        .host = "localhost",
        .server_name = server_name,
        .sink = &a.sink,
    };
    CHECK_OK(hti_tls_conn_new(&params, &a.conn, &text));
    handshake(&a, &b);
    assert_int_equal(a.state, 1);
    assert_int_equal(b.state, 1);
    assert_int_equal(hti_tls_cert_matches(a.conn, name, false), want);
    end_fini(&a);
    end_fini(&b);
    remove_files(&files);
    ca_fini(&ca);
    rmdir(dir);
    free(dir);
}

static void test_certificate_of_dialled_ractor(void **state)
{
    (void)state;
    dialled("DNS:localhost", NULL, "x@anywhere", true);
    dialled("DNS:anywhere", NULL, "x@anywhere", false);
    dialled("DNS:node.example", "node.example", "x@anywhere", true);
    dialled("DNS:localhost", "node.example", "x@localhost", false);
    dialled("IP:10.0.0.1", "10.0.0.1", "x@anywhere", true);
    /* A URI of ours stands for no host, and limits the names. */
    dialled("URI:hardtack:x@anywhere", NULL, "x@anywhere", false);
    dialled("URI:hardtack:x@anywhere,DNS:localhost", NULL, "x@anywhere", true);
    dialled("URI:hardtack:x@anywhere,DNS:localhost", "node.example",
            "x@anywhere", false);
    dialled("URI:hardtack:y@anywhere,DNS:localhost", NULL, "x@anywhere", false);
}

/* A peer without a certificate, where a ractor one may come so. */
static void test_certificate_is_optional_for_ractor(void **state)
{
    char *dir = temp_dir();
    struct cert_files files;
    struct hti_tls_params params;
    const char *text = NULL;
    struct ca ca;
    struct end a, b;

    (void)state;
    ca_init(&ca, "authority");
    files = make_files(dir, "n", &ca, "DNS:localhost", 10);
    for (unsigned optional = 0; optional < 2; optional++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        SSL *ssl = SSL_new(ctx);
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

        memset(&a, 0, sizeof(a));
        end_init(&b, false, TLS_BIT, keyring(NULL, NULL), &files);
        hti_tls_conn_free(b.conn);
        params = (struct hti_tls_params){
            .tls = b.tls,
            .keys = b.keys,
            .encryption = TLS_BIT,
            .cert_optional = optional != 0,
            .sink = &b.sink,
        };
        CHECK_OK(hti_tls_conn_new(&params, &b.conn, &text));
        SSL_set_bio(ssl, in, out);
        SSL_set_connect_state(ssl);
        for (unsigned i = 0; i < 4 && b.state == 0; i++) {
            char *data;
            long len;

            (void)SSL_do_handshake(ssl);
            len = BIO_get_mem_data(out, &data);
            hti_tls_feed(b.conn, data, (size_t)len);
            b.state = hti_tls_handshake(b.conn);
            (void)BIO_reset(out);
            BIO_write(in, b.sink.buf, (int)b.sink.len);
            b.sink.len = 0;
        }
        if (optional) {
            assert_int_equal(b.state, 1);
            assert_true(hti_tls_cert_matches(b.conn, "r@localhost", false));
            assert_false(hti_tls_cert_matches(b.conn, "r@localhost", true));
        } else {
            assert_int_equal(b.state, HT_EAUTH);
            assert_string_equal(hti_tls_why(b.conn), "peer has no certificate");
        }
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        end_fini(&b);
    }
    remove_files(&files);
    ca_fini(&ca);
    rmdir(dir);
    free(dir);
}

/* Everything written comes out again, in records of any size. */
static void test_much_data(void **state)
{
    static uint8_t data[100000], got[100000];
    struct end a, b;
    size_t sent = 0, received = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + i / 255);
    }
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    end_init(&b, false, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    handshake(&a, &b);
    while (sent < sizeof(data)) {
        long n = hti_tls_write(a.conn, data + sent, sizeof(data) - sent);

        CHECK(n > 0 && n <= HTI_TLS_RECORD);
        sent += (size_t)n;
    }
    for (size_t at = 0; at < a.sink.len; at += 1000) {
        size_t left = a.sink.len - at;
        long n;

        hti_tls_feed(b.conn, a.sink.buf + at, left < 1000 ? left : 1000);
        while ((n = hti_tls_read(b.conn, got + received,
                                 sizeof(got) - received)) > 0) {
            received += (size_t)n;
        }
        assert_int_equal(n, 0);
        if (received == sizeof(got)) {
            break;
        }
    }
    assert_int_equal(received, sizeof(data));
    assert_memory_equal(data, got, sizeof(data));
    end_fini(&a);
    end_fini(&b);
}

/* Keys are changed after so many bytes, in both directions, and nothing is
 * lost: the peer answers the request before it writes again. */
static void test_rekey(void **state)
{
    static const uint8_t piece[1000] = {1, 2, 3};
    struct hti_tls_params params;
    const char *text = NULL;
    uint8_t got[2000];
    struct end a, b;
    unsigned answers = 0;

    (void)state;
    end_init(&a, true, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    end_init(&b, false, COOKIE_BIT, keyring(COOKIE, NULL), NULL);
    hti_tls_conn_free(a.conn);
    params = (struct hti_tls_params){
        .tls = a.tls,
        .keys = a.keys,
        .initiator = true,
        .encryption = COOKIE_BIT,
        .rekey_bytes = 3000,
        .sink = &a.sink,
    };
    CHECK_OK(hti_tls_conn_new(&params, &a.conn, &text));
    handshake(&a, &b);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(hti_tls_write(a.conn, piece, sizeof(piece)),
                         sizeof(piece));
        hti_tls_feed(b.conn, a.sink.buf, a.sink.len);
        assert_int_equal(hti_tls_read(b.conn, got, sizeof(got)), sizeof(piece));
        assert_memory_equal(got, piece, sizeof(piece));
        assert_int_equal(hti_tls_read(b.conn, got, sizeof(got)), 0);
        a.sink.len = 0;
        assert_int_equal(hti_tls_write(b.conn, "answer", 6), 6);
        /* More than the record of these 6: its own new key. */
        answers += b.sink.len > 6 + 5 + 1 + 16;
        hti_tls_feed(a.conn, b.sink.buf, b.sink.len);
        assert_int_equal(hti_tls_read(a.conn, got, sizeof(got)), 6);
        assert_int_equal(hti_tls_read(a.conn, got, sizeof(got)), 0);
        b.sink.len = 0;
        hti_tls_rest(a.conn);
        hti_tls_rest(b.conn);
    }
    CHECK(answers >= 5);
    end_fini(&a);
    end_fini(&b);
}

CHECK_MAIN(cmocka_unit_test(test_cookie),
           cmocka_unit_test(test_altered_record),
           cmocka_unit_test(test_unknown_cookie),
           cmocka_unit_test(test_wrong_binder),
           cmocka_unit_test(test_certificate_instead_of_cookie),
           cmocka_unit_test(test_certificate_names),
           cmocka_unit_test(test_certificate_of_ractor_names),
           cmocka_unit_test(test_certificate_of_dialled_ractor),
           cmocka_unit_test(test_certificate_is_optional_for_ractor),
           cmocka_unit_test(test_rekey),
           cmocka_unit_test(test_much_data))
