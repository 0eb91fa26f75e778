/* SPDX-License-Identifier: Apache-2.0 */
/* Connections between nodes: how they come, which are kept, how they go. */
#include "tests/lib/check.h"
#include "tests/lib/probe.h"

struct result {
    unsigned count;
    ht_err err;
    char text[256];
};

static void on_result(void *arg, ht_err err, const char *text)
{
    struct result *r = arg;

    r->count++;
    r->err = err;
    snprintf(r->text, sizeof r->text, "%s", text);
}

struct view {
    const char *name;
    unsigned links, ready;
    bool initiated, hidden;
    uint64_t handle;
    char state[16], auth[16], last_error[128];
};

static void on_peer(const ht_peer_info *info, void *arg)
{
    struct view *v = arg;

    if (strcmp(info->name, v->name) != 0) {
        return;
    }
    v->links++;
    v->ready += strcmp(info->state, "ready") == 0;
    v->initiated = info->initiated;
    v->hidden = info->hidden;
    v->handle = info->node;
    snprintf(v->state, sizeof v->state, "%s", info->state);
    snprintf(v->auth, sizeof v->auth, "%s", info->auth);
    snprintf(v->last_error, sizeof v->last_error, "%s", info->last_error);
}

static struct view see(const struct pipe_node *from, const char *name)
{
    struct view v = {.name = name};

    ht_peer_each(from->node, on_peer, &v);
    return v;
}

static bool are_ready(const struct pipe_node *a, const struct pipe_node *b)
{
    return see(a, b->name).ready == 1 && see(b, a->name).ready == 1;
}

static void test_connect(void **state)
{
    struct pipe_world *w = pipe_new(1);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct probe watcher = {0};
    struct result r = {0};

    (void)state;
    CHECK_OK(probe_spawn(b, NULL, false, &watcher));
    CHECK_OK(probe_watch_nodes(b, &watcher));
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &r));
    CHECK(r.count == 0);
    pipe_settle(w);
    CHECK(r.count == 1 && r.err == HT_OK);
    CHECK(are_ready(a, b));
    CHECK(see(a, "b@test").initiated && !see(b, "a@test").initiated);
    assert_string_equal(see(a, "b@test").auth, "hardtack");
    CHECK(watcher.opened == 1 && watcher.authenticated == 1);
    CHECK(watcher.ups == 1 && watcher.downs_of_nodes == 0);
    assert_string_equal(watcher.node_name, "a@test");
    pipe_cut(a, b);
    pipe_settle(w);
    CHECK(watcher.downs_of_nodes == 1);
    pipe_free(w);
}

static void test_connecting_twice_is_one_link(void **state)
{
    struct pipe_world *w = pipe_new(2);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct result r[3] = {{0}};

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &r[0]));
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &r[1]));
    pipe_settle(w);
    CHECK_OK(pipe_connect(a, "b:1", "b@test", false, on_result, &r[2]));
    pipe_run(w, 1000);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(r[i].count == 1 && r[i].err == HT_OK);
    }
    CHECK(are_ready(a, b));
    CHECK(pipe_connections(w) == 1 && pipe_dials(w) == 1);
    pipe_free(w);
}

/* Each dials the other in the same moment, whatever the delay. */
static void test_simultaneous_dials_leave_one_link(void **state)
{
    (void)state;
    for (uint64_t latency = 0; latency < 4; latency++) {
        struct pipe_world *w = pipe_new(3 + latency);
        struct pipe_node *a = pipe_start(w, "a", NULL);
        struct pipe_node *b = pipe_start(w, "b", NULL);
        struct result ra = {0}, rb = {0};

        pipe_set_latency(w, latency);
        CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &ra));
        CHECK_OK(pipe_connect(b, "a:1", NULL, false, on_result, &rb));
        pipe_run(w, 3000);
        CHECK(ra.count == 1 && ra.err == HT_OK);
        CHECK(rb.count == 1 && rb.err == HT_OK);
        CHECK(are_ready(a, b));
        CHECK(pipe_connections(w) == 1);
        CHECK(see(b, "a@test").initiated); /* by the greater name */
        CHECK(pipe_dials(w) == 2);         /* the loser does not try again */
        pipe_run(w, 60000);
        CHECK(are_ready(a, b) && pipe_dials(w) == 2);
        pipe_free(w);
    }
}

