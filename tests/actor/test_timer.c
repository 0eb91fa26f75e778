/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, watched descriptors, and the heap of deadlines. */
#include "actor/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"
#include "tests/lib/tracer.h"

static struct host host;
static ht_node *node;
static struct tracer a, b;

static int setup(void **state)
{
    (void)state;
    node = host_new(&host);
    a = b = (struct tracer){.echo = false};
    tracer_spawn(node, &a, NULL);
    tracer_spawn(node, &b, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_free(&host);
    return 0;
}

static uint32_t after, interval;

static void start(ht_actor *self, void *arg)
{
    a.err = ht_timer_start(self, after, interval, arg, &a.number);
}

static void cancel(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_timer_cancel(self, a.number);
}

static void a_starts(const char *name, uint32_t after_ms, uint32_t interval_ms)
{
    after = after_ms;
    interval = interval_ms;
    tracer_do(node, &a, start, name);
    host_run(&host);
    CHECK_OK(a.err);
}

static void test_timers_fire_in_order_and_once(void **state)
{
    (void)state;
    a_starts("30", 30, 0);
    a_starts("10", 10, 0);
    a_starts("20", 20, 0);
    host_advance(&host, 9);
    TRACER_CHECK(&a, "");
    host_advance(&host, 1);
    TRACER_CHECK(&a, "timer(10) ");
    host_advance(&host, 1000);
    TRACER_CHECK(&a, "timer(20) timer(30) ");
}

static void test_an_interval_repeats_until_cancelled(void **state)
{
    (void)state;
    a_starts("i", 5, 10);
    host_advance(&host, 25);
    TRACER_CHECK(&a, "timer(i) timer(i) timer(i) ");
    tracer_do(node, &a, cancel, NULL);
    host_advance(&host, 100);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "");
    tracer_do(node, &a, cancel, NULL);
    host_run(&host);
    CHECK_ERR(a.err, HT_ENOENT);
}

static void test_an_interval_does_not_pile_up(void **state)
{
    (void)state;
    a_starts("i", 10, 10);
    host.now_ns += UINT64_C(1000000000);
    host_run(&host);
    TRACER_CHECK(&a, "timer(i) ");
    host_advance(&host, 10);
    TRACER_CHECK(&a, "timer(i) ");
}

static void test_a_cancelled_timer_is_not_heard_of(void **state)
{
    (void)state;
    a_starts("x", 10, 0);
    tracer_do(node, &a, cancel, NULL);
    host_advance(&host, 100);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "");
}

/* The event is queued behind the step that cancels. */
static void test_cancel_with_the_event_on_its_way(void **state)
{
    (void)state;
    a_starts("x", 10, 0);
    tracer_do(node, &a, cancel, NULL);
    host.now_ns += 10000000;
    host_run(&host);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "");
    a_starts("i", 10, 10);
    tracer_do(node, &a, cancel, NULL);
    host.now_ns += 10000000;
    host_advance(&host, 100);
    TRACER_CHECK(&a, "");
}

static void test_timers_end_with_their_actor(void **state)
{
    (void)state;
    a_starts("x", 10, 0);
    a_starts("i", 10, 10);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    CHECK(hti_sched_turn(node, 0, 1).deadline_ns == UINT64_MAX);
    TRACER_CHECK(&a, "end(killed:killed) ");
}

static void send_after(ht_actor *self, void *arg)
{
    ht_msg *msg;

    (void)arg;
    CHECK_OK(ht_msg_new("later", "x", 1, &msg));
    CHECK_OK(ht_send_after(self, 20, b.ref, &msg, &a.number));
    CHECK(msg == NULL);
}

static void test_send_after(void **state)
{
    (void)state;
    tracer_do(node, &a, send_after, NULL);
    host_advance(&host, 19);
    TRACER_CHECK(&b, "");
    host_advance(&host, 1);
    TRACER_CHECK(&b, "later(x) ");
    CHECK(ht_ref_equal(b.from, a.ref));
    tracer_do(node, &a, send_after, NULL);
    tracer_do(node, &a, cancel, NULL);
    host_advance(&host, 100);
    TRACER_CHECK(&b, "");
    /* to somebody who is gone by then */
    tracer_do(node, &a, send_after, NULL);
    CHECK_OK(ht_kill(node, b.ref));
    host_advance(&host, 100);
    CHECK(ht_is_alive(node, a.ref));
}

static void bad_timers(ht_actor *self, void *arg)
{
    uint64_t id;
    ht_msg *none = NULL;

    (void)arg;
    CHECK_ERR(ht_timer_start(self, HT_INFINITE, 0, NULL, &id), HT_EINVAL);
    CHECK_ERR(ht_timer_start(self, 1, 0, NULL, NULL), HT_EINVAL);
    CHECK_ERR(ht_send_after(self, 1, b.ref, &none, NULL), HT_EINVAL);
    CHECK_ERR(ht_timer_cancel(self, 12345), HT_ENOENT);
}

static void test_bad_timers(void **state)
{
    uint64_t id;

    (void)state;
    tracer_do(node, &a, bad_timers, NULL);
    host_run(&host);
    CHECK_ERR(ht_timer_start(NULL, 1, 0, NULL, &id), HT_EINVAL);
    CHECK_ERR(ht_timer_cancel(NULL, 1), HT_EINVAL);
}

static void test_an_error_of_on_event_ends_the_actor(void **state)
{
    (void)state;
    a_starts("x", 10, 0);
    a.ret = HT_EPROTO;
    host_advance(&host, 10);
    TRACER_CHECK(&a, "timer(x) end(failed:peer broke the protocol) ");
}

