/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/wire.h"

void hti_wire_put_entry(struct hti_wbuf *buf, const struct hti_entry *entry)
{
    hti_put_u64(buf, entry->term);
    hti_put_u8(buf, entry->type);
    hti_put_u32(buf, (uint32_t)entry->len);
    hti_put_bytes(buf, entry->data, entry->len);
}

bool hti_wire_next_entry(struct hti_rbuf *buf, struct hti_wire_entry *ret_entry)
{
    struct hti_wire_entry entry = {0};
    uint32_t len;

    entry.term = hti_get_u64(buf);
    entry.type = hti_get_u8(buf);
    len = hti_get_u32(buf);
    entry.data.data = hti_get_bytes(buf, len);
    entry.data.len = len;
    if (buf->failed) {
        return false;
    }
    *ret_entry = entry;
    return true;
}

static void put_u16(struct hti_wbuf *buf, uint16_t value)
{
    hti_put_u8(buf, (uint8_t)value);
    hti_put_u8(buf, (uint8_t)(value >> 8));
}

static uint16_t get_u16(struct hti_rbuf *buf)
{
    uint16_t low = hti_get_u8(buf);

    return (uint16_t)(low | hti_get_u8(buf) << 8);
}

static void encode_append(struct hti_wbuf *buf, const struct hti_wire *wire)
{
    hti_put_u64(buf, wire->u.append.prev_index);
    hti_put_u64(buf, wire->u.append.prev_term);
    hti_put_u64(buf, wire->u.append.commit);
    hti_put_u32(buf, wire->u.append.count);
    hti_put_bytes(buf, wire->u.append.entries, wire->u.append.entries_len);
}

static void encode_result(struct hti_wbuf *buf, const struct hti_wire *wire)
{
    hti_put_u64(buf, wire->u.append_result.rejected);
    hti_put_u64(buf, wire->u.append_result.last_index);
    put_u16(buf, wire->u.append_result.features);
    put_u16(buf, wire->u.append_result.capacity);
}

static void encode_vote(struct hti_wbuf *buf, const struct hti_wire *wire)
{
    hti_put_u64(buf, wire->u.vote.candidate);
    hti_put_u64(buf, wire->u.vote.last_index);
    hti_put_u64(buf, wire->u.vote.last_term);
    hti_put_u8(buf, wire->u.vote.disrupt);
    hti_put_u8(buf, wire->u.vote.pre);
}

static void encode_piece(struct hti_wbuf *buf, const struct hti_wire *wire)
{
    hti_put_u64(buf, wire->u.piece.index);
    hti_put_u64(buf, wire->u.piece.size);
    hti_put_u64(buf, wire->u.piece.offset);
    if (wire->kind == HTI_WIRE_PIECE) {
        hti_put_u32(buf, (uint32_t)wire->u.piece.data.len);
        hti_put_bytes(buf, wire->u.piece.data.data, wire->u.piece.data.len);
    }
}

void hti_wire_encode(struct hti_wbuf *buf, const struct hti_wire *wire)
{
    hti_put_u8(buf, HTI_WIRE_VERSION);
    hti_put_u8(buf, (uint8_t)wire->kind);
    hti_put_u64(buf, wire->group);
    hti_put_u64(buf, wire->from);
    hti_put_u64(buf, wire->to);
    hti_put_u64(buf, wire->term);
    switch (wire->kind) {
    case HTI_WIRE_APPEND:
        encode_append(buf, wire);
        break;
    case HTI_WIRE_APPEND_RESULT:
        encode_result(buf, wire);
        break;
    case HTI_WIRE_VOTE:
        encode_vote(buf, wire);
        break;
    case HTI_WIRE_VOTE_RESULT:
        hti_put_u8(buf, wire->u.vote_result.granted);
        hti_put_u8(buf, wire->u.vote_result.pre);
        put_u16(buf, wire->u.vote_result.features);
        put_u16(buf, wire->u.vote_result.capacity);
        break;
    case HTI_WIRE_TIMEOUT_NOW:
        hti_put_u64(buf, wire->u.timeout_now.last_index);
        hti_put_u64(buf, wire->u.timeout_now.last_term);
        break;
    case HTI_WIRE_READ:
    case HTI_WIRE_READ_ACK:
        hti_put_u64(buf, wire->u.read.round);
        break;
    case HTI_WIRE_PIECE:
    case HTI_WIRE_PIECE_ACK:
        encode_piece(buf, wire);
        break;
    case HTI_WIRE_HELLO:
    case HTI_WIRE_HELLO_ACK:
    case HTI_WIRE_REMOVED:
    case HTI_WIRE_LEAVE:
        break;
    }
}

/* The entries are there, their terms are set and never go back, a configuration
 * can be read, and a group's first entry is one. */
static bool entries_valid(const struct hti_wire *wire)
{
    struct hti_rbuf buf = {.data = wire->u.append.entries,
                           .len = wire->u.append.entries_len};
    uint64_t term = wire->u.append.prev_term;

    for (uint32_t i = 0; i < wire->u.append.count; i++) {
        struct hti_wire_entry entry;

        if (!hti_wire_next_entry(&buf, &entry) || entry.term == 0 ||
            entry.term < term || entry.term > wire->term ||
            entry.type < HTI_ENTRY_COMMAND || entry.type > HTI_ENTRY_CHANGE) {
            return false;
        }
        if (wire->u.append.prev_index == 0 && i == 0 &&
            entry.type != HTI_ENTRY_CHANGE) {
            return false;
        }
        /* A command and a barrier begin with their time. */
        if (entry.type == HTI_ENTRY_CHANGE
                ? !hti_conf_valid(entry.data.data, entry.data.len)
                : entry.data.len < 8) {
            return false;
        }
        term = entry.term;
    }
    return buf.at == buf.len;
}

