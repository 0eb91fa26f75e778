/* SPDX-License-Identifier: Apache-2.0 */
/* pb.h - the protobuf wire format, read as prost 0.14 reads it and written as
 * protobuf-c writes it.
 *
 * What prost refuses is refused here: varints over ten bytes or over 64 bits,
 * keys over 32 bits, field number 0, wire types 6 and 7, lengths beyond the
 * end, groups that do not match or nest too deep.  Keys and lengths that are
 * longer than they need be are taken, as there.
 */
#ifndef HTI_PROTO_PB_H
#define HTI_PROTO_PB_H

#include <string.h>

#include <hardtack/base.h>

enum {
    HTI_PB_VARINT = 0,
    HTI_PB_FIXED64 = 1,
    HTI_PB_LEN = 2,
    HTI_PB_GROUP = 3,
    HTI_PB_GROUP_END = 4,
    HTI_PB_FIXED32 = 5,
};

/* prost's limit on messages and groups within each other. */
#define HTI_PB_DEPTH_MAX         100

#define HTI_PB_KEY(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))

struct hti_pb_in {
    const uint8_t *p;
    const uint8_t *end;
};

static inline struct hti_pb_in hti_pb_open(ht_bytes bytes)
{
    struct hti_pb_in in;

    in.p = bytes.data;
    in.end = bytes.len > 0 ? in.p + bytes.len : in.p;
    return in;
}

bool hti_pb_varint_slow(struct hti_pb_in *in, uint64_t *ret);

static inline bool hti_pb_varint(struct hti_pb_in *in, uint64_t *ret)
{
    const uint8_t *p = in->p;

    /* One byte or two: nearly all keys, lengths and pids. */
    if (p != in->end && p[0] < 0x80) {
        *ret = p[0];
        in->p = p + 1;
        return true;
    }
    if (in->end - p >= 2 && p[1] < 0x80) {
        *ret = (uint64_t)(p[0] & 0x7f) | (uint64_t)p[1] << 7;
        in->p = p + 2;
        return true;
    }
    return hti_pb_varint_slow(in, ret);
}

/* A field's key: number << 3 | wire type, both checked. */
static inline bool hti_pb_key(struct hti_pb_in *in, uint32_t *ret_key)
{
    uint64_t key;

    if (!hti_pb_varint(in, &key) || key > UINT32_MAX || key < 8 ||
        (key & 7) > HTI_PB_FIXED32) {
        return false;
    }
    *ret_key = (uint32_t)key;
    return true;
}

static inline bool hti_pb_len(struct hti_pb_in *in, ht_bytes *ret)
{
    uint64_t len;

    if (!hti_pb_varint(in, &len) || len > (size_t)(in->end - in->p)) {
        return false;
    }
    ret->data = in->p;
    ret->len = (size_t)len;
    in->p += len;
    return true;
}

/* Skip the value of a field with this key, which stands in a message that is
 * depth messages and groups deep. */
bool hti_pb_skip(struct hti_pb_in *in, uint32_t key, unsigned depth);

static inline size_t hti_pb_varint_size(uint64_t v)
{
    /* Seven bits a byte: (bits + 6) / 7, as a multiplication. */
    return ((size_t)(64 - __builtin_clzll(v | 1)) * 9 + 64) / 64;
}

static inline uint8_t *hti_pb_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline size_t hti_pb_uint_size(uint32_t key, uint64_t v)
{
    return hti_pb_varint_size(key) + hti_pb_varint_size(v);
}

static inline uint8_t *hti_pb_put_uint(uint8_t *p, uint32_t key, uint64_t v)
{
    return hti_pb_put_varint(hti_pb_put_varint(p, key), v);
}

static inline size_t hti_pb_bytes_size(uint32_t key, size_t len)
{
    return hti_pb_varint_size(key) + hti_pb_varint_size(len) + len;
}

static inline uint8_t *hti_pb_put_bytes(uint8_t *p, uint32_t key, ht_bytes v)
{
    p = hti_pb_put_uint(p, key, v.len);
    if (v.len > 0) {
        memcpy(p, v.data, v.len);
    }
    return p + v.len;
}

#endif /* HTI_PROTO_PB_H */
