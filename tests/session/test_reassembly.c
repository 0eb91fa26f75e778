/* SPDX-License-Identifier: Apache-2.0 */
/* test_reassembly.c - large messages in pieces. */
#include "proto/pb.h"
#include "tests/session/fixture.h"

#define LANES_MAX 16

/* A cast of n bytes, and how far its pieces went. */
struct big {
    struct hti_frame *frame;
    uint32_t lane;
    size_t at;
    uint64_t sum;
};

static void big_init(struct big *big, uint32_t lane, size_t n)
{
    uint8_t *blob = malloc(n + 1);
    struct hti_wire_cast cast = {.to = lane, .what = {blob, n}};

    CHECK(blob != NULL);
    big->sum = 0;
    for (size_t i = 0; i < n; i++) {
        blob[i] = (uint8_t)(i * 7 + lane);
        big->sum = big->sum * 31 + blob[i];
    }
    big->frame = hti_frame_cast(&cast, lane);
    CHECK(big->frame != NULL);
    big->lane = lane;
    big->at = HTI_FRAME_HEAD;
    free(blob);
}

static ht_err feed_piece(struct side *side,
                         uint32_t lane,
                         uint64_t total,
                         const void *data,
                         size_t n)
{
    uint8_t *piece = malloc(HTI_FRAGMENT_HEAD_MAX + n);
    size_t head;
    ht_err err;

    CHECK(piece != NULL);
    head = hti_fragment_head(piece, lane, total, n);
    memcpy(piece + head, data, n);
    err = side_feed(side, 0, piece, head + n);
    free(piece);
    return err;
}

/* The next n bytes. */
static ht_err big_feed(struct side *side, struct big *big, size_t n)
{
    uint64_t total = big->frame->len - HTI_FRAME_HEAD;
    const uint8_t *data = big->frame->bytes + big->at;
    bool first = big->at == HTI_FRAME_HEAD;

    n = n < big->frame->len - big->at ? n : big->frame->len - big->at;
    big->at += n;
    return feed_piece(side, big->lane, first ? total : 0, data, n);
}

static void big_fini(struct big *big)
{
    hti_frame_free(big->frame);
}

static void test_pieces_become_the_message(void **state)
{
    static const size_t sizes[] = {1, 100, 4096, 65536, 400000, 1 << 21};
    static const size_t pieces[] = {SIZE_MAX, 65536, 4097, 999};
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    for (size_t i = 0; i < 24; i++) {
        struct big big;

        big_init(&big, (uint32_t)i, sizes[i % 6]);
        while (big.at < big.frame->len) {
            CHECK(a.messages == i);
            CHECK_OK(big_feed(&a, &big, pieces[i / 6]));
        }
        CHECK(a.messages == i + 1 && a.last.u.cast.to == i);
        CHECK(a.last_what_len == sizes[i % 6] && a.last_what_sum == big.sum);
        /* can be kept without a copy */
        CHECK(a.last_owned || sizes[i % 6] < HTI_INPLACE_MAX);
        big_fini(&big);
    }
    side_fini(&a);
    side_fini(&b);
}

/* A payload of n bytes with a message of body bytes in it; the rest is a field
 * that nobody knows. */
static void
padded(struct side *side, enum hti_envelope_kind kind, size_t body, size_t n)
{
    uint8_t *blob = calloc(1, n);
    struct hti_wire_cast cast = {.to = 1, .what = {blob, body}};
    struct hti_wire_call call = {.m = cast, .tag = 1};
    struct hti_wire_reply reply = {.to = 1, .tag = 1, .what = {blob, body}};
    struct hti_frame *frame =
        kind == HTI_ENVELOPE_CAST   ? hti_frame_cast(&cast, 0)
        : kind == HTI_ENVELOPE_CALL ? hti_frame_call(&call, 0)
                                    : hti_frame_reply(&reply, 0);
    uint8_t *stream = malloc(n + 32);
    size_t len, pad;
    uint8_t *p;

    CHECK(blob != NULL && frame != NULL && stream != NULL);
    len = frame->len - HTI_FRAME_HEAD;
    memcpy(stream + HTI_FRAME_HEAD, frame->bytes + HTI_FRAME_HEAD, len);
    p = stream + HTI_FRAME_HEAD + len;
    *p++ = 0x7a; /* 15, length-delimited */
    pad = n - len;
    p = hti_pb_put_varint(p, pad);
    memset(p, 0, pad);
    p += pad;
    len = (size_t)(p - stream) - HTI_FRAME_HEAD;
    for (unsigned i = 0; i < HTI_FRAME_HEAD; i++) {
        stream[i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    }
    CHECK_OK(side_feed(side, 0, stream, (size_t)(p - stream)));
    CHECK(side->last.kind == kind && side->last_what_len == body);
    hti_frame_free(frame);
    free(stream);
    free(blob);
}

/* Else what is counted as 4 KiB in a mailbox would hold 16 MiB of memory. */
static void test_a_small_part_of_a_payload_is_not_given_away(void **state)
{
    static const enum hti_envelope_kind kinds[] = {
        HTI_ENVELOPE_CAST, HTI_ENVELOPE_CALL, HTI_ENVELOPE_REPLY};
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        padded(&a, kinds[i], 5000, 100000);
        CHECK(!a.last_owned);
        padded(&a, kinds[i], 49000, 100000);
        CHECK(!a.last_owned);
        padded(&a, kinds[i], 51000, 100000);
        CHECK(a.last_owned);
    }
    side_fini(&a);
    side_fini(&b);
}

