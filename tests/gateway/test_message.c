/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: the same in JSON and protobuf, and nothing else. */
#include "gateway/message.h"
#include "tests/lib/check.h"

static struct gw_message m;
static char error[GW_ERROR_MAX];

static ht_err json(const char *text)
{
    error[0] = '\0';
    return gw_message_from_json(text, strlen(text), &m, error);
}

static void refused(const char *text, const char *words)
{
    CHECK_ERR(json(text), HT_EARGS);
    if (strstr(error, words) == NULL) {
        print_error("%s: \"%s\", expected \"%s\"\n", text, error, words);
        fail();
    }
    gw_message_fini(&m);
}

static void test_the_simplest_message_is_a_call(void **state)
{
    (void)state;
    CHECK_OK(json("{\"to\":\"calculator\",\"from\":\"client-1\","
                  "\"payload\":\"10 + 5\",\"msg_id\":\"7\"}"));
    assert_int_equal(m.type, GW_TYPE(CALL));
    assert_string_equal(m.to, "calculator");
    assert_string_equal(m.from, "client-1");
    assert_string_equal(m.msg_id, "7");
    assert_string_equal(m.method, "");
    assert_int_equal(m.payload, GW_PAYLOAD_TEXT);
    assert_int_equal(m.data.len, 6);
    assert_memory_equal(m.data.data, "10 + 5", 6);
    gw_message_fini(&m);
    gw_message_fini(&m);
}

static void test_a_payload_is_what_it_looks_like(void **state)
{
    (void)state;
    CHECK_OK(json("{\"to\":\"c\",\"method\":\"Div\",\"timeout_ms\":250,"
                  "\"payload\":{\"a\":1,\"b\":2}}"));
    assert_int_equal(m.payload, GW_PAYLOAD_JSON);
    assert_int_equal(json_object_size(m.json), 2);
    assert_int_equal(m.timeout_ms, 250);
    gw_message_fini(&m);
    CHECK_OK(json("{\"to\":\"c\",\"type\":\"cast\",\"bytes\":\"AAEC\"}"));
    assert_int_equal(m.type, GW_TYPE(CAST));
    assert_int_equal(m.payload, GW_PAYLOAD_BYTES);
    assert_int_equal(m.data.len, 3);
    assert_memory_equal(m.data.data, "\0\1\2", 3);
    gw_message_fini(&m);
    CHECK_OK(json("{\"to\":\"c\",\"method\":\"M\",\"payload\":null}"));
    assert_int_equal(m.payload, GW_PAYLOAD_NONE);
    gw_message_fini(&m);
    CHECK_OK(json("{\"to\":\"c\",\"payload\":\"\"}"));
    assert_int_equal(m.payload, GW_PAYLOAD_TEXT);
    assert_int_equal(m.data.len, 0);
    gw_message_fini(&m);
}

static void test_every_type_that_a_client_sends(void **state)
{
    (void)state;
    CHECK_OK(json("{\"type\":\"subscribe\",\"to\":\"group:g\","
                  "\"members\":true}"));
    assert_int_equal(m.type, GW_TYPE(SUBSCRIBE));
    CHECK(m.members);
    gw_message_fini(&m);
    CHECK_OK(json("{\"type\":\"unsubscribe\",\"to\":\"group:g\"}"));
    gw_message_fini(&m);
    CHECK_OK(json("{\"type\":\"hello\",\"token\":\"t\"}"));
    assert_int_equal(m.token.len, 1);
    gw_message_fini(&m);
    CHECK_OK(json("{\"type\":\"resume\",\"resume\":\"rr\",\"received\":9}"));
    assert_int_equal(m.resume.len, 2);
    assert_int_equal(m.received, 9);
    gw_message_fini(&m);
    CHECK_OK(json("{\"type\":\"login\",\"token\":\"t\"}"));
    gw_message_fini(&m);
    CHECK_OK(json("{\"type\":\"ack\",\"received\":9007199254740993}"));
    assert_int_equal(m.received, 9007199254740993);
    gw_message_fini(&m);
    CHECK_OK(json("{\"type\":\"ping\"}"));
    gw_message_fini(&m);
}

