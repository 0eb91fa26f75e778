/* SPDX-License-Identifier: Apache-2.0 */
/* test_heartbeat.c - pings and pongs, and when a peer is dead. */
#include "tests/session/fixture.h"

#define P1 "000000000000000e1a0c1a0a0a0808011080cab5ee01"
#define P2 "000000000000000e1a0c220a0a0808011080cab5ee01"

#define H1                                                                     \
    "00000000000000340a320a300a106e6f64655f61406c6f63616c686f7374120208011a0e" \
    "6c6f63616c686f73743a3831393820888e98a8c0e0808101"
#define H4                                                                     \
    "000000000000002c0a2a2a2808effdb6f50d1220143e00d9d3b31d9d24452f85ac044489" \
    "53081a02ed02272e592c5b13cd422ef7"

/* Ours, with a ractor node as its peer. */
static void open_ractor(struct side *b, uint64_t ping_seed)
{
    static const char *const cookie[] = {"cookie", NULL};

    side_init(b, false, ring_of(NULL, cookie));
    b->config.any_peer = true;
    b->config.ping_seed = ping_seed;
    side_open(b, 0);
    CHECK_OK(feed_hex(b, 0, H1));
    CHECK_OK(feed_hex(b, 0, H4));
    CHECK(side_is(b, HTI_SESSION_OPEN));
    b->out.at = b->out.len;
}

static uint64_t tick(struct side *side, uint64_t now_ms)
{
    uint64_t deadline = 0;

    CHECK_OK(hti_session_tick(side->session, now_ms, &deadline));
    CHECK(deadline > now_ms);
    return deadline;
}

static bool pinged(struct side *side)
{
    bool yes = side->out.at < side->out.len;

    side->out.at = side->out.len;
    return yes;
}

static void test_ractor_peers_are_pinged_at_random(void **state)
{
    struct side a, b, c;
    uint64_t now = 0, low = UINT64_MAX, high = 0;
    bool differs = false;

    (void)state;
    open_ractor(&a, 7);
    open_ractor(&b, 7);
    open_ractor(&c, 8);
    for (unsigned i = 0; i < 300; i++) {
        uint64_t next = tick(&a, now);

        CHECK(tick(&b, now) == next); /* the same seed, the same times */
        differs |= tick(&c, now) != next;
        CHECK(i == 0 || pinged(&a));
        CHECK(next - now >= 1000 && next - now < 5000);
        low = next - now < low ? next - now : low;
        high = next - now > high ? next - now : high;
        if (next - now > 1) {
            CHECK(tick(&a, next - 1) == next && !pinged(&a));
        }
        now = next;
    }
    CHECK(differs && low < 1100 && high > 4900);
    side_fini(&a);
    side_fini(&b);
    side_fini(&c);
}

static void test_hardtack_peers_are_pinged_steadily(void **state)
{
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    for (uint64_t now = 0; now < 20000; now += 1000) {
        CHECK(tick(&a, now) == now + 1000);
        CHECK(pinged(&a) == (now > 0));
        CHECK_OK(feed_hex(&a, now, "0000000000000000"));
    }
    side_fini(&a);
    side_fini(&b);
}

/* The vectors of the specification, both ways. */
static void test_ping_and_pong_vectors(void **state)
{
    struct side a, b;

    (void)state;
    side_init(&a, true, ring_one("cookie"));
    side_init(&b, false, ring_one("cookie"));
    a.config.heartbeat_ms = 1500;
    meet(&a, &b, 0);
    a.out.at = a.out.len;
    b.out.at = b.out.len;
    CHECK(tick(&a, 0) == 1500);
    tick(&a, 1500);
    expect_hex(&a, P1);
    CHECK_OK(feed_hex(&b, 1510, P1));
    expect_hex(&b, P2);
    CHECK_OK(feed_hex(&a, 1520, P2));
    CHECK(a.rtts == 1 && a.rtt_us == 20000);
    expect_hex(&a, "");
    side_fini(&a);
    side_fini(&b);
}