/* Two addresses of one node: two connections in one direction. */
static void test_two_addresses_leave_one_link(void **state)
{
    struct pipe_world *w = pipe_new(9);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct result r[2] = {{0}};

    (void)state;
    pipe_set_latency(w, 5);
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &r[0]));
    CHECK_OK(pipe_connect(a, "b:1", "b@test", false, on_result, &r[1]));
    pipe_run(w, 5000);
    CHECK(r[0].count == 1 && r[0].err == HT_OK);
    CHECK(r[1].count == 1 && r[1].err == HT_OK);
    CHECK(are_ready(a, b) && pipe_connections(w) == 1);
    pipe_free(w);
}

/* A second way to a node that is connected well, whoever dials it: the link
 * stays, with what is under way on it.  first: who makes it. */
static void second_way(bool a_first, bool a_second)
{
    struct pipe_world *w = pipe_new(a_first ? 90 : 91);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct probe pa = {0}, pb = {0};
    struct result r[2] = {{0}};
    ht_ref to_b;

    /* So that an address alone does not tell whom it leads to. */
    CHECK_OK(hti_cluster_set_connection_string(a->cluster, "other:9"));
    CHECK_OK(hti_cluster_set_connection_string(b->cluster, "else:9"));
    pipe_set_encrypted(w);
    pipe_set_latency(w, 3);
    CHECK_OK(probe_spawn(a, NULL, false, &pa));
    CHECK_OK(probe_spawn(b, "b", false, &pb));
    CHECK_OK(probe_watch_nodes(a, &pa));
    CHECK_OK(pipe_connect(a_first ? a : b, a_first ? "b:1" : "a:1",
                          a_first ? "b@test" : "a@test", false, on_result,
                          &r[0]));
    pipe_run(w, 1500);
    CHECK(r[0].err == HT_OK && are_ready(a, b));
    to_b = (ht_ref){see(a, "b@test").handle, pb.ref.pid};
    CHECK_OK(probe_call(a, &pa, to_b, "hold", "", HT_INFINITE));
    CHECK_OK(probe_monitor(a, &pa, to_b));
    pipe_run(w, 100);
    CHECK(pb.calls == 1);
    CHECK_OK(pipe_connect(a_second ? a : b, a_second ? "b:1" : "a:1", NULL,
                          false, on_result, &r[1]));
    pipe_run(w, 60000);
    CHECK(r[1].count == 1 && r[1].err == HT_OK);
    CHECK(are_ready(a, b) && pipe_connections(w) == 1);
    CHECK(see(a, "b@test").initiated == a_first);
    CHECK(pipe_dials(w) == 2); /* and that was that */
    CHECK(pa.ups == 1 && pa.downs == 0 && pa.replies == 0);
    CHECK_OK(probe_reply_held(b, &pb));
    pipe_run(w, 100);
    CHECK(pa.replies == 1 && pa.reply_err == HT_OK);
    /* It is a target like any other: the link lost, it is dialled. */
    pipe_cut(a, b);
    pipe_run(w, 5000);
    CHECK(are_ready(a, b));
    pipe_free(w);
}

static void test_a_good_link_is_kept(void **state)
{
    (void)state;
    second_way(true, true);
    second_way(true, false);
    second_way(false, true);
    second_way(false, false);
}

/* The same, but the link there is has been silent for long: the new one
 * replaces it. */
