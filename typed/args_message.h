/* SPDX-License-Identifier: Apache-2.0 */
/* args_message.h - decoding a protobuf message of the user's, which came from a
 * peer: what protobuf-c itself does not limit. */
#ifndef HTI_TYPED_ARGS_MESSAGE_H
#define HTI_TYPED_ARGS_MESSAGE_H

#include <hardtack/base.h>

#include <protobuf-c/protobuf-c.h>

/* Bounded in depth and in memory, and with every string checked to be UTF-8,
 * as prost does.  The caller frees *ret_m with
 * protobuf_c_message_free_unpacked(m, NULL).  HT_EARGS, HT_ENOMEM. */
HT_MUSTUSE ht_err hti_message_decode(const ProtobufCMessageDescriptor *desc,
                                     ht_bytes bytes,
                                     ProtobufCMessage **ret_m);
/* The same for one that stands behind its length, as a ractor argument does;
 * what follows it is ignored. */
HT_MUSTUSE ht_err
hti_message_decode_delimited(const ProtobufCMessageDescriptor *desc,
                             ht_bytes bytes,
                             ProtobufCMessage **ret_m);

#endif /* HTI_TYPED_ARGS_MESSAGE_H */
