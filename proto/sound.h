/* SPDX-License-Identifier: Apache-2.0 */
/* sound.h - what prost refuses and protobuf-c does not, looked for before
 * protobuf-c decodes: text that is not UTF-8 (in every occurrence of a field,
 * not only in the last), messages that nest too deep (protobuf-c recurses as
 * deep as a peer likes), field number 0, numbers of more than 64 bits.
 */
#ifndef HTI_PROTO_SOUND_H
#define HTI_PROTO_SOUND_H

#include <hardtack/base.h>

#include <protobuf-c/protobuf-c.h>

/* Whether a field, known and length-delimited, is text. */
typedef bool (*hti_is_text_fn)(const ProtobufCMessageDescriptor *message,
                               const ProtobufCFieldDescriptor *field);

/* depth: how many messages this one is in. */
bool hti_is_sound(const ProtobufCMessageDescriptor *message,
                  ht_bytes bytes,
                  unsigned depth,
                  hti_is_text_fn is_text);

#endif /* HTI_PROTO_SOUND_H */