static void test_a_silent_link_is_replaced(void **state)
{
    struct pipe_world *w = pipe_new(95);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct result r[2] = {{0}};

    (void)state;
    /* So that an address alone does not tell whom it leads to. */
    CHECK_OK(hti_cluster_set_connection_string(a->cluster, "other:9"));
    CHECK_OK(hti_cluster_set_connection_string(b->cluster, "else:9"));
    pipe_set_encrypted(w);
    CHECK_OK(pipe_connect(a, "b:1", "b@test", false, on_result, &r[0]));
    pipe_run(w, 1500);
    CHECK(are_ready(a, b));
    pipe_stall(b, a, true); /* what it sends from now on; not what comes */
    pipe_run(w, 3000);
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, on_result, &r[1]));
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_run(w, 1000);
    CHECK(r[1].count == 1 && r[1].err == HT_OK);
    pipe_run(w, 30000);
    CHECK(are_ready(a, b) && pipe_connections(w) == 1);
    pipe_free(w);
}

static void test_refused_connection_ends_with_its_reason(void **state)
{
    struct pipe_world *w = pipe_new(10);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct result r = {0};

    (void)state;
    CHECK_OK(pipe_connect(a, "nobody:1", NULL, false, on_result, &r));
    pipe_run(w, 10000);
    CHECK(r.count == 1 && r.err == HT_ENOCONN);
    assert_string_equal(r.text, "connection refused");
    CHECK(pipe_dials(w) == 1); /* told so, and not dialled again */
    pipe_free(w);
}

static void test_wrong_cookie_is_refused(void **state)
{
    struct pipe_opts opts = {.cookie = "ffffffffffffffffffffffffffffffff"};
    struct pipe_world *w = pipe_new(11);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", &opts);
    struct result r = {0};

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &r));
    pipe_settle(w);
    CHECK(r.count == 1 && r.err == HT_EAUTH);
    CHECK(see(b, "a@test").links == 0 && pipe_connections(w) == 0);
    pipe_free(w);
}

static void test_wrong_name_is_refused(void **state)
{
    struct pipe_world *w = pipe_new(12);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct result r = {0};

    (void)state;
    pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(a, "b:1", "c@test", false, on_result, &r));
    pipe_settle(w);
    CHECK(r.count == 1 && r.err == HT_ENAME);
    pipe_free(w);
}

static void test_dialling_oneself_is_refused(void **state)
{
    struct pipe_world *w = pipe_new(13);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct result r = {0};

    (void)state;
    CHECK_OK(pipe_connect(a, "a:1", NULL, false, on_result, &r));
    pipe_settle(w);
    CHECK(r.count == 1);
    CHECK_ERR(r.err, HT_ESELF);
    CHECK(pipe_connections(w) == 0);
    /* As a seed it is tried seldom: whoever says so has proved nothing. */
    CHECK_OK(pipe_connect(a, "a:1", NULL, false, NULL, NULL));
    pipe_run(w, 14000);
    CHECK(pipe_dials(w) == 2);
    pipe_run(w, 300000);
    CHECK(pipe_dials(w) > 2 && pipe_dials(w) < 25);
    pipe_free(w);
}

/* By an address that the other one does not know as its own: the dial loses,
 * and its maker learns by the link that there is what it asked for. */
static void test_dialling_who_has_dialled_us_is_answered_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pipe_opts alias = {.address = "alias:1"};
        struct pipe_world *w = pipe_new(40 + i);
        struct pipe_node *a = pipe_start(w, "a", NULL);
        struct pipe_node *b = pipe_start(w, "b", &alias);
        struct result r = {0};

        CHECK_OK(hti_cluster_set_connection_string(b->cluster, "b:1"));
        pipe_set_latency(w, i);
        CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
        pipe_run(w, 100);
        CHECK(are_ready(a, b));
        CHECK_OK(pipe_connect(a, "alias:1", NULL, false, on_result, &r));
        pipe_run(w, 100);
        CHECK(r.count == 1);
        CHECK_ERR(r.err, HT_OK);
        CHECK(are_ready(a, b) && pipe_connections(w) == 1);
        /* Nor is it dialled again, while the other one lives. */
        pipe_run(w, 60000);
        CHECK(pipe_dials(w) == 2);
        pipe_free(w);
    }
}

