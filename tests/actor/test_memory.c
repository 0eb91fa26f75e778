/* SPDX-License-Identifier: Apache-2.0 */
/* Out of memory: a scenario that touches everything, failing at every
 * allocation in turn.  Nothing leaks, nothing hangs, every call ends. */
#include "base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"
#include "tests/lib/tracer.h"

static struct host host;
static ht_node *node;
static struct tracer a, b;
static int asked, answered;

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    (void)self;
    (void)reply;
    (void)arg;
    answered++;
}

static void everything(ht_actor *self, void *arg)
{
    uint64_t id, timer, call;
    ht_msg *msg = NULL;

    (void)arg;
    ht_trap_exit(self, true);
    (void)!ht_monitor(self, b.ref, &id);
    (void)!ht_monitor(self, b.ref, &id);
    (void)!ht_link(self, b.ref);
    (void)!ht_timer_start(self, 1, 2, NULL, &timer);
    (void)!ht_timer_start(self, 1, 0, NULL, &id);
    (void)!ht_watch(self, 3, HT_READ, NULL, NULL);
    (void)ht_notify_writable(self, b.ref);
    (void)!ht_monitor_nodes(self, true);
    for (int i = 0; i < 20; i++) {
        if (ht_call_async(self, b.ref, i % 2 ? "a" : "b", "data", 4, 50,
                          on_reply, NULL, &call) == HT_OK) {
            asked++;
        }
    }
    if (ht_msg_new("m", "x", 1, &msg) == HT_OK) {
        (void)!ht_msg_set_metadata(msg, "meta", 4);
        (void)!ht_send_after(self, 1, b.ref, &msg, NULL);
        ht_msg_free(msg);
    }
    (void)!ht_cast(ht_actor_node(self), b.ref, "c", NULL, 0);
}

static void answer_some(ht_actor *self, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < b.calls_count / 2; i++) {
        (void)ht_reply_ok(self, b.calls[i], "some data", 9);
    }
    (void)ht_reply_error(self, b.calls[b.calls_count / 2], HT_EFAILED, "words");
}

static void scenario(void)
{
    ht_event event = {.u.node = {.event = HT_NODE_READY, .name = "n@h"}};
    struct hti_rt_config config;

    host = (struct host){.now_ns = 1000000000, .random = 1};
    a = b = (struct tracer){.echo = false};
    asked = answered = 0;
    config = host_config(&host, "memory@localhost");
    if (host_start(&host, &config) != HT_OK) {
        return;
    }
    node = host.node;
    (void)!ht_spawn(node, &tracer_behavior, &a, &(ht_spawn_opts){.name = "a"},
                    &a.ref);
    (void)!ht_spawn(node, &tracer_behavior, &b, &(ht_spawn_opts){.name = "b"},
                    &b.ref);
    tracer_do(node, &a, everything, NULL);
    host_run(&host);
    if (b.calls_count > 0) {
        tracer_do(node, &b, answer_some, NULL);
    }
    hti_rt_node_event(node, &event);
    host_advance(&host, 10);
    (void)ht_stop(node, b.ref, "with words");
    host_advance(&host, 1000);
    /* Unless the caller itself could not be: every call has ended. */
    CHECK(answered == asked);
    host_free(&host);
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    for (long n = 1; n < 200; n++) {
        hti_alloc_fail_after(n);
        scenario();
    }
    hti_alloc_fail_after(0);
    scenario();
    CHECK(asked == 20 && answered == 20);
}

static void call_b(ht_actor *self, void *arg)
{
    (void)arg;
    CHECK_OK(
        ht_call_async(self, b.ref, "q", NULL, 0, 0, tracer_on_reply, &a, NULL));
}

static void answer_without_memory(ht_actor *self, void *arg)
{
    (void)arg;
    hti_alloc_fail_after(1);
    CHECK_OK(ht_reply_ok(self, b.calls[0], "some data", 9));
    hti_alloc_fail_after(0);
}

static void test_a_reply_without_memory_is_an_error(void **state)
{
    (void)state;
    node = host_new(&host);
    a = b = (struct tracer){.echo = false};
    tracer_spawn(node, &a, NULL);
    tracer_spawn(node, &b, NULL);
    tracer_do(node, &a, call_b, NULL);
    host_run(&host);
    tracer_do(node, &b, answer_without_memory, NULL);
    host_run(&host);
    TRACER_CHECK(&a, "reply(HT_ENOMEM:) ");
    host_free(&host);
}

CHECK_MAIN(cmocka_unit_test(test_every_allocation_fails_once),
           cmocka_unit_test(test_a_reply_without_memory_is_an_error))
