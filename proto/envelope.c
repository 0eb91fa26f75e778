/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/envelope.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/pb.h"

/* Keys of hardtack_wire.proto. */
enum {
    NETWORK_AUTH = HTI_PB_KEY(1, HTI_PB_LEN),
    NETWORK_NODE = HTI_PB_KEY(2, HTI_PB_LEN),
    NETWORK_CONTROL = HTI_PB_KEY(3, HTI_PB_LEN),
    NETWORK_EXT = HTI_PB_KEY(1000, HTI_PB_LEN),
    NETWORK_FRAGMENT = HTI_PB_KEY(1001, HTI_PB_LEN),

    NODE_CAST = HTI_PB_KEY(1, HTI_PB_LEN),
    NODE_CALL = HTI_PB_KEY(2, HTI_PB_LEN),
    NODE_REPLY = HTI_PB_KEY(3, HTI_PB_LEN),

    /* Cast and Call alike */
    MESSAGE_TO = HTI_PB_KEY(1, HTI_PB_VARINT),
    MESSAGE_WHAT = HTI_PB_KEY(2, HTI_PB_LEN),
    MESSAGE_METADATA = HTI_PB_KEY(6, HTI_PB_LEN),
    MESSAGE_FROM = HTI_PB_KEY(1000, HTI_PB_VARINT),
    MESSAGE_TO_NAME = HTI_PB_KEY(1001, HTI_PB_LEN),

    CAST_VARIANT = HTI_PB_KEY(3, HTI_PB_LEN),
    CALL_TAG = HTI_PB_KEY(3, HTI_PB_VARINT),
    CALL_TIMEOUT = HTI_PB_KEY(4, HTI_PB_VARINT),
    CALL_VARIANT = HTI_PB_KEY(5, HTI_PB_LEN),

    REPLY_TO = HTI_PB_KEY(1, HTI_PB_VARINT),
    REPLY_TAG = HTI_PB_KEY(2, HTI_PB_VARINT),
    REPLY_WHAT = HTI_PB_KEY(3, HTI_PB_LEN),
    REPLY_ERROR = HTI_PB_KEY(1000, HTI_PB_VARINT),
    REPLY_REASON = HTI_PB_KEY(1001, HTI_PB_LEN),

    FRAGMENT_LANE = HTI_PB_KEY(1, HTI_PB_VARINT),
    FRAGMENT_TOTAL = HTI_PB_KEY(2, HTI_PB_VARINT),
    FRAGMENT_DATA = HTI_PB_KEY(3, HTI_PB_LEN),
};

/* How deep the fields of each message stand, for prost's limit on nesting. */
enum { NETWORK_DEPTH = 0, NODE_DEPTH = 1, MESSAGE_DEPTH = 2 };

/* ---- decoding ------------------------------------------------------------ */

/* A field that did not match a known key: an error if its number is known, for
 * then it has the wrong wire type; else it is skipped.  known: bits of the
 * numbers below 64; extended: 1000 and 1001 are known too. */
static bool skip_unknown(struct hti_pb_in *in,
                         uint32_t key,
                         uint64_t known,
                         bool extended,
                         unsigned depth)
{
    uint32_t number = key >> 3;

    if (number < 64 && (known >> number & 1) != 0) {
        return false;
    }
    if (extended && (number == 1000 || number == 1001)) {
        return false;
    }
    return hti_pb_skip(in, key, depth);
}

#define BIT(number) (1u << (number))

/* Words, the last of which may overlap the one before: variants are short, and
 * a loop over single bytes would cost more than the rest of the field. */
static inline bool is_ascii(const uint8_t *p, size_t len)
{
    uint64_t word;
    uint64_t any = 0;

    if (len >= sizeof word) {
        const uint8_t *last = p + len - sizeof word;

        for (; p < last; p += sizeof word) {
            memcpy(&word, p, sizeof word);
            any |= word;
        }
        memcpy(&word, last, sizeof word);
        any |= word;
    } else if (len >= 4) {
        uint32_t half;

        memcpy(&half, p, sizeof half);
        any |= half;
        memcpy(&half, p + len - sizeof half, sizeof half);
        any |= half;
    } else {
        for (size_t i = 0; i < len; i++) {
            any |= p[i];
        }
    }
    return (any & 0x8080808080808080u) == 0;
}