static void test_seed_is_dialled_until_it_is_there(void **state)
{
    struct pipe_world *w = pipe_new(14);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b;

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_run(w, 60000);
    CHECK(pipe_dials(w) > 8 && pipe_dials(w) < 30);
    assert_string_equal(see(a, "").state, "waiting");
    assert_string_equal(see(a, "").last_error, "connection refused");
    b = pipe_start(w, "b", NULL);
    pipe_run(w, 50000);
    CHECK(are_ready(a, b));
    pipe_free(w);
}

static void test_lost_link_is_redialled_by_who_dialled(void **state)
{
    struct pipe_world *w = pipe_new(15);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    uint64_t handle;

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    handle = see(a, "b@test").handle;
    CHECK(handle != 0);
    for (unsigned i = 0; i < 5; i++) {
        pipe_cut(a, b);
        CHECK(see(b, "a@test").links == 0);
        pipe_run(w, 200);
        CHECK(are_ready(a, b));
        CHECK(see(a, "b@test").handle == handle); /* refs live on */
    }
    CHECK(pipe_dials(w) == 6);
    pipe_free(w);
}

static void test_once_is_not_redialled(void **state)
{
    struct pipe_world *w = pipe_new(16);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct result r = {0};

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, true, on_result, &r));
    pipe_settle(w);
    CHECK(r.err == HT_OK && are_ready(a, b));
    pipe_cut(a, b);
    pipe_run(w, 60000);
    CHECK(pipe_dials(w) == 1 && see(a, "b@test").links == 0);
    pipe_free(w);
}

static void test_disconnect_stops_redialling(void **state)
{
    struct pipe_world *w = pipe_new(17);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);

    (void)state;
    CHECK_ERR(hti_cluster_disconnect(a->cluster, "b@test"), HT_ENOENT);
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK_OK(hti_cluster_disconnect(a->cluster, "b@test"));
    pipe_run(w, 60000);
    CHECK(pipe_dials(w) == 1 && pipe_connections(w) == 0);
    CHECK(see(b, "a@test").links == 0);
    pipe_free(w);
}

static void test_restart_is_a_new_incarnation(void **state)
{
    struct pipe_world *w = pipe_new(18);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    uint64_t old;

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    old = see(a, "b@test").handle;
    pipe_stop(b);
    pipe_run(w, 1000);
    CHECK(ht_is_alive(a->node, (ht_ref){old, 1}) == false);
    b = pipe_start(w, "b", NULL);
    pipe_run(w, 60000);
    CHECK(are_ready(a, b));
    CHECK(see(a, "b@test").handle != old);
    CHECK_ERR(ht_cast(a->node, (ht_ref){old, 1}, "x", NULL, 0), HT_ENOPROC);
    pipe_free(w);
}

/* The old life's connection still looks open: the new one takes its place. */
static void test_new_incarnation_replaces_a_half_dead_one(void **state)
{
    struct pipe_opts newer = {.address = "b:2"};
    struct pipe_world *w = pipe_new(19);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *old = pipe_start(w, "b", NULL);
    struct pipe_node *b;
    struct probe watcher = {0};
    uint64_t handle;

    (void)state;
    CHECK_OK(probe_spawn(a, NULL, false, &watcher));
    CHECK_OK(probe_watch_nodes(a, &watcher));
    CHECK_OK(pipe_connect(old, "a:1", NULL, true, NULL, NULL));
    pipe_settle(w);
    handle = see(a, "b@test").handle;
    b = pipe_start(w, "b", &newer);
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(see(a, "b@test").ready == 1);
    CHECK(see(a, "b@test").handle != handle);
    CHECK(see(b, "a@test").ready == 1 && see(old, "a@test").links == 0);
    CHECK(watcher.ups == 2 && watcher.downs_of_nodes == 1);
    CHECK(watcher.node_reason == HT_OK || watcher.node_reason == HT_ENODEDOWN);
    /* Two nodes with one name do not take turns: the older is refused. */
    {
        struct result r = {0};

        CHECK_OK(pipe_connect(old, "a:1", NULL, true, on_result, &r));
        pipe_run(w, 20000);
        CHECK(r.count == 1 && r.err != HT_OK);
        CHECK(see(a, "b@test").ready == 1 && see(b, "a@test").ready == 1);
    }
    pipe_free(w);
}