/* ---- the heap ---- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 33;
}

/* Against the obvious: a scan for the smallest. */
static void test_the_heap_gives_the_earliest_whatever_was_disarmed(void **s)
{
    enum { N = 400 };
    static struct hti_alarm alarms[N];
    struct hti_sched sched = {.index = 0};
    uint64_t seed = 7;

    (void)s;
    memset(alarms, 0, sizeof(alarms));
    for (int round = 0; round < 20000; round++) {
        struct hti_alarm *a1 = &alarms[next_random(&seed) % N];
        const struct hti_alarm *least = NULL;

        if (a1->armed) {
            hti_alarm_disarm(&sched, a1);
        } else {
            hti_alarm_arm(&sched, a1, 1 + next_random(&seed) % 1000);
        }
        if (round % 7 != 0) {
            continue;
        }
        for (int i = 0; i < N; i++) {
            if (alarms[i].armed &&
                (least == NULL || alarms[i].deadline_ns < least->deadline_ns)) {
                least = &alarms[i];
            }
        }
        if (least == NULL) {
            CHECK(hti_alarm_due(&sched, UINT64_MAX) == NULL);
            continue;
        }
        CHECK(hti_alarm_due(&sched, least->deadline_ns - 1) == NULL);
        CHECK(hti_alarm_due(&sched, UINT64_MAX)->deadline_ns ==
              least->deadline_ns);
    }
}

/* ---- descriptors ---- */

static ht_err watch_ret;

static ht_err on_ready(ht_actor *self, int fd, int events, void *arg)
{
    (void)self;
    tracer_note(arg, "fd%d(%s%s) ", fd, events & HT_READ ? "r" : "",
                events & HT_WRITE ? "w" : "");
    return watch_ret;
}

static int watch_events;

static void watch(ht_actor *self, void *arg)
{
    (void)arg;
    a.err = ht_watch(self, 3, watch_events, on_ready, &a);
}

static void a_watches(int events)
{
    watch_events = events;
    tracer_do(node, &a, watch, NULL);
    host_run(&host);
}

static void test_a_watched_descriptor(void **state)
{
    (void)state;
    watch_ret = HT_OK;
    a_watches(HT_READ);
    CHECK_OK(a.err);
    CHECK(host_watched(&host, 3) == HT_READ);
    host_ready(&host, 3, HT_READ | HT_WRITE);
    TRACER_CHECK(&a, "fd3(r) ");
    a_watches(HT_READ | HT_WRITE);
    host_ready(&host, 3, HT_READ | HT_WRITE);
    TRACER_CHECK(&a, "fd3(rw) ");
    a_watches(0);
    CHECK_OK(a.err);
    CHECK(host_watched(&host, 3) == 0);
    host_ready(&host, 3, HT_READ);
    TRACER_CHECK(&a, "");
    a_watches(0);
    CHECK_OK(a.err);
}

static void test_readiness_that_is_removed_is_not_heard_of(void **state)
{
    (void)state;
    watch_ret = HT_OK;
    a_watches(HT_READ);
    watch_events = 0;
    tracer_do(node, &a, watch, NULL); /* queued before the readiness */
    host_ready(&host, 3, HT_READ);
    TRACER_CHECK(&a, "");
}

static void test_an_error_of_a_watch_ends_the_actor(void **state)
{
    (void)state;
    watch_ret = HT_EIO;
    a_watches(HT_READ);
    host_ready(&host, 3, HT_READ);
    TRACER_CHECK(&a, "fd3(r) end(failed:input or output failed) ");
    CHECK(host_watched(&host, 3) == 0);
}

static void test_watches_end_with_their_actor(void **state)
{
    (void)state;
    a_watches(HT_READ);
    CHECK_OK(ht_kill(node, a.ref));
    host_ready(&host, 3, HT_READ);
    TRACER_CHECK(&a, "end(killed:killed) ");
    CHECK(host_watched(&host, 3) == 0);
}

static void bad_watches(ht_actor *self, void *arg)
{
    (void)arg;
    CHECK_ERR(ht_watch(self, -1, HT_READ, on_ready, NULL), HT_EINVAL);
    CHECK_ERR(ht_watch(self, 3, 8, on_ready, NULL), HT_EINVAL);
    CHECK_ERR(ht_watch(self, 3, HT_READ, NULL, NULL), HT_EINVAL);
}

static void test_bad_watches(void **state)
{
    (void)state;
    tracer_do(node, &a, bad_watches, NULL);
    host_run(&host);
    host.watch_err = HT_ENOMEM;
    a_watches(HT_READ);
    CHECK_ERR(a.err, HT_ENOMEM);
    CHECK_ERR(ht_watch(NULL, 3, HT_READ, on_ready, NULL), HT_EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_timers_fire_in_order_and_once),
           T(test_an_interval_repeats_until_cancelled),
           T(test_an_interval_does_not_pile_up),
           T(test_a_cancelled_timer_is_not_heard_of),
           T(test_cancel_with_the_event_on_its_way),
           T(test_timers_end_with_their_actor),
           T(test_send_after),
           T(test_bad_timers),
           T(test_an_error_of_on_event_ends_the_actor),
           T(test_the_heap_gives_the_earliest_whatever_was_disarmed),
           T(test_a_watched_descriptor),
           T(test_readiness_that_is_removed_is_not_heard_of),
           T(test_an_error_of_a_watch_ends_the_actor),
           T(test_watches_end_with_their_actor),
           T(test_bad_watches))
