/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proto/wire.h"

#include "proto/frame.h"

/* A stream of one frame of n payload bytes, byte i being i * 7. */
static uint8_t *stream_of(size_t n, size_t *ret_len)
{
    uint8_t *stream = malloc(8 + n);

    assert_non_null(stream);
    for (unsigned i = 0; i < 8; i++) {
        stream[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    }
    for (size_t i = 0; i < n; i++) {
        stream[8 + i] = (uint8_t)(i * 7);
    }
    *ret_len = 8 + n;
    return stream;
}

/* Hand over pieces of at most step bytes, if direct through the target where
 * one is offered.  The buffer stays in proportion to what arrived. */
static void check_payload(size_t n, size_t step, bool direct)
{
    size_t left;
    uint8_t *stream = stream_of(n, &left);
    const uint8_t *at = stream;
    struct hti_reader reader;
    struct hti_payload payload = {0};
    int got = 0;

    hti_reader_init(&reader, n);
    while (got == 0) {
        uint8_t *into;
        size_t room = direct ? hti_reader_target(&reader, &into) : 0;
        size_t piece = step < left ? step : left;

        CHECK(left > 0 || n == 0);
        if (room > 0) {
            piece = piece < room ? piece : room;
            memcpy(into, at, piece);
            at += piece;
            got = hti_reader_filled(&reader, piece, &payload);
        } else {
            size_t len = piece;

            got = hti_reader_next(&reader, &at, &len, &payload);
            assert_int_equal(len, 0);
        }
        left -= piece;
        if (reader.buf != NULL) {
            size_t arrived = (size_t)(at - stream) - 8;

            CHECK(reader.buf->cap <= n);
            CHECK(reader.buf->cap <= 2 * arrived ||
                  reader.buf->cap <= HTI_WHOLE_BYTES);
        }
    }
    assert_int_equal(got, 1);
    assert_int_equal(left, 0);
    check_view((ht_bytes){payload.data, payload.len}, stream + 8, n);
    CHECK(hti_reader_at_boundary(&reader));
    hti_buf_unref(payload.owner);
    hti_reader_fini(&reader);
    free(stream);
}

static void test_a_payload_is_the_same_however_it_arrives(void **state)
{
    static const size_t sizes[] = {0,     1, 7, 4095, 4096, 4097, 3 * 8192 + 1,
                                   300000};
    static const size_t steps[] = {1, 3, 8, 9, 4096, 8192, 100000, 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
            check_payload(sizes[i], steps[j], false);
            check_payload(sizes[i], steps[j], true);
        }
    }
}

static void test_a_small_payload_is_lent_in_place(void **state)
{
    size_t len;
    uint8_t *stream = stream_of(HTI_INPLACE_MAX, &len);
    const uint8_t *at = stream;
    struct hti_reader reader;
    struct hti_payload payload;

    (void)state;
    hti_reader_init(&reader, HTI_FRAME_BYTES_MAX);
    assert_int_equal(hti_reader_next(&reader, &at, &len, &payload), 1);
    assert_ptr_equal(payload.data, stream + 8);
    assert_null(payload.owner);
    hti_reader_fini(&reader);
    free(stream);
}

static void test_coalesced_frames_come_out_one_by_one(void **state)
{
    const char *hex = "0000000000000001aa"
                      "0000000000000000"
                      "0000000000000002bbcc"
                      "00000000000000";
    struct bytes b = from_hex(hex);
    const uint8_t *at = b.data;
    size_t len = b.len;
    struct hti_reader reader;
    struct hti_payload p;

    (void)state;
    hti_reader_init(&reader, 2);
    assert_int_equal(hti_reader_next(&reader, &at, &len, &p), 1);
    check_view((ht_bytes){p.data, p.len}, "\xaa", 1);
    assert_int_equal(hti_reader_next(&reader, &at, &len, &p), 1);
    assert_int_equal(p.len, 0);
    assert_int_equal(hti_reader_next(&reader, &at, &len, &p), 1);
    check_view((ht_bytes){p.data, p.len}, "\xbb\xcc", 2);
    CHECK(hti_reader_at_boundary(&reader));
    assert_int_equal(hti_reader_next(&reader, &at, &len, &p), 0);
    assert_int_equal(len, 0);
    CHECK(!hti_reader_at_boundary(&reader));
    hti_reader_fini(&reader);
}

static int first_of(const char *hex, uint64_t limit)
{
    struct bytes b = from_hex(hex);
    const uint8_t *at = b.data;
    size_t len = b.len;
    struct hti_reader reader;
    struct hti_payload payload;
    int got;

    hti_reader_init(&reader, limit);
    got = hti_reader_next(&reader, &at, &len, &payload);
    hti_reader_fini(&reader);
    return got;
}

