/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - what members say to each other, as bytes.
 *
 * A message is one cast: a head (version, kind, group, from, to) and the kind's
 * own fields, little-endian.  Those of libraft are carried field by field; what
 * libraft lacks (reads, snapshots in pieces, becoming a member) is our own.
 *
 * hti_wire_decode() takes any bytes.  What it accepts is well-formed: lengths
 * fit, configurations can be read, terms do not go back within a message.
 * Whether it makes sense now is the core's to judge, before libraft sees it.
 */
#ifndef HTI_RAFT_WIRE_H
#define HTI_RAFT_WIRE_H

#include "raft/bytes.h"
#include "raft/conf.h"
#include "raft/entry.h"

#define HTI_WIRE_VERSION     1
#define HTI_WIRE_ENTRIES_MAX 8192
#define HTI_WIRE_PIECE_MAX   (1u << 20)

enum hti_wire_kind {
    HTI_WIRE_APPEND = 1,
    HTI_WIRE_APPEND_RESULT,
    HTI_WIRE_VOTE,
    HTI_WIRE_VOTE_RESULT,
    HTI_WIRE_TIMEOUT_NOW,
    HTI_WIRE_READ,      /* does the leader of term still lead? */
    HTI_WIRE_READ_ACK,  /* the term is still that */
    HTI_WIRE_PIECE,     /* of a snapshot's file */
    HTI_WIRE_PIECE_ACK, /* have it up to offset */
    HTI_WIRE_HELLO,     /* who are you? to is 0 */
    HTI_WIRE_HELLO_ACK, /* from and group say */
    HTI_WIRE_REMOVED,   /* you are no member any more */
    HTI_WIRE_LEAVE,     /* take me out of the group */
};

struct hti_wire {
    enum hti_wire_kind kind;
    uint64_t group; /* 0: of no group yet */
    uint64_t from;
    uint64_t to; /* 0: whoever is there */
    uint64_t term;
    union {
        struct {
            uint64_t prev_index;
            uint64_t prev_term;
            uint64_t commit;
            /* Decoded: lent, pointing into the message. */
            uint32_t count;
            const uint8_t *entries; /* encoded one after another */
            size_t entries_len;
        } append;
        struct {
            uint64_t rejected;
            uint64_t last_index;
            uint16_t features;
            uint16_t capacity;
        } append_result;
        struct {
            uint64_t candidate;
            uint64_t last_index;
            uint64_t last_term;
            bool disrupt;
            bool pre;
        } vote;
        struct {
            bool granted;
            bool pre;
            uint16_t features;
            uint16_t capacity;
        } vote_result;
        struct {
            uint64_t last_index;
            uint64_t last_term;
        } timeout_now;
        struct {
            uint64_t round;
        } read;
        struct {
            uint64_t index; /* of the snapshot */
            uint64_t size;  /* of its file */
            uint64_t offset;
            ht_bytes data; /* lent */
        } piece;           /* an ack has no data, and offset is what it has */
    } u;
};

/* The entries of an append, one at a time. */
struct hti_wire_entry {
    uint64_t term;
    uint8_t type;
    ht_bytes data; /* lent */
};
#define HTI_WIRE_ENTRY_HEAD 13
void hti_wire_put_entry(struct hti_wbuf *buf, const struct hti_entry *entry);
bool hti_wire_next_entry(struct hti_rbuf *buf,
                         struct hti_wire_entry *ret_entry);

/* Append the message to buf, which says whether memory ran out. */
void hti_wire_encode(struct hti_wbuf *buf, const struct hti_wire *wire);
/* HT_EPROTO: not such a message. What it points to is lent with the bytes. */
HT_MUSTUSE ht_err hti_wire_decode(ht_bytes bytes, struct hti_wire *ret_wire);

#endif /* HTI_RAFT_WIRE_H */
