/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to protobuf and back, against protobuf-c's own reading of the bytes. */
#include "tests/lib/check.h"

#include <math.h>

#include "every.pb-c.h"
#include "node/admin_describe.h"
#include "json/base64.h"
#include "json/json_pb.h"

static Hardtack__Admin__Description *described;

static int describe(void **state)
{
    (void)state;
    described = malloc(sizeof(*described));
    hardtack__admin__description__init(described);
    return hti_admin_describe(&every__every__descriptor, described) == HT_OK
               ? 0
               : -1;
}

static int undescribe(void **state)
{
    (void)state;
    hardtack__admin__description__free_unpacked(described, NULL);
    return 0;
}

/* Encode text as an every.All, and let protobuf-c read it. */
static Every__All *encode(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    char error[JSON_PB_ERROR_MAX];
    uint8_t *data = NULL;
    size_t len = 0;
    Every__All *all;

    CHECK(value != NULL);
    if (hti_json_pb_encode(described, "every.All", value, &data, &len, error) !=
        HT_OK) {
        fail_msg("%s: %s", text, error);
    }
    all = every__all__unpack(NULL, len, data);
    CHECK(all != NULL);
    json_decref(value);
    free(data);
    return all;
}

/* Encode and decode again. */
static json_t *round_trip(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    char error[JSON_PB_ERROR_MAX];
    uint8_t *data = NULL;
    size_t len = 0;
    json_t *back = NULL;

    CHECK(value != NULL);
    CHECK_OK(
        hti_json_pb_encode(described, "every.All", value, &data, &len, error));
    CHECK_OK(
        hti_json_pb_decode(described, "every.All", data, len, &back, error));
    json_decref(value);
    free(data);
    return back;
}

static void refuse(const char *text, const char *want)
{
    json_t *value = json_loads(text, 0, NULL);
    char error[JSON_PB_ERROR_MAX];
    uint8_t *data = NULL;
    size_t len = 0;

    CHECK(value != NULL);
    CHECK_ERR(
        hti_json_pb_encode(described, "every.All", value, &data, &len, error),
        HT_EARGS);
    assert_string_equal(error, want);
    json_decref(value);
}

static void test_integers(void **state)
{
    Every__All *all = encode(
        "{\"i32\": -2147483648, \"s32\": -7, \"sf32\": -1, \"i64\": "
        "\"-9223372036854775808\", \"s64\": -5, \"sf64\": 12, \"u32\": "
        "4294967295, \"f32\": 3, \"u64\": \"18446744073709551615\", \"f64\": "
        "9007199254740993}");

    (void)state;
    CHECK(all->i32 == INT32_MIN && all->s32 == -7 && all->sf32 == -1);
    CHECK(all->i64 == INT64_MIN && all->s64 == -5 && all->sf64 == 12);
    CHECK(all->u32 == UINT32_MAX && all->f32 == 3);
    CHECK(all->u64 == UINT64_MAX && all->f64 == 9007199254740993u);
    every__all__free_unpacked(all, NULL);
}

static void test_reals(void **state)
{
    Every__All *all = encode("{\"single\": 1.5, \"real\": 10, \"reals\": [1, "
                             "2.5, \"-Infinity\", \"NaN\"]}");

    (void)state;
    CHECK(all->single == 1.5f && all->real == 10.0);
    CHECK(all->n_reals == 4 && all->reals[1] == 2.5);
    CHECK(isinf(all->reals[2]) && isnan(all->reals[3]));
    every__all__free_unpacked(all, NULL);
}

static void test_text_bytes_enums(void **state)
{
    Every__All *all =
        encode("{\"flag\": true, \"colour\": \"BLUE\", \"text\": \"h\\u00e9\", "
               "\"data\": \"AAEC/w==\", \"texts\": [\"a\", \"\"], \"colours\": "
               "[\"RED\", 5]}");

    (void)state;
    CHECK(all->flag && all->colour == EVERY__COLOUR__BLUE);
    assert_string_equal(all->text, "h\xc3\xa9");
    CHECK(all->data.len == 4 && memcmp(all->data.data, "\0\1\2\377", 4) == 0);
    CHECK(all->n_texts == 2 && all->texts[1][0] == '\0');
    CHECK(all->n_colours == 2 && all->colours[0] == EVERY__COLOUR__RED &&
          all->colours[1] == EVERY__COLOUR__BLUE);
    every__all__free_unpacked(all, NULL);
}

