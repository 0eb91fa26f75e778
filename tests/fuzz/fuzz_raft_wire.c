/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_raft_wire.c - no bytes harm the decoder of a member's messages; what it
 * takes is encoded to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "raft/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Flags are any byte but 0 and encode as 1; all else is kept. */
static bool has_flags(const struct hti_wire *wire)
{
    return wire->kind == HTI_WIRE_VOTE || wire->kind == HTI_WIRE_VOTE_RESULT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hti_wbuf buf = {0};
    struct hti_wire wire;

    if (hti_wire_decode((ht_bytes){data, size}, &wire) != HT_OK) {
        return 0;
    }
    hti_wire_encode(&buf, &wire);
    if (buf.failed || buf.len != size ||
        (!has_flags(&wire) && memcmp(buf.data, data, size) != 0)) {
        abort();
    }
    hti_wbuf_fini(&buf);
    return 0;
}
