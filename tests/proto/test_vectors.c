/* SPDX-License-Identifier: Apache-2.0 */
/* Every vector of the protocol, from bytes to fields and from fields to bytes.
 */
#include "tests/proto/wire.h"

#define AUTH(case_, member_)                                                   \
    {                                                                          \
        .base = PROTOBUF_C_MESSAGE_INIT(                                       \
            &hardtack__wire__authentication_message__descriptor),              \
        .msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_##case_,       \
        .member_                                                               \
    }
#define CONTROL(case_, member_)                                                \
    {                                                                          \
        .base = PROTOBUF_C_MESSAGE_INIT(                                       \
            &hardtack__wire__control_message__descriptor),                     \
        .msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_##case_, .member_     \
    }

static ProtobufCBinaryData text(const char *s)
{
    return hti_pb_bytes(s, strlen(s));
}

static void check_pb_text(bool has, ProtobufCBinaryData got, const char *want)
{
    CHECK(has);
    check_view((ht_bytes){got.data, got.len}, want, strlen(want));
}

/* The envelope of a vector, whose one frame is all there is. */
static struct hti_envelope open_vector(const char *id, struct bytes *buf)
{
    struct hti_envelope e;

    *buf = vector(id);
    CHECK_OK(hti_envelope_decode(buf->data + 8, buf->len - 8, &e));
    return e;
}

static void
open_auth(const char *id, struct bytes *buf, struct hti_decoded *ret)
{
    struct hti_envelope e = open_vector(id, buf);

    assert_int_equal(e.kind, HTI_ENVELOPE_AUTH);
    CHECK_OK(hti_decode(&hardtack__wire__authentication_message__descriptor,
                        e.body, ret));
}

static void
open_control(const char *id, struct bytes *buf, struct hti_decoded *ret)
{
    struct hti_envelope e = open_vector(id, buf);

    assert_int_equal(e.kind, HTI_ENVELOPE_CONTROL);
    CHECK_OK(
        hti_decode(&hardtack__wire__control_message__descriptor, e.body, ret));
}

/* ---- all of them --------------------------------------------------------- */

static struct hti_frame *encode_again(const struct hti_envelope *e)
{
    struct hti_decoded d;
    struct hti_frame *frame;

    switch (e->kind) {
    case HTI_ENVELOPE_CAST:
        return hti_frame_cast(&e->u.cast, 0);
    case HTI_ENVELOPE_CALL:
        return hti_frame_call(&e->u.call, 0);
    case HTI_ENVELOPE_REPLY:
        return hti_frame_reply(&e->u.reply, 0);
    case HTI_ENVELOPE_AUTH:
        CHECK_OK(hti_decode(&hardtack__wire__authentication_message__descriptor,
                            e->body, &d));
        frame = hti_frame_auth(d.m.auth);
        hti_decoded_fini(&d);
        return frame;
    case HTI_ENVELOPE_CONTROL:
        CHECK_OK(hti_decode(&hardtack__wire__control_message__descriptor,
                            e->body, &d));
        frame = hti_frame_control(d.m.control);
        hti_decoded_fini(&d);
        return frame;
    case HTI_ENVELOPE_EMPTY:
    case HTI_ENVELOPE_EXT:
    case HTI_ENVELOPE_FRAGMENT:
        break;
    }
    return NULL;
}

/* H, S, P and N, except HX, are what nodes send. */
static void test_every_vector_decodes_and_encodes_to_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct bytes buf;
        struct hti_envelope e;

        if (vectors[i].id[0] == 'E' || strcmp(vectors[i].id, "HX") == 0) {
            continue;
        }
        e = open_vector(vectors[i].id, &buf);
        check_frame(encode_again(&e), vectors[i].id);
    }
}

