/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gateway_pb.c - any bytes are a client's message or an error with words;
 * what protobuf-c reads too it reads the same.
 *
 * Input: a message of hardtack.pb.v1.
 */
#include "tests/fuzz/gateway.h"

/* Our reader refuses more than protobuf-c, and never reads something else. */
static void compare(const struct gw_message *ours,
                    const Hardtack__Gateway__Message *theirs)
{
    require(strcmp(ours->to, theirs->to) == 0);
    require(strcmp(ours->from, theirs->from) == 0);
    require(strcmp(ours->msg_id, theirs->msg_id) == 0);
    require(strcmp(ours->method, theirs->method) == 0);
    require(ours->received == theirs->received);
    require(
        (ours->payload == GW_PAYLOAD_MESSAGE) ==
        (theirs->payload_case == HARDTACK__GATEWAY__MESSAGE__PAYLOAD_MESSAGE));
    if (ours->payload == GW_PAYLOAD_BYTES) {
        require(ours->data.len == theirs->bytes.len);
        require(ours->data.len == 0 ||
                memcmp(ours->data.data, theirs->bytes.data, ours->data.len) ==
                    0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[GW_ERROR_MAX] = "";
    Hardtack__Gateway__Message *theirs;
    struct gw_message in;
    ht_err err = gw_message_from_pb(data, size, &in, error);

    check_message(&in, err, error);
    if (err == HT_OK) {
        theirs = hardtack__gateway__message__unpack(NULL, size, data);
        if (theirs != NULL) {
            compare(&in, theirs);
            hardtack__gateway__message__free_unpacked(theirs, NULL);
        }
    }
    gw_message_fini(&in);
    return 0;
}
