/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger, a ractor node or a careless peer must not be able to do:
 * played by hand against whole Hardtack nodes. */
#include "cluster/internal.h"
#include "proto/control.h"
#include "tests/lib/check.h"
#include "tests/lib/probe.h"

#define COOKIE "ractor cookie"

static struct pipe_world *w;
static struct pipe_node *a;
static const struct pipe_opts any = {.ractor_cookie = COOKIE, .any_peer = true};
static uint8_t payload[1 << 20];

/* ---- a ractor node's side of the handshake --------------------------------
 */

static struct pipe_end *
begin(const char *name, const char *connection_string, uint64_t connection_id)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__NameMessage n = HARDTACK__WIRE__NAME_MESSAGE__INIT;
    struct pipe_end *end = pipe_raw(a);

    n.has_name = n.has_connection_string = n.has_connection_id = true;
    n.name = hti_pb_bytes(name, strlen(name));
    n.connection_string =
        hti_pb_bytes(connection_string, strlen(connection_string));
    n.connection_id = connection_id;
    m.msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_NAME;
    m.name = &n;
    pipe_raw_send_frame(end, hti_frame_auth(&m));
    return end;
}

static void receive_auth(struct pipe_end *end, struct hti_decoded *ret)
{
    struct hti_envelope envelope;
    long len;

    pipe_settle(w);
    len = pipe_raw_receive(end, payload, sizeof payload);
    CHECK(len > 0);
    CHECK_OK(hti_envelope_decode(payload, (size_t)len, &envelope));
    assert_int_equal(envelope.kind, HTI_ENVELOPE_AUTH);
    CHECK_OK(hti_decode(&hardtack__wire__authentication_message__descriptor,
                        envelope.body, ret));
}

static uint32_t receive_challenge(struct pipe_end *end)
{
    struct hti_decoded d;
    uint32_t challenge;

    receive_auth(end, &d); /* the status */
    hti_decoded_fini(&d);
    receive_auth(end, &d);
    assert_int_equal(
        d.m.auth->msg_case,
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_CHALLENGE);
    challenge = d.m.auth->server_challenge->challenge;
    hti_decoded_fini(&d);
    return challenge;
}

static void prove(struct pipe_end *end, uint32_t challenge)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__ChallengeReply r = HARDTACK__WIRE__CHALLENGE_REPLY__INIT;
    uint8_t digest[32];

    hti_ractor_digest(COOKIE, strlen(COOKIE), challenge, digest);
    r.has_challenge = r.has_digest = true;
    r.challenge = 4711;
    r.digest = hti_pb_bytes(digest, sizeof digest);
    m.msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_CLIENT_CHALLENGE;
    m.client_challenge = &r;
    pipe_raw_send_frame(end, hti_frame_auth(&m));
    pipe_settle(w);
}

static struct pipe_end *join(const char *name, const char *connection_string)
{
    struct pipe_end *end = begin(name, connection_string, 7);

    prove(end, receive_challenge(end));
    pipe_raw_send_frame(end, hti_frame_ready());
    pipe_settle(w);
    return end;
}

/* Bytes that came since; *ret_closed: and then the end. */
static size_t drain(struct pipe_end *end, bool *ret_closed)
{
    size_t bytes = 0;
    long len;

    pipe_settle(w);
    while ((len = pipe_raw_receive(end, payload, sizeof payload)) > 0) {
        bytes += (size_t)len;
    }
    *ret_closed = len < 0;
    return bytes;
}

/* ---- what a node sees ------------------------------------------------------
 */

struct view {
    const char *name;
    unsigned ready;
    uint64_t handle;
    char auth[16];
};

static void on_peer(const ht_peer_info *info, void *arg)
{
    struct view *v = arg;

    if (strcmp(info->name, v->name) == 0 && strcmp(info->state, "ready") == 0) {
        v->ready++;
        v->handle = info->node;
        snprintf(v->auth, sizeof v->auth, "%s", info->auth);
    }
}

static struct view see(const struct pipe_node *from, const char *name)
{
    struct view v = {.name = name};

