/* SPDX-License-Identifier: Apache-2.0 */
/* test_handshake.c - two Hardtack nodes meet, and who does not. */
#include "tests/session/fixture.h"

#define COOKIE "a cookie that is long enough"

static void init_pair(struct side *a, struct side *b)
{
    side_init(a, true, ring_one(COOKIE));
    side_init(b, false, ring_one(COOKIE));
}

static void fini_pair(struct side *a, struct side *b)
{
    side_fini(a);
    side_fini(b);
}

static void check_both_open(const struct side *a, const struct side *b)
{
    CHECK(side_is(a, HTI_SESSION_OPEN) && a->opens == 1);
    CHECK(side_is(b, HTI_SESSION_OPEN) && b->opens == 1);
}

static void check_none_open(const struct side *a, const struct side *b)
{
    CHECK(side_is(a, HTI_SESSION_CLOSED) && a->opens == 0);
    CHECK(side_is(b, HTI_SESSION_CLOSED) && b->opens == 0);
}

static void test_two_nodes_meet(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    CHECK(b.names == 1 && a.names == 0);
    CHECK(a.peers_checked == 1 && b.peers_checked == 1);
    CHECK(a.challenges_seen + b.challenges_seen == 0);

    CHECK(strcmp(a.opened.name, "node_b@localhost") == 0);
    CHECK(strcmp(a.opened.connection_string, "localhost:8199") == 0);
    CHECK(a.opened.hardtack && a.opened.version == 1);
    CHECK(a.opened.incarnation == 22 && a.opened.flags == 0);
    CHECK(a.opened.connection_id == a.config.connection_id);
    CHECK(a.opened.message_max == 64 << 20);
    CHECK(memcmp(a.opened.instance, b.self.instance, 16) == 0);

    CHECK(strcmp(b.opened.name, "node_a@localhost") == 0);
    CHECK(b.opened.incarnation == 11);
    CHECK(b.opened.connection_id == a.config.connection_id);
    CHECK(b.opened.capabilities == (HTI_CAP_EXTENSIONS | HTI_CAP_FRAGMENTS));
    fini_pair(&a, &b);
}

static void test_hidden_client_says_so(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    a.self.hidden = true;
    a.self.connection_string = "";
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    CHECK(b.opened.flags == HTI_HELLO_HIDDEN);
    CHECK(b.opened.connection_string[0] == '\0');
    fini_pair(&a, &b);
}

/* The legacy fields say nothing about the cookie between Hardtack nodes. */
static void test_no_legacy_proof_is_sent(void **state)
{
    struct side a, b;
    const struct stream *streams[] = {&a.out, &b.out};

    (void)state;
    init_pair(&a, &b);
    meet(&a, &b, 0);
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *p = streams[i]->bytes;
        const uint8_t *end = p + streams[i]->len;

        for (; p < end; p += frame_len(p)) {
            Hardtack__Wire__NetworkMessage *m =
                hardtack__wire__network_message__unpack(NULL, frame_len(p) - 8,
                                                        p + 8);

            CHECK(m != NULL);
            if (m->auth->msg_case == PB(SERVER_CHALLENGE)) {
                CHECK(!m->auth->server_challenge->has_challenge);
            }
            if (m->auth->msg_case == PB(CLIENT_CHALLENGE)) {
                CHECK(!m->auth->client_challenge->has_challenge);
                CHECK(!m->auth->client_challenge->has_digest);
                CHECK(m->auth->client_challenge->mac.len == 32);
            }
            if (m->auth->msg_case == PB(SERVER_ACK)) {
                CHECK(!m->auth->server_ack->has_digest);
                CHECK(m->auth->server_ack->mac.len == 32);
            }
            hardtack__wire__network_message__free_unpacked(m, NULL);
        }
    }
    fini_pair(&a, &b);
}

static void test_any_split_of_the_stream(void **state)
{
    struct side a, b;

    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        init_pair(&a, &b);
        a.sync_on_open = b.sync_on_open = true;
        side_open(&a, 0);
        side_open(&b, 0);
        converse(&a, &b, 0, piece);
        check_both_open(&a, &b);
        CHECK(hti_session_is_ready(a.session) && a.readies == 1);
        CHECK(hti_session_is_ready(b.session) && b.readies == 1);
        fini_pair(&a, &b);
    }
}

/* The acceptor's sync block follows its Ack, and may come in the same read as
 * it, larger than a handshake's frames may be. */
