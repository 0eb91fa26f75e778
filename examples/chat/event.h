/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - what clients hear: a message of chat.proto as the delivery of a
 * gateway's client, in both encodings.  Encoded once, for everybody. */
#ifndef CHAT_EVENT_H
#define CHAT_EVENT_H

#include <hardtack.h>

#include "examples/chat/chat.pb-c.h"

/* The argument block of HtDeliver; args->err says if it went well. */
ht_args event_block(const char *method, const ProtobufCMessage *message);
/* The argument block of Hear, around it. */
ht_args event_heard(const char *method, const ProtobufCMessage *message);

#endif /* CHAT_EVENT_H */