    ht_peer_each(from->node, on_peer, &v);
    return v;
}

struct result {
    unsigned count;
    ht_err err;
};

static void on_result(void *arg, ht_err err, const char *text)
{
    struct result *r = arg;

    (void)text;
    r->count++;
    r->err = err;
}

/* ---- one's own name --------------------------------------------------------
 */

static void test_a_stranger_with_our_name_cuts_no_open_link(void **state)
{
    struct hti_link *link;
    bool closed;

    (void)state;
    w = pipe_new(1);
    a = pipe_start(w, "a", NULL);
    pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    link = TAILQ_FIRST(&a->cluster->links);
    drain(begin("a@test", "x:1", link->connection_id), &closed);
    CHECK(closed);
    pipe_run(w, 60000);
    CHECK(see(a, "b@test").ready == 1);
    CHECK(pipe_dials(w) == 1);
    pipe_free(w);
}

/* Somebody at its address says that it is us: nothing of that is proved. */
static void test_a_seed_survives_an_impostor_of_ourselves(void **state)
{
    struct pipe_opts evil = {.cookie = "quite another cookie, not ours",
                             .address = "seed:1"};
    struct pipe_opts good = {.address = "seed:1"};
    struct pipe_node *impostor;

    (void)state;
    w = pipe_new(2);
    a = pipe_start(w, "a", NULL);
    impostor = pipe_start(w, "a", &evil);
    CHECK_OK(pipe_connect(a, "seed:1", NULL, false, NULL, NULL));
    pipe_run(w, 2000);
    pipe_stop(impostor);
    pipe_start(w, "b", &good);
    pipe_run(w, 120000);
    CHECK(see(a, "b@test").ready == 1);
    pipe_free(w);
}

/* ---- what a target asks for ------------------------------------------------
 */

static void test_a_claimed_address_meets_no_target(void **state)
{
    struct hti_target target = {.address = "b:1",
                                .encryption = HT_ENCRYPT_COOKIE};
    struct result r = {0};

    (void)state;
    w = pipe_new(3);
    a = pipe_start(w, "a", &any);
    join("evil@test", "b:1");
    pipe_start(w, "b", NULL);
    CHECK_OK(hti_cluster_connect(a->cluster, &target, false, on_result, &r));
    pipe_settle(w);
    CHECK(r.count == 1 && r.err == HT_OK);
    CHECK(pipe_dials(w) == 1);
    CHECK(see(a, "b@test").ready == 1);
    pipe_free(w);
}

/* Not even where ractor nodes are welcome: it is dialled all the same. */
static void test_a_claim_does_not_stop_a_dial_that_takes_any_peer(void **state)
{
    (void)state;
    w = pipe_new(4);
    a = pipe_start(w, "a", &any);
    join("evil@test", "b:1");
    pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(see(a, "b@test").ready == 1);
    pipe_free(w);
}

/* The peer has made a plain connection; who asks for an encrypted one dials. */
static void test_a_plain_link_does_not_meet_an_encrypted_target(void **state)
{
    struct hti_target target = {
        .address = "b:1", .name = "b@test", .encryption = HT_ENCRYPT_COOKIE};
    struct pipe_node *b;

    (void)state;
    w = pipe_new(5);
    a = pipe_start(w, "a", NULL);
    b = pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(see(a, "b@test").ready == 1 && pipe_dials(w) == 1);
    CHECK_OK(hti_cluster_connect(a->cluster, &target, false, NULL, NULL));
    pipe_settle(w);
    CHECK(pipe_dials(w) > 1);
    pipe_free(w);
}

/* ---- names -----------------------------------------------------------------
 */

/* The ractor node has given its name; before it proves its cookie the real one
 * comes. */
static void test_a_late_proof_takes_no_pinned_name(void **state)
{
    struct pipe_end *end;
    struct pipe_node *b;
    uint32_t challenge;
    bool closed;

    (void)state;
    w = pipe_new(6);
    a = pipe_start(w, "a", &any);
    end = begin("b@test", "rust:9", 1);
    challenge = receive_challenge(end);
    b = pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    prove(end, challenge);
    drain(end, &closed);
    CHECK(closed);
    CHECK(see(a, "b@test").ready == 1);
    assert_string_equal(see(a, "b@test").auth, "hardtack");
    pipe_free(w);
}

