/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proto/wire.h"

#include "proto/pb.h"

#define ROUNDS 2000

/* ---- against protobuf-c, on random messages ------------------------------ */

/* Text and bytes of random messages are cut out of this. */
static const char pool[] =
    "Cast1 h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\xa6\x80 and some more ASCII, so "
    "that lengths of one and two bytes occur: abcdefghijklmnopqrstuvwxyz "
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 abcdefghijklmnopqrstuvwxyz";

/* Of any number of bits, so that varints of every length occur. */
static uint64_t draw_uint(uint64_t *seed)
{
    return draw(seed) >> (draw(seed) % 64);
}

static bool draw_bool(uint64_t *seed)
{
    return draw(seed) >> 63;
}

static ht_bytes draw_bytes(uint64_t *seed)
{
    size_t len = draw(seed) % sizeof pool;

    return (ht_bytes){pool + (sizeof pool - len), len};
}

/* Cut before or behind the characters of more than a byte. */
static ht_bytes draw_text(uint64_t *seed)
{
    size_t len = draw(seed) % (sizeof pool - 32);

    return (ht_bytes){pool, len > 6 ? len + 32 : len};
}

static ProtobufCBinaryData pb(ht_bytes b)
{
    return hti_pb_bytes(b.data, b.len);
}

static void draw_message(uint64_t *seed, struct hti_wire_cast *m)
{
    m->to = draw_bool(seed) ? draw_uint(seed) : 0;
    m->what = draw_bool(seed) ? draw_bytes(seed) : (ht_bytes){NULL, 0};
    m->variant = draw_bool(seed) ? draw_text(seed) : (ht_bytes){NULL, 0};
    m->metadata = draw_bool(seed) ? draw_bytes(seed) : (ht_bytes){NULL, 0};
    m->from = draw_bool(seed) ? draw_uint(seed) : 0;
    m->to_name = draw_bool(seed) ? draw_text(seed) : (ht_bytes){NULL, 0};
}

/* Cast and Call have these fields under the same names. */
#define FILL(m_, from_)                                                        \
    do {                                                                       \
        (m_)->has_to = (from_)->to != 0;                                       \
        (m_)->to = (from_)->to;                                                \
        (m_)->has_what = (from_)->what.len > 0;                                \
        (m_)->what = pb((from_)->what);                                        \
        (m_)->has_variant = (from_)->variant.len > 0;                          \
        (m_)->variant = pb((from_)->variant);                                  \
        (m_)->has_metadata = (from_)->metadata.data != NULL;                   \
        (m_)->metadata = pb((from_)->metadata);                                \
        (m_)->has_from = (from_)->from != 0;                                   \
        (m_)->from = (from_)->from;                                            \
        (m_)->has_to_name = (from_)->to_name.data != NULL;                     \
        (m_)->to_name = pb((from_)->to_name);                                  \
    } while (0)

/* Compare frame with protobuf-c's bytes for node.  Takes frame. */
static void check_same(struct hti_frame *frame,
                       Hardtack__Wire__NodeMessage *node)
{
    Hardtack__Wire__NetworkMessage m = HARDTACK__WIRE__NETWORK_MESSAGE__INIT;
    uint8_t want[4096];
    size_t len;

    m.message_case = HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_NODE;
    m.node = node;
    len = hardtack__wire__network_message__get_packed_size(&m);
    CHECK(len <= sizeof want);
    hardtack__wire__network_message__pack(&m, want);
    assert_non_null(frame);
    assert_int_equal(frame->len, 8 + len);
    assert_memory_equal(frame->bytes + 8, want, len);
    hti_frame_free(frame);
}

/* What was absent and what was empty differ only where presence is explicit. */
static void check_message(const struct hti_wire_cast *got,
                          const struct hti_wire_cast *want)
{
    CHECK(got->to == want->to);
    CHECK(got->from == want->from);
    check_view(got->what, want->what.data, want->what.len);
    check_view(got->variant, want->variant.data, want->variant.len);
    check_view(got->metadata, want->metadata.data, want->metadata.len);
    check_view(got->to_name, want->to_name.data, want->to_name.len);
    assert_int_equal(got->metadata.data != NULL, want->metadata.data != NULL);
    assert_int_equal(got->to_name.data != NULL, want->to_name.data != NULL);
}

static struct hti_envelope decode(const struct hti_frame *frame)
{
    struct hti_envelope e;

    CHECK_OK(hti_envelope_decode(frame->bytes + 8, frame->len - 8, &e));
    return e;
}