static inline bool take_string(struct hti_pb_in *in, ht_bytes *ret)
{
    return hti_pb_len(in, ret) && (is_ascii(ret->data, ret->len) ||
                                   hti_utf8_valid(ret->data, ret->len));
}

static bool take_uint32(struct hti_pb_in *in, uint32_t *ret)
{
    uint64_t v;

    if (!hti_pb_varint(in, &v)) {
        return false;
    }
    *ret = (uint32_t)v; /* cut, as prost does */
    return true;
}

/* What Cast and Call have in common; known: the numbers of ractor's fields. */
static inline bool message_field(struct hti_pb_in *in,
                                 uint32_t key,
                                 uint64_t known,
                                 struct hti_wire_cast *ret)
{
    switch (key) {
    case MESSAGE_TO:
        return hti_pb_varint(in, &ret->to);
    case MESSAGE_WHAT:
        return hti_pb_len(in, &ret->what);
    case MESSAGE_METADATA:
        return hti_pb_len(in, &ret->metadata);
    case MESSAGE_FROM:
        return hti_pb_varint(in, &ret->from);
    case MESSAGE_TO_NAME:
        return take_string(in, &ret->to_name);
    default:
        return skip_unknown(in, key, known, true, MESSAGE_DEPTH);
    }
}

static bool decode_cast(ht_bytes body, struct hti_wire_cast *ret)
{
    const uint64_t known = BIT(1) | BIT(2) | BIT(3) | BIT(6);
    struct hti_pb_in in = hti_pb_open(body);
    uint32_t key;

    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key)) {
            return false;
        }
        if (key == CAST_VARIANT ? !take_string(&in, &ret->variant)
                                : !message_field(&in, key, known, ret)) {
            return false;
        }
    }
    return true;
}

static bool
call_field(struct hti_pb_in *in, uint32_t key, struct hti_wire_call *ret)
{
    const uint64_t known = BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6);

    switch (key) {
    case CALL_TAG:
        return hti_pb_varint(in, &ret->tag);
    case CALL_TIMEOUT:
        ret->has_timeout = true;
        return hti_pb_varint(in, &ret->timeout_ms);
    case CALL_VARIANT:
        return take_string(in, &ret->m.variant);
    default:
        return message_field(in, key, known, &ret->m);
    }
}

static bool decode_call(ht_bytes body, struct hti_wire_call *ret)
{
    struct hti_pb_in in = hti_pb_open(body);
    uint32_t key;

    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key) || !call_field(&in, key, ret)) {
            return false;
        }
    }
    return true;
}

static bool
reply_field(struct hti_pb_in *in, uint32_t key, struct hti_wire_reply *ret)
{
    const uint64_t known = BIT(1) | BIT(2) | BIT(3);

    switch (key) {
    case REPLY_TO:
        return hti_pb_varint(in, &ret->to);
    case REPLY_TAG:
        return hti_pb_varint(in, &ret->tag);
    case REPLY_WHAT:
        return hti_pb_len(in, &ret->what);
    case REPLY_ERROR:
        return take_uint32(in, &ret->error);
    case REPLY_REASON:
        return take_string(in, &ret->reason);
    default:
        return skip_unknown(in, key, known, true, MESSAGE_DEPTH);
    }
}

static bool decode_reply(ht_bytes body, struct hti_wire_reply *ret)
{
    struct hti_pb_in in = hti_pb_open(body);
    uint32_t key;

    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key) || !reply_field(&in, key, ret)) {
            return false;
        }
    }
    return true;
}

static bool fragment_field(struct hti_pb_in *in,
                           uint32_t key,
                           struct hti_wire_fragment *ret)
{
    const uint64_t known = BIT(1) | BIT(2) | BIT(3);

    switch (key) {
    case FRAGMENT_LANE:
        return take_uint32(in, &ret->lane);
    case FRAGMENT_TOTAL:
        ret->has_total = true;
        return hti_pb_varint(in, &ret->total);
    case FRAGMENT_DATA:
        return hti_pb_len(in, &ret->data);
    default:
        return skip_unknown(in, key, known, false, NODE_DEPTH);
    }
}

