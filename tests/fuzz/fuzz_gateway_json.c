/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gateway_json.c - any bytes are a client's message or an error with
 * words; what is read keeps the protocol's rules, and an answer to it can be
 * written in both encodings.
 *
 * Input: a message of hardtack.json.v1.
 */
#include "tests/fuzz/gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[GW_ERROR_MAX] = "";
    struct gw_message in;
    ht_err err = gw_message_from_json(data, size, &in, error);

    check_message(&in, err, error);
    gw_message_fini(&in);
    error[0] = '\0';
    err = gw_message_from_http(GW_TYPE(CAST), "actor", "Method",
                               (ht_bytes){data, size}, &in, error);
    check_message(&in, err, error);
    gw_message_fini(&in);
    return 0;
}