static void test_what_json_may_not_say(void **state)
{
    (void)state;
    refused("", "not JSON");
    refused("{", "not JSON");
    refused("[]", "not an object");
    refused("{} x", "not JSON");
    refused("{\"to\":\"c\",\"to\":\"d\",\"payload\":\"\"}", "duplicate");
    refused("{\"to\":\"c\",\"payload\":\"\",\"x\":1}", "no field \"x\"");
    refused("{\"payload\":\"\"}", "\"to\" is missing");
    refused("{\"to\":1,\"payload\":\"\"}", "not a string");
    refused("{\"to\":\"c\"}", "neither");
    refused("{\"to\":\"c\",\"payload\":{}}", "needs a method");
    refused("{\"to\":\"c\",\"payload\":1}", "a payload is");
    refused("{\"to\":\"c\",\"payload\":[]}", "a payload is");
    refused("{\"to\":\"c\",\"payload\":\"\",\"bytes\":\"\"}", "were given");
    refused("{\"to\":\"c\",\"bytes\":\"?\"}", "base64");
    refused("{\"to\":\"c\",\"payload\":\"\\ud800\"}", "not JSON");
    refused("{\"to\":\"c\",\"payload\":\"\xff\"}", "not JSON");
    refused("{\"to\":\"c\",\"payload\":\"a\\u0000\"}", "not JSON");
    refused("{\"type\":\"reply\",\"to\":\"c\"}", "none that a client sends");
    refused("{\"type\":\"x\"}", "none that a client sends");
    refused("{\"type\":\"login\"}", "\"token\" is missing");
    refused("{\"type\":\"resume\"}", "\"resume\" is missing");
    refused("{\"type\":\"subscribe\"}", "\"to\" is missing");
    refused("{\"type\":\"ping\",\"to\":\"c\"}", "nobody");
    refused("{\"type\":\"ping\",\"payload\":\"c\"}", "no payload");
    refused("{\"type\":\"ack\",\"received\":-1}", "not a number");
    refused("{\"type\":\"ack\",\"received\":1.5}", "not a number");
    refused("{\"to\":\"c\",\"payload\":\"\",\"timeout_ms\":4294967295}",
            "not a number");
    refused("{\"to\":\"c\",\"payload\":\"\",\"all\":1}", "neither true");
    refused("{\"to\":\"c\",\"payload\":\"\",\"all\":true}", "casts only");
}

static void test_an_error_still_names_its_message(void **state)
{
    (void)state;
    CHECK_ERR(json("{\"x\":1,\"msg_id\":\"9\",\"from\":\"me\"}"), HT_EARGS);
    assert_string_equal(m.msg_id, "9");
    assert_string_equal(m.from, "me");
    gw_message_fini(&m);
}

static void test_names_are_bounded(void **state)
{
    char text[2000];
    char name[GW_TO_MAX + 2];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[GW_TO_MAX + 1] = '\0';
    snprintf(text, sizeof(text), "{\"to\":\"%s\",\"payload\":\"\"}", name);
    refused(text, "more than 600");
    snprintf(text, sizeof(text), "{\"to\":\"%s\",\"payload\":\"\"}", name + 1);
    CHECK_OK(json(text));
    gw_message_fini(&m);
    snprintf(text, sizeof(text),
             "{\"to\":\"c\",\"payload\":\"\",\"msg_id\":\"%s\"}", name);
    refused(text, "more than 128");
}

/* ---- protobuf ------------------------------------------------------------ */

static ht_err pb(const Hardtack__Gateway__Message *in)
{
    uint8_t buf[4096];
    size_t len = hardtack__gateway__message__pack(in, buf);
    ht_err err;

    error[0] = '\0';
    err = gw_message_from_pb(buf, len, &m, error);
    memset(buf, 0, sizeof(buf)); /* what was read is a copy */
    return err;
}

static void test_protobuf_says_the_same(void **state)
{
    Hardtack__Gateway__Message in = HARDTACK__GATEWAY__MESSAGE__INIT;

    (void)state;
    in.to = (char *)"calculator";
    in.from = (char *)"client-1";
    in.msg_id = (char *)"7";
    in.payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_TEXT;
    in.text = (char *)"10 + 5";
    in.timeout_ms = 250;
    CHECK_OK(pb(&in));
    assert_int_equal(m.type, GW_TYPE(CALL));
    assert_string_equal(m.to, "calculator");
    assert_string_equal(m.from, "client-1");
    assert_string_equal(m.msg_id, "7");
    assert_int_equal(m.payload, GW_PAYLOAD_TEXT);
    assert_memory_equal(m.data.data, "10 + 5", 6);
    assert_int_equal(m.timeout_ms, 250);
    gw_message_fini(&m);

    in.method = (char *)"Div";
    in.payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_JSON;
    in.json = (char *)"{\"a\":1}";
    CHECK_OK(pb(&in));
    assert_int_equal(m.payload, GW_PAYLOAD_JSON);
    assert_int_equal(json_object_size(m.json), 1);
    gw_message_fini(&m);

    in.payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_MESSAGE;
    in.message.data = (uint8_t *)"abc";
    in.message.len = 3;
    CHECK_OK(pb(&in));
    assert_int_equal(m.payload, GW_PAYLOAD_MESSAGE);
    assert_int_equal(m.data.len, 3);
    gw_message_fini(&m);
}

