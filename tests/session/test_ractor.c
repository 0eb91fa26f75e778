/* SPDX-License-Identifier: Apache-2.0 */
/* test_ractor.c - the handshake with ractor_cluster nodes: the vectors of the
 * wire specification, and what policy makes of such peers. */
#include "tests/session/fixture.h"

#define H1                                                                     \
    "00000000000000340a320a300a106e6f64655f61406c6f63616c686f7374120208011a0e" \
    "6c6f63616c686f73743a3831393820888e98a8c0e0808101"
#define H1L                                                                    \
    "000000000000002a0a280a260a106e6f64655f61406c6f63616c686f7374120208011a0e" \
    "6c6f63616c686f73743a38313938"
#define H2 "00000000000000040a021200"
#define H3                                                                     \
    "000000000000002c0a2a22280a106e6f64655f62406c6f63616c686f737412020801182a" \
    "220e6c6f63616c686f73743a38313939"
#define H4                                                                     \
    "000000000000002c0a2a2a2808effdb6f50d1220143e00d9d3b31d9d24452f85ac044489" \
    "53081a02ed02272e592c5b13cd422ef7"
#define H4_BAD                                                                 \
    "000000000000002c0a2a2a2808effdb6f50d1220143e00d9d3b31d9d24452f85ac044489" \
    "53081a02ed02272e592c5b13cd422ef6"
#define H5                                                                     \
    "00000000000000260a2432220a204d3c3607cc254bf04b9a48844dabbd6ecf0e1b8c2df6" \
    "a78a70fd21376aa5670b"
#define H5_BAD                                                                 \
    "00000000000000260a2432220a204d3c3607cc254bf04b9a48844dabbd6ecf0e1b8c2df6" \
    "a78a70fd21376aa5670a"
#define SIMULTANEOUS "00000000000000060a0412020801"
#define NOT_OK       "00000000000000060a0412020802"
#define NOT_ALLOWED  "00000000000000060a0412020803"
#define ALIVE        "00000000000000060a0412020804"
#define UNKNOWN      "00000000000000060a041202082a"
#define CLIENT_TRUE  "00000000000000060a041a020801"
#define CLIENT_FALSE "00000000000000040a021a00"
#define READY        "00000000000000041a024a00"

static const char *const ractor_cookie[] = {"cookie", NULL};
static const char *const own_cookie[] = {"a cookie of our own", NULL};

static void init_any(struct side *side, bool initiator)
{
    side_init(side, initiator, ring_of(own_cookie, ractor_cookie));
    side->config.any_peer = true;
}

static void dial(struct side *a)
{
    init_any(a, true);
    side_open(a, 0);
    a->out.at = a->out.len; /* Name carries our Hello, H1 does not */
}

static void accept_h1(struct side *b)
{
    init_any(b, false);
    side_open(b, 0);
    CHECK_OK(feed_hex(b, 0, H1));
    expect_hex(b, H2 H3);
}

/* ---- vectors ---- */

static void test_acceptor_gives_the_vectors(void **state)
{
    struct side b;

    (void)state;
    accept_h1(&b);
    CHECK(b.names == 1 && b.challenges_issued == 1);
    CHECK(hti_session_peer(b.session)->connection_id ==
          UINT64_C(0x0102030405060708));
    CHECK_OK(feed_hex(&b, 0, H4));
    expect_hex(&b, H5);
    CHECK(side_is(&b, HTI_SESSION_OPEN));
    CHECK(!b.opened.hardtack && b.opened.capabilities == 0);
    CHECK(b.opened.frame_max == HTI_FRAME_BYTES_MAX);
    CHECK(b.challenges_seen == 1);
    side_fini(&b);
}

static void test_initiator_gives_the_vectors(void **state)
{
    struct side a;

    (void)state;
    dial(&a);
    CHECK_OK(feed_hex(&a, 0, H2));
    CHECK_OK(feed_hex(&a, 0, H3));
    expect_hex(&a, H4);
    CHECK(a.challenges_seen == 1 && a.challenges_issued == 1);
    CHECK_OK(feed_hex(&a, 0, H5));
    CHECK(side_is(&a, HTI_SESSION_OPEN) && a.opens == 1);
    CHECK(strcmp(a.opened.name, "node_b@localhost") == 0);
    expect_hex(&a, "");
    side_fini(&a);
}

