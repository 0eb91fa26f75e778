/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proto/wire.h"

#include "proto/arena.h"
#include "proto/pb.h"

static const ProtobufCMessageDescriptor *const auth_desc =
    &hardtack__wire__authentication_message__descriptor;
static const ProtobufCMessageDescriptor *const control_desc =
    &hardtack__wire__control_message__descriptor;
static const ProtobufCMessageDescriptor *const ext_desc =
    &hardtack__wire__extension__descriptor;

static ht_err decode_hex(const ProtobufCMessageDescriptor *desc,
                         const char *hex)
{
    struct bytes b = from_hex(hex);
    struct hti_decoded d = {.arena = NULL};
    ht_err err = hti_decode(desc, (ht_bytes){b.data, b.len}, &d);

    if (err != HT_OK) {
        assert_null(d.arena);
    }
    hti_decoded_fini(&d);
    return err;
}

static void test_every_string_must_be_utf8(void **state)
{
    static const struct {
        const ProtobufCMessageDescriptor *const *desc;
        const char *field;
        const char *hex; /* up to the string, of one byte */
    } strings[] = {
        {&auth_desc, "name", "0a030a01"},
        {&auth_desc, "connection_string", "0a031a01"},
        {&auth_desc, "address of a name's hello", "0a06c23e033a01"},
        {&auth_desc, "second address", "0a09c23e063a01613a01"},
        {&auth_desc, "status text", "1206c23e031201"},
        {&auth_desc, "challenge name", "22030a01"},
        {&auth_desc, "challenge connection_string", "22032201"},
        {&auth_desc, "address of a challenge's hello", "2206c23e033a01"},
        {&control_desc, "spawned name", "0a050a031201"},
        {&control_desc, "second spawned name", "0a070a000a031201"},
        {&control_desc, "joined group", "2a030a01"},
        {&control_desc, "joined actor's name", "2a0512031201"},
        {&control_desc, "joined scope", "2a031a01"},
        {&control_desc, "left group", "32030a01"},
        {&control_desc, "left actor's name", "320512031201"},
        {&control_desc, "left scope", "32031a01"},
        {&control_desc, "asker's name", "3a030a01"},
        {&control_desc, "listed name", "42050a030a01"},
        {&control_desc, "listed connection string", "42050a031a01"},
        {&ext_desc, "down reason", "1a0522031201"},
        {&ext_desc, "exit reason", "32051a031201"},
        {&ext_desc, "stop reason", "3a0512031201"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        char good[64];
        char bad[64];

        snprintf(good, sizeof good, "%s61", strings[i].hex);
        snprintf(bad, sizeof bad, "%sff", strings[i].hex);
        if (decode_hex(*strings[i].desc, good) != HT_OK) {
            fail_msg("refused: %s", strings[i].field);
        }
        if (decode_hex(*strings[i].desc, bad) != HT_EPROTO) {
            fail_msg("not UTF-8, and taken: %s", strings[i].field);
        }
    }
}

static void test_bytes_need_not_be_utf8(void **state)
{
    (void)state;
    CHECK_OK(decode_hex(auth_desc, "0a06c23e031a01ff")); /* instance */
    CHECK_OK(decode_hex(auth_desc, "0a06c23e032a01ff")); /* nonce */
    CHECK_OK(decode_hex(auth_desc, "2a031201ff"));       /* digest */
    CHECK_OK(decode_hex(auth_desc, "2a04c23e01ff"));     /* mac */
    CHECK_OK(decode_hex(auth_desc, "32030a01ff"));       /* digest */
    CHECK_OK(decode_hex(auth_desc, "32049a0601ff"));     /* unknown */
}

static void test_strings_keep_a_nul(void **state)
{
    struct bytes b = from_hex("0a050a03610062");
    struct hti_decoded d;

    (void)state;
    CHECK_OK(hti_decode(auth_desc, (ht_bytes){b.data, b.len}, &d));
    assert_int_equal(d.m.auth->name->name.len, 3);
    hti_decoded_fini(&d);
    hti_decoded_fini(&d); /* twice is fine */
    hti_decoded_fini(NULL);
}

static void test_broken_messages_are_refused(void **state)
{
    (void)state;
    CHECK_ERR(decode_hex(control_desc, "0a05"), HT_EPROTO);
    CHECK_ERR(decode_hex(control_desc, "0801"), HT_EPROTO);
    CHECK_ERR(decode_hex(control_desc, "0a020801"), HT_EPROTO);
    CHECK_ERR(decode_hex(auth_desc, "120208"), HT_EPROTO);
    CHECK_ERR(decode_hex(ext_desc, "0001"), HT_EPROTO);
}

static void test_what_protobuf_c_lets_pass_is_refused(void **state)
{
    (void)state;
    /* field number 0 in two bytes */
    CHECK_ERR(decode_hex(auth_desc, "800001"), HT_EPROTO);
    /* a pid of more than 64 bits, and the largest there is */
    CHECK_ERR(decode_hex(control_desc, "0a0d0a0b08ffffffffffffffffff02"),
              HT_EPROTO);
    CHECK_OK(decode_hex(control_desc, "0a0d0a0b08ffffffffffffffffff01"));
    /* a group that is not UTF-8, then one that is */
    CHECK_ERR(decode_hex(control_desc, "2a060a01ff0a0161"), HT_EPROTO);
}

static void test_an_empty_message_is_taken(void **state)
{
    struct hti_decoded d;

    (void)state;
    CHECK_OK(hti_decode(control_desc, (ht_bytes){NULL, 0}, &d));
    assert_int_equal(d.m.control->msg_case,
                     HARDTACK__WIRE__CONTROL_MESSAGE__MSG__NOT_SET);
    hti_decoded_fini(&d);
}

/* ---- bounded --------------------------------------------------------------
 */

/* A Spawn of count actors that are each of these bytes. */
static ht_err decode_spawn(const char *actor_hex, size_t count, size_t *ret_n)
{
    struct bytes actor = from_hex(actor_hex);
    size_t each = 2 + actor.len;
    size_t body = each * count;
    uint8_t *data = malloc(16 + body);
    struct hti_decoded d = {.arena = NULL};
    uint8_t *p;
    ht_err err;

    assert_non_null(data);
    p = hti_pb_put_uint(data, 0x0a, body);
    for (size_t i = 0; i < count; i++) {
        *p++ = 0x0a;
        *p++ = (uint8_t)actor.len;
        memcpy(p, actor.data, actor.len);
        p += actor.len;
    }
    err = hti_decode(control_desc, (ht_bytes){data, (size_t)(p - data)}, &d);
    if (err == HT_OK) {
        *ret_n = d.m.control->spawn->n_actors;
    }
    hti_decoded_fini(&d);
    free(data);
    return err;
}

static void test_a_spawn_of_a_whole_node_fits_the_budget(void **state)
{
    size_t n = 0;

    (void)state;
    CHECK_OK(decode_spawn("0805", 128, &n));
    CHECK_OK(decode_spawn("08ac02", 100000, &n)); /* pids of two bytes */
    assert_int_equal(n, 100000);
}

static void test_a_tree_of_empty_elements_does_not(void **state)
{
    size_t n = 0;

    (void)state;
    CHECK_OK(decode_spawn("", 100, &n));
    CHECK_ERR(decode_spawn("", 100000, &n), HT_EPROTO);
}

/* Above, the budget grows with the message; here it no longer does. */
static void test_a_huge_tree_is_refused_whatever_its_size(void **state)
{
    size_t n = 0;

    (void)state;
    CHECK_OK(decode_spawn("08ffff3f", 1 << 20, &n)); /* the most of use */
    assert_int_equal(n, 1 << 20);
    CHECK_ERR(decode_spawn("08ffff3f", 3 << 20, &n), HT_EPROTO);
}

static void test_an_arena_refuses_at_its_budget(void **state)
{
    struct hti_arena *arena = hti_arena_new(10000);
    ProtobufCAllocator *a = hti_arena_allocator(arena);
    void *large;
    size_t live = 0;

    (void)state;
    assert_null(a->alloc(a->allocator_data, 10001));
    assert_null(a->alloc(a->allocator_data, SIZE_MAX));
    large = a->alloc(a->allocator_data, 9000);
    assert_non_null(large);
    memset(large, 1, 9000);
    assert_null(a->alloc(a->allocator_data, 9000));
    a->free(a->allocator_data, large);
    large = a->alloc(a->allocator_data, 6000);
    assert_non_null(large); /* freed with the arena */
    for (;;) {
        void *block = a->alloc(a->allocator_data, 100);

        if (block == NULL) {
            break;
        }
        assert_int_equal((uintptr_t)block % 8, 0);
        memset(block, 2, 100);
        a->free(a->allocator_data, block);
        live += 100;
    }
    CHECK(live > 3000 && live < 4000);
    CHECK(!hti_arena_starved(arena));
    hti_arena_free(arena);
    hti_arena_free(NULL);
}

/* ---- frames ----------------------------------------------------------------
 */

static void test_a_full_batch_is_encoded(void **state)
{
    static uint64_t pids[HTI_BATCH_MAX];
    static const char *names[HTI_BATCH_MAX];
    struct hti_frame *frame;
    struct hti_envelope e;
    struct hti_decoded d;

    (void)state;
    for (size_t i = 0; i < HTI_BATCH_MAX; i++) {
        pids[i] = i;
        names[i] = i % 2 != 0 ? "named" : "";
    }
    frame = hti_frame_group(true, "", "g", pids, names, HTI_BATCH_MAX);
    assert_non_null(frame);
    CHECK_OK(hti_envelope_decode(frame->bytes + 8, frame->len - 8, &e));
    CHECK_OK(hti_decode(control_desc, e.body, &d));
    CHECK(!d.m.control->pg_join->has_scope);
    assert_int_equal(d.m.control->pg_join->n_actors, HTI_BATCH_MAX);
    for (size_t i = 0; i < HTI_BATCH_MAX; i++) {
        Hardtack__Wire__Actor *actor = d.m.control->pg_join->actors[i];

        assert_int_equal(actor->pid, i);
        assert_int_equal(actor->has_name, i % 2);
    }
    hti_decoded_fini(&d);
    hti_frame_free(frame);
}

static void test_names_may_be_left_out(void **state)
{
    const uint64_t pid = 5;
    struct hti_frame *frame = hti_frame_spawn(&pid, NULL, 1);

    (void)state;
    assert_non_null(frame);
    check_view((ht_bytes){frame->bytes + 8, frame->len - 8},
               "\x1a\x06\x0a\x04\x0a\x02\x08\x05", 8);
    hti_frame_free(frame);
}

static void test_an_extension_keeps_its_lane(void **state)
{
    Hardtack__Wire__Cancel cancel = HARDTACK__WIRE__CANCEL__INIT;
    Hardtack__Wire__Extension m = HARDTACK__WIRE__EXTENSION__INIT;
    struct hti_frame *frame;
    struct hti_envelope e;
    struct hti_decoded d;

    (void)state;
    cancel.has_tag = true;
    cancel.tag = 7;
    m.msg_case = HARDTACK__WIRE__EXTENSION__MSG_CANCEL;
    m.cancel = &cancel;
    frame = hti_frame_ext(&m, 9);
    assert_non_null(frame);
    assert_int_equal(frame->lane, 9);
    CHECK_OK(hti_envelope_decode(frame->bytes + 8, frame->len - 8, &e));
    assert_int_equal(e.kind, HTI_ENVELOPE_EXT);
    CHECK_OK(hti_decode(ext_desc, e.body, &d));
    assert_int_equal(d.m.ext->msg_case, HARDTACK__WIRE__EXTENSION__MSG_CANCEL);
    assert_int_equal(d.m.ext->cancel->tag, 7);
    hti_decoded_fini(&d);
    hti_frame_free(frame);
}

CHECK_MAIN(cmocka_unit_test(test_every_string_must_be_utf8),
           cmocka_unit_test(test_bytes_need_not_be_utf8),
           cmocka_unit_test(test_strings_keep_a_nul),
           cmocka_unit_test(test_broken_messages_are_refused),
           cmocka_unit_test(test_what_protobuf_c_lets_pass_is_refused),
           cmocka_unit_test(test_an_empty_message_is_taken),
           cmocka_unit_test(test_a_spawn_of_a_whole_node_fits_the_budget),
           cmocka_unit_test(test_a_tree_of_empty_elements_does_not),
           cmocka_unit_test(test_a_huge_tree_is_refused_whatever_its_size),
           cmocka_unit_test(test_an_arena_refuses_at_its_budget),
           cmocka_unit_test(test_a_full_batch_is_encoded),
           cmocka_unit_test(test_names_may_be_left_out),
           cmocka_unit_test(test_an_extension_keeps_its_lane))
