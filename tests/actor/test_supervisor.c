/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors.  What children do is a line of text: "+a" when one starts, "-a"
 * when one ends. */
#include "actor/runtime.h"
#include "base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"

static char lines[4096];
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const char *what, const char *who)
{
    pthread_mutex_lock(&lines_lock);
    if (strlen(lines) + 16 < sizeof lines) {
        strcat(lines, lines[0] != '\0' ? " " : "");
        strcat(lines, what);
        strcat(lines, who);
    }
    pthread_mutex_unlock(&lines_lock);
}

static void check_lines(const char *want)
{
    assert_string_equal(lines, want);
    lines[0] = '\0';
}

/* ---- children --------------------------------------------------------------
 */

struct kid {
    const char *name;
    int starts;
    int fail_from; /* starts that fail: the fail_from-th and on; 0: none */
    int fail_to;   /* up to this one, not included; 0: for ever */
    ht_exit_kind ended;
};

static ht_err kid_init(ht_actor *self, void *arg)
{
    struct kid *kid = arg;
    int n = ++kid->starts;

    if (kid->fail_from != 0 && n >= kid->fail_from &&
        (kid->fail_to == 0 || n < kid->fail_to)) {
        note("!", kid->name);
        return HT_EIO;
    }
    ht_set_state(self, kid);
    note("+", kid->name);
    return HT_OK;
}

static ht_err kid_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    (void)self;
    (void)call;
    return strcmp(ht_msg_variant(msg), "crash") == 0 ? HT_EFAILED : HT_OK;
}

static void kid_terminate(ht_actor *self, const ht_exit *why)
{
    struct kid *kid = ht_state(self);

    kid->ended = why->kind;
    note("-", kid->name);
}

static const ht_behavior kid_behavior = {
    .init = kid_init, .handle = kid_handle, .terminate = kid_terminate};

static struct host host;
static ht_node *node;
static struct kid a, b, c;
static ht_ref sup;

static ht_child_spec child_of(struct kid *kid, ht_restart restart)
{
    ht_child_spec spec = {.id = kid->name,
                          .behavior = &kid_behavior,
                          .arg = kid,
                          .restart = restart};

    return spec;
}

static ht_err start(ht_strategy strategy, ht_restart restart)
{
    const ht_child_spec children[] = {
        child_of(&a, restart), child_of(&b, restart), child_of(&c, restart)};
    const ht_supervisor_spec spec = {
        .strategy = strategy, .children = children, .children_count = 3};

    return ht_supervisor_start(node, &spec, &sup);
}

static void started(ht_strategy strategy, ht_restart restart)
{
    CHECK_OK(start(strategy, restart));
    check_lines("+a +b +c");
}

static ht_ref child(const char *id)
{
    return ht_supervisor_child(node, sup, id);
}

static void crash(const char *id)
{
    CHECK_OK(ht_cast(node, child(id), "crash", NULL, 0));
    host_run(&host);
}

static int setup(void **state)
{
    (void)state;
    lines[0] = '\0';
    a = (struct kid){.name = "a"};
    b = (struct kid){.name = "b"};
    c = (struct kid){.name = "c"};
    node = host_new(&host);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_free(&host);
    return 0;
}

/* ---- starting and stopping
 * --------------------------------------------------- */

static void test_children_start_in_order_and_stop_in_reverse(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    CHECK(ht_is_alive(node, child("b")));
    CHECK_OK(ht_stop(node, sup, NULL));
    host_run(&host);
    check_lines("-c -b -a");
    CHECK(a.ended == HT_EXIT_SHUTDOWN && c.ended == HT_EXIT_SHUTDOWN);
    CHECK(!ht_is_alive(node, sup));
}

static void test_killing_a_supervisor_ends_its_children_in_order(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    CHECK_OK(ht_kill(node, sup));
    host_run(&host);
    check_lines("-c -b -a");
}

static void test_a_node_that_stops_ends_children_in_order(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ALL, HT_PERMANENT);
    hti_rt_stop(node);
    host_run(&host);
    CHECK(hti_rt_is_quiet(node));
    check_lines("-c -b -a");
    CHECK(a.ended == HT_EXIT_SHUTDOWN && c.ended == HT_EXIT_SHUTDOWN);
}

/* Whoever has no patience gets all at once, in any order. */
static void test_a_node_that_is_stopped_twice_waits_for_nobody(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ALL, HT_PERMANENT);
    hti_rt_stop(node);
    hti_rt_stop(node);
    host_run(&host);
    CHECK(hti_rt_is_quiet(node));
    assert_int_equal(strlen(lines), strlen("-a -b -c"));
}

