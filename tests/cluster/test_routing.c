/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, groups, monitors and links between two connected nodes. */
#include "tests/lib/check.h"
#include "tests/lib/probe.h"

/* Two nodes, a probe on each in group "g"; refs as the other node sees them.
 * One at a time. */
static struct pipe_world *w;
static struct pipe_node *a, *b;
static struct probe pa, pb;
static ht_ref to_a, to_b; /* pa as b sees it, pb as a sees it */

static bool find_remote(struct pipe_node *n, const char *group, ht_ref *ret)
{
    ht_ref refs[16];
    size_t count = ht_group_members(n->node, NULL, group, refs, 16);

    for (size_t i = 0; i < count && i < 16; i++) {
        if (refs[i].node != HTI_LOCAL_HANDLE) {
            *ret = refs[i];
            return true;
        }
    }
    return false;
}

static size_t members(const struct pipe_node *n, const char *group)
{
    ht_ref ref;

    return ht_group_members(n->node, NULL, group, &ref, 1);
}

static void start_pair(const struct pipe_opts *a_opts,
                       const struct pipe_opts *b_opts)
{
    w = pipe_new(7);
    a = pipe_start(w, "a", a_opts);
    b = pipe_start(w, "b", b_opts);
    memset(&pa, 0, sizeof pa);
    memset(&pb, 0, sizeof pb);
    pa.trap_exit = true;
    CHECK_OK(probe_spawn(a, "pa", false, &pa));
    CHECK_OK(probe_spawn(b, "pb", false, &pb));
    CHECK_OK(ht_group_join(a->node, "g", pa.ref));
    CHECK_OK(ht_group_join(b->node, "g", pb.ref));
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(find_remote(a, "g", &to_b));
    CHECK(find_remote(b, "g", &to_a));
}

static void note_calls(const ht_peer_info *info, void *arg)
{
    *(uint64_t *)arg += info->calls_in_flight;
}

static uint64_t calls_of(struct pipe_node *n)
{
    uint64_t calls = 0;

    ht_peer_each(n->node, note_calls, &calls);
    return calls;
}

/* ---- groups -------------------------------------------------------------- */

static void test_groups_are_seen_both_ways(void **state)
{
    struct probe more = {0};

    (void)state;
    start_pair(NULL, NULL);
    CHECK(members(a, "g") == 2 && members(b, "g") == 2);
    /* Later changes, too. */
    CHECK_OK(probe_spawn(b, NULL, false, &more));
    CHECK_OK(ht_group_join(b->node, "g", more.ref));
    CHECK_OK(ht_group_join_scoped(b->node, "s", "h", more.ref));
    pipe_settle(w);
    CHECK(members(a, "g") == 3);
    CHECK(ht_group_members(a->node, "s", "h", &to_b, 1) == 1);
    CHECK_OK(ht_group_leave(b->node, "g", more.ref));
    pipe_settle(w);
    CHECK(members(a, "g") == 2);
    CHECK(ht_group_members(a->node, "s", "h", &to_b, 1) == 1);
    pipe_free(w);
}

static void test_an_actor_that_ends_leaves_its_groups(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(ht_kill(b->node, pb.ref));
    pipe_settle(w);
    CHECK(members(a, "g") == 1 && members(b, "g") == 1);
    pipe_free(w);
}

static void test_what_is_local_only_is_not_shown(void **state)
{
    struct probe hidden = {0};

    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_spawn(b, "hidden", true, &hidden));
    CHECK_OK(ht_group_join(b->node, "g", hidden.ref));
    pipe_settle(w);
    CHECK(members(b, "g") == 3 && members(a, "g") == 2);
    pipe_free(w);
}

static void test_groups_empty_and_fill_with_the_link(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    for (unsigned i = 0; i < 3; i++) {
        pipe_cut(a, b);
        pipe_settle(w);
        CHECK(members(a, "g") == 1 && members(b, "g") == 1);
        pipe_run(w, 200);
        CHECK(members(a, "g") == 2 && members(b, "g") == 2);
    }
    pipe_free(w);
}

/* More than fits into one frame of either kind. */
static void test_a_large_directory_is_synced(void **state)
{
    enum { MANY = 3000 };
    static struct probe many[MANY];

    (void)state;
    w = pipe_new(8);
    a = pipe_start(w, "a", NULL);
    b = pipe_start(w, "b", NULL);
    memset(many, 0, sizeof many);
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];

        snprintf(name, sizeof name, "actor-%u", i);
        CHECK_OK(probe_spawn(b, name, false, &many[i]));
        CHECK_OK(ht_group_join(b->node, "many", many[i].ref));
    }
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(members(a, "many") == MANY);
    pipe_stop(b);
    CHECK(members(a, "many") == 0);
    pipe_free(w);
}