/* The echo is exact, whatever it was. */
static void test_pong_echoes(void **state)
{
    static const struct {
        const char *ping, *pong;
    } cases[] = {
        {"00000000000000041a021a00", "00000000000000041a022200"},
        {"00000000000000061a041a020a00", "00000000000000061a0422020a00"},
        /* seconds -1, nanos -1 */
        {"000000000000001c1a1a1a180a1608ffffffffffffffffff0110ffffffffffffffff"
         "ff01",
         "000000000000001c1a1a22180a1608ffffffffffffffffff0110ffffffffffffffff"
         "ff01"},
    };
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_OK(feed_hex(&a, 0, cases[i].ping));
        expect_hex(&a, cases[i].pong);
    }
    side_fini(&a);
    side_fini(&b);
}

/* A peer that pings without end and reads nothing does not fill our outbox. */
static void test_pongs_are_bounded(void **state)
{
    struct side a, b;
    size_t one;

    (void)state;
    pair_open(&a, &b);
    CHECK_OK(feed_hex(&a, 0, P1));
    one = a.out.len - a.out.at;
    for (unsigned i = 0; i < 5000; i++) {
        CHECK_OK(feed_hex(&a, 500, P1));
    }
    CHECK(a.out.len - a.out.at == 128 * one);
    CHECK_OK(feed_hex(&a, 1500, P1));
    CHECK(a.out.len - a.out.at == 129 * one);
    side_fini(&a);
    side_fini(&b);
}

static ht_err
feed_pong(struct side *side, uint64_t now_ms, int64_t seconds, int32_t nanos)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__Pong pong = HARDTACK__WIRE__PONG__INIT;
    Hardtack__Wire__Timestamp at = HARDTACK__WIRE__TIMESTAMP__INIT;

    at.has_seconds = at.has_nanos = true;
    at.seconds = seconds;
    at.nanos = nanos;
    pong.timestamp = &at;
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PONG;
    m.pong = &pong;
    return feed_frame(side, now_ms, hti_frame_control(&m));
}

static void test_malformed_pongs(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
    } pongs[] = {
        {-1, 0},
        {INT64_MIN, 0},
        {0, -1},
        {0, 1000000000},
        {0, INT32_MIN},
        {INT64_C(253402300800), 0},
        {INT64_MAX, INT32_MAX},
        {5, 1000}, /* later than the newest ping, at 5 s */
        {9, 0},    /* now: not a ping either */
        {1000, 0},
    };
    struct side b;

    (void)state;
    open_ractor(&b, 1);
    CHECK_OK(feed_pong(&b, 10, 0, 0)); /* before any ping */
    tick(&b, 5000);
    CHECK(pinged(&b));
    CHECK_OK(feed_hex(&b, 9000, "00000000000000041a022200")); /* no time */
    for (size_t i = 0; i < sizeof(pongs) / sizeof(pongs[0]); i++) {
        CHECK_OK(feed_pong(&b, 9000, pongs[i].seconds, pongs[i].nanos));
    }
    CHECK(b.rtts == 0 && !pinged(&b));
    /* None of these was an answer: it is not dead for being silent. */
    tick(&b, 100000);
    CHECK_OK(feed_pong(&b, 100000, 5, 0));
    CHECK(b.rtts == 1 && b.rtt_us == 95000000);
    side_fini(&b);
}

static void test_silent_hardtack_peer_is_dead(void **state)
{
    struct side a, b;
    uint64_t deadline;

    (void)state;
    pair_open(&a, &b);
    tick(&a, 1000);
    CHECK_OK(feed_hex(&a, 3000, "00")); /* any byte counts, even one */
    tick(&a, 7999);
    CHECK_ERR(hti_session_tick(a.session, 8000, &deadline), HT_ETIMEDOUT);
    CHECK(side_is(&a, HTI_SESSION_CLOSED));
    CHECK(why_has(&a, "has been silent for 5000 ms"));
    CHECK_ERR(feed_hex(&a, 8001, "00"), HT_ETIMEDOUT);
    side_fini(&a);
    side_fini(&b);
}

