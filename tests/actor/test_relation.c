/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors and links between local actors. */
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

static void monitor(ht_actor *self, void *arg)
{
    struct tracer *p = ht_state(self);

    p->err = ht_monitor(self, *(const ht_ref *)arg, &p->number);
}

static void demonitor(ht_actor *self, void *arg)
{
    struct tracer *p = ht_state(self);

    (void)arg;
    p->err = ht_demonitor(self, p->number);
}

static void link_to(ht_actor *self, void *arg)
{
    ((struct tracer *)ht_state(self))->err =
        ht_link(self, *(const ht_ref *)arg);
}

static void unlink_from(ht_actor *self, void *arg)
{
    ((struct tracer *)ht_state(self))->err =
        ht_unlink(self, *(const ht_ref *)arg);
}

static void trap(ht_actor *self, void *arg)
{
    (void)arg;
    ht_trap_exit(self, true);
}

static void
step(struct tracer *p, void (*fn)(ht_actor *, void *), const void *arg)
{
    tracer_do(node, p, fn, arg);
    host_run(&host);
}

static void test_a_monitor_tells_once(void **state)
{
    (void)state;
    step(&a, monitor, &b.ref);
    CHECK_OK(a.err);
    CHECK_OK(ht_stop(node, b.ref, "done"));
    host_run(&host);
    TRACER_CHECK(&a, "down(normal:done) ");
    step(&a, demonitor, NULL);
    CHECK_ERR(a.err, HT_ENOENT);
}

static void test_two_monitors_tell_twice(void **state)
{
    (void)state;
    step(&a, monitor, &b.ref);
    step(&a, monitor, &b.ref);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    TRACER_CHECK(&a, "down(killed:killed) down(killed:killed) ");
}

static void test_a_demonitored_end_is_not_told(void **state)
{
    (void)state;
    step(&a, monitor, &b.ref);
    step(&a, demonitor, NULL);
    CHECK_OK(a.err);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    TRACER_CHECK(&a, "");
}

static void kill_b_then_demonitor(ht_actor *self, void *arg)
{
    (void)arg;
    demonitor(self, NULL);
}

/* The down is in the mailbox, behind the step that demonitors. */
static void test_demonitor_with_the_down_on_its_way(void **state)
{
    (void)state;
    step(&a, monitor, &b.ref);
    CHECK_OK(ht_kill(node, b.ref));
    /* b is first in the queue, but the step is before the down. */
    tracer_do(node, &a, kill_b_then_demonitor, NULL);
    host_run(&host);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "");
}

static void test_a_monitor_of_the_dead_tells_at_once(void **state)
{
    ht_ref none = {0};

    (void)state;
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    step(&a, monitor, &b.ref);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "down(noproc:) ");
    step(&a, monitor, &none);
    TRACER_CHECK(&a, "down(noproc:) ");
}

static void test_a_monitor_of_oneself_is_never_heard(void **state)
{
    (void)state;
    step(&a, monitor, &a.ref);
    CHECK_OK(a.err);
    CHECK_OK(ht_stop(node, a.ref, NULL));
    host_run(&host);
    TRACER_CHECK(&a, "end(normal:) ");
}

static void test_a_watcher_that_ends_is_forgotten(void **state)
{
    (void)state;
    step(&a, monitor, &b.ref);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    TRACER_CHECK(&a, "end(killed:killed) ");
}

static void test_an_abnormal_end_takes_the_linked_with_it(void **state)
{
    (void)state;
    step(&a, link_to, &b.ref);
    CHECK_OK(a.err);
    b.ret = HT_EIO;
    CHECK_OK(ht_cast(node, b.ref, "x", NULL, 0));
    host_run(&host);
    TRACER_CHECK(&a, "end(failed:input or output failed) ");
}

static void test_a_link_works_both_ways(void **state)
{
    (void)state;
    step(&a, link_to, &b.ref);
    CHECK_OK(ht_kill(node, a.ref));
    host_run(&host);
    TRACER_CHECK(&b, "end(killed:killed) ");
}

static void test_normal_ends_do_not_spread(void **state)
{
    (void)state;
    step(&a, link_to, &b.ref);
    CHECK_OK(ht_stop(node, b.ref, NULL));
    host_run(&host);
    TRACER_CHECK(&a, "");
    CHECK(ht_is_alive(node, a.ref));
    b = (struct tracer){.echo = false};
    tracer_spawn(node, &b, NULL);
    step(&a, link_to, &b.ref);
    CHECK_OK(ht_drain(node, b.ref));
    host_run(&host);
    CHECK(ht_is_alive(node, a.ref));
}

static void test_a_trapping_actor_hears_of_every_end(void **state)
{
    (void)state;
    step(&a, trap, NULL);
    step(&a, link_to, &b.ref);
    CHECK_OK(ht_stop(node, b.ref, "bye"));
    host_run(&host);
    TRACER_CHECK(&a, "exit(normal:bye) ");
    b = (struct tracer){.echo = false};
    tracer_spawn(node, &b, NULL);
    step(&a, link_to, &b.ref);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    TRACER_CHECK(&a, "exit(killed:killed) ");
}

