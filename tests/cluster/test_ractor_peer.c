/* SPDX-License-Identifier: Apache-2.0 */
/* A ractor node, played by hand, against a whole Hardtack node: what it is
 * told, what it may do, and what its silence means. */
#include "tests/lib/check.h"
#include "tests/lib/probe.h"

#include "proto/control.h"

#define COOKIE  "ractor cookie"
#define PAYLOAD (1 << 20)

static struct pipe_world *w;
static struct pipe_node *a;
static struct pipe_end *end;
static struct probe pa;
static uint8_t payload[PAYLOAD];

static void start(void)
{
    struct pipe_opts opts = {.ractor_cookie = COOKIE, .any_peer = true};

    w = pipe_new(31);
    a = pipe_start(w, "a", &opts);
    memset(&pa, 0, sizeof pa);
    pa.trap_exit = true;
    CHECK_OK(probe_spawn(a, "pa", false, &pa));
}

static Hardtack__Wire__AuthenticationMessage *
receive_auth(struct hti_decoded *ret)
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
    return ret->m.auth;
}

static void send_name(const char *name)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__NameMessage n = HARDTACK__WIRE__NAME_MESSAGE__INIT;

    n.has_name = n.has_connection_string = n.has_connection_id = true;
    n.name = hti_pb_bytes(name, strlen(name));
    n.connection_string = hti_pb_bytes("rust:9", 6);
    n.connection_id = 77;
    m.msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_NAME;
    m.name = &n;
    pipe_raw_send_frame(end, hti_frame_auth(&m));
}

static void send_reply(uint32_t challenge, uint32_t own)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__ChallengeReply r = HARDTACK__WIRE__CHALLENGE_REPLY__INIT;
    uint8_t digest[32];

    hti_ractor_digest(COOKIE, strlen(COOKIE), challenge, digest);
    r.has_challenge = r.has_digest = true;
    r.challenge = own;
    r.digest = hti_pb_bytes(digest, sizeof digest);
    m.msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_CLIENT_CHALLENGE;
    m.client_challenge = &r;
    pipe_raw_send_frame(end, hti_frame_auth(&m));
}

static uint32_t receive_challenge(void)
{
    struct hti_decoded d;
    uint32_t challenge;

    receive_auth(&d);
    assert_int_equal(d.m.auth->msg_case,
                     HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_STATUS);
    assert_int_equal(d.m.auth->server_status->status, 0);
    hti_decoded_fini(&d);
    receive_auth(&d);
    assert_int_equal(
        d.m.auth->msg_case,
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_CHALLENGE);
    CHECK(d.m.auth->server_challenge->hello == NULL);
    challenge = d.m.auth->server_challenge->challenge;
    hti_decoded_fini(&d);
    return challenge;
}

static void handshake(const char *name)
{
    struct hti_decoded d;

    end = pipe_raw(a);
    send_name(name);
    send_reply(receive_challenge(), 4711);
    receive_auth(&d);
    assert_int_equal(d.m.auth->msg_case,
                     HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_ACK);
    hti_decoded_fini(&d);
}

