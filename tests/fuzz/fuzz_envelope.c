/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_envelope.c - our codec of the hot messages against protobuf-c: what both
 * take has the same content, and where only one takes it, there is a reason
 * that docs/protocol.md lists.  What we take, encoded again and decoded, is
 * what it was.
 *
 * Input: one payload.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* ---- reasons to differ -----------------------------------------------------
 */

struct traits {
    bool long_varint; /* a key or length of over five bytes: protobuf-c refuses
                       */
    bool group;       /* likewise */
    bool wide_varint; /* of over 64 bits, or a key of over 32: we refuse */
    bool zero;        /* field number 0 in a longer form: we refuse */
    bool not_utf8;    /* we refuse */
    bool repeated;    /* more than one oneof member: we merge as prost does */
};

enum type { NETWORK, NODE, CAST, CALL, REPLY, FRAGMENT, OTHER };

/* A walk of its own, as plain as can be. */
static size_t
walk_varint(const uint8_t *p, size_t len, uint64_t *ret, struct traits *t)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len && i < 10; i++) {
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] < 0x80) {
            t->wide_varint |= i == 9 && p[i] > 1;
            *ret = v;
            return i + 1;
        }
    }
    return 0;
}

static enum type child_of(enum type type, uint64_t number)
{
    if (type == NETWORK) {
        return number == 2 ? NODE : number == 1001 ? FRAGMENT : OTHER;
    }
    if (type == NODE && number >= 1 && number <= 3) {
        return number == 1 ? CAST : number == 2 ? CALL : REPLY;
    }
    return OTHER;
}

static bool is_member(enum type type, uint64_t number)
{
    if (type == NETWORK) {
        return (number >= 1 && number <= 3) || number == 1000 || number == 1001;
    }
    return type == NODE && number >= 1 && number <= 3;
}

static bool is_text(enum type type, uint64_t number)
{
    switch (type) {
    case CAST:
        return number == 3 || number == 1001;
    case CALL:
        return number == 5 || number == 1001;
    case REPLY:
        return number == 1001;
    case NETWORK:
    case NODE:
    case FRAGMENT:
    case OTHER:
        break;
    }
    return false;
}

static void walk(enum type type, const uint8_t *p, size_t len, struct traits *t)
{
    unsigned members = 0;

    while (len > 0) {
        uint64_t key;
        uint64_t v;
        size_t n = walk_varint(p, len, &key, t);

        t->long_varint |= n > 5;
        if (n == 0) {
            return;
        }
        t->wide_varint |= key > UINT32_MAX;
        t->zero |= key < 8;
        p += n;
        len -= n;
        switch (key & 7) {
        case 0:
            n = walk_varint(p, len, &v, t);
            break;
        case 1:
            n = len >= 8 ? 8 : 0;
            break;
        case 2:
            n = walk_varint(p, len, &v, t);
            t->long_varint |= n > 5;
            if (n == 0 || v > len - n) {
                return;
            }
            members += is_member(type, key >> 3) ? 1 : 0;
            t->repeated |= members > 1;
            t->not_utf8 |=
                is_text(type, key >> 3) && !hti_utf8_valid(p + n, (size_t)v);
            if (child_of(type, key >> 3) != OTHER) {
                walk(child_of(type, key >> 3), p + n, (size_t)v, t);
            }
            n += (size_t)v;
            break;
        case 5:
            n = len >= 4 ? 4 : 0;
            break;
        default:
            t->group = true;
            return;
        }
        if (n == 0) {
            return;
        }
        p += n;
        len -= n;
    }
}

/* ---- the same content
 * -------------------------------------------------------- */

static void
check_bytes(ht_bytes ours, bool has, const ProtobufCBinaryData *theirs)
{
    require((ours.data != NULL) == has);
    if (has) {
        require(ours.len == theirs->len);
        require(ours.len == 0 ||
                memcmp(ours.data, theirs->data, ours.len) == 0);
    }
}

#define CHECK_MESSAGE(ours, theirs)                                            \
    do {                                                                       \
        require((ours)->to == (theirs)->to);                                   \
        check_bytes((ours)->what, (theirs)->has_what, &(theirs)->what);        \
        check_bytes((ours)->variant, (theirs)->has_variant,                    \
                    &(theirs)->variant);                                       \
        check_bytes((ours)->metadata, (theirs)->has_metadata,                  \
                    &(theirs)->metadata);                                      \
        require((ours)->from == (theirs)->from);                               \
        check_bytes((ours)->to_name, (theirs)->has_to_name,                    \
                    &(theirs)->to_name);                                       \
    } while (0)

static void check_call(const struct hti_wire_call *ours,
                       const Hardtack__Wire__Call *theirs)
{
    CHECK_MESSAGE(&ours->m, theirs);
    require(ours->tag == theirs->tag);
    require(ours->has_timeout == (bool)theirs->has_timeout_ms);
    require(ours->timeout_ms == theirs->timeout_ms);
}

static void check_reply(const struct hti_wire_reply *ours,
                        const Hardtack__Wire__CallReply *theirs)
{
    require(ours->to == theirs->to && ours->tag == theirs->tag);
    check_bytes(ours->what, theirs->has_what, &theirs->what);
    require(ours->error == theirs->error);
    check_bytes(ours->reason, theirs->has_reason, &theirs->reason);
}

static void check_fragment(const struct hti_wire_fragment *ours,
                           const Hardtack__Wire__Fragment *theirs)
{
    require(ours->lane == theirs->lane);
    require(ours->has_total == (bool)theirs->has_total);
    require(ours->total == theirs->total);
    check_bytes(ours->data, theirs->has_data, &theirs->data);
}