static void test_casts_are_protobuf_c_s(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct hti_wire_cast cast;
        Hardtack__Wire__Cast m = HARDTACK__WIRE__CAST__INIT;
        Hardtack__Wire__NodeMessage node = HARDTACK__WIRE__NODE_MESSAGE__INIT;
        struct hti_frame *frame;
        struct hti_envelope e;

        draw_message(&seed, &cast);
        FILL(&m, &cast);
        node.msg_case = HARDTACK__WIRE__NODE_MESSAGE__MSG_CAST;
        node.cast = &m;
        frame = hti_frame_cast(&cast, 0);
        e = decode(frame);
        assert_int_equal(e.kind, HTI_ENVELOPE_CAST);
        check_message(&e.u.cast, &cast);
        assert_int_equal(frame->len - 8, hti_cast_size(&cast));
        check_same(frame, &node);
    }
}

static void test_calls_are_protobuf_c_s(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct hti_wire_call call = {0};
        Hardtack__Wire__Call m = HARDTACK__WIRE__CALL__INIT;
        Hardtack__Wire__NodeMessage node = HARDTACK__WIRE__NODE_MESSAGE__INIT;
        struct hti_frame *frame;
        struct hti_envelope e;

        draw_message(&seed, &call.m);
        call.tag = draw_bool(&seed) ? draw_uint(&seed) : 0;
        call.has_timeout = draw_bool(&seed);
        call.timeout_ms = call.has_timeout ? draw_uint(&seed) : 0;
        FILL(&m, &call.m);
        m.has_tag = call.tag != 0;
        m.tag = call.tag;
        m.has_timeout_ms = call.has_timeout;
        m.timeout_ms = call.timeout_ms;
        node.msg_case = HARDTACK__WIRE__NODE_MESSAGE__MSG_CALL;
        node.call = &m;
        frame = hti_frame_call(&call, 0);
        e = decode(frame);
        assert_int_equal(e.kind, HTI_ENVELOPE_CALL);
        check_message(&e.u.call.m, &call.m);
        CHECK(e.u.call.tag == call.tag);
        assert_int_equal(e.u.call.has_timeout, call.has_timeout);
        CHECK(e.u.call.timeout_ms == call.timeout_ms);
        check_same(frame, &node);
    }
}

static void test_replies_are_protobuf_c_s(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct hti_wire_reply reply = {
            .to = draw_uint(&seed),
            .tag = draw_uint(&seed),
            .what = draw_bytes(&seed),
            .error = draw_bool(&seed) ? (uint32_t)draw_uint(&seed) : 0,
            .reason = draw_text(&seed),
        };
        Hardtack__Wire__CallReply m = HARDTACK__WIRE__CALL_REPLY__INIT;
        Hardtack__Wire__NodeMessage node = HARDTACK__WIRE__NODE_MESSAGE__INIT;
        struct hti_frame *frame = hti_frame_reply(&reply, 0);
        struct hti_envelope e = decode(frame);

        m.has_to = reply.to != 0;
        m.to = reply.to;
        m.has_tag = reply.tag != 0;
        m.tag = reply.tag;
        m.has_what = reply.what.len > 0;
        m.what = pb(reply.what);
        m.has_error = reply.error != 0;
        m.error = reply.error;
        m.has_reason = reply.reason.len > 0;
        m.reason = pb(reply.reason);
        node.msg_case = HARDTACK__WIRE__NODE_MESSAGE__MSG_REPLY;
        node.reply = &m;
        assert_int_equal(e.kind, HTI_ENVELOPE_REPLY);
        CHECK(e.u.reply.to == reply.to && e.u.reply.tag == reply.tag);
        check_view(e.u.reply.what, reply.what.data, reply.what.len);
        CHECK(e.u.reply.error == reply.error);
        check_view(e.u.reply.reason, reply.reason.data, reply.reason.len);
        check_same(frame, &node);
    }
}