static void test_trap_exit_by_option(void **state)
{
    static struct tracer t;

    (void)state;
    t = (struct tracer){.echo = false};
    tracer_spawn(node, &t, &(ht_spawn_opts){.trap_exit = true});
    step(&t, link_to, &b.ref);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    TRACER_CHECK(&t, "exit(killed:killed) ");
}

static void test_linking_twice_is_one_link(void **state)
{
    (void)state;
    step(&a, trap, NULL);
    step(&a, link_to, &b.ref);
    step(&b, link_to, &a.ref);
    step(&a, link_to, &a.ref);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    TRACER_CHECK(&a, "exit(killed:killed) ");
}

static void test_unlinked_ends_are_not_told(void **state)
{
    (void)state;
    step(&a, link_to, &b.ref);
    step(&b, unlink_from, &a.ref);
    CHECK_OK(b.err);
    step(&a, unlink_from, &b.ref);
    CHECK_ERR(a.err, HT_ENOENT);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    CHECK(ht_is_alive(node, a.ref));
}

static void test_unlink_with_the_exit_on_its_way(void **state)
{
    (void)state;
    step(&a, link_to, &b.ref);
    CHECK_OK(ht_kill(node, b.ref));
    tracer_do(node, &a, unlink_from, &b.ref);
    host_run(&host);
    CHECK_OK(a.err);
    CHECK(ht_is_alive(node, a.ref));
}

static void test_a_link_to_the_dead_is_an_exit(void **state)
{
    (void)state;
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    step(&a, link_to, &b.ref);
    CHECK_OK(a.err);
    TRACER_CHECK(&a, "end(noproc:) ");
}

static void test_ends_spread_along_a_chain(void **state)
{
    enum { N = 200 };
    static struct tracer chain[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        chain[i] = (struct tracer){.echo = false};
        tracer_spawn(node, &chain[i], NULL);
        if (i > 0) {
            step(&chain[i], link_to, &chain[i - 1].ref);
        }
    }
    CHECK_OK(ht_kill(node, chain[N / 2].ref));
    host_run(&host);
    for (int i = 0; i < N; i++) {
        TRACER_CHECK(&chain[i], "end(killed:killed) ");
    }
}

static void send_and_end(ht_actor *self, void *arg)
{
    CHECK_OK(ht_cast(ht_actor_node(self), *(const ht_ref *)arg, "1", 0, 0));
    CHECK_OK(ht_cast(ht_actor_node(self), *(const ht_ref *)arg, "2", 0, 0));
    CHECK_OK(ht_kill(ht_actor_node(self), ht_self(self)));
}

static void test_a_down_does_not_overtake_messages(void **state)
{
    (void)state;
    step(&a, monitor, &b.ref);
    step(&b, send_and_end, &a.ref);
    TRACER_CHECK(&a, "1() 2() down(killed:killed) ");
}

static void test_outside_a_handler_nothing_is_watched(void **state)
{
    uint64_t id;

    (void)state;
    CHECK_ERR(ht_monitor(NULL, a.ref, &id), HT_EINVAL);
    CHECK_ERR(ht_demonitor(NULL, 1), HT_EINVAL);
    CHECK_ERR(ht_link(NULL, a.ref), HT_EINVAL);
    CHECK_ERR(ht_unlink(NULL, a.ref), HT_EINVAL);
    CHECK_ERR(ht_notify_writable(NULL, a.ref), HT_EINVAL);
}

static void watch_nodes(ht_actor *self, void *arg)
{
    CHECK_OK(ht_monitor_nodes(self, arg != NULL));
}

static void test_node_events_go_to_those_who_asked(void **state)
{
    ht_event event = {.u.node = {.event = HT_NODE_READY, .name = "n@h"}};

    (void)state;
    step(&a, watch_nodes, &host);
    step(&a, watch_nodes, &host);
    step(&b, watch_nodes, &host);
    hti_rt_node_event(node, &event);
    host_run(&host);
    TRACER_CHECK(&a, "node(n@h) ");
    TRACER_CHECK(&b, "node(n@h) ");
    step(&a, watch_nodes, NULL);
    CHECK_OK(ht_kill(node, b.ref));
    host_run(&host);
    hti_rt_node_event(node, &event);
    host_run(&host);
    TRACER_CHECK(&a, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_a_monitor_tells_once),
           T(test_two_monitors_tell_twice),
           T(test_a_demonitored_end_is_not_told),
           T(test_demonitor_with_the_down_on_its_way),
           T(test_a_monitor_of_the_dead_tells_at_once),
           T(test_a_monitor_of_oneself_is_never_heard),
           T(test_a_watcher_that_ends_is_forgotten),
           T(test_an_abnormal_end_takes_the_linked_with_it),
           T(test_a_link_works_both_ways),
           T(test_normal_ends_do_not_spread),
           T(test_a_trapping_actor_hears_of_every_end),
           T(test_trap_exit_by_option),
           T(test_linking_twice_is_one_link),
           T(test_unlinked_ends_are_not_told),
           T(test_unlink_with_the_exit_on_its_way),
           T(test_a_link_to_the_dead_is_an_exit),
           T(test_ends_spread_along_a_chain),
           T(test_a_down_does_not_overtake_messages),
           T(test_outside_a_handler_nothing_is_watched),
           T(test_node_events_go_to_those_who_asked))