static void test_every_vector_is_one_frame_of_a_stream(void **state)
{
    struct hti_reader reader;

    (void)state;
    hti_reader_init(&reader, HTI_FRAME_BYTES_MAX);
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct bytes b = from_hex(vectors[i].hex);
        const uint8_t *data = b.data;
        size_t len = b.len;
        struct hti_payload payload;

        if (strcmp(vectors[i].id, "E3") == 0) {
            continue;
        }
        assert_int_equal(hti_reader_next(&reader, &data, &len, &payload), 1);
        assert_int_equal(payload.len, b.len - 8);
        assert_int_equal(len, 0);
        CHECK(hti_reader_at_boundary(&reader));
    }
    hti_reader_fini(&reader);
}

/* ---- handshake ----------------------------------------------------------- */

static void test_name(void **state)
{
    Hardtack__Wire__NodeFlags flags = HARDTACK__WIRE__NODE_FLAGS__INIT;
    Hardtack__Wire__NameMessage name = HARDTACK__WIRE__NAME_MESSAGE__INIT;
    Hardtack__Wire__AuthenticationMessage m = AUTH(NAME, name = &name);
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_auth("H1", &buf, &d);
    assert_int_equal(d.m.auth->msg_case, m.msg_case);
    check_pb_text(d.m.auth->name->has_name, d.m.auth->name->name,
                  "node_a@localhost");
    assert_int_equal(d.m.auth->name->flags->version, 1);
    check_pb_text(d.m.auth->name->has_connection_string,
                  d.m.auth->name->connection_string, "localhost:8198");
    CHECK(d.m.auth->name->connection_id == 0x0102030405060708);
    CHECK(d.m.auth->name->hello == NULL);
    hti_decoded_fini(&d);

    flags.has_version = true;
    flags.version = 1;
    name.has_name = true;
    name.name = text("node_a@localhost");
    name.flags = &flags;
    name.has_connection_string = true;
    name.connection_string = text("localhost:8198");
    check_frame(hti_frame_auth(&m), "H1L");
    name.has_connection_id = true;
    name.connection_id = 0x0102030405060708;
    check_frame(hti_frame_auth(&m), "H1");

    open_auth("H1L", &buf, &d);
    CHECK(!d.m.auth->name->has_connection_id);
    assert_int_equal(d.m.auth->name->connection_id, 0);
    hti_decoded_fini(&d);
}

static void test_server_status(void **state)
{
    static const char *const ids[] = {"H2", "H2a", "H2b", "H2c", "H2d"};
    Hardtack__Wire__ServerStatus status = HARDTACK__WIRE__SERVER_STATUS__INIT;
    Hardtack__Wire__AuthenticationMessage m =
        AUTH(SERVER_STATUS, server_status = &status);

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct hti_decoded d;
        struct bytes buf;

        open_auth(ids[i], &buf, &d);
        assert_int_equal(d.m.auth->msg_case, m.msg_case);
        assert_int_equal(d.m.auth->server_status->status, i);
        hti_decoded_fini(&d);
        status.has_status = i != 0;
        status.status = i;
        check_frame(hti_frame_auth(&m), ids[i]);
    }
}

static void test_client_status(void **state)
{
    Hardtack__Wire__ClientStatus status = HARDTACK__WIRE__CLIENT_STATUS__INIT;
    Hardtack__Wire__AuthenticationMessage m =
        AUTH(CLIENT_STATUS, client_status = &status);
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_auth("H2e", &buf, &d);
    CHECK(d.m.auth->client_status->status);
    hti_decoded_fini(&d);
    open_auth("H2f", &buf, &d);
    CHECK(!d.m.auth->client_status->status);
    hti_decoded_fini(&d);

    check_frame(hti_frame_auth(&m), "H2f");
    status.has_status = true;
    status.status = true;
    check_frame(hti_frame_auth(&m), "H2e");
}