static void test_hidden_client_leaves_nothing(void **state)
{
    struct pipe_opts hidden = {.hidden = true};
    struct pipe_opts transitive = {.transitive = true};
    struct pipe_world *w = pipe_new(20);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *cli = pipe_start(w, "cli", &hidden);
    struct pipe_node *c = pipe_start(w, "c", &transitive);
    struct probe server = {0}, named = {0};
    ht_ref ref;

    (void)state;
    CHECK_OK(probe_spawn(a, "server", false, &server));
    CHECK_OK(ht_group_join(a->node, "servers", server.ref));
    CHECK_OK(probe_spawn(cli, "mine", false, &named));
    CHECK_OK(ht_group_join(cli->node, "servers", named.ref));
    CHECK_OK(pipe_connect(cli, "a:1", NULL, true, NULL, NULL));
    pipe_settle(w);
    CHECK(are_ready(a, cli));
    CHECK(see(a, "cli@test").hidden);
    CHECK(ht_group_members(cli->node, NULL, "servers", &ref, 1) == 2);
    CHECK(ht_group_members(a->node, NULL, "servers", &ref, 1) == 1);
    /* Nobody is told of it. */
    CHECK_OK(pipe_connect(c, "a:1", NULL, false, NULL, NULL));
    pipe_run(w, 5000);
    CHECK(are_ready(a, c) && see(c, "cli@test").links == 0);
    pipe_stop(cli);
    CHECK(see(a, "cli@test").links == 0);
    pipe_run(w, 60000);
    CHECK(pipe_dials(w) == 2);
    pipe_free(w);
}

static void test_transitive_nodes_find_each_other(void **state)
{
    struct pipe_opts transitive = {.transitive = true};
    struct pipe_world *w = pipe_new(21);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct pipe_node *c = pipe_start(w, "c", &transitive);
    struct pipe_node *d = pipe_start(w, "d", NULL);

    (void)state;
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK_OK(pipe_connect(c, "a:1", NULL, false, NULL, NULL));
    CHECK_OK(pipe_connect(d, "a:1", NULL, false, NULL, NULL));
    pipe_run(w, 1000);
    CHECK(are_ready(a, b) && are_ready(a, c) && are_ready(b, c));
    CHECK(are_ready(a, d) && see(d, "b@test").links == 0); /* isolated */
    pipe_cut(b, c);
    pipe_run(w, 1000);
    CHECK(are_ready(b, c)); /* what was learned is redialled too */
    pipe_free(w);
}

static void test_silent_peer_is_given_up(void **state)
{
    struct pipe_world *w = pipe_new(22);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, true, NULL, NULL));
    pipe_run(w, 30000);
    CHECK(are_ready(a, b));
    pipe_stall(b, a, true);
    pipe_run(w, 6500);
    CHECK(see(a, "b@test").links == 0);
    pipe_free(w);
}

static void test_stop_ends_every_link(void **state)
{
    struct pipe_world *w = pipe_new(23);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct result r = {0};

    (void)state;
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    hti_cluster_stop(a->cluster);
    CHECK(!hti_cluster_is_quiet(a->cluster));
    pipe_settle(w);
    CHECK(hti_cluster_is_quiet(a->cluster));
    CHECK_ERR(pipe_connect(a, "b:1", NULL, false, on_result, &r), HT_ECLOSED);
    CHECK(r.count == 0);
    pipe_run(w, 60000);
    CHECK(pipe_dials(w) == 1 && hti_cluster_is_quiet(b->cluster));
    pipe_free(w);
}