static void test_deadline_is_the_nearer_one(void **state)
{
    struct side a, b;

    (void)state;
    side_init(&a, true, ring_one("cookie"));
    side_init(&b, false, ring_one("cookie"));
    a.config.heartbeat_ms = 3000;
    meet(&a, &b, 0);
    CHECK(tick(&a, 0) == 3000);
    CHECK(tick(&a, 3000) == 5000); /* silence, before the next ping */
    side_fini(&a);
    side_fini(&b);
}

/* A ractor node that answers no ping is not given up; one that did is. */
static void test_ractor_peer_once_it_answered(void **state)
{
    struct side b;
    uint64_t deadline;

    (void)state;
    open_ractor(&b, 1);
    for (uint64_t now = 0; now < 100000; now += 500) {
        tick(&b, now);
    }
    CHECK_OK(feed_hex(&b, 100000, P2));
    CHECK(b.rtts == 1);
    tick(&b, 104999);
    CHECK_ERR(hti_session_tick(b.session, 105000, &deadline), HT_ETIMEDOUT);
    side_fini(&b);
}

static void test_infinite(void **state)
{
    struct side a, b;
    uint64_t deadline = 0;

    (void)state;
    side_init(&a, true, ring_one("cookie"));
    side_init(&b, false, ring_one("cookie"));
    a.config.heartbeat_ms = HT_INFINITE;
    a.config.silence_ms = HT_INFINITE;
    a.config.handshake_ms = HT_INFINITE;
    side_open(&a, 0);
    CHECK_OK(hti_session_tick(a.session, UINT32_MAX, &deadline));
    CHECK(deadline == UINT64_MAX);
    side_open(&b, 0);
    converse(&a, &b, 0, SIZE_MAX);
    CHECK_OK(hti_session_tick(a.session, UINT32_MAX, &deadline));
    CHECK(deadline == UINT64_MAX && a.opens == 1);
    side_fini(&a);
    side_fini(&b);
}

/* Whoever did not listen may not say that nobody spoke; but once. */
static void test_after_a_standstill_silence_counts_anew(void **state)
{
    struct side a, b;
    uint64_t deadline;

    (void)state;
    pair_open(&a, &b);
    tick(&a, 1000);
    CHECK_OK(feed_hex(&a, 1500, "00"));
    CHECK(tick(&a, 2000) <= 3000);
    a.out.at = a.out.len;
    deadline = tick(&a, 60000);
    CHECK(pinged(&a));
    CHECK(deadline == 61000);
    while (deadline < 65000) {
        deadline = tick(&a, deadline);
    }
    CHECK_ERR(hti_session_tick(a.session, 65000, &deadline), HT_ETIMEDOUT);
    CHECK(why_has(&a, "has been silent for 5000 ms"));
    side_fini(&a);
    side_fini(&b);
    /* Nor for ever, to a loop that always comes late. */
    pair_open(&a, &b);
    tick(&a, 1000);
    tick(&a, 20000);
    CHECK_ERR(hti_session_tick(a.session, 40000, &deadline), HT_ETIMEDOUT);
    side_fini(&a);
    side_fini(&b);
    /* A little late is no standstill. */
    pair_open(&a, &b);
    tick(&a, 1000);
    tick(&a, 4000);
    CHECK_ERR(hti_session_tick(a.session, 7400, &deadline), HT_ETIMEDOUT);
    side_fini(&a);
    side_fini(&b);
}

CHECK_MAIN(cmocka_unit_test(test_ractor_peers_are_pinged_at_random),
           cmocka_unit_test(test_hardtack_peers_are_pinged_steadily),
           cmocka_unit_test(test_ping_and_pong_vectors),
           cmocka_unit_test(test_pong_echoes),
           cmocka_unit_test(test_pongs_are_bounded),
           cmocka_unit_test(test_malformed_pongs),
           cmocka_unit_test(test_silent_hardtack_peer_is_dead),
           cmocka_unit_test(test_after_a_standstill_silence_counts_anew),
           cmocka_unit_test(test_deadline_is_the_nearer_one),
           cmocka_unit_test(test_ractor_peer_once_it_answered),
           cmocka_unit_test(test_infinite))