/* ---- casts and calls ----------------------------------------------------- */

static void test_cast(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_cast(a, &pa, to_b, "Hello"));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    assert_string_equal(pb.variant, "Hello");
    CHECK(ht_ref_equal(pb.from, to_a)); /* and can be answered */
    CHECK_OK(probe_cast(b, &pb, pb.from, "Back"));
    pipe_settle(w);
    CHECK(pa.casts == 1);
    CHECK_OK(ht_cast(a->node, to_b, "FromThread", "x", 1));
    pipe_settle(w);
    CHECK(pb.casts == 2 && ht_ref_is_none(pb.from));
    pipe_free(w);
}

static void test_call(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_call(a, &pa, to_b, "echo", "10 + 5", 0));
    CHECK(calls_of(a) == 1);
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_err == HT_OK);
    assert_string_equal(pa.reply, "10 + 5");
    CHECK(calls_of(a) == 0);
    pipe_free(w);
}

static void test_errors_of_the_callee_are_told(void **state)
{
    struct probe gone = {0}, hidden = {0};
    ht_ref ref;

    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_call(a, &pa, to_b, "fail", "", 0));
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_err == HT_EFAILED);
    assert_string_equal(pa.reply_reason, "division by zero");
    CHECK_OK(probe_call(a, &pa, to_b, "Nope", "", 0));
    pipe_settle(w);
    CHECK(pa.replies == 2 && pa.reply_err == HT_ENOVARIANT);
    ref = (ht_ref){to_b.node, pb.ref.pid + 1000};
    CHECK_OK(probe_call(a, &pa, ref, "echo", "", 0));
    pipe_settle(w);
    CHECK(pa.replies == 3 && pa.reply_err == HT_ENOPROC);
    CHECK_OK(probe_spawn(b, NULL, true, &hidden));
    ref.pid = hidden.ref.pid;
    CHECK_OK(probe_call(a, &pa, ref, "echo", "", 0));
    pipe_settle(w);
    CHECK(pa.replies == 4);
    CHECK(pa.reply_err == HT_EDENIED || pa.reply_err == HT_ENOPROC);
    CHECK(hidden.calls == 0);
    /* Held by an actor that then ends. */
    CHECK_OK(probe_spawn(b, NULL, false, &gone));
    ref.pid = gone.ref.pid;
    CHECK_OK(probe_call(a, &pa, ref, "hold", "", HT_INFINITE));
    pipe_settle(w);
    CHECK(gone.calls == 1 && pa.replies == 4);
    CHECK_OK(ht_kill(b->node, gone.ref));
    pipe_settle(w);
    CHECK(pa.replies == 5 && pa.reply_err != HT_OK);
    CHECK(calls_of(a) == 0);
    pipe_free(w);
}

static void test_call_times_out(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_call(a, &pa, to_b, "hold", "", 300));
    pipe_run(w, 250);
    CHECK(pa.replies == 0 && pb.calls == 1);
    pipe_run(w, 100);
    CHECK(pa.replies == 1);
    CHECK(pa.reply_err == HT_ETIMEDOUT || pa.reply_err == HT_EEXPIRED);
    (void)probe_reply_held(b, &pb);
    pipe_run(w, 100);
    CHECK(pa.replies == 1 && calls_of(a) == 0);
    pipe_free(w);
}

static void test_node_down_fails_calls_at_once(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_call(a, &pa, to_b, "hold", "", HT_INFINITE));
    pipe_settle(w);
    CHECK(pb.calls == 1);
    pipe_cut(a, b);
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_err == HT_ENODEDOWN);
    /* The late answer goes only to the connection the call came by. */
    pipe_run(w, 200);
    CHECK_OK(probe_call(a, &pa, to_b, "echo", "again", 0));
    (void)probe_reply_held(b, &pb);
    pipe_settle(w);
    CHECK(pa.replies == 2 && pa.reply_err == HT_OK);
    assert_string_equal(pa.reply, "again");
    CHECK(calls_of(a) == 0);
    pipe_free(w);
}

