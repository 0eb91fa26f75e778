/* SPDX-License-Identifier: Apache-2.0 */
/* A message as JSON: of a oneof only what is set. */
#include "tests/lib/check.h"

#include "cli/pb_json.h"
#include "hardtack/kv.pb-c.h"

static void json_is(const ProtobufCMessage *message, const char *want)
{
    json_t *json = pb_json(message);
    char *text;

    CHECK(json != NULL);
    text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    assert_string_equal(text, want);
    free(text);
    json_decref(json);
}

static void test_oneof(void **state)
{
    Hardtack__Kv__UnwatchRequest plain = HARDTACK__KV__UNWATCH_REQUEST__INIT;
    Hardtack__Kv__Condition condition = HARDTACK__KV__CONDITION__INIT;

    (void)state;
    plain.watch = 7;
    json_is(&plain.base, "{\"watch\":7}");
    condition.key = (char *)"k";
    json_is(&condition.base, "{\"key\":\"k\",\"is\":\"EQUAL\"}");
    condition.to_case = HARDTACK__KV__CONDITION__TO_VERSION;
    condition.version = 3;
    json_is(&condition.base, "{\"key\":\"k\",\"is\":\"EQUAL\",\"version\":3}");
    condition.to_case = HARDTACK__KV__CONDITION__TO_TEXT;
    condition.text = (char *)"v";
    condition.is = HARDTACK__KV__RELATION__LESS;
    json_is(&condition.base, "{\"key\":\"k\",\"is\":\"LESS\",\"text\":\"v\"}");
}

static void test_messages(void **state)
{
    Hardtack__Kv__PutReply put = HARDTACK__KV__PUT_REPLY__INIT;
    Hardtack__Kv__OpReply one = HARDTACK__KV__OP_REPLY__INIT;
    Hardtack__Kv__OpReply *replies[] = {&one};
    Hardtack__Kv__TxnReply txn = HARDTACK__KV__TXN_REPLY__INIT;

    (void)state;
    put.revision = 5;
    one.op_case = HARDTACK__KV__OP_REPLY__OP_PUT;
    one.put = &put;
    txn.held = true;
    txn.n_replies = 1;
    txn.replies = replies;
    txn.revision = 5;
    json_is(&txn.base, "{\"held\":true,\"replies\":[{\"put\":{\"revision\":5,"
                       "\"create_revision\":0,\"previous\":null}}],"
                       "\"revision\":5}");
}

CHECK_MAIN(cmocka_unit_test(test_oneof), cmocka_unit_test(test_messages))
