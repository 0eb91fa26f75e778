/* SPDX-License-Identifier: Apache-2.0 */
/* service_codec.h - a protobuf message as ractor's one prost argument, and as a
 * reply (ractor-wire, sections 7.1, 7.2 and 7.4).
 *
 *   argument   BE64(n) || varint(len) || message, n being the rest's length
 *   reply      varint(len) || message
 *
 * A method whose input is hardtack.None has no argument: an empty block, which
 * is ractor's variant without fields.
 */
#ifndef HTI_TYPED_SERVICE_CODEC_H
#define HTI_TYPED_SERVICE_CODEC_H

#include <hardtack/base.h>

#include <protobuf-c/protobuf-c.h>

/* hardtack.None */
bool hti_is_none(const ProtobufCMessageDescriptor *descriptor);

/* Encoded bytes; small ones lie inside, so this is not to be moved. */
struct hti_packed {
    uint8_t *data;
    size_t len;
    uint8_t small[1024];
};
HT_MUSTUSE ht_err hti_pack_argument(struct hti_packed *ret,
                                    const ProtobufCMessage *message);
HT_MUSTUSE ht_err hti_pack_reply(struct hti_packed *ret,
                                 const ProtobufCMessage *message);
void hti_packed_fini(struct hti_packed *packed);

/* Of a peer's bytes; bounded.  The caller frees *ret_message with
 * protobuf_c_message_free_unpacked(m, NULL).  HT_EARGS, HT_ENOMEM. */
HT_MUSTUSE ht_err
hti_unpack_argument(const ProtobufCMessageDescriptor *descriptor,
                    ht_bytes block,
                    ProtobufCMessage **ret_message);

#endif /* HTI_TYPED_SERVICE_CODEC_H */
