/* SPDX-License-Identifier: Apache-2.0 */
#include "typed/args_message.h"

#include <stdlib.h>

#include "proto/pb.h"
#include "proto/sound.h"

/* A message may cost this much memory, and so much a byte on the wire. */
#define BUDGET_BASE     ((size_t)64 * 1024)
#define BUDGET_PER_BYTE ((size_t)64)

static bool is_text(const ProtobufCMessageDescriptor *message,
                    const ProtobufCFieldDescriptor *field)
{
    (void)message;
    return field->type == PROTOBUF_C_TYPE_STRING;
}

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
        !hti_is_sound(desc, bytes, 0, is_text)) {
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