/* Our Name is H1 with a field that ractor skips. */
static void test_name_is_h1_and_a_hello(void **state)
{
    struct side a;
    uint8_t h1[64];
    size_t n = from_hex(H1, h1, sizeof(h1));

    (void)state;
    init_any(&a, true);
    side_open(&a, 0);
    CHECK(a.out.len > n + 80);
    /* After the lengths, which differ: 8 of the frame, 2 tags with lengths of
     * two bytes where H1 has one. */
    CHECK(memcmp(a.out.bytes + 14, h1 + 12, n - 12) == 0);
    side_fini(&a);
}

static void test_name_without_id(void **state)
{
    struct side b;

    (void)state;
    init_any(&b, false);
    side_open(&b, 0);
    CHECK_OK(feed_hex(&b, 0, H1L));
    expect_hex(&b, H2 H3);
    CHECK(hti_session_peer(b.session)->connection_id == 0);
    CHECK_OK(feed_hex(&b, 0, H4));
    CHECK(side_is(&b, HTI_SESSION_OPEN));
    side_fini(&b);
}

static void test_old_framing_is_refused(void **state)
{
    struct side a;

    (void)state;
    dial(&a);
    CHECK_ERR(feed_hex(&a, 0, "0000000000000005040a021200"), HT_EPROTO);
    side_fini(&a);
}

static void test_challenge_zero_is_absent(void **state)
{
    struct side b;

    (void)state;
    init_any(&b, false);
    b.config.challenge = 0;
    side_open(&b, 0);
    CHECK_OK(feed_hex(&b, 0, H1));
    expect_hex(&b,
               H2 "000000000000002a0a2822260a106e6f64655f62406c6f63616c686f73"
                  "7412020801220e6c6f63616c686f73743a38313939");
    /* digest("cookie", 0), own challenge 0xDEADBEEF */
    CHECK_OK(feed_hex(&b, 0,
                      "000000000000002c0a2a2a2808effdb6f50d12200f5db4bae821bb4"
                      "e309afb05cb5537ca32ab441136c00581155ae29ab12e79e6"));
    CHECK(side_is(&b, HTI_SESSION_OPEN));
    side_fini(&b);
}

static void test_statuses(void **state)
{
    static const struct {
        const char *frame;
        const char *answer;
        ht_err err;
    } cases[] = {
        {H2, "", HT_OK},
        {SIMULTANEOUS, "", HT_OK},
        {UNKNOWN, "", HT_OK},
        {ALIVE, CLIENT_TRUE, HT_OK},
        {NOT_OK, "", HT_EDUPLICATE},
        {NOT_ALLOWED, "", HT_EDUPLICATE},
    };
    struct side a;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dial(&a);
        CHECK_ERR(feed_hex(&a, 0, cases[i].frame), cases[i].err);
        expect_hex(&a, cases[i].answer);
        if (cases[i].err == HT_OK) {
            CHECK_OK(feed_hex(&a, 0, H3));
            expect_hex(&a, H4);
            CHECK_OK(feed_hex(&a, 0, H5));
            CHECK(side_is(&a, HTI_SESSION_OPEN));
        }
        side_fini(&a);
    }
}

/* ---- recorded between two Rust nodes (tests/interop/transcripts) ---- */

#define RUST_NAME                                                              \
    "00000000000000300a2e0a2c0a0b61403132372e302e302e31120208011a0f3132372e30" \
    "2e302e313a33343831312098e2808bd0e682c511"
#define RUST_STATUS "00000000000000040a021200"
#define RUST_CHALLENGE                                                         \
    "000000000000002c0a2a22280a0b62403132372e302e302e31120208011896dcdac40822" \
    "0f3132372e302e302e313a3337333433"
#define RUST_REPLY                                                             \
    "000000000000002a0a282a2608c5f4101220a76ad3d770f0efa2d0b9f8f5300b0f077427" \
    "042f532f57715f77f6def3cd9536"
#define RUST_ACK                                                               \
    "00000000000000260a2432220a2036a4549320febe2be456d2b552b01454ff9b8447310f" \
    "2306200a86450466e063"
#define RUST_SYNC_OF_INITIATOR                                                 \
    "000000000000000c1a0a0a080a0608031202706100000000000000231a212a1f0a026761" \
    "12060803120270611a115f5f64656661756c745f73636f70655f5f00000000000000041a" \
    "024a00"