static void test_the_real_node_takes_its_name_back(void **state)
{
    struct pipe_end *end;
    struct pipe_node *b;
    bool closed;

    (void)state;
    w = pipe_new(7);
    a = pipe_start(w, "a", &any);
    end = join("b@test", "rust:9");
    assert_string_equal(see(a, "b@test").auth, "ractor");
    b = pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    drain(end, &closed);
    CHECK(closed);
    assert_string_equal(see(a, "b@test").auth, "hardtack");
    CHECK(see(a, "b@test").ready == 1 && see(b, "a@test").ready == 1);
    pipe_free(w);
}

static void test_ractor_names_do_not_flush_pins(void **state)
{
    struct hti_cluster *c;
    struct hti_peer *peer;
    char name[64];

    (void)state;
    w = pipe_new(8);
    a = pipe_start(w, "a", NULL);
    c = a->cluster;
    for (unsigned i = 0; i < HTI_PEERS_MAX; i++) {
        snprintf(name, sizeof name, "n%u@test", i);
        peer = hti_peer_get(c, name, true);
        CHECK(peer != NULL);
        peer->hardtack = true;
    }
    CHECK(hti_peer_get(c, "rust@test", false) == NULL);
    CHECK(hti_peer_find(c, "n0@test") != NULL);
    CHECK(hti_peer_get(c, "new@test", true) != NULL);
    CHECK(hti_peer_find(c, "n0@test") == NULL);
    pipe_free(w);
}

/* ---- the relay -------------------------------------------------------------
 */

/* Whoever wants our answer to our own challenge cannot make us forget it. */
static void test_an_issued_challenge_is_known_as_long_as_it_counts(void **state)
{
    struct pipe_end *first;
    struct hti_link *link;
    uint32_t challenge;

    (void)state;
    w = pipe_new(9);
    a = pipe_start(w, "a", &any);
    first = begin("x@test", "rust:9", 1);
    challenge = receive_challenge(first);
    link = TAILQ_FIRST(&a->cluster->links);
    for (unsigned i = 0; i < 1100; i++) {
        struct pipe_end *end = begin("y@test", "rust:9", 1);

        (void)receive_challenge(end);
        pipe_raw_close(end);
        pipe_settle(w);
    }
    CHECK_ERR(hti_verdict_check_challenge(link, challenge, false), HT_EDENIED);
    CHECK_OK(hti_verdict_check_challenge(link, challenge + 1, false));
    pipe_free(w);
}

/* ---- who else is there ------------------------------------------------------
 */

static void test_nodes_are_told_so_often_a_second(void **state)
{
    static const uint8_t ask[] = {0, 0, 0, 0, 0, 0, 0, 4, 0x1a, 2, 0x3a, 0};
    struct pipe_end *end;
    size_t once;
    bool closed;

    (void)state;
    w = pipe_new(10);
    a = pipe_start(w, "a", &any);
    for (unsigned i = 0; i < 20; i++) {
        char name[32], address[32];

        snprintf(name, sizeof name, "r%u@test", i);
        snprintf(address, sizeof address, "host%u:1", i);
        end = join(name, address);
    }
    drain(end, &closed);
    pipe_raw_send(end, ask, sizeof ask);
    once = drain(end, &closed);
    CHECK(once > 19 * 12);
    for (unsigned i = 0; i < 1000; i++) {
        pipe_raw_send(end, ask, sizeof ask);
    }
    CHECK(drain(end, &closed) == 3 * once && !closed);
    /* It answers pings meanwhile, or it would be taken for dead. */
    pipe_run(w, 1100);
    drain(end, &closed);
    pipe_raw_send(end, ask, sizeof ask);
    CHECK(drain(end, &closed) == once && !closed);
    pipe_free(w);
}

