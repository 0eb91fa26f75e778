/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_control.c - authentication, control and extension messages: bounded, and
 * otherwise as protobuf-c decodes them.
 *
 * Input: a byte for the kind, the message.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct hti_frame *encode(unsigned kind, const struct hti_decoded *d)
{
    switch (kind) {
    case 0:
        return hti_frame_auth(d->m.auth);
    case 1:
        return hti_frame_control(d->m.control);
    default:
        return hti_frame_ext(d->m.ext, 0);
    }
}

/* What was decoded and encoded again is taken again, with the same bytes. */
static void check_again(unsigned kind,
                        const ProtobufCMessageDescriptor *desc,
                        const struct hti_decoded *d)
{
    struct hti_frame *frame = encode(kind, d);
    struct hti_frame *again;
    struct hti_envelope e;
    struct hti_decoded d2;

    require(frame != NULL);
    require(hti_envelope_decode(hti_frame_payload(frame),
                                frame->len - HTI_FRAME_HEAD, &e) == HT_OK);
    require(hti_decode(desc, e.body, &d2) == HT_OK);
    again = encode(kind, &d2);
    require(again != NULL && again->len == frame->len);
    require(memcmp(again->bytes, frame->bytes, frame->len) == 0);
    hti_frame_free(again);
    hti_frame_free(frame);
    hti_decoded_fini(&d2);
}

static bool is_ascii(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const descs[] = {
        &hardtack__wire__authentication_message__descriptor,
        &hardtack__wire__control_message__descriptor,
        &hardtack__wire__extension__descriptor,
    };
    unsigned kind = size > 0 ? data[0] % 3 : 0;
    ht_bytes body = {data + 1, size > 0 ? size - 1 : 0};
    ProtobufCMessage *theirs;
    struct hti_decoded ours;
    ht_err err;

    if (size == 0) {
        return 0;
    }
    err = hti_decode(descs[kind], body, &ours);
    theirs = protobuf_c_message_unpack(descs[kind], NULL, body.len, body.data);
    require(err != HT_OK || theirs != NULL);
    /* Refused though protobuf-c takes it: a string, or the budget, which no
     * short message exceeds. */
    require(err == HT_OK || theirs == NULL || body.len > 512 ||
            !is_ascii(body.data, body.len));
    if (err == HT_OK) {
        check_again(kind, descs[kind], &ours);
        hti_decoded_fini(&ours);
    }
    if (theirs != NULL) {
        protobuf_c_message_free_unpacked(theirs, NULL);
    }
    return 0;
}
