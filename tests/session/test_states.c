/* SPDX-License-Identifier: Apache-2.0 */
/* test_states.c - every message in every state of both sides. */
#include "tests/session/fixture.h"

#define COOKIE "a cookie that is long enough"

enum message {
    M_NAME,
    M_STATUS,
    M_CLIENT_STATUS,
    M_CHALLENGE,
    M_REPLY,
    M_ACK,
    M_EMPTY,
    M_COUNT,
};

/* A well-formed message of each kind, without a Hello. */
static struct hti_frame *frame_of(enum message what)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__NameMessage name = HARDTACK__WIRE__NAME_MESSAGE__INIT;
    Hardtack__Wire__ServerStatus status = HARDTACK__WIRE__SERVER_STATUS__INIT;
    Hardtack__Wire__ClientStatus client = HARDTACK__WIRE__CLIENT_STATUS__INIT;
    Hardtack__Wire__Challenge challenge = HARDTACK__WIRE__CHALLENGE__INIT;
    Hardtack__Wire__ChallengeReply reply =
        HARDTACK__WIRE__CHALLENGE_REPLY__INIT;
    Hardtack__Wire__ChallengeAck ack = HARDTACK__WIRE__CHALLENGE_ACK__INIT;

    name.has_name = challenge.has_name = true;
    name.name = challenge.name = hti_pb_bytes("x@y", 3);
    switch (what) {
    case M_NAME:
        m.msg_case = PB(NAME);
        m.name = &name;
        break;
    case M_STATUS:
        m.msg_case = PB(SERVER_STATUS);
        m.server_status = &status;
        break;
    case M_CLIENT_STATUS:
        m.msg_case = PB(CLIENT_STATUS);
        m.client_status = &client;
        break;
    case M_CHALLENGE:
        m.msg_case = PB(SERVER_CHALLENGE);
        m.server_challenge = &challenge;
        break;
    case M_REPLY:
        m.msg_case = PB(CLIENT_CHALLENGE);
        m.client_challenge = &reply;
        break;
    case M_ACK:
        m.msg_case = PB(SERVER_ACK);
        m.server_ack = &ack;
        break;
    case M_EMPTY:
    case M_COUNT:
        break;
    }
    return hti_frame_auth(&m);
}

static void open_pair(struct side *a, struct side *b)
{
    side_init(a, true, ring_one(COOKIE));
    side_init(b, false, ring_one(COOKIE));
    CHECK_OK(hti_session_new(&a->config, &side_ops, a, 0, &a->session));
    side_open(b, 0);
}

/* Move frames until side is in state. */
static void drive(struct side *a,
                  struct side *b,
                  const struct side *which,
                  enum hti_session_state state)
{
    if (state != HTI_SESSION_START) {
        CHECK_OK(hti_session_start(a->session, 0));
    }
    while (!side_is(which, state)) {
        struct side *from = a->out.at < a->out.len ? a : b;
        struct side *to = from == a ? b : a;

        CHECK(from->out.at < from->out.len);
        CHECK(deliver(from, to, 0, frame_len(from->out.bytes + from->out.at)));
    }
}

/* What each state takes; everything else closes it. */
static void
check_state(bool initiator, enum hti_session_state state, enum message taken)
{
    for (unsigned what = 0; what < M_COUNT; what++) {
        struct side a, b;
        struct side *side = initiator ? &a : &b;
        size_t sent;

        if (what == (unsigned)taken) {
            continue;
        }
        open_pair(&a, &b);
        drive(&a, &b, side, state);
        sent = side->out.len;
        CHECK_ERR(feed_frame(side, 0, frame_of((enum message)what)), HT_EPROTO);
        CHECK(side->out.len == sent && side->opens == 0);
        CHECK(strstr(hti_session_why(side->session), "while we wait for"));
        /* Closed stays closed, for the same reason. */
        CHECK_ERR(feed_frame(side, 0, frame_of(taken)), HT_EPROTO);
        CHECK(side->out.len == sent);
        side_fini(&a);
        side_fini(&b);
    }
}

static void test_initiator_states(void **state)
{
    (void)state;
    check_state(true, HTI_SESSION_START, M_COUNT);
    check_state(true, HTI_SESSION_STATUS, M_STATUS);
    check_state(true, HTI_SESSION_CHALLENGE, M_CHALLENGE);
    check_state(true, HTI_SESSION_ACK, M_ACK);
}

static void test_acceptor_states(void **state)
{
    (void)state;
    check_state(false, HTI_SESSION_NAME, M_NAME);
    check_state(false, HTI_SESSION_REPLY, M_REPLY);
}

static void test_open_ignores_authentication(void **state)
{
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    for (unsigned what = 0; what < M_COUNT; what++) {
        CHECK_OK(feed_frame(&a, 0, frame_of((enum message)what)));
        CHECK_OK(feed_frame(&b, 0, frame_of((enum message)what)));
    }
    CHECK(a.out.at == a.out.len && b.out.at == b.out.len);
    CHECK(a.opens == 1 && b.opens == 1 && b.names == 1);
    side_fini(&a);
    side_fini(&b);
}

static struct hti_frame *a_cast(void)
{
    struct hti_wire_cast cast = {.to = 5, .variant = {"A", 1}};

    return hti_frame_cast(&cast, 0);
}