static void test_sync_follows_the_ack(void **state)
{
    uint64_t pids[HTI_BATCH_MAX];
    struct hti_frame *spawn;
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    b.sync_on_open = true;
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    CHECK(b.sent_at_open < b.out.len && a.readies == 1);
    fini_pair(&a, &b);

    for (size_t i = 0; i < HTI_BATCH_MAX; i++) {
        pids[i] = UINT64_MAX - i;
    }
    init_pair(&a, &b);
    side_open(&a, 0);
    side_open(&b, 0);
    while (!side_is(&b, HTI_SESSION_OPEN)) {
        CHECK(deliver(&a, &b, 0, SIZE_MAX) ||
              deliver(&b, &a, 0, frame_len(b.out.bytes + b.out.at)));
    }
    spawn = hti_frame_spawn(pids, NULL, HTI_BATCH_MAX);
    CHECK(spawn != NULL && spawn->len > HTI_HANDSHAKE_BYTES_MAX);
    stream_put(&b.out, spawn->bytes, spawn->len);
    hti_frame_free(spawn);
    while (deliver(&b, &a, 0, SIZE_MAX)) {
    }
    check_both_open(&a, &b);
    CHECK(a.controls == 1);
    fini_pair(&a, &b);
}

/* ---- cookies ---- */

static void test_wrong_cookie(void **state)
{
    struct side a, b;

    (void)state;
    side_init(&a, true, ring_one(COOKIE));
    side_init(&b, false, ring_one("another cookie"));
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(b.err == HT_EAUTH && a.err == HT_EAUTH);
    CHECK(why_has(&b, "peer \"node_a@localhost\" proved a wrong cookie"));
    CHECK(why_has(&a, "peer \"node_b@localhost\" does not know our cookie"));
    fini_pair(&a, &b);
}

/* Add, reorder, remove: any two rings that share the one dialled with. */
static void test_rotation(void **state)
{
    static const struct {
        const char *dialler[3];
        const char *acceptor[4];
        bool meet;
    } cases[] = {
        {{"old", NULL}, {"old", "new", NULL}, true},
        {{"old", "new", NULL}, {"old", NULL}, true},
        {{"new", "old", NULL}, {"old", "new", NULL}, true},
        {{"new", "old", NULL}, {"x", "old", "new", NULL}, true},
        {{"new", NULL}, {"new", "old", NULL}, true},
        {{"new", "old", NULL}, {"old", NULL}, false}, /* dialled with new */
        {{"old", NULL}, {"new", NULL}, false},
    };
    struct side a, b;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        side_init(&a, true, ring_of(cases[i].dialler, NULL));
        side_init(&b, false, ring_of(cases[i].acceptor, NULL));
        meet(&a, &b, 0);
        if (cases[i].meet) {
            check_both_open(&a, &b);
        } else {
            check_none_open(&a, &b);
        }
        fini_pair(&a, &b);
    }
}

/* Inside TLS by one cookie, the proof must be by that cookie. */
static void test_cookie_mode_takes_only_its_own_key(void **state)
{
    static const char *const both[] = {"old", "new", NULL};
    struct side a, b;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t ka = i & 1, kb = i >> 1;

        side_init(&a, true, ring_of(both, NULL));
        side_init(&b, false, ring_of(both, NULL));
        a.config.mode = b.config.mode = HTI_MODE_COOKIE;
        a.config.tls_key = hti_keyring_at(a.config.keys, ka);
        b.config.tls_key = hti_keyring_at(b.config.keys, kb);
        meet(&a, &b, 0);
        if (ka == kb) {
            check_both_open(&a, &b);
        } else {
            check_none_open(&a, &b);
        }
        fini_pair(&a, &b);
    }
}

static void test_no_cookie_configured(void **state)
{
    struct side a, b;

    (void)state;
    side_init(&a, true, ring_one(COOKIE));
    side_init(&b, false, ring_of(NULL, NULL));
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(b.err == HT_EAUTH && why_has(&b, "no cookie is configured"));
    CHECK(b.out.len == 0);
    fini_pair(&a, &b);

    side_init(&a, true, ring_of(NULL, NULL));
    side_init(&b, false, ring_one(COOKIE));
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(a.err == HT_EAUTH && why_has(&a, "no cookie is configured"));
    fini_pair(&a, &b);
}