#define RUST_SYNC_OF_ACCEPTOR                                                  \
    "00000000000000141a120a100a060803120270620a06080412026362000000000000002c" \
    "1a2a2a280a0b63616c63756c61746f727312060804120263621a115f5f64656661756c74" \
    "5f73636f70655f5f00000000000000231a212a1f0a02676212060803120270621a115f5f" \
    "64656661756c745f73636f70655f5f00000000000000041a024a00"

/* Ours in the place of the Rust acceptor says the same, byte for byte. */
static void test_in_place_of_a_rust_acceptor(void **state)
{
    struct side b;

    (void)state;
    init_any(&b, false);
    b.self.name = "b@127.0.0.1";
    b.self.connection_string = "127.0.0.1:37343";
    b.config.challenge = 0x8896ae16;
    side_open(&b, 0);
    CHECK_OK(feed_hex(&b, 0, RUST_NAME));
    expect_hex(&b, RUST_STATUS RUST_CHALLENGE);
    CHECK_OK(feed_hex(&b, 0, RUST_REPLY));
    expect_hex(&b, RUST_ACK);
    CHECK(side_is(&b, HTI_SESSION_OPEN));
    CHECK(strcmp(b.opened.name, "a@127.0.0.1") == 0);
    CHECK_OK(feed_hex(&b, 0, RUST_SYNC_OF_INITIATOR));
    CHECK(b.controls == 2 && b.readies == 1);
    side_fini(&b);
}

static void test_in_place_of_a_rust_initiator(void **state)
{
    struct side a;

    (void)state;
    init_any(&a, true);
    a.self.name = "a@127.0.0.1";
    a.self.connection_string = "127.0.0.1:34811";
    a.config.challenge = 0x43a45;
    side_open(&a, 0);
    a.out.at = a.out.len; /* Name carries our Hello */
    CHECK_OK(feed_hex(&a, 0, RUST_STATUS RUST_CHALLENGE));
    expect_hex(&a, RUST_REPLY);
    CHECK_OK(feed_hex(&a, 0, RUST_ACK RUST_SYNC_OF_ACCEPTOR));
    CHECK(side_is(&a, HTI_SESSION_OPEN));
    CHECK(strcmp(a.opened.name, "b@127.0.0.1") == 0);
    CHECK(a.controls == 3 && a.readies == 1);
    side_fini(&a);
}

/* ---- negative vectors ---- */

/* What is ignored, before and after authentication. */
static void test_ignored_frames(void **state)
{
    static const char *const frames[] = {
        "0000000000000000",         /* E1 */
        "00000000000000022200",     /* E4 */
        "00000000000000041a025200", /* E5 */
    };
    struct side a, b;

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        dial(&a);
        CHECK_OK(feed_hex(&a, 0, frames[i]));
        CHECK(side_is(&a, HTI_SESSION_STATUS));
        side_fini(&a);

        accept_h1(&b);
        CHECK_OK(feed_hex(&b, 0, frames[i]));
        CHECK(side_is(&b, HTI_SESSION_REPLY));
        CHECK_OK(feed_hex(&b, 0, H4));
        CHECK_OK(feed_hex(&b, 0, frames[i]));
        CHECK(side_is(&b, HTI_SESSION_OPEN));
        CHECK(b.controls + b.messages == 0);
        side_fini(&b);
    }
}

/* What closes, before and after. */
static void test_fatal_frames(void **state)
{
    static const struct {
        const char *frame;
        ht_err before, after;
    } cases[] = {
        {"0000000000000001ff", HT_EPROTO, HT_EPROTO}, /* E2 */
        {"0000000001000001", HT_ETOOBIG, HT_ETOOBIG}, /* E3 */
        {"8000000000000000", HT_ETOOBIG, HT_ETOOBIG},
        {"00000000000000020a00", HT_EPROTO, HT_OK},               /* E6 */
        {"000000000000000712050a031a01ff", HT_EPROTO, HT_EPROTO}, /* E7 */
        {"0000000000001001", HT_ETOOBIG, HT_OK}, /* 4097 bytes to come */
    };
    struct side b;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        accept_h1(&b);
        CHECK_ERR(feed_hex(&b, 0, cases[i].frame), cases[i].before);
        expect_hex(&b, "");
        side_fini(&b);

        accept_h1(&b);
        CHECK_OK(feed_hex(&b, 0, H4));
        expect_hex(&b, H5);
        CHECK_ERR(feed_hex(&b, 0, cases[i].frame), cases[i].after);
        expect_hex(&b, "");
        side_fini(&b);
    }
}