static void test_refs_survive_a_reconnect_not_a_restart(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    pipe_cut(a, b);
    CHECK_ERR(ht_cast(a->node, to_b, "x", NULL, 0), HT_ENOCONN);
    CHECK(!ht_is_alive(a->node, to_b));
    pipe_run(w, 200);
    CHECK(ht_is_alive(a->node, to_b));
    CHECK_OK(probe_cast(a, &pa, to_b, "Still"));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    pipe_stop(b);
    b = pipe_start(w, "b", NULL);
    pipe_run(w, 60000);
    memset(&pb, 0, sizeof pb);
    CHECK_OK(probe_spawn(b, "pb", false, &pb));
    CHECK_ERR(ht_cast(a->node, to_b, "x", NULL, 0), HT_ENOPROC);
    CHECK_ERR(probe_call(a, &pa, to_b, "echo", "", 0), HT_ENOPROC);
    pipe_settle(w);
    CHECK(pb.casts == 0);
    pipe_free(w);
}

static void test_call_and_cast_by_name(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_call_name(a, &pa, "b@test", "pb", "echo", "by name"));
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_err == HT_OK);
    assert_string_equal(pa.reply, "by name");
    CHECK_OK(probe_call_name(a, &pa, "b@test", "nobody", "echo", ""));
    pipe_settle(w);
    CHECK(pa.replies == 2 && pa.reply_err == HT_ENOPROC);
    CHECK_ERR(probe_call_name(a, &pa, "c@test", "pb", "echo", ""), HT_ENOCONN);
    CHECK_OK(ht_cast_name(a->node, "b@test", "pb", "Hi", NULL, 0));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    pipe_free(w);
}

static void add_refused(const ht_peer_info *info, void *arg)
{
    *(uint64_t *)arg += info->calls_refused;
}

static uint64_t refused_calls_of(const struct pipe_node *n)
{
    uint64_t refused = 0;

    ht_peer_each(n->node, add_refused, &refused);
    return refused;
}

static void test_calls_in_flight_are_bounded(void **state)
{
    struct pipe_opts opts = {.calls_max = 3};

    (void)state;
    start_pair(&opts, NULL);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(probe_call(a, &pa, to_b, "hold", "", 1000));
    }
    CHECK_ERR(probe_call(a, &pa, to_b, "echo", "", 0), HT_EBUSY);
    CHECK(refused_calls_of(a) == 1);
    pipe_run(w, 1500);
    CHECK(pa.replies == 3 && calls_of(a) == 0);
    CHECK_OK(probe_call(a, &pa, to_b, "echo", "", 0));
    pipe_settle(w);
    CHECK(pa.replies == 4 && pa.reply_err == HT_OK);
    pipe_free(w);
}

/* ---- size and speed ------------------------------------------------------ */

static void test_large_messages_go_in_pieces(void **state)
{
    enum { LARGE = 20 * 1024 * 1024 };
    struct pipe_opts opts = {.outbox_bytes_max = 64 * 1024 * 1024};
    char *data = calloc(1, LARGE);

    (void)state;
    start_pair(&opts, &opts);
    CHECK_OK(ht_cast(a->node, to_b, "Large", data, LARGE));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    assert_string_equal(pb.variant, "Large");
    /* Less than the mailbox takes, more than a piece: in order. */
    CHECK_OK(ht_cast(a->node, to_b, "Medium", data, 900000));
    CHECK_OK(ht_cast(a->node, to_b, "Small", data, 1));
    pipe_settle(w);
    CHECK(pb.casts == 3);
    assert_string_equal(pb.variant, "Small");
    CHECK_OK(probe_call(a, &pa, to_b, "large", "20000000", 0));
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_len == 20000000);
    free(data);
    pipe_free(w);
}

static void test_too_large_is_an_error(void **state)
{
    struct pipe_opts opts = {.frame_max = 128 * 1024,
                             .message_max = 1024 * 1024};
    char *data = calloc(1, 2 * 1024 * 1024);

    (void)state;
    start_pair(&opts, &opts);
    CHECK_OK(ht_cast(a->node, to_b, "x", data, 1000 * 1000));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    CHECK_ERR(ht_cast(a->node, to_b, "x", data, 1024 * 1024), HT_ETOOBIG);
    CHECK_ERR(ht_cast(a->node, to_b, "x", data, 2 * 1024 * 1024), HT_ETOOBIG);
    CHECK_OK(probe_call(a, &pa, to_b, "large", "2000000", 0));
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_err == HT_ETOOBIG);
    free(data);
    pipe_free(w);
}