static void test_fragment_heads_are_protobuf_c_s(void **state)
{
    uint64_t seed = 4;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t got[HTI_FRAGMENT_HEAD_MAX + sizeof pool];
        uint8_t want[HTI_FRAGMENT_HEAD_MAX + sizeof pool];
        ht_bytes data = {pool, 1 + draw(&seed) % (sizeof pool - 1)};
        uint32_t lane = (uint32_t)draw_uint(&seed);
        uint64_t total = draw_bool(&seed) ? draw_uint(&seed) : 0;
        Hardtack__Wire__Fragment m = HARDTACK__WIRE__FRAGMENT__INIT;
        Hardtack__Wire__NetworkMessage net =
            HARDTACK__WIRE__NETWORK_MESSAGE__INIT;
        size_t len = hti_fragment_head(got, lane, total, data.len);
        struct hti_envelope e;

        memcpy(got + len, data.data, data.len);
        len += data.len - 8;
        m.has_lane = lane != 0;
        m.lane = lane;
        m.has_total = total != 0;
        m.total = total;
        m.has_data = true;
        m.data = pb(data);
        net.message_case = HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_FRAGMENT;
        net.fragment = &m;
        assert_int_equal(len,
                         hardtack__wire__network_message__pack(&net, want));
        assert_memory_equal(got + 8, want, len);
        assert_int_equal((size_t)got[6] << 8 | got[7], len);

        CHECK_OK(hti_envelope_decode(got + 8, len, &e));
        assert_int_equal(e.kind, HTI_ENVELOPE_FRAGMENT);
        CHECK(e.u.fragment.lane == lane && e.u.fragment.total == total);
        assert_int_equal(e.u.fragment.has_total, total != 0);
        check_view(e.u.fragment.data, data.data, data.len);
    }
}

static void test_the_longest_fragment_head_fits(void **state)
{
    uint8_t head[HTI_FRAGMENT_HEAD_MAX];

    (void)state;
    CHECK(hti_fragment_head(head, UINT32_MAX, UINT64_MAX, UINT32_MAX / 2) <=
          sizeof head);
}

/* ---- what prost accepts ---------------------------------------------------
 */

/* payload in hex, without a head */
static ht_err decode_hex(const char *hex, struct hti_envelope *ret)
{
    static struct bytes buf; /* the views point into it */

    buf = from_hex(hex);
    return hti_envelope_decode(buf.data, buf.len, ret);
}

