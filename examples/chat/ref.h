/* SPDX-License-Identifier: Apache-2.0 */
/* ref.h - the address of an actor as bytes in a message, and other small things
 * that the chat's actors share. */
#ifndef CHAT_REF_H
#define CHAT_REF_H

#include <hardtack.h>
#include <protobuf-c/protobuf-c.h>

/* The actors' names, and the group of the worlds. */
#define WORLD_NAME   "chat-world"
#define DOOR_NAME    "chat"
#define USER_PREFIX  "chat-user-"
#define WORLDS_GROUP "chat-worlds"

/* Free what ret_args holds with ht_args_fini(), after the message was sent. */
ProtobufCBinaryData ref_put(ht_node *node, ht_ref ref, ht_args *ret_args);
/* none if the bytes are no ref. */
ht_ref ref_get(ht_node *node, ProtobufCBinaryData data);
/* A cast of a typed method. */
HT_MUSTUSE ht_err ref_cast(ht_node *node,
                           ht_ref to,
                           const char *method,
                           const ProtobufCMessage *message);
/* Whether a world speaks. */
bool ref_is_world(ht_node *node, ht_ref ref);
/* Milliseconds since 1970. */
uint64_t ref_now_ms(void);

#endif /* CHAT_REF_H */