/* A supervisor that an actor has started ends with that actor, or by itself if
 * the two have parted. */
static ht_err nest_init(ht_actor *self, void *arg)
{
    const bool *parts = arg;
    ht_child_spec specs[2] = {child_of(&a, HT_PERMANENT),
                              child_of(&b, HT_PERMANENT)};
    ht_supervisor_spec spec = {.children = specs, .children_count = 2};
    ht_err err = ht_supervisor_start(ht_actor_node(self), &spec, &sup);

    if (err == HT_OK && *parts) {
        ht_unlink(self, sup);
    }
    return err;
}

static void test_a_node_that_stops_ends_nested_supervisors(void **state)
{
    static const ht_behavior nest = {.init = nest_init};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        bool parts = i == 1;

        CHECK_OK(ht_spawn(node, &nest, &parts, NULL, NULL));
        host_run(&host);
        check_lines("+a +b");
    }
    hti_rt_stop(node);
    host_run(&host);
    CHECK(hti_rt_is_quiet(node));
    assert_int_equal(strlen(lines), strlen("-b -a -b -a"));
}

static void test_a_child_that_cannot_start_undoes_those_before(void **state)
{
    (void)state;
    b.fail_from = 1;
    CHECK_ERR(start(HT_ONE_FOR_ONE, HT_PERMANENT), HT_EIO);
    host_run(&host);
    check_lines("+a !b -a");
    CHECK(ht_ref_is_none(sup) || !ht_is_alive(node, sup));
}

static void test_bad_specs_are_refused(void **state)
{
    ht_child_spec child = child_of(&a, HT_PERMANENT), twice[2];
    ht_supervisor_spec spec = {.children = &child, .children_count = 1};

    (void)state;
    twice[0] = twice[1] = child;
    CHECK_ERR(ht_supervisor_start(node, NULL, &sup), HT_EINVAL);
    child.id = NULL;
    CHECK_ERR(ht_supervisor_start(node, &spec, &sup), HT_EINVAL);
    child.id = "a";
    child.behavior = NULL;
    CHECK_ERR(ht_supervisor_start(node, &spec, &sup), HT_EINVAL);
    spec.children = twice;
    spec.children_count = 2;
    CHECK_ERR(ht_supervisor_start(node, &spec, &sup), HT_EEXIST);
    host_run(&host);
    check_lines("+a -a");
}

/* ---- strategies -------------------------------------------------------------
 */

static void test_one_for_one_restarts_the_one(void **state)
{
    ht_ref before;

    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    before = child("b");
    crash("b");
    check_lines("-b +b");
    CHECK(ht_is_alive(node, child("b")));
    CHECK(!ht_ref_equal(child("b"), before));
}

static void test_one_for_all_restarts_all_in_order(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ALL, HT_PERMANENT);
    crash("b");
    check_lines("-b -c -a +a +b +c");
}

static void test_rest_for_one_restarts_those_after(void **state)
{
    (void)state;
    started(HT_REST_FOR_ONE, HT_PERMANENT);
    crash("b");
    check_lines("-b -c +b +c");
    crash("c");
    check_lines("-c +c");
}

/* Two crash before the supervisor has heard of the first. */
static void test_two_that_crash_together_both_come_back(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ALL, HT_PERMANENT);
    CHECK_OK(ht_cast(node, child("a"), "crash", NULL, 0));
    CHECK_OK(ht_cast(node, child("c"), "crash", NULL, 0));
    host_run(&host);
    CHECK(ht_is_alive(node, child("a")));
    CHECK(ht_is_alive(node, child("b")));
    CHECK(ht_is_alive(node, child("c")));
    CHECK(ht_is_alive(node, sup));
}

static void test_a_temporary_child_goes_with_the_others_for_good(void **state)
{
    const ht_child_spec children[] = {child_of(&a, HT_PERMANENT),
                                      child_of(&b, HT_TEMPORARY)};
    const ht_supervisor_spec spec = {
        .strategy = HT_ONE_FOR_ALL, .children = children, .children_count = 2};

    (void)state;
    CHECK_OK(ht_supervisor_start(node, &spec, &sup));
    crash("a");
    check_lines("+a +b -a -b +a");
    CHECK(ht_ref_is_none(child("b")));
}