static void test_nested_and_oneof(void **state)
{
    Every__All *all = encode(
        "{\"inner\": {\"text\": \"x\", \"numbers\": [-1, 2]}, \"inners\": [{}, "
        "{\"text\": \"y\"}], \"c\": {\"text\": \"z\"}, \"e\": false}");

    (void)state;
    assert_string_equal(all->inner->text, "x");
    CHECK(all->inner->n_numbers == 2 && all->inner->numbers[0] == -1);
    CHECK(all->n_inners == 2);
    assert_string_equal(all->inners[1]->text, "y");
    CHECK(all->choice_case == EVERY__ALL__CHOICE_C);
    assert_string_equal(all->c->text, "z");
    CHECK(all->other_case == EVERY__ALL__OTHER_E);
    every__all__free_unpacked(all, NULL);
}

static void test_mistakes_name_the_path(void **state)
{
    (void)state;
    refuse("{\"nope\": 1}", "every.All has no field \"nope\"");
    refuse("[]", "expected an object (every.All)");
    refuse("{\"i32\": \"x\"}", "i32: expected an integer, not \"x\"");
    refuse("{\"i32\": 1.5}", "i32: expected an integer");
    refuse("{\"i32\": 2147483648}",
           "i32: 2147483648 is out of range, -2147483648 to 2147483647");
    refuse("{\"u32\": -1}", "u32: -1 is out of range, 0 or more");
    refuse("{\"u64\": \"-1\"}",
           "u64: expected an integer of 0 or more, not \"-1\"");
    refuse("{\"u64\": \"18446744073709551616\"}",
           "u64: expected an integer of 0 or more, not "
           "\"18446744073709551616\"");
    refuse("{\"single\": 1e300}", "single: 1e+300 is out of range for a float");
    refuse("{\"real\": \"ten\"}", "real: expected a number");
    refuse("{\"flag\": 1}", "flag: expected true or false");
    refuse("{\"colour\": \"GREEN\"}",
           "colour: every.Colour has no value \"GREEN\"");
    refuse("{\"colour\": 1.5}",
           "colour: expected a name or number of every.Colour");
    refuse("{\"text\": 5}", "text: expected a string");
    refuse("{\"data\": \"*\"}", "data: expected bytes, as a string of base64");
    refuse("{\"inner\": 3}", "inner: expected an object (every.Inner)");
    refuse("{\"reals\": 3}", "reals: expected an array");
    refuse("{\"inners\": [{}, {\"numbers\": [1, true]}]}",
           "inners[1].numbers[1]: expected an integer");
    refuse("{\"a\": 1, \"b\": \"x\"}", "\"a\" and \"b\" exclude each other");
}

static void test_decode_gives_every_field(void **state)
{
    json_t *back = round_trip("{\"colour\": \"RED\", \"u64\": 5, \"b\": \"q\", "
                              "\"data\": \"/w\", \"real\": 0.5}");

    (void)state;
    assert_string_equal(json_string_value(json_object_get(back, "colour")),
                        "RED");
    assert_string_equal(json_string_value(json_object_get(back, "u64")), "5");
    assert_string_equal(json_string_value(json_object_get(back, "data")),
                        "/w==");
    CHECK(json_number_value(json_object_get(back, "real")) == 0.5);
    assert_string_equal(json_string_value(json_object_get(back, "b")), "q");
    CHECK(json_object_get(back, "a") == NULL);
    CHECK(json_object_get(back, "inner") == NULL);
    CHECK(json_array_size(json_object_get(back, "texts")) == 0);
    CHECK(json_is_false(json_object_get(back, "flag")));
    assert_string_equal(json_string_value(json_object_get(back, "i64")), "0");
    json_decref(back);
}

