/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime on real threads: what was sent is handled in order, what was
 * asked is answered. */
#include <time.h>

#include "tests/actor/threads.h"

/* ---- casts: conservation and order -----------------------------------------
 */

struct sink {
    atomic_ulong handled;
    uint32_t next[SENDERS]; /* the actor's own */
};

struct numbered {
    uint32_t sender, number;
};

static ht_err sink_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct sink *sink = ht_state(self);
    struct numbered n;

    memcpy(&n, ht_msg_args(msg).data, sizeof(n));
    CHECK(n.number == sink->next[n.sender]);
    sink->next[n.sender]++;
    atomic_fetch_add(&sink->handled, 1);
    if (call.id != 0) {
        CHECK_OK(ht_reply_ok(self, call, &n, sizeof(n)));
    }
    return HT_OK;
}

static const ht_behavior sink_behavior = {.handle = sink_handle};

#define CASTS 20000

static void *cast_many(void *arg)
{
    struct sender *s = arg;
    struct numbered n = {.sender = s->index};

    while (n.number < CASTS) {
        ht_err err = ht_cast(node, s->to, "n", &n, sizeof(n));

        if (err == HT_EBUSY) {
            s->refused++;
            sched_yield();
            continue;
        }
        CHECK_OK(err);
        n.number++;
    }
    return NULL;
}

static void test_fan_in_loses_nothing_and_keeps_order(void **state)
{
    struct sink sink = {0};
    struct sender senders[SENDERS];
    struct hti_rt_stats stats;
    unsigned long refused = 0;
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &sink_behavior, &sink,
                      &(ht_spawn_opts){.mailbox_messages_max = 64}, &ref));
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.index = i, .to = ref};
    }
    run_threads(cast_many, senders, sizeof(senders[0]));
    wait_for(&sink.handled, SENDERS * CASTS);
    for (int i = 0; i < SENDERS; i++) {
        refused += senders[i].refused;
    }
    hti_rt_stats(node, &stats);
    CHECK(stats.dropped == refused);
    while (!hti_rt_is_idle(node)) {
        sched_yield();
    }
}

/* ---- ping-pong, ring
 * --------------------------------------------------------- */

static void run_ring(unsigned actors, unsigned tokens, uint32_t hops)
{
    static struct hop ring[200];
    ht_ref refs[200];
    atomic_ulong done = 0;

    for (unsigned i = 0; i < actors; i++) {
        ring[i].done = &done;
        CHECK_OK(ht_spawn(node, &hop_behavior, &ring[i], NULL, &refs[i]));
    }
    for (unsigned i = 0; i < actors; i++) {
        ring[i].next = refs[(i + 1) % actors];
    }
    for (unsigned i = 0; i < tokens; i++) {
        CHECK_OK(ht_cast(node, refs[i % actors], "hop", &hops, sizeof(hops)));
    }
    wait_for(&done, tokens);
}

static void test_ping_pong(void **state)
{
    (void)state;
    run_ring(2, 1, 20000);
}

static void test_a_ring_with_many_tokens(void **state)
{
    (void)state;
    run_ring(200, 50, 400);
}

/* ---- calls that wait
 * ---------------------------------------------------------- */

static void *call_many(void *arg)
{
    struct sender *s = arg;

    for (uint32_t i = 0; i < 2000; i++) {
        struct numbered n = {.sender = s->index, .number = i};
        ht_reply reply;

        CHECK_OK(ht_call_wait(node, s->to, "n", &n, sizeof(n), 0, &reply));
        CHECK(reply.len == sizeof(n) && memcmp(reply.data, &n, sizeof(n)) == 0);
        ht_reply_fini(&reply);
    }
    return NULL;
}

static void test_threads_call_and_wait(void **state)
{
    struct sink sink = {0};
    struct sender senders[SENDERS];
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &sink_behavior, &sink, NULL, &ref));
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.index = i, .to = ref};
    }
    run_threads(call_many, senders, sizeof(senders[0]));
    CHECK(atomic_load(&sink.handled) == SENDERS * 2000);
}

static void test_a_thread_calls_a_name(void **state)
{
    struct sink sink = {0};
    struct numbered n = {0};
    ht_reply reply;

    (void)state;
    CHECK_OK(ht_spawn(node, &sink_behavior, &sink,
                      &(ht_spawn_opts){.name = "sink"}, NULL));
    CHECK_OK(
        ht_call_name_wait(node, NULL, "sink", "n", &n, sizeof(n), 0, &reply));
    CHECK(reply.len == sizeof(n));
    ht_reply_fini(&reply);
    CHECK_ERR(
        ht_call_name_wait(node, NULL, "nobody", "n", &n, sizeof(n), 0, &reply),
        HT_ENOPROC);
    CHECK(reply.err == HT_ENOPROC && reply.reason != NULL);
    ht_reply_fini(&reply);
    CHECK_ERR(ht_call_name_wait(node, "no@body", "sink", "n", &n, sizeof(n), 0,
                                &reply),
              HT_ENOCONN);
    CHECK_ERR(ht_call_wait(node, (ht_ref){0}, "n", NULL, 0, 0, &reply),
              HT_ENOPROC);
    ht_reply_fini(&reply);
}

static ht_err try_wait(ht_actor *self, const ht_msg *msg, ht_call call)
{
    atomic_ulong *refused = ht_state(self);
    ht_reply reply;

    (void)msg;
    (void)call;
    CHECK_ERR(ht_call_wait(node, ht_self(self), "n", NULL, 0, 0, &reply),
              HT_EINVAL);
    atomic_fetch_add(refused, 1);
    return HT_OK;
}

static const ht_behavior try_wait_behavior = {.handle = try_wait};

static void test_a_handler_may_not_wait(void **state)
{
    atomic_ulong refused = 0;
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &try_wait_behavior, &refused, NULL, &ref));
    CHECK_OK(ht_cast(node, ref, "try", NULL, 0));
    wait_for(&refused, 1);
}

/* ---- spawning
 * -------------------------------------------------------------------- */

static ht_err maybe_init(ht_actor *self, void *arg)
{
    (void)self;
    return (uintptr_t)arg % 3 == 0 ? HT_EIO : HT_OK;
}

static const ht_behavior maybe_behavior = {.init = maybe_init};

static void *spawn_many(void *arg)
{
    (void)arg;
    for (uintptr_t i = 0; i < 600; i++) {
        ht_ref ref;
        ht_err err = ht_spawn(node, &maybe_behavior, (void *)i, NULL, &ref);

        CHECK(err == (i % 3 == 0 ? HT_EIO : HT_OK));
        if (err == HT_OK) {
            CHECK_OK(ht_cast(node, ref, "nobody", NULL, 0));
            CHECK_OK(ht_kill(node, ref));
        }
    }
    return NULL;
}

static void test_threads_spawn_and_kill(void **state)
{
    (void)state;
    run_threads(spawn_many, NULL, 0);
    while (!hti_rt_is_quiet(node)) {
        sched_yield();
    }
}

CHECK_MAIN(T(test_fan_in_loses_nothing_and_keeps_order),
           T(test_ping_pong),
           T(test_a_ring_with_many_tokens),
           T(test_threads_call_and_wait),
           T(test_a_thread_calls_a_name),
           T(test_a_handler_may_not_wait),
           T(test_threads_spawn_and_kill))