static void send_sessions(struct pipe_end *end,
                          const char *name,
                          const char *connection_string)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__NodeSessions sessions = HARDTACK__WIRE__NODE_SESSIONS__INIT;
    Hardtack__Wire__NameMessage n = HARDTACK__WIRE__NAME_MESSAGE__INIT;
    Hardtack__Wire__NameMessage *list[3] = {&n, &n, &n};

    n.has_name = n.has_connection_string = true;
    n.name = hti_pb_bytes(name, strlen(name));
    n.connection_string =
        hti_pb_bytes(connection_string, strlen(connection_string));
    sessions.n_sessions = 3;
    sessions.sessions = list;
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_NODE_SESSIONS;
    m.node_sessions = &sessions;
    pipe_raw_send_frame(end, hti_frame_control(&m));
    pipe_settle(w);
}

static void test_told_names_are_those_that_a_peer_may_have(void **state)
{
    struct pipe_opts opts = any;
    struct pipe_end *end;

    (void)state;
    opts.transitive = true;
    w = pipe_new(11);
    a = pipe_start(w, "a", &opts);
    end = join("rust@test", "rust:9");
    send_sessions(end, "\x1b]0;pwned\x07", "x:1");
    send_sessions(end, "right\xe2\x80\xaeleft", "x:1");
    send_sessions(end, "x@test", "x:1\n");
    CHECK(a->cluster->dials_count == 0);
    /* The same one three times is one. */
    send_sessions(end, "x@test", "x:1");
    CHECK(a->cluster->dials_count == 1);
    pipe_free(w);
}

static void test_told_nodes_that_never_answer_are_given_up(void **state)
{
    struct pipe_opts opts = any;

    (void)state;
    opts.transitive = true;
    w = pipe_new(12);
    a = pipe_start(w, "a", &opts);
    send_sessions(join("rust@test", "rust:9"), "x@test", "x:1");
    CHECK(a->cluster->transitive_count == 1);
    pipe_run(w, 3 * 3600 * 1000);
    CHECK(a->cluster->transitive_count == 0 && a->cluster->dials_count == 0);
    pipe_free(w);
}

/* Who has dialled us may die, and not remember us. */
static void test_told_nodes_that_are_connected_are_remembered(void **state)
{
    struct pipe_opts opts = any;
    struct pipe_end *end;
    struct pipe_node *b;

    (void)state;
    opts.transitive = true;
    w = pipe_new(16);
    a = pipe_start(w, "a", &opts);
    b = pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    end = join("rust@test", "rust:9");
    send_sessions(end, "b@test", "b:1");
    CHECK(pipe_dials(w) == 1 && a->cluster->dials_count == 1);
    pipe_stop(b);
    pipe_start(w, "b", NULL);
    pipe_run(w, 1000);
    CHECK(see(a, "b@test").ready == 1);
    pipe_free(w);
}

/* ---- local only ------------------------------------------------------------
 */

static void test_local_only_actors_are_not_stopped_or_watched(void **state)
{
    struct probe local = {0}, far = {0};
    struct pipe_node *b;
    ht_ref ref;

    (void)state;
    w = pipe_new(13);
    a = pipe_start(w, "a", NULL);
    b = pipe_start(w, "b", NULL);
    far.trap_exit = true;
    CHECK_OK(probe_spawn(a, NULL, true, &local));
    CHECK_OK(probe_spawn(b, NULL, false, &far));
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    ref = (ht_ref){see(b, "a@test").handle, local.ref.pid};
    CHECK_OK(ht_kill(b->node, ref));
    CHECK_OK(ht_stop(b->node, ref, "x"));
    CHECK_OK(ht_drain(b->node, ref));
    pipe_settle(w);
    CHECK(ht_is_alive(a->node, local.ref));
    CHECK_OK(probe_monitor(b, &far, ref));
    CHECK_OK(probe_link(b, &far, ref));
    pipe_settle(w);
    CHECK(far.downs == 1 && far.down_kind == HT_EXIT_NOPROC);
    CHECK(far.exits == 1 && far.exit_kind == HT_EXIT_NOPROC);
    CHECK_ERR(hti_rt_remote_stop(a->node, local.ref.pid,
                                 &(ht_exit){.kind = HT_EXIT_KILLED}),
              HT_EDENIED);
    pipe_free(w);
}

