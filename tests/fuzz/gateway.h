/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h - what the fuzzers of clients' messages share. */
#ifndef TESTS_FUZZ_GATEWAY_H
#define TESTS_FUZZ_GATEWAY_H

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "gateway/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The payload comes back under the names that the client gave. */
static inline void write_answer(const struct gw_message *in)
{
    struct gw_message out;
    Hardtack__Gateway__Message *read;
    char *text = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    json_t *value;

    gw_message_init(&out, GW_TYPE(REPLY));
    out.to = in->from;
    out.from = in->to;
    out.msg_id = in->msg_id;
    out.payload = in->payload;
    out.data = in->data;
    out.json = in->json;
    require(gw_message_to_json(&out, &text, &len) == HT_OK);
    require(memchr(text, '\n', len) == NULL);
    value = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    require(value != NULL);
    json_decref(value);
    free(text);
    require(gw_message_to_pb(&out, &bytes, &len) == HT_OK);
    read = hardtack__gateway__message__unpack(NULL, len, bytes);
    require(read != NULL && strcmp(read->to, in->from) == 0);
    hardtack__gateway__message__free_unpacked(read, NULL);
    free(bytes);
}

static inline void
check_message(const struct gw_message *in, ht_err err, const char *error)
{
    require(strlen(in->msg_id) <= GW_MSG_ID_MAX);
    require(strlen(in->from) <= GW_NAME_MAX);
    require(hti_utf8_valid(in->msg_id, strlen(in->msg_id)));
    if (err != HT_OK) {
        require(err == HT_EARGS && error[0] != '\0');
        return;
    }
    require(gw_type_is_of_clients(in->type));
    require(strlen(in->to) <= GW_TO_MAX && strlen(in->method) <= GW_NAME_MAX);
    require(hti_utf8_valid(in->to, strlen(in->to)));
    require(in->payload != GW_PAYLOAD_TEXT ||
            hti_utf8_valid(in->data.data, in->data.len));
    require(in->payload != GW_PAYLOAD_JSON || json_is_object(in->json));
    write_answer(in);
}

#endif /* TESTS_FUZZ_GATEWAY_H */