static void test_peercred_ring(void **state)
{
    struct hti_keyring *ra, *rb;
    struct side a, b;

    (void)state;
    CHECK_OK(hti_keyring_new_peercred(&ra));
    CHECK_OK(hti_keyring_new_peercred(&rb));
    side_init(&a, true, ra);
    side_init(&b, false, rb);
    a.config.mode = b.config.mode = HTI_MODE_PEERCRED;
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    fini_pair(&a, &b);

    /* The public key opens nothing where a cookie is wanted. */
    CHECK_OK(hti_keyring_new_peercred(&ra));
    side_init(&a, true, ra);
    side_init(&b, false, ring_one(COOKIE));
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    fini_pair(&a, &b);

    /* Nor where two nodes were given it by mistake. */
    for (unsigned mode = HTI_MODE_NONE; mode <= HTI_MODE_TLS; mode++) {
        CHECK_OK(hti_keyring_new_peercred(&ra));
        CHECK_OK(hti_keyring_new_peercred(&rb));
        side_init(&a, true, ra);
        side_init(&b, false, rb);
        a.config.mode = b.config.mode = (enum hti_session_mode)mode;
        a.config.tls_key = hti_keyring_at(ra, 0);
        b.config.tls_key = hti_keyring_at(rb, 0);
        meet(&a, &b, 0);
        check_none_open(&a, &b);
        CHECK(b.err == HT_EAUTH && b.names == 0 && b.out.len == 0);
        fini_pair(&a, &b);
    }
}

/* ---- who it is ---- */

static void test_own_instance(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    memcpy(a.self.instance, b.self.instance, HTI_INSTANCE_BYTES);
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(b.err == HT_ESELF && why_has(&b, "our own instance"));
    CHECK(b.names == 0 && b.out.len == 0);
    fini_pair(&a, &b);
}

static void test_own_name(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    a.self.name = b.self.name;
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(b.err == HT_ESELF && why_has(&b, "our own name"));
    fini_pair(&a, &b);
}

static void test_same_address_is_fine_between_hardtack_nodes(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    a.self.connection_string = b.self.connection_string;
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    fini_pair(&a, &b);
}

static void test_other_name_than_dialled(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    a.config.expected_name = "node_c@localhost";
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(a.err == HT_ENAME);
    CHECK(why_has(&a, "\"node_b@localhost\" is not \"node_c@localhost\""));
    fini_pair(&a, &b);

    init_pair(&a, &b);
    a.config.expected_name = "node_b@localhost";
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    fini_pair(&a, &b);
}

static void test_bad_names(void **state)
{
    static char long_name[HTI_NAME_BYTES_MAX + 2];
    static const char *const names[] = {"", long_name, "a\nb", "a\x7f",
                                        "a\xc2\x85", "\xff\xfe", "\xed\xa0\x80",
                                        /* ends a line, turns it round */
                                        "a\xe2\x80\xa8",
                                        "\xe2\x80\xae"
                                        "b",
                                        "a\xe2\x81\xa6"
                                        "b",
                                        "\xe2\x80\x8f"};
    static const char *const good[] = {"a\xe2\x80\xa7", "a\xe2\x80\xaf",
                                       "\xe2\x80\x8d",
                                       "\xe2\x82\xa8\xe2\x81\xa5"};
    struct side a, b;

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        init_pair(&a, &b);
        a.self.name = names[i];
        meet(&a, &b, 0);
        check_none_open(&a, &b);
        CHECK(b.err == HT_EPROTO && b.names == 0 && b.out.len == 0);
        CHECK(strpbrk(hti_session_why(b.session), "\n\x7f\xff") == NULL);
        fini_pair(&a, &b);

        init_pair(&a, &b);
        b.self.name = names[i];
        meet(&a, &b, 0);
        check_none_open(&a, &b);
        CHECK(a.err == HT_EPROTO && a.peers_checked == 0);
        fini_pair(&a, &b);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        init_pair(&a, &b);
        a.self.name = good[i];
        meet(&a, &b, 0);
        check_both_open(&a, &b);
        fini_pair(&a, &b);
    }
    long_name[HTI_NAME_BYTES_MAX] = '\0';
    init_pair(&a, &b);
    a.self.name = long_name;
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    fini_pair(&a, &b);
}

/* ---- verdicts ---- */