static void test_challenge_without_status(void **state) /* E8 */
{
    struct side a;

    (void)state;
    dial(&a);
    CHECK_ERR(feed_hex(&a, 0, H3), HT_EPROTO);
    CHECK(why_has(&a, "sent Challenge, while we wait for ServerStatus"));
    expect_hex(&a, "");
    side_fini(&a);
}

static void test_wrong_digests(void **state) /* E9 */
{
    struct side a, b;

    (void)state;
    accept_h1(&b);
    CHECK_ERR(feed_hex(&b, 0, H4_BAD), HT_EAUTH);
    expect_hex(&b, "");
    CHECK(why_has(&b, "peer \"node_a@localhost\" proved a wrong cookie"));
    side_fini(&b);

    dial(&a);
    CHECK_OK(feed_hex(&a, 0, H2 H3));
    CHECK_ERR(feed_hex(&a, 0, H5_BAD), HT_EAUTH);
    CHECK(a.opens == 0);
    side_fini(&a);
}

static void test_second_ready_and_name_after_open(void **state)
{
    struct side b; /* E13, E14 */

    (void)state;
    accept_h1(&b);
    CHECK_OK(feed_hex(&b, 0, H4));
    CHECK(!hti_session_is_ready(b.session));
    CHECK_OK(feed_hex(&b, 0, READY));
    CHECK(b.readies == 1 && !hti_session_is_ready(b.session));
    hti_session_synced(b.session);
    CHECK(hti_session_is_ready(b.session));
    CHECK_OK(feed_hex(&b, 0, READY));
    CHECK_OK(feed_hex(&b, 0, H1));
    CHECK(b.readies == 1 && b.names == 1);
    CHECK(side_is(&b, HTI_SESSION_OPEN));
    side_fini(&b);
}

/* ---- two of ours, as ractor nodes ---- */

/* Name and Challenge of a peer with its Hello cut off, as somebody between two
 * nodes would do it. */
static size_t strip(const uint8_t *frame, uint8_t *ret, size_t cap)
{
    Hardtack__Wire__NetworkMessage *m = hardtack__wire__network_message__unpack(
        NULL, frame_len(frame) - 8, frame + 8);
    Hardtack__Wire__Hello *name = NULL, *challenge = NULL;
    struct hti_frame *out;
    size_t n;

    CHECK(m != NULL && m->auth != NULL);
    if (m->auth->msg_case == PB(NAME)) {
        name = m->auth->name->hello;
        m->auth->name->hello = NULL;
    } else if (m->auth->msg_case == PB(SERVER_CHALLENGE)) {
        challenge = m->auth->server_challenge->hello;
        m->auth->server_challenge->hello = NULL;
    }
    out = hti_frame_auth(m->auth);
    CHECK(out != NULL && out->len <= cap);
    n = out->len;
    memcpy(ret, out->bytes, n);
    hti_frame_free(out);
    if (m->auth->msg_case == PB(NAME)) {
        m->auth->name->hello = name;
    } else if (m->auth->msg_case == PB(SERVER_CHALLENGE)) {
        m->auth->server_challenge->hello = challenge;
    }
    hardtack__wire__network_message__free_unpacked(m, NULL);
    return n;
}

/* Deliver one frame without its Hello. */
static bool deliver_stripped(struct side *from, struct side *to)
{
    uint8_t bytes[HTI_HANDSHAKE_BYTES_MAX];
    const uint8_t *frame;
    size_t n;

    if (from->out.at == from->out.len || side_is(to, HTI_SESSION_CLOSED)) {
        return false;
    }
    frame = from->out.bytes + from->out.at;
    n = strip(frame, bytes, sizeof(bytes));
    from->out.at += frame_len(frame);
    return side_feed(to, 0, bytes, n) == HT_OK;
}

static void converse_stripped(struct side *a, struct side *b)
{
    bool more = true;

    side_open(a, 0);
    side_open(b, 0);
    while (more) {
        more = deliver_stripped(a, b);
        more = deliver_stripped(b, a) || more;
    }
}

