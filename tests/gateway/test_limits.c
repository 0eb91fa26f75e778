/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit of the gateway: what a client is answered at it, and that it is
 * counted. */
#include "tests/gateway/web.h"

#define CALL "{\"to\":\"echo\",\"payload\":\"hi\"}"

static struct gate gate;
static char answer[4096];

#define METRIC(name) gate_metric(&gate, "hardtack_gateway_" name)

static void test_connections(void **state)
{
    ht_gateway_config config = {.connections_max = 3};
    struct web w[3], one;

    (void)state;
    gate_start(&gate, &config);
    for (int i = 0; i < 3; i++) {
        web_socket(&w[i], gate.port);
    }
    web_open(&one, gate.port);
    assert_int_equal(web_answer(&one, answer, sizeof(answer)), 503);
    assert_non_null(strstr(answer, "Retry-After"));
    web_close(&one);
    web_close(&w[0]);
    web_close(&w[1]);
    /* A place is free again once the gateway has seen that they left. */
    WAIT_FOR(web_ask(gate.port, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                     answer, sizeof(answer)) == 200);
    assert_true(METRIC("connections_refused_total{reason=\"connections\"}") >=
                1);
    web_close(&w[2]);
    gate_stop(&gate);
}

static void test_connections_of_an_address(void **state)
{
    ht_gateway_config config = {.connections_per_address_max = 2};
    struct web w, x, one;

    (void)state;
    gate_start(&gate, &config);
    web_socket(&w, gate.port);
    web_socket(&x, gate.port);
    web_open(&one, gate.port);
    assert_int_equal(web_answer(&one, answer, sizeof(answer)), 503);
    web_close(&one);
    web_close(&w);
    WAIT_FOR(web_ask(gate.port, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                     answer, sizeof(answer)) == 200);
    WAIT_FOR(METRIC("connections") == 2);
    assert_true(METRIC("connections_refused_total{reason=\"address\"}") >= 1);
    web_close(&x);
    gate_stop(&gate);
}

static void test_handshake_takes_too_long(void **state)
{
    ht_gateway_config config = {.handshake_timeout_ms = 40};
    struct web w, x;

    (void)state;
    gate_start(&gate, &config);
    web_open(&w, gate.port);
    web_open(&x, gate.port);
    web_say(&x, "GET /healthz HTTP/1.1\r\nHost");
    web_expect_end(&w);
    web_expect_end(&x);
    web_close(&w);
    web_close(&x);
    assert_int_equal(METRIC("connections_refused_total{reason=\"handshake\"}"),
                     2);
    gate_stop(&gate);
}

/* It is asked first, and an answer saves it. */
static void test_silence(void **state)
{
    static struct web_frame f;
    ht_gateway_config config = {.idle_ms = 200};
    struct web w, x;

    (void)state;
    gate_start(&gate, &config);
    web_socket(&w, gate.port);
    web_socket(&x, gate.port);
    for (int i = 0; i < 3; i++) {
        web_next(&w, &f);
        assert_int_equal(f.op, OP_PING);
        web_frame(&w, FIN | OP_PONG, f.data, f.len);
    }
    web_next(&x, &f);
    assert_int_equal(f.op, OP_PING);
    web_expect_close(&x, 1001);
    web_close(&x);
    web_close(&w);
    assert_true(METRIC("connections_closed_total{reason=\"idle\"}") >= 1);
    gate_stop(&gate);
}

static void test_rate_of_messages(void **state)
{
    static struct web_frame f;
    ht_gateway_config config = {.messages_per_second_max = 1,
                                .messages_burst_max = 5};
    unsigned answered = 0, told = 0;
    struct web w;

    (void)state;
    gate_start(&gate, &config);
    web_socket(&w, gate.port);
    for (int i = 0; i < 5 + 6; i++) {
        web_text(&w, CALL);
    }
    for (;;) {
        web_next(&w, &f);
        if (f.op != OP_TEXT) {
            break;
        }
        answered += strstr(f.data, "\"reply\"") != NULL;
        told += strstr(f.data, "too many messages") != NULL;
    }
    assert_int_equal(f.op, OP_CLOSE);
    assert_int_equal((uint8_t)f.data[0] << 8 | (uint8_t)f.data[1], 1008);
    assert_true(told >= 5 && answered <= 5);
    web_close(&w);
    assert_int_equal(METRIC("messages_refused_total{reason=\"rate\"}"), 6);
    assert_int_equal(METRIC("connections_closed_total{reason=\"rate\"}"), 1);
    gate_stop(&gate);
}

