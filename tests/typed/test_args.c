/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/check.h"

#include <hardtack/args.h>

#include "args.pb-c.h"

/* ---- helpers ---------------------------------------------------------------
 */

static void check_bytes(const void *data, size_t len, const char *hex)
{
    char got[512];

    CHECK(2 * len < sizeof got);
    got[0] = '\0';
    for (size_t i = 0; i < len; i++) {
        snprintf(got + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
    }
    assert_string_equal(got, hex);
}

/* Takes what args holds. */
static void check_built(ht_args *args, const char *hex)
{
    CHECK_OK(args->err);
    check_bytes(args->data, args->len, hex);
    ht_args_fini(args);
}

static ht_args bare(void)
{
    ht_args args = HT_REPLY_INIT;

    return args;
}

/* A reader of hex as one bare value; good until the next one is made. */
static ht_reader value_of(const char *hex)
{
    static uint8_t data[256];
    size_t len = strlen(hex) / 2;
    ht_reply reply = {.data = data, .len = len};

    for (size_t i = 0; i < len; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return ht_reader_reply(&reply);
}

static ht_reader block_of(const char *hex)
{
    ht_reader r = value_of(hex);

    return ht_reader_block(r.data, r.len);
}

/* One bare value, there and back. */
#define CHECK_VALUE(type, v, hex)                                              \
    do {                                                                       \
        ht_args args_ = bare();                                                \
        ht_reader r_ = value_of(hex);                                          \
                                                                               \
        ht_args_##type(&args_, v);                                             \
        check_built(&args_, hex);                                              \
        CHECK(ht_read_##type(&r_) == (v));                                     \
        CHECK_OK(ht_read_end(&r_));                                            \
    } while (0)

/* Reading hex as type fails. */
#define CHECK_REFUSED(type, hex)                                               \
    do {                                                                       \
        ht_reader r_ = value_of(hex);                                          \
                                                                               \
        (void)ht_read_##type(&r_);                                             \
        CHECK_ERR(ht_read_end(&r_), HT_EARGS);                                 \
    } while (0)

/* ---- single values ---------------------------------------------------------
 */

static void test_integers_are_big_endian(void **state)
{
    (void)state;
    CHECK_VALUE(u8, 7, "07");
    CHECK_VALUE(u16, 258, "0102");
    CHECK_VALUE(u32, 0xdeadbeef, "deadbeef");
    CHECK_VALUE(u64, 42, "000000000000002a");
    CHECK_VALUE(i8, -2, "fe");
    CHECK_VALUE(i16, -2, "fffe");
    CHECK_VALUE(i32, INT32_MIN, "80000000");
    CHECK_VALUE(i64, -2, "fffffffffffffffe");
#ifdef __SIZEOF_INT128__
    CHECK_VALUE(u128, (ht_u128)1 << 64 | 2, "00000000000000010000000000000002");
    CHECK_VALUE(i128, (ht_i128)-2, "fffffffffffffffffffffffffffffffe");
#endif
}

static void test_floats_are_their_bits(void **state)
{
    (void)state;
    CHECK_VALUE(f32, 1.5f, "3fc00000");
    CHECK_VALUE(f64, -0.1, "bfb999999999999a");
}

static void test_bool_and_char(void **state)
{
    ht_reader r;

    (void)state;
    CHECK_VALUE(bool, true, "01");
    CHECK_VALUE(bool, false, "00");
    r = value_of("02");
    CHECK(!ht_read_bool(&r)); /* only 01 is true */
    CHECK_OK(ht_read_end(&r));
    CHECK_VALUE(char, 0xe9, "000000e9");
    CHECK_VALUE(char, 0x10ffff, "0010ffff");
    CHECK_REFUSED(char, "0000d800");
    CHECK_REFUSED(char, "00110000");
}

static void test_strings_and_bytes_are_raw(void **state)
{
    ht_args args = bare();
    ht_reader r = value_of("68c3a9");
    ht_bytes got;

    (void)state;
    ht_args_str(&args, "h\xc3\xa9");
    check_built(&args, "68c3a9");
    got = ht_read_str(&r);
    CHECK_OK(ht_read_end(&r));
    check_bytes(got.data, got.len, "68c3a9");

    args = bare();
    ht_args_strn(&args, "a\0b", 3);
    check_built(&args, "610062");
    args = bare();
    ht_args_bytes(&args, "\xff\0", 2);
    check_built(&args, "ff00");
    r = value_of("ff00");
    got = ht_read_bytes(&r);
    CHECK_OK(ht_read_end(&r));
    check_bytes(got.data, got.len, "ff00");
    CHECK_REFUSED(str, "ff00");
    args = bare();
    ht_args_bytes(&args, NULL, 0);
    check_built(&args, "");
}

static void test_unit_is_empty_and_ignored(void **state)
{
    ht_args args = bare();
    ht_reader r = value_of("aabb");

    (void)state;
    ht_args_unit(&args);
    check_built(&args, "");
    ht_read_unit(&r);
    CHECK_OK(ht_read_end(&r));
}

static void test_short_values_are_refused_and_long_ones_cut(void **state)
{
    ht_reader r = value_of("0102ff");

    (void)state;
    assert_int_equal(ht_read_u16(&r), 258);
    CHECK_OK(ht_read_end(&r));
    CHECK_REFUSED(u8, "");
    CHECK_REFUSED(u16, "01");
    CHECK_REFUSED(u32, "010203");
    CHECK_REFUSED(u64, "01020304050607");
    CHECK_REFUSED(i8, "");
    CHECK_REFUSED(i16, "01");
    CHECK_REFUSED(i32, "010203");
    CHECK_REFUSED(i64, "01020304050607");
    CHECK_REFUSED(f32, "010203");
    CHECK_REFUSED(f64, "01020304050607");
    CHECK_REFUSED(bool, "");
    CHECK_REFUSED(char, "0000e9");
#ifdef __SIZEOF_INT128__
    CHECK_REFUSED(u128, "010203040506070809101112131415");
    CHECK_REFUSED(i128, "");
#endif
}

/* ---- vectors ----------------------------------------------------------------
 */

#define CHECK_VEC(name, hex, ...)                                              \
    do {                                                                       \
        ht_args args_ = bare();                                                \
                                                                               \
        ht_args_vec_##name(&args_, __VA_ARGS__);                               \
        check_built(&args_, hex);                                              \
    } while (0)

static void test_vectors_are_their_elements(void **state)
{
    const uint16_t u16[] = {1, 2};
    const uint32_t u32[] = {1, 2};
    const uint64_t u64[] = {1};
    const int8_t i8[] = {-1, 1};
    const int16_t i16[] = {-1, 1};
    const int32_t i32[] = {-1, 1};
    const int64_t i64[] = {-1};
    const float f32[] = {1.5f};
    const double f64[] = {-0.1};
    const bool flags[] = {true, false};
    const uint32_t chars[] = {'h', 0xe9};

    (void)state;
    CHECK_VEC(u16, "00010002", u16, 2);
    CHECK_VEC(u32, "0000000100000002", u32, 2);
    CHECK_VEC(u64, "0000000000000001", u64, 1);
    CHECK_VEC(i8, "ff01", i8, 2);
    CHECK_VEC(i16, "ffff0001", i16, 2);
    CHECK_VEC(i32, "ffffffff00000001", i32, 2);
    CHECK_VEC(i64, "ffffffffffffffff", i64, 1);
    CHECK_VEC(f32, "3fc00000", f32, 1);
    CHECK_VEC(f64, "bfb999999999999a", f64, 1);
    CHECK_VEC(bool, "0100", flags, 2);
    CHECK_VEC(char, "00000068000000e9", chars, 2);
    CHECK_VEC(u64, "", NULL, 0);
#ifdef __SIZEOF_INT128__
    CHECK_VEC(u128, "00000000000000000000000000000005", (const ht_u128[]){5},
              1);
    CHECK_VEC(i128, "fffffffffffffffffffffffffffffffb", (const ht_i128[]){-5},
              1);
#endif
}

static ht_vec vec_of(const char *hex, size_t width)
{
    ht_reader r = value_of(hex);
    ht_vec v = ht_read_vec(&r, width);

    CHECK_OK(ht_read_end(&r));
    return v;
}

static void test_elements_are_read(void **state)
{
    ht_vec v = vec_of("0001fffe", 2);

    (void)state;
    assert_int_equal(v.count, 2);
    assert_int_equal(ht_vec_u64(&v, 1), 0xfffe);
    assert_int_equal(ht_vec_i64(&v, 0), 1);
    assert_int_equal(ht_vec_i64(&v, 1), -2);
    v = vec_of("80ff7f", 1);
    assert_int_equal(ht_vec_i64(&v, 0), -128);
    assert_int_equal(ht_vec_i64(&v, 2), 127);
    v = vec_of("80000000", 4);
    CHECK(ht_vec_i64(&v, 0) == INT32_MIN);
    v = vec_of("8000000000000000", 8);
    CHECK(ht_vec_i64(&v, 0) == INT64_MIN);
    v = vec_of("3fc00000", 4);
    CHECK(ht_vec_f32(&v, 0) == 1.5f);
    v = vec_of("bfb999999999999a", 8);
    CHECK(ht_vec_f64(&v, 0) == -0.1);
    v = vec_of("010002", 1);
    CHECK(ht_vec_bool(&v, 0) && !ht_vec_bool(&v, 1) && !ht_vec_bool(&v, 2));
#ifdef __SIZEOF_INT128__
    v = vec_of("fffffffffffffffffffffffffffffffb", 16);
    CHECK(ht_vec_i128(&v, 0) == -5);
    CHECK(ht_vec_u128(&v, 1) == 0);
    v = vec_of("fffe", 2);
    CHECK(ht_vec_i128(&v, 0) == -2);
    CHECK(ht_vec_u128(&v, 0) == 0xfffe);
#endif
}

static void test_a_tail_is_ignored_and_beyond_the_end_is_zero(void **state)
{
    ht_vec v = vec_of("0000000100000002000000", 4);

    (void)state;
    assert_int_equal(v.count, 2);
    assert_int_equal(ht_vec_u64(&v, 2), 0);
    assert_int_equal(ht_vec_i64(&v, 2), 0);
    CHECK(ht_vec_f64(&v, 0) == 0.0); /* not of that width */
    CHECK(!ht_vec_bool(&v, 0));
    v = vec_of("", 8);
    assert_int_equal(v.count, 0);
}

static void test_chars_of_a_vector_are_checked(void **state)
{
    ht_reader r = value_of("00000068000000e9");
    ht_vec v = ht_read_vec_char(&r);

    (void)state;
    CHECK_OK(ht_read_end(&r));
    assert_int_equal(v.count, 2);
    assert_int_equal(ht_vec_u64(&v, 1), 0xe9);
    CHECK_REFUSED(vec_char, "000000680000dfff");
}

static void test_a_wrong_width_is_refused(void **state)
{
    static const size_t widths[] = {0, 3, 6, 32};

    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        ht_reader r = value_of("00");

        assert_int_equal(ht_read_vec(&r, widths[i]).count, 0);
        CHECK_ERR(ht_read_end(&r), HT_EINVAL);
    }
}

/* ---- blocks -----------------------------------------------------------------
 */

static void test_blocks_of_the_specification(void **state)
{
    ht_args args = HT_ARGS_INIT;

    (void)state;
    ht_args_str(&args, "hello");
    ht_args_u64(&args, 42);
    check_built(&args,
                "000000000000000568656c6c6f0000000000000008000000000000002a");
    ht_args_u8(&args, 7);
    ht_args_i64(&args, -2);
    check_built(&args, "0000000000000001070000000000000008fffffffffffffffe");
    check_built(&args, "");
}

static void test_a_block_is_read_field_by_field(void **state)
{
    ht_reader r =
        block_of("000000000000000568656c6c6f0000000000000008000000000000002a");
    ht_bytes hello = ht_read_str(&r);

    (void)state;
    check_bytes(hello.data, hello.len, "68656c6c6f");
    assert_int_equal(ht_read_u64(&r), 42);
    CHECK_OK(ht_read_end(&r));
}

static void test_bad_framing_is_refused(void **state)
{
    ht_reader r;

    (void)state;
    r = block_of("00"); /* bytes for a variant that has no fields */
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    r = block_of("00000000000004"); /* seven bytes of length */
    (void)ht_read_u32(&r);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    r = block_of("ffffffffffffffff00000001"); /* a huge length */
    (void)ht_read_u32(&r);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    r = block_of("0000000000000004000000"); /* a cut value */
    (void)ht_read_u32(&r);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    r = block_of("0000000000000000"); /* a u32 of no bytes */
    (void)ht_read_u32(&r);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    r = block_of("00000000000000040000000100"); /* a byte too many */
    assert_int_equal(ht_read_u32(&r), 1);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    r = block_of(""); /* a field where there is none */
    (void)ht_read_bytes(&r);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
}

static void test_after_an_error_nothing_is_read(void **state)
{
    ht_reader r = block_of("0000000000000001070000000000000001ff"
                           "000000000000000105");

    (void)state;
    assert_int_equal(ht_read_u8(&r), 7);
    assert_int_equal(ht_read_str(&r).len, 0); /* not UTF-8 */
    assert_int_equal(ht_read_u8(&r), 0);
    assert_null(ht_read_bytes(&r).data);
    assert_int_equal(ht_read_vec(&r, 1).count, 0);
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
}

static void test_after_an_error_nothing_is_built(void **state)
{
    ht_args args = HT_ARGS_INIT;

    (void)state;
    ht_args_u8(&args, 1);
    ht_args_char(&args, 0xd800);
    ht_args_u8(&args, 2);
    assert_int_equal(args.len, 9);
    CHECK_ERR(args.err, HT_EINVAL);
    ht_args_fini(&args);
    ht_args_fini(&args);
    ht_args_fini(NULL);
}

static void check_not_built(ht_args *args)
{
    CHECK_ERR(args->err, HT_EINVAL);
    ht_args_fini(args);
    args->err = HT_OK;
}

static void test_what_cannot_be_sent_is_refused(void **state)
{
    const uint32_t chars[] = {'a', 0x110000};
    ht_args args = HT_ARGS_INIT;

    (void)state;
    ht_args_str(&args, "\xff");
    check_not_built(&args);
    ht_args_str(&args, NULL);
    check_not_built(&args);
    ht_args_bytes(&args, NULL, 1);
    check_not_built(&args);
    ht_args_vec_u64(&args, NULL, 1);
    check_not_built(&args);
    ht_args_vec_char(&args, chars, 2);
    check_not_built(&args);
    ht_args_message(&args, NULL);
    check_not_built(&args);
    args.bare = true; /* a reply is one value */
    ht_args_u8(&args, 1);
    ht_args_u8(&args, 1);
    check_not_built(&args);
}

static void test_a_block_grows(void **state)
{
    ht_args args = HT_ARGS_INIT;
    ht_reader r;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        ht_args_u32(&args, i);
    }
    CHECK_OK(args.err);
    assert_int_equal(args.len, 12 * 10000);
    r = ht_reader_block(args.data, args.len);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(ht_read_u32(&r), i);
    }
    CHECK_OK(ht_read_end(&r));
    ht_args_fini(&args);
}