static void test_challenge(void **state)
{
    Hardtack__Wire__NodeFlags flags = HARDTACK__WIRE__NODE_FLAGS__INIT;
    Hardtack__Wire__Challenge challenge = HARDTACK__WIRE__CHALLENGE__INIT;
    Hardtack__Wire__AuthenticationMessage m =
        AUTH(SERVER_CHALLENGE, server_challenge = &challenge);
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_auth("H3", &buf, &d);
    check_pb_text(d.m.auth->server_challenge->has_name,
                  d.m.auth->server_challenge->name, "node_b@localhost");
    assert_int_equal(d.m.auth->server_challenge->challenge, 42);
    check_pb_text(d.m.auth->server_challenge->has_connection_string,
                  d.m.auth->server_challenge->connection_string,
                  "localhost:8199");
    hti_decoded_fini(&d);

    flags.has_version = true;
    flags.version = 1;
    challenge.has_name = true;
    challenge.name = text("node_b@localhost");
    challenge.flags = &flags;
    challenge.has_challenge = true;
    challenge.challenge = 42;
    challenge.has_connection_string = true;
    challenge.connection_string = text("localhost:8199");
    check_frame(hti_frame_auth(&m), "H3");
}

static void test_challenge_reply_and_ack(void **state)
{
    Hardtack__Wire__ChallengeReply reply =
        HARDTACK__WIRE__CHALLENGE_REPLY__INIT;
    Hardtack__Wire__ChallengeAck ack = HARDTACK__WIRE__CHALLENGE_ACK__INIT;
    Hardtack__Wire__AuthenticationMessage m =
        AUTH(CLIENT_CHALLENGE, client_challenge = &reply);
    struct hti_decoded d;
    struct bytes buf;
    uint8_t digest[32];

    (void)state;
    hti_ractor_digest("cookie", 6, 42, digest);
    open_auth("H4", &buf, &d);
    assert_int_equal(d.m.auth->client_challenge->challenge, 0xdeadbeef);
    assert_int_equal(d.m.auth->client_challenge->digest.len, 32);
    assert_memory_equal(d.m.auth->client_challenge->digest.data, digest, 32);
    hti_decoded_fini(&d);
    reply.has_challenge = true;
    reply.challenge = 0xdeadbeef;
    reply.has_digest = true;
    reply.digest = hti_pb_bytes(digest, sizeof digest);
    check_frame(hti_frame_auth(&m), "H4");

    hti_ractor_digest("cookie", 6, 0xdeadbeef, digest);
    open_auth("H5", &buf, &d);
    assert_memory_equal(d.m.auth->server_ack->digest.data, digest, 32);
    hti_decoded_fini(&d);
    ack.has_digest = true;
    ack.digest = hti_pb_bytes(digest, sizeof digest);
    m.msg_case = HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG_SERVER_ACK;
    m.server_ack = &ack;
    check_frame(hti_frame_auth(&m), "H5");
}