static void test_refused_by_election(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    b.verdict = HTI_VERDICT_NOT_OK;
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(a.err == HT_EDUPLICATE && b.err == HT_EDUPLICATE);
    CHECK(why_has(&a, ht_strerror(HT_EDUPLICATE)));
    fini_pair(&a, &b);

    init_pair(&a, &b);
    b.verdict = HTI_VERDICT_NOT_OK;
    b.verdict_why = HT_EDENIED;
    meet(&a, &b, 0);
    CHECK(a.err == HT_EDUPLICATE && b.err == HT_EDENIED);
    CHECK(why_has(&a, ht_strerror(HT_EDENIED)));
    fini_pair(&a, &b);
}

static void test_simultaneous_goes_on(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    b.verdict = HTI_VERDICT_OK_SIMULTANEOUS;
    meet(&a, &b, 0);
    check_both_open(&a, &b);
    fini_pair(&a, &b);
}

static void test_on_open_refuses(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    a.on_open = HT_EDUPLICATE;
    meet(&a, &b, 0);
    CHECK(side_is(&a, HTI_SESSION_CLOSED) && a.err == HT_EDUPLICATE);
    CHECK(side_is(&b, HTI_SESSION_CLOSED) && b.err == HT_ENOCONN);
    CHECK(b.opens == 1);
    fini_pair(&a, &b);

    init_pair(&a, &b);
    b.on_open = HT_EDUPLICATE;
    meet(&a, &b, 0);
    CHECK(side_is(&b, HTI_SESSION_CLOSED) && b.err == HT_EDUPLICATE);
    CHECK(side_is(&a, HTI_SESSION_CLOSED));
    fini_pair(&a, &b);
}

/* check_peer is asked before anything keyed goes out. */
static void test_check_peer_refuses(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    a.check_peer = HT_EAUTH;
    side_open(&a, 0);
    side_open(&b, 0);
    a.out.at = 0;
    deliver(&a, &b, 0, SIZE_MAX);
    deliver(&b, &a, 0, SIZE_MAX);
    CHECK(side_is(&a, HTI_SESSION_CLOSED) && a.err == HT_EAUTH);
    CHECK(a.out.at == a.out.len); /* no ChallengeReply */
    fini_pair(&a, &b);

    init_pair(&a, &b);
    b.check_peer = HT_EAUTH;
    meet(&a, &b, 0);
    check_none_open(&a, &b);
    CHECK(b.out.len == 0 && b.names == 0 && a.err == HT_EAUTH);
    fini_pair(&a, &b);
}

/* ---- replay and reflection ---- */

static struct stream keep(struct stream *stream)
{
    struct stream kept = *stream;

    memset(stream, 0, sizeof(*stream));
    return kept;
}

static void test_replayed_initiator(void **state)
{
    struct side a, b;
    struct stream recorded;

    (void)state;
    init_pair(&a, &b);
    meet(&a, &b, 0);
    recorded = keep(&a.out);
    fini_pair(&a, &b);

    side_init(&b, false, ring_one(COOKIE));
    b.config.nonce[0] ^= 1; /* each session has its own */
    side_open(&b, 0);
    CHECK_ERR(side_feed(&b, 0, recorded.bytes, recorded.len), HT_EAUTH);
    CHECK(b.opens == 0);
    side_fini(&b);
    free(recorded.bytes);
}

static void test_replayed_acceptor(void **state)
{
    struct side a, b;
    struct stream recorded;

    (void)state;
    init_pair(&a, &b);
    meet(&a, &b, 0);
    recorded = keep(&b.out);
    fini_pair(&a, &b);

    side_init(&a, true, ring_one(COOKIE));
    a.config.nonce[31] ^= 1;
    side_open(&a, 0);
    CHECK_ERR(side_feed(&a, 0, recorded.bytes, recorded.len), HT_EAUTH);
    CHECK(a.opens == 0 && why_has(&a, "proved a wrong cookie"));
    side_fini(&a);
    free(recorded.bytes);
}

static void test_own_messages_sent_back(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    side_open(&a, 0);
    CHECK_ERR(side_feed(&a, 0, a.out.bytes, a.out.len), HT_EPROTO);
    side_open(&b, 0);
    deliver(&a, &b, 0, SIZE_MAX);
    CHECK_ERR(side_feed(&b, 0, b.out.bytes, b.out.len), HT_EPROTO);
    check_none_open(&a, &b);
    fini_pair(&a, &b);
}

