/* SPDX-License-Identifier: Apache-2.0 */
#include "typed/service_codec.h"

#include <stdlib.h>
#include <string.h>

#include "proto/pb.h"
#include "typed/args_message.h"

#define LENGTH_BYTES 8 /* before an argument */

bool hti_is_none(const ProtobufCMessageDescriptor *descriptor)
{
    return strcmp(descriptor->name, "hardtack.None") == 0;
}

static void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)v;
        v >>= 8;
    }
}

static uint64_t get_be64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* Make room for len bytes; NULL: no memory. */
static uint8_t *packed_room(struct hti_packed *packed, size_t len)
{
    packed->len = len;
    packed->data = len <= sizeof packed->small ? packed->small : malloc(len);
    return packed->data;
}

void hti_packed_fini(struct hti_packed *packed)
{
    if (packed->data != packed->small) {
        free(packed->data);
    }
    packed->data = packed->small;
    packed->len = 0;
}

ht_err hti_pack_reply(struct hti_packed *ret, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *p = packed_room(ret, hti_pb_varint_size(len) + len);

    if (p == NULL) {
        return HT_ENOMEM;
    }
    protobuf_c_message_pack(message, hti_pb_put_varint(p, len));
    return HT_OK;
}

ht_err hti_pack_argument(struct hti_packed *ret,
                         const ProtobufCMessage *message)
{
    size_t len, inner;
    uint8_t *p;

    if (hti_is_none(message->descriptor)) {
        packed_room(ret, 0);
        return HT_OK;
    }
    len = protobuf_c_message_get_packed_size(message);
    inner = hti_pb_varint_size(len) + len;
    p = packed_room(ret, LENGTH_BYTES + inner);
    if (p == NULL) {
        return HT_ENOMEM;
    }
    put_be64(p, inner);
    protobuf_c_message_pack(message, hti_pb_put_varint(p + LENGTH_BYTES, len));
    return HT_OK;
}

ht_err hti_unpack_argument(const ProtobufCMessageDescriptor *descriptor,
                           ht_bytes block,
                           ProtobufCMessage **ret_message)
{
    const uint8_t *p = block.data;
    ht_bytes inner;

    if (block.len == 0 && hti_is_none(descriptor)) {
        return hti_message_decode(descriptor, block, ret_message);
    }
    if (block.len < LENGTH_BYTES || get_be64(p) != block.len - LENGTH_BYTES) {
        return HT_EARGS;
    }
    inner.data = p + LENGTH_BYTES;
    inner.len = block.len - LENGTH_BYTES;
    return hti_message_decode_delimited(descriptor, inner, ret_message);
}