static bool decode_fragment(ht_bytes body, struct hti_wire_fragment *ret)
{
    struct hti_pb_in in = hti_pb_open(body);
    uint32_t key;

    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key) || !fragment_field(&in, key, ret)) {
            return false;
        }
    }
    return true;
}

/* A oneof: another member than the one that is there starts anew, the same one
 * is merged into what is there.  An empty envelope is all zero. */
static void choose(struct hti_envelope *e, enum hti_envelope_kind kind)
{
    if (e->kind != kind) {
        if (e->kind != HTI_ENVELOPE_EMPTY) {
            memset(e, 0, sizeof *e);
        }
        e->kind = kind;
    }
}

static bool
node_field(struct hti_pb_in *in, uint32_t key, struct hti_envelope *e)
{
    const uint64_t known = BIT(1) | BIT(2) | BIT(3);
    ht_bytes body;

    switch (key) {
    case NODE_CAST:
        choose(e, HTI_ENVELOPE_CAST);
        return hti_pb_len(in, &body) && decode_cast(body, &e->u.cast);
    case NODE_CALL:
        choose(e, HTI_ENVELOPE_CALL);
        return hti_pb_len(in, &body) && decode_call(body, &e->u.call);
    case NODE_REPLY:
        choose(e, HTI_ENVELOPE_REPLY);
        return hti_pb_len(in, &body) && decode_reply(body, &e->u.reply);
    default:
        return skip_unknown(in, key, known, false, NODE_DEPTH);
    }
}

static bool decode_node(ht_bytes body, struct hti_envelope *e)
{
    struct hti_pb_in in = hti_pb_open(body);
    uint32_t key;

    /* After another member of NetworkMessage, NodeMessage starts empty. */
    if (e->kind != HTI_ENVELOPE_CAST && e->kind != HTI_ENVELOPE_CALL &&
        e->kind != HTI_ENVELOPE_REPLY) {
        choose(e, HTI_ENVELOPE_EMPTY);
    }
    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key) || !node_field(&in, key, e)) {
            return false;
        }
    }
    return true;
}

static bool take_body(struct hti_pb_in *in,
                      enum hti_envelope_kind kind,
                      struct hti_envelope *e)
{
    choose(e, kind);
    return hti_pb_len(in, &e->body);
}

static bool
network_field(struct hti_pb_in *in, uint32_t key, struct hti_envelope *e)
{
    const uint64_t known = BIT(1) | BIT(2) | BIT(3);
    ht_bytes body;

    switch (key) {
    case NETWORK_NODE:
        return hti_pb_len(in, &body) && decode_node(body, e);
    case NETWORK_AUTH:
        return take_body(in, HTI_ENVELOPE_AUTH, e);
    case NETWORK_CONTROL:
        return take_body(in, HTI_ENVELOPE_CONTROL, e);
    case NETWORK_EXT:
        return take_body(in, HTI_ENVELOPE_EXT, e);
    case NETWORK_FRAGMENT:
        choose(e, HTI_ENVELOPE_EMPTY); /* the last one, not merged */
        choose(e, HTI_ENVELOPE_FRAGMENT);
        return hti_pb_len(in, &body) && decode_fragment(body, &e->u.fragment);
    default:
        return skip_unknown(in, key, known, true, NETWORK_DEPTH);
    }
}

ht_err
hti_envelope_decode(const void *data, size_t len, struct hti_envelope *ret)
{
    struct hti_pb_in in = hti_pb_open((ht_bytes){data, len});
    uint32_t key;

    memset(ret, 0, sizeof *ret); /* the whole union, not its first member */
    while (in.p != in.end) {
        if (!hti_pb_key(&in, &key) || !network_field(&in, key, ret)) {
            memset(ret, 0, sizeof *ret);
            return HT_EPROTO;
        }
    }
    return HT_OK;
}

/* ---- encoding ------------------------------------------------------------ */

/* The sizes that stand in front of a message and of the NodeMessage that it
 * is in, all keys below 16 being one byte. */
struct sizes {
    size_t message;
    size_t node;
    size_t network;
};

static struct sizes wrap(size_t message)
{
    struct sizes s;

    s.message = message;
    s.node = 1 + hti_pb_varint_size(s.message) + s.message;
    s.network = 1 + hti_pb_varint_size(s.node) + s.node;
    return s;
}