/* What comes back can be sent again, and means the same. */
static void test_round_trip_is_stable(void **state)
{
    json_t *once = round_trip(
        "{\"s64\": -9007199254740993, \"reals\": [1, 2], \"colours\": [\"BLUE\""
        ", 3], \"inners\": [{\"numbers\": [5]}], \"text\": \"a\\u20acb\"}");
    char *text = json_dumps(once, JSON_SORT_KEYS);
    json_t *twice = round_trip(text);

    (void)state;
    CHECK(json_equal(once, twice));
    assert_string_equal(json_string_value(json_object_get(once, "s64")),
                        "-9007199254740993");
    free(text);
    json_decref(once);
    json_decref(twice);
}

static void refuse_bytes(const char *hex, const char *want)
{
    char error[JSON_PB_ERROR_MAX];
    json_t *value = NULL;
    uint8_t *data = NULL;
    size_t len = 0;

    CHECK(hti_hex_decode(hex, &data, &len));
    CHECK_ERR(
        hti_json_pb_decode(described, "every.All", data, len, &value, error),
        HT_EARGS);
    assert_string_equal(error, want);
    free(data);
}

static void test_malformed_bytes(void **state)
{
    (void)state;
    refuse_bytes("08", "malformed");                     /* no value */
    refuse_bytes("ffffffffffffffffffff01", "malformed"); /* tag too long */
    refuse_bytes("7a05 6162", "malformed");              /* string cut */
    refuse_bytes("0b", "malformed");                     /* a group */
    refuse_bytes("7a01 ff", "text: a string that is not UTF-8");
    refuse_bytes("0d 01000000", "i32: has another type on the wire");
    refuse_bytes("8a01 02 0a05", "inner: malformed");
}

/* A field of a newer schema is skipped; numbers come packed or not. */
static void test_lenient_decoding(void **state)
{
    char error[JSON_PB_ERROR_MAX];
    json_t *value = NULL;
    uint8_t *data = NULL;
    size_t len = 0;

    (void)state;
    CHECK(
        hti_hex_decode("a03f 05 0807 0809 8a01 05 1201 03 1005", &data, &len));
    CHECK_OK(
        hti_json_pb_decode(described, "every.All", data, len, &value, error));
    CHECK(json_integer_value(json_object_get(value, "i32")) == 9);
    CHECK(json_array_size(json_object_get(json_object_get(value, "inner"),
                                          "numbers")) == 2);
    json_decref(value);
    free(data);
}

static void test_depth_is_limited(void **state)
{
    char error[JSON_PB_ERROR_MAX];
    json_t *value = json_object();
    json_t *back = NULL;
    uint8_t *data = NULL;
    uint8_t bytes[80];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        value = json_pack("{s:o}", "next", value);
    }
    CHECK_ERR(
        hti_json_pb_encode(described, "every.Level", value, &data, &len, error),
        HT_EARGS);
    CHECK(strstr(error, "too deep") != NULL);
    json_decref(value);
    for (int i = 0; i < 40; i++) {
        bytes[2 * i] = 0x0a;
        bytes[2 * i + 1] = (uint8_t)(78 - 2 * i);
    }
    CHECK_ERR(hti_json_pb_decode(described, "every.Level", bytes, sizeof(bytes),
                                 &back, error),
              HT_EARGS);
    CHECK(strstr(error, "too deep") != NULL);
}

static void test_description_is_whole(void **state)
{
    (void)state;
    assert_string_equal(described->service, "every.Every");
    CHECK(described->n_methods == 3);
    assert_string_equal(described->methods[1]->output, "hardtack.None");
    CHECK(described->n_messages == 4 && described->n_enums == 1);
    CHECK(described->enums[0]->n_values == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_text_bytes_enums),
        cmocka_unit_test(test_nested_and_oneof),
        cmocka_unit_test(test_mistakes_name_the_path),
        cmocka_unit_test(test_decode_gives_every_field),
        cmocka_unit_test(test_round_trip_is_stable),
        cmocka_unit_test(test_malformed_bytes),
        cmocka_unit_test(test_lenient_decoding),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_description_is_whole),
    };

    return cmocka_run_group_tests(tests, describe, undescribe);
}
