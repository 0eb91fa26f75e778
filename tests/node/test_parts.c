/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of a node by themselves: addresses, deadlines, and the places
 * of those who have proved nothing. */
#include "node/address.h"
#include "node/pending.h"
#include "node/timer.h"
#include "tests/node/fixture.h"

/* ---- addresses ---------------------------------------------------------- */

static void parses(const char *text, const char *host, int port)
{
    struct hti_address address;
    const char *why = NULL;

    CHECK_OK(hti_address_parse(text, &address, &why));
    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
}

static void parses_not(const char *text)
{
    struct hti_address address;
    const char *why = NULL;

    CHECK_ERR(hti_address_parse(text, &address, &why), HT_EINVAL);
    CHECK(why != NULL);
}

static void test_addresses(void **state)
{
    struct hti_address address;
    const char *why;
    char longer[400];

    (void)state;
    parses("host:1", "host", 1);
    parses("10.0.0.1:65535", "10.0.0.1", 65535);
    parses("[::1]:80", "::1", 80);
    CHECK_OK(hti_address_parse("unix:/run/x", &address, &why));
    CHECK(address.is_unix);
    assert_string_equal(address.path.sun_path, "/run/x");
    parses_not("");
    parses_not("host");
    parses_not(":80");
    parses_not("host:");
    parses_not("host:0");
    parses_not("host:65536");
    parses_not("host: 80");
    parses_not("host:80x");
    parses_not("host:+80");
    parses_not("::1:80");
    parses_not("[::1:80");
    parses_not("[]:80");
    parses_not("[:80");
    parses_not("unix:");
    parses_not("unix:x");
    memset(longer, 'a', sizeof(longer));
    memcpy(longer + 300, ":80", 4);
    parses_not(longer);
    memcpy(longer, "unix:/", 6);
    parses_not(longer);
}

static struct sockaddr_storage ip(const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        in.sin_port = htons(5);
        memcpy(&address, &in, sizeof(in));
    } else {
        CHECK(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1);
        in6.sin6_port = htons(5);
        memcpy(&address, &in6, sizeof(in6));
    }
    return address;
}

static bool same_key(const char *a, const char *b)
{
    struct sockaddr_storage sa = ip(a), sb = ip(b);
    uint8_t ka[HTI_ADDRESS_KEY_BYTES], kb[HTI_ADDRESS_KEY_BYTES];

    hti_sockaddr_key(&sa, ka);
    hti_sockaddr_key(&sb, kb);
    return memcmp(ka, kb, sizeof(ka)) == 0;
}