static void test_digests(void **state)
{
    static const struct {
        const char *cookie;
        uint32_t challenge;
        const char *digest;
    } known[] = {
        {"cookie", 42,
         "143e00d9d3b31d9d24452f85ac04448953081a02ed02272e592c5b13cd422ef7"},
        {"cookie", 0,
         "0f5db4bae821bb4e309afb05cb5537ca32ab441136c00581155ae29ab12e79e6"},
        {"cookie", 1,
         "c5dcf8687121fe72b911fcd4551b87a586a42aec82da7c4e70a8e50d6f7b4c8c"},
        {"cookie", 0xdeadbeef,
         "4d3c3607cc254bf04b9a48844dabbd6ecf0e1b8c2df6a78a70fd21376aa5670b"},
        {"cookie", 0xffffffff,
         "3259f21b75533ebf4dd882a5b974dfcbb23965ce681d08966132004b9366b1fe"},
        {"", 42,
         "ae3c8b8d99a39542f78af83dbbb42c81cd94199ec1b5f60a0801063e95842570"},
        {"k\xc3\xa9", 7,
         "78304a2729d9a2bf88562880e45a898591574c786cf010bd1f02824752307d14"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct bytes want = from_hex(known[i].digest);
        uint8_t got[32];

        hti_ractor_digest(known[i].cookie, strlen(known[i].cookie),
                          known[i].challenge, got);
        assert_memory_equal(got, want.data, sizeof got);
    }
}

/* ---- synchronisation ----------------------------------------------------- */

static void name_entry(Hardtack__Wire__NameMessage *name,
                       Hardtack__Wire__NodeFlags *flags,
                       const char *node,
                       const char *connection_string)
{
    hardtack__wire__node_flags__init(flags);
    flags->has_version = true;
    flags->version = 1;
    hardtack__wire__name_message__init(name);
    name->has_name = true;
    name->name = text(node);
    name->flags = flags;
    name->has_connection_string = true;
    name->connection_string = text(connection_string);
}

static void test_node_sessions(void **state)
{
    Hardtack__Wire__NodeFlags flags;
    Hardtack__Wire__NameMessage name;
    Hardtack__Wire__NameMessage *list[] = {&name};
    Hardtack__Wire__NodeSessions sessions = HARDTACK__WIRE__NODE_SESSIONS__INIT;
    Hardtack__Wire__ControlMessage ask =
        CONTROL(ENUMERATE_NODE_SESSIONS, enumerate_node_sessions = &name);
    Hardtack__Wire__ControlMessage answer =
        CONTROL(NODE_SESSIONS, node_sessions = &sessions);
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_control("S0", &buf, &d);
    check_pb_text(true, d.m.control->enumerate_node_sessions->name,
                  "node_a@localhost");
    hti_decoded_fini(&d);
    name_entry(&name, &flags, "node_a@localhost", "localhost:8198");
    check_frame(hti_frame_control(&ask), "S0");

    open_control("S0r", &buf, &d);
    assert_int_equal(d.m.control->node_sessions->n_sessions, 1);
    check_pb_text(true, d.m.control->node_sessions->sessions[0]->name,
                  "node_c@localhost");
    hti_decoded_fini(&d);
    check_frame(hti_frame_control(&answer), "S0e");
    name_entry(&name, &flags, "node_c@localhost", "localhost:8200");
    sessions.n_sessions = 1;
    sessions.sessions = list;
    check_frame(hti_frame_control(&answer), "S0r");
}

static void test_spawn_and_terminate(void **state)
{
    const uint64_t pids[] = {0, 5, 300};
    const char *const names[] = {"", "echo", ""};
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_control("S1", &buf, &d);
    assert_int_equal(d.m.control->spawn->n_actors, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(d.m.control->spawn->actors[i]->pid, pids[i]);
    }
    CHECK(!d.m.control->spawn->actors[0]->has_name);
    check_pb_text(d.m.control->spawn->actors[1]->has_name,
                  d.m.control->spawn->actors[1]->name, "echo");
    hti_decoded_fini(&d);
    check_frame(hti_frame_spawn(pids, names, 3), "S1");

    open_control("S5", &buf, &d);
    assert_int_equal(d.m.control->terminate->n_ids, 2);
    assert_int_equal(d.m.control->terminate->ids[0], 5);
    assert_int_equal(d.m.control->terminate->ids[1], 300);
    hti_decoded_fini(&d);
    check_frame(hti_frame_terminate(pids + 1, 2), "S5");
    check_frame(hti_frame_terminate(pids, 1), "S5z");
}

static void test_groups_and_ready(void **state)
{
    const uint64_t pid = 5;
    const char *const name = "echo";
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_control("S2", &buf, &d);
    check_pb_text(true, d.m.control->pg_join->group, "test");
    check_pb_text(true, d.m.control->pg_join->scope, "__default_scope__");
    assert_int_equal(d.m.control->pg_join->n_actors, 1);
    hti_decoded_fini(&d);
    check_frame(
        hti_frame_group(true, "__default_scope__", "test", &pid, &name, 1),
        "S2");
    check_frame(
        hti_frame_group(false, "__default_scope__", "test", &pid, &name, 1),
        "S4");
    open_control("S3", &buf, &d);
    assert_int_equal(d.m.control->msg_case,
                     HARDTACK__WIRE__CONTROL_MESSAGE__MSG_READY);
    hti_decoded_fini(&d);
    check_frame(hti_frame_ready(), "S3");
}

static void test_ping_and_pong(void **state)
{
    Hardtack__Wire__Timestamp at = HARDTACK__WIRE__TIMESTAMP__INIT;
    Hardtack__Wire__Ping ping = HARDTACK__WIRE__PING__INIT;
    Hardtack__Wire__Pong pong = HARDTACK__WIRE__PONG__INIT;
    Hardtack__Wire__ControlMessage m = CONTROL(PING, ping = &ping);
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    open_control("P1", &buf, &d);
    assert_int_equal(d.m.control->ping->timestamp->seconds, 1);
    assert_int_equal(d.m.control->ping->timestamp->nanos, 500000000);
    hti_decoded_fini(&d);
    at.has_seconds = true;
    at.seconds = 1;
    at.has_nanos = true;
    at.nanos = 500000000;
    ping.timestamp = &at;
    check_frame(hti_frame_control(&m), "P1");
    pong.timestamp = &at;
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PONG;
    m.pong = &pong;
    check_frame(hti_frame_control(&m), "P2");
}

/* ---- actor messages ------------------------------------------------------ */

struct cast_vector {
    const char *id;
    const char *what;
    const char *variant;
    const char *metadata; /* NULL: absent */
};

static void check_cast(const struct cast_vector *v)
{
    struct bytes what = from_hex(v->what);
    struct bytes metadata = from_hex(v->metadata != NULL ? v->metadata : "");
    struct hti_wire_cast cast = {
        .to = 5,
        .what = {what.data, what.len},
        .variant = view(v->variant),
    };
    struct bytes buf;
    struct hti_envelope e = open_vector(v->id, &buf);

    assert_int_equal(e.kind, HTI_ENVELOPE_CAST);
    assert_int_equal(e.u.cast.to, 5);
    check_view(e.u.cast.what, what.data, what.len);
    check_text(e.u.cast.variant, v->variant);
    assert_int_equal(e.u.cast.metadata.data != NULL, v->metadata != NULL);
    check_view(e.u.cast.metadata, metadata.data, metadata.len);
    assert_int_equal(e.u.cast.from, 0);
    assert_null(e.u.cast.to_name.data);

    if (v->metadata != NULL) {
        cast.metadata = (ht_bytes){metadata.data, metadata.len};
    }
    assert_int_equal(hti_cast_size(&cast), buf.len - 8);
    check_frame(hti_frame_cast(&cast, 0), v->id);
}

static void test_casts(void **state)
{
    static const struct cast_vector casts[] = {
        {"N1", "000000000000000568656c6c6f0000000000000008000000000000002a",
         "Cast1", NULL},
        {"N1u", "", "A", NULL},
        {"N1b", "6869", "", NULL},
        {"N4", "00000000000000080708960112026869", "Draw", NULL},
        {"N5", "00000000000000036a6f62", "Work",
         "17979cfe362a0000000000003b9aca00000000000000007b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof casts / sizeof casts[0]; i++) {
        check_cast(&casts[i]);
    }
}

static void check_call(const char *id, bool has_timeout, uint64_t timeout_ms)
{
    struct bytes what =
        from_hex("0000000000000001070000000000000008fffffffffffffffe");
    struct hti_wire_call call = {
        .m = {.to = 5, .what = {what.data, what.len}, .variant = view("Call1")},
        .tag = 1,
        .has_timeout = has_timeout,
        .timeout_ms = timeout_ms,
    };
    struct bytes buf;
    struct hti_envelope e = open_vector(id, &buf);

    assert_int_equal(e.kind, HTI_ENVELOPE_CALL);
    assert_int_equal(e.u.call.m.to, 5);
    assert_int_equal(e.u.call.tag, 1);
    check_view(e.u.call.m.what, what.data, what.len);
    check_text(e.u.call.m.variant, "Call1");
    assert_int_equal(e.u.call.has_timeout, has_timeout);
    assert_int_equal(e.u.call.timeout_ms, timeout_ms);
    check_frame(hti_frame_call(&call, 0), id);
}

static void test_calls(void **state)
{
    (void)state;
    check_call("N2", true, 500);
    check_call("N2n", false, 0);
    check_call("N2z", true, 0);
}

static void check_reply(const char *id, const char *hex)
{
    struct bytes what = from_hex(hex);
    struct hti_wire_reply reply = {
        .to = 5, .tag = 1, .what = {what.data, what.len}};
    struct bytes buf;
    struct hti_envelope e = open_vector(id, &buf);

    assert_int_equal(e.kind, HTI_ENVELOPE_REPLY);
    assert_int_equal(e.u.reply.to, 5);
    assert_int_equal(e.u.reply.tag, 1);
    check_view(e.u.reply.what, what.data, what.len);
    assert_int_equal(e.u.reply.error, HTI_WIRE_OK);
    check_frame(hti_frame_reply(&reply, 0), id);
}

static void test_replies(void **state)
{
    (void)state;
    check_reply("N3s", "68656c6c6f");
    check_reply("N3v", "0000000100000002");
    check_reply("N3b", "01");
    check_reply("N3e", "");
    check_reply("N3p", "506f740082e161e26263");
    check_reply("N3w", "00000000000000016100000000000000026263");
}

/* ---- what is wrong, and what is merely unknown --------------------------- */

static void test_an_empty_frame_is_empty(void **state)
{
    struct bytes buf;

    (void)state;
    assert_int_equal(open_vector("E1", &buf).kind, HTI_ENVELOPE_EMPTY);
}

static void check_refused(const char *id)
{
    struct bytes b = vector(id);
    struct hti_envelope e;

    CHECK_ERR(hti_envelope_decode(b.data + 8, b.len - 8, &e), HT_EPROTO);
}

static void test_bad_protobuf_is_refused(void **state)
{
    (void)state;
    check_refused("E2");
    check_refused("E7"); /* not UTF-8 */
    check_refused("HX"); /* a frame of 0.14.5 and before */
}

static void test_a_frame_over_the_limit_is_refused_by_its_head(void **state)
{
    struct bytes b = vector("E3");
    const uint8_t *data = b.data;
    size_t len = b.len;
    struct hti_reader reader;
    struct hti_payload payload;

    (void)state;
    hti_reader_init(&reader, HTI_FRAME_BYTES_MAX);
    assert_int_equal(hti_reader_next(&reader, &data, &len, &payload),
                     HT_ETOOBIG);
    assert_int_equal(reader.want, HTI_FRAME_BYTES_MAX + 1);
    hti_reader_fini(&reader);
}

static void test_unknown_members_are_no_error(void **state)
{
    struct hti_decoded d;
    struct bytes buf;

    (void)state;
    assert_int_equal(open_vector("E4", &buf).kind, HTI_ENVELOPE_EMPTY);
    open_control("E5", &buf, &d);
    assert_int_equal(d.m.control->msg_case,
                     HARDTACK__WIRE__CONTROL_MESSAGE__MSG__NOT_SET);
    hti_decoded_fini(&d);
    open_auth("E6", &buf, &d);
    assert_int_equal(d.m.auth->msg_case,
                     HARDTACK__WIRE__AUTHENTICATION_MESSAGE__MSG__NOT_SET);
    hti_decoded_fini(&d);
}

CHECK_MAIN(cmocka_unit_test(test_every_vector_decodes_and_encodes_to_itself),
           cmocka_unit_test(test_every_vector_is_one_frame_of_a_stream),
           cmocka_unit_test(test_name),
           cmocka_unit_test(test_server_status),
           cmocka_unit_test(test_client_status),
           cmocka_unit_test(test_challenge),
           cmocka_unit_test(test_challenge_reply_and_ack),
           cmocka_unit_test(test_digests),
           cmocka_unit_test(test_node_sessions),
           cmocka_unit_test(test_spawn_and_terminate),
           cmocka_unit_test(test_groups_and_ready),
           cmocka_unit_test(test_ping_and_pong),
           cmocka_unit_test(test_casts),
           cmocka_unit_test(test_calls),
           cmocka_unit_test(test_replies),
           cmocka_unit_test(test_an_empty_frame_is_empty),
           cmocka_unit_test(test_bad_protobuf_is_refused),
           cmocka_unit_test(test_a_frame_over_the_limit_is_refused_by_its_head),
           cmocka_unit_test(test_unknown_members_are_no_error))