static void test_full_ractor_handshake(void **state)
{
    struct side a, b;

    (void)state;
    init_any(&a, true);
    init_any(&b, false);
    converse_stripped(&a, &b);
    CHECK(side_is(&a, HTI_SESSION_OPEN) && !a.opened.hardtack);
    CHECK(side_is(&b, HTI_SESSION_OPEN) && !b.opened.hardtack);
    side_fini(&a);
    side_fini(&b);
}

/* With peers = hardtack, stripping closes before any digest. */
static void test_stripped_hello_is_refused(void **state)
{
    struct side a, b;

    (void)state;
    init_any(&a, true);
    init_any(&b, false);
    b.config.any_peer = false;
    converse_stripped(&a, &b);
    CHECK(side_is(&b, HTI_SESSION_CLOSED) && b.err == HT_EAUTH);
    CHECK(b.out.len == 0 && b.names == 0);
    CHECK(why_has(&b, "is a plain ractor node, and policy is peers"));
    side_fini(&a);
    side_fini(&b);

    init_any(&a, true);
    init_any(&b, false);
    a.config.any_peer = false;
    converse_stripped(&a, &b);
    CHECK(side_is(&a, HTI_SESSION_CLOSED) && a.err == HT_EAUTH);
    CHECK(a.out.len == frame_len(a.out.bytes)); /* Name, and no more */
    CHECK(why_has(&a, "is a plain ractor node, and policy is peers"));
    side_fini(&a);
    side_fini(&b);
}

/* Stripping one direction only leaves the other side with a proof it did not
 * ask for. */
static void test_one_sided_stripping(void **state)
{
    struct side a, b;
    uint8_t bytes[HTI_HANDSHAKE_BYTES_MAX];
    size_t n;

    (void)state;
    init_any(&a, true);
    init_any(&b, false);
    side_open(&a, 0);
    side_open(&b, 0);
    CHECK(deliver(&a, &b, 0, SIZE_MAX));                     /* Name */
    CHECK(deliver(&b, &a, 0, frame_len(b.out.bytes)));       /* Status */
    n = strip(b.out.bytes + b.out.at, bytes, sizeof(bytes)); /* Challenge */
    CHECK_OK(side_feed(&a, 0, bytes, n));
    CHECK(side_is(&a, HTI_SESSION_ACK)); /* as ractor: policy any */
    CHECK(!deliver(&a, &b, 0, SIZE_MAX));
    CHECK(side_is(&b, HTI_SESSION_CLOSED) && b.err == HT_EAUTH);
    CHECK(b.opens == 0 && a.opens == 0);
    side_fini(&a);
    side_fini(&b);
}

/* A pinned name is refused by its owner before a digest is sent. */
static void test_pinned_name(void **state)
{
    struct side a, b;

    (void)state;
    dial(&a);
    a.check_peer = HT_EAUTH;
    CHECK_ERR(feed_hex(&a, 0, H2 H3), HT_EAUTH);
    expect_hex(&a, "");
    side_fini(&a);

    init_any(&b, false);
    b.check_peer = HT_EAUTH;
    side_open(&b, 0);
    CHECK_ERR(feed_hex(&b, 0, H1), HT_EAUTH);
    expect_hex(&b, "");
    side_fini(&b);
}

static void test_challenge_of_our_own(void **state)
{
    struct side a;

    (void)state;
    dial(&a);
    a.check_challenge = HT_EAUTH;
    CHECK_ERR(feed_hex(&a, 0, H2 H3), HT_EAUTH);
    CHECK(why_has(&a, "a challenge that we issued ourselves"));
    expect_hex(&a, "");
    side_fini(&a);
}

static void test_no_ractor_cookie(void **state)
{
    struct side a, b;

    (void)state;
    side_init(&b, false, ring_of(own_cookie, NULL));
    b.config.any_peer = true;
    side_open(&b, 0);
    CHECK_ERR(feed_hex(&b, 0, H1), HT_EAUTH);
    CHECK(why_has(&b, "no ractor cookie is configured"));
    expect_hex(&b, "");
    side_fini(&b);

    side_init(&a, true, ring_of(own_cookie, NULL));
    a.config.any_peer = true;
    side_open(&a, 0);
    a.out.at = a.out.len;
    CHECK_ERR(feed_hex(&a, 0, H2 H3), HT_EAUTH);
    CHECK(why_has(&a, "no ractor cookie is configured"));
    expect_hex(&a, "");
    side_fini(&a);
}

