/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pb.h"

#define VARINT_BYTES_MAX 10

bool hti_pb_varint_slow(struct hti_pb_in *in, uint64_t *ret)
{
    uint64_t v = 0;
    const uint8_t *p = in->p;

    for (unsigned i = 0; i < VARINT_BYTES_MAX && p != in->end; i++) {
        uint8_t byte = *p++;

        /* The tenth byte has room for one bit. */
        if (i == VARINT_BYTES_MAX - 1 && byte > 1) {
            return false;
        }
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            in->p = p;
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool skip_bytes(struct hti_pb_in *in, size_t n)
{
    if ((size_t)(in->end - in->p) < n) {
        return false;
    }
    in->p += n;
    return true;
}

/* A value that is no group. */
static bool skip_plain(struct hti_pb_in *in, uint32_t wire)
{
    uint64_t ignored;
    ht_bytes ignored_bytes;

    switch (wire) {
    case HTI_PB_VARINT:
        return hti_pb_varint(in, &ignored);
    case HTI_PB_FIXED64:
        return skip_bytes(in, 8);
    case HTI_PB_LEN:
        return hti_pb_len(in, &ignored_bytes);
    case HTI_PB_FIXED32:
        return skip_bytes(in, 4);
    default:
        return false;
    }
}

/* Groups are walked with the numbers of the open ones on a stack, not by
 * recursion: the peer chooses the depth. */
bool hti_pb_skip(struct hti_pb_in *in, uint32_t key, unsigned depth)
{
    uint32_t open[HTI_PB_DEPTH_MAX];
    unsigned count = 0;

    for (;;) {
        uint32_t wire = key & 7;

        if (wire == HTI_PB_GROUP_END) {
            if (count == 0 || open[count - 1] != key >> 3) {
                return false;
            }
            count--;
        } else if (depth + count >= HTI_PB_DEPTH_MAX) {
            return false;
        } else if (wire == HTI_PB_GROUP) {
            open[count++] = key >> 3;
        } else if (!skip_plain(in, wire)) {
            return false;
        }
        if (count == 0) {
            return true;
        }
        if (!hti_pb_key(in, &key)) {
            return false;
        }
    }
}
