/* SPDX-License-Identifier: Apache-2.0 */
/* Life of actors: spawn, stop, kill, drain, errors, the node's end. */
#include "tests/lib/check.h"
#include "tests/lib/host.h"
#include "tests/lib/tracer.h"

static struct host host;
static ht_node *node;

static int setup(void **state)
{
    (void)state;
    node = host_new(&host);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_free(&host);
    return 0;
}

static void test_spawn_runs_init_at_once(void **state)
{
    static struct tracer p = {.echo = false};
    ht_ref ref = tracer_spawn(node, &p, NULL);

    (void)state;
    CHECK(ref.node == HOST_HANDLE && ref.pid >= 1);
    CHECK(ht_is_alive(node, ref));
    CHECK(!ht_is_alive(node, (ht_ref){0}));
    CHECK(!ht_is_alive(node, (ht_ref){.node = 99, .pid = ref.pid}));
    CHECK_OK(ht_cast(node, ref, "hello", "x", 1));
    host_run(&host);
    TRACER_CHECK(&p, "hello(x) ");
    CHECK(ht_ref_is_none(p.from));
}

static void test_failed_init_leaves_nothing(void **state)
{
    static struct tracer p = {.init_err = HT_EIO};
    struct hti_rt_stats stats;
    ht_ref ref = {0};

    (void)state;
    CHECK_ERR(ht_spawn(node, &tracer_behavior, &p,
                       &(ht_spawn_opts){.name = "taken"}, &ref),
              HT_EIO);
    CHECK(ht_ref_is_none(ref));
    CHECK(ht_ref_is_none(ht_whereis(node, "taken")));
    TRACER_CHECK(&p, "");
    hti_rt_stats(node, &stats);
    CHECK(stats.actors == 0);
}

static void test_spawn_refuses_bad_arguments(void **state)
{
    static struct tracer p = {.echo = false};
    ht_spawn_opts link = {.link = true};
    ht_spawn_opts named = {.name = "one"};

    (void)state;
    CHECK_ERR(ht_spawn(NULL, &tracer_behavior, &p, NULL, NULL), HT_EINVAL);
    CHECK_ERR(ht_spawn(node, NULL, &p, NULL, NULL), HT_EINVAL);
    CHECK_ERR(ht_spawn(node, &tracer_behavior, &p, &link, NULL), HT_EINVAL);
    tracer_spawn(node, &p, &named);
    CHECK_ERR(ht_spawn(node, &tracer_behavior, &p, &named, NULL), HT_EEXIST);
    CHECK(ht_ref_equal(ht_whereis(node, "one"), p.ref));
}

static void test_without_init_the_state_is_the_argument(void **state)
{
    static const ht_behavior bare;
    int x = 0;
    ht_ref ref;

    (void)state;
    CHECK_OK(ht_spawn(node, &bare, &x, NULL, &ref));
    CHECK_OK(ht_cast(node, ref, "nobody handles this", NULL, 0));
    host_run(&host);
    CHECK(ht_is_alive(node, ref));
}

static void test_stop_ends_after_the_current_message(void **state)
{
    static struct tracer p = {.echo = false};
    ht_ref ref = tracer_spawn(node, &p, NULL);

    (void)state;
    CHECK_OK(ht_cast(node, ref, "a", NULL, 0));
    CHECK_OK(ht_stop(node, ref, "enough"));
    CHECK_OK(ht_stop(node, ref, "twice"));
    host_run(&host);
    TRACER_CHECK(&p, "end(normal:enough) ");
    CHECK(!ht_is_alive(node, ref));
    CHECK_ERR(ht_stop(node, ref, NULL), HT_ENOPROC);
    CHECK_ERR(ht_kill(node, ref), HT_ENOPROC);
    CHECK_ERR(ht_drain(node, ref), HT_ENOPROC);
    CHECK_ERR(ht_cast(node, ref, "a", NULL, 0), HT_ENOPROC);
}