/* What came since, as words; replies and casts with their bytes. */
static const char *receive_all(void)
{
    static char words[4096];
    size_t at = 0;
    long len;

    pipe_settle(w);
    words[0] = '\0';
    while ((len = pipe_raw_receive(end, payload, sizeof payload)) > 0) {
        struct hti_envelope e;
        struct hti_decoded d;
        int n = 0;

        CHECK_OK(hti_envelope_decode(payload, (size_t)len, &e));
        if (e.kind == HTI_ENVELOPE_CAST) {
            n = snprintf(words + at, sizeof words - at, "cast:%.*s from:%u ",
                         (int)e.u.cast.variant.len,
                         (const char *)e.u.cast.variant.data,
                         (unsigned)e.u.cast.from);
        } else if (e.kind == HTI_ENVELOPE_CALL) {
            n = snprintf(words + at, sizeof words - at, "call:%.*s ",
                         (int)e.u.call.m.variant.len,
                         (const char *)e.u.call.m.variant.data);
        } else if (e.kind == HTI_ENVELOPE_REPLY) {
            n = snprintf(words + at, sizeof words - at, "reply:%.*s error:%u ",
                         (int)e.u.reply.what.len,
                         (const char *)e.u.reply.what.data, e.u.reply.error);
        } else if (e.kind == HTI_ENVELOPE_CONTROL) {
            CHECK_OK(hti_decode(&hardtack__wire__control_message__descriptor,
                                e.body, &d));
            n = snprintf(words + at, sizeof words - at, "%s ",
                         d.m.control->msg_case ==
                                 HARDTACK__WIRE__CONTROL_MESSAGE__MSG_SPAWN
                             ? "spawn"
                         : d.m.control->msg_case ==
                                 HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_JOIN
                             ? "join"
                         : d.m.control->msg_case ==
                                 HARDTACK__WIRE__CONTROL_MESSAGE__MSG_TERMINATE
                             ? "terminate"
                         : d.m.control->msg_case ==
                                 HARDTACK__WIRE__CONTROL_MESSAGE__MSG_READY
                             ? "ready"
                             : "other");
            hti_decoded_fini(&d);
        } else {
            n = snprintf(words + at, sizeof words - at, "kind:%d ", e.kind);
        }
        at += (size_t)n;
    }
    if (len < 0) {
        snprintf(words + at, sizeof words - at, "end");
    }
    return words;
}

static void send_call(uint64_t to, const char *variant, uint64_t tag)
{
    struct hti_wire_call call = {.m.to = to, .tag = tag};

    call.m.variant = (ht_bytes){variant, strlen(variant)};
    call.m.what = (ht_bytes){"hi", 2};
    call.m.from = 99; /* Hardtack's fields: not ractor's to use */
    call.m.to_name = (ht_bytes){NULL, 0};
    call.has_timeout = true;
    call.timeout_ms = 1000;
    pipe_raw_send_frame(end, hti_frame_call(&call, 0));
}

static ht_ref remote_member(const char *group)
{
    ht_ref refs[4] = {{0, 0}};
    size_t count = ht_group_members(a->node, NULL, group, refs, 4);

    return count > 0 ? refs[count - 1] : (ht_ref){0, 0};
}

static void send_join(uint64_t pid, const char *group, bool join)
{
    pipe_raw_send_frame(
        end, hti_frame_group(join, HT_SCOPE_DEFAULT, group, &pid, NULL, 1));
}

/* ---- tests --------------------------------------------------------------- */

static void test_sync_in_order(void **state)
{
    (void)state;
    start();
    CHECK_OK(ht_group_join(a->node, "g", pa.ref));
    handshake("rust@test");
    assert_string_equal(receive_all(), "spawn join ready ");
    CHECK_OK(ht_kill(a->node, pa.ref));
    /* Terminate first; what follows of groups is of no effect. */
    CHECK(strncmp(receive_all(), "terminate ", 10) == 0);
    pipe_free(w);
}

static void test_calls_in(void **state)
{
    struct probe secret = {0};

    (void)state;
    start();
    CHECK_OK(probe_spawn(a, NULL, false, &secret));
    handshake("rust@test");
    receive_all();
    send_call(pa.ref.pid, "echo", 1);
    assert_string_equal(receive_all(), "reply:hi error:0 ");
    CHECK(ht_ref_is_none(pa.from));
    /* Errors are silence, and what was not announced cannot be reached. */
    send_call(pa.ref.pid, "fail", 2);
    send_call(secret.ref.pid, "echo", 3);
    send_call(12345, "echo", 4);
    assert_string_equal(receive_all(), "");
    CHECK(pa.calls == 2 && secret.calls == 0);
    pipe_free(w);
}