/* ---- kinds of children
 * -------------------------------------------------------- */

static void test_permanent_children_come_back_whatever_happens(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    CHECK_OK(ht_stop(node, child("b"), NULL));
    host_run(&host);
    check_lines("-b +b");
    CHECK_OK(ht_kill(node, child("b")));
    host_run(&host);
    check_lines("-b +b");
}

static void test_transient_children_come_back_after_trouble_only(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_TRANSIENT);
    crash("a");
    check_lines("-a +a");
    CHECK_OK(ht_stop(node, child("b"), NULL));
    host_run(&host);
    check_lines("-b");
    CHECK(ht_ref_is_none(child("b")));
}

static void test_temporary_children_are_forgotten(void **state)
{
    const ht_child_spec again = child_of(&b, HT_TEMPORARY);

    (void)state;
    started(HT_ONE_FOR_ONE, HT_TEMPORARY);
    crash("b");
    check_lines("-b");
    CHECK_OK(ht_supervisor_add(node, sup, &again));
    host_run(&host);
    check_lines("+b");
}

/* ---- intensity
 * ---------------------------------------------------------------- */

static void test_too_many_restarts_end_the_supervisor(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    for (int i = 0; i < 3; i++) {
        crash("b");
        check_lines("-b +b");
    }
    crash("b");
    check_lines("-b -c -a");
    CHECK(!ht_is_alive(node, sup));
}

static void test_restarts_far_apart_are_no_trouble(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    for (int i = 0; i < 20; i++) {
        crash("b");
        check_lines("-b +b");
        host_advance(&host, 1700);
    }
    CHECK(ht_is_alive(node, sup));
}

static void test_a_failing_restart_is_tried_again(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ONE, HT_PERMANENT);
    b.fail_from = 2;
    b.fail_to = 4;
    crash("b");
    check_lines("-b !b !b +b");
    CHECK(ht_is_alive(node, sup));
}

static void
test_a_child_that_never_starts_again_ends_the_supervisor(void **state)
{
    (void)state;
    started(HT_ONE_FOR_ALL, HT_PERMANENT);
    b.fail_from = 2;
    crash("b");
    /* Three tries, each with all that stand before it; then the end. */
    check_lines("-b -c -a +a !b -a +a !b -a +a !b -a");
    CHECK(!ht_is_alive(node, sup));
}

/* ---- adding and removing
 * -------------------------------------------------------- */

static void test_children_can_be_added_and_removed(void **state)
{
    const ht_supervisor_spec empty = {.name = "sup"};
    ht_child_spec spec = child_of(&a, HT_PERMANENT);

    (void)state;
    CHECK_OK(ht_supervisor_start(node, &empty, &sup));
    CHECK(ht_ref_equal(ht_whereis(node, "sup"), sup));
    spec.opts.name = "registered";
    CHECK_OK(ht_supervisor_add(node, sup, &spec));
    CHECK_OK(ht_supervisor_add(node, sup, &spec)); /* EEXIST, unheard */
    host_run(&host);
    check_lines("+a");
    CHECK(ht_ref_equal(ht_whereis(node, "registered"), child("a")));
    CHECK_OK(ht_supervisor_remove(node, sup, "a"));
    host_run(&host);
    check_lines("-a");
    CHECK(ht_ref_is_none(child("a")));
    CHECK_ERR(ht_supervisor_remove(node, sup, ""), HT_EINVAL);
    CHECK_ERR(ht_supervisor_add(node, sup, NULL), HT_EINVAL);
    CHECK_ERR(ht_supervisor_add(node, (ht_ref){9, 9}, &spec), HT_EINVAL);
}

static void test_an_ordinary_thread_hears_what_became_of_it(void **state)
{
    const ht_supervisor_spec empty = {.name = "sup"};
    struct host_threads threads;
    ht_child_spec spec;

    (void)state;
    lines[0] = '\0';
    a = (struct kid){.name = "a"};
    b = (struct kid){.name = "b", .fail_from = 1};
    node = host_threads_new(&threads, 2);
    CHECK_OK(ht_supervisor_start(node, &empty, &sup));
    spec = child_of(&a, HT_PERMANENT);
    CHECK_OK(ht_supervisor_add(node, sup, &spec));
    check_lines("+a");
    CHECK(ht_is_alive(node, child("a")));
    CHECK_ERR(ht_supervisor_add(node, sup, &spec), HT_EEXIST);
    spec = child_of(&b, HT_PERMANENT);
    CHECK_ERR(ht_supervisor_add(node, sup, &spec), HT_EIO);
    check_lines("!b");
    CHECK_ERR(ht_supervisor_remove(node, sup, "b"), HT_ENOENT);
    CHECK_OK(ht_supervisor_remove(node, sup, "a"));
    check_lines("-a");
    CHECK(ht_ref_is_none(child("a")));
    host_threads_free(&threads);
}

