/* SPDX-License-Identifier: Apache-2.0 */
#include "ref.h"

#include <time.h>

ProtobufCBinaryData ref_put(ht_node *node, ht_ref ref, ht_args *ret_args)
{
    ht_args args = HT_ARGS_INIT;

    if (!ht_ref_is_none(ref)) {
        ht_args_ref(&args, node, ref);
    }
    *ret_args = args;
    return (ProtobufCBinaryData){.len = args.err == HT_OK ? args.len : 0,
                                 .data = args.data};
}

ht_ref ref_get(ht_node *node, ProtobufCBinaryData data)
{
    ht_reader reader = ht_reader_block(data.data, data.len);
    ht_ref ref = ht_read_ref(&reader, node);

    return ht_read_end(&reader) == HT_OK ? ref : (ht_ref){0, 0};
}

ht_err ref_cast(ht_node *node,
                ht_ref to,
                const char *method,
                const ProtobufCMessage *message)
{
    ht_args args = HT_ARGS_INIT;

    ht_args_message(&args, message);
    return ht_args_cast(node, to, method, &args);
}

bool ref_is_world(ht_node *node, ht_ref ref)
{
    ht_ref worlds[64];
    size_t count = ht_group_members(node, NULL, WORLDS_GROUP, worlds, 64);

    for (size_t i = 0; i < count && i < 64; i++) {
        if (ht_ref_equal(worlds[i], ref)) {
            return true;
        }
    }
    return false;
}

uint64_t ref_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