static void test_kill_wins_over_stop(void **state)
{
    static struct tracer p = {.echo = false};
    ht_ref ref = tracer_spawn(node, &p, NULL);

    (void)state;
    CHECK_OK(ht_stop(node, ref, "enough"));
    CHECK_OK(ht_kill(node, ref));
    host_run(&host);
    TRACER_CHECK(&p, "end(killed:killed) ");
}

static void test_drain_handles_what_is_queued_and_refuses_more(void **state)
{
    static struct tracer p = {.echo = false};
    ht_ref ref = tracer_spawn(node, &p, NULL);

    (void)state;
    CHECK_OK(ht_cast(node, ref, "a", NULL, 0));
    CHECK_OK(ht_cast(node, ref, "b", NULL, 0));
    CHECK_OK(ht_drain(node, ref));
    CHECK_ERR(ht_cast(node, ref, "c", NULL, 0), HT_ENOPROC);
    host_run(&host);
    TRACER_CHECK(&p, "a() b() end(drained:drained) ");
}

static void test_drain_of_more_than_one_turn(void **state)
{
    static struct tracer p = {.echo = false};
    ht_ref ref = tracer_spawn(node, &p, NULL);

    (void)state;
    for (int i = 0; i < 300; i++) {
        CHECK_OK(ht_cast(node, ref, "", NULL, 0));
    }
    CHECK_OK(ht_drain(node, ref));
    host_run(&host);
    CHECK(strlen(p.trace) == 300 * 3 + strlen("end(drained:drained) "));
}

static void test_an_error_of_a_handler_ends_the_actor(void **state)
{
    static struct tracer p = {.ret = HT_EIO};
    ht_ref ref = tracer_spawn(node, &p, NULL);

    (void)state;
    CHECK_OK(ht_cast(node, ref, "a", NULL, 0));
    CHECK_OK(ht_cast(node, ref, "b", NULL, 0));
    host_run(&host);
    TRACER_CHECK(&p, "a() end(failed:input or output failed) ");
    CHECK(!ht_is_alive(node, ref));
}

static void test_a_refused_message_does_not_end_the_actor(void **state)
{
    static struct tracer p = {.ret = HT_ENOVARIANT};
    ht_ref ref = tracer_spawn(node, &p, NULL);
    struct hti_rt_stats stats;

    (void)state;
    CHECK_OK(ht_cast(node, ref, "a", NULL, 0));
    host_run(&host);
    p.ret = HT_EARGS;
    CHECK_OK(ht_cast(node, ref, "b", NULL, 0));
    host_run(&host);
    TRACER_CHECK(&p, "a() b() ");
    CHECK(ht_is_alive(node, ref));
    hti_rt_stats(node, &stats);
    CHECK(stats.dropped == 2);
}

static void test_a_pid_is_not_used_again(void **state)
{
    ht_ref refs[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct tracer p = {.echo = false};

        refs[i] = tracer_spawn(node, &p, NULL);
        CHECK_OK(ht_kill(node, refs[i]));
        host_run(&host);
        for (int j = 0; j < i; j++) {
            CHECK(refs[j].pid != refs[i].pid);
            CHECK(!ht_is_alive(node, refs[j]));
        }
    }
}

/* ---- inside ---- */

struct nest {
    struct tracer outer, inner;
    ht_ref self_of_inner;
};

static ht_err inner_init(ht_actor *self, void *arg)
{
    struct nest *nest = arg;

    CHECK(ht_current() == self);
    nest->self_of_inner = ht_self(self);
    ht_set_state(self, &nest->inner);
    return nest->inner.init_err;
}

static void spawn_inner(ht_actor *self, void *arg)
{
    struct nest *nest = arg;
    static ht_behavior behavior;

    behavior = tracer_behavior;
    behavior.init = inner_init;
    nest->outer.err =
        ht_spawn(ht_actor_node(self), &behavior, nest,
                 &(ht_spawn_opts){.link = true}, &nest->inner.ref);
    CHECK(ht_current() == self);
}