static bool decode_append(struct hti_rbuf *buf, struct hti_wire *wire)
{
    wire->u.append.prev_index = hti_get_u64(buf);
    wire->u.append.prev_term = hti_get_u64(buf);
    wire->u.append.commit = hti_get_u64(buf);
    wire->u.append.count = hti_get_u32(buf);
    if (buf->failed || wire->u.append.count > HTI_WIRE_ENTRIES_MAX ||
        wire->u.append.prev_index > HTI_NUMBER_MAX ||
        (wire->u.append.prev_index == 0) != (wire->u.append.prev_term == 0) ||
        wire->u.append.prev_term > wire->term) {
        return false;
    }
    wire->u.append.entries_len = buf->len - buf->at;
    wire->u.append.entries = hti_get_bytes(buf, wire->u.append.entries_len);
    return entries_valid(wire);
}

static void decode_result(struct hti_rbuf *buf, struct hti_wire *wire)
{
    wire->u.append_result.rejected = hti_get_u64(buf);
    wire->u.append_result.last_index = hti_get_u64(buf);
    wire->u.append_result.features = get_u16(buf);
    wire->u.append_result.capacity = get_u16(buf);
}

static void decode_vote(struct hti_rbuf *buf, struct hti_wire *wire)
{
    wire->u.vote.candidate = hti_get_u64(buf);
    wire->u.vote.last_index = hti_get_u64(buf);
    wire->u.vote.last_term = hti_get_u64(buf);
    wire->u.vote.disrupt = hti_get_u8(buf) != 0;
    wire->u.vote.pre = hti_get_u8(buf) != 0;
}

static bool decode_piece(struct hti_rbuf *buf, struct hti_wire *wire)
{
    wire->u.piece.index = hti_get_u64(buf);
    wire->u.piece.size = hti_get_u64(buf);
    wire->u.piece.offset = hti_get_u64(buf);
    if (wire->kind == HTI_WIRE_PIECE) {
        uint32_t len = hti_get_u32(buf);

        wire->u.piece.data.len = len;
        wire->u.piece.data.data = hti_get_bytes(buf, len);
        return !buf->failed && len > 0 && len <= HTI_WIRE_PIECE_MAX &&
               wire->u.piece.index > 0 &&
               wire->u.piece.size <= HTI_NUMBER_MAX &&
               wire->u.piece.offset <= wire->u.piece.size &&
               len <= wire->u.piece.size - wire->u.piece.offset;
    }
    return wire->u.piece.offset <= wire->u.piece.size;
}

static bool decode_body(struct hti_rbuf *buf, struct hti_wire *wire)
{
    switch (wire->kind) {
    case HTI_WIRE_APPEND:
        return decode_append(buf, wire);
    case HTI_WIRE_APPEND_RESULT:
        decode_result(buf, wire);
        return true;
    case HTI_WIRE_VOTE:
        decode_vote(buf, wire);
        return wire->u.vote.candidate == wire->from &&
               wire->u.vote.last_term <= wire->term;
    case HTI_WIRE_VOTE_RESULT:
        wire->u.vote_result.granted = hti_get_u8(buf) != 0;
        wire->u.vote_result.pre = hti_get_u8(buf) != 0;
        wire->u.vote_result.features = get_u16(buf);
        wire->u.vote_result.capacity = get_u16(buf);
        return true;
    case HTI_WIRE_TIMEOUT_NOW:
        wire->u.timeout_now.last_index = hti_get_u64(buf);
        wire->u.timeout_now.last_term = hti_get_u64(buf);
        return true;
    case HTI_WIRE_READ:
    case HTI_WIRE_READ_ACK:
        wire->u.read.round = hti_get_u64(buf);
        return true;
    case HTI_WIRE_PIECE:
    case HTI_WIRE_PIECE_ACK:
        return decode_piece(buf, wire);
    case HTI_WIRE_HELLO:
    case HTI_WIRE_HELLO_ACK:
    case HTI_WIRE_REMOVED:
    case HTI_WIRE_LEAVE:
        return true;
    }
    return false;
}

ht_err hti_wire_decode(ht_bytes bytes, struct hti_wire *ret_wire)
{
    struct hti_rbuf buf = {.data = bytes.data, .len = bytes.len};
    struct hti_wire wire = {0};
    uint8_t version = hti_get_u8(&buf);
    uint8_t kind = hti_get_u8(&buf);

    if (buf.failed || version != HTI_WIRE_VERSION || kind < HTI_WIRE_APPEND ||
        kind > HTI_WIRE_LEAVE) {
        return HT_EPROTO;
    }
    wire.kind = (enum hti_wire_kind)kind;
    wire.group = hti_get_u64(&buf);
    wire.from = hti_get_u64(&buf);
    wire.to = hti_get_u64(&buf);
    wire.term = hti_get_u64(&buf);
    if (buf.failed || wire.from == 0 || wire.term > HTI_NUMBER_MAX ||
        !decode_body(&buf, &wire) || buf.failed || buf.at != buf.len) {
        return HT_EPROTO;
    }
    *ret_wire = wire;
    return HT_OK;
}