static void test_never_inside_cookie_encryption(void **state)
{
    static const enum hti_session_mode modes[] = {HTI_MODE_COOKIE,
                                                  HTI_MODE_PEERCRED};
    struct side b;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        init_any(&b, false);
        b.config.mode = modes[i];
        b.config.tls_key = hti_keyring_at(b.config.keys, 0);
        side_open(&b, 0);
        CHECK_ERR(feed_hex(&b, 0, H1), HT_EAUTH);
        expect_hex(&b, "");
        side_fini(&b);
    }
}

static void test_ractor_rotation(void **state)
{
    static const char *const several[] = {"newer", "cookie", NULL};
    struct side b;

    (void)state;
    side_init(&b, false, ring_of(NULL, several));
    b.config.any_peer = true;
    side_open(&b, 0);
    CHECK_OK(feed_hex(&b, 0, H1));
    expect_hex(&b, H2 H3);
    CHECK_OK(feed_hex(&b, 0, H4));
    expect_hex(&b, H5); /* by the cookie that the peer has */
    CHECK(side_is(&b, HTI_SESSION_OPEN));
    side_fini(&b);
}

static void test_self_by_name_or_address(void **state)
{
    struct side b;

    (void)state;
    init_any(&b, false);
    b.self.name = "node_a@localhost";
    side_open(&b, 0);
    CHECK_ERR(feed_hex(&b, 0, H1), HT_ESELF);
    side_fini(&b);

    init_any(&b, false);
    b.self.connection_string = "localhost:8198";
    side_open(&b, 0);
    CHECK_ERR(feed_hex(&b, 0, H1), HT_ESELF);
    CHECK(why_has(&b, "our own address"));
    side_fini(&b);
}

static void test_refusal_has_no_text_for_ractor(void **state)
{
    struct side b;

    (void)state;
    init_any(&b, false);
    b.verdict = HTI_VERDICT_NOT_OK;
    side_open(&b, 0);
    CHECK_ERR(feed_hex(&b, 0, H1), HT_EDUPLICATE);
    expect_hex(&b, NOT_OK);
    side_fini(&b);
}

/* Extensions and fragments are unknown fields to whom we took for ractor. */
static void test_extensions_from_ractor_are_ignored(void **state)
{
    struct side b;

    (void)state;
    accept_h1(&b);
    CHECK_OK(feed_hex(&b, 0, H4));
    CHECK_OK(feed_hex(&b, 0, "0000000000000003c23e00"));
    CHECK_OK(feed_hex(&b, 0, "0000000000000003ca3e00"));
    CHECK(b.extensions == 0 && side_is(&b, HTI_SESSION_OPEN));
    side_fini(&b);
}

CHECK_MAIN(cmocka_unit_test(test_acceptor_gives_the_vectors),
           cmocka_unit_test(test_initiator_gives_the_vectors),
           cmocka_unit_test(test_name_is_h1_and_a_hello),
           cmocka_unit_test(test_name_without_id),
           cmocka_unit_test(test_old_framing_is_refused),
           cmocka_unit_test(test_challenge_zero_is_absent),
           cmocka_unit_test(test_statuses),
           cmocka_unit_test(test_in_place_of_a_rust_acceptor),
           cmocka_unit_test(test_in_place_of_a_rust_initiator),
           cmocka_unit_test(test_ignored_frames),
           cmocka_unit_test(test_fatal_frames),
           cmocka_unit_test(test_challenge_without_status),
           cmocka_unit_test(test_wrong_digests),
           cmocka_unit_test(test_second_ready_and_name_after_open),
           cmocka_unit_test(test_full_ractor_handshake),
           cmocka_unit_test(test_stripped_hello_is_refused),
           cmocka_unit_test(test_one_sided_stripping),
           cmocka_unit_test(test_pinned_name),
           cmocka_unit_test(test_challenge_of_our_own),
           cmocka_unit_test(test_no_ractor_cookie),
           cmocka_unit_test(test_never_inside_cookie_encryption),
           cmocka_unit_test(test_ractor_rotation),
           cmocka_unit_test(test_self_by_name_or_address),
           cmocka_unit_test(test_refusal_has_no_text_for_ractor),
           cmocka_unit_test(test_extensions_from_ractor_are_ignored))