static void test_spawn_in_a_handler_is_inline(void **state)
{
    static struct nest nest;

    (void)state;
    memset(&nest, 0, sizeof(nest));
    tracer_spawn(node, &nest.outer, NULL);
    tracer_do(node, &nest.outer, spawn_inner, &nest);
    host_run(&host);
    CHECK_OK(nest.outer.err);
    CHECK(ht_ref_equal(nest.self_of_inner, nest.inner.ref));
    /* linked: the end of one is the end of the other */
    CHECK_OK(ht_kill(node, nest.outer.ref));
    host_run(&host);
    TRACER_CHECK(&nest.inner, "end(killed:killed) ");
}

static void test_a_linked_child_that_fails_to_start_is_only_an_error(void **s)
{
    static struct nest nest;

    (void)s;
    memset(&nest, 0, sizeof(nest));
    nest.inner.init_err = HT_EIO;
    tracer_spawn(node, &nest.outer, NULL);
    tracer_do(node, &nest.outer, spawn_inner, &nest);
    host_run(&host);
    CHECK_ERR(nest.outer.err, HT_EIO);
    CHECK(ht_is_alive(node, nest.outer.ref));
    TRACER_CHECK(&nest.outer, "");
}

static void stop_self(ht_actor *self, void *arg)
{
    (void)arg;
    CHECK_OK(ht_stop(ht_actor_node(self), ht_self(self), NULL));
}

static void test_an_actor_stops_itself(void **state)
{
    static struct tracer p = {.echo = false};

    (void)state;
    tracer_spawn(node, &p, NULL);
    tracer_do(node, &p, stop_self, NULL);
    host_run(&host);
    TRACER_CHECK(&p, "end(normal:) ");
}

/* ---- the node ---- */

static void last_words(ht_actor *self, struct tracer *tracer)
{
    struct tracer *other = (struct tracer *)tracer->number;

    (void)!ht_cast(ht_actor_node(self), other->ref, "bye", NULL, 0);
}

static void test_terminate_may_send_and_is_heard_before_the_down(void **state)
{
    static struct tracer p = {.on_terminate = last_words};
    static struct tracer q = {.echo = false};

    (void)state;
    tracer_spawn(node, &p, NULL);
    tracer_spawn(node, &q, NULL);
    p.number = (uintptr_t)&q;
    CHECK_OK(ht_kill(node, p.ref));
    host_run(&host);
    TRACER_CHECK(&q, "bye() ");
    CHECK(ht_ref_equal(q.from, p.ref));
}

static void test_stop_of_the_node_ends_all_and_refuses_more(void **state)
{
    static struct tracer p, q;

    (void)state;
    tracer_spawn(node, &p, NULL);
    tracer_spawn(node, &q, NULL);
    CHECK(!hti_rt_is_quiet(node));
    hti_rt_stop(node);
    CHECK_ERR(ht_spawn(node, &tracer_behavior, &p, NULL, NULL), HT_ECLOSED);
    host_run(&host);
    TRACER_CHECK(&p, "end(shutdown:node is stopping) ");
    TRACER_CHECK(&q, "end(shutdown:node is stopping) ");
    CHECK(hti_rt_is_quiet(node));
}

static void test_free_ends_whoever_is_left(void **state)
{
    static struct tracer p = {.echo = false};

    (void)state;
    tracer_spawn(node, &p, NULL);
    CHECK_OK(ht_cast(node, p.ref, "a", NULL, 0));
    hti_rt_free(node);
    host.node = NULL;
    TRACER_CHECK(&p, "end(shutdown:node is stopping) ");
}

static void test_idle_means_nothing_queued_and_nothing_open(void **state)
{
    static struct tracer p = {.echo = false};

    (void)state;
    tracer_spawn(node, &p, NULL);
    host_run(&host);
    CHECK(hti_rt_is_idle(node));
    CHECK_OK(ht_cast(node, p.ref, "a", NULL, 0));
    CHECK(!hti_rt_is_idle(node));
    host_run(&host);
    CHECK(hti_rt_is_idle(node));
}

static void count(const ht_actor_info *info, void *arg)
{
    unsigned *n = arg;

    (*n)++;
    assert_string_equal(info->name, "listed");
    CHECK(info->mailbox_messages == 2 && info->mailbox_bytes == 5);
    CHECK(info->handled == 1 && info->dropped == 1);
}