static void test_casts_and_calls_out(void **state)
{
    struct hti_wire_reply reply = {.what = {"yes", 3}};
    ht_ref ref;

    (void)state;
    start();
    handshake("rust@test");
    receive_all();
    send_join(0, "rust", true); /* makes the actor, too; pid 0 is one */
    pipe_raw_send_frame(end, hti_frame_ready());
    pipe_settle(w);
    ref = remote_member("rust");
    CHECK(ref.node != 0 && ref.pid == 0);
    CHECK_OK(probe_cast(a, &pa, ref, "Hey"));
    assert_string_equal(receive_all(), "cast:Hey from:0 ");
    CHECK_OK(probe_call(a, &pa, ref, "Ask", "?", 0));
    {
        struct hti_envelope e;
        long len;

        pipe_settle(w);
        len = pipe_raw_receive(end, payload, sizeof payload);
        CHECK(len > 0);
        CHECK_OK(hti_envelope_decode(payload, (size_t)len, &e));
        assert_int_equal(e.kind, HTI_ENVELOPE_CALL);
        reply.tag = e.u.call.tag;
        CHECK(e.u.call.has_timeout && e.u.call.timeout_ms == 5000);
    }
    pipe_raw_send_frame(end, hti_frame_reply(&reply, 0));
    pipe_settle(w);
    CHECK(pa.replies == 1 && pa.reply_err == HT_OK);
    assert_string_equal(pa.reply, "yes");
    /* What only Hardtack nodes can. */
    CHECK_ERR(probe_call_name(a, &pa, "rust@test", "x", "y", ""),
              HT_EUNSUPPORTED);
    CHECK_ERR(ht_kill(a->node, ref), HT_EUNSUPPORTED);
    CHECK_ERR(probe_monitor(a, &pa, (ht_ref){ref.node, 55}), HT_OK);
    pipe_settle(w);
    CHECK(pa.downs == 1 && pa.down_kind == HT_EXIT_NOPROC);
    pipe_free(w);
}

static void test_terminate_stands_for_down(void **state)
{
    uint64_t pid = 5;
    ht_ref ref;

    (void)state;
    start();
    handshake("rust@test");
    receive_all();
    pipe_raw_send_frame(end, hti_frame_spawn(&pid, NULL, 1));
    pipe_raw_send_frame(end, hti_frame_spawn(&pid, NULL, 1));
    send_join(pid, "rust", true);
    pipe_settle(w);
    ref = remote_member("rust");
    CHECK_OK(probe_monitor(a, &pa, ref));
    CHECK_OK(probe_call(a, &pa, ref, "Ask", "", HT_INFINITE));
    pipe_settle(w);
    pipe_raw_send_frame(end, hti_frame_terminate(&pid, 1));
    send_join(pid, "rust", false); /* makes nothing */
    pipe_raw_send_frame(end, hti_frame_terminate(&pid, 1));
    pipe_settle(w);
    CHECK(pa.downs == 1 && pa.replies == 1);
    CHECK(pa.reply_err == HT_ENOPROC);
    CHECK(remote_member("rust").node == 0);
    CHECK_OK(ht_cast(a->node, ref, "x", NULL, 0)); /* nobody will hear it */
    pipe_free(w);
}

static void test_each_session_is_a_new_node(void **state)
{
    ht_ref ref;

    (void)state;
    start();
    handshake("rust@test");
    send_join(3, "rust", true);
    pipe_settle(w);
    ref = remote_member("rust");
    CHECK_OK(ht_cast(a->node, ref, "x", NULL, 0));
    pipe_raw_close(end);
    pipe_settle(w);
    CHECK(remote_member("rust").node == 0);
    CHECK_ERR(ht_cast(a->node, ref, "x", NULL, 0), HT_ENOPROC);
    handshake("rust@test");
    send_join(3, "rust", true);
    pipe_settle(w);
    CHECK(remote_member("rust").node != ref.node);
    CHECK_ERR(ht_cast(a->node, ref, "x", NULL, 0), HT_ENOPROC);
    pipe_free(w);
}