static void test_a_reply_that_failed_has_no_value(void **state)
{
    ht_reply reply = {.err = HT_ETIMEDOUT, .reason = ""};
    ht_reader r = ht_reader_reply(&reply);

    (void)state;
    assert_int_equal(ht_read_u8(&r), 0);
    CHECK_ERR(ht_read_end(&r), HT_ETIMEDOUT);
}

/* ---- protobuf messages
 * -------------------------------------------------------- */

static ArgsTest__Point *read_point(ht_reader *r)
{
    ProtobufCMessage *m = ht_read_message(r, &args_test__point__descriptor);

    return (ArgsTest__Point *)m;
}

static void test_a_message_is_delimited(void **state)
{
    ArgsTest__Point point = ARGS_TEST__POINT__INIT;
    ArgsTest__Point *got;
    ht_args args = HT_ARGS_INIT;
    ht_reader r = block_of("00000000000000080708960112026869");
    char label[] = "hi";

    (void)state;
    point.x = 150;
    point.label = label;
    ht_args_message(&args, &point.base);
    check_built(&args, "00000000000000080708960112026869");

    got = read_point(&r);
    CHECK_OK(ht_read_end(&r));
    assert_non_null(got);
    assert_int_equal(got->x, 150);
    assert_string_equal(got->label, "hi");
    protobuf_c_message_free_unpacked(&got->base, NULL);
}