/* ---- large messages, small limits -------------------------------------------
 */

static void test_many_large_messages_do_not_end_the_link(void **state)
{
    enum { COUNT = 12, BYTES = 1900000 };
    struct pipe_opts from = {.outbox_bytes_max = 256u << 20};
    struct pipe_opts to = {.message_max = 2u << 20, .frame_max = 256u << 10};
    struct probe p[COUNT];
    char *big = calloc(1, BYTES);
    struct pipe_node *b;
    uint64_t handle;

    (void)state;
    CHECK(big != NULL);
    memset(p, 0, sizeof p);
    w = pipe_new(14);
    a = pipe_start(w, "a", &from);
    b = pipe_start(w, "b", &to);
    CHECK_OK(pipe_connect(a, "b:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    handle = see(a, "b@test").handle;
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK_OK(probe_spawn(b, NULL, false, &p[i]));
        CHECK_OK(ht_cast(a->node, (ht_ref){handle, p[i].ref.pid}, "x", big,
                         BYTES / (1 + i % 3)));
    }
    pipe_settle(w);
    CHECK(see(a, "b@test").ready == 1);
    free(big);
    pipe_free(w);
}

/* Everything there is, for a peer that takes no more than 4 KiB at a time. */
static void test_a_peer_with_small_frames_is_told_everything(void **state)
{
    enum { COUNT = 200 };
    struct pipe_opts small = {.frame_max = 4096, .message_max = 4096};
    static struct probe p[COUNT];
    struct pipe_node *b;
    char name[HTI_NAME_BYTES_MAX + 1], group[HTI_NAME_BYTES_MAX + 1];
    size_t count;

    (void)state;
    memset(p, 0, sizeof p);
    memset(name, 'n', sizeof name - 1);
    memset(group, 'g', sizeof group - 1);
    name[sizeof name - 1] = group[sizeof group - 1] = '\0';
    w = pipe_new(15);
    a = pipe_start(w, "a", NULL);
    b = pipe_start(w, "b", &small);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, 8, "%u", i);
        name[strlen(name)] = '-';
        name[sizeof name - 1] = '\0';
        CHECK_OK(probe_spawn(a, name, false, &p[i]));
        CHECK_OK(ht_group_join_scoped(a->node, group, group, p[i].ref));
    }
    CHECK_OK(pipe_connect(b, "a:1", NULL, false, NULL, NULL));
    pipe_settle(w);
    CHECK(see(b, "a@test").ready == 1);
    count = ht_group_members(b->node, group, group, NULL, 0);
    assert_int_equal(count, COUNT);
    pipe_free(w);
}

CHECK_MAIN(
    cmocka_unit_test(test_a_stranger_with_our_name_cuts_no_open_link),
    cmocka_unit_test(test_a_seed_survives_an_impostor_of_ourselves),
    cmocka_unit_test(test_a_claimed_address_meets_no_target),
    cmocka_unit_test(test_a_claim_does_not_stop_a_dial_that_takes_any_peer),
    cmocka_unit_test(test_a_plain_link_does_not_meet_an_encrypted_target),
    cmocka_unit_test(test_a_late_proof_takes_no_pinned_name),
    cmocka_unit_test(test_the_real_node_takes_its_name_back),
    cmocka_unit_test(test_ractor_names_do_not_flush_pins),
    cmocka_unit_test(test_an_issued_challenge_is_known_as_long_as_it_counts),
    cmocka_unit_test(test_nodes_are_told_so_often_a_second),
    cmocka_unit_test(test_told_names_are_those_that_a_peer_may_have),
    cmocka_unit_test(test_told_nodes_that_never_answer_are_given_up),
    cmocka_unit_test(test_told_nodes_that_are_connected_are_remembered),
    cmocka_unit_test(test_local_only_actors_are_not_stopped_or_watched),
    cmocka_unit_test(test_many_large_messages_do_not_end_the_link),
    cmocka_unit_test(test_a_peer_with_small_frames_is_told_everything))