static void test_a_full_outbox_refuses_and_tells(void **state)
{
    struct pipe_opts opts = {.outbox_bytes_max = 10000};
    char data[1000] = {0};
    ht_err err = HT_OK;

    (void)state;
    start_pair(&opts, NULL);
    pipe_stall(a, b, true);
    for (unsigned i = 0; i < 100 && err == HT_OK; i++) {
        err = ht_cast(a->node, to_b, "x", data, sizeof data);
    }
    assert_int_equal(err, HT_EBUSY);
    CHECK_OK(probe_notify_writable(a, &pa, to_b));
    pipe_settle(w);
    CHECK(pa.writables == 0);
    pipe_stall(a, b, false);
    pipe_settle(w);
    CHECK(pa.writables == 1 && pb.casts == 9);
    CHECK_OK(ht_cast(a->node, to_b, "x", data, sizeof data));
    /* Asked while there is room: told at once. */
    CHECK_OK(probe_notify_writable(a, &pa, to_b));
    pipe_settle(w);
    CHECK(pa.writables == 2);
    /* And told when there will be none any more. */
    pipe_stall(a, b, true);
    do {
        err = ht_cast(a->node, to_b, "x", data, sizeof data);
    } while (err == HT_OK);
    CHECK_OK(probe_notify_writable(a, &pa, to_b));
    pipe_cut(a, b);
    pipe_settle(w);
    CHECK(pa.writables == 3);
    CHECK_ERR(probe_notify_writable(a, &pa, to_b), HT_ENOCONN);
    pipe_free(w);
}

/* ---- monitors, links, stops ---------------------------------------------- */

static void test_monitor_of_a_remote_actor(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_monitor(a, &pa, to_b));
    pipe_settle(w);
    CHECK(pa.downs == 0);
    CHECK_OK(ht_kill(b->node, pb.ref));
    pipe_settle(w);
    CHECK(pa.downs == 1 && pa.down_kind == HT_EXIT_KILLED);
    CHECK(ht_ref_equal(pa.down_ref, to_b));
    /* One that is gone: at once. */
    CHECK_OK(probe_monitor(a, &pa, to_b));
    pipe_settle(w);
    CHECK(pa.downs == 2 && pa.down_kind == HT_EXIT_NOPROC);
    pipe_free(w);
}

static void test_monitor_hears_of_a_lost_link_once(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_monitor(a, &pa, to_b));
    pipe_settle(w);
    pipe_cut(a, b);
    pipe_settle(w);
    CHECK(pa.downs == 1 && pa.down_kind == HT_EXIT_NOCONNECTION);
    pipe_run(w, 1000);
    CHECK_OK(ht_kill(b->node, pb.ref));
    pipe_settle(w);
    CHECK(pa.downs == 1);
    pipe_free(w);
}

static void test_demonitor(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_monitor(a, &pa, to_b));
    pipe_settle(w);
    CHECK_OK(probe_demonitor(a, &pa));
    pipe_settle(w);
    CHECK_OK(ht_kill(b->node, pb.ref));
    pipe_settle(w);
    CHECK(pa.downs == 0);
    pipe_free(w);
}

/* pa traps exits, pb does not. */
static void test_links_carry_exits_both_ways(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_link(a, &pa, to_b));
    pipe_settle(w);
    CHECK_OK(ht_kill(b->node, pb.ref));
    pipe_settle(w);
    CHECK(pa.exits == 1 && pa.exit_kind == HT_EXIT_KILLED && !pa.ended);
    pipe_free(w);

    start_pair(NULL, NULL);
    CHECK_OK(probe_link(b, &pb, to_a));
    pipe_settle(w);
    CHECK_OK(ht_kill(a->node, pa.ref));
    pipe_settle(w);
    CHECK(pa.ended && pb.ended);
    pipe_free(w);

    start_pair(NULL, NULL);
    CHECK_OK(probe_link(b, &pb, to_a));
    pipe_settle(w);
    CHECK_OK(probe_unlink(b, &pb, to_a));
    pipe_settle(w);
    CHECK_OK(ht_kill(a->node, pa.ref));
    pipe_settle(w);
    CHECK(pa.ended && !pb.ended);
    pipe_free(w);
}

static void test_link_to_an_actor_that_is_gone(void **state)
{
    ht_ref gone;

    (void)state;
    start_pair(NULL, NULL);
    gone = (ht_ref){to_b.node, pb.ref.pid + 1000};
    CHECK_OK(probe_link(a, &pa, gone));
    pipe_settle(w);
    CHECK(pa.exits == 1 && pa.exit_kind == HT_EXIT_NOPROC);
    pipe_free(w);
}

static void test_a_lost_link_ends_linked_actors(void **state)
{
    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(probe_link(a, &pa, to_b));
    pipe_settle(w);
    pipe_cut(a, b);
    pipe_settle(w);
    CHECK(pa.exits == 1 && pa.exit_kind == HT_EXIT_NOCONNECTION);
    CHECK(pb.ended && pb.exit_kind == HT_EXIT_NOCONNECTION);
    pipe_free(w);
}