static struct hti_frame *
begin(const struct sizes *s, uint32_t key, uint32_t lane, uint8_t **ret_p)
{
    struct hti_frame *frame = hti_frame_new(s->network, lane);

    if (frame != NULL) {
        uint8_t *p = hti_frame_payload(frame);

        p = hti_pb_put_uint(p, NETWORK_NODE, s->node);
        *ret_p = hti_pb_put_uint(p, key, s->message);
    }
    return frame;
}

static void end(const struct hti_frame *frame, const uint8_t *p)
{
    assert(p == frame->bytes + frame->len);
    (void)frame;
    (void)p;
}

static size_t uint_size(uint32_t key, uint64_t v)
{
    return v != 0 ? hti_pb_uint_size(key, v) : 0;
}

static uint8_t *put_uint(uint8_t *p, uint32_t key, uint64_t v)
{
    return v != 0 ? hti_pb_put_uint(p, key, v) : p;
}

static size_t bytes_size(uint32_t key, ht_bytes v)
{
    return v.len > 0 ? hti_pb_bytes_size(key, v.len) : 0;
}

static uint8_t *put_bytes(uint8_t *p, uint32_t key, ht_bytes v)
{
    return v.len > 0 ? hti_pb_put_bytes(p, key, v) : p;
}

/* Fields with explicit presence: there when data is not NULL. */
static size_t optional_size(uint32_t key, ht_bytes v)
{
    return v.data != NULL ? hti_pb_bytes_size(key, v.len) : 0;
}

static uint8_t *put_optional(uint8_t *p, uint32_t key, ht_bytes v)
{
    return v.data != NULL ? hti_pb_put_bytes(p, key, v) : p;
}

/* All but the variant and what only a Call has. */
static size_t message_size(const struct hti_wire_cast *m)
{
    return uint_size(MESSAGE_TO, m->to) + bytes_size(MESSAGE_WHAT, m->what) +
           optional_size(MESSAGE_METADATA, m->metadata) +
           uint_size(MESSAGE_FROM, m->from) +
           optional_size(MESSAGE_TO_NAME, m->to_name);
}

static uint8_t *put_head(uint8_t *p, const struct hti_wire_cast *m)
{
    p = put_uint(p, MESSAGE_TO, m->to);
    return put_bytes(p, MESSAGE_WHAT, m->what);
}

static uint8_t *put_tail(uint8_t *p, const struct hti_wire_cast *m)
{
    p = put_optional(p, MESSAGE_METADATA, m->metadata);
    p = put_uint(p, MESSAGE_FROM, m->from);
    return put_optional(p, MESSAGE_TO_NAME, m->to_name);
}

static struct sizes cast_sizes(const struct hti_wire_cast *cast)
{
    return wrap(message_size(cast) + bytes_size(CAST_VARIANT, cast->variant));
}

size_t hti_cast_size(const struct hti_wire_cast *cast)
{
    return cast_sizes(cast).network;
}

struct hti_frame *hti_frame_cast(const struct hti_wire_cast *cast,
                                 uint32_t lane)
{
    struct sizes s = cast_sizes(cast);
    uint8_t *p;
    struct hti_frame *frame = begin(&s, NODE_CAST, lane, &p);

    if (frame == NULL) {
        return NULL;
    }
    p = put_head(p, cast);
    p = put_bytes(p, CAST_VARIANT, cast->variant);
    p = put_tail(p, cast);
    end(frame, p);
    return frame;
}

static struct sizes call_sizes(const struct hti_wire_call *call)
{
    size_t size = message_size(&call->m) + uint_size(CALL_TAG, call->tag) +
                  bytes_size(CALL_VARIANT, call->m.variant);

    if (call->has_timeout) {
        size += hti_pb_uint_size(CALL_TIMEOUT, call->timeout_ms);
    }
    return wrap(size);
}