/* A name that was a Hardtack node's is not a ractor node's. */
static void test_pinned_names(void **state)
{
    struct pipe_node *b;

    (void)state;
    start();
    b = pipe_start(w, "b", NULL);
    CHECK_OK(pipe_connect(b, "a:1", NULL, true, NULL, NULL));
    pipe_settle(w);
    pipe_stop(b);
    end = pipe_raw(a);
    send_name("b@test");
    assert_string_equal(receive_all(), "end");
    /* Nor one that is configured as one. */
    {
        struct hti_target target = {.address = "c:1", .name = "c@test"};

        CHECK_OK(hti_cluster_connect(a->cluster, &target, false, NULL, NULL));
    }
    end = pipe_raw(a);
    send_name("c@test");
    assert_string_equal(receive_all(), "end");
    pipe_free(w);
}

/* A stranger hands us our own challenge back, to get the answer from us. */
static void test_own_challenge_is_not_answered(void **state)
{
    struct pipe_end *first;
    uint32_t challenge;

    (void)state;
    start();
    end = pipe_raw(a);
    first = end;
    send_name("evil@test");
    challenge = receive_challenge();
    end = pipe_raw(a);
    send_name("rust@test");
    send_reply(receive_challenge(), challenge);
    assert_string_equal(receive_all(), "end");
    end = first;
    pipe_free(w);
}

static void test_announcing_too_much_closes_the_link(void **state)
{
    uint64_t pids[HTI_BATCH_MAX];
    const char *got;

    (void)state;
    start();
    handshake("rust@test");
    receive_all();
    for (uint64_t at = 0; at <= 1u << 20; at += HTI_BATCH_MAX) {
        for (uint64_t i = 0; i < HTI_BATCH_MAX; i++) {
            pids[i] = at + i;
        }
        pipe_raw_send_frame(end, hti_frame_spawn(pids, NULL, HTI_BATCH_MAX));
    }
    got = receive_all();
    CHECK(strstr(got, "end") != NULL);
    pipe_free(w);
}

/* Names that cannot be group names here are dropped; the link lives. */
static void test_strange_group_names_are_dropped(void **state)
{
    char name[HTI_NAME_BYTES_MAX + 2];

    (void)state;
    start();
    handshake("rust@test");
    receive_all();
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    send_join(1, name, true);
    send_join(1, "ok", true);
    assert_string_equal(receive_all(), "");
    CHECK(remote_member("ok").pid == 1);
    pipe_free(w);
}

/* Told so in words, then closed. */
static void test_a_link_that_loses_the_election_is_refused(void **state)
{
    struct hti_decoded d;

    (void)state;
    start();
    handshake("rust@test");
    receive_all();
    end = pipe_raw(a);
    /* A larger id in the same direction. */
    {
        Hardtack__Wire__AuthenticationMessage m =
            HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
        Hardtack__Wire__NameMessage n = HARDTACK__WIRE__NAME_MESSAGE__INIT;

        n.has_name = n.has_connection_id = true;
        n.name = hti_pb_bytes("rust@test", 9);
        n.connection_id = 78;
        m.msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_NAME;
        m.name = &n;
        pipe_raw_send_frame(end, hti_frame_auth(&m));
    }
    receive_auth(&d);
    assert_int_equal(d.m.auth->msg_case,
                     HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_STATUS);
    assert_int_equal(d.m.auth->server_status->status, 2); /* NOT_OK */
    hti_decoded_fini(&d);
    assert_string_equal(receive_all(), "end");
    pipe_free(w);
}

CHECK_MAIN(cmocka_unit_test(test_sync_in_order),
           cmocka_unit_test(test_calls_in),
           cmocka_unit_test(test_casts_and_calls_out),
           cmocka_unit_test(test_terminate_stands_for_down),
           cmocka_unit_test(test_each_session_is_a_new_node),
           cmocka_unit_test(test_pinned_names),
           cmocka_unit_test(test_own_challenge_is_not_answered),
           cmocka_unit_test(test_announcing_too_much_closes_the_link),
           cmocka_unit_test(test_strange_group_names_are_dropped),
           cmocka_unit_test(test_a_link_that_loses_the_election_is_refused))