static void test_fields_come_in_any_order(void **state)
{
    struct hti_envelope e;

    (void)state;
    /* variant, what, to */
    CHECK_OK(decode_hex("120a0a081a0141120168"
                        "0805",
                        &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_CAST);
    assert_int_equal(e.u.cast.to, 5);
    check_text(e.u.cast.variant, "A");
    check_text(e.u.cast.what, "h");
}

static void test_the_last_of_a_field_wins(void **state)
{
    struct hti_envelope e;

    (void)state;
    CHECK_OK(decode_hex("120c0a0a080508061a01411a0142", &e));
    assert_int_equal(e.u.cast.to, 6);
    check_text(e.u.cast.variant, "B");
}

static void test_a_repeated_message_is_merged(void **state)
{
    struct hti_envelope e;

    (void)state;
    /* two NodeMessages, each with a part of one Cast */
    CHECK_OK(decode_hex("12040a02080512050a031a0141", &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_CAST);
    assert_int_equal(e.u.cast.to, 5);
    check_text(e.u.cast.variant, "A");
    /* one NodeMessage with two parts of a Cast */
    CHECK_OK(decode_hex("12090a0208050a031a0141", &e));
    assert_int_equal(e.u.cast.to, 5);
    check_text(e.u.cast.variant, "A");
}

static void test_another_member_starts_anew(void **state)
{
    struct hti_envelope e;

    (void)state;
    /* a Cast, then a Call that says nothing */
    CHECK_OK(decode_hex("12060a0208051200"
                        "12021200",
                        &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_CALL);
    assert_int_equal(e.u.call.m.to, 0);
    /* a Cast, a ControlMessage, an empty NodeMessage */
    CHECK_OK(decode_hex("12040a0208051a021a001200", &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_EMPTY);
    assert_null(e.body.data);
    /* a Cast, then an AuthenticationMessage */
    CHECK_OK(decode_hex("12040a0208050a021200", &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_AUTH);
    check_view(e.body, "\x12\0", 2);
}

static void test_unknown_fields_are_skipped(void **state)
{
    static const char *const unknown[] = {
        "2001",                   /* 4, varint */
        "20ffffffffffffffffff01", /* 4, ten bytes */
        "210102030405060708",     /* 4, fixed64 */
        "2202aabb",               /* 4, bytes */
        "2501020304",             /* 4, fixed32 */
        "2324",                   /* 4, an empty group */
        "232801333424",           /* 4, a group with a field and a group */
        "f8ffffff0f00",           /* the largest number there is */
        "a0808080800001",         /* 4, its key longer than need be */
    };
    struct hti_envelope e;

    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char hex[128];

        snprintf(hex, sizeof hex, "%s12040a020805%s", unknown[i], unknown[i]);
        CHECK_OK(decode_hex(hex, &e));
        assert_int_equal(e.kind, HTI_ENVELOPE_CAST);
        assert_int_equal(e.u.cast.to, 5);
    }
    /* 4 and 5 are no fields of Cast */
    CHECK_OK(decode_hex("120c0a0a08052001280232020000", &e));
    assert_int_equal(e.u.cast.metadata.len, 2);
}

static void test_keys_and_lengths_may_be_longer_than_need_be(void **state)
{
    struct hti_envelope e;

    (void)state;
    CHECK_OK(decode_hex("92808080808080808000"
                        "8480808080808000"
                        "0a020805",
                        &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_CAST);
    assert_int_equal(e.u.cast.to, 5);
}

static void test_numbers_are_cut_to_their_width(void **state)
{
    struct hti_envelope e;

    (void)state;
    /* CallReply.error = 2^32 + 3 */
    CHECK_OK(decode_hex("12091a07c03e8380808010", &e));
    assert_int_equal(e.u.reply.error, 3);
}

/* ---- what prost refuses ----------------------------------------------------
 */

static void test_broken_messages_are_refused(void **state)
{
    static const struct {
        const char *what;
        const char *hex;
    } broken[] = {
        {"cut in a key", "80"},
        {"cut in a length", "1280"},
        {"cut in a value", "12020a"},
        {"a length beyond the end", "12050a020805"},
        {"a length beyond its message", "12040a030805"},
        {"field number 0", "0001"},
        {"wire type 6", "2600"},
        {"wire type 7", "2700"},
        {"a key of more than 32 bits", "a0808080800200"},
        {"a varint of eleven bytes", "20ffffffffffffffffffff01"},
        {"a varint of more than 64 bits", "20ffffffffffffffffff02"},
        {"the end of a group that did not begin", "24"},
        {"a group that does not end", "23"},
        {"a group that ends as another", "232c"},
        {"node as a varint", "1001"},
        {"cast as a varint", "12020801"},
        {"to as bytes", "12040a020a00"},
        {"what as a varint", "12040a021001"},
        {"variant as a varint", "12040a021801"},
        {"metadata as fixed32", "12070a053501020304"},
        {"tag as bytes", "120412021a00"},
        {"timeout as fixed64", "120b1209210102030405060708"},
        {"call variant as a group", "120412022b2c"},
        {"reply what as a varint", "12041a021801"},
        {"from as bytes", "12050a03c23e00"},
        {"to_name as a varint", "12050a03c83e00"},
        {"error as bytes", "12051a03c23e00"},
        {"extension as a varint", "c03e00"},
        {"fragment as a varint", "c83e00"},
        {"fragment data as a varint", "ca3e021800"},
        {"variant, not UTF-8", "12050a031a01ff"},
        {"call variant, not UTF-8", "120512032a01ff"},
        {"to_name, not UTF-8", "12060a04ca3e01ff"},
        {"reason, not UTF-8", "12061a04ca3e01ff"},
        {"variant, a surrogate", "12070a051a03eda080"},
        {"variant, cut", "12060a041a02e282"},
        {"variant, overlong", "12060a041a02c080"},
        {"variant, not UTF-8, then one that is", "12080a061a01ff1a0141"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct hti_envelope e = {.kind = HTI_ENVELOPE_EXT};

        if (decode_hex(broken[i].hex, &e) != HT_EPROTO) {
            fail_msg("accepted: %s", broken[i].what);
        }
        assert_int_equal(e.kind, HTI_ENVELOPE_EMPTY);
    }
}

/* depth groups within each other, in the message that prefix opens */
static ht_err decode_nested(unsigned depth, unsigned inside)
{
    uint8_t data[2 * 256 + 16];
    size_t body = 2 * (size_t)depth;
    struct hti_envelope e;
    uint8_t *p = data;

    if (inside == 2) { /* node, cast */
        p = hti_pb_put_uint(p, 0x12, body + 1 + hti_pb_varint_size(body));
        p = hti_pb_put_uint(p, 0x0a, body);
    }
    memset(p, 0x23, depth);
    memset(p + depth, 0x24, depth);
    return hti_envelope_decode(data, (size_t)(p - data) + body, &e);
}

static void test_groups_nest_to_the_limit(void **state)
{
    (void)state;
    CHECK_OK(decode_nested(HTI_PB_DEPTH_MAX, 0));
    CHECK_ERR(decode_nested(HTI_PB_DEPTH_MAX + 1, 0), HT_EPROTO);
    CHECK_OK(decode_nested(HTI_PB_DEPTH_MAX - 2, 2));
    CHECK_ERR(decode_nested(HTI_PB_DEPTH_MAX - 1, 2), HT_EPROTO);
}

static void test_a_cut_message_is_refused_or_another(void **state)
{
    struct bytes b = vector("N2");

    (void)state;
    for (size_t len = 1; len < b.len - 8; len++) {
        struct hti_envelope e;

        CHECK_ERR(hti_envelope_decode(b.data + 8, len, &e), HT_EPROTO);
    }
}

/* ---- the rest ---------------------------------------------------------------
 */

static void test_an_empty_view_is_present(void **state)
{
    struct hti_wire_cast cast = {.metadata = {"", 0}, .to_name = {"", 0}};
    struct hti_frame *frame = hti_frame_cast(&cast, 3);
    struct hti_envelope e;

    (void)state;
    assert_non_null(frame);
    assert_int_equal(frame->lane, 3);
    e = decode(frame);
    assert_non_null(e.u.cast.metadata.data);
    assert_non_null(e.u.cast.to_name.data);
    assert_null(e.u.cast.what.data);
    assert_null(e.u.cast.variant.data);
    hti_frame_free(frame);
}

static void test_what_does_not_fit_a_frame_is_refused(void **state)
{
    struct hti_wire_cast cast = {.what = {"", UINT32_MAX}};

    (void)state;
    assert_null(hti_frame_cast(&cast, 0));
}

static void test_errors_travel_and_come_back(void **state)
{
    static const ht_err errors[] = {
        HT_OK,      HT_ENOPROC,  HT_ENOVARIANT, HT_EARGS,   HT_EOVERLOAD,
        HT_EFAILED, HT_EEXPIRED, HT_ECANCELLED, HT_EDENIED, HT_ETOOBIG};

    (void)state;
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_int_equal(hti_wire_error_from(errors[i]), i);
        assert_int_equal(hti_wire_error_to(i), errors[i]);
    }
    assert_int_equal(hti_wire_error_from(HT_ENOMEM), HTI_WIRE_FAILED);
    assert_int_equal(hti_wire_error_to(10), HT_EFAILED);
    assert_int_equal(hti_wire_error_to(UINT32_MAX), HT_EFAILED);
    assert_int_equal(hti_wire_exit_to(HT_EXIT_KILLED), HT_EXIT_KILLED);
    assert_int_equal(hti_wire_exit_to(6), HT_EXIT_NOCONNECTION);
    assert_int_equal(hti_wire_exit_to(7), HT_EXIT_FAILED);
}

static void test_varint_sizes(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t v = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
        uint8_t data[16];
        size_t len = (size_t)(hti_pb_put_varint(data, v) - data);
        struct hti_pb_in in = hti_pb_open((ht_bytes){data, len});
        uint64_t got;

        assert_int_equal(hti_pb_varint_size(v), len);
        CHECK(hti_pb_varint(&in, &got));
        CHECK(got == v && in.p == in.end);
    }
}

CHECK_MAIN(cmocka_unit_test(test_casts_are_protobuf_c_s),
           cmocka_unit_test(test_calls_are_protobuf_c_s),
           cmocka_unit_test(test_replies_are_protobuf_c_s),
           cmocka_unit_test(test_fragment_heads_are_protobuf_c_s),
           cmocka_unit_test(test_the_longest_fragment_head_fits),
           cmocka_unit_test(test_fields_come_in_any_order),
           cmocka_unit_test(test_the_last_of_a_field_wins),
           cmocka_unit_test(test_a_repeated_message_is_merged),
           cmocka_unit_test(test_another_member_starts_anew),
           cmocka_unit_test(test_unknown_fields_are_skipped),
           cmocka_unit_test(test_keys_and_lengths_may_be_longer_than_need_be),
           cmocka_unit_test(test_numbers_are_cut_to_their_width),
           cmocka_unit_test(test_broken_messages_are_refused),
           cmocka_unit_test(test_groups_nest_to_the_limit),
           cmocka_unit_test(test_a_cut_message_is_refused_or_another),
           cmocka_unit_test(test_an_empty_view_is_present),
           cmocka_unit_test(test_what_does_not_fit_a_frame_is_refused),
           cmocka_unit_test(test_errors_travel_and_come_back),
           cmocka_unit_test(test_varint_sizes))