/* Its requests are structs of this process. */
static void test_other_nodes_cannot_reach_a_supervisor(void **state)
{
    const struct hti_view view = {.variant = {"add", 3}, .args = {"x", 1}};
    const ht_supervisor_spec empty = {.name = "sup"};
    struct hti_view to = view;
    ht_err err;

    (void)state;
    CHECK_OK(ht_supervisor_start(node, &empty, &sup));
    to.to = sup.pid;
    err =
        hti_rt_deliver_cast(node, (ht_ref){7, 1}, HTI_AUTHORITY_REMOTABLE, &to);
    CHECK(err != HT_OK);
    err = hti_rt_deliver_cast(node, (ht_ref){7, 1}, HTI_AUTHORITY_ADVERTISED,
                              &to);
    CHECK(err != HT_OK);
    to.to = 0;
    to.to_name = (ht_bytes){"sup", 3};
    err =
        hti_rt_deliver_cast(node, (ht_ref){7, 1}, HTI_AUTHORITY_REMOTABLE, &to);
    CHECK(err != HT_OK);
    host_run(&host);
    CHECK(ht_is_alive(node, sup));
}

/* ---- families
 * -------------------------------------------------------------------- */

static ht_err parent_init(ht_actor *self, void *arg)
{
    (void)self;
    (void)arg;
    return start(HT_ONE_FOR_ONE, HT_PERMANENT);
}

static void test_a_supervisor_ends_with_its_parent(void **state)
{
    static const ht_behavior behavior = {.init = parent_init};
    ht_ref parent;

    (void)state;
    CHECK_OK(ht_spawn(node, &behavior, NULL, NULL, &parent));
    check_lines("+a +b +c");
    CHECK_OK(ht_stop(node, parent, NULL));
    host_run(&host);
    check_lines("-c -b -a");
    CHECK(!ht_is_alive(node, sup));
}

/* Memory may end at any allocation; what is left must be whole. */
static void test_a_start_without_memory_leaves_nothing(void **state)
{
    (void)state;
    for (long n = 1; n < 60; n++) {
        ht_err err;

        hti_alloc_fail_after(n);
        err = start(HT_ONE_FOR_ONE, HT_PERMANENT);
        hti_alloc_fail_after(0);
        if (err == HT_OK) {
            CHECK_OK(ht_stop(node, sup, NULL));
        }
        host_run(&host);
        assert_int_equal(hti_rt_is_quiet(node), true);
        lines[0] = '\0';
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

CHECK_MAIN(TEST(test_children_start_in_order_and_stop_in_reverse),
           TEST(test_killing_a_supervisor_ends_its_children_in_order),
           TEST(test_a_node_that_stops_ends_children_in_order),
           TEST(test_a_node_that_is_stopped_twice_waits_for_nobody),
           TEST(test_a_node_that_stops_ends_nested_supervisors),
           TEST(test_a_child_that_cannot_start_undoes_those_before),
           TEST(test_bad_specs_are_refused),
           TEST(test_one_for_one_restarts_the_one),
           TEST(test_one_for_all_restarts_all_in_order),
           TEST(test_rest_for_one_restarts_those_after),
           TEST(test_two_that_crash_together_both_come_back),
           TEST(test_a_temporary_child_goes_with_the_others_for_good),
           TEST(test_permanent_children_come_back_whatever_happens),
           TEST(test_transient_children_come_back_after_trouble_only),
           TEST(test_temporary_children_are_forgotten),
           TEST(test_too_many_restarts_end_the_supervisor),
           TEST(test_restarts_far_apart_are_no_trouble),
           TEST(test_a_failing_restart_is_tried_again),
           TEST(test_a_child_that_never_starts_again_ends_the_supervisor),
           TEST(test_children_can_be_added_and_removed),
           cmocka_unit_test(test_an_ordinary_thread_hears_what_became_of_it),
           TEST(test_other_nodes_cannot_reach_a_supervisor),
           TEST(test_a_supervisor_ends_with_its_parent),
           TEST(test_a_start_without_memory_leaves_nothing))
