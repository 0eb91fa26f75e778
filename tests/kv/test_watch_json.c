/* SPDX-License-Identifier: Apache-2.0 */
/* Changes as a gateway's JSON clients read them. */
#include <jansson.h>

#include "kv/watch_json.h"
#include "tests/lib/check.h"

static void test_events(void **state)
{
    Hardtack__Kv__KeyValue put = HARDTACK__KV__KEY_VALUE__INIT;
    Hardtack__Kv__KeyValue gone = HARDTACK__KV__KEY_VALUE__INIT;
    Event events[2];
    Event *list[] = {&events[0], &events[1]};
    Events all = HARDTACK__KV__EVENTS__INIT;
    char *text;

    (void)state;
    put.key = (char *)"a\"b";
    put.value.data = (uint8_t *)"\x00\xff";
    put.value.len = 2;
    put.create_revision = 1;
    put.revision = 18446744073709551615u;
    put.version = 3;
    gone.key = (char *)"gone";
    gone.revision = 9;
    hardtack__kv__event__init(&events[0]);
    hardtack__kv__event__init(&events[1]);
    events[0].kv = &put;
    events[1].kv = &gone;
    events[1].kind = HARDTACK__KV__EVENT__KIND__EXPIRED;
    all.watch = 7;
    all.from_revision = 8;
    all.next_revision = 10;
    all.events = list;
    all.n_events = 2;
    text = hti_kv_events_json(&all);
    assert_string_equal(
        text,
        "{\"watch\":\"7\",\"from_revision\":\"8\",\"next_revision\":\"10\","
        "\"events\":[{\"kind\":\"PUT\",\"kv\":{\"key\":\"a\\\"b\","
        "\"value\":\"AP8=\",\"text\":\"\",\"create_revision\":\"1\","
        "\"revision\":\"18446744073709551615\",\"version\":\"3\","
        "\"lease\":\"0\",\"ttl_ms\":\"0\"}},"
        "{\"kind\":\"EXPIRED\",\"kv\":{\"key\":\"gone\",\"value\":\"\","
        "\"text\":\"\",\"create_revision\":\"0\",\"revision\":\"9\","
        "\"version\":\"0\",\"lease\":\"0\",\"ttl_ms\":\"0\"}}],"
        "\"ended\":\"\"}");
    free(text);
}

CHECK_MAIN(cmocka_unit_test(test_events))