/* Control and node messages before OPEN change nothing, and are not endless. */
static void test_early_messages(void **state)
{
    static const struct {
        bool initiator;
        enum hti_session_state state;
    } cases[] = {
        {true, HTI_SESSION_STATUS}, {true, HTI_SESSION_CHALLENGE},
        {true, HTI_SESSION_ACK},    {false, HTI_SESSION_NAME},
        {false, HTI_SESSION_REPLY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct side a, b;
        struct side *side = cases[i].initiator ? &a : &b;
        size_t sent;

        open_pair(&a, &b);
        drive(&a, &b, side, cases[i].state);
        sent = side->out.len;
        for (unsigned n = 0; n < 32; n++) {
            CHECK_OK(feed_frame(side, 0, a_cast()));
            CHECK_OK(feed_frame(side, 0, hti_frame_ready()));
            CHECK(side_is(side, cases[i].state));
        }
        CHECK(side->messages + side->readies + side->controls == 0);
        CHECK(side->out.len == sent);
        CHECK_ERR(feed_frame(side, 0, a_cast()), HT_EPROTO);
        side_fini(&a);
        side_fini(&b);

        /* A few do not stop the handshake. */
        open_pair(&a, &b);
        drive(&a, &b, side, cases[i].state);
        CHECK_OK(feed_frame(side, 0, hti_frame_ready()));
        converse(&a, &b, 0, SIZE_MAX);
        CHECK(side_is(&a, HTI_SESSION_OPEN) && side_is(&b, HTI_SESSION_OPEN));
        CHECK(side->readies == 0);
        side_fini(&a);
        side_fini(&b);
    }
}

static void test_messages_after_open(void **state)
{
    uint64_t pid = 7;
    struct side a, b;
    Hardtack__Wire__Extension ext = HARDTACK__WIRE__EXTENSION__INIT;
    Hardtack__Wire__Link link = HARDTACK__WIRE__LINK__INIT;

    (void)state;
    pair_open(&a, &b);
    CHECK_OK(feed_frame(&a, 0, a_cast()));
    CHECK(a.messages == 1 && a.last.kind == HTI_ENVELOPE_CAST);
    CHECK(a.last.u.cast.to == 5);
    CHECK_OK(feed_frame(&a, 0, hti_frame_spawn(&pid, NULL, 1)));
    CHECK(a.last_control == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_SPAWN);
    CHECK_OK(feed_frame(&a, 0, hti_frame_terminate(&pid, 1)));
    CHECK(a.last_control == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_TERMINATE);
    CHECK_OK(feed_frame(&a, 0, hti_frame_group(true, "s", "g", &pid, NULL, 1)));
    CHECK(a.last_control == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_JOIN);
    CHECK(a.controls == 3);
    ext.msg_case = HARDTACK__WIRE__EXTENSION__MSG_LINK;
    ext.link = &link;
    CHECK_OK(feed_frame(&a, 0, hti_frame_ext(&ext, 0)));
    CHECK(a.extensions == 1);
    side_fini(&a);
    side_fini(&b);
}

/* A large payload can be read to its place directly. */
static void test_direct_reads(void **state)
{
    struct side a, b;
    uint8_t *blob = malloc(300000);
    struct hti_wire_cast cast = {.to = 1, .what = {blob, 300000}};
    struct hti_frame *frame;
    size_t at = 100;
    uint8_t *into;

    (void)state;
    CHECK(blob != NULL);
    memset(blob, 0x5a, 300000);
    pair_open(&a, &b);
    frame = hti_frame_cast(&cast, 0);
    CHECK(frame != NULL);
    CHECK(hti_session_target(a.session, &into) == 0);
    CHECK_OK(side_feed(&a, 0, frame->bytes, at));
    while (at < frame->len) {
        size_t room = hti_session_target(a.session, &into);
        size_t n = frame->len - at < room ? frame->len - at : room;

        CHECK(n > 0);
        memcpy(into, frame->bytes + at, n);
        CHECK_OK(hti_session_filled(a.session, 1, n));
        at += n;
    }
    CHECK(a.messages == 1 && a.last_what_len == 300000 && a.last_owned);
    hti_frame_free(frame);
    free(blob);
    side_fini(&a);
    side_fini(&b);
}

/* Every frame that there is no memory for closes with that reason. */
static void test_out_of_memory(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (long n = 1;; n++) {
        struct side a, b;
        bool opened;
        ht_err err;

        side_init(&a, true, ring_one(COOKIE));
        side_init(&b, false, ring_one(COOKIE));
        CHECK_OK(hti_session_new(&a.config, &side_ops, &a, 0, &a.session));
        side_open(&b, 0);
        hti_alloc_fail_after(n);
        err = hti_session_start(a.session, 0);
        if (err == HT_OK) {
            converse(&a, &b, 0, SIZE_MAX);
        }
        hti_alloc_fail_after(0);
        opened = side_is(&a, HTI_SESSION_OPEN) && side_is(&b, HTI_SESSION_OPEN);
        if (!opened) {
            CHECK(err == HT_ENOMEM || a.err == HT_ENOMEM || b.err == HT_ENOMEM);
            failed++;
        }
        side_fini(&a);
        side_fini(&b);
        if (opened) {
            break;
        }
    }
    CHECK(failed >= 5); /* as many as the handshake has frames */
}

CHECK_MAIN(cmocka_unit_test(test_initiator_states),
           cmocka_unit_test(test_acceptor_states),
           cmocka_unit_test(test_open_ignores_authentication),
           cmocka_unit_test(test_early_messages),
           cmocka_unit_test(test_messages_after_open),
           cmocka_unit_test(test_direct_reads),
           cmocka_unit_test(test_out_of_memory))
