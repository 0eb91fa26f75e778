/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/sound.h"

#include "base/utf8.h"
#include "proto/pb.h"

/* One field, whose key was read. */
static bool is_field_sound(const ProtobufCMessageDescriptor *message,
                           struct hti_pb_in *in,
                           uint32_t key,
                           unsigned depth,
                           hti_is_text_fn is_text)
{
    const ProtobufCFieldDescriptor *field;
    ht_bytes value;

    if ((key & 7) != HTI_PB_LEN) {
        return hti_pb_skip(in, key, depth);
    }
    if (!hti_pb_len(in, &value)) {
        return false;
    }
    field = protobuf_c_message_descriptor_get_field(message, key >> 3);
    if (field == NULL) {
        return true;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return hti_is_sound(field->descriptor, value, depth + 1, is_text);
    }
    return !is_text(message, field) || hti_utf8_valid(value.data, value.len);
}

bool hti_is_sound(const ProtobufCMessageDescriptor *message,
                  ht_bytes bytes,
                  unsigned depth,
                  hti_is_text_fn is_text)
{
    struct hti_pb_in in = hti_pb_open(bytes);
    uint32_t key;

    if (depth >= HTI_PB_DEPTH_MAX) {
        return false;
    }
    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key) ||
            !is_field_sound(message, &in, key, depth, is_text)) {
            return false;
        }
    }
    return true;
}