static void test_the_limit_itself_is_taken_and_one_more_is_not(void **state)
{
    (void)state;
    assert_int_equal(first_of("0000000000000002aabb", 2), 1);
    assert_int_equal(first_of("0000000000000003", 2), HT_ETOOBIG);
    assert_int_equal(first_of("00000000000010000000", 4096), 0);
    assert_int_equal(first_of("0000000000001001", 4096), HT_ETOOBIG);
}

static void test_a_length_of_63_bits_is_refused_without_a_limit(void **state)
{
    (void)state;
    assert_int_equal(first_of("8000000000000000", UINT64_MAX), HT_ETOOBIG);
    assert_int_equal(first_of("ffffffffffffffffaa", UINT64_MAX), HT_ETOOBIG);
}

static void test_a_refusal_is_repeated(void **state)
{
    struct bytes b = from_hex("0000000000000003aabbcc");
    const uint8_t *at = b.data;
    size_t len = b.len;
    struct hti_reader reader;
    struct hti_payload payload;

    (void)state;
    hti_reader_init(&reader, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hti_reader_next(&reader, &at, &len, &payload),
                         HT_ETOOBIG);
        assert_int_equal(reader.want, 3);
    }
    hti_reader_fini(&reader);
}

/* A peer that announces the largest frame and sends nothing of it. */
static void test_an_announced_length_costs_little(void **state)
{
    struct bytes b = from_hex("0000000001000000aa");
    const uint8_t *at = b.data;
    size_t len = b.len;
    struct hti_reader reader;
    struct hti_payload payload;

    (void)state;
    hti_reader_init(&reader, HTI_FRAME_BYTES_MAX);
    assert_int_equal(hti_reader_next(&reader, &at, &len, &payload), 0);
    CHECK(reader.buf->cap <= HTI_WHOLE_BYTES);
    hti_reader_fini(&reader);
}

static void test_the_end_of_a_large_payload_is_not_read_alone(void **state)
{
    size_t len;
    uint8_t *stream = stream_of(100000, &len);
    const uint8_t *at = stream;
    uint8_t *into;
    struct hti_reader reader;
    struct hti_payload payload;

    (void)state;
    hti_reader_init(&reader, HTI_FRAME_BYTES_MAX);
    assert_int_equal(hti_reader_target(&reader, &into), 0);
    len -= 10;
    assert_int_equal(hti_reader_next(&reader, &at, &len, &payload), 0);
    assert_int_equal(hti_reader_target(&reader, &into), 0);
    len = 10;
    assert_int_equal(hti_reader_next(&reader, &at, &len, &payload), 1);
    hti_buf_unref(payload.owner);
    hti_reader_fini(&reader);
    free(stream);
}

static void test_a_frame_has_its_head(void **state)
{
    struct hti_frame *frame = hti_frame_new(258, 7);

    (void)state;
    assert_non_null(frame);
    assert_int_equal(frame->len, 266);
    assert_int_equal(frame->lane, 7);
    assert_memory_equal(frame->bytes, "\0\0\0\0\0\0\1\2", 8);
    assert_ptr_equal(hti_frame_payload(frame), frame->bytes + 8);
    hti_frame_free(frame);
    hti_frame_free(NULL);
    assert_null(hti_frame_new(UINT32_MAX, 0));
    assert_null(hti_frame_new(SIZE_MAX, 0));
}

static void test_no_memory_for_a_frame(void **state)
{
    (void)state;
    hti_alloc_fail_after(1);
    assert_null(hti_frame_new(10, 0));
    hti_alloc_fail_after(0);
}

CHECK_MAIN(
    cmocka_unit_test(test_a_payload_is_the_same_however_it_arrives),
    cmocka_unit_test(test_a_small_payload_is_lent_in_place),
    cmocka_unit_test(test_coalesced_frames_come_out_one_by_one),
    cmocka_unit_test(test_the_limit_itself_is_taken_and_one_more_is_not),
    cmocka_unit_test(test_a_length_of_63_bits_is_refused_without_a_limit),
    cmocka_unit_test(test_a_refusal_is_repeated),
    cmocka_unit_test(test_an_announced_length_costs_little),
    cmocka_unit_test(test_the_end_of_a_large_payload_is_not_read_alone),
    cmocka_unit_test(test_a_frame_has_its_head),
    cmocka_unit_test(test_no_memory_for_a_frame))