static void test_rate_of_requests(void **state)
{
    static const char request[] = "POST /cast/echo/x HTTP/1.1\r\nHost: x\r\n"
                                  "Content-Length: 3\r\n\r\n\"x\"";
    ht_gateway_config config = {.messages_per_second_max = 1,
                                .messages_burst_max = 2};
    struct web w;

    (void)state;
    gate_start(&gate, &config);
    web_open(&w, gate.port);
    for (int i = 0; i < 3; i++) {
        web_say(&w, request);
    }
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 202);
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 202);
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 429);
    assert_non_null(strstr(answer, "Retry-After"));
    web_close(&w);
    gate_stop(&gate);
}

static void test_subscriptions(void **state)
{
    ht_gateway_config config = {.subscriptions_max = 2};
    struct web w;

    (void)state;
    gate_start(&gate, &config);
    web_socket(&w, gate.port);
    for (int i = 0; i < 3; i++) {
        char text[100];

        snprintf(text, sizeof(text),
                 "{\"type\":\"subscribe\",\"to\":\"group:g%d\","
                 "\"msg_id\":\"s\"}",
                 i);
        web_text(&w, text);
        web_expect(&w, i < 2 ? "\"ok\"" : "\"error\" HT_EBUSY");
    }
    assert_int_equal(METRIC("messages_refused_total{reason=\"subscriptions\"}"),
                     1);
    web_close(&w);
    gate_stop(&gate);
}

/* The name of a client's own actor. */
static void name_of(struct web *w, char *name, size_t len)
{
    web_text(w, "{\"type\":\"hello\"}");
    web_field(w, "client", name, len);
}

static void flood(const char *name, size_t total)
{
    static char text[1024];
    size_t n = 0;

    memset(text, 'x', sizeof(text));
    while (n < total) {
        ht_err err =
            ht_cast_name(gate.node, NULL, name, "Note", text, sizeof(text));

        if (err == HT_EBUSY) {
            sched_yield();
            continue;
        }
        if (err != HT_OK) {
            return; /* closed already */
        }
        n += sizeof(text);
    }
}

/* One that does not read is told and closed, and another one beside it is
 * served all the while. */