static void test_each_shows_names_and_counts(void **state)
{
    static struct tracer p = {.echo = false};
    unsigned n = 0;

    (void)state;
    tracer_spawn(node, &p,
                 &(ht_spawn_opts){.name = "listed", .mailbox_messages_max = 2});
    CHECK_OK(ht_cast(node, p.ref, "z", NULL, 0));
    host_run(&host);
    CHECK_OK(ht_cast(node, p.ref, "a", "bc", 2));
    CHECK_OK(ht_cast(node, p.ref, "d", "e", 1));
    CHECK_ERR(ht_cast(node, p.ref, "f", NULL, 0), HT_EBUSY);
    ht_actor_each(node, count, &n);
    CHECK(n == 1);
}

static void test_new_refuses_a_wrong_configuration(void **state)
{
    struct host h = {.now_ns = 1};
    struct hti_rt_config config = host_config(&h, "x");

    (void)state;
    config.scheds = 0;
    CHECK_ERR(host_start(&h, &config), HT_EINVAL);
    config.scheds = HTI_SCHEDS_MAX + 1;
    CHECK_ERR(host_start(&h, &config), HT_EINVAL);
    config.scheds = 2; /* but single-threaded */
    CHECK_ERR(host_start(&h, &config), HT_EINVAL);
    config = host_config(&h, NULL);
    CHECK_ERR(host_start(&h, &config), HT_EINVAL);
    hti_rt_free(NULL);
}

static void test_refs_travel_by_instance(void **state)
{
    static struct tracer p = {.echo = false};
    uint8_t instance[16], other[16] = {9};
    ht_ref ref;

    (void)state;
    tracer_spawn(node, &p, NULL);
    CHECK_OK(hti_rt_ref_out(node, p.ref, instance));
    CHECK_OK(hti_rt_ref_in(node, instance, p.ref.pid, &ref));
    CHECK(ht_ref_equal(ref, p.ref));
    CHECK_ERR(hti_rt_ref_out(node, (ht_ref){0}, instance), HT_EINVAL);
    CHECK_ERR(hti_rt_ref_in(node, other, 1, &ref), HT_EINVAL);
}

static void set_service(ht_actor *self, void *arg)
{
    hti_actor_set_service(self, arg);
}

static void test_what_hangs_on_an_actor_goes_with_it(void **state)
{
    static struct tracer p = {.echo = false};
    static const int descriptor;

    (void)state;
    tracer_spawn(node, &p, NULL);
    CHECK(hti_rt_actor_service(node, p.ref.pid) == NULL);
    tracer_do(node, &p, set_service, &descriptor);
    host_run(&host);
    CHECK(hti_rt_actor_service(node, p.ref.pid) == &descriptor);
    CHECK_OK(ht_kill(node, p.ref));
    host_run(&host);
    CHECK(hti_rt_actor_service(node, p.ref.pid) == NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

CHECK_MAIN(T(test_spawn_runs_init_at_once),
           T(test_failed_init_leaves_nothing),
           T(test_spawn_refuses_bad_arguments),
           T(test_without_init_the_state_is_the_argument),
           T(test_stop_ends_after_the_current_message),
           T(test_kill_wins_over_stop),
           T(test_drain_handles_what_is_queued_and_refuses_more),
           T(test_drain_of_more_than_one_turn),
           T(test_an_error_of_a_handler_ends_the_actor),
           T(test_a_refused_message_does_not_end_the_actor),
           T(test_a_pid_is_not_used_again),
           T(test_spawn_in_a_handler_is_inline),
           T(test_a_linked_child_that_fails_to_start_is_only_an_error),
           T(test_an_actor_stops_itself),
           T(test_terminate_may_send_and_is_heard_before_the_down),
           T(test_stop_of_the_node_ends_all_and_refuses_more),
           T(test_free_ends_whoever_is_left),
           T(test_idle_means_nothing_queued_and_nothing_open),
           T(test_each_shows_names_and_counts),
           T(test_new_refuses_a_wrong_configuration),
           T(test_refs_travel_by_instance),
           T(test_what_hangs_on_an_actor_goes_with_it))
