/* SPDX-License-Identifier: Apache-2.0 */
#include "typed/args_message.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "proto/pb.h"

/* A message may cost this much memory, and so much a byte on the wire. */
#define BUDGET_BASE     ((size_t)64 * 1024)
#define BUDGET_PER_BYTE ((size_t)64)

/* ---- what protobuf-c does not check -------------------------------------- */

static bool is_sound(const ProtobufCMessageDescriptor *desc,
                     ht_bytes bytes,
                     unsigned depth);

/* A length-delimited value of a known field. */
static bool is_value_sound(const ProtobufCFieldDescriptor *field,
                           ht_bytes value,
                           unsigned depth)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return is_sound(field->descriptor, value, depth + 1);
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        return hti_utf8_valid(value.data, value.len);
    }
    return true;
}

/* Whether no message nests deeper than prost's limit and every string is UTF-8.
 * Recursion stops at that limit, before protobuf-c recurses. */
static bool
is_sound(const ProtobufCMessageDescriptor *desc, ht_bytes bytes, unsigned depth)
{
    struct hti_pb_in in = hti_pb_open(bytes);
    uint32_t key;

    if (depth >= HTI_PB_DEPTH_MAX) {
        return false;
    }
    while (in.p != in.end) {
        const ProtobufCFieldDescriptor *field;
        ht_bytes value;

        if (!hti_pb_key(&in, &key)) {
            return false;
        }
        if ((key & 7) != HTI_PB_LEN) {
            if (!hti_pb_skip(&in, key, depth)) {
                return false;
            }
            continue;
        }
        if (!hti_pb_len(&in, &value)) {
            return false;
        }
        field = protobuf_c_message_descriptor_get_field(desc, key >> 3);
        if (field != NULL && !is_value_sound(field, value, depth)) {
            return false;
        }
    }
    return true;
}

/* ---- decoding ------------------------------------------------------------ */

/* malloc with a budget: blocks can be freed without it. */
struct budget {
    size_t left;
    bool starved;
};

static void *on_alloc(void *arg, size_t size)
{
    struct budget *budget = arg;
    void *block;

    /* The least that malloc takes for a block. */
    if (size > budget->left || budget->left - size < 16) {
        return NULL;
    }
    block = malloc(size);
    if (block == NULL) {
        budget->starved = true;
        return NULL;
    }
    budget->left -= size + 16;
    return block;
}

static void on_free(void *arg, void *block)
{
    (void)arg;
    free(block);
}

ht_err hti_message_decode(const ProtobufCMessageDescriptor *desc,
                          ht_bytes bytes,
                          ProtobufCMessage **ret_m)
{
    struct budget budget = {.starved = false};
    ProtobufCAllocator allocator = {on_alloc, on_free, &budget};
    ProtobufCMessage *m;

    if (bytes.len > (SIZE_MAX - BUDGET_BASE) / BUDGET_PER_BYTE ||
        !is_sound(desc, bytes, 0)) {
        return HT_EARGS;
    }
    budget.left = BUDGET_BASE + BUDGET_PER_BYTE * bytes.len;
    m = protobuf_c_message_unpack(desc, &allocator, bytes.len, bytes.data);
    if (m == NULL) {
        return budget.starved ? HT_ENOMEM : HT_EARGS;
    }
    *ret_m = m;
    return HT_OK;
}

ht_err hti_message_decode_delimited(const ProtobufCMessageDescriptor *desc,
                                    ht_bytes bytes,
                                    ProtobufCMessage **ret_m)
{
    struct hti_pb_in in = hti_pb_open(bytes);
    ht_bytes inner;

    if (!hti_pb_len(&in, &inner)) {
        return HT_EARGS;
    }
    return hti_message_decode(desc, inner, ret_m);
}
