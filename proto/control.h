/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - authentication, control and extension messages, by protobuf-c.
 *
 * Decoding is bounded: an arena with a budget in proportion to the input, so
 * that a small packet cannot become a large tree (protobuf-c has no limit of
 * its own) nor a large one a huge tree, and every string is checked to be
 * UTF-8.
 */
#ifndef HTI_PROTO_CONTROL_H
#define HTI_PROTO_CONTROL_H

#include "proto/envelope.h"
#include "proto/hardtack_wire.pb-c.h"

/* A decoded message and the memory it lives in. */
struct hti_decoded {
    union {
        ProtobufCMessage *base;
        Hardtack__Wire__AuthenticationMessage *auth;
        Hardtack__Wire__ControlMessage *control;
        Hardtack__Wire__Extension *ext;
    } m;
    void *arena;
};

/* descriptor: one of the three above.  HT_OK, HT_EPROTO or HT_ENOMEM; give a
 * decoded one to hti_decoded_fini(). */
HT_MUSTUSE ht_err hti_decode(const ProtobufCMessageDescriptor *descriptor,
                             ht_bytes body,
                             struct hti_decoded *ret);
void hti_decoded_fini(struct hti_decoded *decoded);

/* Encode into a whole frame, wrapped in a NetworkMessage. NULL: no memory. */
struct hti_frame *
hti_frame_auth(const Hardtack__Wire__AuthenticationMessage *m);
struct hti_frame *hti_frame_control(const Hardtack__Wire__ControlMessage *m);
struct hti_frame *hti_frame_ext(const Hardtack__Wire__Extension *m,
                                uint32_t lane);

static inline ProtobufCBinaryData hti_pb_bytes(const void *data, size_t len)
{
    ProtobufCBinaryData b;

    b.data = (uint8_t *)(uintptr_t)data;
    b.len = len;
    return b;
}

/* Spawn, Terminate, PgJoin, PgLeave from plain arrays.  names[i] "" or names
 * NULL: no name.  The caller keeps a message below the peer's frame limit by
 * giving at most HTI_BATCH_MAX entries of bounded names. */
#define HTI_BATCH_MAX 1024
struct hti_frame *
hti_frame_spawn(const uint64_t *pids, const char *const *names, size_t count);
struct hti_frame *hti_frame_terminate(const uint64_t *pids, size_t count);
struct hti_frame *hti_frame_group(bool join,
                                  const char *scope,
                                  const char *group,
                                  const uint64_t *pids,
                                  const char *const *names,
                                  size_t count);
struct hti_frame *hti_frame_ready(void);

/* SHA-256(BE32(challenge) || cookie): ractor's digest. */
void hti_ractor_digest(const void *cookie,
                       size_t cookie_len,
                       uint32_t challenge,
                       uint8_t ret_digest[32]);

#endif /* HTI_PROTO_CONTROL_H */