static void test_what_follows_a_message_is_ignored(void **state)
{
    ht_reader r = value_of("0208050bad");
    ArgsTest__Point *got = read_point(&r);

    (void)state;
    assert_non_null(got);
    assert_int_equal(got->x, 5);
    protobuf_c_message_free_unpacked(&got->base, NULL);
    CHECK_OK(ht_read_end(&r));
}

static void test_a_bad_message_is_refused(void **state)
{
    static const char *const bad[] = {
        "",           /* no length */
        "05",         /* cut */
        "80",         /* half a length */
        "020a00",     /* x as bytes */
        "0108",       /* cut inside */
        "031201ff",   /* label, not UTF-8 */
        "0612026869", /* longer than what is there */
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ht_reader r = value_of(bad[i]);

        assert_null(read_point(&r));
        CHECK_ERR(ht_read_end(&r), HT_EARGS);
        assert_null(read_point(&r)); /* sticky */
    }
}

/* depth messages within each other. */
static ht_err read_nest(unsigned depth)
{
    uint8_t data[1024];
    size_t at = sizeof data;
    ht_reply reply = {.reason = ""};
    ht_reader r;
    ProtobufCMessage *m;

    for (unsigned i = 0; i < depth; i++) {
        size_t len = sizeof data - at;

        /* a length, and a key for all but the outermost */
        if (len >= 0x80) {
            data[--at] = (uint8_t)(len >> 7);
            data[--at] = (uint8_t)(len | 0x80);
        } else {
            data[--at] = (uint8_t)len;
        }
        if (i + 1 < depth) {
            data[--at] = 0x0a;
        }
    }
    reply.data = data + at;
    reply.len = sizeof data - at;
    r = ht_reader_reply(&reply);
    m = ht_read_message(&r, &args_test__nest__descriptor);
    if (m != NULL) {
        protobuf_c_message_free_unpacked(m, NULL);
    }
    return ht_read_end(&r);
}

