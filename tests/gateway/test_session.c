/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that lose their connection and come back. */
#include <sodium.h>

#include "tests/gateway/web.h"

#define HELLO "{\"type\":\"hello\"}"

static struct gate gate;

static int setup(void **state)
{
    ht_gateway_config config = {.resume_messages_max = 50,
                                .messages_burst_max = 1000};

    (void)state;
    gate_start(&gate, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gate_stop(&gate);
    return 0;
}

/* ---- a client that counts ------------------------------------------------ */

struct visitor {
    struct web web;
    char name[64];
    char token[128];
    unsigned received;
};

static void hello(struct visitor *v)
{
    static struct web_frame f;
    char *at;

    web_socket(&v->web, gate.port);
    web_text(&v->web, HELLO);
    web_next(&v->web, &f);
    assert_int_equal(f.op, OP_TEXT);
    assert_non_null(strstr(f.data, "\"welcome\""));
    at = strstr(f.data, "\"resume\":\"");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"resume\":\"%127[^\"]", v->token), 1);
    assert_int_equal(sscanf(v->token, "%63[^.]", v->name), 1);
    v->received = 0;
}

/* Opens a connection, asks, and reads the welcome into answer. */
static void come_back(struct visitor *v, char *answer, size_t len)
{
    static struct web_frame f;
    char ask[300], *at;

    web_socket(&v->web, gate.port);
    snprintf(ask, sizeof(ask),
             "{\"type\":\"resume\",\"resume\":\"%s\",\"received\":%u}",
             v->token, v->received);
    web_text(&v->web, ask);
    web_next(&v->web, &f);
    assert_int_equal(f.op, OP_TEXT);
    snprintf(answer, len, "%.900s", f.data);
    at = strstr(f.data, "\"resume\":\"");
    if (at != NULL) {
        assert_int_equal(sscanf(at, "\"resume\":\"%127[^\"]", v->token), 1);
    }
}

static void expect_resumed(struct visitor *v)
{
    char answer[1000];

    come_back(v, answer, sizeof(answer));
    if (strstr(answer, "\"resumed\":true") == NULL) {
        print_error("not resumed: %s\n", answer);
        fail();
    }
}

static void expect_afresh(struct visitor *v, const char *why)
{
    char answer[1000];

    come_back(v, answer, sizeof(answer));
    if (strstr(answer, "\"resumed\":false") == NULL ||
        strstr(answer, why) == NULL) {
        print_error("not afresh (%s): %s\n", why, answer);
        fail();
    }
    v->received = 0;
}

static unsigned sent;

/* Messages "n<number>" to the client's actor. */
static void send_to(const struct visitor *v, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        ht_err err;

        snprintf(text, sizeof(text), "\"n%u\"", sent++);
        do {
            err = ht_cast_name(gate.node, NULL, v->name, "Note", text,
                               strlen(text));
        } while (err == HT_EBUSY);
        CHECK_OK(err);
    }
}

static void expect_notes(struct visitor *v, unsigned first, unsigned count)
{
    static struct web_frame f;

    for (unsigned i = 0; i < count; i++) {
        char text[32], base64[64];

        /* Bytes of an actor come in base64: compare the number alone. */
        snprintf(text, sizeof(text), "\"n%u\"", first + i);
        web_next(&v->web, &f);
        assert_int_equal(f.op, OP_TEXT);
        sodium_bin2base64(base64, sizeof(base64), (const uint8_t *)text,
                          strlen(text), sodium_base64_VARIANT_ORIGINAL);
        if (strstr(f.data, base64) == NULL && strstr(f.data, text) == NULL) {
            print_error("not %s (%s): %s\n", text, base64, f.data);
            fail();
        }
        v->received++;
    }
}

/* As if the cable were pulled: the gateway hears nothing of it at once, but
 * here the kernel tells it. */