static void test_who_is_behind(void **state)
{
    struct sockaddr_storage address = ip("::ffff:1.2.3.4");
    char text[64];

    (void)state;
    CHECK(same_key("1.2.3.4", "::ffff:1.2.3.4"));
    CHECK(!same_key("1.2.3.4", "1.2.3.5"));
    CHECK(same_key("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    CHECK(!same_key("2001:db8:1:2::1", "2001:db8:1:3::1"));
    CHECK(!same_key("::1", "0.0.0.1"));
    assert_string_equal(hti_sockaddr_format(&address, text, sizeof(text)),
                        "1.2.3.4:5");
    address = ip("::1");
    assert_string_equal(hti_sockaddr_format(&address, text, sizeof(text)),
                        "[::1]:5");
}

/* ---- deadlines ---------------------------------------------------------- */

#define TIMERS 500

static uint64_t last_fired;
static unsigned fired;

static void in_order(struct hti_timer *timer, uint64_t now_ms)
{
    CHECK(timer->at_ms >= last_fired);
    CHECK(timer->at_ms <= now_ms);
    last_fired = timer->at_ms;
    fired++;
}

static void test_timers_in_order(void **state)
{
    static struct hti_timer timers[TIMERS];
    struct hti_timers heap = {0};
    uint64_t seed = 12345;

    (void)state;
    assert_true(hti_timers_next(&heap) == UINT64_MAX);
    for (unsigned i = 0; i < TIMERS; i++) {
        CHECK_OK(hti_timer_attach(&heap, &timers[i], in_order));
    }
    /* Set, moved, some taken out again. */
    for (unsigned i = 0; i < 5 * TIMERS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (seed >> 62 == 0) {
            hti_timer_unset(&heap, &timers[(seed >> 33) % TIMERS]);
        } else {
            hti_timer_set(&heap, &timers[(seed >> 33) % TIMERS],
                          (seed >> 20) % 1000);
        }
    }
    for (uint64_t now = 0; now < 1000; now += 10) {
        hti_timers_run(&heap, now);
        CHECK(hti_timers_next(&heap) > now);
    }
    hti_timers_run(&heap, 1000);
    assert_true(hti_timers_next(&heap) == UINT64_MAX);
    CHECK(fired > TIMERS / 4);
    for (unsigned i = 0; i < TIMERS; i++) {
        hti_timer_detach(&heap, &timers[i]);
        hti_timer_detach(&heap, &timers[i]);
    }
    hti_timers_fini(&heap);
}

static struct hti_timers *again_heap;

static void again(struct hti_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    fired++;
    hti_timer_set(again_heap, timer, 0);
}

/* A timer that sets itself into the past does not keep the loop. */
static void test_timer_that_comes_again(void **state)
{
    struct hti_timers heap = {0};
    struct hti_timer timer = {0};

    (void)state;
    again_heap = &heap;
    fired = 0;
    CHECK_OK(hti_timer_attach(&heap, &timer, again));
    hti_timer_set(&heap, &timer, 5);
    assert_int_equal(hti_timers_run(&heap, 10), 1);
    assert_int_equal(hti_timers_run(&heap, 10), 1);
    assert_int_equal(fired, 2);
    hti_timer_detach(&heap, &timer);
    hti_timers_fini(&heap);
}

/* ---- strangers ---------------------------------------------------------- */

static struct hti_pending_entry *evicted[16];
static unsigned evicted_count;

static void evict(struct hti_pending_entry *entry)
{
    evicted[evicted_count++] = entry;
}

static void test_pending_limits(void **state)
{
    struct hti_pending pending;
    struct hti_pending_entry e[8] = {0};

    (void)state;
    hti_pending_init(&pending, 5, 2, evict);
    for (unsigned i = 0; i < 8; i++) {
        e[i].key[0] = 4;
    }
    /* The third of one address: its own oldest goes. */
    assert_int_equal(hti_pending_add(&pending, &e[0]), 0);
    assert_int_equal(hti_pending_add(&pending, &e[1]), 0);
    assert_int_equal(hti_pending_add(&pending, &e[2]), 1);
    CHECK(evicted_count == 1 && evicted[0] == &e[0]);
    /* The sixth of all: the oldest of all. */
    for (unsigned i = 3; i < 7; i++) {
        e[i].key[1] = (uint8_t)i;
        hti_pending_add(&pending, &e[i]);
    }
    CHECK(evicted_count == 2 && evicted[1] == &e[1]);
    /* Trusted ones count no more; Unix sockets have no address. */
    hti_pending_remove(&pending, &e[2]);
    hti_pending_remove(&pending, &e[2]);
    e[7].key[0] = 0;
    assert_int_equal(hti_pending_add(&pending, &e[7]), 0);
    for (unsigned i = 0; i < 8; i++) {
        hti_pending_remove(&pending, &e[i]);
    }
    hti_pending_fini(&pending);
}

static void test_offenders(void **state)
{
    struct hti_pending pending;
    uint8_t guesser[HTI_ADDRESS_KEY_BYTES] = {4, 1};
    uint8_t other[HTI_ADDRESS_KEY_BYTES] = {4, 2};
    uint8_t local[HTI_ADDRESS_KEY_BYTES] = {0};

    (void)state;
    hti_pending_init(&pending, 5, 2, evict);
    for (unsigned i = 0; i < HTI_OFFENCES_MAX; i++) {
        CHECK(!hti_pending_is_barred(&pending, guesser, 1000));
        hti_pending_blame(&pending, guesser, 1000);
        hti_pending_blame(&pending, local, 1000);
    }
    CHECK(hti_pending_is_barred(&pending, guesser, 1000));
    CHECK(!hti_pending_is_barred(&pending, other, 1000));
    CHECK(!hti_pending_is_barred(&pending, local, 1000));
    CHECK(hti_pending_is_barred(&pending, guesser,
                                1000 + HTI_OFFENCE_PERIOD_MS - 1));
    CHECK(!hti_pending_is_barred(&pending, guesser,
                                 1000 + HTI_OFFENCE_PERIOD_MS));
    /* More addresses than places: the newest are remembered. */
    for (unsigned i = 0; i < 3 * HTI_OFFENDERS_MAX; i++) {
        other[1] = (uint8_t)(i + 10);
        for (unsigned j = 0; j < HTI_OFFENCES_MAX; j++) {
            hti_pending_blame(&pending, other, 20000 + i);
        }
        CHECK(hti_pending_is_barred(&pending, other, 20000 + i));
    }
    hti_pending_fini(&pending);
}

CHECK_MAIN(cmocka_unit_test(test_addresses),
           cmocka_unit_test(test_who_is_behind),
           cmocka_unit_test(test_timers_in_order),
           cmocka_unit_test(test_timer_that_comes_again),
           cmocka_unit_test(test_pending_limits),
           cmocka_unit_test(test_offenders))