static void test_a_message_nests_to_the_limit(void **state)
{
    (void)state;
    CHECK_OK(read_nest(1));
    CHECK_OK(read_nest(100));
    CHECK_ERR(read_nest(101), HT_EARGS);
    CHECK_ERR(read_nest(200), HT_EARGS);
}

static void test_a_message_of_empty_elements_is_refused(void **state)
{
    size_t len = 200000;
    uint8_t *data = malloc(4 + len);
    ht_reply reply = {.data = data, .len = 3 + len, .reason = ""};
    ht_reader r;

    (void)state;
    assert_non_null(data);
    data[0] = 0xc0;
    data[1] = 0x9a;
    data[2] = 0x0c;
    for (size_t i = 0; i < len; i += 2) {
        data[3 + i] = 0x1a; /* an empty Nest in the list */
        data[4 + i] = 0;
    }
    r = ht_reader_reply(&reply);
    assert_null(ht_read_message(&r, &args_test__nest__descriptor));
    CHECK_ERR(ht_read_end(&r), HT_EARGS);
    free(data);
}

CHECK_MAIN(cmocka_unit_test(test_integers_are_big_endian),
           cmocka_unit_test(test_floats_are_their_bits),
           cmocka_unit_test(test_bool_and_char),
           cmocka_unit_test(test_strings_and_bytes_are_raw),
           cmocka_unit_test(test_unit_is_empty_and_ignored),
           cmocka_unit_test(test_short_values_are_refused_and_long_ones_cut),
           cmocka_unit_test(test_vectors_are_their_elements),
           cmocka_unit_test(test_elements_are_read),
           cmocka_unit_test(test_a_tail_is_ignored_and_beyond_the_end_is_zero),
           cmocka_unit_test(test_chars_of_a_vector_are_checked),
           cmocka_unit_test(test_a_wrong_width_is_refused),
           cmocka_unit_test(test_blocks_of_the_specification),
           cmocka_unit_test(test_a_block_is_read_field_by_field),
           cmocka_unit_test(test_bad_framing_is_refused),
           cmocka_unit_test(test_after_an_error_nothing_is_read),
           cmocka_unit_test(test_after_an_error_nothing_is_built),
           cmocka_unit_test(test_what_cannot_be_sent_is_refused),
           cmocka_unit_test(test_a_block_grows),
           cmocka_unit_test(test_a_reply_that_failed_has_no_value),
           cmocka_unit_test(test_a_message_is_delimited),
           cmocka_unit_test(test_what_follows_a_message_is_ignored),
           cmocka_unit_test(test_a_bad_message_is_refused),
           cmocka_unit_test(test_a_message_nests_to_the_limit),
           cmocka_unit_test(test_a_message_of_empty_elements_is_refused))