/* The initiator's proof is no proof of the acceptor. */
static void test_own_proof_sent_back(void **state)
{
    Hardtack__Wire__AuthenticationMessage m =
        HARDTACK__WIRE__AUTHENTICATION_MESSAGE__INIT;
    Hardtack__Wire__ChallengeAck ack = HARDTACK__WIRE__CHALLENGE_ACK__INIT;
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    side_open(&a, 0);
    side_open(&b, 0);
    deliver(&a, &b, 0, SIZE_MAX);
    deliver(&b, &a, 0, SIZE_MAX);
    CHECK(side_is(&a, HTI_SESSION_ACK));
    ack.has_mac = true;
    ack.mac = hti_pb_bytes(a.out.bytes + a.out.len - 32, 32);
    m.msg_case = PB(SERVER_ACK);
    m.server_ack = &ack;
    CHECK_ERR(feed_frame(&a, 0, hti_frame_auth(&m)), HT_EAUTH);
    fini_pair(&a, &b);
}

/* ---- ends and times ---- */

static void test_handshake_timeout(void **state)
{
    struct side a, b;
    uint64_t deadline = 0;

    (void)state;
    init_pair(&a, &b);
    side_open(&a, 100);
    side_open(&b, 200);
    CHECK_OK(hti_session_tick(a.session, 100, &deadline));
    CHECK(deadline == 5100);
    /* Bytes do not prolong it. */
    CHECK_OK(feed_hex(&a, 5000, "0000000000000000"));
    CHECK_OK(hti_session_tick(a.session, 5099, &deadline));
    CHECK(deadline == 5100);
    CHECK_ERR(hti_session_tick(a.session, 5100, &deadline), HT_ETIMEDOUT);
    CHECK(why_has(&a, "waiting for ServerStatus"));
    CHECK_ERR(hti_session_tick(b.session, 5200, &deadline), HT_ETIMEDOUT);
    CHECK(why_has(&b, "waiting for Name"));
    CHECK_ERR(hti_session_tick(b.session, 5200, &deadline), HT_ETIMEDOUT);
    fini_pair(&a, &b);
}

static void test_ends(void **state)
{
    struct side a, b;

    (void)state;
    init_pair(&a, &b);
    side_open(&a, 0);
    side_open(&b, 0);
    CHECK(hti_session_end(a.session) == HT_EAUTH);
    CHECK(why_has(&a, "closed instead of sending ServerStatus"));
    CHECK(hti_session_end(a.session) == HT_EAUTH); /* again */
    CHECK(hti_session_end(b.session) == HT_ENOCONN);
    CHECK(why_has(&b, "closed before sending Name"));
    fini_pair(&a, &b);

    pair_open(&a, &b);
    CHECK(hti_session_end(a.session) == HT_ENOCONN);
    CHECK(why_has(&a, "closed the connection"));
    CHECK_OK(feed_hex(&b, 0, "0000000000"));
    CHECK(hti_session_end(b.session) == HT_ENOCONN);
    CHECK(why_has(&b, "was cut inside a frame"));
    fini_pair(&a, &b);
}

CHECK_MAIN(cmocka_unit_test(test_two_nodes_meet),
           cmocka_unit_test(test_hidden_client_says_so),
           cmocka_unit_test(test_no_legacy_proof_is_sent),
           cmocka_unit_test(test_any_split_of_the_stream),
           cmocka_unit_test(test_sync_follows_the_ack),
           cmocka_unit_test(test_wrong_cookie),
           cmocka_unit_test(test_rotation),
           cmocka_unit_test(test_cookie_mode_takes_only_its_own_key),
           cmocka_unit_test(test_no_cookie_configured),
           cmocka_unit_test(test_peercred_ring),
           cmocka_unit_test(test_own_instance),
           cmocka_unit_test(test_own_name),
           cmocka_unit_test(test_same_address_is_fine_between_hardtack_nodes),
           cmocka_unit_test(test_other_name_than_dialled),
           cmocka_unit_test(test_bad_names),
           cmocka_unit_test(test_refused_by_election),
           cmocka_unit_test(test_simultaneous_goes_on),
           cmocka_unit_test(test_on_open_refuses),
           cmocka_unit_test(test_check_peer_refuses),
           cmocka_unit_test(test_replayed_initiator),
           cmocka_unit_test(test_replayed_acceptor),
           cmocka_unit_test(test_own_messages_sent_back),
           cmocka_unit_test(test_own_proof_sent_back),
           cmocka_unit_test(test_handshake_timeout),
           cmocka_unit_test(test_ends))