static void test_stop_and_kill_across_nodes(void **state)
{
    struct probe other = {0};

    (void)state;
    start_pair(NULL, NULL);
    CHECK_OK(ht_stop(a->node, to_b, "enough"));
    pipe_settle(w);
    CHECK(pb.ended && pb.exit_kind == HT_EXIT_NORMAL);
    CHECK_OK(probe_spawn(b, NULL, false, &other));
    to_b.pid = other.ref.pid;
    CHECK_OK(ht_kill(a->node, to_b));
    pipe_settle(w);
    CHECK(other.ended && other.exit_kind == HT_EXIT_KILLED);
    pipe_cut(a, b);
    CHECK_ERR(ht_kill(a->node, to_b), HT_ENOCONN);
    pipe_free(w);
}

/* ---- refs that travel ---------------------------------------------------- */

/* c hears of an actor of b from a, before it has met b. */
static void test_a_ref_travels_ahead_of_its_node(void **state)
{
    struct pipe_node *c;
    uint8_t instance[HTI_INSTANCE_BYTES];
    ht_ref ref;

    (void)state;
    start_pair(NULL, NULL);
    c = pipe_start(w, "c", NULL);
    CHECK_OK(hti_rt_ref_out(a->node, to_b, instance));
    CHECK_OK(hti_rt_ref_in(c->node, instance, to_b.pid, &ref));
    CHECK_ERR(ht_cast(c->node, ref, "x", NULL, 0), HT_ENOCONN);
    CHECK_OK(pipe_connect(c, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK_OK(ht_cast(c->node, ref, "x", NULL, 0));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    /* Home again it is the local one. */
    CHECK_OK(hti_rt_ref_in(b->node, instance, to_b.pid, &ref));
    CHECK(ht_ref_equal(ref, pb.ref));
    pipe_free(w);
}

static void test_unmet_nodes_are_bounded(void **state)
{
    uint8_t instance[HTI_INSTANCE_BYTES] = {0xee};
    ht_err err = HT_OK;
    unsigned taken = 0;
    ht_ref ref, first = {0, 0};

    (void)state;
    start_pair(NULL, NULL);
    while (err == HT_OK && taken < 10000) {
        memcpy(instance + 4, &taken, sizeof taken);
        err = hti_rt_ref_in(a->node, instance, 1, &ref);
        first = taken == 0 ? ref : first;
        taken += err == HT_OK;
    }
    /* More than are kept: the oldest are over, the newest are not. */
    CHECK(err == HT_OK && taken == 10000);
    CHECK_ERR(ht_cast(a->node, ref, "x", NULL, 0), HT_ENOCONN);
    CHECK_ERR(ht_cast(a->node, first, "x", NULL, 0), HT_ENOPROC);
    CHECK_OK(probe_cast(a, &pa, to_b, "x"));
    pipe_settle(w);
    CHECK(pb.casts == 1);
    pipe_free(w);
}

CHECK_MAIN(cmocka_unit_test(test_groups_are_seen_both_ways),
           cmocka_unit_test(test_an_actor_that_ends_leaves_its_groups),
           cmocka_unit_test(test_what_is_local_only_is_not_shown),
           cmocka_unit_test(test_groups_empty_and_fill_with_the_link),
           cmocka_unit_test(test_a_large_directory_is_synced),
           cmocka_unit_test(test_cast),
           cmocka_unit_test(test_call),
           cmocka_unit_test(test_errors_of_the_callee_are_told),
           cmocka_unit_test(test_call_times_out),
           cmocka_unit_test(test_node_down_fails_calls_at_once),
           cmocka_unit_test(test_refs_survive_a_reconnect_not_a_restart),
           cmocka_unit_test(test_call_and_cast_by_name),
           cmocka_unit_test(test_calls_in_flight_are_bounded),
           cmocka_unit_test(test_large_messages_go_in_pieces),
           cmocka_unit_test(test_too_large_is_an_error),
           cmocka_unit_test(test_a_full_outbox_refuses_and_tells),
           cmocka_unit_test(test_monitor_of_a_remote_actor),
           cmocka_unit_test(test_monitor_hears_of_a_lost_link_once),
           cmocka_unit_test(test_demonitor),
           cmocka_unit_test(test_links_carry_exits_both_ways),
           cmocka_unit_test(test_link_to_an_actor_that_is_gone),
           cmocka_unit_test(test_a_lost_link_ends_linked_actors),
           cmocka_unit_test(test_stop_and_kill_across_nodes),
           cmocka_unit_test(test_a_ref_travels_ahead_of_its_node),
           cmocka_unit_test(test_unmet_nodes_are_bounded))