static void test_lanes_interleave(void **state)
{
    struct big big[LANES_MAX];
    struct side a, b;
    bool more = true;

    (void)state;
    pair_open(&a, &b);
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        big_init(&big[i], 1000 + i, 50000 + 1000 * i);
    }
    while (more) {
        more = false;
        for (uint32_t i = 0; i < LANES_MAX; i++) {
            unsigned before = a.messages;

            if (big[i].at == big[i].frame->len) {
                continue;
            }
            more = true;
            CHECK_OK(big_feed(&a, &big[i], 10000));
            if (a.messages > before) {
                CHECK(a.last.u.cast.to == 1000 + i);
                CHECK(a.last_what_sum == big[i].sum);
            }
        }
    }
    CHECK(a.messages == LANES_MAX);
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        big_fini(&big[i]);
    }
    side_fini(&a);
    side_fini(&b);
}

/* Whole frames and control pass between the pieces. */
static void test_small_messages_overtake(void **state)
{
    struct big big;
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    big_init(&big, 3, 100000);
    CHECK_OK(big_feed(&a, &big, 60000));
    CHECK_OK(feed_frame(&a, 0, hti_frame_ready()));
    CHECK(a.readies == 1 && a.messages == 0);
    CHECK_OK(big_feed(&a, &big, 60000));
    CHECK(a.messages == 1);
    big_fini(&big);
    side_fini(&a);
    side_fini(&b);
}

static void check_refused(
    ht_err want, const char *why, uint32_t lane, uint64_t total, size_t n)
{
    static uint8_t zeros[100000];
    struct side a, b;

    pair_open(&a, &b);
    CHECK_OK(feed_piece(&a, 1, 50000, zeros, 1000)); /* half */
    CHECK_ERR(feed_piece(&a, lane, total, zeros, n), want);
    CHECK(why_has(&a, why));
    CHECK(a.messages == 0);
    side_fini(&a); /* frees the half */
    side_fini(&b);
}

static void test_refused_pieces(void **state)
{
    (void)state;
    check_refused(HT_EPROTO, "began a message inside one", 1, 60000, 10);
    check_refused(HT_EPROTO, "never began", 2, 0, 10);
    check_refused(HT_EPROTO, "49000 are missing", 1, 0, 49001);
    check_refused(HT_EPROTO, "10 are missing", 2, 10, 11);
    check_refused(HT_ETOOBIG, "over the limit", 2, (64 << 20) + 1, 10);
    check_refused(HT_ETOOBIG, "over the limit", 2, UINT64_MAX, 10);
}

/* Nobody needs one, and it costs its sender nothing. */
static void test_empty_piece(void **state)
{
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    CHECK_OK(feed_piece(&a, 1, 100, "x", 1));
    CHECK_ERR(feed_hex(&a, 0, "0000000000000005ca3e020801"), HT_EPROTO);
    CHECK(why_has(&a, "99 are missing"));
    side_fini(&a);
    side_fini(&b);
}

static void test_too_many_lanes(void **state)
{
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        CHECK_OK(feed_piece(&a, i, 100, "x", 1));
    }
    CHECK_ERR(feed_piece(&a, LANES_MAX, 100, "x", 1), HT_EPROTO);
    CHECK(why_has(&a, "over 16 fragmented messages"));
    side_fini(&a);
    side_fini(&b);
}

static void test_unfinished_bytes_are_bounded(void **state)
{
    static uint8_t zeros[100000];
    struct side a, b;

    (void)state;
    side_init(&a, true, ring_one("cookie"));
    side_init(&b, false, ring_one("cookie"));
    a.config.message_max = 100000;
    meet(&a, &b, 0);
    CHECK(b.opened.message_max == 100000);
    CHECK_OK(feed_piece(&a, 1, 100000, zeros, 90000));
    CHECK_OK(feed_piece(&a, 2, 100000, zeros, 90000));
    CHECK_OK(feed_piece(&a, 3, 100000, zeros, 20000));
    CHECK_ERR(feed_piece(&a, 3, 0, zeros, 1), HT_ETOOBIG);
    CHECK(why_has(&a, "unfinished"));
    side_fini(&a);
    side_fini(&b);
}

static void test_fragment_of_a_fragment(void **state)
{
    uint8_t piece[HTI_FRAGMENT_HEAD_MAX + 4];
    struct side a, b;
    size_t n;

    (void)state;
    pair_open(&a, &b);
    n = hti_fragment_head(piece, 5, 4, 4);
    memset(piece + n, 0, 4);
    n -= 4; /* without the head of 8, with the data of 4 */
    CHECK_ERR(feed_piece(&a, 1, n, piece + HTI_FRAME_HEAD, n), HT_EPROTO);
    CHECK(why_has(&a, "inside a fragmented message"));
    side_fini(&a);
    side_fini(&b);
}

static void test_garbage_in_pieces(void **state)
{
    struct side a, b;

    (void)state;
    pair_open(&a, &b);
    CHECK_OK(feed_piece(&a, 1, 3, "\xff\xff", 2));
    CHECK_ERR(feed_piece(&a, 1, 0, "\xff", 1), HT_EPROTO);
    side_fini(&a);
    side_fini(&b);
}

CHECK_MAIN(cmocka_unit_test(test_pieces_become_the_message),
           cmocka_unit_test(test_a_small_part_of_a_payload_is_not_given_away),
           cmocka_unit_test(test_lanes_interleave),
           cmocka_unit_test(test_small_messages_overtake),
           cmocka_unit_test(test_refused_pieces),
           cmocka_unit_test(test_empty_piece),
           cmocka_unit_test(test_too_many_lanes),
           cmocka_unit_test(test_unfinished_bytes_are_bounded),
           cmocka_unit_test(test_fragment_of_a_fragment),
           cmocka_unit_test(test_garbage_in_pieces))