static void cut(struct visitor *v)
{
    struct linger linger = {.l_onoff = 1};

    setsockopt(v->web.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    web_close(&v->web);
}

static void wait_detached(unsigned long count)
{
    WAIT_FOR(gate_metric(&gate, "hardtack_gateway_sessions_detached") == count);
}

/* ---- tests --------------------------------------------------------------- */

static void test_missed_messages_come_in_order_and_once(void **state)
{
    struct visitor v;

    (void)state;
    sent = 0;
    hello(&v);
    send_to(&v, 5);
    expect_notes(&v, 0, 5);
    cut(&v);
    wait_detached(1);
    send_to(&v, 7);
    expect_resumed(&v);
    expect_notes(&v, 5, 7);
    send_to(&v, 3);
    expect_notes(&v, 12, 3);
    web_close(&v.web);
}

/* What was written and lost with the connection is written again. */
static void test_what_was_on_its_way_comes_again(void **state)
{
    struct visitor v;

    (void)state;
    sent = 0;
    hello(&v);
    send_to(&v, 10);
    expect_notes(&v, 0, 4); /* it has 10 of them, and says that it has 4 */
    cut(&v);
    expect_resumed(&v);
    expect_notes(&v, 4, 6);
    web_close(&v.web);
}

static void test_again_and_again(void **state)
{
    struct visitor v;
    unsigned next = 0;

    (void)state;
    sent = 0;
    hello(&v);
    for (int i = 0; i < 20; i++) {
        send_to(&v, 6);
        expect_notes(&v, next, 3);
        next += 3;
        cut(&v);
        expect_resumed(&v);
        expect_notes(&v, next, 3);
        next += 3;
    }
    web_close(&v.web);
    assert_int_equal(gate_metric(&gate, "hardtack_gateway_sessions_resumed_"
                                        "total{result=\"resumed\"}"),
                     20);
}

/* The gateway does not know yet that the first connection is dead. */
static void test_resumed_while_the_first_still_stands(void **state)
{
    struct visitor v, first;

    (void)state;
    sent = 0;
    hello(&v);
    send_to(&v, 2);
    expect_notes(&v, 0, 2);
    first = v;
    expect_resumed(&v);
    web_expect_close(&first.web, 4001);
    web_close(&first.web);
    send_to(&v, 2);
    expect_notes(&v, 2, 2);
    web_close(&v.web);
}

/* The client says no more, and did not say goodbye: nobody can be sure that it
 * still hears us. */
static void test_half_open(void **state)
{
    struct visitor v, first;

    (void)state;
    sent = 0;
    hello(&v);
    send_to(&v, 2);
    expect_notes(&v, 0, 2);
    assert_int_equal(shutdown(v.web.fd, SHUT_WR), 0);
    wait_detached(1);
    send_to(&v, 2);
    first = v;
    expect_resumed(&v);
    expect_notes(&v, 2, 2);
    web_close(&first.web);
    web_close(&v.web);
}

/* Its subscriptions, its name and its monitors' view are those from before. */
static void test_the_actor_stays_the_same(void **state)
{
    struct visitor v;
    ht_ref before;

    (void)state;
    hello(&v);
    before = ht_whereis(gate.node, v.name);
    web_text(&v.web, "{\"type\":\"subscribe\",\"to\":\"group:lobby\","
                     "\"msg_id\":\"s\"}");
    web_expect(&v.web, "\"ok\" \"s\"");
    v.received = 1;
    cut(&v);
    wait_detached(1);
    assert_int_equal(
        ht_group_cast(gate.node, HT_GATEWAY_SCOPE, "lobby", "News", "x", 1), 1);
    expect_resumed(&v);
    web_expect(&v.web, "group:lobby News");
    assert_true(ht_ref_equal(before, ht_whereis(gate.node, v.name)));
    web_close(&v.web);
}

static void test_too_much_missed_is_afresh(void **state)
{
    struct visitor v;

    (void)state;
    hello(&v);
    cut(&v);
    wait_detached(1);
    send_to(&v, 51);
    expect_afresh(&v, "too much was missed");
    web_text(&v.web, "{\"to\":\"echo\",\"payload\":\"hi\"}");
    web_expect(&v.web, "\"hi\"");
    web_close(&v.web);
}

/* An acknowledgement lets go of what is kept. */
static void test_acknowledged_messages_are_not_kept(void **state)
{
    struct visitor v;
    unsigned next = 0;

    (void)state;
    sent = 0;
    hello(&v);
    for (int i = 0; i < 5; i++) {
        char ack[64];

        send_to(&v, 30);
        expect_notes(&v, next, 30);
        next += 30;
        snprintf(ack, sizeof(ack), "{\"type\":\"ack\",\"received\":%u}", next);
        web_text(&v.web, ack);
    }
    WAIT_FOR(gate_metric(&gate, "hardtack_gateway_kept_bytes") == 0);
    cut(&v);
    wait_detached(1);
    send_to(&v, 50);
    expect_resumed(&v);
    expect_notes(&v, next, 50);
    web_close(&v.web);
}

static void test_tokens_that_open_nothing(void **state)
{
    struct visitor v, other;
    char good[128];

    (void)state;
    hello(&v);
    snprintf(good, sizeof(good), "%s", v.token);
    cut(&v);
    wait_detached(1);
    other = v;
    snprintf(other.token, sizeof(other.token), "nonsense");
    expect_afresh(&other, "not a resume token");
    web_close(&other.web);
    snprintf(other.token, sizeof(other.token), "%s", good);
    other.token[strlen(good) - 1] ^= 1;
    expect_afresh(&other, "");
    web_close(&other.web);
    snprintf(other.token, sizeof(other.token), "client-0000000000000000.%s",
             strchr(good, '.') + 1);
    expect_afresh(&other, "no such session");
    web_close(&other.web);
    /* More than it can have got. */
    snprintf(other.token, sizeof(other.token), "%s", good);
    other.received = 1000;
    expect_afresh(&other, "not so many");
    web_close(&other.web);
    /* And the right one still does. */
    v.received = 0;
    expect_resumed(&v);
    web_close(&v.web);
}

static void test_a_token_is_good_once(void **state)
{
    struct visitor v;
    char used[128];

    (void)state;
    hello(&v);
    snprintf(used, sizeof(used), "%s", v.token);
    cut(&v);
    expect_resumed(&v);
    cut(&v);
    snprintf(v.token, sizeof(v.token), "%s", used);
    expect_afresh(&v, "no such session");
    web_close(&v.web);
}

static void test_another_encoding_is_afresh(void **state)
{
    static struct web_frame f;
    char answer[1000], ask[256];
    size_t n = 0, token;
    struct visitor v;

    (void)state;
    hello(&v);
    cut(&v);
    wait_detached(1);
    web_open(&v.web, gate.port);
    assert_int_equal(web_upgrade(&v.web,
                                 "Sec-WebSocket-Protocol: hardtack.pb.v1\r\n",
                                 answer, sizeof(answer)),
                     101);
    /* type 1: RESUME 5; resume 14. */
    token = strlen(v.token);
    ask[n++] = 0x08;
    ask[n++] = 5;
    ask[n++] = 0x72;
    ask[n++] = (char)token;
    memcpy(ask + n, v.token, token);
    web_frame(&v.web, FIN | OP_BINARY, ask, n + token);
    web_next(&v.web, &f);
    assert_int_equal(f.op, OP_BINARY);
    assert_non_null(memmem(f.data, f.len, "another subprotocol", 19));
    web_close(&v.web);
}

static void test_a_goodbye_ends_the_session(void **state)
{
    struct visitor v;

    (void)state;
    hello(&v);
    web_frame(&v.web, FIN | OP_CLOSE, "\x03\xe8", 2);
    web_expect_close(&v.web, 1000);
    web_close(&v.web);
    expect_afresh(&v, "session"); /* there is none, or it just ends */
    web_close(&v.web);
}

static void test_a_page_that_goes_away_may_come_back(void **state)
{
    struct visitor v;

    (void)state;
    hello(&v);
    web_frame(&v.web, FIN | OP_CLOSE, "\x03\xe9", 2);
    web_expect_close(&v.web, 1001);
    web_close(&v.web);
    expect_resumed(&v);
    web_close(&v.web);
}

static void test_without_hello_nothing_is_kept(void **state)
{
    struct web w;

    (void)state;
    web_socket(&w, gate.port);
    web_text(&w, "{\"to\":\"echo\",\"payload\":\"hi\"}");
    web_expect(&w, "\"hi\"");
    web_close(&w);
    WAIT_FOR(gate_metric(&gate, "hardtack_gateway_websockets") == 0);
    wait_detached(0);
}

/* Its end is told to who monitors it, once the grace time is over. */
static struct watcher {
    ht_ref target;
    _Atomic bool down;
} watcher;

static ht_err watcher_init(ht_actor *self, void *arg)
{
    uint64_t monitor;

    ht_set_state(self, arg);
    return ht_monitor(self, watcher.target, &monitor);
}

static ht_err watcher_event(ht_actor *self, const ht_event *event)
{
    (void)self;
    if (event->kind == HT_EVENT_DOWN) {
        atomic_store(&watcher.down, true);
    }
    return HT_OK;
}

static void test_grace_ends(void **state)
{
    static const ht_behavior behavior = {.init = watcher_init,
                                         .on_event = watcher_event};
    ht_gateway_config config = {.grace_ms = 50};
    struct visitor v;
    ht_ref ref;

    (void)state;
    gate_stop(&gate);
    gate_start(&gate, &config);
    hello(&v);
    watcher.target = ht_whereis(gate.node, v.name);
    atomic_store(&watcher.down, false);
    CHECK_OK(ht_spawn(gate.node, &behavior, &watcher, NULL, &ref));
    cut(&v);
    WAIT_FOR(atomic_load(&watcher.down));
    assert_int_equal(
        gate_metric(&gate, "hardtack_gateway_sessions_expired_total"), 1);
    expect_afresh(&v, "session");
    web_close(&v.web);
}

/* As many may be away as may be connected. */
static void test_too_many_are_away(void **state)
{
    ht_gateway_config config = {.connections_per_address_max = 4};
    struct visitor v[6];

    (void)state;
    gate_stop(&gate);
    gate_start(&gate, &config);
    for (unsigned i = 0; i < 6; i++) {
        hello(&v[i]);
        cut(&v[i]);
        wait_detached(i < 4 ? i + 1 : 4);
    }
    WAIT_FOR(gate_metric(&gate, "hardtack_gateway_sessions_dropped_total") ==
             2);
    expect_resumed(&v[0]);
    expect_afresh(&v[5], "session");
    web_close(&v[0].web);
    web_close(&v[5].web);
}

/* The oldest makes room, whoever it is. */
static void test_the_oldest_makes_room(void **state)
{
    /* Two loops: two may wait on each. */
    ht_gateway_config config = {.connections_max = 4};
    struct visitor v[20];

    (void)state;
    gate_stop(&gate);
    gate_start(&gate, &config);
    for (unsigned i = 0; i < 20; i++) {
        hello(&v[i]);
        cut(&v[i]);
        WAIT_FOR(gate_metric(&gate, "hardtack_gateway_websockets") == 0);
    }
    WAIT_FOR(gate_metric(&gate, "hardtack_gateway_sessions_detached") <= 4);
    expect_resumed(&v[19]);
    expect_afresh(&v[0], "session");
    web_close(&v[19].web);
    web_close(&v[0].web);
}

/* The gateway ends while clients are detached, attached, and on their way. */
static void test_the_end_with_clients(void **state)
{
    struct visitor v[12];

    (void)state;
    for (int i = 0; i < 12; i++) {
        hello(&v[i]);
        if (i % 2 == 0) {
            cut(&v[i]);
        }
    }
    for (int i = 0; i < 12; i += 4) {
        char ask[300];

        web_socket(&v[i].web, gate.port);
        snprintf(ask, sizeof(ask),
                 "{\"type\":\"resume\",\"resume\":\"%s\",\"received\":0}",
                 v[i].token);
        web_text(&v[i].web, ask);
    }
    ht_gateway_free(gate.gateway);
    gate.gateway = NULL;
    for (int i = 1; i < 12; i += 2) {
        web_expect_close(&v[i].web, 1001);
        web_close(&v[i].web);
    }
    for (int i = 0; i < 12; i += 4) {
        web_close(&v[i].web);
    }
}

static void test_clients_are_told_of_a_drain(void **state)
{
    struct visitor v;

    (void)state;
    hello(&v);
    ht_gateway_drain(gate.gateway, 10);
    web_expect(&v.web, "\"drain\"");
    web_text(&v.web, "{\"to\":\"echo\",\"payload\":\"hi\"}");
    web_expect(&v.web, "\"hi\"");
    web_close(&v.web);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_missed_messages_come_in_order_and_once),
           T(test_what_was_on_its_way_comes_again),
           T(test_again_and_again),
           T(test_resumed_while_the_first_still_stands),
           T(test_half_open),
           T(test_the_actor_stays_the_same),
           T(test_too_much_missed_is_afresh),
           T(test_acknowledged_messages_are_not_kept),
           T(test_tokens_that_open_nothing),
           T(test_a_token_is_good_once),
           T(test_another_encoding_is_afresh),
           T(test_a_goodbye_ends_the_session),
           T(test_a_page_that_goes_away_may_come_back),
           T(test_without_hello_nothing_is_kept),
           T(test_grace_ends),
           T(test_too_many_are_away),
           T(test_the_oldest_makes_room),
           T(test_the_end_with_clients),
           T(test_clients_are_told_of_a_drain))