static void pb_refused(const char *bytes, size_t len, const char *words)
{
    error[0] = '\0';
    CHECK_ERR(gw_message_from_pb(bytes, len, &m, error), HT_EARGS);
    if (strstr(error, words) == NULL) {
        print_error("\"%s\", expected \"%s\"\n", error, words);
        fail();
    }
    gw_message_fini(&m);
}
#define PB_REFUSED(bytes, words) pb_refused(bytes, sizeof(bytes) - 1, words)

static void test_what_protobuf_may_not_say(void **state)
{
    (void)state;
    PB_REFUSED("\x08", "not a protobuf message");
    PB_REFUSED("\x12\x05"
               "abc",
               "not a protobuf message");
    PB_REFUSED("\x10\x01", "not a protobuf message"); /* `to` as a number */
    PB_REFUSED("\x12\x01"
               "c",
               "neither");
    PB_REFUSED("\x12\x01\xff\x32\x00", "\"to\" is not text");
    PB_REFUSED("\x12\x02"
               "a\0"
               "\x32\x00",
               "\"to\" is not text");
    PB_REFUSED("\x12\x01"
               "c"
               "\x32\x01\xff",
               "\"text\" is not UTF-8");
    PB_REFUSED("\x12\x01"
               "c"
               "\x2a\x01"
               "M"
               "\x4a\x02[]",
               "not an object");
    PB_REFUSED("\x12\x01"
               "c"
               "\x2a\x01"
               "M"
               "\x4a\x01{",
               "not JSON");
    PB_REFUSED("\x08\x10\x12\x01"
               "c",
               "none that a client sends");
    PB_REFUSED("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "none that");
    PB_REFUSED("\x12\x01"
               "c"
               "\x32\x00\x50\xff\xff\xff\xff\x0f",
               "too large");
}

static void test_a_field_that_we_do_not_know_is_skipped(void **state)
{
    /* to "c", text "", field 2000 as a varint, 2001 as bytes */
    static const char bytes[] = "\x12\x01"
                                "c"
                                "\x32\x00\x80\x7d\x01\x8a\x7d\x02xx";

    (void)state;
    error[0] = '\0';
    CHECK_OK(gw_message_from_pb(bytes, sizeof(bytes) - 1, &m, error));
    assert_string_equal(m.to, "c");
    gw_message_fini(&m);
}

/* ---- HTTP ---------------------------------------------------------------- */

static void test_a_request_is_a_message(void **state)
{
    const char *body = "{\"a\":1}";

    (void)state;
    CHECK_OK(gw_message_from_http(GW_TYPE(CALL), "group:g", "Div",
                                  (ht_bytes){body, strlen(body)}, &m, error));
    assert_string_equal(m.to, "group:g");
    assert_string_equal(m.method, "Div");
    assert_int_equal(m.payload, GW_PAYLOAD_JSON);
    gw_message_fini(&m);
    CHECK_OK(gw_message_from_http(GW_TYPE(CALL), "c", "",
                                  (ht_bytes){"\"10 + 5\"", 8}, &m, error));
    assert_int_equal(m.payload, GW_PAYLOAD_TEXT);
    assert_int_equal(m.data.len, 6);
    gw_message_fini(&m);
    CHECK_OK(gw_message_from_http(GW_TYPE(CAST), "c", "M", (ht_bytes){NULL, 0},
                                  &m, error));
    assert_int_equal(m.payload, GW_PAYLOAD_NONE);
    gw_message_fini(&m);
    CHECK_ERR(gw_message_from_http(GW_TYPE(CALL), "c", "", (ht_bytes){NULL, 0},
                                   &m, error),
              HT_EARGS);
    gw_message_fini(&m);
    CHECK_ERR(gw_message_from_http(GW_TYPE(CALL), "\xff", "M",
                                   (ht_bytes){NULL, 0}, &m, error),
              HT_EARGS);
    gw_message_fini(&m);
}

/* ---- writing ------------------------------------------------------------- */

static void writes(const struct gw_message *out, const char *want)
{
    char *text = NULL;
    size_t len = 0;

    CHECK_OK(gw_message_to_json(out, &text, &len));
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

static void test_what_a_client_is_told_in_json(void **state)
{
    const char *const refs[] = {"<a@h.1.2>"};
    struct gw_message out;

    (void)state;
    gw_message_init(&out, GW_TYPE(REPLY));
    out.from = "calculator";
    out.to = "client-1";
    out.msg_id = "7";
    out.payload = GW_PAYLOAD_TEXT;
    out.data = (ht_bytes){"15", 2};
    writes(&out,
           "{\"type\":\"reply\",\"to\":\"client-1\","
           "\"from\":\"calculator\",\"msg_id\":\"7\",\"payload\":\"15\"}");
    out.payload = GW_PAYLOAD_BYTES;
    writes(&out,
           "{\"type\":\"reply\",\"to\":\"client-1\","
           "\"from\":\"calculator\",\"msg_id\":\"7\",\"bytes\":\"MTU=\"}");
    gw_message_init(&out, GW_TYPE(ERROR));
    out.code = "HT_EFAILED";
    out.reason = "line\n\"two\"";
    writes(&out, "{\"type\":\"error\",\"code\":\"HT_EFAILED\","
                 "\"reason\":\"line\\n\\\"two\\\"\"}");
    gw_message_init(&out, GW_TYPE(MEMBERS));
    out.from = "group:g";
    out.joined = refs;
    out.joined_count = 1;
    writes(&out, "{\"type\":\"members\",\"from\":\"group:g\","
                 "\"joined\":[\"<a@h.1.2>\"],\"left\":[]}");
    gw_message_init(&out, GW_TYPE(WELCOME));
    out.client = "client-1";
    out.resume = (ht_bytes){"r", 1};
    out.received = 3;
    writes(&out, "{\"type\":\"welcome\",\"client\":\"client-1\","
                 "\"resume\":\"r\",\"resumed\":false,\"received\":3,"
                 "\"grace_ms\":0}");
}

static void test_what_a_client_is_told_in_protobuf(void **state)
{
    Hardtack__Gateway__Message *in;
    struct gw_message out;
    uint8_t *data = NULL;
    size_t len = 0;

    (void)state;
    gw_message_init(&out, GW_TYPE(REPLY));
    out.from = "calculator";
    out.payload = GW_PAYLOAD_TEXT;
    out.data = (ht_bytes){"15", 2};
    CHECK_OK(gw_message_to_pb(&out, &data, &len));
    in = hardtack__gateway__message__unpack(NULL, len, data);
    assert_non_null(in);
    assert_int_equal(in->type, GW_TYPE(REPLY));
    assert_string_equal(in->from, "calculator");
    assert_int_equal(in->payload_case,
                     HARDTACK__GATEWAY__MESSAGE__PAYLOAD_TEXT);
    assert_string_equal(in->text, "15");
    hardtack__gateway__message__free_unpacked(in, NULL);
    free(data);

    /* A text with a NUL would be cut by most readers in C: as bytes. */
    out.data = (ht_bytes){"1\0005", 3};
    CHECK_OK(gw_message_to_pb(&out, &data, &len));
    in = hardtack__gateway__message__unpack(NULL, len, data);
    assert_non_null(in);
    assert_int_equal(in->payload_case,
                     HARDTACK__GATEWAY__MESSAGE__PAYLOAD_BYTES);
    assert_int_equal(in->bytes.len, 3);
    hardtack__gateway__message__free_unpacked(in, NULL);
    free(data);
}

static void test_what_is_no_text_is_not_written(void **state)
{
    struct gw_message out;
    uint8_t *data = NULL;
    char *text = NULL;
    size_t len = 0;

    (void)state;
    gw_message_init(&out, GW_TYPE(MESSAGE));
    out.method = "\xff";
    CHECK_ERR(gw_message_to_json(&out, &text, &len), HT_EINVAL);
    CHECK_ERR(gw_message_to_pb(&out, &data, &len), HT_EINVAL);
    out.method = "";
    out.payload = GW_PAYLOAD_TEXT;
    out.data = (ht_bytes){"\xff", 1};
    CHECK_ERR(gw_message_to_json(&out, &text, &len), HT_EINVAL);
    CHECK_ERR(gw_message_to_pb(&out, &data, &len), HT_EINVAL);
}

CHECK_MAIN(cmocka_unit_test(test_the_simplest_message_is_a_call),
           cmocka_unit_test(test_a_payload_is_what_it_looks_like),
           cmocka_unit_test(test_every_type_that_a_client_sends),
           cmocka_unit_test(test_what_json_may_not_say),
           cmocka_unit_test(test_an_error_still_names_its_message),
           cmocka_unit_test(test_names_are_bounded),
           cmocka_unit_test(test_protobuf_says_the_same),
           cmocka_unit_test(test_what_protobuf_may_not_say),
           cmocka_unit_test(test_a_field_that_we_do_not_know_is_skipped),
           cmocka_unit_test(test_a_request_is_a_message),
           cmocka_unit_test(test_what_a_client_is_told_in_json),
           cmocka_unit_test(test_what_a_client_is_told_in_protobuf),
           cmocka_unit_test(test_what_is_no_text_is_not_written))
