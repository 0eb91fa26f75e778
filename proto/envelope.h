/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.h - the hot part of NetworkMessage: Cast, Call and CallReply have
 * their own codec, the rest goes through protobuf-c (control.h).
 *
 * Encoding gives the bytes that protobuf-c gives for hardtack_wire.proto.
 * Decoding accepts what prost accepts: any field order, last one wins, unknown
 * fields skipped, and refuses what it refuses: wrong wire types of known
 * fields, truncation, field number 0, varints over ten bytes, invalid UTF-8,
 * nesting over 100 (docs/protocol.md lists the differences).
 *
 * Source: ractor-wire, sections 2 and 6.
 */
#ifndef HTI_PROTO_ENVELOPE_H
#define HTI_PROTO_ENVELOPE_H

#include "proto/frame.h"

enum hti_envelope_kind {
    HTI_ENVELOPE_EMPTY,    /* nothing known in it: ignored */
    HTI_ENVELOPE_AUTH,     /* body: an AuthenticationMessage */
    HTI_ENVELOPE_CONTROL,  /* body: a ControlMessage */
    HTI_ENVELOPE_CAST,     /* u.cast */
    HTI_ENVELOPE_CALL,     /* u.call */
    HTI_ENVELOPE_REPLY,    /* u.reply */
    HTI_ENVELOPE_EXT,      /* body: an Extension */
    HTI_ENVELOPE_FRAGMENT, /* u.fragment */
};

/* Call errors on the wire (design, "Errors on the wire"). */
enum hti_wire_error {
    HTI_WIRE_OK = 0,
    HTI_WIRE_NOPROC = 1,
    HTI_WIRE_NOVARIANT = 2,
    HTI_WIRE_ARGS = 3,
    HTI_WIRE_OVERLOAD = 4,
    HTI_WIRE_FAILED = 5,
    HTI_WIRE_EXPIRED = 6,
    HTI_WIRE_CANCELLED = 7,
    HTI_WIRE_DENIED = 8,
    HTI_WIRE_TOOBIG = 9,
};
enum hti_wire_error hti_wire_error_from(ht_err err);
ht_err hti_wire_error_to(uint32_t error); /* unknown ones: HT_EFAILED */

/* Exit reasons on the wire: the values of ht_exit_kind, which is public and
 * does not change. Unknown ones: HT_EXIT_FAILED. */
ht_exit_kind hti_wire_exit_to(uint32_t kind);

/* All views are lent with the payload. data NULL: the field was absent. */
struct hti_wire_cast {
    uint64_t to;
    ht_bytes what;
    ht_bytes variant;
    ht_bytes metadata;
    uint64_t from;
    ht_bytes to_name;
};

struct hti_wire_call {
    struct hti_wire_cast m;
    uint64_t tag;
    bool has_timeout;
    uint64_t timeout_ms;
};

struct hti_wire_reply {
    uint64_t to;
    uint64_t tag;
    ht_bytes what;
    uint32_t error;
    ht_bytes reason;
};

struct hti_wire_fragment {
    uint32_t lane;
    bool has_total;
    uint64_t total;
    ht_bytes data;
};

struct hti_envelope {
    enum hti_envelope_kind kind;
    ht_bytes body; /* of AUTH, CONTROL, EXT: the sub-message's bytes */
    union {
        struct hti_wire_cast cast;
        struct hti_wire_call call;
        struct hti_wire_reply reply;
        struct hti_wire_fragment fragment;
    } u;
};

/* HT_OK or HT_EPROTO (*ret is then empty).  When a oneof member occurs
 * twice, the fields are merged as prost does for CAST, CALL, REPLY; the last
 * one's bytes are taken for the other kinds (differences: docs/protocol.md). */
HT_MUSTUSE ht_err hti_envelope_decode(const void *data,
                                      size_t len,
                                      struct hti_envelope *ret);

/* Encode into a whole frame.  NULL: no memory, or over UINT32_MAX. Fields that
 * equal their default are left out; metadata, to_name and timeout are present
 * if their data is not NULL or has_timeout. */
struct hti_frame *hti_frame_cast(const struct hti_wire_cast *cast,
                                 uint32_t lane);
struct hti_frame *hti_frame_call(const struct hti_wire_call *call,
                                 uint32_t lane);
struct hti_frame *hti_frame_reply(const struct hti_wire_reply *reply,
                                  uint32_t lane);
size_t hti_cast_size(const struct hti_wire_cast *cast); /* of the payload */

/* The head of a fragment frame: the eight bytes of length and everything up to
 * the piece's data, which follows it on the wire.  total 0: not the first. */
#define HTI_FRAGMENT_HEAD_MAX 40
size_t hti_fragment_head(uint8_t head[HTI_FRAGMENT_HEAD_MAX],
                         uint32_t lane,
                         uint64_t total,
                         size_t piece_len);

#endif /* HTI_PROTO_ENVELOPE_H */