struct hti_frame *hti_frame_call(const struct hti_wire_call *call,
                                 uint32_t lane)
{
    struct sizes s = call_sizes(call);
    uint8_t *p;
    struct hti_frame *frame = begin(&s, NODE_CALL, lane, &p);

    if (frame == NULL) {
        return NULL;
    }
    p = put_head(p, &call->m);
    p = put_uint(p, CALL_TAG, call->tag);
    if (call->has_timeout) {
        p = hti_pb_put_uint(p, CALL_TIMEOUT, call->timeout_ms);
    }
    p = put_bytes(p, CALL_VARIANT, call->m.variant);
    p = put_tail(p, &call->m);
    end(frame, p);
    return frame;
}

struct hti_frame *hti_frame_reply(const struct hti_wire_reply *reply,
                                  uint32_t lane)
{
    struct sizes s =
        wrap(uint_size(REPLY_TO, reply->to) + uint_size(REPLY_TAG, reply->tag) +
             bytes_size(REPLY_WHAT, reply->what) +
             uint_size(REPLY_ERROR, reply->error) +
             bytes_size(REPLY_REASON, reply->reason));
    uint8_t *p;
    struct hti_frame *frame = begin(&s, NODE_REPLY, lane, &p);

    if (frame == NULL) {
        return NULL;
    }
    p = put_uint(p, REPLY_TO, reply->to);
    p = put_uint(p, REPLY_TAG, reply->tag);
    p = put_bytes(p, REPLY_WHAT, reply->what);
    p = put_uint(p, REPLY_ERROR, reply->error);
    p = put_bytes(p, REPLY_REASON, reply->reason);
    end(frame, p);
    return frame;
}

size_t hti_fragment_head(uint8_t head[HTI_FRAGMENT_HEAD_MAX],
                         uint32_t lane,
                         uint64_t total,
                         size_t piece_len)
{
    uint64_t size;
    uint64_t payload;
    uint8_t *p = head;

    assert(piece_len > 0 && piece_len < UINT32_MAX - HTI_FRAGMENT_HEAD_MAX);
    size = uint_size(FRAGMENT_LANE, lane) + uint_size(FRAGMENT_TOTAL, total) +
           hti_pb_bytes_size(FRAGMENT_DATA, piece_len);
    payload = hti_pb_bytes_size(NETWORK_FRAGMENT, (size_t)size);
    for (unsigned i = 0; i < HTI_FRAME_HEAD; i++) {
        *p++ = (uint8_t)(payload >> (56 - 8 * i));
    }
    p = hti_pb_put_uint(p, NETWORK_FRAGMENT, size);
    p = put_uint(p, FRAGMENT_LANE, lane);
    p = put_uint(p, FRAGMENT_TOTAL, total);
    p = hti_pb_put_uint(p, FRAGMENT_DATA, piece_len);
    assert((size_t)(p - head) <= HTI_FRAGMENT_HEAD_MAX);
    return (size_t)(p - head);
}

/* ---- names for what travels ---------------------------------------------- */

static const ht_err wire_errors[] = {
    [HTI_WIRE_OK] = HT_OK,
    [HTI_WIRE_NOPROC] = HT_ENOPROC,
    [HTI_WIRE_NOVARIANT] = HT_ENOVARIANT,
    [HTI_WIRE_ARGS] = HT_EARGS,
    [HTI_WIRE_OVERLOAD] = HT_EOVERLOAD,
    [HTI_WIRE_FAILED] = HT_EFAILED,
    [HTI_WIRE_EXPIRED] = HT_EEXPIRED,
    [HTI_WIRE_CANCELLED] = HT_ECANCELLED,
    [HTI_WIRE_DENIED] = HT_EDENIED,
    [HTI_WIRE_TOOBIG] = HT_ETOOBIG,
};
#define WIRE_ERRORS (sizeof wire_errors / sizeof wire_errors[0])

enum hti_wire_error hti_wire_error_from(ht_err err)
{
    for (unsigned i = 0; i < WIRE_ERRORS; i++) {
        if (wire_errors[i] == err) {
            return (enum hti_wire_error)i;
        }
    }
    return HTI_WIRE_FAILED;
}

ht_err hti_wire_error_to(uint32_t error)
{
    return error < WIRE_ERRORS ? wire_errors[error] : HT_EFAILED;
}

ht_exit_kind hti_wire_exit_to(uint32_t kind)
{
    return kind <= HT_EXIT_NOCONNECTION ? (ht_exit_kind)kind : HT_EXIT_FAILED;
}