static void check_node(const struct hti_envelope *ours,
                       const Hardtack__Wire__NodeMessage *theirs)
{
    switch ((int)theirs->msg_case) {
    case HARDTACK__WIRE__NODE_MESSAGE__MSG_CAST:
        require(ours->kind == HTI_ENVELOPE_CAST);
        CHECK_MESSAGE(&ours->u.cast, theirs->cast);
        break;
    case HARDTACK__WIRE__NODE_MESSAGE__MSG_CALL:
        require(ours->kind == HTI_ENVELOPE_CALL);
        check_call(&ours->u.call, theirs->call);
        break;
    case HARDTACK__WIRE__NODE_MESSAGE__MSG_REPLY:
        require(ours->kind == HTI_ENVELOPE_REPLY);
        check_reply(&ours->u.reply, theirs->reply);
        break;
    case HARDTACK__WIRE__NODE_MESSAGE__MSG__NOT_SET:
    default:
        require(ours->kind == HTI_ENVELOPE_EMPTY);
        break;
    }
}

static void check_same(const struct hti_envelope *ours,
                       const Hardtack__Wire__NetworkMessage *theirs)
{
    switch ((int)theirs->message_case) {
    case HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_AUTH:
        require(ours->kind == HTI_ENVELOPE_AUTH);
        break;
    case HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_NODE:
        check_node(ours, theirs->node);
        break;
    case HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_CONTROL:
        require(ours->kind == HTI_ENVELOPE_CONTROL);
        break;
    case HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_EXT:
        require(ours->kind == HTI_ENVELOPE_EXT);
        break;
    case HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE_FRAGMENT:
        require(ours->kind == HTI_ENVELOPE_FRAGMENT);
        check_fragment(&ours->u.fragment, theirs->fragment);
        break;
    case HARDTACK__WIRE__NETWORK_MESSAGE__MESSAGE__NOT_SET:
    default:
        require(ours->kind == HTI_ENVELOPE_EMPTY);
        break;
    }
}

/* ---- encoded again
 * ------------------------------------------------------------ */

static struct hti_frame *encode(const struct hti_envelope *e)
{
    switch (e->kind) {
    case HTI_ENVELOPE_CAST:
        return hti_frame_cast(&e->u.cast, 0);
    case HTI_ENVELOPE_CALL:
        return hti_frame_call(&e->u.call, 0);
    case HTI_ENVELOPE_REPLY:
        return hti_frame_reply(&e->u.reply, 0);
    case HTI_ENVELOPE_EMPTY:
    case HTI_ENVELOPE_AUTH:
    case HTI_ENVELOPE_CONTROL:
    case HTI_ENVELOPE_EXT:
    case HTI_ENVELOPE_FRAGMENT:
        break;
    }
    return NULL;
}

/* Once encoded, a message is in its shortest form: protobuf-c takes it and
 * gives the same bytes. */
static void check_again(const struct hti_envelope *e)
{
    struct hti_frame *frame = encode(e);
    Hardtack__Wire__NetworkMessage *m;
    size_t len;
    uint8_t *again;

    if (frame == NULL) {
        return;
    }
    len = frame->len - HTI_FRAME_HEAD;
    m = hardtack__wire__network_message__unpack(NULL, len,
                                                hti_frame_payload(frame));
    require(m != NULL);
    again = malloc(len + 1);
    require(again != NULL &&
            hardtack__wire__network_message__pack(m, again) == len);
    require(memcmp(again, hti_frame_payload(frame), len) == 0);
    free(again);
    hardtack__wire__network_message__free_unpacked(m, NULL);
    hti_frame_free(frame);
}

/* protobuf-c decodes the bodies that we leave to control.c. */
static bool is_body_refused(const struct hti_envelope *e)
{
    const ProtobufCMessageDescriptor *desc = NULL;
    struct hti_decoded d;

    if (e->kind == HTI_ENVELOPE_AUTH) {
        desc = &hardtack__wire__authentication_message__descriptor;
    } else if (e->kind == HTI_ENVELOPE_CONTROL) {
        desc = &hardtack__wire__control_message__descriptor;
    } else if (e->kind == HTI_ENVELOPE_EXT) {
        desc = &hardtack__wire__extension__descriptor;
    } else {
        return false;
    }
    if (hti_decode(desc, e->body, &d) != HT_OK) {
        return true;
    }
    hti_decoded_fini(&d);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct traits t = {0};
    struct hti_envelope ours;
    ht_err err = hti_envelope_decode(data, size, &ours);
    Hardtack__Wire__NetworkMessage *theirs =
        hardtack__wire__network_message__unpack(NULL, size, data);

    walk(NETWORK, data, size, &t);
    if (err == HT_OK && theirs == NULL) {
        require(t.long_varint || t.group || t.repeated ||
                is_body_refused(&ours));
    }
    if (err != HT_OK && theirs != NULL) {
        require(t.wide_varint || t.zero || t.not_utf8);
    }
    if (err == HT_OK) {
        require(!t.wide_varint || t.group);
        require(!t.not_utf8);
        check_again(&ours);
    }
    if (err == HT_OK && theirs != NULL && !t.repeated) {
        check_same(&ours, theirs);
    }
    if (theirs != NULL) {
        hardtack__wire__network_message__free_unpacked(theirs, NULL);
    }
    return 0;
}