/* A connect that waits is answered once when the node stops. */
static void test_stop_answers_who_waits(void **state)
{
    struct pipe_world *w = pipe_new(24);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct result r = {0};

    (void)state;
    pipe_set_latency(w, 50);
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, on_result, &r));
    hti_cluster_stop(a->cluster);
    CHECK(r.count == 1 && r.err == HT_ECLOSED);
    pipe_run(w, 1000);
    CHECK(r.count == 1);
    pipe_free(w);
}

static void test_refs_as_text(void **state)
{
    struct pipe_world *w = pipe_new(25);
    struct pipe_node *a = pipe_start(w, "a", NULL);
    struct pipe_node *b = pipe_start(w, "b", NULL);
    struct probe server = {0};
    char text[300], other[300];
    ht_ref ref, back;

    (void)state;
    CHECK_OK(probe_spawn(b, NULL, false, &server));
    CHECK_OK(ht_group_join(b->node, "g", server.ref));
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(ht_group_members(a->node, NULL, "g", &ref, 1) == 1);
    ht_ref_format(a->node, ref, text, sizeof text);
    ht_ref_format(b->node, server.ref, other, sizeof other);
    assert_string_equal(text, other);
    assert_string_equal(ht_ref_node_name(a->node, ref), "b@test");
    assert_string_equal(ht_ref_node_name(b->node, server.ref), "b@test");
    CHECK_OK(ht_ref_parse(a->node, text, &back));
    CHECK(ht_ref_equal(back, ref));
    CHECK_OK(ht_ref_parse(b->node, text, &back));
    CHECK(ht_ref_equal(back, server.ref));
    CHECK_ERR(ht_ref_parse(a->node, "<x@y.1.1>", &back), HT_ENOENT);
    CHECK_ERR(ht_ref_parse(a->node, "<b@test.1.1>", &back), HT_ENOENT);
    CHECK_ERR(ht_ref_parse(a->node, "b@test.1.1", &back), HT_EINVAL);
    CHECK_ERR(ht_ref_parse(a->node, "<1.1>", &back), HT_EINVAL);
    CHECK_ERR(ht_ref_parse(a->node, "<>", &back), HT_EINVAL);
    CHECK_ERR(ht_ref_parse(a->node, "<b.1.99999999999999999999>", &back),
              HT_EINVAL);
    pipe_free(w);
}

CHECK_MAIN(
    cmocka_unit_test(test_connect),
    cmocka_unit_test(test_connecting_twice_is_one_link),
    cmocka_unit_test(test_simultaneous_dials_leave_one_link),
    cmocka_unit_test(test_two_addresses_leave_one_link),
    cmocka_unit_test(test_a_good_link_is_kept),
    cmocka_unit_test(test_a_silent_link_is_replaced),
    cmocka_unit_test(test_refused_connection_ends_with_its_reason),
    cmocka_unit_test(test_wrong_cookie_is_refused),
    cmocka_unit_test(test_wrong_name_is_refused),
    cmocka_unit_test(test_dialling_oneself_is_refused),
    cmocka_unit_test(test_dialling_who_has_dialled_us_is_answered_at_once),
    cmocka_unit_test(test_seed_is_dialled_until_it_is_there),
    cmocka_unit_test(test_lost_link_is_redialled_by_who_dialled),
    cmocka_unit_test(test_once_is_not_redialled),
    cmocka_unit_test(test_disconnect_stops_redialling),
    cmocka_unit_test(test_restart_is_a_new_incarnation),
    cmocka_unit_test(test_new_incarnation_replaces_a_half_dead_one),
    cmocka_unit_test(test_hidden_client_leaves_nothing),
    cmocka_unit_test(test_transitive_nodes_find_each_other),
    cmocka_unit_test(test_silent_peer_is_given_up),
    cmocka_unit_test(test_stop_ends_every_link),
    cmocka_unit_test(test_stop_answers_who_waits),
    cmocka_unit_test(test_refs_as_text))