static void test_slow_client(void **state)
{
    static struct web_frame f;
    ht_gateway_config config = {.queued_bytes_max = 64 * 1024};
    int small = 4096;
    struct web w, x;
    char name[64];
    bool warned = false;

    (void)state;
    gate_start(&gate, &config);
    web_socket(&x, gate.port);
    web_open(&w, gate.port);
    setsockopt(w.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(web_upgrade(&w, "", answer, sizeof(answer)), 101);
    name_of(&w, name, sizeof(name));
    flood(name, 16 * 1024 * 1024);
    web_text(&x, CALL);
    web_expect(&x, "\"reply\"");
    WAIT_FOR(METRIC("connections_closed_total{reason=\"slow\"}") == 1);
    do {
        web_next(&w, &f);
        warned |= f.op == OP_TEXT && strstr(f.data, "\"slow\"") != NULL;
    } while (f.op == OP_TEXT);
    assert_int_equal(f.op, OP_CLOSE);
    assert_int_equal((uint8_t)f.data[0] << 8 | (uint8_t)f.data[1], 1013);
    assert_true(warned);
    web_close(&w);
    web_close(&x);
    gate_stop(&gate);
}

/* One that reads, however much it gets, is not. */
static void *read_all(void *arg)
{
    static struct web_frame f;
    struct web *w = arg;

    for (unsigned n = 0; n < 4096; n++) {
        web_next(w, &f);
        if (f.op != OP_TEXT) {
            return NULL;
        }
        if (strstr(f.data, "\"slow\"") != NULL) {
            n--;
        }
    }
    return w;
}

static void test_client_that_reads(void **state)
{
    ht_gateway_config config = {.queued_bytes_max = 8 * 1024 * 1024,
                                .resume_bytes_max = 16 * 1024};
    pthread_t thread;
    void *got = NULL;
    char name[64];
    struct web w;

    (void)state;
    gate_start(&gate, &config);
    web_socket(&w, gate.port);
    name_of(&w, name, sizeof(name));
    assert_int_equal(pthread_create(&thread, NULL, read_all, &w), 0);
    flood(name, 4096 * 1024);
    pthread_join(thread, &got);
    assert_non_null(got);
    /* What is kept for a resume is bounded too. */
    assert_true(METRIC("kept_bytes") <= 16 * 1024);
    WAIT_FOR(METRIC("queued_bytes") == 0);
    web_close(&w);
    gate_stop(&gate);
}

/* One that asks and asks and does not read the answers. */
static void test_requests_whose_answers_nobody_reads(void **state)
{
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    ht_gateway_config config = {.queued_bytes_max = 32 * 1024};
    int small = 4096;
    struct web w;
    size_t sent = 0;

    (void)state;
    gate_start(&gate, &config);
    web_open(&w, gate.port);
    setsockopt(w.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (sent < 64 * 1024 * 1024) {
        struct pollfd p = {.fd = w.fd, .events = POLLOUT};
        ssize_t n;

        /* Nothing more is taken: the gateway does not read either. */
        if (poll(&p, 1, 300) == 0) {
            break;
        }
        n = send(w.fd, request, sizeof(request) - 1,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
    }
    assert_true(sent < 64 * 1024 * 1024);
    assert_true(METRIC("queued_bytes") < 200 * 1024);
    web_close(&w);
    gate_stop(&gate);
}

/* Pings whose pongs nobody reads. */
static void test_pings_whose_pongs_nobody_reads(void **state)
{
    ht_gateway_config config = {.queued_bytes_max = 32 * 1024};
    int small = 4096;
    struct web w;
    static char ping[125];

    (void)state;
    gate_start(&gate, &config);
    web_open(&w, gate.port);
    setsockopt(w.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(web_upgrade(&w, "", answer, sizeof(answer)), 101);
    for (int i = 0; i < 200000; i++) {
        struct pollfd p = {.fd = w.fd, .events = POLLOUT};

        if (poll(&p, 1, 300) == 0 || (p.revents & (POLLHUP | POLLERR))) {
            break;
        }
        web_frame(&w, FIN | OP_PING, ping, sizeof(ping));
    }
    WAIT_FOR(METRIC("connections_closed_total{reason=\"slow\"}") == 1);
    web_close(&w);
    gate_stop(&gate);
}

/* ---- starting ------------------------------------------------------------ */

static void test_configurations_that_are_refused(void **state)
{
    static const struct {
        ht_gateway_config config;
        ht_err err;
        const char *words;
    } wrong[] = {
        {{.port = 0}, HT_ECONFIG, "port"},
        {{.port = 65536}, HT_ECONFIG, "port"},
        {{.port = HT_PORT_ANY, .address = "here"}, HT_ECONFIG, "here"},
        {{.port = HT_PORT_ANY, .certificate = "x"}, HT_ECONFIG, "private key"},
        {{.port = HT_PORT_ANY, .certificate = "/none", .private_key = "/none"},
         HT_ETLS,
         "/none"},
        {{.port = HT_PORT_ANY, .size = 1}, HT_EINVAL, "version"},
        {{.port = HT_PORT_ANY, .rules_count = 1}, HT_EINVAL, "NULL"},
        {{.port = HT_PORT_ANY, .message_bytes_max = 1u << 30},
         HT_ECONFIG,
         "message_bytes_max"},
    };
    ht_gateway *gateway = NULL;
    ht_gateway_config same = {.address = "127.0.0.1"};

    (void)state;
    gate_start(&gate, NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_ERR(ht_gateway_start(gate.node, &wrong[i].config, &gateway),
                  wrong[i].err);
        assert_non_null(strstr(ht_gateway_start_error(), wrong[i].words));
        assert_null(gateway);
    }
    same.port = gate.port;
    CHECK_ERR(ht_gateway_start(gate.node, &same, &gateway), HT_EADDRINUSE);
    CHECK_ERR(ht_gateway_start(NULL, &same, &gateway), HT_EINVAL);
    gate_stop(&gate);
    ht_gateway_free(NULL);
}

/* A node whose only thread is the caller's. */
static void test_single_threaded_node(void **state)
{
    struct log log = LOG_INIT;
    ht_config node_settings = node_config("single", HT_ENCRYPT_NONE, &log);
    ht_gateway_config config = {.port = HT_PORT_ANY, .address = "127.0.0.1"};
    ht_gateway *gateway = NULL;
    ht_node *node;
    struct web w;

    (void)state;
    node_settings.threads = 0;
    node_settings.single_threaded = true;
    node = node_start(&node_settings);
    CHECK_OK(ht_gateway_start(node, &config, &gateway));
    web_open(&w, ht_gateway_port(gateway));
    web_say(&w, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    for (;;) {
        struct pollfd p = {.fd = w.fd, .events = POLLIN};

        CHECK_OK(ht_node_poll(node, 1));
        if (poll(&p, 1, 0) == 1) {
            break;
        }
    }
    assert_int_equal(web_answer(&w, answer, sizeof(answer)), 200);
    ht_gateway_free(gateway);
    web_expect_end(&w);
    web_close(&w);
    ht_node_free(node);
    log_fini(&log);
}

CHECK_MAIN(cmocka_unit_test(test_connections),
           cmocka_unit_test(test_connections_of_an_address),
           cmocka_unit_test(test_handshake_takes_too_long),
           cmocka_unit_test(test_silence),
           cmocka_unit_test(test_rate_of_messages),
           cmocka_unit_test(test_rate_of_requests),
           cmocka_unit_test(test_subscriptions),
           cmocka_unit_test(test_slow_client),
           cmocka_unit_test(test_client_that_reads),
           cmocka_unit_test(test_requests_whose_answers_nobody_reads),
           cmocka_unit_test(test_pings_whose_pongs_nobody_reads),
           cmocka_unit_test(test_configurations_that_are_refused),
           cmocka_unit_test(test_single_threaded_node))
